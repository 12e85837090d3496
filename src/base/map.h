/* A hash table from byte strings to pointers.
 *
 * Open addressing, linear probing, at most 3/4 full, hashed by XXH3 with a seed drawn at start (so that clients cannot
 * aim for one slot). Keys are copied; values belong to the caller.
 *
 * Threads: one at a time; whoever shares it locks. Errors: map_put returns CS_LIMIT_EXCEEDED at the ceiling or without
 * memory. */
#ifndef CS_BASE_MAP_H
#define CS_BASE_MAP_H

#include "base/error.h"
#include "base/slice.h"

struct map_slot;

struct map {
	struct map_slot *slots;
	size_t slot_count; /* a power of two, or 0 */
	size_t count;
	size_t ceiling; /* entries */
};

void map_init(struct map *, size_t ceiling);
void map_release(struct map *); /* frees keys; the values are the caller's */

void *map_get(const struct map *, struct slice key); /* NULL: not there */
/* Replaces; *ret_old (may be NULL) gets the former value or NULL. value must not be NULL. */
CS_CHECKED enum cs_status map_put(struct map *, struct slice key, void *value, void **ret_old);
void *map_remove(struct map *, struct slice key); /* the value that was there, or NULL */

/* The process's seeded hash, for tables that need their own layout. */
uint64_t map_hash(struct slice key);

#endif
