/* Agent state in memory: answers a read without SQLite, without a thread and without waiting.
 *
 * A mirror of the most recently used keys, in HOT_SHARDS shards of a hash table and a list by last use; it holds at
 * most HOT_ENTRIES_MAX keys and HOT_BYTES_MAX bytes, and the longest unused make room. An entry is a value, or the
 * knowledge that the key does not exist (an agent polling for a key is the common case). Values are immutable and
 * counted, so a lock is held for a look-up and a count, never for a copy and never across I/O.
 *
 * Never stale. The writer publishes each change after the commit and before the write is acknowledged. A worker that
 * fills the mirror from a read takes a ticket of the shard before its snapshot; if anything was published to the shard
 * since, the fill is dropped. Expiry is judged by the reader, to the millisecond. Threads: any. */
#ifndef CS_ENGINE_HOT_KEYS_H
#define CS_ENGINE_HOT_KEYS_H

#include <stdatomic.h>

#include "base/error.h"
#include "port/kv.h"

#define HOT_SHARDS      16
#define HOT_ENTRIES_MAX 16384
#define HOT_BYTES_MAX   (8u << 20)
#define HOT_VALUE_MAX   (64u << 10) /* a larger value is not mirrored: eight of them would fill a shard */
#define HOT_KEY_MAX     256
#define HOT_NO_EXPIRY   INT64_MAX

struct hot_keys;

struct hot_value {
	atomic_uint refs;
	bool absent; /* known not to exist; nothing below holds then */
	uint64_t version;
	int64_t expires_at_ms; /* wall; HOT_NO_EXPIRY */
	int64_t characters;
	size_t length;
	char content[];
};

struct hot_key {
	uint64_t hash;
	size_t length;
	char bytes[HOT_KEY_MAX];
};

CS_CHECKED enum cs_status hot_keys_new(struct hot_keys **ret_keys, struct cs_error *);
void hot_keys_free(struct hot_keys *); /* takes NULL */

/* False: agent and key together are too long to be a key at all. */
bool hot_key_make(const struct hot_keys *, const struct kv_key *, struct hot_key *ret_key);

/* With one reference, the caller's; NULL: no memory. */
struct hot_value *hot_value_new(struct slice content);
struct hot_value *hot_value_new_absent(void);
void hot_value_release(struct hot_value *); /* takes NULL */

/* The value with a reference for the caller, or NULL: not mirrored. One that is past its time is given as it is. */
struct hot_value *hot_keys_get(struct hot_keys *, const struct hot_key *);

/* Before the snapshot of a read whose result will be offered to hot_keys_fill. */
uint64_t hot_keys_ticket(struct hot_keys *, const struct hot_key *);
void hot_keys_fill(struct hot_keys *, const struct hot_key *, uint64_t ticket, struct hot_value *);

/* The writer's: from now on this is the value; NULL: nothing is known (it was not mirrored or there was no memory). */
void hot_keys_publish(struct hot_keys *, const struct hot_key *, struct hot_value *);

/* What is mirrored now, and what made room for it since the start. */
struct hot_keys_stats {
	size_t keys, bytes;
	uint64_t evictions;
};
void hot_keys_stats(struct hot_keys *, struct hot_keys_stats *ret_stats);

#endif
