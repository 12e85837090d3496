/* Waiting: a moment in the past, one that a shifted clock has moved, and a wake-up before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/wait.h"

#define HOUR_NS INT64_C(3600000000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static bool is_set;

static void past_moments(void **state)
{
	(void)state;
	pthread_mutex_lock(&lock);
	assert_false(wait_until(&changed, &lock, clock_mono_ns() - HOUR_NS));
	assert_false(wait_until(&changed, &lock, INT64_MIN / 2));
	assert_false(wait_until(&changed, &lock, clock_mono_ns() + 1000000));
	pthread_mutex_unlock(&lock);
}

/* What lies an hour ahead is past once the clock has gone two; a moment later is not two hours away. */
static void shifted_clock(void **state)
{
	int64_t hour_ahead = clock_mono_ns() + HOUR_NS;

	(void)state;
	clock_shift_ms(2 * 3600 * 1000);
	pthread_mutex_lock(&lock);
	assert_false(wait_until(&changed, &lock, hour_ahead));
	assert_false(wait_until(&changed, &lock, clock_mono_ns() + 1000000));
	pthread_mutex_unlock(&lock);
	clock_shift_ms(0);
}

static void *set(void *unused)
{
	pthread_mutex_lock(&lock);
	is_set = true;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return unused;
}

static void woken_before(int64_t moment_ns)
{
	pthread_t thread;

	is_set = false;
	pthread_mutex_lock(&lock);
	assert_int_equal(pthread_create(&thread, NULL, set, NULL), 0);
	while (!is_set)
		assert_true(wait_until(&changed, &lock, moment_ns));
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
}

static void woken(void **state)
{
	(void)state;
	woken_before(clock_mono_ns() + HOUR_NS);
	woken_before(WAIT_FOR_EVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(past_moments),
		cmocka_unit_test(shifted_clock),
		cmocka_unit_test(woken),
	};

	wait_cond_init(&changed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
