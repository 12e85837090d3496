/* The load: n keep-alive connections, one thread, epoll.
 *
 * Closed loop (rate 0): each connection has one request under way and sends the next when the reply is there. Every
 * connection first sends one request that is not counted, and goes on with one more, not counted either, once all
 * counted ones are sent: so the counted ones see the full number of connections from first to last.
 *
 * Open loop (rate > 0): requests are due at start + i / rate, whatever the server does. One that is due takes an idle
 * connection or waits for one, and its latency is counted from when it was due: a server that stalls is charged for all
 * that should have been sent meanwhile (no coordinated omission). `late`: left over 1 ms after it was due. `dropped`:
 * still unsent after the time-out.
 *
 * A connection that is lost takes its request with it (a failure) and is made anew. The latency of a failure is not
 * recorded: being refused quickly is no speed.
 *
 * Threads: one call at a time a thread; `stop` may be set from a signal handler. */
#ifndef CS_BENCH_CLIENT_H
#define CS_BENCH_CLIENT_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "base/error.h"
#include "bench/frame.h"
#include "bench/histogram.h"

#define CLIENT_CONNECTIONS_MAX 10000
#define CLIENT_FAILURE_MAX     240

struct client_address {
	struct sockaddr_storage address;
	socklen_t length;
};

/* What the requests of one kind came to. All zero at the start but the mark; several runs may go into one. */
struct client_series {
	struct slice mark;        /* successes whose reply holds it are counted apart, too; empty: none */
	struct histogram latency; /* of the successes */
	uint64_t success, failed, marked;
	char failure[CLIENT_FAILURE_MAX]; /* what the first failure said; "" when none failed */
};

struct client_load {
	const struct client_address *to;
	unsigned connections;
	uint64_t requests; /* counted ones; of an open loop, all there are */
	double rate;       /* a second; 0: closed loop */
	int64_t timeout_ns;
	enum frame_state (*frame)(const char *bytes, size_t length, size_t *ret_length);
	/* The next request and the series it belongs to. The bytes live until the next call. */
	struct slice (*request)(void *self, unsigned *ret_series);
	/* Now and then (NULL: never), with the number of counted replies. */
	void (*progress)(void *self, uint64_t done);
	void *self;
	struct client_series *series;
	const atomic_bool *stop; /* NULL: nothing ends it early */
};

struct client_result {
	uint64_t done; /* counted replies, failures included */
	uint64_t late, dropped;
	int64_t elapsed_ns; /* from the first counted request to the last counted reply */
	int64_t cpu_ns;     /* of the client's own thread, the whole run */
	size_t reply_bytes; /* of the last good reply */
	bool stopped;       /* *stop was set */
};

/* Errors: CS_UNAVAILABLE (cannot connect, or not any more), CS_TIMEOUT (no reply at all for timeout_ns), CS_SYNTAX
 * (what answers is not of the protocol), CS_LIMIT_EXCEEDED (memory, descriptors). The series and *ret_result hold what
 * was measured until then, on errors too. */
CS_CHECKED enum cs_status client_run(const struct client_load *, struct client_result *ret_result, struct cs_error *);

/* One request, waited for. The reply (head and body, NUL-terminated, *ret_length long) is the caller's to free. A reply
 * that tells of a failure is CS_OK: *ret_good says so. Errors as above. */
CS_CHECKED enum cs_status client_ask(const struct client_address *, struct slice request, int64_t timeout_ns,
	enum frame_state (*frame)(const char *, size_t, size_t *), char **ret_reply, size_t *ret_length, bool *ret_good,
	struct cs_error *);

/* A connected, non-blocking socket. */
CS_CHECKED enum cs_status client_connect(
	const struct client_address *, int64_t timeout_ns, int *ret_fd, struct cs_error *);

#endif
