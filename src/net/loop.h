/* One event loop on one thread, and the way into it from the others.
 *
 * A thin layer on a libuv loop: the thread, a queue of tasks that other threads hand over (one wake-up however many
 * wait), and a tick a second from which every timeout on this loop is derived (no timer per connection). A loop only
 * reads, parses, answers from memory and writes. Threads: loop_post from anywhere; everything else on the loop's own
 * thread, or before it runs. */
#ifndef CS_NET_LOOP_H
#define CS_NET_LOOP_H

#include <uv.h>

#include "base/error.h"

struct loop;

struct loop_task {
	void (*run)(struct loop_task *); /* on the loop's thread */
	struct loop_task *next;          /* the queue's */
};

CS_CHECKED enum cs_status loop_new(struct loop **ret_loop, struct cs_error *);
void loop_free(struct loop *); /* after it has ended, or before it ran; takes NULL */

uv_loop_t *loop_uv(struct loop *);
bool loop_is_current(const struct loop *); /* is this thread running it? */

/* The task belongs to the queue until run is called. Tasks of one thread run in order. Never fails. */
void loop_post(struct loop *, struct loop_task *);

/* Runs until loop_stop and all handles are closed; on the calling thread, or on one of its own until loop_join. */
void loop_run(struct loop *);
CS_CHECKED enum cs_status loop_start(struct loop *, const char *thread_name, struct cs_error *);
void loop_join(struct loop *);
void loop_stop(struct loop *); /* from its own thread: ends when its last handle is closed */

/* tick is called once a second with the monotonic time in ns. At most LOOP_TICKS_MAX. */
#define LOOP_TICKS_MAX 8
void loop_on_tick(struct loop *, void (*tick)(void *self, int64_t now_ns), void *self);
void loop_off_tick(struct loop *, void *self); /* the one with this self, if any */
/* Calls them now: for a test that has moved the clock and will not wait for the second to pass. On the loop's thread.
 */
void loop_tick(struct loop *);

#endif
