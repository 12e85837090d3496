/* The pool: one lock, a list of idle connections, a queue of waiters.
 *
 * `open` counts what is idle, lent or being opened, and never passes `max`. Whoever is to open a connection takes its place
 * in `open` first and then connects without the lock, so a slow server holds up only those who need a new connection.
 * When a place becomes free without a connection (one was closed, or could not be opened), the first waiter gets the
 * place and opens one itself: a server that is back is noticed by the first who needs it.
 *
 * Every place that is given away wakes exactly the waiter it was given to. Cancellation is only a flag in the op, so a
 * waiter looks at it every LOOK_MS.
 *
 * Idle connections form a list, last used first: lending takes the head, age is at the tail. */
#include "remote/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/wait.h"

#define LOOK_MS 50
#define MS_NS   INT64_C(1000000)

struct pool_slot {
	struct pool_slot *newer, *older; /* among the idle */
	void *connection;
	int64_t idle_since_ns;
	int64_t expires_at_ns; /* INT64_MAX */
	unsigned generation;
	bool spent; /* when it was lent: too old */
};

enum outcome { NOTHING_YET, A_CONNECTION, A_PLACE, A_REFUSAL };

struct pool_waiter {
	struct pool_waiter *next;
	pthread_cond_t served;
	enum outcome got;
	struct pool_slot *slot;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t came_back; /* for pool_drain */
	struct pool_options options;
	struct pool_hooks hooks;
	struct pool_slot *newest, *oldest; /* idle */
	struct pool_waiter *first, **last;
	unsigned open, idle, waiting;
	unsigned generation; /* pool_renew's calls */
	bool draining;
	uint64_t random;
	atomic_uint_least64_t acquisitions; /* counted without the lock, which every borrow would take for it alone */
	struct pool_stats stats;            /* the counters; sizes are made when asked */
	char name[];
};

static enum cs_status check_options(const struct pool_options *o, struct cs_error *err)
{
	if (o->max < 1 || o->max > POOL_MAX)
		return cs_fail(err, CS_VALIDATION, "a pool has 1 to %d connections, not %u", POOL_MAX, o->max);
	if (o->min > o->max)
		return cs_fail(err, CS_VALIDATION, "a pool cannot keep %u connections open and have at most %u", o->min,
			o->max);
	return CS_OK;
}

enum cs_status pool_new(const struct pool_options *options, const struct pool_hooks *hooks, struct pool **ret_pool,
	struct cs_error *err)
{
	enum cs_status status = check_options(options, err);
	struct pool *p;

	if (status != CS_OK)
		return status;
	p = calloc(1, sizeof *p + options->name.len + 1);
	if (!p)
		return cs_fail_memory(err);
	p->options = *options;
	p->hooks = *hooks;
	p->last = &p->first;
	if (options->name.len)
		memcpy(p->name, options->name.ptr, options->name.len);
	p->options.name = slice_of(p->name, options->name.len);
	/* Only lifetimes hang on it: the clock will do where the kernel has nothing better. */
	if (getrandom(&p->random, sizeof p->random, GRND_NONBLOCK) != (ssize_t)sizeof p->random)
		p->random = (uint64_t)clock_mono_ns();
	pthread_mutex_init(&p->lock, NULL);
	wait_cond_init(&p->came_back);
	*ret_pool = p;
	return CS_OK;
}

/* The idle list. All of these hold the lock. */

static void idle_push(struct pool *p, struct pool_slot *slot)
{
	slot->newer = NULL;
	slot->older = p->newest;
	*(p->newest ? &p->newest->newer : &p->oldest) = slot;
	p->newest = slot;
	p->idle++;
}

static void idle_take(struct pool *p, struct pool_slot *slot)
{
	*(slot->newer ? &slot->newer->older : &p->newest) = slot->older;
	*(slot->older ? &slot->older->newer : &p->oldest) = slot->newer;
	p->idle--;
}

static bool is_spent(const struct pool *p, const struct pool_slot *slot, int64_t now_ns)
{
	return now_ns >= slot->expires_at_ns || slot->generation != p->generation;
}

static struct pool_slot *idle_take_newest(struct pool *p)
{
	struct pool_slot *slot = p->newest;

	idle_take(p, slot);
	slot->spent = is_spent(p, slot, clock_mono_ns());
	return slot;
}

/* Waiters. All of these hold the lock. */

static void serve(struct pool *p, enum outcome got, struct pool_slot *slot)
{
	struct pool_waiter *w = p->first;

	p->first = w->next;
	if (!p->first)
		p->last = &p->first;
	p->waiting--;
	w->slot = slot;
	w->got = got;
	pthread_cond_signal(&w->served);
}

static void leave_queue(struct pool *p, struct pool_waiter *w)
{
	struct pool_waiter **at = &p->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (!w->next)
		p->last = at;
	p->waiting--;
}

/* A connection is no more, or could not be opened: its place goes to who waits longest. */
static void give_place(struct pool *p)
{
	if (p->first && !p->draining) {
		serve(p, A_PLACE, NULL);
		return;
	}
	p->open--;
	if (p->draining)
		pthread_cond_broadcast(&p->came_back);
}

/* Connections. None of these hold the lock. */

static void close_slot(struct pool *p, struct pool_slot *slot)
{
	p->hooks.close(p->hooks.self, slot->connection);
	free(slot);
	pthread_mutex_lock(&p->lock);
	p->stats.closed++;
	give_place(p);
	pthread_mutex_unlock(&p->lock);
}

/* Closes a chain linked by `older`. */
static void close_all(struct pool *p, struct pool_slot *chain)
{
	while (chain) {
		struct pool_slot *next = chain->older;

		close_slot(p, chain);
		chain = next;
	}
}

/* splitmix64. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* Holds the lock. */
static int64_t expiry(struct pool *p, int64_t now_ns)
{
	int64_t lifetime_ms = p->options.lifetime_ms;
	int64_t jitter_ms = lifetime_ms * POOL_JITTER_PERCENT / 100;

	if (lifetime_ms == 0)
		return INT64_MAX;
	if (jitter_ms > 0)
		lifetime_ms -= (int64_t)(next_random(&p->random) % (uint64_t)(jitter_ms + 1));
	return now_ns + lifetime_ms * MS_NS;
}

/* In a place that the caller holds; a failure gives it on. */
static enum cs_status open_slot(struct pool *p, struct op *op, struct pool_slot **ret_slot, struct cs_error *err)
{
	struct pool_slot *slot = calloc(1, sizeof *slot);
	unsigned generation;
	enum cs_status status;

	/* Before it connects: what is renewed meanwhile may be just where this one leads to. */
	pthread_mutex_lock(&p->lock);
	generation = p->generation;
	pthread_mutex_unlock(&p->lock);
	status = slot ? p->hooks.connect(p->hooks.self, op, &slot->connection, err) : cs_fail_memory(err);
	pthread_mutex_lock(&p->lock);
	if (status == CS_OK) {
		p->stats.created++;
		slot->generation = generation;
		slot->idle_since_ns = clock_mono_ns();
		slot->expires_at_ns = expiry(p, slot->idle_since_ns);
	} else {
		p->stats.connect_failures++;
		give_place(p);
	}
	pthread_mutex_unlock(&p->lock);
	if (status == CS_OK)
		*ret_slot = slot;
	else
		free(slot);
	return status;
}

/* Waiting. */

/* Until served, or LOOK_MS or `until_ns` are over; holds the lock. */
static void wait_a_little(struct pool *p, pthread_cond_t *cond, int64_t until_ns)
{
	int64_t look_ns = clock_mono_ns() + LOOK_MS * MS_NS;

	(void)wait_until(cond, &p->lock, look_ns < until_ns ? look_ns : until_ns);
}

static enum cs_status draining(const struct pool *p, struct cs_error *err)
{
	return cs_fail(err, CS_UNAVAILABLE, "%s is not asked any more: shutting down", p->name);
}

/* Why a waiter goes without, or CS_OK to wait on. */
static enum cs_status waited_enough(const struct pool *p, const struct op *op, int64_t until_ns, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);

	if (status == CS_TIMEOUT)
		return cs_fail(err, CS_TIMEOUT,
			"no connection to %s became free in the time allowed for this call (%u in use)", p->name,
			p->open - p->idle);
	if (clock_mono_ns() >= until_ns)
		return cs_fail(err, CS_UNAVAILABLE,
			"no connection to %s became free within %lld ms: all %u are in use and %u calls wait", p->name,
			(long long)p->options.acquire_timeout_ms, p->options.max, p->waiting);
	return CS_OK;
}

/* Holds the lock. */
static enum cs_status wait_in_queue(
	struct pool *p, const struct op *op, enum outcome *ret_got, struct pool_slot **ret_slot, struct cs_error *err)
{
	struct pool_waiter w = {.got = NOTHING_YET};
	int64_t began_ns = clock_mono_ns(), took_ns;
	int64_t limit_ns =
		p->options.acquire_timeout_ms ? began_ns + p->options.acquire_timeout_ms * MS_NS : OP_NO_DEADLINE;
	int64_t until_ns = op->deadline_ns < limit_ns ? op->deadline_ns : limit_ns;
	enum cs_status status = CS_OK;

	wait_cond_init(&w.served);
	*p->last = &w;
	p->last = &w.next;
	p->waiting++;
	p->stats.waits++;
	while (w.got == NOTHING_YET) {
		status = waited_enough(p, op, limit_ns, err);
		if (status != CS_OK) {
			leave_queue(p, &w);
			p->stats.timeouts++;
			break;
		}
		wait_a_little(p, &w.served, until_ns);
	}
	pthread_cond_destroy(&w.served);
	took_ns = clock_mono_ns() - began_ns;
	if (p->options.wait_time)
		metric_observe_ns(p->options.wait_time, took_ns);
	p->stats.wait_ns_total += took_ns;
	if (took_ns > p->stats.wait_ns_max)
		p->stats.wait_ns_max = took_ns;
	if (w.got == NOTHING_YET)
		return status;
	if (w.got == A_REFUSAL)
		return draining(p, err);
	*ret_got = w.got;
	*ret_slot = w.slot;
	return CS_OK;
}

/* An idle connection, or the right to open one. */
static enum cs_status claim(
	struct pool *p, const struct op *op, enum outcome *ret_got, struct pool_slot **ret_slot, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);

	pthread_mutex_lock(&p->lock);
	if (status != CS_OK) {
		p->stats.timeouts++;
	} else if (p->draining) {
		status = draining(p, err);
	} else if (p->newest) {
		/* Nobody can be waiting: whatever comes back is handed to them. */
		*ret_slot = idle_take_newest(p);
		*ret_got = A_CONNECTION;
	} else if (p->open < p->options.max) {
		p->open++;
		*ret_got = A_PLACE;
	} else {
		status = wait_in_queue(p, op, ret_got, ret_slot, err);
	}
	pthread_mutex_unlock(&p->lock);
	return status;
}

static bool is_usable(struct pool *p, struct op *op, struct pool_slot *slot)
{
	if (slot->spent)
		return false;
	if (!p->hooks.check || clock_mono_ns() - slot->idle_since_ns < p->options.check_after_idle_ms * MS_NS)
		return true;
	return p->hooks.check(p->hooks.self, op, slot->connection);
}

/* For a useless connection another idle one, or its place: who waited for it does not queue again. */
static enum outcome exchange(struct pool *p, struct pool_slot **slot)
{
	enum outcome got = A_PLACE;

	p->hooks.close(p->hooks.self, (*slot)->connection);
	free(*slot);
	*slot = NULL;
	pthread_mutex_lock(&p->lock);
	p->stats.closed++;
	if (p->newest) {
		p->open--;
		got = A_CONNECTION;
		*slot = idle_take_newest(p);
	}
	pthread_mutex_unlock(&p->lock);
	return got;
}

enum cs_status pool_acquire(struct pool *p, struct op *op, struct pool_lease *ret_lease, struct cs_error *err)
{
	enum outcome got = NOTHING_YET;
	struct pool_slot *slot = NULL;
	enum cs_status status;

	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "%s", cs_status_text(CS_WOULD_WAIT));
	status = claim(p, op, &got, &slot, err);
	if (status != CS_OK)
		return status;
	/* Each round closes a connection that is of no use, so there are at most as many as were idle. */
	while (got == A_CONNECTION && !is_usable(p, op, slot))
		got = exchange(p, &slot);
	if (got == A_PLACE)
		status = open_slot(p, op, &slot, err);
	if (status != CS_OK)
		return status;
	assert(slot);
	atomic_fetch_add_explicit(&p->acquisitions, 1, memory_order_relaxed);
	*ret_lease = (struct pool_lease){.connection = slot->connection, .slot = slot, .fresh = got == A_PLACE};
	return CS_OK;
}

void pool_release(struct pool *p, struct pool_lease lease, bool reusable)
{
	struct pool_slot *slot = lease.slot;
	int64_t now_ns = clock_mono_ns();

	pthread_mutex_lock(&p->lock);
	reusable = reusable && !p->draining && !is_spent(p, slot, now_ns);
	if (reusable) {
		slot->idle_since_ns = now_ns;
		if (p->first)
			serve(p, A_CONNECTION, slot);
		else
			idle_push(p, slot);
	}
	pthread_mutex_unlock(&p->lock);
	if (!reusable)
		close_slot(p, slot);
}

/* Takes from the idle what is spent, and from the oldest on what was idle too long while more than `min` are open. */
static struct pool_slot *take_surplus(struct pool *p)
{
	int64_t now_ns = clock_mono_ns();
	int64_t idle_ns = p->options.max_idle_ms * MS_NS;
	struct pool_slot *taken = NULL, *newer;
	unsigned left;

	pthread_mutex_lock(&p->lock);
	left = p->open;
	for (struct pool_slot *slot = p->oldest; slot; slot = newer) {
		bool idle_too_long = idle_ns > 0 && left > p->options.min && now_ns - slot->idle_since_ns >= idle_ns;

		newer = slot->newer;
		if (!idle_too_long && !is_spent(p, slot, now_ns))
			continue;
		idle_take(p, slot);
		slot->older = taken;
		taken = slot;
		left--;
	}
	pthread_mutex_unlock(&p->lock);
	return taken;
}

/* A place below `min`, if there is one. */
static bool claim_missing(struct pool *p)
{
	bool missing;

	pthread_mutex_lock(&p->lock);
	missing = !p->draining && p->open < p->options.min;
	p->open += missing;
	pthread_mutex_unlock(&p->lock);
	return missing;
}

enum cs_status pool_maintain(struct pool *p, struct op *op, struct cs_error *err)
{
	close_all(p, take_surplus(p));
	while (claim_missing(p)) {
		struct pool_slot *slot;
		enum cs_status status = open_slot(p, op, &slot, err);

		if (status != CS_OK)
			return status;
		pool_release(p, (struct pool_lease){.slot = slot}, true);
	}
	return CS_OK;
}

void pool_renew(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->generation++;
	pthread_mutex_unlock(&p->lock);
}

/* The lock is held and given back. */
static void close_idle(struct pool *p)
{
	struct pool_slot *chain = p->newest;

	p->newest = p->oldest = NULL;
	p->idle = 0;
	pthread_mutex_unlock(&p->lock);
	close_all(p, chain);
}

enum cs_status pool_drain(struct pool *p, struct op *op, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	pthread_mutex_lock(&p->lock);
	p->draining = true;
	while (p->first)
		serve(p, A_REFUSAL, NULL);
	close_idle(p);
	pthread_mutex_lock(&p->lock);
	while (p->open > 0 && status == CS_OK) {
		status = op_check(op, err);
		if (status == CS_OK)
			wait_a_little(p, &p->came_back, op->deadline_ns);
		else
			status = cs_fail(err, CS_TIMEOUT, "%u connections to %s are still in use", p->open, p->name);
	}
	pthread_mutex_unlock(&p->lock);
	return status;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	assert(p->open == p->idle && !p->first);
	p->draining = true;
	close_idle(p);
	pthread_cond_destroy(&p->came_back);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void pool_stats(struct pool *p, struct pool_stats *ret_stats)
{
	pthread_mutex_lock(&p->lock);
	*ret_stats = p->stats;
	ret_stats->acquisitions = atomic_load_explicit(&p->acquisitions, memory_order_relaxed);
	ret_stats->size = p->open;
	ret_stats->idle = p->idle;
	ret_stats->in_use = p->open - p->idle;
	ret_stats->waiting = p->waiting;
	pthread_mutex_unlock(&p->lock);
}
