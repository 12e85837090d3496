/* The rules around context_port.remove; the work is the port's. */
#include "store/removal.h"

#include "base/utf8.h"

#define DAY_S INT64_C(86400)

static enum cs_status check_human(const struct store *store, const struct op *op, struct cs_error *err)
{
	if (store->keys_configured && op->principal->is_agent)
		return cs_fail(err, CS_FORBIDDEN, "removing contexts is for people; this key belongs to an agent");
	return CS_OK;
}

static enum cs_status remove_context(
	struct store *store, struct op *op, const struct context_remove *removal, struct cs_error *err)
{
	enum cs_status status = check_human(store, op, err);

	if (status != CS_OK)
		return status;
	if (utf8_length(slice_trim(removal->reason)) < REMOVAL_REASON_MIN)
		return cs_fail(
			err, CS_VALIDATION, "reason must say why, in at least %d characters", REMOVAL_REASON_MIN);
	return store->contexts.remove(store->contexts.self, op, removal, err);
}

enum cs_status store_delete(
	struct store *store, struct op *op, struct slice id, struct slice reason, bool hard, struct cs_error *err)
{
	struct context_remove removal = {
		.id = id, .how = hard ? CONTEXT_HARD_DELETE : CONTEXT_SOFT_DELETE, .reason = reason};

	return remove_context(store, op, &removal, err);
}

enum cs_status store_forget(struct store *store, struct op *op, struct slice id, struct slice reason,
	int64_t retention_days, struct cs_error *err)
{
	struct context_remove removal = {
		.id = id, .how = CONTEXT_FORGET, .reason = reason, .retention_s = retention_days * DAY_S};

	if (retention_days < 1 || retention_days > REMOVAL_RETENTION_DAYS_MAX)
		return cs_fail(err, CS_VALIDATION, "retention_days must be from 1 to %d", REMOVAL_RETENTION_DAYS_MAX);
	return remove_context(store, op, &removal, err);
}

enum cs_status store_restore(struct store *store, struct op *op, struct slice id, struct cs_error *err)
{
	enum cs_status status = check_human(store, op, err);

	return status != CS_OK ? status : store->contexts.restore(store->contexts.self, op, id, err);
}
