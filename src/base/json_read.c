/* The JSON reader: one pass over the text, one array, no recursion.
 *
 * How large is the array? Every node but the first stands behind a '[', '{', ',' or ':', so counting these bytes,
 * sixteen at a time, bounds the number of nodes before the first is read. One allocation follows, nothing is copied or
 * grown, and "the array is full" can only mean that limits.nodes is reached. Bytes inside strings make the bound too
 * large, never too small; what is not used is not touched, so it costs address space and not memory. Growing by
 * doubling was rejected: the arena gives nothing back, decoded strings lie in between, and large documents would be
 * copied several times.
 *
 * There is no stack either: while a container is open its `next` names its parent, so depth is limited by limits.depth
 * alone. An open object's u64 belongs to the search for duplicate keys (json_keys.c).
 *
 * A string is scanned once to its end and checked; one with escapes is then decoded in a second pass that can no longer
 * fail. Line and column are counted only when there is an error to tell.
 *
 * What changes with each value, the place in the text above all, is in struct progress, which only functions see that
 * are inlined into read_document; what is called for gets the place as an argument. So all of it stays in registers;
 * through memory it was half of the cost. */
#include <assert.h>
#include <stdio.h>

#include "base/json_parts.h"
#include "base/json_scan.h"
#include "base/utf8.h"

struct reader {
	const char *start, *end;
	struct json_node *nodes;
	uint32_t capacity;
	struct json_limits limits;
	struct json_keys keys;
	struct arena *arena;
	enum cs_status status;
	struct cs_error *err;
};

#define END (-1)

struct progress {
	const char *at;
	int byte;       /* the one at `at`, or END; of those places where a space may stand */
	uint32_t count; /* nodes so far */
	uint32_t open;  /* innermost open container, or JSON_NONE */
	uint32_t depth;
};

#define INLINED static inline __attribute__((always_inline))

/* Returns NULL, so that `return fail(...)` reads as one thing. */
CS_COLD static void *fail(struct reader *r, const char *where, const char *what)
{
	size_t line = 1, column = 1;

	for (const char *at = r->start; at < where; at++) {
		if (*at == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)*at & 0xC0) != 0x80) {
			column++;
		}
	}
	r->status = cs_fail(r->err, CS_SYNTAX, "not valid JSON: %s at line %zu, column %zu (byte %zu)", what, line,
		column, (size_t)(where - r->start));
	return NULL;
}

static void *fail_memory(struct reader *r)
{
	r->status = cs_fail_memory(r->err);
	return NULL;
}

static void *fail_expected(struct reader *r, const char *at, const char *expected, const char *end)
{
	return fail(r, at, at == r->end ? end : expected);
}

static void *fail_limit(struct reader *r, const char *at, const char *what, uint32_t limit)
{
	char text[64];

	snprintf(text, sizeof text, "%s %u", what, limit);
	return fail(r, at, text);
}

/* Moves behind spaces to what comes next. */
INLINED void look(const struct reader *r, struct progress *p)
{
	for (; p->at < r->end; p->at++) {
		p->byte = (unsigned char)*p->at;
		/* One comparison tells what is no space, as it nearly always is. */
		if (p->byte > ' ' || (p->byte != ' ' && p->byte != '\n' && p->byte != '\r' && p->byte != '\t'))
			return;
	}
	p->byte = END;
}

/* The next node, or NULL after an error. Its text starts here. */
INLINED struct json_node *push(struct reader *r, struct progress *p, enum json_type type)
{
	struct json_node *node;

	if (p->count == r->capacity)
		return fail_limit(r, p->at, "more values and keys than", r->limits.nodes);
	node = &r->nodes[p->count++];
	node->type = type;
	node->next = p->count;
	node->count = 0;
	node->u64 = 0;
	return node;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of four hexadecimal digits, or -1. */
static int code_unit(const char *at, const char *end)
{
	int unit = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int value = hex_value(at[i]);

		if (value < 0)
			return -1;
		unit = unit << 4 | value;
	}
	return unit;
}

/* `start` is at a backslash. */
static const char *check_escape(struct reader *r, const char *start)
{
	const char *at = start + 2;
	int unit, low = -1;

	if (r->end - start < 2)
		return fail(r, r->end, "the text ends inside a string");
	if (start[1] != 'u')
		return start[1] && strchr("\"\\/bfnrt", start[1]) ? at : fail(r, start, "an unknown escape");
	unit = code_unit(at, r->end);
	if (unit < 0)
		return fail(r, start, "\\u without four hexadecimal digits");
	at += 4;
	if (unit < 0xD800 || unit > 0xDFFF)
		return at;
	if (unit < 0xDC00 && r->end - at >= 6 && at[0] == '\\' && at[1] == 'u')
		low = code_unit(at + 2, r->end);
	if (low < 0xDC00 || low > 0xDFFF)
		return fail(r, start, "a surrogate without its other half");
	return at + 6;
}

/* Goes on behind the first plain run of a string; returns where its closing quote is. */
static const char *check_string(struct reader *r, const char *at, bool *ret_escaped)
{
	bool escaped = false;

	for (;; at = json_plain(at, r->end)) {
		size_t length;

		if (at == r->end)
			return fail(r, r->end, "the text ends inside a string");
		if (*at == '"')
			break;
		if (*at == '\\') {
			escaped = true;
			at = check_escape(r, at);
			if (!at)
				return NULL;
			continue;
		}
		if ((unsigned char)*at < 0x20)
			return fail(r, at, "a control character that is not escaped");
		length = utf8_char(at, r->end);
		if (length == 0)
			return fail(r, at, "a byte that is not UTF-8");
		at += length;
	}
	*ret_escaped = escaped;
	return at;
}

/* Decodes the checked escape at *at, which moves behind it. */
static char *put_escape(char *out, const char **at, const char *end)
{
	static const char plain[128] = {['"'] = '"',
		['\\'] = '\\',
		['/'] = '/',
		['b'] = '\b',
		['f'] = '\f',
		['n'] = '\n',
		['r'] = '\r',
		['t'] = '\t'};
	const char *start = *at;
	uint32_t unit;

	*at += 2;
	if (start[1] != 'u') {
		*out = plain[(unsigned char)start[1]];
		return out + 1;
	}
	unit = (uint32_t)code_unit(*at, end);
	*at += 4;
	if (unit >= 0xD800 && unit <= 0xDFFF) {
		unit = 0x10000 + ((unit - 0xD800) << 10) + ((uint32_t)code_unit(*at + 2, end) - 0xDC00);
		*at += 6;
	}
	return out + utf8_write(unit, out);
}

/* No escape decodes to more bytes than it has, so the decoded text fits into as many as the source. */
static bool decode(struct reader *r, struct slice raw, struct slice *ret_text)
{
	const char *at = raw.ptr, *end = raw.ptr + raw.len;
	char *text = arena_alloc(r->arena, raw.len), *out = text;

	if (!text) {
		fail_memory(r);
		return false;
	}
	while (at < end) {
		size_t run = slice_find_byte(slice_of(at, (size_t)(end - at)), '\\');

		memcpy(out, at, run);
		out += run;
		at += run;
		if (at < end)
			out = put_escape(out, &at, end);
	}
	*ret_text = slice_of(text, (size_t)(out - text));
	return true;
}

/* A string with escapes, characters beyond ASCII or an error: its first byte is `start`, the first of these `at`. */
static const char *read_hard_string(struct reader *r, struct json_node *node, const char *start, const char *at)
{
	bool escaped = false;

	at = check_string(r, at, &escaped);
	if (!at)
		return NULL;
	node->text = slice_of(start, (size_t)(at - start));
	return !escaped || decode(r, node->text, &node->text) ? at + 1 : NULL;
}

/* Each of these reads what starts here and moves behind it; false: an error was told. */
INLINED bool read_string(struct reader *r, struct progress *p)
{
	struct json_node *node = push(r, p, JSON_STRING);
	const char *start = p->at + 1, *stop;

	if (!node)
		return false;
	stop = json_plain(start, r->end);
	if (stop == r->end || *stop != '"') {
		p->at = read_hard_string(r, node, start, stop);
		return p->at != NULL;
	}
	node->text = slice_of(start, (size_t)(stop - start));
	p->at = stop + 1;
	return true;
}

INLINED bool read_word(struct reader *r, struct progress *p, struct slice word, enum json_type type)
{
	if (!slice_starts(slice_of(p->at, (size_t)(r->end - p->at)), word))
		return fail(r, p->at, "expected a value");
	if (!push(r, p, type))
		return false;
	p->at += word.len;
	return true;
}

INLINED bool read_number(struct reader *r, struct progress *p)
{
	struct json_node *node = push(r, p, JSON_NULL);
	const char *wrong;

	if (!node)
		return false;
	p->at = json_read_number(p->at, r->end, node, &wrong);
	return p->at || fail(r, wrong, wrong == r->end ? "the text ends inside a number" : "a malformed number");
}

INLINED bool read_scalar(struct reader *r, struct progress *p)
{
	switch (p->byte) {
	case '"': return read_string(r, p);
	case 't': return read_word(r, p, S("true"), JSON_TRUE);
	case 'f': return read_word(r, p, S("false"), JSON_FALSE);
	case 'n': return read_word(r, p, S("null"), JSON_NULL);
	case '-':
	case '0' ... '9': return read_number(r, p);
	default:
		return fail_expected(r, p->at, "expected a value",
			p->open == JSON_NONE ? "the text is empty" : "the text ends where a value is expected");
	}
}

/* Of a member of the open object, what stands before the value: "key" and ':'. */
INLINED bool read_key(struct reader *r, struct progress *p)
{
	const char *start = p->at;
	uint32_t key = p->count;

	if (p->byte != '"')
		return fail_expected(r, start, "expected a key in double quotes", "the text ends inside an object");
	if (!read_string(r, p))
		return false;
	switch (json_keys_add(&r->keys, r->arena, r->nodes, p->open, key)) {
	case JSON_KEY_NEW: break;
	case JSON_KEY_TWICE: return fail(r, start, "a key that this object has already");
	case JSON_KEY_NO_MEMORY: return fail_memory(r);
	}
	look(r, p);
	if (p->byte != ':')
		return fail_expected(r, p->at, "expected ':' behind a key", "the text ends inside an object");
	p->at++;
	look(r, p);
	return true;
}

INLINED bool open_container(struct reader *r, struct progress *p, enum json_type type)
{
	struct json_node *node;

	if (p->depth == r->limits.depth)
		return fail_limit(r, p->at, "nesting deeper than", r->limits.depth);
	node = push(r, p, type);
	if (!node)
		return false;
	node->next = p->open;
	p->open = p->count - 1;
	p->depth++;
	p->at++;
	look(r, p);
	return true;
}

INLINED void close_container(struct reader *r, struct progress *p)
{
	struct json_node *node = &r->nodes[p->open];

	p->open = node->next;
	node->next = p->count;
	node->u64 = 0;
	p->depth--;
	p->at++;
}

/* Behind a value: closes what ends here and moves to the next value, or the key before it. It is there, unless no
 * container is open any more: then the document has ended. */
INLINED bool after_value(struct reader *r, struct progress *p, bool *ret_key)
{
	for (;;) {
		struct json_node *in;
		bool array;

		look(r, p);
		if (p->open == JSON_NONE)
			return p->byte == END || fail(r, p->at, "something behind the value");
		in = &r->nodes[p->open];
		array = in->type == JSON_ARRAY;
		in->count++;
		if (p->byte == ',') {
			*ret_key = !array;
			p->at++;
			look(r, p);
			return true;
		}
		if (p->byte != (array ? ']' : '}'))
			return fail_expected(r, p->at, array ? "expected ',' or ']'" : "expected ',' or '}'",
				array ? "the text ends inside an array" : "the text ends inside an object");
		close_container(r, p);
	}
}

/* Returns how many nodes the document has; 0 after an error. */
static uint32_t read_document(struct reader *r)
{
	struct progress p = {.at = r->start, .open = JSON_NONE};
	bool key = false; /* one comes before the value */

	look(r, &p);
	do {
		if (key && !read_key(r, &p))
			return 0;
		if (p.byte == '{' || p.byte == '[') {
			key = p.byte == '{';
			if (!open_container(r, &p, key ? JSON_OBJECT : JSON_ARRAY))
				return 0;
			if (p.byte != (key ? '}' : ']'))
				continue;
			close_container(r, &p);
		} else if (!read_scalar(r, &p)) {
			return 0;
		}
		if (!after_value(r, &p, &key))
			return 0;
	} while (p.open != JSON_NONE);
	return p.count;
}

/* At least as many as the document has nodes, if it is one. */
static size_t nodes_bound(const char *at, const char *end)
{
	size_t nodes = 1;

#ifdef __SSE2__
	const __m128i comma = _mm_set1_epi8(','), colon = _mm_set1_epi8(':'), bit5 = _mm_set1_epi8(0x20),
		      brace = _mm_set1_epi8('{'), one = _mm_set1_epi8(1);
	__m128i sums = _mm_setzero_si128();

	for (; end - at >= 16; at += 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i found =
			_mm_or_si128(_mm_cmpeq_epi8(_mm_or_si128(block, bit5), brace), /* '[' is '{' without it */
				_mm_or_si128(_mm_cmpeq_epi8(block, comma), _mm_cmpeq_epi8(block, colon)));

		sums = _mm_add_epi64(sums, _mm_sad_epu8(_mm_and_si128(found, one), _mm_setzero_si128()));
	}
	nodes += (size_t)_mm_cvtsi128_si64(sums) + (size_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums));
#endif
	for (; at < end; at++)
		nodes += *at == ',' || *at == ':' || *at == '[' || *at == '{';
	return nodes;
}

enum cs_status json_parse(struct arena *arena, struct slice text, struct json_limits limits, struct json_doc *ret_doc,
	struct cs_error *err)
{
	struct reader r = {.start = text.ptr,
		.end = text.len ? text.ptr + text.len : text.ptr,
		.limits = limits,
		.arena = arena,
		.status = CS_OK,
		.err = err};
	size_t bound = nodes_bound(r.start, r.end);
	uint32_t count;

	if (slice_starts(text, S("\xEF\xBB\xBF"))) {
		fail(&r, r.start, "a byte order mark");
		return r.status;
	}
	if (bound > limits.nodes)
		bound = limits.nodes;
	assert(bound < JSON_NONE && limits.depth <= JSON_WRITE_DEPTH_MAX);
	r.capacity = (uint32_t)bound;
	r.nodes = arena_alloc(arena, bound * sizeof *r.nodes);
	if (!r.nodes)
		return cs_fail_memory(err);
	count = read_document(&r);
	if (count == 0)
		return r.status;
	*ret_doc = (struct json_doc){r.nodes, count};
	return CS_OK;
}
