/* Gate: a counting semaphore with two queues, an order and a way out.
 *
 * sem_timedwait has no order and cannot be left when an operation is cancelled. A waiter is a node on its own stack
 * with a condition variable of its own, so that giving a place wakes exactly the one who gets it. Cancellation is only
 * a flag, set by a thread that knows nothing of gates: a waiter looks at it every LOOK_MS. */
#include "net/gate.h"

#include <assert.h>

#include "base/wait.h"

#define LOOK_MS 50

struct gate_waiter {
	struct gate_waiter *next;
	pthread_cond_t granted_changed;
	bool granted;
};

void gate_init(struct gate *g, unsigned width)
{
	*g = (struct gate){.free = width};
	pthread_mutex_init(&g->lock, NULL);
	g->last[0] = &g->first[0];
	g->last[1] = &g->first[1];
}

void gate_release(struct gate *g)
{
	assert(!g->first[0] && !g->first[1]);
	pthread_mutex_destroy(&g->lock);
}

/* Waits until granted or LOOK_MS or the deadline are over; the lock is held. */
static void wait_a_little(struct gate *g, struct gate_waiter *w, const struct op *op)
{
	int64_t look_ns = clock_mono_ns() + LOOK_MS * INT64_C(1000000);

	(void)wait_until(&w->granted_changed, &g->lock, look_ns < op->deadline_ns ? look_ns : op->deadline_ns);
}

static void leave_queue(struct gate *g, struct gate_waiter *w, bool bulk)
{
	struct gate_waiter **at = &g->first[bulk];

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (!w->next)
		g->last[bulk] = at;
}

static enum cs_status wait_for_place(struct gate *g, const struct op *op, bool bulk, struct cs_error *err)
{
	struct gate_waiter w = {0};
	enum cs_status status = CS_OK;

	wait_cond_init(&w.granted_changed);
	*g->last[bulk] = &w;
	g->last[bulk] = &w.next;
	while (!w.granted) {
		status = op_check(op, err);
		if (status) {
			leave_queue(g, &w, bulk);
			break;
		}
		wait_a_little(g, &w, op);
	}
	pthread_cond_destroy(&w.granted_changed);
	return w.granted ? CS_OK : status;
}

enum cs_status gate_take(struct gate *g, const struct op *op, bool bulk, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);

	if (status)
		return status;
	pthread_mutex_lock(&g->lock);
	if (g->free)
		g->free--;
	else
		status = wait_for_place(g, op, bulk, err);
	pthread_mutex_unlock(&g->lock);
	return status;
}

void gate_give(struct gate *g)
{
	struct gate_waiter *w;
	bool bulk;

	pthread_mutex_lock(&g->lock);
	bulk = !g->first[0];
	w = g->first[bulk];
	if (w) {
		leave_queue(g, w, bulk);
		w->granted = true;
		pthread_cond_signal(&w->granted_changed);
	} else {
		g->free++;
	}
	pthread_mutex_unlock(&g->lock);
}
