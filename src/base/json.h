/* JSON, read into a flat array of nodes and written straight into a buffer. RFC 8259, strict.
 *
 * Reading. A document is one array of nodes in text order: an array is its node and then its elements; an object is its
 * node and then key, value, key, value. `next` of a node is the index just behind its last descendant, so siblings are
 * walked without recursion and a subtree is a range. Strings without escapes are slices of the source text, others are
 * decoded into the arena: both must live as long as the nodes are used.
 *
 * Refused (CS_SYNTAX, with byte offset, line and column in the text): anything RFC 8259 does not allow, invalid UTF-8,
 * lone surrogates, a byte order mark, duplicate keys in an object (after decoding), bytes behind the value, nesting
 * over limits.depth, more nodes than limits.nodes. Integers from -2^63 to 2^64-1 are kept exactly. A larger integer and
 * a number beyond a double are well-formed JSON and become JSON_HUGE, so that whoever validates can name the place.
 * "-0" is the double -0.0: no integer keeps its sign.
 *
 * Cost: 0.1 to 0.2 us for a tool call of 200 bytes (make benches; bench_json); 32 bytes a node, taken in one piece from
 * a bound counted beforehand, so that a document of much text takes more address space than memory. Threads: none of it
 * shares anything. Checked against jansson (tests/property/test_json_oracle) and fuzzed (tests/fuzz/fuzz_json). */
#ifndef CS_BASE_JSON_H
#define CS_BASE_JSON_H

#include <assert.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

#define JSON_DEPTH_MAX 64 /* containers around a value, the outermost counted */
#define JSON_NODES_MAX 1000000

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_INT,  /* fits int64_t */
	JSON_UINT, /* above INT64_MAX, fits uint64_t */
	JSON_DOUBLE,
	JSON_HUGE, /* a number that neither 64 bits nor a double hold; text is its source form */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json_node {
	enum json_type type;
	uint32_t next;  /* index just behind this node's last descendant */
	uint32_t count; /* elements of an array, members of an object */
	union {
		int64_t i64;
		uint64_t u64;
		double f64;
		struct slice text; /* JSON_STRING decoded, JSON_HUGE as written */
	};
};

struct json_doc {
	const struct json_node *nodes; /* nodes[0] is the whole value */
	uint32_t count;
};

struct json_limits {
	uint32_t depth; /* at most JSON_WRITE_DEPTH_MAX, asserted */
	uint32_t nodes;
};

#define JSON_LIMITS_DEFAULT ((struct json_limits){JSON_DEPTH_MAX, JSON_NODES_MAX})

/* Index of a node that is not there; json_get and json_at take it and give it back. */
#define JSON_NONE UINT32_MAX

/* `text` must outlive the document. Errors: CS_SYNTAX, CS_LIMIT_EXCEEDED (arena). */
CS_CHECKED enum cs_status json_parse(
	struct arena *, struct slice text, struct json_limits, struct json_doc *ret_doc, struct cs_error *);

/* The member's value, or JSON_NONE: not there, or `object` is JSON_NONE or no object. Linear in the members. */
uint32_t json_get(const struct json_doc *, uint32_t object, struct slice name);

static inline const struct json_node *json_node_at(const struct json_doc *doc, uint32_t node)
{
	assert(node < doc->count);
	return &doc->nodes[node];
}

static inline enum json_type json_type_of(const struct json_doc *doc, uint32_t node)
{
	return doc->nodes[node].type;
}

/* "object", "array", "string", "integer", "number", "boolean", "null" for error texts. */
const char *json_type_name(enum json_type);

/* The member or element as this type; false (and *ret untouched) if it is JSON_NONE or of another type.
 * json_f64 takes integers too; json_i64 takes a double with an integral value in range (2.0), as JSON Schema does. */
bool json_str(const struct json_doc *, uint32_t node, struct slice *ret_text);
bool json_i64(const struct json_doc *, uint32_t node, int64_t *ret_value);
bool json_f64(const struct json_doc *, uint32_t node, double *ret_value);
bool json_bool(const struct json_doc *, uint32_t node, bool *ret_value);

/* for (uint32_t v = json_first(doc, array); v != JSON_NONE; v = json_next(doc, array, v))
 * In an object the same walk gives the values; json_key names the member a value belongs to. */
static inline uint32_t json_first(const struct json_doc *doc, uint32_t container)
{
	const struct json_node *c;

	if (container == JSON_NONE)
		return JSON_NONE;
	c = json_node_at(doc, container);
	if ((c->type != JSON_ARRAY && c->type != JSON_OBJECT) || c->count == 0)
		return JSON_NONE;
	return container + (c->type == JSON_OBJECT ? 2 : 1);
}

static inline uint32_t json_next(const struct json_doc *doc, uint32_t container, uint32_t value)
{
	const struct json_node *c = json_node_at(doc, container);
	uint32_t next = json_node_at(doc, value)->next;

	assert(value > container && value < c->next);
	if (next == c->next)
		return JSON_NONE;
	return next + (c->type == JSON_OBJECT);
}

static inline struct slice json_key(const struct json_doc *doc, uint32_t value)
{
	assert(value > 0 && json_node_at(doc, value - 1)->type == JSON_STRING);
	return doc->nodes[value - 1].text;
}

/* The first JSON_HUGE below (or at) node, or JSON_NONE. */
uint32_t json_find_huge(const struct json_doc *, uint32_t node);

/* Structural equality: numbers by value (1 equals 1.0; JSON_HUGE by its text), objects without regard to order. Linear
 * when members stand in the same order, quadratic in the members of one object when not. */
bool json_equal(const struct json_doc *, uint32_t a, const struct json_doc *, uint32_t b);

/* -1, 0 or 1: how the two numbers compare, exactly: an integer equals a double only if the double is that integer, not the
 * one nearest to it. False (and *ret_order untouched) if one is no number or JSON_HUGE. */
bool json_number_order(const struct json_doc *, uint32_t a, const struct json_doc *, uint32_t b, int *ret_order);

/* Writing. The writer puts commas itself; keys and values are appended in order. Compact form.
 *
 *     struct json_writer w = json_writer(&buffer);
 *     json_begin_object(&w);
 *     json_key_str(&w, "id", id);
 *     json_write_name(&w, S("tags")); json_begin_array(&w); ... json_end_array(&w);
 *     json_end_object(&w);
 *
 * Failure is the buffer's (sticky). Nesting is at most JSON_WRITE_DEPTH_MAX, asserted. Strings must be valid UTF-8
 * (asserted in debug builds only by the caller's own care: whatever came through json_parse is). Control characters,
 * '"' and '\\' are escaped; U+2028, U+2029 and everything else is written as it is. Doubles are written in the shortest
 * form that reads back equal (1.0 as 1, 1e300 as 1e300; from 2^53 up always with an exponent, so that they stay
 * doubles); a NaN or infinity is written as null. */
#define JSON_WRITE_DEPTH_MAX 128

struct json_writer {
	struct buffer *out;
	bool comma; /* a value stands before at this level */
	uint8_t depth;
};

struct json_writer json_writer(struct buffer *out);

void json_begin_object(struct json_writer *);
void json_end_object(struct json_writer *);
void json_begin_array(struct json_writer *);
void json_end_array(struct json_writer *);
void json_write_key(struct json_writer *, struct slice name);
void json_write_str(struct json_writer *, struct slice text);
void json_write_i64(struct json_writer *, int64_t value);
void json_write_u64(struct json_writer *, uint64_t value);
void json_write_f64(struct json_writer *, double value);
/* A subtree of a document, compact, members in source order. */
void json_write_node(struct json_writer *, const struct json_doc *, uint32_t node);

/* Text that is already compact JSON (stored content, a schema of a table). Inline, as are those below, because the length
 * of a literal is known where it stands. */
static inline void json_write_raw(struct json_writer *w, struct slice json)
{
	if (w->comma)
		buffer_byte(w->out, ',');
	w->comma = true;
	buffer_append(w->out, json);
}

static inline void json_write_bool(struct json_writer *w, bool value)
{
	json_write_raw(w, value ? S("true") : S("false"));
}

static inline void json_write_null(struct json_writer *w)
{
	json_write_raw(w, S("null"));
}

/* A key that is a name of ours: ASCII without '"', '\\' and control characters, so nothing in it is looked at. */
static inline void json_write_name(struct json_writer *w, struct slice name)
{
	char *to = buffer_reserve(w->out, name.len + 3 + w->comma);

	if (!to)
		return;
	if (w->comma)
		*to++ = ',';
	*to++ = '"';
	memcpy(to, name.ptr, name.len);
	to[name.len] = '"';
	to[name.len + 1] = ':';
	w->out->len += name.len + 3 + w->comma;
	w->comma = false;
}

/* Such a name and a value in one. */
static inline void json_key_str(struct json_writer *w, const char *name, struct slice text)
{
	json_write_name(w, slice_cstr(name));
	json_write_str(w, text);
}

static inline void json_key_i64(struct json_writer *w, const char *name, int64_t value)
{
	json_write_name(w, slice_cstr(name));
	json_write_i64(w, value);
}

static inline void json_key_u64(struct json_writer *w, const char *name, uint64_t value)
{
	json_write_name(w, slice_cstr(name));
	json_write_u64(w, value);
}

static inline void json_key_f64(struct json_writer *w, const char *name, double value)
{
	json_write_name(w, slice_cstr(name));
	json_write_f64(w, value);
}

static inline void json_key_bool(struct json_writer *w, const char *name, bool value)
{
	json_write_name(w, slice_cstr(name));
	json_write_bool(w, value);
}

static inline void json_key_null(struct json_writer *w, const char *name)
{
	json_write_name(w, slice_cstr(name));
	json_write_null(w);
}

static inline void json_key_raw(struct json_writer *w, const char *name, struct slice json)
{
	json_write_name(w, slice_cstr(name));
	json_write_raw(w, json);
}

/* The bytes of a JSON string literal, quotes included (text content that carries JSON). */
void json_quote(struct buffer *out, struct slice text);

#endif
