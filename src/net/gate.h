/* The gate: how many may compute at once (worker.h says for whom and why).
 *
 * A place is handed to the first who waits, urgent ones before bulk, within each kind in order of arrival; it is not
 * put back for whoever comes by, so nobody who came early is overtaken for ever. Threads: any. Errors: CS_TIMEOUT. */
#ifndef CS_NET_GATE_H
#define CS_NET_GATE_H

#include <pthread.h>

#include "base/op.h"

struct gate_waiter;

struct gate {
	pthread_mutex_t lock;
	unsigned free;                           /* places nobody holds; 0 while somebody waits */
	struct gate_waiter *first[2], **last[2]; /* urgent, bulk */
};

void gate_init(struct gate *, unsigned width);
void gate_release(struct gate *); /* nobody holds it or waits */

CS_CHECKED enum cs_status gate_take(struct gate *, const struct op *, bool bulk, struct cs_error *);
void gate_give(struct gate *);

#endif
