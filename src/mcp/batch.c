/* One after the other, because a client that batches a write and a read that depends on it gets what it means, and
 * because a batch must not take more workers than one request. The ceiling of a reply holds for the whole array. */
#include "mcp/batch.h"

bool batch_check(const struct revision *revision, const struct json_doc *doc, struct rpc_error *error)
{
	if (!revision->batches)
		return rpc_fail(error, RPC_INVALID_REQUEST, 400,
			"revision " SLICE_FMT " has no batches: send one message at a time", SLICE_ARG(revision->name));
	if (doc->nodes[0].count == 0)
		return rpc_fail(error, RPC_INVALID_REQUEST, 400, "a batch must hold at least one message");
	if (doc->nodes[0].count > BATCH_MESSAGES_MAX)
		return rpc_fail(
			error, RPC_INVALID_REQUEST, 400, "a batch may hold at most %d messages", BATCH_MESSAGES_MAX);
	return true;
}

static void run_request(struct request *r, struct buffer *out)
{
	struct rpc_error error;

	if (!slice_eq(r->message.method, S("initialize"))) {
		/* A batch runs where waiting is allowed, in a legacy revision: this replies. */
		(void)dispatch_request(r, out);
		return;
	}
	(void)rpc_fail(&error, RPC_INVALID_REQUEST, 200, "initialize must not be part of a batch");
	rpc_write_error(out, r->doc, r->message.id, &error);
}

bool batch_run(const struct request *like, void (*notified)(void *self, const struct rpc_message *), void *self,
	struct buffer *out)
{
	const struct json_doc *doc = like->doc;
	bool any = false;

	for (uint32_t v = json_first(doc, 0); v != JSON_NONE; v = json_next(doc, 0, v)) {
		struct request r = *like;
		struct rpc_error error;
		bool valid = rpc_classify(doc, v, &r.message, &error);

		if (valid && r.message.kind == RPC_NOTIFICATION)
			notified(self, &r.message);
		if (valid && r.message.kind != RPC_REQUEST)
			continue;
		buffer_byte(out, any ? ',' : '[');
		any = true;
		if (valid)
			run_request(&r, out);
		else
			rpc_write_error(out, doc, JSON_NONE, &error);
	}
	if (any)
		buffer_byte(out, ']');
	return any;
}
