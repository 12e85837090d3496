/* Keeping the mirror. See words.h; text_search.c asks it.
 *
 * Loading while others write goes by the rules that vectors.c explains: EMPTY, LOADING, READY; from LOADING on each
 * change is applied and wins over what is loaded; `gone` remembers the rows that were taken away meanwhile; each chunk has
 * a snapshot of its own that began after LOADING was set. Other than there, nobody waits for the loader, so it has a
 * thread of its own, and a failure is nobody's error: it is forgotten, and later searches start another one. OFF is for
 * ever.
 *
 * Counting a text's words takes longer than putting them into the index, and is done outside of the lock: by the loader,
 * and by the thread that stores (words_prepare). The writer counts only what was stored in the moment when loading
 * began, and what is restored: its words are in the file. */
#include "engine/words.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/wait.h"
#include "engine/vector_rows.h"

#define CHUNK_ROWS  256
#define CHUNK_BYTES (4u << 20) /* of text; then a new snapshot, so that the log can be folded back */

enum state { EMPTY, LOADING, READY, OFF };

struct words {
	struct readers *readers;
	struct tokenizers *tokenizers;
	uint64_t bytes_max;
	atomic_uint_fast64_t walked; /* matches that FTS5 saw since the mirror was last dropped */
	atomic_bool stopping;
	pthread_mutex_t thread_lock;
	pthread_cond_t load_done;
	bool loading, to_join; /* under thread_lock */
	pthread_t thread;
	pthread_rwlock_t lock; /* all that follows up to the next comment; state is read without it for hints */
	_Atomic enum state state;
	int64_t cursor; /* rows up to here are loaded */
	struct word_index *index;
	struct vector_rows gone;
	/* The writer's thread's. */
	struct word_change *first, *last;
	struct word_counts counts;
};

enum cs_status words_new(
	struct readers *readers, struct tokenizers *tokenizers, struct words **ret_words, struct cs_error *err)
{
	struct words *w = calloc(1, sizeof *w);
	pthread_rwlockattr_t lock;

	if (!w)
		return cs_fail_memory(err);
	w->readers = readers;
	w->tokenizers = tokenizers;
	w->bytes_max = WORDS_MEMORY_DEFAULT;
	pthread_mutex_init(&w->thread_lock, NULL);
	wait_cond_init(&w->load_done);
	pthread_rwlockattr_init(&lock);
	pthread_rwlockattr_setkind_np(&lock, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&w->lock, &lock);
	pthread_rwlockattr_destroy(&lock);
	*ret_words = w;
	return CS_OK;
}

void words_stop(struct words *w)
{
	if (!w)
		return;
	atomic_store(&w->stopping, true);
	pthread_mutex_lock(&w->thread_lock);
	if (w->to_join) {
		pthread_mutex_unlock(&w->thread_lock);
		pthread_join(w->thread, NULL);
		pthread_mutex_lock(&w->thread_lock);
		w->to_join = false;
	}
	pthread_mutex_unlock(&w->thread_lock);
}

void words_free(struct words *w)
{
	if (!w)
		return;
	assert(!w->to_join);
	word_index_free(w->index);
	vector_rows_release(&w->gone);
	word_counts_release(&w->counts);
	pthread_rwlock_destroy(&w->lock);
	pthread_cond_destroy(&w->load_done);
	pthread_mutex_destroy(&w->thread_lock);
	free(w);
}

void words_set_memory(struct words *w, uint64_t bytes_max)
{
	w->bytes_max = bytes_max;
}

/* What a drop leaves to be freed outside of the lock. */
struct dropped {
	struct word_index *index;
	struct vector_rows gone;
};

/* Under the lock. */
static struct dropped drop(struct words *w, enum state state)
{
	struct dropped old = {w->index, w->gone};

	w->index = NULL;
	w->gone = (struct vector_rows){0};
	w->cursor = 0;
	w->state = state;
	atomic_store_explicit(&w->walked, 0, memory_order_relaxed);
	return old;
}

static void dropped_free(struct dropped *old)
{
	word_index_free(old->index);
	vector_rows_release(&old->gone);
}

static bool is_kept(struct words *w)
{
	enum state state = atomic_load_explicit(&w->state, memory_order_relaxed);

	return state == LOADING || state == READY;
}

/* Changes. */

void words_prepare(struct words *w, struct word_change *change)
{
	struct word_counts *counts;

	if (!is_kept(w))
		return;
	counts = calloc(1, sizeof *counts);
	if (counts && word_counts_fill(counts, w->tokenizers, change->text) == SQLITE_OK) {
		change->counts = counts;
		return;
	}
	/* The writer will try again, and drop the mirror if it fails, too. */
	if (counts)
		word_counts_release(counts);
	free(counts);
}

void word_change_release(struct word_change *change)
{
	if (!change->counts)
		return;
	word_counts_release(change->counts);
	free(change->counts);
	change->counts = NULL;
}

void words_publish(struct words *w, struct word_change *change)
{
	change->next = NULL;
	if (w->last)
		w->last->next = change;
	else
		w->first = change;
	w->last = change;
}

/* Under the lock, LOADING or READY. Whatever fails leaves the mirror to be dropped. */
static enum cs_status apply(struct words *w, const struct word_change *change, struct cs_error *err)
{
	const struct word_counts *counts = change->counts;

	if (change->gone) {
		word_index_remove(w->index, change->row);
		if (w->state == LOADING && !vector_rows_put(&w->gone, change->row, (struct slice){0}))
			return cs_fail_memory(err);
		return CS_OK;
	}
	if (!counts) {
		if (word_counts_fill(&w->counts, w->tokenizers, change->text) != SQLITE_OK)
			return cs_fail_memory(err);
		counts = &w->counts;
	}
	return word_index_put(w->index, change->row, change->id, counts, err);
}

void words_settle(struct words *w)
{
	struct dropped old = {0};
	struct cs_error err;

	if (!w->first)
		return;
	pthread_rwlock_wrlock(&w->lock);
	for (struct word_change *change = w->first; change && is_kept(w); change = change->next)
		if (apply(w, change, &err) != CS_OK)
			old = drop(w, EMPTY);
	if (is_kept(w) && word_index_bytes(w->index) > w->bytes_max)
		old = drop(w, OFF);
	else if (w->state == READY && word_index_worn(w->index))
		old = drop(w, EMPTY);
	pthread_rwlock_unlock(&w->lock);
	w->first = w->last = NULL;
	dropped_free(&old);
}

/* Loading: the loader's thread. */

struct loader {
	struct words *words;
	struct op op;
	struct word_counts counts;
	bool ready;
};

/* Adds what the mirror does not know. False: the mirror was dropped meanwhile. */
static bool add_row(struct loader *l, int64_t row, struct slice id)
{
	struct words *w = l->words;
	struct dropped old = {0};
	struct cs_error err;
	bool kept;

	pthread_rwlock_wrlock(&w->lock);
	kept = w->state == LOADING;
	if (kept && !word_index_has(w->index, row) && !vector_rows_get(&w->gone, row, NULL)) {
		kept = word_index_put(w->index, row, id, &l->counts, &err) == CS_OK;
		if (!kept)
			old = drop(w, EMPTY);
	}
	if (kept && word_index_bytes(w->index) > w->bytes_max) {
		old = drop(w, OFF);
		kept = false;
	}
	if (kept)
		w->cursor = row;
	pthread_rwlock_unlock(&w->lock);
	dropped_free(&old);
	return kept;
}

/* One snapshot's worth of rows. *ret_more: there may be others. False: failed, or dropped. */
static bool add_rows(struct loader *l, struct sql *sql, int64_t after, bool *ret_more)
{
	static const char text[] = "SELECT c.row, c.id, d.words FROM contexts c NOT INDEXED CROSS JOIN documents d"
				   " ON d.row = c.row WHERE c.row > ?1 AND c.hidden = 0 ORDER BY c.row LIMIT ?2";
	sqlite3_stmt *stmt = NULL;
	size_t count = 0, bytes = 0;
	bool row = true, kept = sql_prepare(sql, text, &stmt, NULL) == CS_OK;

	if (!kept)
		return false;
	sql_bind_i64(stmt, 1, after);
	sql_bind_i64(stmt, 2, CHUNK_ROWS);
	while (kept && bytes < CHUNK_BYTES) {
		kept = sql_step(sql, stmt, &row, NULL) == CS_OK;
		if (!kept || !row)
			break;
		kept = word_counts_fill(&l->counts, l->words->tokenizers, sql_text(stmt, 2)) == SQLITE_OK &&
		       add_row(l, sqlite3_column_int64(stmt, 0), sql_text(stmt, 1));
		bytes += (size_t)sqlite3_column_bytes(stmt, 2);
		count++;
	}
	sql_finish(stmt);
	*ret_more = count == CHUNK_ROWS || bytes >= CHUNK_BYTES;
	return kept;
}

static bool load_chunk(struct loader *l, bool *ret_more)
{
	struct words *w = l->words;
	struct sql *sql;
	int64_t after;
	bool kept;

	pthread_rwlock_rdlock(&w->lock);
	kept = w->state == LOADING;
	after = w->cursor;
	pthread_rwlock_unlock(&w->lock);
	if (!kept || readers_begin(w->readers, &l->op, &sql, NULL) != CS_OK)
		return false;
	kept = add_rows(l, sql, after, ret_more);
	readers_end(w->readers, sql);
	return kept;
}

static void load_all(struct loader *l)
{
	struct words *w = l->words;
	struct word_index *index = NULL;
	struct dropped old = {0};
	bool more = true, kept = word_index_new(&index, NULL) == CS_OK;

	if (!kept)
		return;
	pthread_rwlock_wrlock(&w->lock);
	kept = w->state == EMPTY;
	if (kept) {
		w->state = LOADING;
		w->index = index;
		index = NULL;
	}
	pthread_rwlock_unlock(&w->lock);
	word_index_free(index);
	while (kept && more)
		kept = load_chunk(l, &more);
	pthread_rwlock_wrlock(&w->lock);
	if (w->state == LOADING && kept) {
		w->state = READY;
		old.gone = w->gone;
		w->gone = (struct vector_rows){0};
	} else if (w->state == LOADING) {
		old = drop(w, EMPTY);
	}
	pthread_rwlock_unlock(&w->lock);
	dropped_free(&old);
}

static void *load_main(void *self)
{
	struct words *w = self;
	struct loader loader = {.words = w,
		.op = {.deadline_ns = OP_NO_DEADLINE,
			.cancelled = &w->stopping,
			.may_wait = true,
			.principal = &principal_anonymous}};

	load_all(&loader);
	word_counts_release(&loader.counts);
	pthread_mutex_lock(&w->thread_lock);
	w->loading = false;
	pthread_cond_broadcast(&w->load_done);
	pthread_mutex_unlock(&w->thread_lock);
	return NULL;
}

/* Under thread_lock. Without a thread to be had it is left for later. */
static void start_loading(struct words *w)
{
	if (w->loading || atomic_load(&w->stopping) || atomic_load(&w->state) != EMPTY)
		return;
	if (w->to_join)
		pthread_join(w->thread, NULL);
	w->to_join = w->loading = pthread_create(&w->thread, NULL, load_main, w) == 0;
	if (w->loading)
		pthread_setname_np(w->thread, "words");
	else
		atomic_store(&w->walked, 0);
}

void words_walked(struct words *w, uint64_t matches, int64_t last_row)
{
	uint64_t walked = atomic_fetch_add_explicit(&w->walked, matches, memory_order_relaxed) + matches;

	if (walked < WORDS_WALKED_MIN || walked < (uint64_t)last_row || atomic_load(&w->state) != EMPTY)
		return;
	pthread_mutex_lock(&w->thread_lock);
	start_loading(w);
	pthread_mutex_unlock(&w->thread_lock);
}

enum cs_status words_load(struct words *w, const struct op *op, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);

	pthread_mutex_lock(&w->thread_lock);
	start_loading(w);
	while (status == CS_OK && w->loading) {
		(void)wait_until(&w->load_done, &w->thread_lock, op->deadline_ns);
		status = w->loading ? op_check(op, err) : CS_OK;
	}
	pthread_mutex_unlock(&w->thread_lock);
	if (status != CS_OK)
		return status;
	switch (atomic_load(&w->state)) {
	case READY: return CS_OK;
	case OFF:
		return cs_fail(err, CS_LIMIT_EXCEEDED, "the words in memory may take %llu MiB",
			(unsigned long long)(w->bytes_max >> 20));
	default: return cs_fail(err, CS_UNAVAILABLE, "the words could not be loaded");
	}
}

bool words_loaded(struct words *w)
{
	return atomic_load_explicit(&w->state, memory_order_relaxed) == READY;
}

const struct word_index *words_begin(struct words *w)
{
	if (!words_loaded(w))
		return NULL;
	pthread_rwlock_rdlock(&w->lock);
	if (w->state == READY)
		return w->index;
	pthread_rwlock_unlock(&w->lock);
	return NULL;
}

void words_end(struct words *w)
{
	pthread_rwlock_unlock(&w->lock);
}

bool words_try_memory(struct words *w, uint64_t *ret_documents, uint64_t *ret_bytes)
{
	if (pthread_rwlock_tryrdlock(&w->lock) != 0)
		return false;
	*ret_documents = w->index ? word_index_count(w->index) : 0;
	*ret_bytes = word_index_bytes(w->index) + vector_rows_bytes(&w->gone);
	pthread_rwlock_unlock(&w->lock);
	return true;
}
