/* See kv_cache.h. The data structure is port/hot_keys.h; here stands when it may be used.
 *
 * Invariant: an entry that is served was read behind a ticket that was taken while the cache was open, and since then
 * nobody published the key, cleared the shard or closed the cache. Both open and close clear: a fill whose ticket is from
 * before either is dropped, so what was read while nobody told of changes is never found once somebody does.
 *
 * Expiry. The server says how many milliseconds are left when it answers, which is at the earliest when we asked: the
 * value is kept until then plus what is left, so it is gone here no later than there. */
#include "remote/kv_cache.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "port/hot_keys.h"

#define NS_PER_MS INT64_C(1000000)
#define SHARDS    8
#define BYTES_MAX (8u << 20)
#define VALUE_MAX (BYTES_MAX / SHARDS / 8)

struct kv_cache {
	struct kv_cache_options options;
	struct hot_keys *keys;
	struct kv_cache_listener listener;
	_Atomic int64_t open_until_ns; /* 0: closed */
	struct metric_series *hits, *misses, *bypasses;
	struct metric_series *written, *told, *lost, *flushed;
	struct metrics_collector collector;
};

static void collect(void *self)
{
	const struct kv_cache *c = self;
	struct hot_keys_stats stats;

	hot_keys_stats(c->keys, &stats);
	metric_set(metric_series(METRIC_STATE_CACHE_ENTRIES, S("")), (int64_t)stats.keys);
	metric_set(metric_series(METRIC_MEMORY, S("state_cache")), (int64_t)stats.bytes);
	metric_set_total(metric_series(METRIC_STATE_CACHE_EVICTIONS, S("")), (int64_t)stats.evictions);
}

enum cs_status kv_cache_new(const struct kv_cache_options *options, struct kv_cache **ret_cache, struct cs_error *err)
{
	const struct hot_keys_options keys = {
		/* Fewer keys than shards would leave a shard without room. */
		.shards = options->entries_max < 16 * SHARDS ? 1 : SHARDS,
		.entries_max = options->entries_max,
		.bytes_max = BYTES_MAX,
		.value_max = VALUE_MAX,
	};
	struct kv_cache *c = calloc(1, sizeof *c);
	enum cs_status status;

	if (!c)
		return cs_fail_memory(err);
	status = hot_keys_new(&keys, &c->keys, err);
	if (status != CS_OK) {
		free(c);
		return status;
	}
	c->options = *options;
	c->hits = metric_series(METRIC_STATE_CACHE, S("hit"));
	c->misses = metric_series(METRIC_STATE_CACHE, S("miss"));
	c->bypasses = metric_series(METRIC_STATE_CACHE, S("bypass"));
	c->written = metric_series(METRIC_STATE_CACHE_INVALIDATIONS, S("write"));
	c->told = metric_series(METRIC_STATE_CACHE_INVALIDATIONS, S("told"));
	c->lost = metric_series(METRIC_STATE_CACHE_INVALIDATIONS, S("lost"));
	c->flushed = metric_series(METRIC_STATE_CACHE_INVALIDATIONS, S("flush"));
	c->collector = (struct metrics_collector){.collect = collect, .self = c};
	metrics_collector_add(&c->collector);
	*ret_cache = c;
	return CS_OK;
}

void kv_cache_free(struct kv_cache *c)
{
	if (!c)
		return;
	metrics_collector_remove(&c->collector);
	hot_keys_free(c->keys);
	free(c);
}

void kv_cache_set_listener(struct kv_cache *c, struct kv_cache_listener listener)
{
	c->listener = listener;
}

void kv_cache_open(struct kv_cache *c, int64_t until_ns)
{
	hot_keys_clear(c->keys);
	atomic_store_explicit(&c->open_until_ns, until_ns, memory_order_release);
}

void kv_cache_trust(struct kv_cache *c, int64_t until_ns)
{
	atomic_store_explicit(&c->open_until_ns, until_ns, memory_order_release);
}

void kv_cache_close(struct kv_cache *c)
{
	if (atomic_exchange_explicit(&c->open_until_ns, 0, memory_order_acq_rel) != 0)
		metric_add(c->lost, 1);
	hot_keys_clear(c->keys);
}

void kv_cache_forget_all(struct kv_cache *c)
{
	metric_add(c->flushed, 1);
	hot_keys_clear(c->keys);
}

static void forget(struct kv_cache *c, const struct kv_key *key, struct metric_series *cause)
{
	struct hot_key hot;

	if (!hot_key_make(c->keys, key, &hot))
		return; /* too long to be kept */
	metric_add(cause, 1);
	hot_keys_publish(c->keys, &hot, NULL);
}

void kv_cache_forget(struct kv_cache *c, const struct kv_key *key)
{
	forget(c, key, c->told);
}

static bool is_open_at(const struct kv_cache *c, int64_t now_ns)
{
	return now_ns < atomic_load_explicit(&c->open_until_ns, memory_order_acquire);
}

static bool is_told_all(const struct kv_cache *c)
{
	return !c->listener.has_told_all || c->listener.has_told_all(c->listener.self);
}

bool kv_cache_is_open(const struct kv_cache *c)
{
	return is_open_at(c, clock_mono_ns());
}

size_t kv_cache_count(struct kv_cache *c)
{
	struct hot_keys_stats stats;

	hot_keys_stats(c->keys, &stats);
	return stats.keys;
}

/* What the server said at the earliest at asked_ms, as an entry; NULL without memory. */
static struct hot_value *value_of(
	const struct kv_cache *c, int64_t asked_ms, enum cs_status status, const struct kv_entry *entry)
{
	struct hot_value *value = status == CS_OK ? hot_value_new(entry->content) : hot_value_new_absent();

	if (!value)
		return NULL;
	value->good_until_ms = asked_ms + c->options.age_max_ms;
	if (status != CS_OK)
		return value;
	value->version = entry->version;
	value->characters = entry->characters;
	if (entry->ttl_ms != KV_TTL_NONE) {
		value->expires_at_ms = asked_ms + entry->ttl_ms;
		if (value->expires_at_ms < value->good_until_ms)
			value->good_until_ms = value->expires_at_ms;
	}
	return value;
}

static enum cs_status ask(struct kv_cache *c, struct op *op, const struct kv_key *key, const struct hot_key *hot,
	struct kv_entry *ret_entry, struct cs_error *err)
{
	const struct kv_port *inner = &c->options.inner;
	uint64_t ticket = hot_keys_ticket(c->keys, hot);
	int64_t asked_ms = clock_mono_ns() / NS_PER_MS;
	enum cs_status status = inner->get(inner->self, op, key, ret_entry, err);

	if (status != CS_WOULD_WAIT)
		metric_add(c->misses, 1);
	if (status == CS_OK || status == CS_KEY_NOT_FOUND) {
		struct hot_value *value = value_of(c, asked_ms, status, ret_entry);

		hot_keys_fill(c->keys, hot, ticket, value);
		hot_value_release(value);
	}
	return status;
}

static enum cs_status get(
	void *self, struct op *op, const struct kv_key *key, struct kv_entry *ret_entry, struct cs_error *err)
{
	struct kv_cache *c = self;
	int64_t now_ns = clock_mono_ns();
	struct hot_value *value;
	struct hot_key hot;
	enum cs_status status;

	/* Before the look-up: what was told until now is then not found there. */
	if (!is_open_at(c, now_ns) || !is_told_all(c) || !hot_key_make(c->keys, key, &hot)) {
		status = c->options.inner.get(c->options.inner.self, op, key, ret_entry, err);
		if (status != CS_WOULD_WAIT)
			metric_add(c->bypasses, 1);
		return status;
	}
	value = hot_keys_get(c->keys, &hot);
	if (!value || now_ns / NS_PER_MS >= value->good_until_ms) {
		hot_value_release(value);
		return ask(c, op, key, &hot, ret_entry, err);
	}
	metric_add(c->hits, 1);
	if (value->absent)
		status = kv_fail_not_found(key, err);
	else
		status = hot_value_entry(value, now_ns / NS_PER_MS, op->arena, ret_entry, err);
	hot_value_release(value);
	return status;
}

static enum cs_status put(
	void *self, struct op *op, const struct kv_write *write, struct kv_entry *ret_entry, struct cs_error *err)
{
	struct kv_cache *c = self;
	enum cs_status status = c->options.inner.put(c->options.inner.self, op, write, ret_entry, err);

	if (status != CS_WOULD_WAIT)
		forget(c, &write->key, c->written);
	return status;
}

static enum cs_status take_away(
	void *self, struct op *op, const struct kv_key *key, int64_t if_version, struct cs_error *err)
{
	struct kv_cache *c = self;
	enum cs_status status = c->options.inner.remove(c->options.inner.self, op, key, if_version, err);

	if (status != CS_WOULD_WAIT)
		forget(c, key, c->written);
	return status;
}

static enum cs_status list(void *self, struct op *op, const struct kv_key *owner, struct slice after, size_t limit,
	struct kv_page *ret_page, struct cs_error *err)
{
	const struct kv_cache *c = self;

	return c->options.inner.list(c->options.inner.self, op, owner, after, limit, ret_page, err);
}

struct kv_port kv_cache_port(struct kv_cache *c)
{
	return (struct kv_port){.self = c, .get = get, .put = put, .remove = take_away, .list = list};
}
