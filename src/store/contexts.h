/* Storing contexts: what a store means beyond the shape of its arguments.
 *
 * The id is the caller's, else content.id if that is a string, else a new one: a UUID version 7 (RFC 9562) whose 12
 * bits behind the milliseconds count, so that ids made by one process sort in the order they were made. Any other
 * content.id (a row number, say) is content like the rest.
 *
 * A type must be one the store allows (none configured: the five standard ones). Content is kept as compact JSON of at
 * most store->content_max bytes. Threads: any worker; waits for a commit. */
#ifndef CS_STORE_CONTEXTS_H
#define CS_STORE_CONTEXTS_H

#include "base/json.h"
#include "store/meaning.h"

#define STORE_ITEMS_MAX 100

/* One context to store, as it came. */
struct store_item {
	const struct json_doc *doc;
	uint32_t content;  /* an object */
	uint32_t metadata; /* an object or JSON_NONE */
	struct slice type;
	struct slice id; /* empty: see above */
	const struct context_relation *relations;
	size_t relation_count;
	int64_t if_version;
	bool skip_duplicate; /* store nothing when the same, or nearly the same (store/meaning.h), is there */
	enum meaning_when when;
};

struct store_outcome {
	struct slice id;               /* where it is stored; the duplicate's when that stands for it */
	struct context_put_result put; /* duplicate_of: an exact one, else a near one */
	struct meaning meaning;
};

/* Stores each on its own; outcomes[i].put.status tells. Slices live in op->arena.
 * Errors of the whole (nothing stored): LIMIT_EXCEEDED (memory), UNAVAILABLE, STORAGE, TIMEOUT, WOULD_WAIT.
 * Of one: VALIDATION (type, id), CONTENT_TOO_LARGE, VERSION_CONFLICT, LIMIT_EXCEEDED. */
CS_CHECKED enum cs_status store_contexts(struct store *, struct op *, const struct store_item *items, size_t count,
	struct store_outcome *outcomes, struct cs_error *);

/* CS_VALIDATION with the allowed ones. */
CS_CHECKED enum cs_status store_check_type(const struct store *, struct slice type, struct cs_error *);

#define CONTEXT_NEW_ID_SIZE 37 /* with the NUL */
/* Errors: CS_UNEXPECTED, when the system gives no randomness. */
CS_CHECKED enum cs_status context_new_id(char text[CONTEXT_NEW_ID_SIZE], struct cs_error *);

#endif
