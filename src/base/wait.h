/* Waiting for a condition until a moment of clock_mono_ns, or for ever.
 *
 * A wait is as long as the moment is away now: a test that shifts the clock does not stretch it. As with every condition
 * variable, waking up says nothing; callers look again at what they wait for. Threads: any. */
#ifndef CS_BASE_WAIT_H
#define CS_BASE_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define WAIT_FOR_EVER INT64_MAX

/* Of the kind that wait_until needs; ended with pthread_cond_destroy. */
void wait_cond_init(pthread_cond_t *);

/* The lock is held. False: the moment is past. */
bool wait_until(pthread_cond_t *, pthread_mutex_t *, int64_t mono_ns);

/* The same from now on. */
static inline bool wait_for(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ns)
{
	return wait_until(cond, lock, clock_mono_ns() + ns);
}

#endif
