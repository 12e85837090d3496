/* The mirror of agent state. See hot_keys.h.
 *
 * Chained buckets, allocated with the shard: 1,024 pointers, so a chain has one entry on average when full. Not
 * base/map.h, because an entry is also in the list by last use and is evicted from there. A read moves its entry to the
 * list's head under the same mutex; a clock hand would save that store and keep worse keys.
 *
 * Invariant, under a shard's lock: bytes = sum of cost() over its entries; count and bytes are within the shard's
 * share. */
#include "engine/hot_keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SHARD_ENTRIES (HOT_ENTRIES_MAX / HOT_SHARDS)
#define SHARD_BYTES   (HOT_BYTES_MAX / HOT_SHARDS)
#define BUCKETS       SHARD_ENTRIES

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
	struct entry *buckets[BUCKETS];
} __attribute__((aligned(64)));

struct hot_keys {
	uint64_t seed;
	struct shard shards[HOT_SHARDS];
};

enum cs_status hot_keys_new(struct hot_keys **ret_keys, struct cs_error *err)
{
	struct hot_keys *keys = aligned_alloc(64, sizeof *keys);

	if (!keys)
		return cs_fail_memory(err);
	memset(keys, 0, sizeof *keys);
	/* Without entropy (never, once the system is up) the seed is an address: still nothing a client knows. */
	if (getrandom(&keys->seed, sizeof keys->seed, GRND_NONBLOCK) != sizeof keys->seed)
		keys->seed = (uintptr_t)keys;
	for (size_t i = 0; i < HOT_SHARDS; i++)
		pthread_mutex_init(&keys->shards[i].lock, NULL);
	*ret_keys = keys;
	return CS_OK;
}

void hot_keys_free(struct hot_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < HOT_SHARDS; i++) {
		struct entry *entry = keys->shards[i].newest;

		while (entry) {
			struct entry *older = entry->older;

			hot_value_release(entry->value);
			free(entry);
			entry = older;
		}
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

struct hot_value *hot_value_new(struct slice content)
{
	struct hot_value *value = malloc(sizeof *value + content.len);

	if (!value)
		return NULL;
	*value = (struct hot_value){.refs = 1, .expires_at_ms = HOT_NO_EXPIRY, .length = content.len};
	if (content.len)
		memcpy(value->content, content.ptr, content.len);
	return value;
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

static struct shard *shard_of(struct hot_keys *keys, const struct hot_key *key)
{
	return &keys->shards[(key->hash >> 32) % HOT_SHARDS];
}

/* What an entry counts for: its bytes and the allocator's share. */
static size_t cost(const struct entry *entry)
{
	return sizeof *entry + entry->length + sizeof *entry->value + entry->value->length + 32;
}

/* The link that points to the entry, or to the end of its chain. */
static struct entry **find(struct shard *shard, const struct hot_key *key)
{
	struct entry **link = &shard->buckets[key->hash % BUCKETS];

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

static void evict_oldest(struct shard *shard)
{
	struct entry *oldest = shard->oldest;
	struct entry **link = &shard->buckets[oldest->hash % BUCKETS];

	while (*link != oldest)
		link = &(*link)->chain;
	shard->evictions++;
	drop(shard, link);
}

struct hot_value *hot_keys_get(struct hot_keys *keys, const struct hot_key *key)
{
	struct shard *shard = shard_of(keys, key);
	struct hot_value *value = NULL;
	struct entry *entry;

	pthread_mutex_lock(&shard->lock);
	entry = *find(shard, key);
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
static void put(struct shard *shard, const struct hot_key *key, struct entry *fresh)
{
	struct entry **link = find(shard, key);

	if (*link)
		drop(shard, link);
	if (!fresh)
		return;
	while (shard->count == SHARD_ENTRIES || (shard->count > 0 && shard->bytes + cost(fresh) > SHARD_BYTES))
		evict_oldest(shard);
	link = &shard->buckets[key->hash % BUCKETS];
	fresh->chain = *link;
	*link = fresh;
	list_push(shard, fresh);
	shard->count++;
	shard->bytes += cost(fresh);
}

static struct entry *entry_new(const struct hot_key *key, struct hot_value *value)
{
	struct entry *entry;

	if (!value || value->length > HOT_VALUE_MAX)
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
	struct entry *fresh = entry_new(key, value);
	bool current;

	if (!fresh)
		return;
	pthread_mutex_lock(&shard->lock);
	current = shard->changes == ticket;
	if (current)
		put(shard, key, fresh);
	pthread_mutex_unlock(&shard->lock);
	if (!current) {
		hot_value_release(fresh->value);
		free(fresh);
	}
}

void hot_keys_publish(struct hot_keys *keys, const struct hot_key *key, struct hot_value *value)
{
	struct shard *shard = shard_of(keys, key);
	struct entry *fresh = entry_new(key, value);

	pthread_mutex_lock(&shard->lock);
	shard->changes++;
	put(shard, key, fresh);
	pthread_mutex_unlock(&shard->lock);
}

void hot_keys_stats(struct hot_keys *keys, struct hot_keys_stats *ret_stats)
{
	*ret_stats = (struct hot_keys_stats){.bytes = sizeof *keys};
	for (size_t i = 0; i < HOT_SHARDS; i++) {
		struct shard *shard = &keys->shards[i];

		pthread_mutex_lock(&shard->lock);
		ret_stats->keys += shard->count;
		ret_stats->bytes += shard->bytes;
		ret_stats->evictions += shard->evictions;
		pthread_mutex_unlock(&shard->lock);
	}
}
