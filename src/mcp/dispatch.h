/* Methods: one request in, one reply out, whichever transport and revision.
 *
 * The transport has read the message, found out which revision governs it (a session's, a channel's, the request's own)
 * and made an op. dispatch_request appends the reply to `out`: a result or an error, never both, never part of one.
 * With op->may_wait = false it may say DISPATCH_WOULD_WAIT instead, having appended nothing; the same request is then
 * run again by a worker.
 *
 * A tool that fails is a result with isError; an unknown tool, or arguments that are no object, is an error (-32602).
 * Threads: any; the dispatcher is read-only once made. */
#ifndef CS_MCP_DISPATCH_H
#define CS_MCP_DISPATCH_H

#include "mcp/catalogue.h"
#include "mcp/rpc.h"
#include "mcp/tools.h"

/* How long clients may keep tools/list and server/discover: an upgrade of the program is seen that late. */
#define CACHE_TTL_MS 300000

/* Bytes of a subscription's id. Escaped, and twice, it fits the buffers that transports keep its messages in. */
#define SUBSCRIPTION_ID_MAX 4096

struct dispatcher {
	struct tool_host host;
	struct catalogue catalogue;
	size_t response_max; /* bytes of one reply */
};

struct request {
	const struct dispatcher *dispatcher;
	const struct revision *revision;
	struct op *op;
	const struct json_doc *doc;
	struct rpc_message message;        /* kind RPC_REQUEST */
	const struct revision *negotiated; /* set by initialize: what the session or channel speaks from now on */
	int http;                          /* set with the reply: its status over HTTP */
};

enum dispatch_result {
	DISPATCH_REPLIED,
	DISPATCH_WOULD_WAIT,
	DISPATCH_LISTEN, /* subscriptions/listen is accepted: nothing was appended; the transport opens the stream */
};

enum dispatch_result dispatch_request(struct request *, struct buffer *out);

/* The reply of a request that is not run at all, because the program is busy or short of memory: a failed result of
 * tools/call, an error of anything else. */
void dispatch_refuse(struct request *, const struct cs_error *, struct buffer *out);

/* The three messages of a subscription: the first, the result that ends it gracefully, and (stdio only) the notice
 * after it. */
void dispatch_write_acknowledged(struct buffer *out, const struct json_doc *, uint32_t id);
void dispatch_write_listen_result(struct buffer *out, const struct json_doc *, uint32_t id);
void dispatch_write_listen_cancelled(struct buffer *out, const struct json_doc *, uint32_t id);

#endif
