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
 * The place in the text is an argument and a result, never a member: each function takes where it starts and returns
 * where it ended, or NULL after an error. So it stays in a register; through memory it was a third of the cost. */
#include <assert.h>
#include <stdio.h>

#include "base/json_parts.h"
#include "base/json_scan.h"

struct reader {
	const char *start, *end;
	struct json_node *nodes;
	uint32_t count, capacity;
	uint32_t open; /* innermost open container, or JSON_NONE */
	uint32_t depth;
	struct json_limits limits;
	struct json_keys keys;
	struct arena *arena;
	enum cs_status status;
	struct cs_error *err;
};

/* Returns NULL, so that `return fail(...)` reads as one thing. */
CS_COLD static const char *fail(struct reader *r, const char *where, const char *what)
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

static const char *fail_memory(struct reader *r)
{
	r->status = cs_fail_memory(r->err);
	return NULL;
}

static const char *fail_expected(struct reader *r, const char *at, const char *expected, const char *end)
{
	return fail(r, at, at == r->end ? end : expected);
}

static const char *fail_limit(struct reader *r, const char *at, const char *what, uint32_t limit)
{
	char text[64];

	snprintf(text, sizeof text, "%s %u", what, limit);
	return fail(r, at, text);
}

static inline const char *skip_space(const struct reader *r, const char *at)
{
	/* One comparison tells what is no space, as it nearly always is. */
	while (at < r->end && (unsigned char)*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
		at++;
	return at;
}

static struct json_node *fail_nodes(struct reader *r, const char *at)
{
	fail_limit(r, at, "more values and keys than", r->limits.nodes);
	return NULL;
}

/* The next node, or NULL after an error. `at` is where its text starts. */
static inline struct json_node *push(struct reader *r, enum json_type type, const char *at)
{
	struct json_node *node;

	if (r->count == r->capacity)
		return fail_nodes(r, at);
	node = &r->nodes[r->count++];
	node->type = type;
	node->next = r->count;
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

static char *put_character(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xC0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	} else {
		*out++ = (char)(0xF0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3F));
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	}
	return out;
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
	return put_character(out, unit);
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

/* `at` is at the opening quote. */
static const char *read_string(struct reader *r, const char *at)
{
	struct json_node *node = push(r, JSON_STRING, at);
	const char *stop;

	if (!node)
		return NULL;
	stop = json_plain(++at, r->end);
	if (stop == r->end || *stop != '"')
		return read_hard_string(r, node, at, stop);
	node->text = slice_of(at, (size_t)(stop - at));
	return stop + 1;
}

static const char *read_word(struct reader *r, const char *at, struct slice word, enum json_type type)
{
	if (!slice_starts(slice_of(at, (size_t)(r->end - at)), word))
		return fail(r, at, "expected a value");
	return push(r, type, at) ? at + word.len : NULL;
}

static const char *read_number(struct reader *r, const char *at)
{
	struct json_node *node = push(r, JSON_NULL, at);
	const char *behind, *wrong;

	if (!node)
		return NULL;
	behind = json_read_number(at, r->end, node, &wrong);
	if (!behind)
		return fail(r, wrong, wrong == r->end ? "the text ends inside a number" : "a malformed number");
	return behind;
}

/* Members of an object and what stands before a value of one: "key" and ':'. */
static const char *read_key(struct reader *r, const char *start)
{
	uint32_t key = r->count;
	const char *at;

	if (start == r->end || *start != '"')
		return fail_expected(r, start, "expected a key in double quotes", "the text ends inside an object");
	at = read_string(r, start);
	if (!at)
		return NULL;
	switch (json_keys_add(&r->keys, r->arena, r->nodes, r->open, key)) {
	case JSON_KEY_NEW: break;
	case JSON_KEY_TWICE: return fail(r, start, "a key that this object has already");
	case JSON_KEY_NO_MEMORY: return fail_memory(r);
	}
	at = skip_space(r, at);
	if (at == r->end || *at != ':')
		return fail_expected(r, at, "expected ':' behind a key", "the text ends inside an object");
	return skip_space(r, at + 1);
}

static const char *open_container(struct reader *r, const char *at, enum json_type type)
{
	struct json_node *node;

	if (r->depth == r->limits.depth)
		return fail_limit(r, at, "nesting deeper than", r->limits.depth);
	node = push(r, type, at);
	if (!node)
		return NULL;
	node->next = r->open;
	r->open = r->count - 1;
	r->depth++;
	return at + 1;
}

static void close_container(struct reader *r)
{
	struct json_node *node = &r->nodes[r->open];

	r->open = node->next;
	node->next = r->count;
	node->u64 = 0;
	r->depth--;
}

static const char *read_scalar(struct reader *r, const char *at)
{
	if (at == r->end)
		return fail(
			r, at, r->open == JSON_NONE ? "the text is empty" : "the text ends where a value is expected");
	switch (*at) {
	case '"': return read_string(r, at);
	case 't': return read_word(r, at, S("true"), JSON_TRUE);
	case 'f': return read_word(r, at, S("false"), JSON_FALSE);
	case 'n': return read_word(r, at, S("null"), JSON_NULL);
	case '-':
	case '0' ... '9': return read_number(r, at);
	default: return fail(r, at, "expected a value");
	}
}

/* Behind a value: closes what ends here and moves to the next value. *ret_done: there is none. */
static const char *after_value(struct reader *r, const char *at, bool *ret_done)
{
	for (;;) {
		struct json_node *in;
		bool array;

		at = skip_space(r, at);
		*ret_done = r->open == JSON_NONE;
		if (*ret_done)
			return at == r->end ? at : fail(r, at, "something behind the value");
		in = &r->nodes[r->open];
		array = in->type == JSON_ARRAY;
		in->count++;
		if (at < r->end && *at == ',') {
			at = skip_space(r, at + 1);
			return array ? at : read_key(r, at);
		}
		if (at == r->end || *at != (array ? ']' : '}'))
			return fail_expected(r, at, array ? "expected ',' or ']'" : "expected ',' or '}'",
				array ? "the text ends inside an array" : "the text ends inside an object");
		close_container(r);
		at++;
	}
}

static bool read_document(struct reader *r)
{
	const char *at = skip_space(r, r->start);
	bool done = false;

	while (!done) {
		bool object = at < r->end && *at == '{';

		if (object || (at < r->end && *at == '[')) {
			at = open_container(r, at, object ? JSON_OBJECT : JSON_ARRAY);
			if (!at)
				return false;
			at = skip_space(r, at);
			if (at == r->end || *at != (object ? '}' : ']')) {
				at = object ? read_key(r, at) : at;
				if (!at)
					return false;
				continue;
			}
			close_container(r);
			at++;
		} else {
			at = read_scalar(r, at);
			if (!at)
				return false;
		}
		at = after_value(r, at, &done);
		if (!at)
			return false;
	}
	return true;
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
		.open = JSON_NONE,
		.limits = limits,
		.arena = arena,
		.status = CS_OK,
		.err = err};
	size_t bound = nodes_bound(r.start, r.end);

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
	if (!read_document(&r))
		return r.status;
	*ret_doc = (struct json_doc){r.nodes, r.count};
	return CS_OK;
}
