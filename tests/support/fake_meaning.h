/* Meaning without a model: a deterministic embedder (hashed bag of words) and a naive vector port over the engine's
 * contexts, the slow and obvious way. Include after tool_fixture.h, once a program; fx_meaning_setup instead of fx_setup.
 */
#ifndef CS_TESTS_FAKE_MEANING_H
#define CS_TESTS_FAKE_MEANING_H

#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>

#include "store/embedding.h"

#define FAKE_DIMENSION 64u
#define FAKE_ROWS      2048

static struct fake_embedder {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold_documents;         /* embed waits before it computes documents */
	unsigned inside;             /* calls that wait so */
	unsigned model_calls, calls; /* embed */
	unsigned texts;
	enum cs_status model_status, status; /* what calls give */
	unsigned fail_from;                  /* embed gives status from this call on */
	bool nan;
	struct slice hash;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void fake_set_hold(bool hold)
{
	pthread_mutex_lock(&fake.lock);
	fake.hold_documents = hold;
	pthread_cond_broadcast(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
}

static inline void fake_await_inside(unsigned count)
{
	pthread_mutex_lock(&fake.lock);
	while (fake.inside < count)
		pthread_cond_wait(&fake.changed, &fake.lock);
	pthread_mutex_unlock(&fake.lock);
}

static inline unsigned fake_calls(void)
{
	unsigned calls;

	pthread_mutex_lock(&fake.lock);
	calls = fake.calls;
	pthread_mutex_unlock(&fake.lock);
	return calls;
}

/* What embed gives from call number fail_from on. */
static inline void fake_set_status(enum cs_status status, unsigned fail_from)
{
	pthread_mutex_lock(&fake.lock);
	fake.status = status;
	fake.fail_from = fail_from;
	pthread_mutex_unlock(&fake.lock);
}

static inline void fake_vector(struct slice text, float vector[FAKE_DIMENSION])
{
	double norm = 0;

	memset(vector, 0, FAKE_DIMENSION * sizeof *vector);
	vector[0] = 0.05f; /* a text without words has a direction, too */
	for (size_t i = 0; i < text.len;) {
		uint32_t hash = 2166136261u;
		size_t start = i;

		for (; i < text.len && isalnum((unsigned char)text.ptr[i]); i++)
			hash = (hash ^ (unsigned char)tolower((unsigned char)text.ptr[i])) * 16777619u;
		if (i > start)
			vector[hash % FAKE_DIMENSION] += hash & 0x10000 ? 1 : -1;
		else
			i++;
	}
	for (size_t i = 0; i < FAKE_DIMENSION; i++)
		norm += (double)vector[i] * (double)vector[i];
	for (size_t i = 0; i < FAKE_DIMENSION; i++)
		vector[i] = (float)((double)vector[i] / sqrt(norm));
}

static enum cs_status fake_model(void *self, struct op *op, struct embed_model *ret_model, struct cs_error *err)
{
	enum cs_status status;

	pthread_mutex_lock(&fake.lock);
	fake.model_calls++;
	status = fake.model_status;
	*ret_model = (struct embed_model){S("fake"), fake.hash, FAKE_DIMENSION};
	pthread_mutex_unlock(&fake.lock);
	return status == CS_OK ? CS_OK : cs_fail(err, status, "no fake model; make one");
}

static enum cs_status fake_embed(void *self, struct op *op, enum embed_kind kind, const struct slice *texts,
	size_t count, struct embedding *ret_embeddings, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	pthread_mutex_lock(&fake.lock);
	fake.inside++;
	pthread_cond_broadcast(&fake.changed);
	while (fake.hold_documents && kind == EMBED_DOCUMENT && op_check(op, NULL) == CS_OK) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += until.tv_nsec >= 990000000;
		until.tv_nsec = (until.tv_nsec + 10000000) % 1000000000;
		pthread_cond_timedwait(&fake.changed, &fake.lock, &until);
	}
	fake.inside--;
	fake.calls++;
	fake.texts += (unsigned)count;
	if (fake.status != CS_OK && fake.calls >= fake.fail_from)
		status = cs_fail(err, fake.status, "the fake fails as told");
	pthread_mutex_unlock(&fake.lock);
	if (status == CS_OK)
		status = op_check(op, err);
	for (size_t i = 0; status == CS_OK && i < count; i++) {
		float *vector = arena_array(op->arena, FAKE_DIMENSION, sizeof *vector);

		assert_non_null(vector);
		if (texts[i].len >= 3 && memmem(texts[i].ptr, texts[i].len, "BAD", 3))
			status = cs_fail(err, CS_VALIDATION, "a text the fake cannot read");
		fake_vector(texts[i], vector);
		if (fake.nan)
			vector[3] = NAN;
		ret_embeddings[i] = (struct embedding){vector, 1};
	}
	return status;
}

/* The vector port. */

static struct {
	pthread_mutex_t lock;
	struct context_port contexts; /* the engine's */
	size_t count;
	struct fake_row {
		char id[CONTEXT_ID_MAX + 1];
		uint64_t version;
		char *words;
		size_t words_len;
		bool has;
		float vector[FAKE_DIMENSION];
	} rows[FAKE_ROWS];
	struct slice model_hash; /* empty: none was ever stored */
	unsigned rough;          /* searches that said so */
	enum cs_status put_status;
} naive = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct fake_row *naive_row(struct slice id)
{
	for (size_t i = 0; i < naive.count; i++)
		if (slice_eq(slice_cstr(naive.rows[i].id), id))
			return &naive.rows[i];
	return NULL;
}

static void naive_keep(const struct context_put *put, uint64_t version)
{
	struct fake_row *row = naive_row(put->context.id);

	if (!row) {
		assert_true(naive.count < FAKE_ROWS);
		row = &naive.rows[naive.count++];
		snprintf(row->id, sizeof row->id, SLICE_FMT, SLICE_ARG(put->context.id));
	}
	free(row->words);
	row->words = malloc(put->context.words.len + 1);
	assert_non_null(row->words);
	memcpy(row->words, put->context.words.ptr, put->context.words.len);
	row->words_len = put->context.words.len;
	row->version = version;
	row->has = put->vector != NULL;
	if (!row->has)
		return;
	memcpy(row->vector, put->vector, sizeof row->vector);
	naive.model_hash = put->model->hash;
}

static enum cs_status naive_context_put(void *self, struct op *op, const struct context_put *puts, size_t count,
	struct context_put_result *results, struct cs_error *err)
{
	enum cs_status status;

	pthread_mutex_lock(&naive.lock);
	status = naive.contexts.put(self, op, puts, count, results, err);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		if (results[i].status == CS_OK && results[i].version > 0)
			naive_keep(&puts[i], results[i].version);
	pthread_mutex_unlock(&naive.lock);
	return status;
}

static double naive_cosine(const struct fake_row *row, const float *vector)
{
	double sum = 0;

	for (size_t i = 0; i < FAKE_DIMENSION; i++)
		sum += (double)row->vector[i] * (double)vector[i];
	return sum;
}

static enum cs_status naive_list(
	struct op *op, const struct context_filter *filter, struct context **contexts, size_t *count)
{
	const struct context_filter all = {.date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	uint64_t total;

	return naive.contexts.list(
		naive.contexts.self, op, filter ? filter : &all, 0, FAKE_ROWS, false, contexts, count, &total, NULL);
}

static struct fake_row *naive_live(const struct context *context)
{
	struct fake_row *row = naive_row(context->id);

	return row && row->has && row->version == context->version ? row : NULL;
}

static int naive_best_first(const void *a, const void *b)
{
	const struct vector_hit *left = a, *right = b;

	if (left->similarity != right->similarity)
		return left->similarity < right->similarity ? 1 : -1;
	return slice_compare(left->id, right->id);
}

static enum cs_status naive_search(void *self, struct op *op, const struct vector_query *query,
	struct vector_result *ret_result, struct cs_error *err)
{
	struct vector_result result = {0};
	struct context *contexts;
	size_t count, found = 0;

	pthread_mutex_lock(&naive.lock);
	naive.rough += query->rough;
	assert_int_equal(query->dimension, FAKE_DIMENSION);
	assert_int_equal(naive_list(op, query->filter, &contexts, &count), CS_OK);
	result.hits = arena_array(op->arena, count, sizeof *result.hits);
	assert_non_null(result.hits);
	for (size_t i = 0; i < count; i++) {
		struct fake_row *row = naive_live(&contexts[i]);
		double similarity = row ? naive_cosine(row, query->vector) : 0;

		result.unsearched += !row;
		if (row && similarity >= query->least_similarity)
			result.hits[found++] = (struct vector_hit){contexts[i].id, similarity};
	}
	pthread_mutex_unlock(&naive.lock);
	qsort(result.hits, found, sizeof *result.hits, naive_best_first);
	result.total = found;
	result.hits += query->offset < found ? query->offset : found;
	result.count = found - (query->offset < found ? query->offset : found);
	result.count = result.count < query->limit ? result.count : query->limit;
	*ret_result = result;
	return CS_OK;
}

static enum cs_status naive_similarities(void *self, struct op *op, const float *vector, uint32_t dimension,
	const struct slice *ids, size_t count, double *ret_similarities, struct cs_error *err)
{
	pthread_mutex_lock(&naive.lock);
	for (size_t i = 0; i < count; i++) {
		struct fake_row *row = naive_row(ids[i]);

		ret_similarities[i] = row && row->has ? naive_cosine(row, vector) : NAN;
	}
	pthread_mutex_unlock(&naive.lock);
	return CS_OK;
}

static int naive_by_id(const void *a, const void *b)
{
	const struct vector_pending *left = a, *right = b;

	return slice_compare(left->id, right->id);
}

static enum cs_status naive_pending(void *self, struct op *op, struct slice after, size_t limit,
	struct vector_pending **ret_pending, size_t *ret_count, struct cs_error *err)
{
	struct vector_pending *pending;
	struct context *contexts;
	size_t count, found = 0;

	pthread_mutex_lock(&naive.lock);
	if (naive_list(op, NULL, &contexts, &count) != CS_OK) {
		pthread_mutex_unlock(&naive.lock);
		return cs_fail(err, CS_TIMEOUT, "the list failed");
	}
	pending = arena_array(op->arena, count, sizeof *pending);
	assert_non_null(pending);
	for (size_t i = 0; i < count; i++) {
		struct fake_row *row = naive_row(contexts[i].id);

		if (!row->has && slice_compare(contexts[i].id, after) > 0)
			pending[found++] = (struct vector_pending){contexts[i].id, contexts[i].version,
				arena_copy(op->arena, slice_of(row->words, row->words_len))};
	}
	pthread_mutex_unlock(&naive.lock);
	qsort(pending, found, sizeof *pending, naive_by_id);
	*ret_pending = pending;
	*ret_count = found < limit ? found : limit;
	return CS_OK;
}

static enum cs_status naive_put(void *self, struct op *op, struct slice id, uint64_t version,
	const struct embed_model *model, const float *vector, struct cs_error *err)
{
	enum cs_status status = CS_OK;
	struct fake_row *row;

	pthread_mutex_lock(&naive.lock);
	row = naive_row(id);
	if (naive.put_status != CS_OK)
		status = cs_fail(err, naive.put_status, "the naive port fails as told");
	else if (!row)
		status = cs_fail(err, CS_NOT_FOUND, "no such context");
	else if (row->version != version)
		status = cs_fail(err, CS_VERSION_CONFLICT, "it has changed");
	if (status == CS_OK) {
		memcpy(row->vector, vector, sizeof row->vector);
		row->has = true;
		naive.model_hash = model->hash;
	}
	pthread_mutex_unlock(&naive.lock);
	return status;
}

static enum cs_status naive_reset(void *self, struct op *op, struct cs_error *err)
{
	pthread_mutex_lock(&naive.lock);
	for (size_t i = 0; i < naive.count; i++)
		naive.rows[i].has = false;
	naive.model_hash = S("");
	pthread_mutex_unlock(&naive.lock);
	return CS_OK;
}

static enum cs_status naive_stats(void *self, struct op *op, struct vector_stats *ret_stats, struct cs_error *err)
{
	struct vector_stats stats = {0};
	struct context *contexts;
	enum cs_status status;
	size_t count;

	pthread_mutex_lock(&naive.lock);
	status = naive_list(op, NULL, &contexts, &count);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		stats.vectors += naive_live(&contexts[i]) != NULL;
	if (status == CS_OK)
		stats.without = count - stats.vectors;
	stats.model_hash = naive.model_hash;
	if (naive.model_hash.len > 0) {
		stats.model_id = S("fake");
		stats.dimension = FAKE_DIMENSION;
	}
	pthread_mutex_unlock(&naive.lock);
	*ret_stats = stats;
	return status == CS_OK ? CS_OK : cs_fail(err, status, "the list failed");
}

static inline struct vector_stats naive_count(void)
{
	struct vector_stats stats;

	assert_int_equal(naive_stats(NULL, &fx.op, &stats, NULL), CS_OK);
	return stats;
}

/* The fixture. */

static inline void fx_start_embedding(struct embedding_options options)
{
	struct cs_error err;

	options.embed = (struct embed_port){NULL, fake_model, fake_embed};
	options.vectors = fx.store.vectors;
	assert_int_equal(embedding_new(&options, &fx.store.embedding, &err), CS_OK);
}

static inline void fx_stop_embedding(void)
{
	embedding_free(fx.store.embedding);
	fx.store.embedding = NULL;
}

static inline int fx_meaning_setup(void **state)
{
	fx_setup(state);
	fake.hold_documents = fake.nan = false;
	fake.model_calls = fake.calls = fake.texts = fake.inside = fake.fail_from = 0;
	fake.model_status = fake.status = CS_OK;
	fake.hash = S("f00d");
	naive.contexts = fx.store.contexts;
	naive.count = naive.rough = 0;
	naive.model_hash = S("");
	naive.put_status = CS_OK;
	fx.store.contexts.put = naive_context_put;
	fx.store.vectors = (struct vector_port){
		NULL, naive_search, naive_similarities, naive_pending, naive_put, naive_reset, naive_stats};
	fx_start_embedding((struct embedding_options){.threads = 2});
	return 0;
}

static inline int fx_meaning_teardown(void **state)
{
	fake_set_hold(false);
	fx_stop_embedding();
	for (size_t i = 0; i < naive.count; i++) {
		free(naive.rows[i].words);
		naive.rows[i].words = NULL;
	}
	return fx_teardown(state);
}

/* Until nothing is being mended. */
static inline void fx_await_repair(void)
{
	struct embedding_status now;

	do {
		sched_yield();
		embedding_status(fx.store.embedding, &now);
	} while (now.repairing);
}

#endif
