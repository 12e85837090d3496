/* The circuit breaker's state machine, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remote/breaker.h"

#define MS INT64_C(1000000)

static const struct breaker_options options = {
	.failures_max = 3, .pause_min_ms = 100, .pause_max_ms = 1000, .probe_max_ms = 500};
static struct breaker b;
static int64_t now_ns;

/* A server that has answered once. */
static void start(uint64_t seed)
{
	enum breaker_state state;

	breaker_init(&b, &options, seed);
	assert_false(breaker_leave(&b, breaker_enter(&b, now_ns), BREAKER_ANSWERED, now_ns, &state));
}

static int setup(void **state)
{
	now_ns = 1000 * MS;
	start(42);
	return 0;
}

static int teardown(void **state)
{
	breaker_release(&b);
	return 0;
}

static struct breaker_pass enter(void)
{
	struct breaker_pass pass = breaker_enter(&b, now_ns);

	assert_true(pass.allowed);
	return pass;
}

static bool leave(struct breaker_pass pass, enum breaker_report report)
{
	enum breaker_state state = BREAKER_CLOSED;
	bool changed = breaker_leave(&b, pass, report, now_ns, &state);

	if (changed)
		assert_int_equal(state, breaker_look(&b, NULL, NULL));
	return changed;
}

static void one(enum breaker_report report)
{
	leave(enter(), report);
}

static void assert_refused(void)
{
	assert_false(breaker_enter(&b, now_ns).allowed);
}

static void open_it(void)
{
	for (unsigned i = 0; i < options.failures_max; i++)
		one(BREAKER_FAILED);
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_OPEN);
}

static int64_t due(void)
{
	int64_t due_ns = 0;

	assert_int_not_equal(breaker_look(&b, NULL, &due_ns), BREAKER_CLOSED);
	return due_ns;
}

static void one_failure_is_enough_before_the_first_answer(void **state)
{
	breaker_release(&b);
	breaker_init(&b, &options, 42);
	assert_true(leave(enter(), BREAKER_FAILED));
	assert_refused();
}

static void failures_in_a_row_open_it(void **state)
{
	int64_t opened_ns = 0;

	one(BREAKER_FAILED);
	one(BREAKER_FAILED);
	one(BREAKER_ANSWERED);
	one(BREAKER_FAILED);
	one(BREAKER_NEUTRAL);
	one(BREAKER_FAILED);
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_CLOSED);
	assert_true(leave(enter(), BREAKER_FAILED));
	assert_int_equal(breaker_look(&b, &opened_ns, NULL), BREAKER_OPEN);
	assert_int_equal(opened_ns, now_ns);
	assert_refused();
}

static void one_probe_passes_when_the_pause_is_over(void **state)
{
	struct breaker_pass probe;

	open_it();
	now_ns = due() - 1;
	assert_refused();
	now_ns++;
	probe = enter();
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_HALF_OPEN);
	assert_refused();
	assert_true(leave(probe, BREAKER_ANSWERED));
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_CLOSED);
	one(BREAKER_ANSWERED);
}

static void a_failed_probe_doubles_the_pause_up_to_its_most(void **state)
{
	int64_t pause_ms = options.pause_min_ms;

	open_it();
	for (int i = 0; i < 8; i++) {
		int64_t pause_ns = due() - now_ns;

		assert_true(pause_ns >= pause_ms * MS / 2 && pause_ns <= pause_ms * MS);
		now_ns = due();
		assert_true(leave(enter(), BREAKER_FAILED));
		pause_ms = 2 * pause_ms > options.pause_max_ms ? options.pause_max_ms : 2 * pause_ms;
	}
	now_ns = due();
	assert_true(leave(enter(), BREAKER_ANSWERED));
	open_it();
	assert_true(due() - now_ns <= options.pause_min_ms * MS);
}

static void pauses_differ(void **state)
{
	int64_t pauses[8];
	int different = 0;

	for (int i = 0; i < 8; i++) {
		breaker_release(&b);
		start((uint64_t)i * 7919 + 3);
		open_it();
		pauses[i] = due() - now_ns;
		different += i > 0 && pauses[i] != pauses[0];
	}
	assert_true(different >= 6);
}

static void a_probe_that_never_reports_is_given_up(void **state)
{
	struct breaker_pass lost, second;

	open_it();
	now_ns = due();
	lost = enter();
	now_ns += options.probe_max_ms * MS - 1;
	assert_refused();
	now_ns++;
	second = enter();
	assert_false(leave(lost, BREAKER_FAILED));
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_HALF_OPEN);
	assert_true(leave(second, BREAKER_ANSWERED));
}

static void a_probe_that_came_to_nothing_lets_the_next_pass(void **state)
{
	open_it();
	now_ns = due();
	one(BREAKER_NEUTRAL);
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_OPEN);
	one(BREAKER_ANSWERED);
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_CLOSED);
}

static void late_reports_say_nothing(void **state)
{
	struct breaker_pass before = enter(), probe;

	open_it();
	assert_false(leave(before, BREAKER_ANSWERED));
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_OPEN);
	before = (struct breaker_pass){.allowed = true, .turn = 0};
	now_ns = due();
	probe = enter();
	assert_false(leave(before, BREAKER_FAILED));
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_HALF_OPEN);
	leave(probe, BREAKER_ANSWERED);
	for (unsigned i = 0; i < options.failures_max; i++)
		assert_false(leave(before, BREAKER_FAILED));
	assert_int_equal(breaker_look(&b, NULL, NULL), BREAKER_CLOSED);
}

/* Many threads: exactly one of those that come when the pause is over is the probe. */
static atomic_int passed;

static void *try_to_enter(void *unused)
{
	atomic_fetch_add(&passed, breaker_enter(&b, now_ns).allowed);
	return NULL;
}

static void of_many_threads_one_is_the_probe(void **state)
{
	pthread_t threads[16];

	for (int round = 0; round < 20; round++) {
		breaker_release(&b);
		start(1);
		open_it();
		now_ns = due();
		atomic_store(&passed, 0);
		for (size_t i = 0; i < 16; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, try_to_enter, NULL), 0);
		for (size_t i = 0; i < 16; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(atomic_load(&passed), 1);
	}
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_failure_is_enough_before_the_first_answer),
		T(failures_in_a_row_open_it),
		T(one_probe_passes_when_the_pause_is_over),
		T(a_failed_probe_doubles_the_pause_up_to_its_most),
		T(pauses_differ),
		T(a_probe_that_never_reports_is_given_up),
		T(a_probe_that_came_to_nothing_lets_the_next_pass),
		T(late_reports_say_nothing),
		T(of_many_threads_one_is_the_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
