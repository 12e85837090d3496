/* Workers: growth, shrinking, a full queue and the order of kinds. Threads meet at
 * semaphores, so no test depends on how long anything takes. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "net/worker.h"

struct held_job {
	struct job job;
	sem_t *started, *go;
	atomic_int *ran;
};

static void run_held(struct job *job)
{
	struct held_job *h = (struct held_job *)job;

	sem_post(h->started);
	while (sem_wait(h->go) && errno == EINTR)
		;
	atomic_fetch_add(h->ran, 1);
}

static struct workers *make(struct workers_options options)
{
	struct workers *w = NULL;

	assert_int_equal(workers_new(&options, &w, NULL), CS_OK);
	return w;
}

static int64_t threads_that_are(struct slice state)
{
	metrics_collect();
	return metric_value(metric_series(METRIC_WORKERS, state));
}

static int64_t threads(void)
{
	return threads_that_are(S("busy")) + threads_that_are(S("idle"));
}

static void grows_to_its_maximum_and_runs_everything(void **state)
{
	struct workers *w = make((struct workers_options){.workers_min = 1, .workers_max = 4, .queue_max = 100});
	struct held_job jobs[10];
	atomic_int ran = 0;
	sem_t started, go;
	int64_t waited;

	sem_init(&started, 0, 0);
	sem_init(&go, 0, 0);
	for (int i = 0; i < 10; i++) {
		jobs[i] = (struct held_job){.job.run = run_held, .started = &started, .go = &go, .ran = &ran};
		assert_int_equal(workers_submit(w, &jobs[i].job), CS_OK);
	}
	for (int i = 0; i < 4; i++)
		sem_wait(&started);
	assert_int_equal(threads(), 4);
	assert_int_equal(threads_that_are(S("busy")), 4);
	assert_int_equal(metric_value(metric_series(METRIC_QUEUE, S(""))), 6);
	waited = metric_value(metric_series(METRIC_QUEUE_WAIT, S("")));
	assert_int_equal(sem_trywait(&started), -1);
	for (int i = 0; i < 10; i++)
		sem_post(&go);
	workers_free(w);
	assert_int_equal(ran, 10);
	assert_int_equal(threads(), 0);
	assert_int_equal(metric_value(metric_series(METRIC_QUEUE_WAIT, S(""))), waited + 6);
	assert_int_equal(metric_value(metric_series(METRIC_QUEUE, S(""))), 0);
}

static void a_full_queue_refuses(void **state)
{
	struct workers *w = make((struct workers_options){.workers_min = 0, .workers_max = 1, .queue_max = 2});
	struct held_job jobs[4];
	atomic_int ran = 0;
	sem_t started, go;

	sem_init(&started, 0, 0);
	sem_init(&go, 0, 0);
	for (int i = 0; i < 4; i++)
		jobs[i] = (struct held_job){.job.run = run_held, .started = &started, .go = &go, .ran = &ran};
	assert_int_equal(workers_submit(w, &jobs[0].job), CS_OK);
	sem_wait(&started);
	assert_int_equal(workers_submit(w, &jobs[1].job), CS_OK);
	assert_int_equal(workers_submit(w, &jobs[2].job), CS_OK);
	assert_int_equal(workers_submit(w, &jobs[3].job), CS_LIMIT_EXCEEDED);
	for (int i = 0; i < 3; i++)
		sem_post(&go);
	workers_free(w);
	assert_int_equal(ran, 3);
}

/* Jobs that end only when all of them have begun, so each needs a thread of its own. Each round begins with `idle` idle
 * threads and no other. */
static void meet(struct workers *w, unsigned idle, int rounds)
{
	struct held_job jobs[8];
	atomic_int ran = 0;
	sem_t started, go;

	sem_init(&started, 0, 0);
	sem_init(&go, 0, 0);
	for (int round = 1; round <= rounds; round++) {
		while (threads() != idle || threads_that_are(S("idle")) != idle)
			sched_yield();
		for (int i = 0; i < 8; i++) {
			jobs[i] = (struct held_job){.job.run = run_held, .started = &started, .go = &go, .ran = &ran};
			assert_int_equal(workers_submit(w, &jobs[i].job), CS_OK);
		}
		for (int i = 0; i < 8; i++)
			sem_wait(&started);
		for (int i = 0; i < 8; i++)
			sem_post(&go);
		while (ran < 8 * round)
			sched_yield();
	}
	workers_free(w);
}

static void every_idle_worker_is_woken_that_is_needed(void **state)
{
	meet(make((struct workers_options){.workers_min = 8, .workers_max = 8, .queue_max = 8}), 8, 200);
}

/* Of eight jobs two find an idle thread; for the others threads are started, although some are idle when they come. */
static void more_jobs_than_idle_workers_start_more(void **state)
{
	meet(make((struct workers_options){.workers_min = 2, .workers_max = 8, .queue_max = 8, .idle_ms = 1}), 2, 50);
}

struct noted_job {
	struct job job;
	char name, **at;
};

static void run_noted(struct job *job)
{
	struct noted_job *n = (struct noted_job *)job;

	*(*n->at)++ = n->name;
}

static void queries_go_before_bulk_in_order(void **state)
{
	struct workers *w = make((struct workers_options){.workers_min = 1, .workers_max = 1, .queue_max = 9});
	char order[8] = "", *at = order;
	struct held_job first;
	struct noted_job jobs[4];
	atomic_int ran = 0;
	sem_t started, go;

	sem_init(&started, 0, 0);
	sem_init(&go, 0, 0);
	first = (struct held_job){.job.run = run_held, .started = &started, .go = &go, .ran = &ran};
	assert_int_equal(workers_submit(w, &first.job), CS_OK);
	sem_wait(&started);
	for (int i = 0; i < 4; i++) {
		jobs[i] = (struct noted_job){
			.job = {.run = run_noted, .bulk = i < 2}, .name = (char)('a' + i), .at = &at};
		assert_int_equal(workers_submit(w, &jobs[i].job), CS_OK);
	}
	sem_post(&go);
	workers_free(w);
	assert_string_equal(order, "cdab");
}

static void shrinks_to_its_minimum(void **state)
{
	struct workers *w =
		make((struct workers_options){.workers_min = 1, .workers_max = 6, .queue_max = 9, .idle_ms = 1});
	struct held_job jobs[6];
	atomic_int ran = 0;
	sem_t started, go;

	sem_init(&started, 0, 0);
	sem_init(&go, 0, 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 6; i++) {
			jobs[i] = (struct held_job){.job.run = run_held, .started = &started, .go = &go, .ran = &ran};
			assert_int_equal(workers_submit(w, &jobs[i].job), CS_OK);
		}
		for (int i = 0; i < 6; i++)
			sem_wait(&started);
		assert_int_equal(threads(), 6);
		for (int i = 0; i < 6; i++)
			sem_post(&go);
		while (ran < 6 * (round + 1) || threads() > 1)
			sched_yield();
	}
	workers_free(w);
	assert_int_equal(ran, 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_to_its_maximum_and_runs_everything),
		cmocka_unit_test(every_idle_worker_is_woken_that_is_needed),
		cmocka_unit_test(more_jobs_than_idle_workers_start_more),
		cmocka_unit_test(a_full_queue_refuses),
		cmocka_unit_test(queries_go_before_bulk_in_order),
		cmocka_unit_test(shrinks_to_its_minimum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
