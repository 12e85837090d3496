/* Scratchpads and agent state: the rules around the key-value port.
 *
 * Only the scratchpad forgets by itself: without a ttl its values live STATE_TTL_DEFAULT seconds, those of the other
 * prefixes until they are deleted. Every write sets the time to live anew. Reading one key allocates nothing here: it
 * is what agents do most, and may run on an event loop. Threads: state_read anywhere (op->may_wait), the rest on
 * workers. Errors: the port's, and those named below. */
#ifndef CS_STORE_STATE_H
#define CS_STORE_STATE_H

#include "store/store.h"

#define STATE_TTL_MIN     60
#define STATE_TTL_DEFAULT 3600
#define STATE_TTL_MAX     86400
#define STATE_LIST_MAX    1000

enum state_mode { STATE_OVERWRITE, STATE_APPEND, STATE_INCREMENT };

struct state_write {
	struct kv_key key;
	enum state_mode mode;
	bool has_content;
	struct slice content; /* increment: a decimal whole number, 1 if has_content is false */
	bool has_ttl;
	int64_t ttl_s;
	int64_t if_version;
};

/* Errors: MISSING_PARAMETER (no content), INVALID_CONTENT_TYPE (increment by what is no number), LIMIT_EXCEEDED (past
 * 64 bits). */
CS_CHECKED enum cs_status state_write(
	struct store *, struct op *, const struct state_write *, struct kv_entry *ret_entry, struct cs_error *);
CS_CHECKED enum cs_status state_delete(
	struct store *, struct op *, const struct kv_key *, int64_t if_version, struct cs_error *);

static inline enum cs_status state_read(
	struct store *store, struct op *op, const struct kv_key *key, struct kv_entry *ret_entry, struct cs_error *err)
{
	return store->kv.get(store->kv.self, op, key, ret_entry, err);
}

#endif
