/* Agent state in memory: answers a read without storage, without a thread and without waiting.
 *
 * A mirror of the most recently used keys, in shards of a hash table and a list by last use. It holds at most
 * `entries_max` keys and `bytes_max` bytes, and the longest unused make room. An entry is a value, or the knowledge that
 * the key does not exist (an agent polling for a key is the common case). Values are immutable and counted, so a lock is
 * held for a look-up and a count, never for a copy and never across I/O.
 *
 * Never stale. Whoever learns of a change publishes it before the change is acknowledged (the engine's writer after the
 * commit, remote/kv_cache.h after the server's reply and for each message of its tracking). Who fills the mirror from
 * a read takes a ticket of the shard before the read; if anything was published to the shard since, the fill is
 * dropped. Expiry is judged by the reader, in the clock of whoever made the value.
 *
 * Each shard has an equal share of both limits, so with few entries a full shard evicts a little before the whole is
 * full. Users: the embedded engine, the cache in front of a server, and the query cache (store/query_cache.h), which keeps
 * answers under keys of its own. Threads: any. */
#ifndef CS_PORT_HOT_KEYS_H
#define CS_PORT_HOT_KEYS_H

#include <stdatomic.h>

#include "base/error.h"
#include "port/kv.h"

#define HOT_SHARDS_MAX 64
#define HOT_KEY_MAX    256
#define HOT_NO_EXPIRY  INT64_MAX

struct hot_keys;

struct hot_keys_options {
	size_t shards; /* 1 to HOT_SHARDS_MAX */
	size_t entries_max, bytes_max;
	size_t value_max; /* bytes; a larger value is not mirrored */
};

struct hot_value {
	atomic_uint refs;
	bool absent; /* known not to exist; only good_until_ms holds then */
	uint64_t version;
	int64_t expires_at_ms; /* HOT_NO_EXPIRY */
	int64_t good_until_ms; /* behind it the value is to be read anew; HOT_NO_EXPIRY */
	int64_t characters;
	size_t length;
	char content[];
};

struct hot_key {
	uint64_t hash;
	size_t length;
	char bytes[HOT_KEY_MAX];
};

CS_CHECKED enum cs_status hot_keys_new(const struct hot_keys_options *, struct hot_keys **ret_keys, struct cs_error *);
void hot_keys_free(struct hot_keys *); /* takes NULL */

/* False: agent and key together are too long to be a key at all. */
bool hot_key_make(const struct hot_keys *, const struct kv_key *, struct hot_key *ret_key);

/* A key that is not an agent's: at most HOT_KEY_MAX bytes. */
struct hot_key hot_key_of(const struct hot_keys *, struct slice bytes);

/* With one reference, the caller's; NULL: no memory. */
struct hot_value *hot_value_new(struct slice content);
struct hot_value *hot_value_new_of(const struct slice *parts, size_t count); /* one behind the other */
struct hot_value *hot_value_new_absent(void);
void hot_value_release(struct hot_value *); /* takes NULL */
/* The value as the port gives it, copied to the arena; `now_ms` in the clock of expires_at_ms. */
CS_CHECKED enum cs_status hot_value_entry(
	const struct hot_value *, int64_t now_ms, struct arena *, struct kv_entry *ret_entry, struct cs_error *);

/* The value with a reference for the caller, or NULL: not mirrored. One that is past its time is given as it is. */
struct hot_value *hot_keys_get(struct hot_keys *, const struct hot_key *);

/* Before a read whose result will be offered to hot_keys_fill. */
uint64_t hot_keys_ticket(struct hot_keys *, const struct hot_key *);
void hot_keys_fill(struct hot_keys *, const struct hot_key *, uint64_t ticket, struct hot_value *);

/* From now on this is the value; NULL: nothing is known (it was changed by somebody else, is not mirrored, or there was
 * no memory). */
void hot_keys_publish(struct hot_keys *, const struct hot_key *, struct hot_value *);

/* Nothing is known any more, and every fill under way is dropped. */
void hot_keys_clear(struct hot_keys *);

/* What is mirrored now, and what made room for it since the start. */
struct hot_keys_stats {
	size_t keys, bytes;
	uint64_t evictions;
};
void hot_keys_stats(struct hot_keys *, struct hot_keys_stats *ret_stats);

#endif
