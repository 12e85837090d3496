/* Agent state in Redis or Valkey, behind port/kv.h.
 *
 * What is stored (docs/adr/0006-redis-values-are-plain-strings.md has the reasons):
 *
 *     agent:{id}:{prefix}:{key}             a string: the content and nothing else, as the system before this one kept it
 *     {agent:{id}:{prefix}:{key}}:version   a string: "VERSION CHARACTERS SHA1", with the same time to live
 *
 * (the outer braces of the second stand there literally). The content is what any client reads with GET. The
 * second key, the mark, says which version that content is; its name starts with a brace, so a scan for "agent:*" never meets
 * it, and by the cluster's hash-tag rule it lives in the slot of the first.
 *
 * Values written by others. A value without a mark is version 1. A value whose SHA-1 is not the mark's was overwritten
 * from outside and is one version further. Whoever is first to tell such a version, in a read, a list or a write, leaves
 * a mark for it, so a second change from outside is another version again and a compare-and-set never loses one. (A
 * read-only replica cannot keep a mark; there the version is told without.) Writing the same content from outside is no
 * change. A value from outside that is no UTF-8 text is INVALID_CONTENT_TYPE to who reads it, appends or adds to it, and is
 * left as it is; its CHARACTERS are 0. A key without value has no version, whatever mark may be left.
 *
 * Each write is one Lua script, so it is one atomic step; EVALSHA, and the script itself where the server does not know it.
 * A read is a script too, and one round trip. (MULTI and EXEC cost the server a microsecond less, but are refused as a
 * whole, reads included, when its memory is full.) A list walks the whole database with SCAN, a
 * thousand keys a round trip, never KEYS, and then reads the page; it needs memory for the names of all keys under
 * (agent, prefix), at most REDIS_LIST_BYTES_MAX. Keys there that no tool could name are left out.
 *
 * After a failed write the message says what is known: that nothing was written, or that it is not known whether it was.
 * Reads are repeated once when a connection that had lain idle turns out to be dead; writes only when refused:
 *
 * Failover by name. When a server says that it is a replica (READONLY, MASTERDOWN; to redis_kv_ping also by its role), one
 * connection looks where the name in the URL leads to now, once in REDIS_LOOK_MS at most. Only where that is no replica are
 * the pool's connections made anew, and a call that was refused so is made once more, writes too: whoever refuses has
 * written nothing. Calls that are refused meanwhile wait for what the look finds, at most the time-outs of connecting and of
 * a command. So a server that is a replica all along costs a connection a second, and its reads go on.
 *
 * ACL: `~agent:* ~{agent:*}:version +get +set +del +incrby +pttl +pexpiretime +scan +eval +evalsha +ping +select +hello`. Evicting policies may drop a mark before its value; noeviction is advised.
 *
 * Threads: any worker. An op that may not wait is told WOULD_WAIT: nothing is answered from memory here.
 * Errors: the port's, and those of remote/redis.h. */
#ifndef CS_REMOTE_REDIS_KV_H
#define CS_REMOTE_REDIS_KV_H

#include "port/kv.h"
#include "remote/pool.h"
#include "remote/redis.h"

#define REDIS_LIST_BYTES_MAX (64u << 20)

/* Used where an option is 0. */
#define REDIS_POOL_MIN           5
#define REDIS_POOL_MAX           50
#define REDIS_MAX_IDLE_MS        300000
#define REDIS_LIFETIME_MS        3600000
#define REDIS_ACQUIRE_TIMEOUT_MS 5000
#define REDIS_CONNECT_TIMEOUT_MS 5000
#define REDIS_COMMAND_TIMEOUT_MS 5000
#define REDIS_CHECK_AFTER_MS     30000 /* a connection idle for so long is asked PING before it is lent */

#define REDIS_LOOK_MS            1000

struct redis_kv;

struct redis_kv_options {
	struct slice url;      /* remote/redis_url.h */
	struct slice password; /* where the URL has none */
	unsigned pool_min;
	unsigned pool_max;
	int64_t max_idle_ms;
	int64_t lifetime_ms;
	int64_t acquire_timeout_ms;
	int64_t connect_timeout_ms;
	int64_t command_timeout_ms;
	struct metric_series *wait_time; /* remote/pool.h */
	/* Told what the look found, on the thread of the call that made it: REDIS_REPLICA once in a row; anything else each
	 * time, when the pool is renewed and whoever keeps a connection to the server should do the same. NULL: nobody is
	 * told. */
	void (*looked)(void *self, enum redis_role found);
	void *self;
};

/* Copies everything, connects to nothing. Errors: VALIDATION. */
CS_CHECKED enum cs_status redis_kv_new(const struct redis_kv_options *, struct redis_kv **ret_kv, struct cs_error *);
/* No call may be running. Takes NULL. */
void redis_kv_free(struct redis_kv *);

struct kv_port redis_kv_port(struct redis_kv *);

/* Is the server there and willing, and a replica by now? One PING, on a connection kept for it. */
CS_CHECKED enum cs_status redis_kv_ping(struct redis_kv *, struct op *, struct cs_error *);
/* For the thread that looks after health: closes what has been idle too long, opens what is missing (pool_maintain). */
CS_CHECKED enum cs_status redis_kv_maintain(struct redis_kv *, struct op *, struct cs_error *);
/* Closes what is idle and waits for what is lent, until the op's deadline; every later call of the port is UNAVAILABLE. */
CS_CHECKED enum cs_status redis_kv_drain(struct redis_kv *, struct op *, struct cs_error *);
void redis_kv_pool_stats(struct redis_kv *, struct pool_stats *ret_stats);
/* The address without secrets. Lives as long as the kv. */
struct slice redis_kv_shown(const struct redis_kv *);
/* For connections of one's own (redis_connect), as a listener for invalidations needs. Lives as long as the kv. */
const struct redis *redis_kv_client(const struct redis_kv *);

/* The agent and key a Redis key stands for; false for what is none of ours (a mark too). Slices of `name`. */
bool redis_kv_key_parse(struct slice name, struct kv_key *ret_key);

#endif
