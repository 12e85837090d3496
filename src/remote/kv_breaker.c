/* Four times the same: enter, call, leave. */
#include "remote/kv_breaker.h"

static enum cs_status get(
	void *self, struct op *op, const struct kv_key *key, struct kv_entry *ret_entry, struct cs_error *err)
{
	const struct kv_breaker *b = self;
	struct breaker_pass pass;
	enum cs_status status = guard_enter(b->guard, &pass, err);

	if (status != CS_OK)
		return status;
	status = b->inner.get(b->inner.self, op, key, ret_entry, err);
	guard_leave(b->guard, pass, op, status, err);
	return status;
}

static enum cs_status put(
	void *self, struct op *op, const struct kv_write *write, struct kv_entry *ret_entry, struct cs_error *err)
{
	const struct kv_breaker *b = self;
	struct breaker_pass pass;
	enum cs_status status = guard_enter(b->guard, &pass, err);

	if (status != CS_OK)
		return status;
	status = b->inner.put(b->inner.self, op, write, ret_entry, err);
	guard_leave(b->guard, pass, op, status, err);
	return status;
}

static enum cs_status take_away(
	void *self, struct op *op, const struct kv_key *key, int64_t if_version, struct cs_error *err)
{
	const struct kv_breaker *b = self;
	struct breaker_pass pass;
	enum cs_status status = guard_enter(b->guard, &pass, err);

	if (status != CS_OK)
		return status;
	status = b->inner.remove(b->inner.self, op, key, if_version, err);
	guard_leave(b->guard, pass, op, status, err);
	return status;
}

static enum cs_status list(void *self, struct op *op, const struct kv_key *owner, struct slice after, size_t limit,
	struct kv_page *ret_page, struct cs_error *err)
{
	const struct kv_breaker *b = self;
	struct breaker_pass pass;
	enum cs_status status = guard_enter(b->guard, &pass, err);

	if (status != CS_OK)
		return status;
	status = b->inner.list(b->inner.self, op, owner, after, limit, ret_page, err);
	guard_leave(b->guard, pass, op, status, err);
	return status;
}

struct kv_port kv_breaker_port(struct kv_breaker *b)
{
	return (struct kv_port){.self = b, .get = get, .put = put, .remove = take_away, .list = list};
}
