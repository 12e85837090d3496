/* The mirror of agent state. See hot_keys.h.
 *
 * Chained buckets, as many as a shard may have entries (rounded up to a power of two), so a chain has one entry on
 * average when full. Not base/map.h, because an entry is also in the list by last use and is evicted from there. A read
 * moves its entry to the list's head under the same mutex; a clock hand would save that store and keep worse keys.
 *
 * Invariant, under a shard's lock: bytes = sum of cost() over its entries; count and bytes are within the shard's
 * share. */
#include "port/hot_keys.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct entry {
	struct entry *chain;
	struct entry *newer, *older;
	struct hot_value *value;
	uint64_t hash;
	uint16_t length;
	char key[];
};

struct shard {
	pthread_mutex_t lock;
	uint64_t changes; /* published so far: the ticket */
	uint64_t evictions;
	size_t count, bytes;
	struct entry *newest, *oldest;
	struct entry **buckets;
} __attribute__((aligned(64)));

struct hot_keys {
	uint64_t seed;
	struct hot_keys_options options;
	size_t shard_entries, shard_bytes; /* a shard's share */
	size_t bucket_mask;
	struct shard shards[];
};

static size_t power_of_two(size_t least)
{
	size_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

enum cs_status hot_keys_new(const struct hot_keys_options *options, struct hot_keys **ret_keys, struct cs_error *err)
{
	size_t shards = options->shards;
	size_t share = options->entries_max / shards;
	size_t buckets = power_of_two(share);
	struct hot_keys *keys;

	assert(shards >= 1 && shards <= HOT_SHARDS_MAX && options->entries_max >= shards);
	keys = aligned_alloc(64, sizeof *keys + shards * sizeof keys->shards[0]);
	if (!keys)
		return cs_fail_memory(err);
	memset(keys, 0, sizeof *keys + shards * sizeof keys->shards[0]);
	keys->options = *options;
	keys->shard_entries = share;
	keys->shard_bytes = options->bytes_max / shards;
	keys->bucket_mask = buckets - 1;
	/* Without entropy (never, once the system is up) the seed is an address: still nothing a client knows. */
	if (getrandom(&keys->seed, sizeof keys->seed, GRND_NONBLOCK) != sizeof keys->seed)
		keys->seed = (uintptr_t)keys;
	for (size_t i = 0; i < shards; i++)
		pthread_mutex_init(&keys->shards[i].lock, NULL);
	for (size_t i = 0; i < shards; i++) {
		keys->shards[i].buckets = calloc(buckets, sizeof keys->shards[i].buckets[0]);
		if (!keys->shards[i].buckets) {
			hot_keys_free(keys);
			return cs_fail_memory(err);
		}
	}
	*ret_keys = keys;
	return CS_OK;
}

void hot_keys_free(struct hot_keys *keys)
{
	if (!keys)
		return;
	hot_keys_clear(keys);
	for (size_t i = 0; i < keys->options.shards; i++) {
		free(keys->shards[i].buckets);
		pthread_mutex_destroy(&keys->shards[i].lock);
	}
	free(keys);
}

bool hot_key_make(const struct hot_keys *keys, const struct kv_key *key, struct hot_key *ret_key)
{
	size_t length = key->agent_id.len + 2 + key->key.len;
	char *at = ret_key->bytes;

	if (length > HOT_KEY_MAX)
		return false;
	/* No NUL is in an agent id, so the pair is unambiguous. */
	memcpy(at, key->agent_id.ptr, key->agent_id.len);
	at += key->agent_id.len;
	*at++ = '\0';
	*at++ = (char)key->prefix;
	memcpy(at, key->key.ptr, key->key.len);
	ret_key->length = length;
	ret_key->hash = XXH3_64bits_withSeed(ret_key->bytes, length, keys->seed);
	return true;
}

struct hot_key hot_key_of(const struct hot_keys *keys, struct slice bytes)
{
	struct hot_key key = {.hash = XXH3_64bits_withSeed(bytes.ptr, bytes.len, keys->seed), .length = bytes.len};

	assert(bytes.len <= HOT_KEY_MAX);
	memcpy(key.bytes, bytes.ptr, bytes.len);
	return key;
}

struct hot_value *hot_value_new_of(const struct slice *parts, size_t count)
{
	struct hot_value *value;
	size_t length = 0;

	for (size_t i = 0; i < count; i++)
		length += parts[i].len;
	value = malloc(sizeof *value + length);
	if (!value)
		return NULL;
	*value = (struct hot_value){.refs = 1, .expires_at_ms = HOT_NO_EXPIRY, .good_until_ms = HOT_NO_EXPIRY};
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len)
			memcpy(value->content + value->length, parts[i].ptr, parts[i].len);
		value->length += parts[i].len;
	}
	return value;
}

struct hot_value *hot_value_new(struct slice content)
{
	return hot_value_new_of(&content, 1);
}

struct hot_value *hot_value_new_absent(void)
{
	struct hot_value *value = hot_value_new((struct slice){0});

	if (value)
		value->absent = true;
	return value;
}

void hot_value_release(struct hot_value *value)
{
	if (value && atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) == 1)
		free(value);
}

enum cs_status hot_value_entry(const struct hot_value *value, int64_t now_ms, struct arena *arena,
	struct kv_entry *ret_entry, struct cs_error *err)
{
	struct slice content = arena_copy(arena, slice_of(value->content, value->length));
	bool expires = value->expires_at_ms != HOT_NO_EXPIRY;

	if (!content.ptr)
		return cs_fail_memory(err);
	*ret_entry = (struct kv_entry){
		.content = content,
		.version = value->version,
		.characters = value->characters,
	};
	kv_entry_set_ttl(ret_entry, expires ? value->expires_at_ms - now_ms : KV_TTL_NONE);
	return CS_OK;
}

static struct shard *shard_of(struct hot_keys *keys, const struct hot_key *key)
{
	return &keys->shards[(key->hash >> 32) % keys->options.shards];
}

/* What an entry counts for: its bytes and the allocator's share. */
static size_t cost(const struct entry *entry)
{
	return sizeof *entry + entry->length + sizeof *entry->value + entry->value->length + 32;
}

/* The link that points to the entry, or to the end of its chain. */
static struct entry **find(const struct hot_keys *keys, struct shard *shard, const struct hot_key *key)
{
	struct entry **link = &shard->buckets[key->hash & keys->bucket_mask];

	while (*link && ((*link)->hash != key->hash || (*link)->length != key->length ||
				memcmp((*link)->key, key->bytes, key->length) != 0))
		link = &(*link)->chain;
	return link;
}

static void list_remove(struct shard *shard, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void list_push(struct shard *shard, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = shard->newest;
	*(shard->newest ? &shard->newest->newer : &shard->oldest) = entry;
	shard->newest = entry;
}

static void drop(struct shard *shard, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->chain;
	list_remove(shard, entry);
	shard->count--;
	shard->bytes -= cost(entry);
	hot_value_release(entry->value);
	free(entry);
}

static void drop_oldest(const struct hot_keys *keys, struct shard *shard)
{
	struct entry **link = &shard->buckets[shard->oldest->hash & keys->bucket_mask];

	while (*link != shard->oldest)
		link = &(*link)->chain;
	drop(shard, link);
}

static void evict_oldest(const struct hot_keys *keys, struct shard *shard)
{
	shard->evictions++;
	drop_oldest(keys, shard);
}

struct hot_value *hot_keys_get(struct hot_keys *keys, const struct hot_key *key)
{
	struct shard *shard = shard_of(keys, key);
	struct hot_value *value = NULL;
	struct entry *entry;

	pthread_mutex_lock(&shard->lock);
	entry = *find(keys, shard, key);
	if (entry) {
		list_remove(shard, entry);
		list_push(shard, entry);
		value = entry->value;
		atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&shard->lock);
	return value;
}

uint64_t hot_keys_ticket(struct hot_keys *keys, const struct hot_key *key)
{
	struct shard *shard = shard_of(keys, key);
	uint64_t ticket;

	pthread_mutex_lock(&shard->lock);
	ticket = shard->changes;
	pthread_mutex_unlock(&shard->lock);
	return ticket;
}

/* Replaces whatever was known. `fresh` is an entry with key and value, or NULL: forget. */
static void put(const struct hot_keys *keys, struct shard *shard, const struct hot_key *key, struct entry *fresh)
{
	struct entry **link = find(keys, shard, key);

	if (*link)
		drop(shard, link);
	if (!fresh)
		return;
	while (shard->count == keys->shard_entries ||
		(shard->count > 0 && shard->bytes + cost(fresh) > keys->shard_bytes))
		evict_oldest(keys, shard);
	link = &shard->buckets[key->hash & keys->bucket_mask];
	fresh->chain = *link;
	*link = fresh;
	list_push(shard, fresh);
	shard->count++;
	shard->bytes += cost(fresh);
}

static struct entry *entry_new(const struct hot_keys *keys, const struct hot_key *key, struct hot_value *value)
{
	struct entry *entry;

	if (!value || value->length > keys->options.value_max)
		return NULL;
	entry = malloc(sizeof *entry + key->length);
	if (!entry)
		return NULL;
	entry->hash = key->hash;
	entry->length = (uint16_t)key->length;
	memcpy(entry->key, key->bytes, key->length);
	entry->value = value;
	atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
	return entry;
}

void hot_keys_fill(struct hot_keys *keys, const struct hot_key *key, uint64_t ticket, struct hot_value *value)
{
	struct shard *shard = shard_of(keys, key);
	struct entry *fresh = entry_new(keys, key, value);
	bool current;

	if (!fresh)
		return;
	pthread_mutex_lock(&shard->lock);
	current = shard->changes == ticket;
	if (current)
		put(keys, shard, key, fresh);
	pthread_mutex_unlock(&shard->lock);
	if (!current) {
		hot_value_release(fresh->value);
		free(fresh);
	}
}

void hot_keys_publish(struct hot_keys *keys, const struct hot_key *key, struct hot_value *value)
{
	struct shard *shard = shard_of(keys, key);
	struct entry *fresh = entry_new(keys, key, value);

	pthread_mutex_lock(&shard->lock);
	shard->changes++;
	put(keys, shard, key, fresh);
	pthread_mutex_unlock(&shard->lock);
}

void hot_keys_clear(struct hot_keys *keys)
{
	for (size_t i = 0; i < keys->options.shards; i++) {
		struct shard *shard = &keys->shards[i];

		pthread_mutex_lock(&shard->lock);
		shard->changes++;
		while (shard->oldest)
			drop_oldest(keys, shard);
		pthread_mutex_unlock(&shard->lock);
	}
}

void hot_keys_stats(struct hot_keys *keys, struct hot_keys_stats *ret_stats)
{
	const size_t shards = keys->options.shards;

	*ret_stats = (struct hot_keys_stats){
		.bytes = sizeof *keys + shards * (sizeof *keys->shards + (keys->bucket_mask + 1) * sizeof(void *))};
	for (size_t i = 0; i < shards; i++) {
		struct shard *shard = &keys->shards[i];

		pthread_mutex_lock(&shard->lock);
		ret_stats->keys += shard->count;
		ret_stats->bytes += shard->bytes;
		ret_stats->evictions += shard->evictions;
		pthread_mutex_unlock(&shard->lock);
	}
}
