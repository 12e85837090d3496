/* A filter of the domain as a piece of SQL: what must hold of `contexts c`, with every value bound.
 *
 * Filters are applied inside the statement that searches or lists, so that limits and totals count what passes. Tags
 * are one instr() on the framed column; metadata predicates are a function of ours, metadata_matches(json, predicate),
 * because SQLite's JSON paths cannot name every key and compare numbers by their text. Threads: as the connection. The
 * compiled filter lives in the op's arena. */
#ifndef CS_ENGINE_CONTEXT_FILTER_H
#define CS_ENGINE_CONTEXT_FILTER_H

#include "base/buffer.h"
#include "engine/sql.h"
#include "port/context.h"

#define FILTER_VALUES_MAX 1000
#define FILTER_SQL_MAX    (32u << 10)

struct filter_value;

struct filter {
	struct buffer sql; /* "" or " AND ..." with ?N from `first` on */
	struct filter_value *values;
	int count;
	int first;
};

/* Once per connection that reads. */
CS_CHECKED enum cs_status filter_register(struct sql *, struct cs_error *);

/* Parameters are numbered from first_parameter on. Errors: CS_VALIDATION (a predicate's value is no JSON scalar),
 * CS_LIMIT_EXCEEDED (more than FILTER_VALUES_MAX values). filter_release afterwards in any case. */
CS_CHECKED enum cs_status filter_compile(
	struct filter *, struct arena *, const struct context_filter *, int first_parameter, struct cs_error *);
void filter_release(struct filter *);
/* Does it let everything pass? */
bool filter_is_empty(const struct filter *);
/* Binds; returns SQLite's code. The filter must outlive the statement's use. */
CS_CHECKED enum cs_status filter_bind(const struct filter *, struct sql *, sqlite3_stmt *, struct cs_error *);

/* "\na\nb\n": each tag framed, with backslash and newline escaped, so that instr(frame(all), frame(one)) is exact. */
struct slice filter_frame_tags(struct arena *, const struct slice *tags, size_t count);
/* Back again. False: no memory. */
bool filter_unframe_tags(struct arena *, struct slice framed, const struct slice **ret_tags, size_t *ret_count);

#endif
