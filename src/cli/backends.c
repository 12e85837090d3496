/* From settings to servers. */
#include "cli/backends.h"

#include "base/log.h"

#define PAUSE_MIN_MS 500 /* between two looks at a server that is down, at first */
#define DRAIN_NS     INT64_C(1000000000)

struct redis_kv_options backends_redis_options(const struct config *config)
{
	const struct slice url = config_str(config, SETTING_REDIS_URL);

	return (struct redis_kv_options){
		.url = url,
		.password = config_str(config, SETTING_REDIS_PASSWORD),
		.pool_min = (unsigned)config_int(config, SETTING_REDIS_POOL_MIN),
		.pool_max = (unsigned)config_int(config, SETTING_REDIS_POOL_MAX),
		.max_idle_ms = config_int(config, SETTING_REDIS_IDLE_TIMEOUT) * 1000,
		.lifetime_ms = config_int(config, SETTING_REDIS_LIFETIME) * 1000,
		.acquire_timeout_ms = config_int(config, SETTING_REDIS_ACQUIRE_TIMEOUT),
		.connect_timeout_ms = config_int(config, SETTING_REDIS_CONNECT_TIMEOUT),
		.command_timeout_ms = config_int(config, SETTING_REDIS_COMMAND_TIMEOUT),
		/* A server that is not there has no series either. */
		.wait_time = url.len > 0 ? metric_series(METRIC_POOL_WAIT, S("redis")) : NULL,
	};
}

static enum log_level good_news(const struct backends *b)
{
	return b->people ? LOG_INFO : LOG_DEBUG;
}

/* Once for each change. The health thread sleeps until the next check, which a change may bring nearer. */
static void on_change(void *self, const struct guard_change *change)
{
	struct backends *b = self;
	struct health *health = atomic_load(&b->health);

	if (change->up)
		log_write(good_news(b), "a server can be used again", log_str("backend", slice_cstr(change->name)),
			log_str("address", change->address), log_f64("down_s", (double)change->down_ms / 1000),
			LOG_END);
	else
		log_write(LOG_WARNING, "a server cannot be used; calls that need it fail until it can",
			log_str("backend", slice_cstr(change->name)), log_str("address", change->address),
			log_str("reason", slice_cstr(change->why)), LOG_END);
	if (health)
		health_poke(health);
}

static void on_tracking(void *self, bool open, const char *why)
{
	const struct backends *b = self;

	if (open)
		log_write(good_news(b), "agent state is cached", log_str("address", redis_kv_shown(b->redis)), LOG_END);
	else
		log_write(good_news(b), "agent state is not cached while changes by others are not told",
			log_str("address", redis_kv_shown(b->redis)), log_str("reason", slice_cstr(why)), LOG_END);
}

/* On the thread of a call that was refused, or of the health checks. */
static void on_look(void *self, enum redis_role found)
{
	const struct backends *b = self;

	if (found != REDIS_REPLICA && b->tracking)
		tracking_renew(b->tracking);
	if (found == REDIS_REPLICA)
		log_write(LOG_WARNING,
			"agent state is on a read-only replica; writes fail until its address leads to the primary",
			log_str("address", redis_kv_shown(b->redis)), LOG_END);
	else if (found == REDIS_PRIMARY)
		log_write(good_news(b),
			"the address of agent state leads to a primary again, which is used from now on",
			log_str("address", redis_kv_shown(b->redis)), LOG_END);
}

static void add_status(void *self, struct backend_status *status)
{
	struct backends *b = self;
	struct pool_stats stats;

	redis_kv_pool_stats(b->redis, &stats);
	status->has_pool = true;
	status->pool = (struct backend_pool){.open = stats.size,
		.in_use = stats.in_use,
		.waiting = stats.waiting,
		.min = b->pool_min,
		.max = b->pool_max,
		.wait_ns_max = stats.wait_ns_max};
	status->has_cache = b->cache != NULL;
	if (b->cache) {
		status->cache_open = kv_cache_is_open(b->cache);
		status->cached = kv_cache_count(b->cache);
	}
}

static void collect(void *self)
{
	const struct backends *b = self;
	struct pool_stats stats;

	redis_kv_pool_stats(b->redis, &stats);
	metric_set(metric_series(METRIC_POOL_CONNECTIONS, S("redis,idle")), stats.idle);
	metric_set(metric_series(METRIC_POOL_CONNECTIONS, S("redis,in_use")), stats.in_use);
	metric_set(metric_series(METRIC_POOL_WAITING, S("redis")), stats.waiting);
	metric_set(metric_series(METRIC_POOL_WAIT_MAX, S("redis")), stats.wait_ns_max);
}

static struct guard_options guard_options_of(struct backends *b, const struct config *config)
{
	const struct redis_kv_options redis = backends_redis_options(config);

	return (struct guard_options){
		.name = "redis",
		.role = "agent state",
		.address = redis_kv_shown(b->redis),
		.breaker = {.failures_max = (unsigned)config_int(config, SETTING_BREAKER_FAILURES),
			.pause_min_ms = PAUSE_MIN_MS,
			.pause_max_ms = config_int(config, SETTING_BREAKER_PAUSE_MAX) * 1000,
			.probe_max_ms = redis.acquire_timeout_ms + redis.connect_timeout_ms + redis.command_timeout_ms},
		.changed = on_change,
		.self = b,
		.more = add_status,
		.more_self = b,
	};
}

enum cs_status backends_open(struct backends *b, const struct config *config, struct cs_error *err)
{
	struct redis_kv_options redis = backends_redis_options(config);
	struct guard_options guard;
	enum cs_status status;

	*b = (struct backends){.pool_min = redis.pool_min, .pool_max = redis.pool_max};
	if (redis.url.len == 0)
		return CS_OK;
	if (redis.pool_min > redis.pool_max)
		return cs_fail(err, CS_VALIDATION, "redis-pool-min (%u) is more than redis-pool-max (%u)",
			redis.pool_min, redis.pool_max);
	redis.looked = on_look;
	redis.self = b;
	status = redis_kv_new(&redis, &b->redis, err);
	if (status != CS_OK)
		return status;
	guard = guard_options_of(b, config);
	status = guard_new(&guard, &b->guard, err);
	if (status != CS_OK) {
		backends_close(b);
		return status;
	}
	b->breaker = (struct kv_breaker){redis_kv_port(b->redis), b->guard};
	b->collector = (struct metrics_collector){.collect = collect, .self = b};
	metrics_collector_add(&b->collector);
	return CS_OK;
}

static enum cs_status ping(void *self, struct op *op, struct cs_error *err)
{
	return redis_kv_ping(((struct backends *)self)->redis, op, err);
}

static enum cs_status maintain(void *self, struct op *op, struct cs_error *err)
{
	return redis_kv_maintain(((struct backends *)self)->redis, op, err);
}

static enum cs_status start_cache(struct backends *b, const struct config *config, struct cs_error *err)
{
	const struct kv_cache_options cache = {.inner = kv_breaker_port(&b->breaker),
		.entries_max = (size_t)config_int(config, SETTING_STATE_CACHE_ENTRIES),
		.age_max_ms = config_int(config, SETTING_STATE_CACHE_AGE) * 1000};
	struct tracking_options tracking = {.client = redis_kv_client(b->redis), .changed = on_tracking, .self = b};
	enum cs_status status;

	if (cache.entries_max == 0)
		return CS_OK;
	status = kv_cache_new(&cache, &b->cache, err);
	if (status != CS_OK)
		return status;
	tracking.cache = b->cache;
	return tracking_new(&tracking, &b->tracking, err);
}

static void stop_cache(struct backends *b)
{
	tracking_free(b->tracking);
	kv_cache_free(b->cache);
	b->tracking = NULL;
	b->cache = NULL;
}

enum cs_status backends_start(struct backends *b, const struct config *config, bool people, struct cs_error *err)
{
	const struct redis_kv_options redis = backends_redis_options(config);
	const struct health_target target = {.guard = b->guard, .self = b, .ping = ping, .maintain = maintain};
	const struct health_options watch = {.period_ms = config_int(config, SETTING_HEALTH_PERIOD) * 1000,
		.timeout_ms = redis.connect_timeout_ms + redis.command_timeout_ms,
		.targets = &target,
		.count = 1};
	struct health *health;
	enum cs_status status;

	if (!b->redis)
		return CS_OK;
	b->people = people;
	status = start_cache(b, config, err);
	if (status == CS_OK)
		status = health_new(&watch, &health, err);
	if (status != CS_OK) {
		stop_cache(b);
		return status;
	}
	atomic_store(&b->health, health);
	return CS_OK;
}

void backends_attach(struct backends *b, struct store *store)
{
	if (!b->redis)
		return;
	store->kv = b->cache ? kv_cache_port(b->cache) : kv_breaker_port(&b->breaker);
	store->backends[store->backend_count++] = guard_backend(b->guard);
}

void backends_close(struct backends *b)
{
	struct health *health = atomic_exchange(&b->health, NULL);
	struct arena arena;
	struct op op = {.arena = &arena,
		.principal = &principal_anonymous,
		.deadline_ns = clock_mono_ns() + DRAIN_NS,
		.may_wait = true};

	metrics_collector_remove(&b->collector);
	health_free(health);
	stop_cache(b);
	if (b->redis) {
		arena_init(&arena, NULL, 0, 1u << 20);
		(void)!redis_kv_drain(b->redis, &op, NULL); /* no call is running: nothing is out */
		arena_release(&arena);
	}
	guard_free(b->guard);
	redis_kv_free(b->redis);
	*b = (struct backends){0};
}
