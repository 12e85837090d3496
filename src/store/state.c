/* What a write means before it reaches the port: time to live, and what may be added. */
#include "store/state.h"

static enum cs_status check_amount(struct slice text, struct cs_error *err)
{
	struct slice digits = text;
	int64_t amount;

	if (slice_to_i64(text, &amount))
		return CS_OK;
	if (digits.len > 0 && digits.ptr[0] == '-')
		digits = slice_from(digits, 1);
	for (size_t i = 0; i < digits.len; i++)
		if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
			digits.len = 0;
	if (digits.len == 0)
		return cs_fail(err, CS_INVALID_CONTENT_TYPE,
			"content must be the whole number to add, as text (\"1\", \"-5\"), when mode is increment");
	return cs_fail(
		err, CS_LIMIT_EXCEEDED, "content must be a whole number that fits 64 bits when mode is increment");
}

static int64_t ttl_of(const struct state_write *write)
{
	if (write->has_ttl)
		return write->ttl_s;
	return write->key.prefix == KV_SCRATCHPAD ? STATE_TTL_DEFAULT : KV_TTL_NONE;
}

enum cs_status state_write(struct store *store, struct op *op, const struct state_write *write,
	struct kv_entry *ret_entry, struct cs_error *err)
{
	static const enum kv_mode modes[] = {
		[STATE_OVERWRITE] = KV_OVERWRITE,
		[STATE_APPEND] = KV_APPEND,
		[STATE_INCREMENT] = KV_INCREMENT,
	};
	struct kv_write put = {
		.key = write->key,
		.mode = modes[write->mode],
		.content = write->has_content ? write->content : S("1"),
		.ttl_s = ttl_of(write),
		.if_version = write->if_version,
	};
	enum cs_status status = CS_OK;

	if (write->mode == STATE_INCREMENT)
		status = check_amount(put.content, err);
	else if (!write->has_content)
		return cs_fail(err, CS_MISSING_PARAMETER, "content is required: the string to keep, 1 to %d characters",
			KV_CONTENT_MAX);
	if (status != CS_OK)
		return status;
	return store->kv.put(store->kv.self, op, &put, ret_entry, err);
}

enum cs_status state_delete(
	struct store *store, struct op *op, const struct kv_key *key, int64_t if_version, struct cs_error *err)
{
	return store->kv.remove(store->kv.self, op, key, if_version, err);
}
