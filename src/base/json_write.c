/* Writing JSON: straight into the buffer, no tree, no second copy.
 *
 * The writer's whole state is one flag (is a comma due?) and the depth; what is open is the caller's control flow,
 * where a reader sees it. Text is copied in runs between the characters that must be escaped. */
#include <assert.h>
#include <math.h>

#include "base/json.h"
#include "base/json_parts.h"
#include "base/json_scan.h"

struct json_writer json_writer(struct buffer *out)
{
	return (struct json_writer){.out = out};
}

static void before_value(struct json_writer *w)
{
	if (w->comma)
		buffer_byte(w->out, ',');
	w->comma = true;
}

static void begin(struct json_writer *w, char bracket)
{
	assert(w->depth < JSON_WRITE_DEPTH_MAX);
	before_value(w);
	buffer_byte(w->out, bracket);
	w->comma = false;
	w->depth++;
}

static void end(struct json_writer *w, char bracket)
{
	assert(w->depth > 0);
	buffer_byte(w->out, bracket);
	w->comma = true;
	w->depth--;
}

void json_begin_object(struct json_writer *w)
{
	begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
	end(w, '}');
}

void json_begin_array(struct json_writer *w)
{
	begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
	end(w, ']');
}

/* Room for the whole of it with its quotes, or NULL: asked for once, so that the copy needs no check. Nearly always
 * there is room for the worst case; else the text is measured, so that a ceiling is reached at its byte and not
 * before. */
static char *room_to_quote(struct buffer *out, struct slice text)
{
	if (text.len < SIZE_MAX / 8 && JSON_ESCAPE_MAX * text.len + 2 < out->cap - out->len && !out->failed)
		return out->ptr + out->len;
	if (text.len >= SIZE_MAX / 8)
		return NULL;
	if (text.len == 0) /* perhaps without a place, to which nothing may be added */
		return buffer_reserve(out, 2);
	return buffer_reserve(out, text.len + json_escape_growth(text.ptr, text.ptr + text.len) + 2);
}

void json_quote(struct buffer *out, struct slice text)
{
	char *to = room_to_quote(out, text);

	if (!to) {
		out->failed = true;
		return;
	}
	*to++ = '"';
	if (text.len > 0)
		to = json_copy_escaped(to, text.ptr, text.ptr + text.len);
	*to++ = '"';
	out->len = (size_t)(to - out->ptr);
}

void json_write_key(struct json_writer *w, struct slice name)
{
	before_value(w);
	json_quote(w->out, name);
	buffer_byte(w->out, ':');
	w->comma = false;
}

void json_write_str(struct json_writer *w, struct slice text)
{
	before_value(w);
	json_quote(w->out, text);
}

void json_write_u64(struct json_writer *w, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	json_write_raw(w, slice_of(digits + at, sizeof digits - at));
}

void json_write_i64(struct json_writer *w, int64_t value)
{
	if (value >= 0) {
		json_write_u64(w, (uint64_t)value);
		return;
	}
	json_write_raw(w, S("-"));
	w->comma = false; /* the digits belong to the sign */
	json_write_u64(w, 0 - (uint64_t)value);
}

void json_write_f64(struct json_writer *w, double value)
{
	char text[JSON_DOUBLE_TEXT_MAX];

	if (!isfinite(value)) {
		json_write_null(w);
		return;
	}
	json_write_raw(w, slice_of(text, json_format_double(text, value)));
}

/* Containers are opened only. */
static void write_one(struct json_writer *w, const struct json_node *n)
{
	switch (n->type) {
	case JSON_NULL: json_write_null(w); break;
	case JSON_FALSE: json_write_bool(w, false); break;
	case JSON_TRUE: json_write_bool(w, true); break;
	case JSON_INT: json_write_i64(w, n->i64); break;
	case JSON_UINT: json_write_u64(w, n->u64); break;
	case JSON_DOUBLE: json_write_f64(w, n->f64); break;
	case JSON_HUGE: json_write_raw(w, n->text); break;
	case JSON_STRING: json_write_str(w, n->text); break;
	case JSON_ARRAY: json_begin_array(w); break;
	case JSON_OBJECT: json_begin_object(w); break;
	}
}

void json_write_node(struct json_writer *w, const struct json_doc *doc, uint32_t node)
{
	const struct json_node *open[JSON_WRITE_DEPTH_MAX];
	uint32_t depth = 0, stop = doc->nodes[node].next;
	bool after_key = false;

	for (uint32_t i = node; i < stop;) {
		const struct json_node *n = &doc->nodes[i++];

		if (depth && open[depth - 1]->type == JSON_OBJECT && !after_key) {
			json_write_key(w, n->text);
			after_key = true;
			continue;
		}
		after_key = false;
		write_one(w, n);
		if (n->type == JSON_ARRAY || n->type == JSON_OBJECT)
			open[depth++] = n; /* the writer has asserted that it fits */
		for (; depth && open[depth - 1]->next == i; depth--)
			end(w, open[depth - 1]->type == JSON_ARRAY ? ']' : '}');
	}
}
