/* The least recently used texts go first: a hash table of chains, and a ring in the order of use.
 *
 * The table has its final size from the start (two buckets for three entries at most), so nothing ever has to be moved;
 * it is 128 KiB. An entry is one allocation with its vector in it. Keys are hashes already: their low bits choose the
 * bucket. Only vectors are kept, no texts: what is not there cannot leak. */
#include <stdlib.h>

#include "store/embedding_parts.h"

#define BUCKETS 16384u

struct entry {
	struct entry *chained;
	struct entry *older, *younger; /* a ring through the cache's `ring` */
	struct embedding_key key;
	uint32_t dimension;
	float vector[];
};

struct embedding_cache {
	struct entry *buckets[BUCKETS];
	struct entry *youngest, *oldest;
	size_t count, texts_max;
	size_t bytes, bytes_max; /* of vectors */
};

struct embedding_cache *embedding_cache_new(size_t texts_max, size_t bytes_max)
{
	struct embedding_cache *cache = calloc(1, sizeof *cache);

	if (cache) {
		cache->texts_max = texts_max;
		cache->bytes_max = bytes_max;
	}
	return cache;
}

void embedding_cache_free(struct embedding_cache *cache)
{
	if (!cache)
		return;
	for (struct entry *at = cache->oldest; at;) {
		struct entry *next = at->younger;

		free(at);
		at = next;
	}
	free(cache);
}

size_t embedding_cache_count(const struct embedding_cache *cache)
{
	return cache->count;
}

size_t embedding_cache_bytes(const struct embedding_cache *cache)
{
	return sizeof *cache + cache->count * sizeof(struct entry) + cache->bytes;
}

static struct entry **place_of(struct embedding_cache *cache, struct embedding_key key)
{
	struct entry **at = &cache->buckets[key.low % BUCKETS];

	while (*at && !embedding_key_eq((*at)->key, key))
		at = &(*at)->chained;
	return at;
}

static void unlink_from_ages(struct embedding_cache *cache, struct entry *entry)
{
	*(entry->older ? &entry->older->younger : &cache->oldest) = entry->younger;
	*(entry->younger ? &entry->younger->older : &cache->youngest) = entry->older;
}

static void make_youngest(struct embedding_cache *cache, struct entry *entry)
{
	entry->younger = NULL;
	entry->older = cache->youngest;
	*(cache->youngest ? &cache->youngest->younger : &cache->oldest) = entry;
	cache->youngest = entry;
}

const float *embedding_cache_get(struct embedding_cache *cache, struct embedding_key key)
{
	struct entry *entry = *place_of(cache, key);

	if (!entry)
		return NULL;
	unlink_from_ages(cache, entry);
	make_youngest(cache, entry);
	return entry->vector;
}

static void drop_oldest(struct embedding_cache *cache)
{
	struct entry *entry = cache->oldest;

	*place_of(cache, entry->key) = entry->chained;
	cache->oldest = entry->younger;
	*(entry->younger ? &entry->younger->older : &cache->youngest) = NULL;
	cache->count--;
	cache->bytes -= entry->dimension * sizeof(float);
	free(entry);
}

size_t embedding_cache_put(
	struct embedding_cache *cache, struct embedding_key key, const float *vector, uint32_t dimension)
{
	size_t size = dimension * sizeof(float), dropped = 0;
	struct entry **place;
	struct entry *entry;

	if (size > cache->bytes_max || cache->texts_max == 0 || embedding_cache_get(cache, key))
		return 0;
	for (; cache->count >= cache->texts_max || cache->bytes + size > cache->bytes_max; dropped++)
		drop_oldest(cache);
	entry = malloc(sizeof *entry + size);
	if (!entry)
		return dropped;
	entry->key = key;
	entry->dimension = dimension;
	memcpy(entry->vector, vector, size);
	place = &cache->buckets[key.low % BUCKETS];
	entry->chained = *place;
	*place = entry;
	make_youngest(cache, entry);
	cache->count++;
	cache->bytes += size;
	return dropped;
}
