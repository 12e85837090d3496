/* Duplicate keys: none may pass, and looking must cost next to nothing.
 *
 * Objects of a message are small and their keys differ, so each open object carries a 64-bit filter in its own node
 * (the union is free in a container): one bit per key, chosen by length, first and last byte. A key whose bit is unset
 * is new without a comparison; otherwise the object's earlier keys are compared one by one.
 *
 * That is quadratic, so an object that reaches JSON_KEYS_LINEAR members moves to a hash set, one for the whole document,
 * whose entries name object and key. It is hashed with the process's seed, so nobody can aim at one slot. A set per
 * object was rejected: sets of nested objects would grow interleaved in an arena that gives nothing back; here growing
 * wastes at most as much as the final table. Checking at the object's end was rejected too: the position of the second
 * key is gone then. */
#include <assert.h>

#include "base/json_parts.h"
#include "base/map.h"

#define KEYS_FIRST_SIZE 128u

struct json_key_slot {
	uint32_t object;
	uint32_t key; /* 0: free (node 0 is never a key) */
};

static bool in_object(const struct json_node *nodes, uint32_t object, uint32_t key)
{
	for (uint32_t i = object + 1; i < key; i = nodes[i + 1].next)
		if (slice_eq(nodes[i].text, nodes[key].text))
			return true;
	return false;
}

static uint32_t first_slot(const struct json_keys *keys, uint32_t object, struct slice name)
{
	uint64_t hash = map_hash(name) + object * UINT64_C(0x9E3779B97F4A7C15);

	return (uint32_t)(hash ^ hash >> 32) & (keys->slot_count - 1);
}

/* True: put in; false: the object has this key already. There must be a free slot. */
static bool put(struct json_keys *keys, const struct json_node *nodes, struct json_key_slot entry)
{
	uint32_t at = first_slot(keys, entry.object, nodes[entry.key].text);

	while (keys->slots[at].key != 0) {
		struct json_key_slot there = keys->slots[at];

		if (there.object == entry.object && slice_eq(nodes[there.key].text, nodes[entry.key].text))
			return false;
		at = (at + 1) & (keys->slot_count - 1);
	}
	keys->slots[at] = entry;
	keys->used++;
	return true;
}

/* Room for `more` entries with the table at most half full. */
static bool make_room(struct json_keys *keys, struct arena *arena, const struct json_node *nodes, uint32_t more)
{
	struct json_keys grown = {.slot_count = keys->slot_count ? keys->slot_count : KEYS_FIRST_SIZE / 2};

	if (keys->used + more <= keys->slot_count / 2)
		return true;
	grown.slot_count *= 2;
	grown.slots = arena_array(arena, grown.slot_count, sizeof *grown.slots);
	if (!grown.slots)
		return false;
	for (uint32_t i = 0; i < keys->slot_count; i++)
		if (keys->slots[i].key != 0 && !put(&grown, nodes, keys->slots[i]))
			assert(!"an entry of the set is there once");
	*keys = grown;
	return true;
}

enum json_key_verdict json_keys_search(
	struct json_keys *keys, struct arena *arena, struct json_node *nodes, uint32_t object, uint32_t key)
{
	uint32_t members = nodes[object].count;

	if (members < JSON_KEYS_LINEAR)
		return in_object(nodes, object, key) ? JSON_KEY_TWICE : JSON_KEY_NEW;
	if (!make_room(keys, arena, nodes, JSON_KEYS_LINEAR + 1))
		return JSON_KEY_NO_MEMORY;
	if (members == JSON_KEYS_LINEAR)
		for (uint32_t i = object + 1; i < key; i = nodes[i + 1].next)
			if (!put(keys, nodes, (struct json_key_slot){object, i}))
				assert(!"small objects have each key once");
	return put(keys, nodes, (struct json_key_slot){object, key}) ? JSON_KEY_NEW : JSON_KEY_TWICE;
}
