/* Kept in port/hot_keys.h, which has shards, a list by last use and counted values: its key is a hash of the question, its
 * value the question, head and tail one behind the other, its version the generation. */
#include "store/query_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/metrics.h"
#include "port/hot_keys.h"

#define SHARDS    8
#define VALUE_PER 8 /* one answer takes at most this part of its shard */

struct query_cache {
	struct hot_keys *answers;
	int64_t age_ms;
	struct metric_series *hits, *misses;
	struct metrics_collector collector;
};

/* What a value begins with. */
struct layout {
	uint32_t question, head;
};

static void collect(void *self)
{
	struct query_cache *c = self;
	struct hot_keys_stats stats;

	hot_keys_stats(c->answers, &stats);
	metric_set(metric_series(METRIC_QUERIES_CACHED, S("")), (int64_t)stats.keys);
	metric_set(metric_series(METRIC_MEMORY, S("query_cache")), (int64_t)stats.bytes);
	metric_set_total(metric_series(METRIC_QUERY_EVICTIONS, S("")), (int64_t)stats.evictions);
}

enum cs_status query_cache_new(
	const struct query_cache_options *options, struct query_cache **ret_cache, struct cs_error *err)
{
	size_t shards = options->entries_max < SHARDS ? options->entries_max : SHARDS;
	size_t bytes = options->bytes_max ? options->bytes_max : QUERY_CACHE_BYTES;
	const struct hot_keys_options inner = {.shards = shards,
		.entries_max = options->entries_max,
		.bytes_max = bytes,
		.value_max = bytes / shards / VALUE_PER};
	struct query_cache *c = calloc(1, sizeof *c);
	enum cs_status status = c ? hot_keys_new(&inner, &c->answers, err) : cs_fail_memory(err);

	if (status != CS_OK) {
		free(c);
		return status;
	}
	c->age_ms = options->age_s * 1000;
	c->hits = metric_series(METRIC_QUERY_CACHE, S("hit"));
	c->misses = metric_series(METRIC_QUERY_CACHE, S("miss"));
	c->collector = (struct metrics_collector){.collect = collect, .self = c};
	metrics_collector_add(&c->collector);
	*ret_cache = c;
	return CS_OK;
}

void query_cache_free(struct query_cache *c)
{
	if (!c)
		return;
	metrics_collector_remove(&c->collector);
	hot_keys_free(c->answers);
	free(c);
}

static struct hot_key key_of(const struct query_cache *c, struct slice question)
{
	const uint64_t hashes[2] = {XXH3_64bits(question.ptr, question.len), map_hash(question)};

	return hot_key_of(c->answers, slice_of((const char *)hashes, sizeof hashes));
}

static int64_t now_ms(void)
{
	return clock_mono_ns() / 1000000;
}

bool query_cache_get(struct query_cache *c, struct slice question, uint64_t generation, struct query_answer *ret_answer)
{
	const struct hot_key key = key_of(c, question);
	struct hot_value *value = hot_keys_get(c->answers, &key);
	struct layout layout;
	const char *at;

	if (!value)
		return false;
	memcpy(&layout, value->content, sizeof layout);
	at = value->content + sizeof layout;
	if (value->version != generation || value->good_until_ms <= now_ms() ||
		!slice_eq(slice_of(at, layout.question), question)) {
		hot_value_release(value);
		return false;
	}
	*ret_answer = (struct query_answer){
		.head = slice_of(at + layout.question, layout.head),
		.tail = slice_of(at + layout.question + layout.head,
			value->length - sizeof layout - layout.question - layout.head),
		.held = value,
	};
	return true;
}

void query_answer_release(struct query_answer *answer)
{
	hot_value_release(answer->held);
}

void query_cache_count_hit(struct query_cache *c)
{
	metric_add(c->hits, 1);
}

void query_cache_count_miss(struct query_cache *c)
{
	metric_add(c->misses, 1);
}

void query_cache_put(
	struct query_cache *c, struct slice question, uint64_t generation, struct slice head, struct slice tail)
{
	struct layout layout = {(uint32_t)question.len, (uint32_t)head.len};
	const struct slice parts[] = {slice_of((const char *)&layout, sizeof layout), question, head, tail};
	size_t length = sizeof layout + question.len + head.len + tail.len;
	const struct hot_key key = key_of(c, question);
	struct hot_value *value = length <= UINT32_MAX ? hot_value_new_of(parts, 4) : NULL;

	if (!value)
		return;
	value->version = generation;
	value->good_until_ms = now_ms() + c->age_ms;
	hot_keys_publish(c->answers, &key, value);
	hot_value_release(value);
}
