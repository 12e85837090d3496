/* What all adapters say alike: the names of the key spaces, a missing key, the time that is left, what a number is. */
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

void kv_entry_set_ttl(struct kv_entry *entry, int64_t left_ms)
{
	entry->ttl_ms = left_ms;
	entry->ttl_s = left_ms == KV_TTL_NONE ? KV_TTL_NONE : (left_ms + 999) / 1000;
}

enum cs_status kv_fail_not_found(const struct kv_key *key, struct cs_error *err)
{
	return cs_fail(err, CS_KEY_NOT_FOUND, "no value under agent:" SLICE_FMT ":" SLICE_FMT ":" SLICE_FMT,
		SLICE_ARG(key->agent_id), SLICE_ARG(kv_prefix_name(key->prefix)), SLICE_ARG(key->key));
}

enum cs_status kv_whole_number(struct slice text, const char *whose, int64_t *ret_number, struct cs_error *err)
{
	struct slice digits = text.len && text.ptr[0] == '-' ? slice_from(text, 1) : text;
	bool all_digits = digits.len > 0;

	if (slice_to_i64(text, ret_number))
		return CS_OK;
	for (size_t i = 0; i < digits.len; i++)
		all_digits = all_digits && digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
	if (all_digits)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "%s is a number past 64 bits", whose);
	return cs_fail(err, CS_INVALID_CONTENT_TYPE, "%s is no whole decimal number; increment needs one", whose);
}
