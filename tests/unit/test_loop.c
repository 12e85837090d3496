/* Loops: tasks from other threads arrive all and in order, the tick, stopping with tasks under way. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/loop.h"

#define THREADS 4
#define TASKS   20000

struct numbered {
	struct loop_task task;
	struct sender *sender;
	int number;
};

struct sender {
	struct loop *loop;
	struct numbered *tasks;
	int next, out_of_order; /* the loop's */
	int *left;
	pthread_t thread;
};

static void run_numbered(struct loop_task *task)
{
	struct numbered *n = (struct numbered *)task;

	n->sender->out_of_order += n->number != n->sender->next++;
	if (--*n->sender->left == 0)
		loop_stop(n->sender->loop);
}

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < TASKS; i++) {
		s->tasks[i] = (struct numbered){{.run = run_numbered}, s, i};
		loop_post(s->loop, &s->tasks[i].task);
	}
	return NULL;
}

static struct loop *make(void)
{
	struct loop *loop = NULL;

	assert_int_equal(loop_new(&loop, NULL), CS_OK);
	return loop;
}

static void tasks_of_each_thread_run_in_order(void **state)
{
	struct loop *loop = make();
	struct sender senders[THREADS] = {0};
	int left = THREADS * TASKS;

	assert_int_equal(loop_start(loop, "test", NULL), CS_OK);
	for (int i = 0; i < THREADS; i++) {
		senders[i] =
			(struct sender){.loop = loop, .left = &left, .tasks = calloc(TASKS, sizeof(struct numbered))};
		pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(senders[i].thread, NULL);
	loop_join(loop);
	assert_int_equal(left, 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(senders[i].out_of_order, 0);
		free(senders[i].tasks);
	}
	loop_free(loop);
}

struct here {
	struct loop_task task;
	struct loop *loop;
	int runs;
	bool current;
};

static void run_here(struct loop_task *task)
{
	struct here *h = (struct here *)task;

	h->current = loop_is_current(h->loop);
	if (++h->runs < 3)
		loop_post(h->loop, task);
	else
		loop_stop(h->loop);
}

static void a_task_may_post_itself_and_stop_the_loop(void **state)
{
	struct loop *loop = make();
	struct here h = {.task.run = run_here, .loop = loop};

	assert_false(loop_is_current(loop));
	loop_post(loop, &h.task);
	loop_run(loop);
	assert_int_equal(h.runs, 3);
	assert_true(h.current);
	assert_false(loop_is_current(loop));
	loop_free(loop);
}

static void on_tick(void *self, int64_t now_ns)
{
	struct here *h = self;

	assert_true(now_ns > 0);
	h->runs++;
	loop_stop(h->loop);
}

static void the_tick_comes_by_itself(void **state)
{
	struct loop *loop = make();
	struct here h = {.loop = loop}, removed = {.loop = loop};

	loop_on_tick(loop, on_tick, &removed);
	loop_on_tick(loop, on_tick, &h);
	loop_off_tick(loop, &removed);
	loop_run(loop);
	assert_int_equal(h.runs, 1);
	assert_int_equal(removed.runs, 0);
	loop_tick(loop);
	assert_int_equal(h.runs, 2);
	loop_free(loop);
}

static void a_loop_that_never_ran_can_be_freed(void **state)
{
	loop_free(make());
	loop_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_of_each_thread_run_in_order),
		cmocka_unit_test(a_task_may_post_itself_and_stop_the_loop),
		cmocka_unit_test(the_tick_comes_by_itself),
		cmocka_unit_test(a_loop_that_never_ran_can_be_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
