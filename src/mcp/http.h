/* The HTTP side: who may ask, and which page answers.
 *
 *   http.c    checks (Host, Origin, key), routes, refusals
 *   post.c    POST /mcp: one message in, one reply out
 *   stream.c  event streams: GET /mcp of a session, subscriptions/listen; DELETE /mcp
 *   plain.c   /tools, POST /tools/{name}, /health*, /status, /metrics, /
 *
 * Each function below takes an exchange on its loop and sees to it that it is finished exactly once (net/server.h). */
#ifndef CS_MCP_HTTP_H
#define CS_MCP_HTTP_H

#include "mcp/headers.h"
#include "mcp/state.h"

/* One request that passed the checks. */
struct visit {
	struct mcp *mcp;
	struct exchange *exchange;
	const struct principal *principal;
	struct request_headers headers;
};

void http_request(void *mcp, struct exchange *);

/* Answers {"error": text}. */
CS_COLD void http_refuse(struct exchange *, int status, const char *text);
/* Answers 202 or 204 without a body. */
void http_finish_empty(struct exchange *, int status);

void post_message(const struct visit *);

void stream_open_session(const struct visit *);  /* GET /mcp */
void stream_close_session(const struct visit *); /* DELETE /mcp */
/* The exchange becomes the stream of an accepted subscriptions/listen. */
void stream_listen(struct exchange *, const struct json_doc *, uint32_t id);

void plain_tools(const struct visit *);
void plain_call(const struct visit *); /* POST /tools/{name} */
void plain_health(const struct visit *);
void plain_live(const struct visit *);
void plain_ready(const struct visit *);
void plain_detailed(const struct visit *);
void plain_status(const struct visit *);
void plain_metrics(const struct visit *);
void plain_root(const struct visit *);

#endif
