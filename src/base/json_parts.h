/* What the files of the JSON module share with each other and nobody else. */
#ifndef CS_BASE_JSON_PARTS_H
#define CS_BASE_JSON_PARTS_H

#include "base/json.h"

/* Reads the number at `at` (at < end, a digit or '-') into type and value of the node and returns where it ends. NULL:
 * no JSON number; *ret_wrong is where it stops being one (it may be `end`). */
const char *json_read_number(const char *at, const char *end, struct json_node *node, const char **ret_wrong);

/* The double nearest to digits * 10^exponent, for `count` decimal digits (1 or more); HUGE_VAL beyond the largest. */
double json_double_of(const char *digits, size_t count, int64_t exponent);

/* The shortest text that reads back as the value, which is finite. Returns its length; no NUL. */
#define JSON_DOUBLE_TEXT_MAX 32
size_t json_format_double(char text[JSON_DOUBLE_TEXT_MAX], double value);

/* Finds keys that an object has twice. Zero-initialised; its memory is the arena's. */
struct json_keys {
	struct json_key_slot *slots;
	uint32_t slot_count; /* a power of two, or 0 while no object is large */
	uint32_t used;
};

enum json_key_verdict { JSON_KEY_NEW, JSON_KEY_TWICE, JSON_KEY_NO_MEMORY };

/* Where the filter knows nothing. */
enum json_key_verdict json_keys_search(
	struct json_keys *, struct arena *, struct json_node *nodes, uint32_t object, uint32_t key);

/* An object of more members is searched by hash. */
#define JSON_KEYS_LINEAR 16u

static inline uint64_t json_keys_bit(struct slice name)
{
	unsigned mix = (unsigned)name.len * 7u;

	if (name.len > 0)
		mix += (unsigned char)name.ptr[0] * 5u + (unsigned char)name.ptr[name.len - 1] * 11u;
	return UINT64_C(1) << (mix & 63u);
}

/* `key` is the node just behind the object's last value and is not yet counted in it. While the object is open its u64
 * is the module's own, the filter of its keys; it must start as 0. */
static inline enum json_key_verdict json_keys_add(
	struct json_keys *keys, struct arena *arena, struct json_node *nodes, uint32_t object, uint32_t key)
{
	uint64_t bit = json_keys_bit(nodes[key].text);

	if (nodes[object].u64 & bit || nodes[object].count >= JSON_KEYS_LINEAR)
		return json_keys_search(keys, arena, nodes, object, key);
	nodes[object].u64 |= bit;
	return JSON_KEY_NEW;
}

#endif
