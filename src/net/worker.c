/* Workers: a pool of threads that follows the demand.
 *
 * Idle threads form a stack, each with a condition variable of its own: the one that was busy last is woken first (its
 * caches are warm), and those at the bottom see no work for idle_ms and leave. One shared condition variable would wake
 * them in turn and keep a pool at its largest size for ever under a trickle of work.
 *
 * A job goes into one of two queues that count against one ceiling. If threads are idle, one is woken, but never a
 * second before the first has come: it wakes the next itself if jobs are left when it has taken its own. A thread that
 * ends a job meanwhile takes the next without having slept. Waking one for each job, as was done before, cost a third
 * to two thirds more context switches under fifty clients, and the threads woken for nothing fought over the lock. Where
 * more jobs are queued than threads are idle or on their way, a new one is started: the chain of wake-ups would reach
 * the end of the idle before that of the queue, and the jobs left would wait for one that runs, which may be waiting for
 * a server. Threads are kept in an array of slots fixed at start, so that growing allocates nothing but the thread itself.
 * Invariants: while jobs are queued and threads idle, `waking` is set, and the thread it stands for looks at the queue;
 * with fewer than workers_max threads alive, queued <= idle_count + waking + starting, unless no thread could be had. */
#include "net/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/wait.h"

#define STACK_BYTES (2u << 20) /* of address space; pages are used as they are touched */

enum slot_state { SLOT_EMPTY, SLOT_ALIVE, SLOT_ENDED /* to be joined */ };

struct slot {
	struct workers *pool;
	struct slot *below; /* on the idle stack */
	pthread_t thread;
	pthread_cond_t woken;
	enum slot_state state;
	bool idle;
};

struct job_queue {
	struct job *first, **last;
};

struct workers {
	pthread_mutex_t lock;
	struct workers_options options;
	struct slot *slots; /* workers_max of them */
	struct slot *idle;  /* top of the stack */
	unsigned alive, idle_count;
	struct job_queue urgent, bulk;
	unsigned queued;
	unsigned starting; /* threads that were started and have not come yet */
	bool waking;       /* a thread was woken and has not come yet */
	bool ending;
	struct metric_series *wait_metric;
	struct metrics_collector collector;
};

static void queue_push(struct job_queue *q, struct job *job)
{
	job->next = NULL;
	job->queued_ns = clock_mono_ns();
	*q->last = job;
	q->last = &job->next;
}

static struct job *queue_pop(struct job_queue *q)
{
	struct job *job = q->first;

	if (job && !(q->first = job->next))
		q->last = &q->first;
	return job;
}

static struct job *next_queued(struct workers *w)
{
	struct job *job = queue_pop(&w->urgent);

	if (!job)
		job = queue_pop(&w->bulk);
	if (job) {
		w->queued--;
		metric_observe_ns(w->wait_metric, clock_mono_ns() - job->queued_ns);
	}
	return job;
}

static void leave_idle(struct workers *w, struct slot *slot)
{
	struct slot **at = &w->idle;

	while (*at != slot)
		at = &(*at)->below;
	*at = slot->below;
	w->idle_count--;
	slot->idle = false;
}

/* The lock is held. False: this thread is to end. */
static bool wait_idle(struct workers *w, struct slot *slot)
{
	int64_t until_ns = clock_mono_ns() + w->options.idle_ms * INT64_C(1000000);
	bool idle_long = false;

	slot->idle = true;
	slot->below = w->idle;
	w->idle = slot;
	w->idle_count++;
	while (slot->idle) {
		/* Not while jobs wait: one of them may count on this thread. */
		if (w->ending || (idle_long && w->queued == 0 && w->alive > w->options.workers_min)) {
			leave_idle(w, slot);
			return false;
		}
		/* After that it is one of the few that stay. */
		idle_long = !wait_until(&slot->woken, &w->lock, idle_long ? WAIT_FOR_EVER : until_ns);
	}
	w->waking = false;
	return true;
}

/* The lock is held: takes an idle thread off the stack if a job waits for one and none is on its way. The caller wakes
 * it behind the lock. */
static struct slot *choose_idle(struct workers *w)
{
	struct slot *slot = w->queued > 0 && !w->waking ? w->idle : NULL;

	if (slot) {
		leave_idle(w, slot);
		w->waking = true;
	}
	return slot;
}

static void wake(struct slot *slot)
{
	/* Behind the lock, or the woken thread would at once sleep again on it. Slots last as long as the pool. */
	if (slot)
		pthread_cond_signal(&slot->woken);
}

static void *thread_main(void *arg)
{
	struct slot *slot = arg;
	struct workers *w = slot->pool;
	struct job *job;

	pthread_setname_np(pthread_self(), "worker");
	pthread_mutex_lock(&w->lock);
	w->starting--;
	for (;;) {
		struct slot *next;

		job = next_queued(w);
		if (!job && wait_idle(w, slot))
			continue;
		if (!job)
			break;
		next = choose_idle(w);
		pthread_mutex_unlock(&w->lock);
		wake(next);
		job->run(job);
		pthread_mutex_lock(&w->lock);
	}
	slot->state = SLOT_ENDED;
	w->alive--;
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* The lock is held. The new thread takes from the queue first. */
static bool start_thread(struct workers *w)
{
	struct slot *slot = w->slots;
	pthread_attr_t attributes;
	int rc;

	while (slot->state == SLOT_ALIVE)
		slot++;
	if (slot->state == SLOT_ENDED) /* it has let go of the lock for good */
		pthread_join(slot->thread, NULL);
	slot->state = SLOT_EMPTY;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	rc = pthread_create(&slot->thread, &attributes, thread_main, slot);
	pthread_attr_destroy(&attributes);
	if (rc)
		return false;
	slot->state = SLOT_ALIVE;
	w->alive++;
	w->starting++;
	return true;
}

static enum cs_status start_first(struct workers *w, struct cs_error *err)
{
	bool ok = true;

	pthread_mutex_lock(&w->lock);
	while (ok && w->alive < w->options.workers_min)
		ok = start_thread(w);
	pthread_mutex_unlock(&w->lock);
	return ok ? CS_OK : cs_fail(err, CS_UNAVAILABLE, "cannot start %u worker threads", w->options.workers_min);
}

static void init_slots(struct workers *w)
{
	for (unsigned i = 0; i < w->options.workers_max; i++) {
		w->slots[i].pool = w;
		wait_cond_init(&w->slots[i].woken);
	}
}

static void collect(void *self)
{
	struct workers *w = self;
	unsigned alive, idle, queued;

	pthread_mutex_lock(&w->lock);
	alive = w->alive;
	idle = w->idle_count;
	queued = w->queued;
	pthread_mutex_unlock(&w->lock);
	metric_set(metric_series(METRIC_WORKERS, S("busy")), alive - idle);
	metric_set(metric_series(METRIC_WORKERS, S("idle")), idle);
	metric_set(metric_series(METRIC_QUEUE, S("")), queued);
}

enum cs_status workers_new(const struct workers_options *options, struct workers **ret_workers, struct cs_error *err)
{
	struct workers *w = calloc(1, sizeof(*w));
	enum cs_status status;

	assert(options->workers_max > 0 && options->workers_min <= options->workers_max && options->queue_max > 0);
	if (!w)
		return cs_fail_memory(err);
	w->slots = calloc(options->workers_max, sizeof(*w->slots));
	if (!w->slots) {
		free(w);
		return cs_fail_memory(err);
	}
	w->options = *options;
	if (!w->options.idle_ms)
		w->options.idle_ms = WORKERS_IDLE_MS;
	w->urgent.last = &w->urgent.first;
	w->bulk.last = &w->bulk.first;
	w->wait_metric = metric_series(METRIC_QUEUE_WAIT, S(""));
	pthread_mutex_init(&w->lock, NULL);
	init_slots(w);
	status = start_first(w, err);
	if (status) {
		workers_free(w);
		return status;
	}
	w->collector = (struct metrics_collector){.collect = collect, .self = w};
	metrics_collector_add(&w->collector);
	*ret_workers = w;
	return CS_OK;
}

/* The lock is held: a thread that has ended, or will, and is not joined yet. */
static struct slot *any_thread(struct workers *w)
{
	for (unsigned i = 0; i < w->options.workers_max; i++)
		if (w->slots[i].state != SLOT_EMPTY)
			return &w->slots[i];
	return NULL;
}

void workers_free(struct workers *w)
{
	struct slot *slot;

	if (!w)
		return;
	metrics_collector_remove(&w->collector);
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	for (slot = w->idle; slot; slot = slot->below)
		pthread_cond_signal(&slot->woken);
	while ((slot = any_thread(w))) {
		pthread_mutex_unlock(&w->lock);
		pthread_join(slot->thread, NULL);
		pthread_mutex_lock(&w->lock);
		slot->state = SLOT_EMPTY;
	}
	pthread_mutex_unlock(&w->lock);
	assert(w->queued == 0);
	collect(w); /* nobody is there any more */
	for (unsigned i = 0; i < w->options.workers_max; i++)
		pthread_cond_destroy(&w->slots[i].woken);
	pthread_mutex_destroy(&w->lock);
	free(w->slots);
	free(w);
}

/* The lock is held: are all who are idle or on their way spoken for by jobs that came before? */
static bool all_spoken_for(const struct workers *w)
{
	return w->queued >= w->idle_count + w->waking + w->starting;
}

enum cs_status workers_submit(struct workers *w, struct job *job)
{
	enum cs_status status = CS_OK;
	struct slot *slot = NULL;

	pthread_mutex_lock(&w->lock);
	assert(!w->ending || w->alive > 0);
	if (w->queued >= w->options.queue_max + w->idle_count) {
		status = CS_LIMIT_EXCEEDED;
	} else if (!all_spoken_for(w) || (w->alive < w->options.workers_max && start_thread(w)) || w->alive > 0) {
		queue_push(job->bulk ? &w->bulk : &w->urgent, job);
		w->queued++;
		slot = choose_idle(w);
	} else {
		status = CS_LIMIT_EXCEEDED; /* not one thread can be had */
	}
	pthread_mutex_unlock(&w->lock);
	wake(slot);
	return status;
}
