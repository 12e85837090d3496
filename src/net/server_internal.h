/* What the files of the server share: its state per loop, and a connection.
 *
 * server.c     listeners' events, the tick, drain          listen.c   sockets, bound      spread.c   which loop
 * connection.c bytes in, framing, time-outs, closing       exchange.c the pool, bytes out        sse.c  event streams
 * Everything here belongs to the loop of its `home` and is touched on that thread only, but what struct sse locks. */
#ifndef CS_NET_SERVER_INTERNAL_H
#define CS_NET_SERVER_INTERNAL_H

#include "base/metrics.h"
#include "net/server.h"

#define INPUT_BYTES     (64u << 10) /* one read of a loop */
#define HELD_MAX        (64u << 10) /* pipelined bytes a connection may have waiting before reading stops */
#define POOL_EXCHANGES  64u         /* exchanges a loop keeps when nobody uses them */
#define POOL_BODY_BYTES (64u << 10) /* memory of a response that an exchange keeps */
#define GATHERED_MAX    (32u << 10) /* bytes of pipelined responses that wait to leave together */
#define JOINED_MAX      (16u << 10) /* a body up to this size is copied behind its head */
#define SPREAD_FEW      200u        /* connections that keep to one loop */
#define LINGER_NS       INT64_C(2000000000)
#define REFUSED_MAX     128u /* connections over connections_max that are told so; further ones are just closed */
#define SECOND_NS       INT64_C(1000000000)
#define STATUS_MAX      599

enum listener_kind { LISTENER_TCP, LISTENER_LOCAL, LISTENERS };

struct listener {
	uv_poll_t poll;
	struct home *home; /* NULL: not open */
	int fd;
	bool resting; /* no descriptors or memory were left: see server.c */
};

/* The server on one loop. */
struct home {
	struct server *server;
	struct loop *loop;
	struct listener listeners[LISTENERS];
	unsigned listener_count; /* open */
	struct connection *connections;
	unsigned connection_count;
	struct exchange *pool;
	unsigned pool_count;
	unsigned exchanges_out;
	atomic_uint load; /* connections but event streams, those on their way here too; others read it */
	bool draining;
	bool complete; /* draining, and no connection will be handed over any more */
	bool drained;
	int64_t drain_until_ns;
	struct loop_task drain_task, complete_task;
	char date[40]; /* "Date: ...\r\n" of this second */
	size_t date_len;
	struct metric_series *responses[STATUS_MAX + 1]; /* looked up at the first of each */
	struct buffer out;                               /* what is about to be sent */
	struct connection *gathering; /* whose whole responses stand in out, unsent; NULL: no one's */
	struct http_head head;        /* the request being parsed */
	char input[INPUT_BYTES];
};

struct server {
	struct server_options options;
	struct server_handler handler;
	size_t home_count;
	atomic_size_t homes_open; /* may still accept */
	atomic_size_t homes_left; /* not drained */
	atomic_uint open;         /* connections of all loops, refused ones too */
	atomic_bool drain_called;
	int64_t drain_timeout_s;
	void (*done)(void *self);
	void *done_self;
	struct loop_task done_task;
	uint16_t port;
	char *unix_path; /* to be removed at the end; NULL: none */
	struct metric_series *connections_metric, *streams_metric;
	struct home homes[];
};

/* Bytes of a request that has not come whole, or that must wait for its turn. Exists only while there are some. */
struct intake {
	struct buffer held; /* not looked at, or the start of a head */
	bool in_body;
	struct buffer head; /* of the request whose body is arriving */
	struct buffer body;
	struct http_body framing;
};

/* What the kernel did not take at once. */
struct waiting_write {
	uv_write_t request;
	struct connection *connection;
	struct buffer body; /* written from `sent` on */
	size_t head_len;
	char head[];
};

struct connection {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	int fd; /* the handle's; -1 once it is closing */
	struct home *home;
	struct connection *next, *previous;
	struct exchange *exchange; /* with the handler */
	struct sse *sse;
	struct intake *intake;
	struct waiting_write *write;
	size_t scanned;   /* of the head that is arriving */
	size_t unsent;    /* at the last tick */
	int64_t since_ns; /* of what a time-out is counted from, see connection_tick */
	bool local;
	bool reading;
	bool half_closed; /* the client sends no more */
	bool close_after; /* this response */
	bool lingering;   /* all said; waits for the client to close */
	bool feeding;     /* inside feed(): it goes on by itself */
	bool closing;
};

/* listen.c. Sockets bound, not yet listening; -1 in *ret_fd never. */
CS_CHECKED enum cs_status listen_tcp(
	const struct server_options *, int *fds, size_t count, uint16_t *ret_port, struct cs_error *);
CS_CHECKED enum cs_status listen_unix(struct slice path, int *ret_fd, struct cs_error *);

/* server.c */
void home_go_on_accepting(struct home *); /* if that rested for want of descriptors */
void home_check_drained(struct home *);
void home_drain_connection(struct home *, struct connection *);

/* spread.c: takes the descriptor over and gives it to the loop it belongs to. */
void spread_accept(struct home *, int fd, bool unix_socket);

/* connection.c */
/* Takes the descriptor over; it is counted in home->load already. */
void connection_accept(struct home *, int fd, bool unix_socket);
void connection_close(struct connection *);
void connection_tick(struct connection *, int64_t now_ns);
void connection_drain(struct connection *);
void connection_drop_input(struct connection *); /* what is held will not be looked at */
/* The response (or stream) is out: linger, close, or go on with what is held. */
void connection_written(struct connection *);

/* exchange.c */
struct exchange *exchange_take(struct home *);
void exchange_give(struct home *, struct exchange *);
void exchange_pool_free(struct home *);
/* Answers for the server itself; the connection is closed behind it. */
CS_COLD void connection_refuse(struct connection *, int status, const char *text);
/* Writes head and body; what the kernel does not take waits in connection->write, which takes over the body's memory.
 * Returns true when all is out; false when it waits or the connection is closing. */
bool connection_send(struct connection *, struct slice head, struct buffer *body);
void response_count(struct home *, int status);
/* home->out, where what leaves next is put together: behind the responses of this connection that are gathered there, or
 * empty. Whoever asks sends. */
struct buffer *connection_out(struct connection *);
/* Sends what was gathered. */
void connection_flush(struct connection *);

/* sse.c */
void sse_on_written(struct sse *);
void sse_on_close(struct sse *);  /* no more sends; from connection_close */
void sse_on_closed(struct sse *); /* the last call */
void sse_tick(struct sse *, int64_t now_ns);
void sse_drain(struct sse *);

#endif
