/* Client-side tracking: the server tells a cache which keys others change.
 *
 * One thread with one connection of its own, kept apart from the pool. The connection asks the server to broadcast the
 * names of all changed keys with our prefix and to send them to itself as messages of a subscription:
 *
 *     CLIENT TRACKING ON REDIRECT <own id> BCAST PREFIX agent:
 *     SUBSCRIBE __redis__:invalidate
 *
 * (https://redis.io/docs/manual/client-side-caching/, "two connections mode" and "broadcasting mode"; it is RESP2, so
 * every client library and proxy between passes it.) Broadcasting and not the default mode, in which the server remembers
 * what each connection read: it forgets that when the connection closes, and a pool closes connections all the time,
 * so a change would go untold. The price is a message for every change of any key of ours, wanted or not.
 *
 * Trust. A PING goes out every TRACKING_BEAT_MS; its answer comes behind every message the server sent before, so it proves
 * that all changes until then were told. The cache may be trusted for TRACKING_LEASE_MS from when the PING was sent.
 * So a network that swallows packets, a stopped server, or this process itself stopped and continued cannot make it serve what is
 * older than that. When the connection ends the cache is closed at once, and opens when the server tracks again.
 *
 * How late. The server sends a change's message before it answers the writer: messages are made before it looks for what is
 * to be written, and put in front of it (Redis 7, Valkey; with one I/O thread, which is the default). So when the writer
 * knows that it has written, the message has left. On one host it is then in our socket; but our thread may not have
 * run, and a reader that does must not be answered from memory. tracking_has_told_all sees to that: it looks whether the
 * socket holds anything, and whether what was taken from it is being worked on (one system call that copies nothing;
 * without it one read in two hundred behind a write was stale on an idle machine, one in six on a busy one). From another
 * host a message is late by as much as the network delays it more than the answer to the writer; no cache without a round
 * trip for each read can do better.
 *
 * Threads: new and free from one; renew from any. */
#ifndef CS_REMOTE_TRACKING_H
#define CS_REMOTE_TRACKING_H

#include "remote/kv_cache.h"
#include "remote/redis.h"

#define TRACKING_BEAT_MS      1000
#define TRACKING_LEASE_MS     3000
#define TRACKING_PAUSE_MIN_MS 100 /* between attempts to connect; doubles up to the next */
#define TRACKING_PAUSE_MAX_MS 5000

struct tracking;

struct tracking_options {
	const struct redis *client;
	struct kv_cache *cache;
	/* Told once for each change of whether the cache is open, on the tracking thread. NULL: nobody is told. */
	void (*changed)(void *self, bool open, const char *why);
	void *self;
};

/* Asks for messages about all keys of ours on this connection, which is good for nothing else from then on. What is
 * refused is told as redis_reply_error does. */
CS_CHECKED enum cs_status tracking_subscribe(
	const struct redis *, struct redis_connection *, struct op *, struct cs_error *);
/* Starts the thread, and is the cache's listener until it is freed. All in the options outlives it; no call of the cache's
 * port is running when it starts or ends. */
CS_CHECKED enum cs_status tracking_new(
	const struct tracking_options *, struct tracking **ret_tracking, struct cs_error *);
/* The server's name leads to another by now: from here on nothing is served from the cache, until the listener has
 * connected anew, which it does by its next beat. */
void tracking_renew(struct tracking *);
/* Closes the cache. Takes NULL. */
void tracking_free(struct tracking *);

#endif
