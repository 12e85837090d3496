/* Embeddings from a server: any that answers POST /v1/embeddings as OpenAI's does, behind port/embed.h.
 *
 * Nothing is loaded or sent before the first call. Texts go in requests of `batch`; connections are kept and used again,
 * at most `connections_max` at a time. A request that meets 408, 429, 5xx, a refused or a broken connection is sent
 * again up to EMBED_HTTP_RETRIES times, after a random part of a doubling pause (full jitter) or what Retry-After asks
 * for, as long as the op's deadline has room. A server that did not answer at all is left in peace for EMBED_HTTP_REST_MS:
 * calls fail at once meanwhile, so a search by words does not wait for it each time.
 *
 * Connecting and the whole of a request have time-outs (a query's is shorter than a document's), cut to the op's
 * deadline; a caller that goes away ends the request. A reply may have EMBED_HTTP_REPLY_MAX bytes. The first answer pins
 * the dimension. The key goes into one header and nowhere else: it is never logged, and a reply that repeats it is not
 * quoted. Redirects are not followed, because the key would go along.
 *
 * Windows are the server's business: it cuts or refuses (400, 413, 422) what is too long for its model, and a
 * refusal is VALIDATION.
 * `tokens` of an embedding is what the server counted, known only where a request held one text; otherwise 0.
 *
 * Threads: new and free from one, the port from any worker. Errors: EMBEDDING_UNAVAILABLE (what is wrong, where, what to
 * do), VALIDATION (invalid UTF-8, or the server refuses a text), TIMEOUT (nobody waits any more), LIMIT_EXCEEDED (memory). */
#ifndef CS_REMOTE_EMBED_HTTP_H
#define CS_REMOTE_EMBED_HTTP_H

#include "port/embed.h"

#define EMBED_HTTP_RETRIES    3
#define EMBED_HTTP_REST_MS    5000
#define EMBED_HTTP_REPLY_MAX  (64u << 20)
#define EMBED_HTTP_BATCH_MAX  256
#define EMBED_HTTP_CONNECT_MS 5000
#define EMBED_HTTP_QUERY_MS   10000
#define EMBED_HTTP_TOTAL_MS   60000
#define EMBED_HTTP_PAUSE_MS   250 /* the first pause is a random part of this */
#define EMBED_HTTP_PAUSE_MAX  8000

struct embed_http;

struct embed_http_options {
	/* "http://localhost:11434/v1" or all of "https://.../v1/embeddings"; a host alone gets /v1/embeddings. */
	struct slice url;
	struct slice model;  /* the server's name for it */
	struct slice key;    /* empty: none is sent */
	uint32_t dimensions; /* asked for in each request and expected of each answer; 0: the model's own */
	unsigned batch;
	unsigned connections_max;
};

/* Everything is copied. Errors: VALIDATION (the URL). */
CS_CHECKED enum cs_status embed_http_new(
	const struct embed_http_options *, struct embed_http **ret_remote, struct cs_error *);
/* No call may be running. Takes NULL. */
void embed_http_free(struct embed_http *);

struct embed_port embed_http_port(struct embed_http *);

/* The address as it may be shown: without user, password and query. Lives as long as the remote. */
struct slice embed_http_shown(const struct embed_http *);

#endif
