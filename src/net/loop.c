/* Loop: a libuv loop, its mailbox and its tick.
 *
 * The mailbox is a stack that producers push onto with one compare-and-swap and the loop takes whole with one exchange;
 * turned round it is in order of arrival, so tasks of one thread keep theirs. Whoever finds it empty sends the wake-up:
 * a burst of finished requests costs one eventfd write. A mutex with a list was the alternative; workers would meet on
 * it.
 *
 * The tick is one timer for all time-outs of a loop. A timer per connection would cost a heap operation per request,
 * and nobody needs a time-out to be more exact than a second.
 *
 * Stopping. loop_stop takes the loop's own two handles out of the count instead of closing them, so that tasks are
 * still run while the last connections close; they are closed when nothing else is left. libuv writes with write(2), so
 * SIGPIPE is ignored in a process that has a loop. */
#include "net/loop.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define TICK_MS 1000u

struct tick {
	void (*run)(void *self, int64_t now_ns);
	void *self;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t timer;
	_Atomic(struct loop_task *) inbox; /* newest first */
	struct tick ticks[LOOP_TICKS_MAX];
	unsigned tick_count;
	pthread_t thread;
	bool has_thread;
	bool closed; /* its own handles are */
	char name[16];
};

static _Thread_local const struct loop *current;

/* Tasks may post tasks; those run at the next wake-up, so that a task that posts itself starves nobody. */
static void run_inbox(struct loop *loop)
{
	struct loop_task *newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
	struct loop_task *in_order = NULL;

	while (newest) {
		struct loop_task *next = newest->next;

		newest->next = in_order;
		in_order = newest;
		newest = next;
	}
	while (in_order) {
		struct loop_task *task = in_order;

		in_order = task->next; /* run may free the task */
		task->run(task);
	}
}

static void on_wake(uv_async_t *wake)
{
	run_inbox(wake->data);
}

void loop_tick(struct loop *loop)
{
	int64_t now_ns = clock_mono_ns();

	for (unsigned i = 0; i < loop->tick_count; i++)
		loop->ticks[i].run(loop->ticks[i].self, now_ns);
}

static void on_timer(uv_timer_t *timer)
{
	loop_tick(timer->data);
}

enum cs_status loop_new(struct loop **ret_loop, struct cs_error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int rc;

	if (!loop)
		return cs_fail_memory(err);
	rc = uv_loop_init(&loop->uv);
	if (rc) {
		free(loop);
		return cs_fail(err, CS_UNAVAILABLE, "cannot make an event loop: %s", uv_strerror(rc));
	}
	rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (rc) {
		uv_loop_close(&loop->uv);
		free(loop);
		return cs_fail(err, CS_UNAVAILABLE, "cannot make an event loop's wake-up: %s", uv_strerror(rc));
	}
	loop->wake.data = loop;
	uv_timer_init(&loop->uv, &loop->timer);
	loop->timer.data = loop;
	rc = uv_timer_start(&loop->timer, on_timer, TICK_MS, TICK_MS);
	assert(rc == 0);
	signal(SIGPIPE, SIG_IGN);
	*ret_loop = loop;
	return CS_OK;
}

static void close_own(struct loop *loop)
{
	if (loop->closed)
		return;
	loop->closed = true;
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->timer, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_free(struct loop *loop)
{
	int rc;

	if (!loop)
		return;
	assert(!loop->has_thread);
	close_own(loop);
	run_inbox(loop);
	rc = uv_loop_close(&loop->uv);
	assert(rc == 0);
	free(loop);
}

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

bool loop_is_current(const struct loop *loop)
{
	return current == loop;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	struct loop_task *newest = atomic_load_explicit(&loop->inbox, memory_order_relaxed);

	do
		task->next = newest;
	while (!atomic_compare_exchange_weak_explicit(
		&loop->inbox, &newest, task, memory_order_release, memory_order_relaxed));
	/* Not empty: whoever made it so has sent a wake-up that has not been answered yet. Once the push is seen, the
	 * task may be gone; the loop is not, because its owner waits for those who post. */
	if (!newest)
		uv_async_send(&loop->wake);
}

void loop_run(struct loop *loop)
{
	const struct loop *outer = current;

	current = loop;
	do {
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		run_inbox(loop);
	} while (uv_loop_alive(&loop->uv) || atomic_load(&loop->inbox));
	close_own(loop);
	current = outer;
}

static void *thread_main(void *arg)
{
	struct loop *loop = arg;

	pthread_setname_np(pthread_self(), loop->name);
	loop_run(loop);
	return NULL;
}

enum cs_status loop_start(struct loop *loop, const char *thread_name, struct cs_error *err)
{
	int rc;

	snprintf(loop->name, sizeof(loop->name), "%s", thread_name);
	rc = pthread_create(&loop->thread, NULL, thread_main, loop);
	if (rc)
		return cs_fail(err, CS_UNAVAILABLE, "cannot start the thread of an event loop: %s", strerror(rc));
	loop->has_thread = true;
	return CS_OK;
}

void loop_join(struct loop *loop)
{
	if (!loop->has_thread)
		return;
	pthread_join(loop->thread, NULL);
	loop->has_thread = false;
}

void loop_stop(struct loop *loop)
{
	uv_unref((uv_handle_t *)&loop->wake);
	uv_unref((uv_handle_t *)&loop->timer);
}

void loop_on_tick(struct loop *loop, void (*tick)(void *self, int64_t now_ns), void *self)
{
	assert(loop->tick_count < LOOP_TICKS_MAX);
	loop->ticks[loop->tick_count++] = (struct tick){tick, self};
}

void loop_off_tick(struct loop *loop, void *self)
{
	unsigned i = 0;

	while (i < loop->tick_count && loop->ticks[i].self != self)
		i++;
	if (i == loop->tick_count)
		return;
	loop->tick_count--;
	memmove(loop->ticks + i, loop->ticks + i + 1, (loop->tick_count - i) * sizeof(loop->ticks[0]));
}
