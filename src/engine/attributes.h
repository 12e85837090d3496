/* What filters ask of contexts, in memory: type, namespace, agent, status, source, tags, and when they were created.
 *
 * A filter answered by SQL visits each context and costs 0.3 us for each; here it costs some nanoseconds, and the search
 * behind it can go by words and vectors in memory. Metadata is not here: a filter with predicates is SQL's
 * (context_filter.h).
 *
 * Texts are kept as hashes of 64 bits (map_hash), of which two are the same by chance once in 10^19 pairs. Whoever builds an
 * answer from rows reads the contexts and asks the filter again (store/retrieve.c), so a chance like that, or a context
 * that changes meanwhile, can make a total wrong by one and shows nobody what does not pass.
 *
 * Rows are numbers that SQLite hands out upwards, so they are looked up by place: blocks of 1,024, given back when they
 * are empty. Cost: 64 bytes a row, 8 for each tag and 24 where there are any.
 * Threads: any number that select, or one that changes; the caller locks. */
#ifndef CS_ENGINE_ATTRIBUTES_H
#define CS_ENGINE_ATTRIBUTES_H

#include "base/row_set.h"
#include "engine/sql.h"
#include "port/context.h"

#define ATTRIBUTES_ROW_MAX (INT64_C(1) << 32)

enum attribute {
	ATTRIBUTE_TYPE,
	ATTRIBUTE_NAMESPACE,
	ATTRIBUTE_AGENT,
	ATTRIBUTE_STATUS,
	ATTRIBUTE_SOURCE,
	ATTRIBUTES,
};

/* Of one context. */
struct attributes {
	int64_t created_at;
	uint64_t values[ATTRIBUTES]; /* hashes; 0: none */
	const uint64_t *tags;        /* hashes */
	size_t tag_count;
};

/* `framed`: its tags as context_filter.h frames them. False: no memory. */
bool attributes_of_context(struct arena *, const struct context *, struct slice framed, int64_t created_at,
	struct attributes *ret_attributes);
/* The columns that attributes_of_row reads from `first` on, for a statement over `contexts c`. */
#define ATTRIBUTE_COLUMNS "c.created_at, c.type, c.namespace, c.agent_id, c.status, c.source, c.tags"
bool attributes_of_row(struct arena *, sqlite3_stmt *, int first, struct attributes *ret_attributes);

struct attribute_block;

/* All zero is an empty one. */
struct attribute_table {
	struct attribute_block **blocks; /* by row / rows of a block; NULL: no row there */
	size_t block_count;
	size_t bytes; /* of memory, the allocator's share estimated */
};

void attribute_table_release(struct attribute_table *);
/* Adds, or replaces. False: no memory, or a row over ATTRIBUTES_ROW_MAX; nothing changed. */
bool attribute_table_put(struct attribute_table *, int64_t row, const struct attributes *);
void attribute_table_remove(struct attribute_table *, int64_t row); /* nothing, if it is not there */

/* Has the filter no predicate, so that the table can answer it? NULL: yes. */
bool attributes_answer(const struct context_filter *);
/* The rows that pass, in the arena. CS_LIMIT_EXCEEDED: no memory. */
CS_CHECKED enum cs_status attribute_table_select(const struct attribute_table *, struct arena *,
	const struct context_filter *, struct row_set *ret_set, struct cs_error *);

#endif
