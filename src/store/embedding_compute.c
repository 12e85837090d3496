/* The threads that compute, in three crews.
 *
 * The foreground takes queries and documents, a thread a core; the spare takes queries alone, so that a query never
 * waits for the end of a long document. The background takes repairs: a thread a core again, so that a store whose
 * model changed is embedded with all the machine has, but at BACKGROUND_NICE, so that where somebody waits for an answer
 * it gets a tenth of a core. (SCHED_IDLE was weighed: a thread of that class that holds the lock when the machine is
 * busy keeps all others waiting.) */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/embedding_parts.h"

#define ARENA_CEILING   (256u << 20)
#define BACKGROUND_NICE 10

static void *compute_run(void *thread);

/* Joining under the lock is safe: an ended thread has nothing left to do but to let go of it, which it has. */
bool embedding_thread_start(struct embedding_service *s, struct embedding_thread *thread, void *(*run)(void *))
{
	sigset_t all, before;
	int failed;

	if (thread->state == THREAD_ENDED)
		pthread_join(thread->thread, NULL);
	thread->state = THREAD_NONE;
	thread->service = s;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread->thread, NULL, run, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return false;
	thread->state = THREAD_RUNS;
	return true;
}

static bool start_one(struct embedding_service *s, struct embedding_crew *crew)
{
	for (size_t i = 0; i < crew->size; i++)
		if (crew->threads[i].state != THREAD_RUNS) {
			crew->threads[i].crew = crew;
			return embedding_thread_start(s, &crew->threads[i], compute_run);
		}
	return false;
}

static size_t count_running(const struct embedding_crew *crew)
{
	size_t count = 0;

	for (size_t i = 0; i < crew->size; i++)
		count += crew->threads[i].state == THREAD_RUNS;
	return count;
}

size_t embedding_threads(const struct embedding_service *s)
{
	size_t count = 0;

	for (size_t i = 0; i < EMBEDDING_CREWS; i++)
		count += count_running(&s->crews[i]);
	return count;
}

static bool is_served(const struct embedding_service *s, enum embedding_class class_)
{
	for (size_t i = 0; i < EMBEDDING_CREWS; i++)
		if (s->crews[i].first <= class_ && class_ <= s->crews[i].last && count_running(&s->crews[i]) > 0)
			return true;
	return false;
}

/* Wakes or starts as many of a crew as there are jobs for. Returns how many have something to do now. */
static size_t summon_crew(struct embedding_service *s, struct embedding_crew *crew, size_t jobs)
{
	size_t ready = crew->idle;

	if (jobs > 0 && ready > 0)
		pthread_cond_broadcast(&crew->work);
	while (jobs > ready && start_one(s, crew))
		ready++;
	return ready;
}

bool embedding_summon(struct embedding_service *s, enum embedding_class class_)
{
	const struct embedding_line *lines = s->queue.lines;
	size_t queries = lines[EMBEDDING_QUERIES].count, documents = lines[EMBEDDING_DOCUMENTS].count;
	size_t ready = summon_crew(s, &s->crews[EMBEDDING_FOREGROUND], queries + documents);

	if (queries > ready)
		(void)summon_crew(s, &s->crews[EMBEDDING_SPARE], 1);
	(void)summon_crew(s, &s->crews[EMBEDDING_BACKGROUND], lines[EMBEDDING_REPAIRS].count);
	return is_served(s, class_);
}

static void settle_interest(struct embedding_interest *interest)
{
	interest->job = NULL;
	if (--interest->call->left == 0)
		pthread_cond_signal(&interest->call->changed);
}

/* err: NULL for a vector that is there. The job is gone afterwards. */
static void settle(
	struct embedding_service *s, struct embedding_job *job, const float *vector, const struct cs_error *err)
{
	if (!err)
		metric_add(s->evictions, (int64_t)embedding_cache_put(s->cache, job->key, vector, job->dimension));
	for (struct embedding_interest *at = job->interests; at;) {
		struct embedding_interest *next = at->next;

		if (err)
			at->error = *err;
		else
			memcpy(at->to, vector, job->dimension * sizeof *vector);
		settle_interest(at);
		at = next;
	}
	embedding_queue_drop(&s->queue, job);
}

static bool is_finite(const float *vector, uint32_t dimension)
{
	for (uint32_t i = 0; i < dimension; i++)
		if (!isfinite(vector[i]))
			return false;
	return true;
}

/* An eighth of what is new: a text twice as dear a byte as the others does not turn the next ones away. */
static void note_speed(struct embedding_service *s, int64_t took_ns, struct embedding_job **jobs, size_t count)
{
	size_t bytes = 0;
	double now;

	if (jobs[0]->class_ != EMBEDDING_DOCUMENTS)
		return;
	for (size_t i = 0; i < count; i++)
		bytes += jobs[i]->len;
	now = (double)took_ns / (double)(bytes ? bytes : 1);
	pthread_mutex_lock(&s->lock);
	s->ns_per_byte = s->ns_per_byte > 0 ? s->ns_per_byte + (now - s->ns_per_byte) / 8 : now;
	pthread_mutex_unlock(&s->lock);
}

static enum cs_status embed(struct embedding_service *s, struct op *op, struct embedding_job **jobs, size_t count,
	struct embedding **ret_results, struct cs_error *err)
{
	struct slice *texts = arena_array(op->arena, count, sizeof *texts);
	struct embedding *results = arena_array(op->arena, count, sizeof *results);
	int64_t start_ns = clock_mono_ns(), took_ns;
	enum cs_status status;

	if (!texts || !results)
		return cs_fail_memory(err);
	for (size_t i = 0; i < count; i++)
		texts[i] = slice_of(jobs[i]->text, jobs[i]->len);
	status = s->options.embed.embed(s->options.embed.self, op, jobs[0]->kind, texts, count, results, err);
	if (status != CS_OK)
		return status;
	took_ns = clock_mono_ns() - start_ns;
	note_speed(s, took_ns, jobs, count);
	metric_observe_ns(
		metric_series(METRIC_EMBEDDING_TIME, jobs[0]->kind == EMBED_QUERY ? S("query") : S("document")),
		took_ns);
	metric_observe(metric_series(METRIC_EMBEDDING_BATCH, S("")), count);
	for (size_t i = 0; i < count; i++)
		if (!is_finite(results[i].vector, jobs[i]->dimension))
			return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
				"the embedding model gave a vector that is no number; `context-store model verify` "
				"looks at its files");
	*ret_results = results;
	return CS_OK;
}

/* A text that cannot be embedded must not take the others of its batch with it. */
static void run_jobs(struct embedding_service *s, struct op *op, struct embedding_job **jobs, size_t count)
{
	struct embedding *results = NULL;
	struct cs_error err;
	enum cs_status status = embed(s, op, jobs, count, &results, &err);

	if (count > 1 && (status == CS_VALIDATION || status == CS_LIMIT_EXCEEDED)) {
		for (size_t i = 0; i < count; i++)
			run_jobs(s, op, &jobs[i], 1);
		return;
	}
	err.status = status;
	pthread_mutex_lock(&s->lock);
	if (status == CS_OK)
		embedding_note_success(s);
	else if (status == CS_EMBEDDING_UNAVAILABLE)
		embedding_note_failure(s, &err);
	for (size_t i = 0; i < count; i++)
		settle(s, jobs[i], results ? results[i].vector : NULL, results ? NULL : &err);
	pthread_mutex_unlock(&s->lock);
}

static bool has_work(const struct embedding_service *s, const struct embedding_crew *crew)
{
	for (enum embedding_class class_ = crew->first; class_ <= crew->last; class_++)
		if (s->queue.lines[class_].first)
			return true;
	return false;
}

/* Under the lock: false when nothing came for long. What came while the wait ended counts. */
static bool rest(struct embedding_service *s, struct embedding_crew *crew)
{
	bool woken;

	crew->idle++;
	woken = wait_for(&crew->work, &s->lock, EMBEDDING_IDLE_S * INT64_C(1000000000));
	crew->idle--;
	return woken || has_work(s, crew);
}

/* How many a thread may take at once: what waits is to be shared among all that could take it. */
static size_t share_of(const struct embedding_service *s, const struct embedding_crew *crew, size_t room)
{
	size_t waiting = 0, share;

	for (enum embedding_class class_ = crew->first; class_ <= crew->last; class_++)
		waiting += s->queue.lines[class_].count;
	share = (waiting + crew->size - 1) / crew->size;
	return share < room ? (share ? share : 1) : room;
}

static void note_begun(struct embedding_job **jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (struct embedding_interest *at = jobs[i]->interests; at; at = at->next)
			at->call->begun = true;
}

static void *compute_run(void *thread)
{
	struct embedding_thread *self = thread;
	struct embedding_service *s = self->service;
	struct embedding_crew *crew = self->crew;
	struct embedding_job *only, **many = calloc(s->options.batch_texts, sizeof(struct embedding_job *));
	struct embedding_job **jobs = many ? many : &only;
	size_t room = many ? s->options.batch_texts : 1, count;
	struct arena arena;
	struct op op = embedding_op(s, &arena);

	pthread_setname_np(pthread_self(), crew == &s->crews[EMBEDDING_BACKGROUND] ? "embed-later" : "embed");
	if (crew == &s->crews[EMBEDDING_BACKGROUND])
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), BACKGROUND_NICE);
	arena_init(&arena, NULL, 0, ARENA_CEILING);
	pthread_mutex_lock(&s->lock);
	while (!atomic_load(&s->closing)) {
		count = embedding_queue_take(
			&s->queue, crew->first, crew->last, share_of(s, crew, room), s->options.batch_bytes, jobs);
		if (count == 0 && !rest(s, crew))
			break;
		if (count == 0)
			continue;
		note_begun(jobs, count);
		pthread_mutex_unlock(&s->lock);
		run_jobs(s, &op, jobs, count);
		arena_reset(&arena);
		pthread_mutex_lock(&s->lock);
	}
	self->state = THREAD_ENDED;
	pthread_mutex_unlock(&s->lock);
	arena_release(&arena);
	free(many);
	return NULL;
}
