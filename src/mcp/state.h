/* What stands behind a struct mcp. Inside src/mcp only. */
#ifndef CS_MCP_STATE_H
#define CS_MCP_STATE_H

#include "mcp/auth.h"
#include "mcp/dispatch.h"
#include "mcp/mcp.h"
#include "mcp/session.h"

/* A body up to this size is parsed on the event loop, a larger one by a worker. */
#define INLINE_BYTES_MAX (8u << 10)

struct channel;

struct mcp {
	struct mcp_options options;
	struct dispatcher dispatcher;
	struct auth *auth;
	struct sessions *sessions;
	struct status *status;
	char *allowed_hosts;     /* what options.allowed_hosts points to */
	struct channel *channel; /* the stdio side, while it runs; its loop's */
	int64_t started_ns;      /* monotonic */
};

/* Until when the answer to a request that came at started_ns is of use. */
static inline int64_t mcp_deadline(const struct mcp *mcp, int64_t started_ns)
{
	return started_ns + mcp->options.request_timeout_s * INT64_C(1000000000);
}

#endif
