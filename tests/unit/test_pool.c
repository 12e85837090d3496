/* The connection pool, with connections that are counters: who gets one, in which order, and when it is closed. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "remote/pool.h"

#define NS_PER_MS INT64_C(1000000)

struct fake {
	atomic_int opened, closed, checked;
	atomic_bool refuses; /* connect fails */
	atomic_bool dead;    /* check fails */
	struct pool *renews; /* is renewed while connect is under way, or NULL */
};

struct fixture {
	struct fake fake;
	struct pool *pool;
	struct op op;
	struct cs_error err;
};

static enum cs_status fake_connect(void *self, struct op *op, void **ret_connection, struct cs_error *err)
{
	struct fake *fake = self;
	int *connection;

	if (fake->refuses)
		return cs_fail(err, CS_UNAVAILABLE, "refused");
	connection = malloc(sizeof *connection);
	assert_non_null(connection);
	*connection = ++fake->opened;
	if (fake->renews)
		pool_renew(fake->renews);
	*ret_connection = connection;
	return CS_OK;
}

static bool fake_check(void *self, struct op *op, void *connection)
{
	struct fake *fake = self;

	fake->checked++;
	return !fake->dead;
}

static void fake_close(void *self, void *connection)
{
	struct fake *fake = self;

	fake->closed++;
	free(connection);
}

static void open_pool(struct fixture *f, struct pool_options options)
{
	struct pool_hooks hooks = {&f->fake, fake_connect, fake_check, fake_close};

	options.name = S("a fake");
	assert_int_equal(pool_new(&options, &hooks, &f->pool, &f->err), CS_OK);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->op = (struct op){.deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pool_free(f->pool);
	assert_int_equal(f->fake.opened, f->fake.closed);
	clock_shift_ms(0);
	free(f);
	return 0;
}

static struct pool_lease take(struct fixture *f)
{
	struct pool_lease lease = {0};
	enum cs_status status = pool_acquire(f->pool, &f->op, &lease, &f->err);

	if (status != CS_OK)
		fail_msg("%s", f->err.text);
	return lease;
}

static int number_of(struct pool_lease lease)
{
	return *(int *)lease.connection;
}

static struct pool_stats stats_of(struct fixture *f)
{
	struct pool_stats stats;

	pool_stats(f->pool, &stats);
	return stats;
}

static void await_waiting(struct fixture *f, unsigned count)
{
	while (stats_of(f).waiting != count)
		sched_yield();
}

static void nothing_is_opened_before_it_is_needed_and_the_last_used_is_lent_first(void **state)
{
	struct fixture *f = *state;
	struct pool_lease a, b;

	open_pool(f, (struct pool_options){.min = 1, .max = 3});
	assert_int_equal(f->fake.opened, 0);
	a = take(f);
	b = take(f);
	assert_true(a.fresh && b.fresh);
	pool_release(f->pool, a, true);
	pool_release(f->pool, b, true);
	a = take(f);
	assert_int_equal(number_of(a), 2);
	assert_false(a.fresh);
	pool_release(f->pool, a, true);
	assert_int_equal(f->fake.opened, 2);
	assert_int_equal(stats_of(f).idle, 2);
	assert_int_equal(stats_of(f).acquisitions, 3);
}

static void a_connection_given_back_as_useless_is_closed(void **state)
{
	struct fixture *f = *state;

	open_pool(f, (struct pool_options){.max = 1});
	pool_release(f->pool, take(f), false);
	assert_int_equal(f->fake.closed, 1);
	assert_int_equal(stats_of(f).size, 0);
	pool_release(f->pool, take(f), true);
	assert_int_equal(f->fake.opened, 2);
}

static void options_that_make_no_sense_are_refused(void **state)
{
	struct fixture *f = *state;
	struct pool_hooks hooks = {0};
	struct pool_options none = {.max = 0}, crossed = {.min = 3, .max = 2}, many = {.max = POOL_MAX + 1};
	struct pool *pool = NULL;

	assert_int_equal(pool_new(&none, &hooks, &pool, &f->err), CS_VALIDATION);
	assert_int_equal(pool_new(&crossed, &hooks, &pool, &f->err), CS_VALIDATION);
	assert_int_equal(pool_new(&many, &hooks, &pool, &f->err), CS_VALIDATION);
	assert_null(pool);
}

/* Waiting. */

struct waiter {
	pthread_t thread;
	struct fixture *f;
	struct op op;
	atomic_bool cancelled;
	int place, *served; /* what it is, and how many were served before it */
	int order;
	enum cs_status status;
	struct cs_error err;
};

static void *wait_for_one(void *self)
{
	struct waiter *w = self;
	struct pool_lease lease;

	w->status = pool_acquire(w->f->pool, &w->op, &lease, &w->err);
	if (w->status != CS_OK)
		return NULL;
	/* The pool has one connection: who holds it is alone. */
	w->order = (*w->served)++;
	pool_release(w->f->pool, lease, true);
	return NULL;
}

static void start_waiter(struct fixture *f, struct waiter *w, int *served)
{
	*w = (struct waiter){.f = f, .op = f->op, .served = served, .order = -1};
	w->op.cancelled = &w->cancelled;
	assert_int_equal(pthread_create(&w->thread, NULL, wait_for_one, w), 0);
}

static void who_waits_longest_is_served_first_and_nobody_overtakes(void **state)
{
	struct fixture *f = *state;
	struct waiter waiters[6];
	struct pool_lease lease;
	int served = 0;

	open_pool(f, (struct pool_options){.max = 1});
	lease = take(f);
	for (unsigned i = 0; i < 6; i++) {
		start_waiter(f, &waiters[i], &served);
		await_waiting(f, i + 1);
	}
	pool_release(f->pool, lease, true);
	/* Whoever comes now comes last, however fast. */
	lease = take(f);
	assert_int_equal(served, 6);
	pool_release(f->pool, lease, true);
	for (int i = 0; i < 6; i++) {
		pthread_join(waiters[i].thread, NULL);
		assert_int_equal(waiters[i].status, CS_OK);
		assert_int_equal(waiters[i].order, i);
	}
	assert_int_equal(f->fake.opened, 1);
	assert_true(stats_of(f).waits >= 6);
	assert_true(stats_of(f).wait_ns_max > 0);
}

static void the_place_of_a_closed_connection_goes_to_who_waits(void **state)
{
	struct fixture *f = *state;
	struct waiter waiters[2];
	struct pool_lease lease;
	int served = 0;

	open_pool(f, (struct pool_options){.max = 1});
	lease = take(f);
	for (unsigned i = 0; i < 2; i++) {
		start_waiter(f, &waiters[i], &served);
		await_waiting(f, i + 1);
	}
	pool_release(f->pool, lease, false);
	for (int i = 0; i < 2; i++) {
		pthread_join(waiters[i].thread, NULL);
		assert_int_equal(waiters[i].order, i);
	}
	assert_int_equal(f->fake.opened, 2);
}

static void who_was_handed_a_dead_connection_keeps_its_turn(void **state)
{
	struct fixture *f = *state;
	struct waiter waiters[3];
	struct pool_lease lease;
	int served = 0;

	open_pool(f, (struct pool_options){.max = 1});
	lease = take(f);
	f->fake.dead = true;
	for (unsigned i = 0; i < 3; i++) {
		start_waiter(f, &waiters[i], &served);
		await_waiting(f, i + 1);
	}
	pool_release(f->pool, lease, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(waiters[i].thread, NULL);
		assert_int_equal(waiters[i].order, i);
	}
	assert_int_equal(f->fake.opened, 4);
	f->fake.dead = false;
}

static void a_server_that_is_down_fails_each_who_waits(void **state)
{
	struct fixture *f = *state;
	struct waiter waiters[3];
	struct pool_lease lease;
	int served = 0;

	open_pool(f, (struct pool_options){.max = 1});
	lease = take(f);
	for (unsigned i = 0; i < 3; i++) {
		start_waiter(f, &waiters[i], &served);
		await_waiting(f, i + 1);
	}
	f->fake.refuses = true;
	pool_release(f->pool, lease, false);
	for (int i = 0; i < 3; i++) {
		pthread_join(waiters[i].thread, NULL);
		assert_int_equal(waiters[i].status, CS_UNAVAILABLE);
		assert_string_equal(waiters[i].err.text, "refused");
	}
	assert_int_equal(stats_of(f).size, 0);
	assert_int_equal(stats_of(f).connect_failures, 3);
	f->fake.refuses = false;
	pool_release(f->pool, take(f), true);
}

static void waiting_ends_at_the_deadline_the_timeout_or_the_cancellation(void **state)
{
	struct fixture *f = *state;
	struct pool_lease lease, none = {0};
	struct waiter waiter;
	struct op op;
	int served = 0;

	open_pool(f, (struct pool_options){.max = 1, .acquire_timeout_ms = 30});
	lease = take(f);
	op = f->op;
	op.may_wait = false;
	assert_int_equal(pool_acquire(f->pool, &op, &none, &f->err), CS_WOULD_WAIT);
	op = f->op;
	op.deadline_ns = clock_mono_ns() + 5 * NS_PER_MS;
	assert_int_equal(pool_acquire(f->pool, &op, &none, &f->err), CS_TIMEOUT);
	assert_int_equal(pool_acquire(f->pool, &f->op, &none, &f->err), CS_UNAVAILABLE);
	assert_non_null(strstr(f->err.text, "a fake"));
	pool_release(f->pool, lease, true);
	pool_free(f->pool);

	open_pool(f, (struct pool_options){.max = 1});
	lease = take(f);
	start_waiter(f, &waiter, &served);
	await_waiting(f, 1);
	waiter.cancelled = true;
	pthread_join(waiter.thread, NULL);
	assert_int_equal(waiter.status, CS_TIMEOUT);
	assert_null(none.connection);
	assert_int_equal(stats_of(f).timeouts, 1);
	pool_release(f->pool, lease, true);
}

/* Age. */

static void an_idle_connection_is_asked_whether_it_lives(void **state)
{
	struct fixture *f = *state;
	struct pool_lease lease;

	open_pool(f, (struct pool_options){.max = 2, .check_after_idle_ms = 1000});
	lease = take(f);
	pool_release(f->pool, take(f), true);
	pool_release(f->pool, lease, true);
	pool_release(f->pool, take(f), true);
	assert_int_equal(f->fake.checked, 0);
	clock_shift_ms(1000);
	pool_release(f->pool, take(f), true);
	assert_int_equal(f->fake.checked, 1);
	clock_shift_ms(3000);
	f->fake.dead = true;
	lease = take(f);
	assert_true(lease.fresh);
	assert_int_equal(number_of(lease), 3);
	assert_int_equal(f->fake.closed, 2);
	pool_release(f->pool, lease, true);
}

static void a_connection_ends_with_its_lifetime_less_some_jitter(void **state)
{
	struct fixture *f = *state;
	struct pool_lease leases[8];

	open_pool(f, (struct pool_options){.max = 8, .lifetime_ms = 100000});
	for (int i = 0; i < 8; i++)
		leases[i] = take(f);
	for (int i = 0; i < 8; i++)
		pool_release(f->pool, leases[i], true);
	clock_shift_ms(100000 - 100000 * POOL_JITTER_PERCENT / 100 - 5000);
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	assert_int_equal(f->fake.closed, 0);
	leases[0] = take(f);
	clock_shift_ms(100001);
	pool_release(f->pool, leases[0], true);
	assert_int_equal(f->fake.closed, 1);
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	assert_int_equal(f->fake.closed, 8);
	leases[0] = take(f);
	assert_true(leases[0].fresh);
	pool_release(f->pool, leases[0], true);
}

static void what_was_opened_before_a_renewal_is_not_lent_again(void **state)
{
	struct fixture *f = *state;
	struct pool_lease lease;

	open_pool(f, (struct pool_options){.max = 3});
	lease = take(f);
	pool_release(f->pool, take(f), true);
	pool_renew(f->pool);
	pool_release(f->pool, lease, true);
	assert_int_equal(f->fake.closed, 1);
	lease = take(f);
	assert_true(lease.fresh);
	assert_int_equal(number_of(lease), 3);
	assert_int_equal(f->fake.closed, 2);
	pool_release(f->pool, lease, true);
	lease = take(f);
	assert_int_equal(number_of(lease), 3);
	pool_release(f->pool, lease, true);
	pool_renew(f->pool);
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	assert_int_equal(stats_of(f).size, 0);
	/* Whether it led there before or behind the renewal, nobody knows. */
	f->fake.renews = f->pool;
	pool_release(f->pool, take(f), true);
	assert_int_equal(stats_of(f).size, 0);
}

static void an_idle_pool_comes_to_have_exactly_min(void **state)
{
	struct fixture *f = *state;
	struct pool_lease leases[10];

	open_pool(f, (struct pool_options){.min = 5, .max = 10, .max_idle_ms = 60000});
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	assert_int_equal(stats_of(f).idle, 5);
	for (int i = 0; i < 10; i++)
		leases[i] = take(f);
	for (int i = 0; i < 10; i++)
		pool_release(f->pool, leases[i], true);
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	assert_int_equal(stats_of(f).idle, 10);
	clock_shift_ms(60000);
	leases[0] = take(f);
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	assert_int_equal(stats_of(f).size, 5);
	pool_release(f->pool, leases[0], false);
	assert_int_equal(stats_of(f).size, 4);
	f->fake.refuses = true;
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_UNAVAILABLE);
	assert_int_equal(stats_of(f).size, 4);
	f->fake.refuses = false;
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	assert_int_equal(stats_of(f).size, 5);
}

static void draining_sends_waiters_away_and_waits_for_what_is_lent(void **state)
{
	struct fixture *f = *state;
	struct waiter waiter;
	struct pool_lease lease, none;
	struct op soon = f->op;
	int served = 0;

	open_pool(f, (struct pool_options){.max = 1});
	lease = take(f);
	start_waiter(f, &waiter, &served);
	await_waiting(f, 1);
	soon.deadline_ns = clock_mono_ns() + 5 * NS_PER_MS;
	assert_int_equal(pool_drain(f->pool, &soon, &f->err), CS_TIMEOUT);
	pthread_join(waiter.thread, NULL);
	assert_int_equal(waiter.status, CS_UNAVAILABLE);
	assert_int_equal(pool_acquire(f->pool, &f->op, &none, &f->err), CS_UNAVAILABLE);
	assert_int_equal(pool_maintain(f->pool, &f->op, &f->err), CS_OK);
	pool_release(f->pool, lease, true);
	assert_int_equal(f->fake.closed, 1);
	assert_int_equal(pool_drain(f->pool, &f->op, &f->err), CS_OK);
}

/* All at once. */

#define THREADS 12
#define ROUNDS  400
#define MOST    3

struct crowd {
	struct fixture *f;
	atomic_int lent, most_lent;
	atomic_bool failed;
};

static void *come_and_go(void *self)
{
	struct crowd *crowd = self;

	for (int i = 0; i < ROUNDS; i++) {
		struct op op = crowd->f->op;
		struct pool_lease lease;
		struct cs_error err;
		int lent, most;

		if (i % 7 == 0)
			op.deadline_ns = clock_mono_ns() + i * 1000;
		if (pool_acquire(crowd->f->pool, &op, &lease, &err) != CS_OK) {
			if (err.status != CS_TIMEOUT)
				crowd->failed = true;
			continue;
		}
		lent = ++crowd->lent;
		most = crowd->most_lent;
		while (lent > most && !atomic_compare_exchange_weak(&crowd->most_lent, &most, lent))
			;
		/* The connection is ours alone: a race on it is the sanitizer's to see. */
		++*(int *)lease.connection;
		--crowd->lent;
		pool_release(crowd->f->pool, lease, i % 5 != 0);
	}
	return NULL;
}

static void a_crowd_never_has_more_than_max(void **state)
{
	struct fixture *f = *state;
	struct crowd crowd = {.f = f};
	pthread_t threads[THREADS];

	open_pool(f, (struct pool_options){.min = 1, .max = MOST, .check_after_idle_ms = 0});
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
	for (int i = 0; i < 50; i++)
		(void)!pool_maintain(f->pool, &f->op, &f->err);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_false(crowd.failed);
	assert_true(crowd.most_lent <= MOST);
	assert_int_equal(stats_of(f).in_use, 0);
	assert_int_equal(stats_of(f).waiting, 0);
	assert_int_equal(stats_of(f).acquisitions + stats_of(f).timeouts, THREADS * ROUNDS);
}

#define POOL_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		POOL_TEST(nothing_is_opened_before_it_is_needed_and_the_last_used_is_lent_first),
		POOL_TEST(a_connection_given_back_as_useless_is_closed),
		POOL_TEST(options_that_make_no_sense_are_refused),
		POOL_TEST(who_waits_longest_is_served_first_and_nobody_overtakes),
		POOL_TEST(the_place_of_a_closed_connection_goes_to_who_waits),
		POOL_TEST(who_was_handed_a_dead_connection_keeps_its_turn),
		POOL_TEST(a_server_that_is_down_fails_each_who_waits),
		POOL_TEST(waiting_ends_at_the_deadline_the_timeout_or_the_cancellation),
		POOL_TEST(an_idle_connection_is_asked_whether_it_lives),
		POOL_TEST(a_connection_ends_with_its_lifetime_less_some_jitter),
		POOL_TEST(what_was_opened_before_a_renewal_is_not_lent_again),
		POOL_TEST(an_idle_pool_comes_to_have_exactly_min),
		POOL_TEST(draining_sends_waiters_away_and_waits_for_what_is_lent),
		POOL_TEST(a_crowd_never_has_more_than_max),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
