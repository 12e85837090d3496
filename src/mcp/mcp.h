/* The protocol side of the program: what cli/ starts.
 *
 * One `struct mcp` answers JSON-RPC messages of every protocol revision over both transports. The HTTP side is a
 * handler for net/server.h (mcp/http.h: /mcp, /tools, /health, /status, /metrics); the stdio side reads net/lines.h.
 * What differs between revisions stands in one table (mcp/revision.h). Threads: made and freed by the
 * thread that starts the loops, when none of them runs; the handlers run on the loops. */
#ifndef CS_MCP_MCP_H
#define CS_MCP_MCP_H

#include "base/op.h"
#include "mcp/status.h"
#include "mcp/tools.h"
#include "net/lines.h"
#include "net/server.h"
#include "net/worker.h"

struct mcp;

struct mcp_options {
	struct tool_host host;
	struct workers *workers;
	unsigned sessions_max;
	int64_t request_timeout_s;
	size_t response_max;        /* bytes of one reply */
	size_t message_max;         /* bytes of one message over stdio; 0: 4 MiB */
	struct slice allowed_hosts; /* besides loopback names and addresses, separated by commas */
	char *const *environment;   /* API_KEY_* are read from it */
	struct status_limits status_limits[STATUS_MEASURES]; /* all zero: the guide's */
	unsigned cores;                                      /* that count as 100 % of CPU; 0: the machine's */
};

/* Errors: CS_VALIDATION (an API_KEY_* of the wrong form; the text names the variable, never the key). */
CS_CHECKED enum cs_status mcp_new(const struct mcp_options *, struct mcp **ret_mcp, struct cs_error *);
void mcp_free(struct mcp *);
bool mcp_keys_configured(const struct mcp *);

struct server_handler mcp_http(struct mcp *);

/* A tick for loop_on_tick, of one loop: looks whether thresholds are crossed (mcp/status.h) and logs it. Without it they
 * are looked at when /status or /metrics is asked for. */
void mcp_tick(void *mcp, int64_t now_ns);

/* Speaks the protocol over a pair of descriptors until end of input, then calls done on the loop once every answer is
 * written; `error` as of lines_close: answers were lost. */
CS_CHECKED enum cs_status mcp_stdio_start(struct mcp *, struct loop *, int in_fd, int out_fd,
	void (*done)(void *self, int error), void *self, struct cs_error *);

#endif
