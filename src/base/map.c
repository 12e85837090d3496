/* Hash table: open addressing with linear probing and deletion by shifting back.
 *
 * Invariant: between a key's home slot and the slot it is in, no slot is empty. map_remove therefore moves later
 * entries of the run back instead of leaving tombstones, so a table with much coming and going (sessions, requests in
 * flight) never slows down and is rehashed only to grow. The full hash is kept: a probe compares 8 bytes before it
 * follows the key's pointer, and growing needs no hashing. Cost: 32 bytes a slot and one malloc a key; a lookup touches
 * one or two cache lines and the key. Chaining was rejected for its pointer per step, Robin Hood for code that pays off
 * above 3/4 only. */
#include "base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/clock.h"

#define FIRST_SLOTS 16u

struct map_slot {
	uint64_t hash;
	char *key; /* NULL: empty */
	size_t key_len;
	void *value;
};

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
	/* Without entropy (an early boot, a sandbox) a guessable seed is better than no start. */
	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
		seed = (uint64_t)clock_mono_ns() * 0x9E3779B97F4A7C15u ^ (uintptr_t)&seed;
}

uint64_t map_hash(struct slice key)
{
	pthread_once(&seed_once, draw_seed);
	return XXH3_64bits_withSeed(key.len ? key.ptr : "", key.len, seed);
}

void map_init(struct map *map, size_t ceiling)
{
	*map = (struct map){.ceiling = ceiling};
}

void map_release(struct map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->slot_count; i++)
		free(map->slots[i].key);
	free(map->slots);
	*map = (struct map){.ceiling = map->ceiling};
}

/* The slot that holds the key, or the empty one where it would go. Needs a table with an empty slot. */
static struct map_slot *find(const struct map *map, struct slice key, uint64_t hash)
{
	size_t mask = map->slot_count - 1;
	size_t at = (size_t)hash & mask;

	for (;; at = (at + 1) & mask) {
		struct map_slot *slot = &map->slots[at];

		if (!slot->key || (slot->hash == hash && slice_eq(slice_of(slot->key, slot->key_len), key)))
			return slot;
	}
}

void *map_get(const struct map *map, struct slice key)
{
	if (map->count == 0)
		return NULL;
	return find(map, key, map_hash(key))->value;
}

/* Makes room for one more entry. Nothing has changed when it fails. */
static bool grow(struct map *map)
{
	size_t slot_count = map->slot_count ? map->slot_count * 2 : FIRST_SLOTS;
	struct map_slot *slots = calloc(slot_count, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < map->slot_count; i++) {
		size_t at = (size_t)map->slots[i].hash & (slot_count - 1);

		if (!map->slots[i].key)
			continue;
		while (slots[at].key)
			at = (at + 1) & (slot_count - 1);
		slots[at] = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->slot_count = slot_count;
	return true;
}

static char *copy_key(struct slice key)
{
	char *copy = malloc(key.len ? key.len : 1);

	if (copy && key.len)
		memcpy(copy, key.ptr, key.len);
	return copy;
}

enum cs_status map_put(struct map *map, struct slice key, void *value, void **ret_old)
{
	uint64_t hash = map_hash(key);
	void *old = NULL;
	char *copy;

	assert(value);
	if (map->slot_count > 0) {
		struct map_slot *slot = find(map, key, hash);

		if (slot->key) {
			old = slot->value;
			slot->value = value;
			goto done;
		}
	}
	if (map->count >= map->ceiling)
		return CS_LIMIT_EXCEEDED;
	if ((map->count + 1) * 4 > map->slot_count * 3 && !grow(map))
		return CS_LIMIT_EXCEEDED;
	copy = copy_key(key);
	if (!copy)
		return CS_LIMIT_EXCEEDED;
	*find(map, key, hash) = (struct map_slot){hash, copy, key.len, value};
	map->count++;
done:
	if (ret_old)
		*ret_old = old;
	return CS_OK;
}

void *map_remove(struct map *map, struct slice key)
{
	size_t mask = map->slot_count - 1;
	size_t hole, at;
	void *value;

	if (map->count == 0)
		return NULL;
	hole = (size_t)(find(map, key, map_hash(key)) - map->slots);
	if (!map->slots[hole].key)
		return NULL;
	value = map->slots[hole].value;
	free(map->slots[hole].key);
	for (at = (hole + 1) & mask; map->slots[at].key; at = (at + 1) & mask) {
		size_t home = (size_t)map->slots[at].hash & mask;

		/* It may fill the hole if the hole is not before its home, going round. */
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		map->slots[hole] = map->slots[at];
		hole = at;
	}
	map->slots[hole] = (struct map_slot){0};
	map->count--;
	return value;
}
