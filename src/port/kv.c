/* The names of the key spaces, in one place. */
#include "port/kv.h"

#include <assert.h>

static const struct slice names[KV_PREFIX_COUNT] = {
	[KV_SCRATCHPAD] = SLICE_INIT("scratchpad"),
	[KV_STATE] = SLICE_INIT("state"),
	[KV_MEMORY] = SLICE_INIT("memory"),
	[KV_CONFIG] = SLICE_INIT("config"),
};

struct slice kv_prefix_name(enum kv_prefix prefix)
{
	assert(prefix < KV_PREFIX_COUNT);
	return names[prefix];
}

bool kv_prefix_parse(struct slice name, enum kv_prefix *ret_prefix)
{
	for (size_t i = 0; i < KV_PREFIX_COUNT; i++) {
		if (slice_eq(names[i], name)) {
			*ret_prefix = (enum kv_prefix)i;
			return true;
		}
	}
	return false;
}
