/* The one place that knows how pthreads count: absolute times of a clock that is chosen when a condition is made. */
#include "base/wait.h"

#include <time.h>

#define SECOND_NS INT64_C(1000000000)

void wait_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t mono_ns)
{
	struct timespec at;
	int64_t left_ns;

	if (mono_ns == WAIT_FOR_EVER)
		return pthread_cond_wait(cond, lock) == 0;
	left_ns = mono_ns - clock_mono_ns();
	clock_gettime(CLOCK_MONOTONIC, &at);
	left_ns = (left_ns < 0 ? 0 : left_ns) + at.tv_nsec;
	at.tv_sec += left_ns / SECOND_NS;
	at.tv_nsec = left_ns % SECOND_NS;
	return pthread_cond_timedwait(cond, lock, &at) == 0;
}
