/* The HTTP server: listeners, connections, exchanges, event streams.
 *
 * One server listens on a TCP address (each loop with a socket of its own, SO_REUSEPORT) and on a Unix socket, and
 * gives every request to one handler as an `exchange`. A connection runs one exchange at a time: what a client
 * pipelines waits in a bounded buffer and is answered in order. An idle connection owns no buffer: bytes are read into
 * the loop's, and copied into the exchange when they are to stay.
 *
 * Life of an exchange. It is taken from the loop's pool when a request is whole, and the handler is called on the loop.
 * The handler answers there (exchange_finish), or hands it to a worker, which fills the same `response` and calls
 * exchange_finish from its own thread; or turns it into an event stream. Exactly one of these, exactly once. Bytes of
 * head and body live in the exchange's arena until exchange_finish. When the client goes away meanwhile, `cancelled`
 * becomes true; finish is still called.
 *
 * The server itself answers: what the parser refuses, time-outs (408), too many connections (503), Expect:
 * 100-continue, HEAD (the handler answers as for GET; the body is left out), and Date, Content-Length, Connection.
 * Errors it makes carry
 * {"error":"..."} as JSON.
 *
 * Threads: exchange_finish, sse_send and sse_end from any; the rest on the exchange's loop. */
#ifndef CS_NET_SERVER_H
#define CS_NET_SERVER_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "net/http_parser.h"
#include "net/loop.h"

#define EXCHANGE_ARENA_OWN (8u << 10) /* bytes a request has before it needs malloc */

struct connection;
struct sse;
struct home;

struct response {
	int status;
	const char *content_type; /* NULL: no body */
	struct buffer headers;    /* further "Name: value\r\n" lines */
	struct buffer body;
	bool close; /* close the connection behind it */
};

struct exchange {
	const struct http_head *head;
	struct slice body;
	struct arena arena;
	struct response response;
	atomic_bool cancelled;
	bool local;         /* came over the Unix socket: the peer is this user or root */
	int64_t started_ns; /* monotonic: when its last byte had arrived */
	void *user;         /* the handler's */
	/* below: the server's own */
	struct connection *connection;
	struct loop *loop;
	struct loop_task task;
	struct exchange *next; /* in the pool */
	struct home *home;
	char *body_memory; /* of a body that came in pieces */
	char own[EXCHANGE_ARENA_OWN];
};

struct server_handler {
	void *self;
	void (*request)(void *self, struct exchange *);
};

struct server_options {
	struct slice host;      /* numeric address or name; empty: no TCP */
	uint16_t port;          /* 0: chosen by the system */
	struct slice unix_path; /* empty: none. A stale socket file is replaced; mode 0600; any length (see ADR) */
	unsigned connections_max;
	unsigned stream_buffer_max; /* bytes an event stream may hold back before it is cut; 0: SSE_BUFFER_MAX */
	struct http_limits limits;
	int64_t header_timeout_s, body_timeout_s, idle_timeout_s;
	size_t arena_ceiling; /* bytes one exchange may allocate */
	size_t response_max;  /* bytes of one response body */
};

struct server;

/* Binds on every loop; serves once the loops run. Errors: CS_UNAVAILABLE that names the address and the reason. */
CS_CHECKED enum cs_status server_new(struct loop *const *loops, size_t loop_count, const struct server_options *,
	struct server_handler, struct server **ret_server, struct cs_error *);
uint16_t server_port(const struct server *);

/* Stops accepting, closes idle connections, ends event streams (each after `stream_ending` had its say), lets exchanges
 * in flight finish until timeout_s, then closes what is left and cancels it; `done` is called once on the first loop,
 * when the last exchange has been given back, so a handler that ignores `cancelled` delays it. From any thread. */
void server_drain(struct server *, int64_t timeout_s, void (*done)(void *self), void *self);
void server_free(struct server *); /* after done */

/* Sends response and gives the exchange back. */
void exchange_finish(struct exchange *);

#define SSE_BUFFER_MAX  (1u << 20)
#define SSE_HEARTBEAT_S 15

/* Event streams (text/event-stream). The connection stays open after the exchange is given back; a comment goes out
 * every SSE_HEARTBEAT_S; a client that does not read is cut when more than stream_buffer_max waits for it. */
struct sse_hooks {
	void *self;
	/* Last call for this stream, on its loop: the client left, it was cut, or it ended. The handle is dead
	 * afterwards. */
	void (*closed)(void *self, struct sse *);
	/* The server is draining: send a last message if the protocol has one. May be NULL. */
	void (*ending)(void *self, struct sse *);
};

/* On the exchange's loop, instead of exchange_finish. response.headers are sent too. NULL: the client is gone already
 * or memory is short; the exchange has been given back and `closed` is not called. */
struct sse *exchange_stream(struct exchange *, struct sse_hooks);
/* `data` is one message without newlines; copied. False: the stream is closing; the message was dropped. A handle may
 * be used from any thread between exchange_stream and the return of closed; whoever shares it across threads holds a
 * reference. */
bool sse_send(struct sse *, struct slice data);
void sse_end(struct sse *);
void sse_ref(struct sse *);
void sse_unref(struct sse *);

#endif
