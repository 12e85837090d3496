/* The two questions every port call may ask: is the answer still wanted, and who wants it. */
#include "base/op.h"

const struct principal principal_anonymous = {
	.name = SLICE_INIT("anonymous"),
	.user_id = SLICE_INIT("anonymous"),
	.role = ROLE_ADMIN,
	.is_agent = false,
};

enum cs_status op_check(const struct op *op, struct cs_error *err)
{
	/* Relaxed: the flag orders nothing, it only ends work early. */
	if (op->cancelled && atomic_load_explicit(op->cancelled, memory_order_relaxed))
		return cs_fail(err, CS_TIMEOUT, "nobody waits for the answer any more");
	if (op->deadline_ns != OP_NO_DEADLINE && clock_mono_ns() >= op->deadline_ns)
		return cs_fail(err, CS_TIMEOUT, "the time allowed for this call ran out");
	return CS_OK;
}
