/* Who waits for what.
 *
 * A caller lists an interest for each of its texts: settled at once from the cache, hung onto the job that computes the
 * same text already, or onto a new job. A computing thread that has a vector copies it to every interest of the job
 * and forgets the job, so that no result has an owner to be counted; a caller that gives up takes its interests off,
 * and a job that waits with no interest left is dropped. One that runs goes on: its vector lands in the cache, where
 * the repair will find it.
 *
 * One lock guards all of it. It is never held while something is computed; under it at most a vector is copied. The
 * clock of tests can be moved: deadlines are read through base/clock.h, waits use the system's monotonic clock in steps
 * of LOOK_MS, which is also how often a waiting caller looks at its op's cancelled flag. */
#include "store/embedding.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/map.h"
#include "store/embedding_parts.h"

#define NS_PER_MS     INT64_C(1000000)
#define LOOK_MS       50
#define MARGIN_MAX_NS INT64_C(2000000000) /* left of a deadline for storing without a vector, at most */

/* Life. */

static size_t or_default(size_t value, size_t fallback)
{
	return value ? value : fallback;
}

static void make_crews(struct embedding_service *s)
{
	static const struct embedding_crew crews[EMBEDDING_CREWS] = {
		[EMBEDDING_FOREGROUND] = {.first = EMBEDDING_QUERIES, .last = EMBEDDING_DOCUMENTS},
		[EMBEDDING_SPARE] = {.first = EMBEDDING_QUERIES, .last = EMBEDDING_QUERIES, .size = 1},
		[EMBEDDING_BACKGROUND] = {.first = EMBEDDING_REPAIRS, .last = EMBEDDING_REPAIRS},
	};

	for (size_t i = 0; i < EMBEDDING_CREWS; i++) {
		s->crews[i] = crews[i];
		s->crews[i].size = crews[i].size ? crews[i].size : s->options.threads;
		wait_cond_init(&s->crews[i].work);
	}
}

static void set_options(struct embedding_service *s, const struct embedding_options *options)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t threads = or_default(options->threads, cores > 0 ? (size_t)cores : 1);

	s->options = *options;
	s->options.threads = threads < EMBEDDING_THREADS_MAX ? threads : EMBEDDING_THREADS_MAX;
	s->options.cache_texts = or_default(options->cache_texts, EMBEDDING_CACHE_TEXTS);
	s->options.queue_texts = or_default(options->queue_texts, EMBEDDING_QUEUE_TEXTS);
	s->options.batch_texts = or_default(options->batch_texts, EMBEDDING_BATCH_TEXTS);
	s->options.batch_bytes = or_default(options->batch_bytes, EMBEDDING_BATCH_BYTES);
	snprintf(s->off, sizeof s->off, SLICE_FMT,
		SLICE_ARG(options->off.len > 0 ? options->off : slice_cstr(embedding_off_text)));
	s->options.off = slice_cstr(s->off);
}

static void find_series(struct embedding_service *s)
{
	s->hits = metric_series(METRIC_EMBEDDING_CACHE, S("hit"));
	s->joins = metric_series(METRIC_EMBEDDING_CACHE, S("joined"));
	s->misses = metric_series(METRIC_EMBEDDING_CACHE, S("miss"));
	s->evictions = metric_series(METRIC_EMBEDDING_EVICTIONS, S(""));
}

enum cs_status embedding_new(
	const struct embedding_options *options, struct embedding_service **ret_service, struct cs_error *err)
{
	struct embedding_service *s = calloc(1, sizeof *s);

	if (!s)
		return cs_fail_memory(err);
	set_options(s, options);
	s->cache = embedding_cache_new(s->options.cache_texts, EMBEDDING_CACHE_BYTES);
	if (!s->cache) {
		free(s);
		return cs_fail_memory(err);
	}
	pthread_mutex_init(&s->lock, NULL);
	make_crews(s);
	wait_cond_init(&s->repair_wake);
	s->state = options->embed.model ? EMBEDDING_UNTRIED : EMBEDDING_OFF;
	find_series(s);
	s->collector = (struct metrics_collector){.collect = embedding_collect, .self = s};
	metrics_collector_add(&s->collector);
	*ret_service = s;
	return CS_OK;
}

static void join(struct embedding_service *s, struct embedding_thread *thread)
{
	bool joinable;

	pthread_mutex_lock(&s->lock);
	joinable = thread->state != THREAD_NONE;
	pthread_mutex_unlock(&s->lock);
	if (joinable)
		pthread_join(thread->thread, NULL);
}

void embedding_free(struct embedding_service *s)
{
	if (!s)
		return;
	metrics_collector_remove(&s->collector);
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->closing, true);
	for (size_t i = 0; i < EMBEDDING_CREWS; i++)
		pthread_cond_broadcast(&s->crews[i].work);
	pthread_cond_broadcast(&s->repair_wake);
	pthread_mutex_unlock(&s->lock);
	join(s, &s->repair);
	for (size_t i = 0; i < EMBEDDING_CREWS; i++)
		for (size_t j = 0; j < s->crews[i].size; j++)
			join(s, &s->crews[i].threads[j]);
	for (size_t i = 0; i < EMBEDDING_BUCKETS; i++)
		assert(!s->queue.buckets[i]);
	embedding_cache_free(s->cache);
	for (size_t i = 0; i < EMBEDDING_CREWS; i++)
		pthread_cond_destroy(&s->crews[i].work);
	pthread_cond_destroy(&s->repair_wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Asking. */

static bool is_full(const struct embedding_service *s, enum embedding_class class_)
{
	return class_ != EMBEDDING_REPAIRS && (s->queue.lines[class_].count >= s->options.queue_texts ||
						      embedding_queue_bytes(&s->queue) >= EMBEDDING_QUEUE_BYTES);
}

/* How long the documents will take that are before a new one. */
static int64_t wait_ms(const struct embedding_service *s)
{
	size_t bytes = s->queue.lines[EMBEDDING_DOCUMENTS].bytes + s->queue.running_bytes;

	return (int64_t)(s->ns_per_byte * (double)bytes / (double)s->options.threads / 1e6);
}

static struct embedding_key key_of(const struct embed_model *model, enum embed_kind kind, struct slice text)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(text.ptr, text.len, map_hash(model->hash) + (uint64_t)kind);

	return (struct embedding_key){hash.low64, hash.high64};
}

/* What all texts of a call have in common. */
struct asking {
	struct embedding_service *service;
	const struct embed_model *model;
	enum embedding_class class_;
	enum embed_kind kind;
	bool full;
	int64_t late_ms; /* how long others stand before the impatient; 0: not too long */
};

/* Under the lock: from the cache, to a job that is there, or to a new one. */
static void enlist(const struct asking *asking, struct embedding_interest *interest, const struct embedding_text *text,
	struct embedding_key key)
{
	struct embedding_service *s = asking->service;
	const float *cached = embedding_cache_get(s->cache, key);
	struct embedding_job *job;

	if (cached) {
		memcpy(interest->to, cached, asking->model->dimension * sizeof *cached);
		metric_add(s->hits, 1);
		return;
	}
	job = embedding_queue_find(&s->queue, key);
	if (job) {
		embedding_queue_promote(&s->queue, job, asking->class_);
		metric_add(s->joins, 1);
	} else if (asking->full) {
		(void)cs_fail(&interest->error, CS_RATE_LIMIT,
			"more than %zu texts wait to be embedded; try again in a moment", s->options.queue_texts);
		return;
	} else if (asking->late_ms > 0 && !text->patient) {
		(void)cs_fail(&interest->error, CS_RATE_LIMIT,
			"the texts before it take some %" PRId64 " ms to be embedded, and over %" PRId64
			" ms are not waited for",
			asking->late_ms, s->options.queue_wait_ms);
		return;
	} else {
		job = embedding_queue_push(&s->queue, key, asking->class_, asking->kind, text->text);
		if (!job) {
			(void)cs_fail_memory(&interest->error);
			return;
		}
		job->dimension = asking->model->dimension;
		metric_add(s->misses, 1);
	}
	interest->job = job;
	interest->next = job->interests;
	job->interests = interest;
	interest->call->left++;
	interest->call->begun = interest->call->begun || job->running;
}

/* Under the lock: takes what is not settled off its job. */
static void leave(struct embedding_service *s, struct embedding_interest *interest, const struct cs_error *why)
{
	struct embedding_job *job = interest->job;
	struct embedding_interest **at;

	if (!job)
		return;
	for (at = &job->interests; *at != interest;)
		at = &(*at)->next;
	*at = interest->next;
	interest->job = NULL;
	interest->error = *why;
	interest->call->left--;
	if (!job->interests && !job->running)
		embedding_queue_drop(&s->queue, job);
}

/* The call's turn has not come in time: the estimate knows nothing of queries, which go before documents. */
static void leave_impatient(struct embedding_service *s, const struct embedding_text *texts, size_t count,
	struct embedding_interest *interests)
{
	struct cs_error why;

	(void)cs_fail(&why, CS_RATE_LIMIT,
		"others were embedded before it for over %" PRId64 " ms, and longer is not waited",
		s->options.queue_wait_ms);
	for (size_t i = 0; i < count; i++)
		if (!texts[i].patient)
			leave(s, &interests[i], &why);
}

static void await(const struct asking *asking, struct op *op, struct embedding_call *call,
	const struct embedding_text *texts, size_t count, struct embedding_interest *interests)
{
	struct embedding_service *s = asking->service;
	bool limited = asking->class_ == EMBEDDING_DOCUMENTS && s->options.queue_wait_ms > 0;
	int64_t turn_ns = clock_mono_ns() + s->options.queue_wait_ms * NS_PER_MS;
	struct cs_error why;

	while (call->left > 0 && op_check(op, &why) == CS_OK) {
		int64_t left_ns = turn_ns - clock_mono_ns();

		limited = limited && !call->begun;
		if (limited && left_ns <= 0) {
			leave_impatient(s, texts, count, interests);
			limited = false;
			continue;
		}
		(void)wait_for(&call->changed, &s->lock,
			limited && left_ns < LOOK_MS * NS_PER_MS ? left_ns : LOOK_MS * NS_PER_MS);
	}
	if (call->left == 0)
		return;
	for (size_t i = 0; i < count; i++)
		leave(s, &interests[i], &why);
}

/* Under the lock: what stands before the call, of whose own texts none is in the queue yet. */
static void look_ahead(struct asking *asking)
{
	struct embedding_service *s = asking->service;
	int64_t limit_ms = s->options.queue_wait_ms, before_ms = wait_ms(s);

	asking->full = is_full(s, asking->class_);
	if (asking->class_ == EMBEDDING_DOCUMENTS && limit_ms > 0 && before_ms > limit_ms)
		asking->late_ms = before_ms;
}

static void ask_and_wait(struct asking *asking, struct op *op, const struct embedding_text *texts, size_t count,
	struct embedding_interest *interests, const struct embedding_key *keys)
{
	struct embedding_service *s = asking->service;
	struct embedding_call call = {.left = 0};
	struct cs_error none;

	wait_cond_init(&call.changed);
	pthread_mutex_lock(&s->lock);
	look_ahead(asking);
	for (size_t i = 0; i < count; i++) {
		interests[i].call = &call;
		enlist(asking, &interests[i], &texts[i], keys[i]);
	}
	if (call.left > 0 && !embedding_summon(s, asking->class_)) {
		(void)cs_fail(&none, CS_EMBEDDING_UNAVAILABLE, "the system gives no thread to embed on");
		for (size_t i = 0; i < count; i++)
			leave(s, &interests[i], &none);
	} else {
		await(asking, op, &call, texts, count, interests);
	}
	pthread_mutex_unlock(&s->lock);
	pthread_cond_destroy(&call.changed);
}

/* What may be spent on embedding: the rest is for storing without a vector, or searching by words. */
static struct op without_margin(const struct op *op)
{
	struct op until = *op;

	if (op->deadline_ns != OP_NO_DEADLINE) {
		int64_t margin_ns = (op->deadline_ns - clock_mono_ns()) / 4;

		until.deadline_ns -= margin_ns < MARGIN_MAX_NS ? margin_ns : MARGIN_MAX_NS;
	}
	return until;
}

enum cs_status embedding_ask(struct embedding_service *s, struct op *op, enum embedding_class class_,
	struct embedding_text *texts, size_t count, struct embed_model *ret_model, struct cs_error *err)
{
	struct op until = without_margin(op);
	struct embed_model model;
	struct asking asking = {.service = s, .model = &model, .class_ = class_};
	struct embedding_interest *interests = arena_array(op->arena, count, sizeof *interests);
	struct embedding_key *keys = arena_array(op->arena, count, sizeof *keys);
	enum cs_status status = embedding_model(s, &until, &model, err);
	float *vectors;

	if (status != CS_OK)
		return status;
	vectors = arena_array(op->arena, count * model.dimension, sizeof *vectors);
	if (!interests || !keys || !vectors)
		return cs_fail_memory(err);
	asking.kind = class_ == EMBEDDING_QUERIES ? EMBED_QUERY : EMBED_DOCUMENT;
	for (size_t i = 0; i < count; i++) {
		keys[i] = key_of(&model, asking.kind, texts[i].text);
		interests[i].to = vectors + i * model.dimension;
	}
	ask_and_wait(&asking, &until, texts, count, interests, keys);
	for (size_t i = 0; i < count; i++) {
		texts[i].error = interests[i].error;
		texts[i].vector = interests[i].error.status == CS_OK ? interests[i].to : NULL;
	}
	*ret_model = model;
	return CS_OK;
}

enum cs_status embedding_documents(struct embedding_service *s, struct op *op, struct embedding_text *texts,
	size_t count, struct embed_model *ret_model, struct cs_error *err)
{
	return embedding_ask(s, op, EMBEDDING_DOCUMENTS, texts, count, ret_model, err);
}

enum cs_status embedding_query(struct embedding_service *s, struct op *op, struct slice text, const float **ret_vector,
	struct embed_model *ret_model, struct cs_error *err)
{
	struct embedding_text one = {.text = text};
	enum cs_status status = embedding_ask(s, op, EMBEDDING_QUERIES, &one, 1, ret_model, err);

	if (status != CS_OK)
		return status;
	if (!one.vector)
		return cs_fail(err, one.error.status, "%s", one.error.text);
	*ret_vector = one.vector;
	return CS_OK;
}
