/* A client of Redis (and of what speaks its protocol: Valkey): one connection, commands and their replies.
 *
 * Replies are read by hiredis' reader into the op's arena, with its allocation replaced: no reply is freed singly, and
 * every length that a server names has a ceiling before memory is taken for it. Commands are written into one buffer
 * and sent with one call, replies are read until as many as were asked have come; a command that takes one packet each
 * way costs one send and one recv. hiredis' own sockets are not used: they block without regard to a caller that went
 * away, leak into child processes, and raise SIGPIPE (remote/wire.h).
 *
 * The protocol is RESP2, which every version speaks and which client-side tracking can redirect.
 *
 * A connection is broken once anything but a reply came of it (I/O error, protocol error, deadline in mid-reply): the
 * replies that are still under way would be taken for those of the next command. Every further call fails, and its
 * owner closes it. An error reply (-ERR ...) breaks nothing: it is a reply, and redis_reply_error gives its status.
 *
 * Secrets go into AUTH and nowhere else; no message holds one.
 * Threads: struct redis any (it never changes); a connection one at a time.
 * Errors: UNAVAILABLE (cannot be reached, does not answer, answers nonsense, refuses us, is loading), STORAGE (answers, but
 * refuses this command: READONLY, OOM, MISCONF, NOPERM), TIMEOUT (the op's deadline or cancellation), LIMIT_EXCEEDED (memory).
 * Who watches the server's health counts UNAVAILABLE and TIMEOUT; after STORAGE the server is well enough to say no. */
#ifndef CS_REMOTE_REDIS_H
#define CS_REMOTE_REDIS_H

#include "base/op.h"
#include "remote/redis_url.h"

#define REDIS_STRING_MAX   (4u << 20) /* bytes of one string in a reply; ours have at most 400,000 */
#define REDIS_ELEMENTS_MAX 65536      /* of one array in a reply */
#define REDIS_COMMAND_MAX  (8u << 20) /* bytes of the commands of one round trip */
#define REDIS_CLIENT_NAME  "context-store"

/* What a cluster is told by, in whatever way it shows. */
#define REDIS_CLUSTER_REFUSED                                                                                          \
	"it is a node of a Redis Cluster, which is not supported yet: point REDIS_URL at a single server or a proxy "  \
	"for the cluster"

struct redis;
struct redis_connection;

enum redis_kind { REDIS_NIL, REDIS_STRING, REDIS_STATUS, REDIS_ERROR, REDIS_INTEGER, REDIS_ARRAY };

struct redis_reply {
	enum redis_kind kind;
	int64_t integer;
	struct slice text;            /* STRING, STATUS, ERROR; in the op's arena */
	struct redis_reply *elements; /* ARRAY */
	size_t count;
};

enum redis_role { REDIS_ROLE_UNKNOWN, REDIS_PRIMARY, REDIS_REPLICA };

struct redis_options {
	struct slice url;           /* remote/redis_url.h */
	struct slice password;      /* used where the URL has none; empty: none */
	int64_t connect_timeout_ms; /* name, connection and greeting together */
	int64_t command_timeout_ms; /* one round trip; cut to the op's deadline */
};

/* Copies everything, connects to nothing. Errors: VALIDATION (the URL). */
CS_CHECKED enum cs_status redis_new(const struct redis_options *, struct redis **ret_redis, struct cs_error *);
/* No connection may be open. Takes NULL. */
void redis_free(struct redis *);
/* The address without secrets. Lives as long as the redis. */
struct slice redis_shown(const struct redis *);

/* Connects, says who we are (AUTH), chooses the database (SELECT), tells a name and hears what kind of server it is (HELLO 2
 * SETNAME), in one round trip. A node of a cluster and a Sentinel are refused.
 * The connection keeps a pointer to the redis. */
CS_CHECKED enum cs_status redis_connect(
	const struct redis *, struct op *, struct redis_connection **ret_connection, struct cs_error *);
/* Takes NULL. */
void redis_close(struct redis_connection *);
const struct redis *redis_of(const struct redis_connection *);
bool redis_is_broken(const struct redis_connection *);
/* What the server said last that it is: in its answer to the greeting or to redis_ping, or by a refusal that only a replica
 * gives (READONLY, MASTERDOWN). UNKNOWN where it was never said: what answers does not know HELLO, as some proxies. */
enum redis_role redis_role(const struct redis_connection *);
/* No reply is owed and none came unasked; sees an end that the kernel knows of without asking the server. */
bool redis_is_quiet(const struct redis_connection *);

/* Adds a command to those of the next round trip. */
void redis_ask(struct redis_connection *, const struct slice *words, size_t count);
/* Sends what was asked and reads the replies, which must be as many as commands were asked. */
CS_CHECKED enum cs_status redis_answers(
	struct redis_connection *, struct op *, struct redis_reply *ret_replies, size_t count, struct cs_error *);
/* One command, one reply. */
CS_CHECKED enum cs_status redis_call(struct redis_connection *, struct op *, const struct slice *words, size_t count,
	struct redis_reply *ret_reply, struct cs_error *);
/* After a failed redis_answers: can the server have got any of it? */
bool redis_may_have_arrived(const struct redis_connection *);
/* Was it the other end that closed or reset the connection, as one does that was restarted meanwhile? */
bool redis_was_cut(const struct redis_connection *);

/* Messages nobody asked for (a subscription's), while no reply is owed. */

/* Waits until until_ns for bytes on the socket, or the connection to end; takes nothing. *ret_came is false when neither
 * came by then. Messages that came together are received together: take all of them before waiting for more. TIMEOUT
 * breaks nothing here. */
CS_CHECKED enum cs_status redis_await(
	struct redis_connection *, struct op *, int64_t until_ns, bool *ret_came, struct cs_error *);
/* The next message of what has come; *ret_came is false when there is none. Only the rest of one that has begun is waited
 * for. */
CS_CHECKED enum cs_status redis_receive(
	struct redis_connection *, struct op *, struct redis_reply *ret_reply, bool *ret_came, struct cs_error *);
/* For wire_is_quiet, from any thread: has anything come that redis_receive did not take yet? */
int redis_socket(const struct redis_connection *);

/* PING, with HELLO behind it where that was answered before: redis_role is then as of now. */
CS_CHECKED enum cs_status redis_ping(struct redis_connection *, struct op *, struct cs_error *);

/* The status of an error reply, with a message that says who refused, why, and what to do. */
CS_COLD enum cs_status redis_reply_error(const struct redis *, const struct redis_reply *, struct cs_error *);
/* A reply of another shape than the command has: UNAVAILABLE, for what answers is not what we take it for, and the
 * connection is broken. */
CS_COLD enum cs_status redis_unexpected(struct redis_connection *, struct cs_error *);
/* Does the error reply begin with this code ("NOSCRIPT")? False for what is no error. */
bool redis_reply_is(const struct redis_reply *, const char *code);

#endif
