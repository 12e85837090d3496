/* Agent state of a server in memory: a key-value port in front of another, whose hits an event loop can answer.
 *
 * Single keys are kept, and the knowledge that a key does not exist; lists always ask the server. At most entries_max
 * keys, each for at most age_max_ms and never longer than the server would keep it.
 *
 * Never stale by our own doing. A write forgets its key before it is acknowledged, whatever came of it. Its new value
 * is deliberately not kept: between the server's answer and our looking at it somebody else may have written, and his
 * message may have come first. What others write is told by the server (remote/tracking.h, which calls the functions
 * below); a read whose key is told of while it is under way fills nothing (port/hot_keys.h: tickets).
 *
 * Nor by the scheduler's: a message may have reached this process and wait for its thread. So before each hit the
 * listener is asked whether it has taken note of all that has come; where it has not, the server is asked.
 *
 * The cache is open while it knows that it is told: from kv_cache_open until the time that kv_cache_trust last moved
 * on, or kv_cache_close. Outside of that nothing is served from it and nothing is put into it, and every read asks the server.
 * Times are monotonic.
 *
 * Threads: any. Errors: those of the port behind it. */
#ifndef CS_REMOTE_KV_CACHE_H
#define CS_REMOTE_KV_CACHE_H

#include "port/kv.h"

struct kv_cache;

struct kv_cache_options {
	struct kv_port inner;
	size_t entries_max; /* at least 1 */
	int64_t age_max_ms; /* at least 1 */
};

/* Closed at first. */
CS_CHECKED enum cs_status kv_cache_new(const struct kv_cache_options *, struct kv_cache **ret_cache, struct cs_error *);
void kv_cache_free(struct kv_cache *); /* takes NULL; no call may be running */
struct kv_port kv_cache_port(struct kv_cache *);

/* Who calls the functions below, and whether all that has reached this process was told by them: asked before each hit,
 * on any thread, so it costs a system call at most. Set before the first call; without it the answer is yes. */
struct kv_cache_listener {
	bool (*has_told_all)(void *self);
	void *self;
};
void kv_cache_set_listener(struct kv_cache *, struct kv_cache_listener);

/* From now on every change is told: empties what may have been put in before, and opens until until_ns. */
void kv_cache_open(struct kv_cache *, int64_t until_ns);
/* Everything that changed until now has been told: stays open until until_ns. Only between open and close. */
void kv_cache_trust(struct kv_cache *, int64_t until_ns);
/* Changes are not told any more. */
void kv_cache_close(struct kv_cache *);

/* Told: this key changed; or all did. */
void kv_cache_forget(struct kv_cache *, const struct kv_key *);
void kv_cache_forget_all(struct kv_cache *);

bool kv_cache_is_open(const struct kv_cache *);
size_t kv_cache_count(struct kv_cache *);

#endif
