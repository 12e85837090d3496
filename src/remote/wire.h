/* A stream socket to a server, with a way out of every wait.
 *
 * Each call ends when it is done, when the other end fails, when `until_ns` is past, or when the op behind it is late or
 * unwanted. Waiting is a blocking recv with a receive time-out of WIRE_LOOK_MS, after which deadline and cancellation
 * are looked at; only within the last WIRE_LOOK_MS before a deadline is poll() asked first. So a reply that comes soon costs
 * one recv and no other system call, which non-blocking sockets with poll, or a time-out set anew for each call, would
 * not give. Sockets are close-on-exec, TCP without Nagle and with keep-alive.
 *
 * The words for what went wrong are the caller's, who knows whom it talks to; wire_reason gives the short of it.
 * Threads: a socket belongs to one at a time. */
#ifndef CS_REMOTE_WIRE_H
#define CS_REMOTE_WIRE_H

#include "base/op.h"

#define WIRE_LOOK_MS  20
#define WIRE_AWAIT_MS 200 /* wire_await's rhythm: it waits for hours, and nobody's call is behind it */

enum wire_end {
	WIRE_OK,
	WIRE_CLOSED,   /* by the other end, in order */
	WIRE_FAILED,   /* errno of the call that failed */
	WIRE_UNKNOWN,  /* the name cannot be resolved: error is getaddrinfo's */
	WIRE_LATE,     /* until_ns is past */
	WIRE_UNWANTED, /* the op's deadline is past or it is cancelled */
};

/* Until when, and for whom. */
struct wire_wait {
	const struct op *op;
	int64_t until_ns; /* monotonic, as clock_mono_ns */
};

struct wire_result {
	enum wire_end end;
	int error;
};

struct wire_address {
	const char *host; /* NULL: path */
	uint16_t port;
	const char *path; /* of a Unix socket */
};

/* Tries each address of the host in turn. Resolving the name is the one wait that cannot be cut short. */
CS_CHECKED struct wire_result wire_connect(const struct wire_address *, struct wire_wait, int *ret_fd);

/* All of it. *ret_sent: bytes the kernel took, whatever the end: 0 means nothing can have reached the server. */
CS_CHECKED struct wire_result wire_send(int fd, struct slice bytes, struct wire_wait, size_t *ret_sent);

/* At least one byte, at most `size`. */
CS_CHECKED struct wire_result wire_receive(int fd, char *room, size_t size, struct wire_wait, size_t *ret_received);

/* Until there is something to receive, or the other end hung up; takes nothing. */
CS_CHECKED struct wire_result wire_await(int fd, struct wire_wait);

/* What has come already, without waiting: WIRE_LATE when nothing has. */
CS_CHECKED struct wire_result wire_take(int fd, char *room, size_t size, size_t *ret_received);

/* Nothing was said since the last reply and the other end did not hang up, as far as this kernel knows: one system call,
 * no wait. Bytes that nobody asked for make a connection as useless as its end. */
bool wire_is_quiet(int fd);

/* "connection refused", "closed by the other end", "no answer in time". Lives as long as the program or until the
 * thread's next call. */
const char *wire_reason(struct wire_result);

#endif
