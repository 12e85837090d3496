/* A port behind a guard: what opens it, what it then says, how it comes back, and what the health thread adds. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/fake_kv.h"
#include "base/metrics.h"
#include "remote/health.h"
#include "remote/kv_breaker.h"

#define PAUSE_MS 60000 /* real time does not end it: tests shift the clock */

static struct fake_kv fake;
static struct guard *guard;
static struct kv_breaker breaker;
static struct kv_port port;
static struct arena arena;
static struct op op;
static struct cs_error err;
static atomic_bool cancelled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int ups, downs;
static char last_why[CS_ERROR_TEXT_MAX];

static void on_change(void *self, const struct guard_change *change)
{
	pthread_mutex_lock(&lock);
	*(change->up ? &ups : &downs) += 1;
	snprintf(last_why, sizeof last_why, "%s", change->why);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static enum cs_status get(void)
{
	const struct kv_key key = {.agent_id = S("a"), .prefix = KV_STATE, .key = S("k")};
	struct kv_entry entry;

	return port.get(port.self, &op, &key, &entry, &err);
}

static int setup(void **state)
{
	const struct guard_options options = {.name = "fake",
		.role = "agent state",
		.address = S("fake://server:1"),
		.breaker = {.failures_max = 2,
			.pause_min_ms = PAUSE_MS,
			.pause_max_ms = PAUSE_MS,
			.probe_max_ms = PAUSE_MS},
		.changed = on_change};

	fake = (struct fake_kv){.content = "x", .version = 1, .ttl_ms = KV_TTL_NONE};
	ups = downs = 0;
	arena_init(&arena, NULL, 0, 1u << 20);
	atomic_store(&cancelled, false);
	op = (struct op){.arena = &arena,
		.principal = &principal_anonymous,
		.deadline_ns = OP_NO_DEADLINE,
		.cancelled = &cancelled,
		.may_wait = true};
	assert_int_equal(guard_new(&options, &guard, &err), CS_OK);
	breaker = (struct kv_breaker){fake_kv_port(&fake), guard};
	port = kv_breaker_port(&breaker);
	assert_int_equal(get(), CS_OK);
	return 0;
}

static int teardown(void **state)
{
	guard_free(guard);
	arena_release(&arena);
	clock_shift_ms(0);
	return 0;
}

static struct backend_status look(void)
{
	const struct backend backend = guard_backend(guard);
	struct backend_status status;

	backend.status(backend.self, &status);
	return status;
}

static void go_down(void)
{
	fake.fails = CS_UNAVAILABLE;
	assert_int_equal(get(), CS_UNAVAILABLE);
	assert_string_equal(err.text, "the fake was told to fail");
	assert_string_equal(err.backend, "fake at fake://server:1");
	assert_int_equal(get(), CS_UNAVAILABLE);
	assert_int_equal(look().state, BACKEND_DOWN);
}

static void calls_pass_while_it_answers(void **state)
{
	const struct kv_write write = {.key = {.agent_id = S("a"), .key = S("k")}, .content = S("y")};
	struct kv_entry entry;
	struct kv_page page;

	assert_int_equal(get(), CS_OK);
	assert_int_equal(port.put(port.self, &op, &write, &entry, &err), CS_OK);
	assert_int_equal(entry.version, 2);
	assert_int_equal(port.list(port.self, &op, &write.key, S(""), 1, &page, &err), CS_OK);
	assert_int_equal(port.remove(port.self, &op, &write.key, KV_VERSION_ANY, &err), CS_OK);
	assert_int_equal(get(), CS_KEY_NOT_FOUND);
	assert_int_equal(look().state, BACKEND_UP);
}

static void a_dead_server_is_left_alone_and_the_caller_is_told(void **state)
{
	int asked;

	go_down();
	asked = fake.reads;
	for (int i = 0; i < 100; i++)
		assert_int_equal(get(), CS_UNAVAILABLE);
	assert_int_equal(fake.reads, asked);
	assert_int_equal(downs, 1);
	assert_string_equal(err.backend, "fake at fake://server:1");
	assert_non_null(strstr(err.text, "fake at fake://server:1 has been unavailable since 2"));
	assert_non_null(strstr(err.text, "the fake was told to fail"));
	assert_non_null(strstr(err.text, "asked again in"));
	assert_true(err.next_try_ms > clock_wall_ms() && err.next_try_ms <= clock_wall_ms() + PAUSE_MS);
	assert_true(err.since_ms <= clock_wall_ms());
	assert_string_equal(last_why, "the fake was told to fail");
	assert_int_equal(metric_value(metric_series(METRIC_BACKEND_UP, S("fake"))), 0);
}

static void it_comes_back_by_the_probe(void **state)
{
	go_down();
	clock_shift_ms(PAUSE_MS);
	assert_int_equal(get(), CS_UNAVAILABLE); /* the probe */
	assert_int_equal(downs, 1);              /* still down is no news */
	fake.fails = CS_OK;
	assert_int_equal(get(), CS_UNAVAILABLE);
	clock_shift_ms(2 * PAUSE_MS);
	assert_int_equal(get(), CS_OK);
	assert_int_equal(ups, 1);
	assert_int_equal(look().state, BACKEND_UP);
	assert_int_equal(metric_value(metric_series(METRIC_BACKEND_UP, S("fake"))), 1);
}

static int64_t passed_ms;

static void a_second_passes(void *self)
{
	passed_ms += 1000;
	clock_shift_ms(passed_ms);
}

static void only_silence_counts(void **state)
{
	static const enum cs_status answers[] = {
		CS_STORAGE, CS_KEY_NOT_FOUND, CS_VERSION_CONFLICT, CS_CONTENT_TOO_LARGE, CS_LIMIT_EXCEEDED};

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		fake.fails = CS_UNAVAILABLE;
		assert_int_equal(get(), CS_UNAVAILABLE);
		fake.fails = answers[i];
		assert_int_equal(get(), answers[i]);
	}
	fake.fails = CS_TIMEOUT;
	for (int i = 0; i < 5; i++)
		assert_int_equal(get(), CS_TIMEOUT); /* came with no time left */
	fake.meanwhile = a_second_passes;
	atomic_store(&cancelled, true);
	for (int i = 0; i < 5; i++)
		assert_int_equal(get(), CS_TIMEOUT); /* went away */
	assert_int_equal(look().state, BACKEND_UP);
	atomic_store(&cancelled, false);
	assert_int_equal(get(), CS_TIMEOUT);
	assert_int_equal(get(), CS_TIMEOUT);
	assert_int_equal(look().state, BACKEND_DOWN);
}

static void a_loop_is_refused_at_once_too(void **state)
{
	op.may_wait = false;
	assert_int_equal(get(), CS_WOULD_WAIT);
	op.may_wait = true;
	go_down();
	op.may_wait = false;
	assert_int_equal(get(), CS_UNAVAILABLE);
	/* The pause is over: the loop leaves the probe to the worker. */
	clock_shift_ms(PAUSE_MS);
	fake.fails = CS_OK;
	assert_int_equal(get(), CS_WOULD_WAIT);
	op.may_wait = true;
	assert_int_equal(get(), CS_OK);
}

/* The health thread. */

static enum cs_status ping(void *self, struct op *check, struct cs_error *ret_err)
{
	struct fake_kv *f = self;

	atomic_fetch_add(&f->reads, 1);
	return f->fails ? cs_fail(ret_err, f->fails, "no answer to the ping") : CS_OK;
}

static void wait_until(const int *count, int wanted)
{
	pthread_mutex_lock(&lock);
	while (*count < wanted)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void a_server_nobody_calls_is_found_dead_and_alive(void **state)
{
	const struct guard_options options = {.name = "quiet",
		.role = "agent state",
		.address = S("fake://quiet"),
		.breaker = {.failures_max = 2, .pause_min_ms = 1, .pause_max_ms = 4, .probe_max_ms = 1000},
		.changed = on_change};
	struct health_target target = {.self = &fake, .ping = ping};
	const struct health_options watch = {.period_ms = 1, .timeout_ms = 1000, .targets = &target, .count = 1};
	struct health *health;

	guard_free(guard);
	assert_int_equal(guard_new(&options, &guard, &err), CS_OK);
	target.guard = guard;
	fake.fails = CS_UNAVAILABLE;
	assert_int_equal(health_new(&watch, &health, &err), CS_OK);
	wait_until(&downs, 1);
	fake.fails = CS_OK;
	wait_until(&ups, 1);
	health_free(health);
	assert_int_equal(look().state, BACKEND_UP);
	assert_true(look().checked_ms > 0);
	assert_string_equal(look().error, "no answer to the ping");
}

static enum cs_status say_so(void *self, struct op *check, struct cs_error *ret_err)
{
	sem_post(self);
	return CS_OK;
}

/* The pause that follows is shorter than the time the probe was given. */
static void a_calls_probe_that_fails_does_not_hold_up_the_check(void **state)
{
	struct guard_options options = {.name = "probed",
		.role = "agent state",
		.address = S("fake://probed"),
		.breaker = {.failures_max = 1, .pause_min_ms = 1, .pause_max_ms = 4, .probe_max_ms = 3600000},
		.changed = on_change};
	/* The second is asked when the first was looked at. */
	struct health_target targets[2] = {{.self = &fake, .ping = ping}, {.ping = say_so}};
	const struct health_options watch = {.period_ms = 3600000, .timeout_ms = 1000, .targets = targets, .count = 2};
	struct breaker_pass pass;
	struct health *health;
	struct guard *other;
	sem_t looked;

	sem_init(&looked, 0, 0);
	guard_free(guard);
	assert_int_equal(guard_new(&options, &guard, &err), CS_OK);
	options.name = "other";
	assert_int_equal(guard_new(&options, &other, &err), CS_OK);
	targets[0].guard = guard;
	targets[1].guard = other;
	targets[1].self = &looked;
	assert_int_equal(guard_enter(guard, &pass, &err), CS_OK);
	guard_leave(guard, pass, &op, CS_UNAVAILABLE, NULL);
	clock_shift_ms(100);
	assert_int_equal(guard_enter(guard, &pass, &err), CS_OK);
	assert_int_equal(look().state, BACKEND_PROBING);
	assert_int_equal(health_new(&watch, &health, &err), CS_OK);
	sem_wait(&looked);
	guard_leave(guard, pass, &op, CS_UNAVAILABLE, NULL);
	wait_until(&ups, 1);
	health_free(health);
	guard_free(other);
	sem_destroy(&looked);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(calls_pass_while_it_answers),
		T(a_dead_server_is_left_alone_and_the_caller_is_told),
		T(it_comes_back_by_the_probe),
		T(only_silence_counts),
		T(a_loop_is_refused_at_once_too),
		T(a_server_nobody_calls_is_found_dead_and_alive),
		T(a_calls_probe_that_fails_does_not_hold_up_the_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
