/* Batches: an array of messages, in the revisions that have them.
 *
 * Messages are run one after the other, on a worker, and answered in order as one array; requests that are not answered
 * (notifications, responses) leave no element, and an array of such alone leaves no reply. initialize may not be in a
 * batch. Threads: as dispatch. */
#ifndef CS_MCP_BATCH_H
#define CS_MCP_BATCH_H

#include "mcp/dispatch.h"

#define BATCH_MESSAGES_MAX 100

/* Is the document's array a batch this revision takes? False: RPC_INVALID_REQUEST. */
bool batch_check(const struct revision *, const struct json_doc *, struct rpc_error *);

/* `like` gives dispatcher, revision, op and doc; `notified` (with self) hears of each notification. False: nothing to
 * send. */
bool batch_run(const struct request *like, void (*notified)(void *self, const struct rpc_message *), void *self,
	struct buffer *out);

#endif
