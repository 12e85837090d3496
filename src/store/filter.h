/* The filters of a search, read from their JSON form.
 *
 * { date_from, date_to, status, tags (all of), metadata {key: value | [values] | {gte, lte}}, agent_id, namespace }
 * A date alone means its first millisecond in date_from and its last in date_to, in UTC. Dots in a metadata key
 * descend. Shapes have been checked by the schema but for `metadata`, whose members are free. Slices live in op->arena
 * or the document. Threads: any. Errors: VALIDATION with the path, LIMIT_EXCEEDED. */
#ifndef CS_STORE_FILTER_H
#define CS_STORE_FILTER_H

#include "base/json.h"
#include "port/context.h"

#define FILTER_PREDICATES_MAX 32
#define FILTER_VALUES_MAX     100

/* Adds to *filter, which the caller has initialised; `object` may be JSON_NONE. */
CS_CHECKED enum cs_status filter_read(
	struct op *, const struct json_doc *, uint32_t object, struct context_filter *filter, struct cs_error *);

/* A filter that lets everything pass. */
struct context_filter filter_none(void);

/* An array of strings; JSON_NONE gives none. */
CS_CHECKED enum cs_status filter_read_strings(struct op *, const struct json_doc *, uint32_t array,
	const struct slice **ret_items, size_t *ret_count, struct cs_error *);

#endif
