/* Working state of agents, as the domain needs it.
 *
 * A value lives under (agent, prefix, key). Its version starts at 1 and grows by one with each change; a write that
 * names a version and finds another changes nothing. A key that was deleted or expired starts again at 1. A value with
 * a time to live is gone at its second, on every read, whether or not it has been swept.
 *
 * Adapters: engine (SQLite with a mirror of hot keys), remote/redis_kv.h. Wrappers: remote/kv_breaker.h,
 * remote/kv_cache.h. Each passes tests/contract/test_kv.
 * Threads: any worker; an event loop with op->may_wait = false (get only answers from memory then, everything else says
 * CS_WOULD_WAIT). A write that returned CS_OK is durable and visible to every later call of any thread.
 * Errors: KEY_NOT_FOUND, VERSION_CONFLICT (err->version), CONTENT_TOO_LARGE, INVALID_CONTENT_TYPE, LIMIT_EXCEEDED,
 * UNAVAILABLE, STORAGE, TIMEOUT, WOULD_WAIT. On error no ret_ argument is touched. */
#ifndef CS_PORT_KV_H
#define CS_PORT_KV_H

#include "base/op.h"

#define KV_CONTENT_MAX 100000 /* characters */
#define KV_TTL_NONE    INT64_C(-1)
#define KV_VERSION_ANY INT64_C(-1)

enum kv_prefix { KV_SCRATCHPAD, KV_STATE, KV_MEMORY, KV_CONFIG, KV_PREFIX_COUNT };

struct kv_key {
	struct slice agent_id; /* ^[a-zA-Z0-9_-]{1,64}$ */
	enum kv_prefix prefix;
	struct slice key; /* ^[a-zA-Z0-9_.-]{1,128}$; empty for list */
};

struct kv_entry {
	struct slice content; /* UTF-8; lives in op->arena */
	uint64_t version;
	int64_t ttl_s;      /* seconds left, rounded up, or KV_TTL_NONE */
	int64_t ttl_ms;     /* the same in milliseconds: for whoever keeps the value */
	int64_t characters; /* Unicode scalar values of content */
};

enum kv_mode {
	KV_OVERWRITE,
	KV_APPEND,    /* joins with one newline; a missing key is an empty start without newline */
	KV_INCREMENT, /* content is a decimal whole number; a missing key counts from 0 */
};

struct kv_write {
	struct kv_key key;
	enum kv_mode mode;
	struct slice content;
	int64_t ttl_s;      /* from now, set anew by every write; KV_TTL_NONE */
	int64_t if_version; /* KV_VERSION_ANY; 0: only if absent; else the version that must be there */
};

struct kv_page {
	struct slice *keys;       /* in byte order */
	struct kv_entry *entries; /* same order and count */
	size_t count;
	uint64_t total; /* live keys under (agent, prefix), whatever the page */
	bool more;      /* keys remain behind the last one */
};

struct kv_port {
	void *self;
	enum cs_status (*get)(
		void *self, struct op *, const struct kv_key *, struct kv_entry *ret_entry, struct cs_error *);
	/* ret_entry: the value as it now is. */
	enum cs_status (*put)(
		void *self, struct op *, const struct kv_write *, struct kv_entry *ret_entry, struct cs_error *);
	enum cs_status (*remove)(void *self, struct op *, const struct kv_key *, int64_t if_version, struct cs_error *);
	/* Keys behind `after` (empty: from the start), at most `limit`. */
	enum cs_status (*list)(void *self, struct op *, const struct kv_key *owner, struct slice after, size_t limit,
		struct kv_page *ret_page, struct cs_error *);
};

/* Sets both forms of the time to live from milliseconds left, at least 1, or KV_TTL_NONE. */
void kv_entry_set_ttl(struct kv_entry *, int64_t left_ms);
/* What KV_INCREMENT adds or adds to: "content" or "the stored value" (`whose`, for the text). Errors: INVALID_CONTENT_TYPE;
 * digits that do not fit 64 bits are a number too, but LIMIT_EXCEEDED. */
CS_CHECKED enum cs_status kv_whole_number(struct slice text, const char *whose, int64_t *ret_number, struct cs_error *);
/* KEY_NOT_FOUND in the words of every adapter. */
CS_COLD enum cs_status kv_fail_not_found(const struct kv_key *, struct cs_error *);

/* "scratchpad", "state", "memory", "config". */
struct slice kv_prefix_name(enum kv_prefix);
bool kv_prefix_parse(struct slice name, enum kv_prefix *ret_prefix);

#endif
