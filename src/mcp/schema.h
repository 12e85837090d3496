/* What a tool takes and gives, as tables.
 *
 * A field row says a member's name, kind, bounds and meaning. From the same rows come the JSON Schema (2020-12) that
 * clients see, the validation of arguments, and the reference page. A table ends with a row whose name is NULL.
 *
 * Validation names the JSON path of each wrong value, what was given and what would be right, and finds up to
 * SCHEMA_PROBLEMS_MAX problems at once, so that a model mends a call in one go. An argument name that the table does
 * not have is refused, with the nearest known one. `null` for an optional member counts as not given: typed clients
 * send it for every unset option. Lengths are counted in Unicode characters, as JSON Schema does.
 *
 * Cost: a valid call allocates nothing. Threads: tables are constant; the rest belongs to one call. */
#ifndef CS_MCP_SCHEMA_H
#define CS_MCP_SCHEMA_H

#include "base/json.h"

#define SCHEMA_PROBLEMS_MAX 8
#define SCHEMA_NAME_MAX     256 /* bytes of a FIELD_NAME */

enum field_kind {
	FIELD_STRING,
	FIELD_NAME, /* a string used as a name or id: 1 to SCHEMA_NAME_MAX bytes, no control characters */
	FIELD_INTEGER,
	FIELD_NUMBER,
	FIELD_BOOLEAN,
	FIELD_OBJECT,
	FIELD_ARRAY,
};

/* ^[first][rest]{0,length_max-1}$ over ASCII, with the same thing as a regular expression for the schema. */
struct field_pattern {
	const char *regex;
	uint8_t first, rest; /* classes of characters: bits of schema.c */
	size_t length_max;
};

extern const struct field_pattern pattern_agent_id;      /* ^[a-zA-Z0-9_-]{1,64}$ */
extern const struct field_pattern pattern_key;           /* ^[a-zA-Z0-9_.-]{1,128}$ */
extern const struct field_pattern pattern_relation_type; /* ^[A-Za-z_][A-Za-z0-9_]{0,63}$ */

struct field {
	const char *name;
	const char *help; /* "" where the name says it */
	enum field_kind kind;
	bool required;
	bool nullable;             /* results only: null is a value */
	bool open;                 /* OBJECT: members that `fields` does not name are welcome */
	bool each;                 /* ARRAY: the handler checks element by element; the schema tells their kind only */
	const char *fallback;      /* the default as JSON text, or NULL */
	const char *const *values; /* STRING: one of these; ends with NULL */
	/* INTEGER, NUMBER: the value; STRING: characters; ARRAY: elements. max = 0: unbounded; INT64_MAX: only min
	 * counts. */
	int64_t min, max;
	const struct field_pattern *pattern;
	const struct field *items;  /* ARRAY: one row for the elements (its name is ""), NULL: anything */
	const struct field *fields; /* OBJECT: its members; NULL: any object */
	/* What a wrong value gives; CS_OK stands for CS_VALIDATION. A missing one gives CS_MISSING_PARAMETER. */
	enum cs_status wrong;
	enum cs_status wrong_type; /* CS_OK: as `wrong` */
	enum cs_status too_long;   /* CS_OK: as `wrong` */
};

struct schema_problems {
	struct arena *arena;   /* where texts live */
	enum cs_status status; /* of the first; CS_OK while there is none */
	size_t count;
	struct slice texts[SCHEMA_PROBLEMS_MAX];
};

/* True when `object` (JSON_NONE: an empty one) fits. `at` is the path it stands at, empty for the arguments themselves.
 */
bool schema_check(const struct field *fields, const struct json_doc *, uint32_t object, struct slice at,
	struct schema_problems *);
/* All texts as one, with the status of the first. There must be one. */
enum cs_status schema_fail(const struct schema_problems *, struct cs_error *);

/* {"type":"object","properties":...,"required":[...],"additionalProperties":false}; the last two for input only: of a
 * result only `success` is required, so that failures fit. */
void schema_write_input(struct json_writer *, const struct field *fields);
void schema_write_output(struct json_writer *, const struct field *fields);

/* "string", "integer", ... as JSON Schema spells it. */
const char *field_type_name(enum field_kind);

/* A member, or JSON_NONE where it is absent or null. */
static inline uint32_t arg_get(const struct json_doc *doc, uint32_t arguments, const char *name)
{
	uint32_t node = json_get(doc, arguments, slice_cstr(name));

	return node != JSON_NONE && json_type_of(doc, node) == JSON_NULL ? JSON_NONE : node;
}

/* Typed reads of checked arguments: the fallback where absent. */
static inline struct slice arg_str(
	const struct json_doc *doc, uint32_t arguments, const char *name, struct slice fallback)
{
	(void)json_str(doc, json_get(doc, arguments, slice_cstr(name)), &fallback);
	return fallback;
}

static inline int64_t arg_i64(const struct json_doc *doc, uint32_t arguments, const char *name, int64_t fallback)
{
	(void)json_i64(doc, json_get(doc, arguments, slice_cstr(name)), &fallback);
	return fallback;
}

static inline double arg_f64(const struct json_doc *doc, uint32_t arguments, const char *name, double fallback)
{
	(void)json_f64(doc, json_get(doc, arguments, slice_cstr(name)), &fallback);
	return fallback;
}

static inline bool arg_bool(const struct json_doc *doc, uint32_t arguments, const char *name, bool fallback)
{
	(void)json_bool(doc, json_get(doc, arguments, slice_cstr(name)), &fallback);
	return fallback;
}

#endif
