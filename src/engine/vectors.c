/* Keeping the mirror. See vectors.h; vector_search.c asks it.
 *
 * Loading while others write. The mirror is EMPTY, LOADING or READY. In EMPTY changes are let go: they are in the file.
 * From LOADING on every change is applied, and what it says about a row is never overwritten by what is loaded: the
 * loader adds only rows the mirror knows nothing about. (`rows` has those that are live; `gone` remembers, while
 * loading, those that were taken away.) Why nothing is lost or outdated: take a row the loader reads from a snapshot
 * that began after LOADING was set. A commit that was published before that is in the snapshot, since publishing comes
 * after committing. One that is published later is applied, before or after the loader comes by, and wins both times.
 * So each chunk may have a snapshot of its own: a load that ran out of time is taken up where it stopped, the log can
 * be folded back meanwhile, and no commit waits for more than a chunk. One thread loads at a time, so a loader that
 * finds the mirror EMPTY again knows that it was dropped, and what it has read is void.
 *
 * The lock prefers its writer: commits are acknowledged between searches, however many there are. One lock for all of a
 * commit: 64 puts that waited for running searches one by one would wait 64 times.
 *
 * Rejected: a log of changes replayed after loading (needs a ceiling, and a second path for the same change); loading
 * under the lock (100,000 vectors are most of a second without an acknowledgement); loading at opening (idle
 * memory, and start-up). Cost: 5 bytes a dimension and some 240 an entry. */
#include "engine/vectors.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/wait.h"
#include "vector/kernels.h"

#define CHUNK_ROWS      256
#define CHUNK_BYTES_MAX (16u << 20)
#define ENTRY_BYTES     240 /* number, scale, error, slots of both tables, id, attributes */

enum state { EMPTY, LOADING, READY };

struct vectors {
	struct readers *readers;
	uint64_t bytes_max;
	pthread_mutex_t load_lock; /* who loads */
	pthread_cond_t load_done;
	bool load_busy;
	pthread_rwlock_t lock; /* all that follows up to the next comment */
	enum state state;
	int64_t cursor; /* rows up to here are loaded */
	struct scan *scan;
	struct vector_rows rows, gone;
	struct attribute_table attributes;
	/* The writer's thread's. */
	struct vector_change *first, *last;
	uint64_t reserved_in; /* transaction */
	size_t reserved;
};

enum cs_status vectors_new(struct readers *readers, struct vectors **ret_vectors, struct cs_error *err)
{
	struct vectors *v = calloc(1, sizeof *v);
	pthread_rwlockattr_t lock;

	if (!v)
		return cs_fail_memory(err);
	v->readers = readers;
	v->bytes_max = VECTORS_MEMORY_DEFAULT;
	pthread_mutex_init(&v->load_lock, NULL);
	wait_cond_init(&v->load_done);
	pthread_rwlockattr_init(&lock);
	pthread_rwlockattr_setkind_np(&lock, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&v->lock, &lock);
	pthread_rwlockattr_destroy(&lock);
	*ret_vectors = v;
	return CS_OK;
}

/* What a drop leaves to be freed outside of the lock. */
struct dropped {
	struct scan *scan;
	struct vector_rows rows, gone;
	struct attribute_table attributes;
};

/* Under the lock. */
static struct dropped drop(struct vectors *v)
{
	struct dropped old = {v->scan, v->rows, v->gone, v->attributes};

	v->scan = NULL;
	v->rows = v->gone = (struct vector_rows){0};
	v->attributes = (struct attribute_table){0};
	v->state = EMPTY;
	v->cursor = 0;
	return old;
}

static void dropped_free(struct dropped *old)
{
	scan_free(old->scan);
	vector_rows_release(&old->rows);
	vector_rows_release(&old->gone);
	attribute_table_release(&old->attributes);
}

void vectors_free(struct vectors *v)
{
	struct dropped old;

	if (!v)
		return;
	old = drop(v);
	dropped_free(&old);
	pthread_rwlock_destroy(&v->lock);
	pthread_cond_destroy(&v->load_done);
	pthread_mutex_destroy(&v->load_lock);
	free(v);
}

void vectors_set_memory(struct vectors *v, uint64_t bytes_max)
{
	v->bytes_max = bytes_max;
}

static size_t entries_max(const struct vectors *v, uint32_t dimension)
{
	uint32_t width = (dimension + VECTOR_WIDTH_STEP - 1) / VECTOR_WIDTH_STEP * VECTOR_WIDTH_STEP;
	uint64_t entries = v->bytes_max / (UINT64_C(5) * width + ENTRY_BYTES);

	return entries == 0 ? 1 : entries > UINT32_MAX / 2 ? UINT32_MAX / 2 : (size_t)entries;
}

static enum cs_status too_many(const struct vectors *v, uint32_t dimension, struct cs_error *err)
{
	return cs_fail(err, CS_LIMIT_EXCEEDED,
		"the vectors in memory may take %llu MiB, which is %zu of %u dimensions; delete contexts, or use a "
		"model with fewer dimensions",
		(unsigned long long)(v->bytes_max >> 20), entries_max(v, dimension), (unsigned)dimension);
}

/* Changes. */

enum cs_status vectors_reserve(
	struct vectors *v, const struct write_txn *txn, int64_t row, uint32_t dimension, struct cs_error *err)
{
	bool fits = true;

	if (v->reserved_in != txn->number) {
		v->reserved_in = txn->number;
		v->reserved = 0;
	}
	pthread_rwlock_rdlock(&v->lock);
	if (v->state != EMPTY && !(v->scan && scan_has(v->scan, row))) {
		size_t count = v->scan ? scan_count(v->scan) : 0;

		fits = count + v->reserved < entries_max(v, dimension);
		v->reserved += fits;
	}
	pthread_rwlock_unlock(&v->lock);
	return fits ? CS_OK : too_many(v, dimension, err);
}

void vectors_publish(struct vectors *v, struct vector_change *change)
{
	change->next = NULL;
	if (v->last)
		v->last->next = change;
	else
		v->first = change;
	v->last = change;
}

/* Under the lock, not EMPTY, as all of these. Whatever fails leaves the mirror to be dropped. */
static enum cs_status set_live(struct vectors *v, const struct vector_change *change, struct cs_error *err)
{
	if (!vector_rows_put(&v->rows, change->row, change->id) ||
		!attribute_table_put(&v->attributes, change->row, &change->attributes))
		return cs_fail_memory(err);
	return CS_OK;
}

static enum cs_status set(struct vectors *v, const struct vector_change *change, struct cs_error *err)
{
	const uint32_t dimension = change->dimension;
	enum cs_status status = CS_OK;

	if (!v->scan)
		status = scan_new(dimension, entries_max(v, dimension), &v->scan, err);
	if (status == CS_OK && scan_dimension(v->scan) != dimension)
		status = cs_fail(err, CS_STORAGE, "a vector of %u dimensions among those of %u", (unsigned)dimension,
			(unsigned)scan_dimension(v->scan));
	if (status == CS_OK)
		status = set_live(v, change, err);
	return status == CS_OK ? scan_put(v->scan, change->row, change->vector, err) : status;
}

static enum cs_status set_pending(struct vectors *v, const struct vector_change *change, struct cs_error *err)
{
	if (v->scan)
		(void)scan_remove(v->scan, change->row);
	return set_live(v, change, err);
}

static enum cs_status set_gone(struct vectors *v, int64_t row, struct cs_error *err)
{
	if (v->scan)
		(void)scan_remove(v->scan, row);
	vector_rows_remove(&v->rows, row);
	attribute_table_remove(&v->attributes, row);
	if (v->state == LOADING && !vector_rows_put(&v->gone, row, (struct slice){0}))
		return cs_fail_memory(err);
	return CS_OK;
}

static enum cs_status apply(struct vectors *v, const struct vector_change *change, struct cs_error *err)
{
	switch (change->kind) {
	case VECTOR_SET: return set(v, change, err);
	case VECTOR_PENDING: return set_pending(v, change, err);
	case VECTOR_GONE: return set_gone(v, change->row, err);
	case VECTOR_RESET: break;
	}
	return cs_fail(err, CS_UNEXPECTED, "reset"); /* a failed mirror is dropped, which is what resetting is */
}

bool vectors_settle(struct vectors *v)
{
	struct dropped old = {0};
	struct cs_error err;

	if (!v->first)
		return false;
	pthread_rwlock_wrlock(&v->lock);
	for (struct vector_change *change = v->first; change && v->state != EMPTY; change = change->next)
		if (apply(v, change, &err) != CS_OK)
			old = drop(v);
	pthread_rwlock_unlock(&v->lock);
	v->first = v->last = NULL;
	dropped_free(&old);
	return true;
}

/* Loading. */

struct chunk {
	struct arena arena;
	struct vector_change rows[CHUNK_ROWS]; /* SET or PENDING */
	size_t count;
	uint32_t dimension;
};

static enum cs_status read_row(
	struct sql *sql, sqlite3_stmt *stmt, struct chunk *chunk, struct vector_change *ret_row, struct cs_error *err)
{
	size_t size = (size_t)chunk->dimension * sizeof(float);
	struct vector_change row = {.kind = VECTOR_PENDING, .row = sqlite3_column_int64(stmt, 0)};
	bool has_vector = sqlite3_column_int(stmt, 2);
	const void *blob = sqlite3_column_blob(stmt, 3);
	float *vector;

	if (!sql_copy(stmt, 1, &chunk->arena, &row.id) || !attributes_of_row(&chunk->arena, stmt, 4, &row.attributes))
		return cs_fail_memory(err);
	if (has_vector && (!blob || (size_t)sqlite3_column_bytes(stmt, 3) != size))
		return cs_fail(err, CS_STORAGE,
			"%s is damaged: the vector of " SLICE_FMT
			" is missing or has another length; run context-store "
			"reembed",
			sql->path, SLICE_ARG(row.id));
	if (has_vector) {
		vector = arena_alloc(&chunk->arena, size);
		if (!vector)
			return cs_fail_memory(err);
		memcpy(vector, blob, size);
		row.kind = VECTOR_SET;
		row.vector = vector;
		row.dimension = chunk->dimension;
	}
	*ret_row = row;
	return CS_OK;
}

/* One model, and contexts in the order of their rows: said so that SQLite needs neither an index nor a sort, each of
 * which would read all rows for each chunk. */
static enum cs_status read_rows(struct sql *sql, int64_t after, struct chunk *chunk, struct cs_error *err)
{
	static const char dimension[] = "SELECT dimension FROM embedding_model";
	static const char text[] = "SELECT c.row, c.id, c.vector_set = m.vector_set, v.vector, " ATTRIBUTE_COLUMNS
				   " FROM embedding_model m CROSS JOIN contexts c NOT INDEXED"
				   " LEFT JOIN vectors v ON v.row = c.row AND c.vector_set = m.vector_set"
				   " WHERE m.one = 1 AND c.row > ?1 AND c.hidden = 0 ORDER BY c.row LIMIT ?2";
	sqlite3_stmt *stmt = NULL;
	int64_t value = 0;
	bool row = true;
	enum cs_status status = sql_number(sql, dimension, &value, err);

	chunk->dimension = (uint32_t)value;
	if (status == CS_OK)
		status = sql_prepare(sql, text, &stmt, err);
	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, after);
	sql_bind_i64(stmt, 2, CHUNK_ROWS);
	while (status == CS_OK && chunk->count < CHUNK_ROWS) {
		status = sql_step(sql, stmt, &row, err);
		if (status != CS_OK || !row)
			break;
		status = read_row(sql, stmt, chunk, &chunk->rows[chunk->count], err);
		chunk->count += status == CS_OK;
	}
	sql_finish(stmt);
	return status;
}

static enum cs_status read_chunk(
	struct vectors *v, const struct op *op, int64_t after, struct chunk *chunk, struct cs_error *err)
{
	struct sql *sql;
	enum cs_status status = readers_begin(v->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = read_rows(sql, after, chunk, err);
	readers_end(v->readers, sql);
	return status;
}

/* Adds what the mirror does not know. A vector no scan takes is a damaged one: none such was ever let in. */
static enum cs_status add_chunk(struct vectors *v, const struct chunk *chunk, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (size_t i = 0; status == CS_OK && i < chunk->count; i++) {
		const struct vector_change *row = &chunk->rows[i];

		if (vector_rows_get(&v->rows, row->row, NULL) || vector_rows_get(&v->gone, row->row, NULL))
			continue;
		if (row->vector && v->scan && scan_count(v->scan) >= entries_max(v, chunk->dimension))
			status = too_many(v, chunk->dimension, err);
		else
			status = apply(v, row, err);
		if (status == CS_VALIDATION)
			status = cs_fail(err, CS_STORAGE,
				"the vector of " SLICE_FMT " is damaged; run context-store reembed",
				SLICE_ARG(row->id));
	}
	if (status == CS_OK && chunk->count)
		v->cursor = chunk->rows[chunk->count - 1].row;
	if (status == CS_OK && chunk->count < CHUNK_ROWS) {
		v->state = READY;
		vector_rows_release(&v->gone);
	}
	return status;
}

/* One chunk on: *ret_ready when it was the last. */
static enum cs_status load_more(struct vectors *v, const struct op *op, bool *ret_ready, struct cs_error *err)
{
	struct chunk *chunk = calloc(1, sizeof *chunk);
	struct dropped old = {0};
	int64_t after;
	enum cs_status status;

	if (!chunk)
		return cs_fail_memory(err);
	arena_init(&chunk->arena, NULL, 0, CHUNK_BYTES_MAX);
	/* Before the snapshot, as the opening comment needs it. */
	pthread_rwlock_wrlock(&v->lock);
	if (v->state == EMPTY)
		v->state = LOADING;
	after = v->cursor;
	pthread_rwlock_unlock(&v->lock);
	status = read_chunk(v, op, after, chunk, err);
	pthread_rwlock_wrlock(&v->lock);
	if (status == CS_OK && v->state == LOADING) {
		status = add_chunk(v, chunk, err);
		if (status != CS_OK)
			old = drop(v);
	}
	*ret_ready = v->state == READY;
	pthread_rwlock_unlock(&v->lock);
	dropped_free(&old);
	arena_release(&chunk->arena);
	free(chunk);
	return status;
}

/* Are there more vectors than memory allows? Asked before they are all read to no avail. */
static enum cs_status check_count(struct vectors *v, const struct op *op, struct cs_error *err)
{
	static const char count_text[] = "SELECT count(*) FROM contexts NOT INDEXED WHERE hidden = 0 AND vector_set ="
					 " (SELECT vector_set FROM embedding_model)";
	int64_t dimension = 0, count = 0;
	struct sql *sql;
	enum cs_status status = readers_begin(v->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = sql_number(sql, "SELECT dimension FROM embedding_model", &dimension, err);
	if (status == CS_OK)
		status = sql_number(sql, count_text, &count, err);
	readers_end(v->readers, sql);
	if (status == CS_OK && dimension && (uint64_t)count > entries_max(v, (uint32_t)dimension))
		status = too_many(v, (uint32_t)dimension, err);
	return status;
}

/* Waits for whoever loads. Under load_lock. */
static enum cs_status await_loader(struct vectors *v, const struct op *op, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);

	if (status == CS_OK)
		(void)wait_until(&v->load_done, &v->load_lock, op->deadline_ns);
	return status;
}

static bool is_ready(struct vectors *v, bool *ret_begun)
{
	bool ready;

	pthread_rwlock_rdlock(&v->lock);
	ready = v->state == READY;
	*ret_begun = v->state != EMPTY;
	pthread_rwlock_unlock(&v->lock);
	return ready;
}

/* Until the mirror is READY, by this thread or another one. */
enum cs_status vectors_load(struct vectors *v, const struct op *op, struct cs_error *err)
{
	enum cs_status status = CS_OK;
	bool ready, begun;

	pthread_mutex_lock(&v->load_lock);
	while (status == CS_OK && v->load_busy)
		status = await_loader(v, op, err);
	if (status != CS_OK) {
		pthread_mutex_unlock(&v->load_lock);
		return status;
	}
	v->load_busy = true;
	pthread_mutex_unlock(&v->load_lock);
	ready = is_ready(v, &begun);
	if (!begun)
		status = check_count(v, op, err);
	while (status == CS_OK && !ready)
		status = load_more(v, op, &ready, err);
	pthread_mutex_lock(&v->load_lock);
	v->load_busy = false;
	pthread_cond_broadcast(&v->load_done);
	pthread_mutex_unlock(&v->load_lock);
	return status;
}

bool vectors_try_begin(struct vectors *v, struct vectors_view *ret_view)
{
	pthread_rwlock_rdlock(&v->lock);
	if (v->state == READY) {
		*ret_view = (struct vectors_view){.scan = v->scan, .rows = &v->rows, .attributes = &v->attributes};
		return true;
	}
	pthread_rwlock_unlock(&v->lock);
	return false;
}

enum cs_status vectors_begin(
	struct vectors *v, const struct op *op, struct vectors_view *ret_view, struct cs_error *err)
{
	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "a search may wait for a commit");
	for (;;) {
		enum cs_status status = op_check(op, err);

		if (status != CS_OK)
			return status;
		if (vectors_try_begin(v, ret_view))
			return CS_OK;
		status = vectors_load(v, op, err);
		if (status != CS_OK)
			return status;
	}
}

void vectors_end(struct vectors *v)
{
	pthread_rwlock_unlock(&v->lock);
}

bool vectors_counts(struct vectors *v, uint64_t *ret_contexts, uint64_t *ret_vectors)
{
	bool ready;

	pthread_rwlock_rdlock(&v->lock);
	ready = v->state == READY;
	if (ready) {
		*ret_contexts = v->rows.count;
		*ret_vectors = v->scan ? scan_count(v->scan) : 0;
	}
	pthread_rwlock_unlock(&v->lock);
	return ready;
}

bool vectors_try_memory(struct vectors *v, uint64_t *ret_vectors, uint64_t *ret_without, uint64_t *ret_bytes)
{
	if (pthread_rwlock_tryrdlock(&v->lock) != 0)
		return false;
	*ret_vectors = v->scan ? scan_count(v->scan) : 0;
	*ret_without = v->rows.count - *ret_vectors;
	*ret_bytes =
		scan_bytes(v->scan) + vector_rows_bytes(&v->rows) + vector_rows_bytes(&v->gone) + v->attributes.bytes;
	pthread_rwlock_unlock(&v->lock);
	return true;
}
