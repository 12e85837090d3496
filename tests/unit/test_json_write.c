/* What the JSON writer puts into the buffer, and that a full buffer is told and never overrun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

static void assert_written(struct buffer *b, const char *expected)
{
	if (b->failed || !slice_eq(buffer_slice(b), slice_cstr(expected)))
		fail_msg("wrote %.*s, expected %s", SLICE_ARG(buffer_slice(b)), expected);
	buffer_clear(b);
}

static void write_sample(struct json_writer *w)
{
	json_begin_object(w);
	json_key_str(w, "id", S("c\"1\n"));
	json_write_key(w, S("tags"));
	json_begin_array(w);
	json_write_str(w, S("a"));
	json_write_i64(w, -5);
	json_write_f64(w, 0.25);
	json_begin_object(w);
	json_end_object(w);
	json_begin_array(w);
	json_end_array(w);
	json_end_array(w);
	json_key_i64(w, "n", INT64_MIN);
	json_key_u64(w, "u", UINT64_MAX);
	json_key_f64(w, "f", 1.0);
	json_key_bool(w, "t", true);
	json_key_bool(w, "b", false);
	json_key_null(w, "z");
	json_key_raw(w, "raw", S("[1,2]"));
	json_key_str(w, "", S(""));
	json_end_object(w);
}

static const char sample[] =
	"{\"id\":\"c\\\"1\\n\",\"tags\":[\"a\",-5,0.25,{},[]],\"n\":-9223372036854775808,"
	"\"u\":18446744073709551615,\"f\":1,\"t\":true,\"b\":false,\"z\":null,\"raw\":[1,2],\"\":\"\"}";

static void commas_and_kinds(void **state)
{
	struct buffer b;
	struct json_writer w;

	buffer_init(&b, 4096);
	w = json_writer(&b);
	write_sample(&w);
	assert_written(&b, sample);
	buffer_release(&b);
}

static void integers(void **state)
{
	static const int64_t values[] = {0, 1, -1, 9, 10, 99, 100, -10, INT64_MAX, INT64_MIN, INT64_MIN + 1};
	struct buffer b;
	char expected[32];

	buffer_init(&b, 4096);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct json_writer w = json_writer(&b);

		json_write_i64(&w, values[i]);
		snprintf(expected, sizeof expected, "%lld", (long long)values[i]);
		assert_written(&b, expected);
	}
	buffer_release(&b);
}

/* At every ceiling the writer fails as a whole or writes all; never more than the ceiling. */
static void ceilings(void **state)
{
	for (size_t ceiling = 0; ceiling < sizeof sample + 8; ceiling++) {
		struct buffer b;
		struct json_writer w;
		struct cs_error err;

		buffer_init(&b, ceiling);
		w = json_writer(&b);
		write_sample(&w);
		assert_in_range(b.len, 0, ceiling);
		assert_int_equal(buffer_status(&b, &err), ceiling < sizeof sample - 1 ? CS_LIMIT_EXCEEDED : CS_OK);
		buffer_release(&b);
	}
}

/* Each character at each place of a block is escaped as RFC 8259 wants, and comes back. */
/* The measured way and the one that finds room for the worst case write the same, and end at the same byte. */
static void quoting_needs_the_room_it_takes(void **state)
{
	char text[80];

	for (size_t length = 0; length <= sizeof text; length++)
		for (int form = 0; form < 4; form++) {
			struct buffer wide, narrow;

			for (size_t i = 0; i < length; i++)
				text[i] = (i * 7 + (size_t)form) % 5 ? 'a' : "x\"\\\x01"[form];
			buffer_init(&wide, 4096);
			assert_non_null(buffer_reserve(&wide, 4000));
			json_quote(&wide, slice_of(text, length));
			assert_false(wide.failed);
			buffer_init(&narrow, wide.len);
			json_quote(&narrow, slice_of(text, length));
			assert_false(narrow.failed);
			assert_int_equal(narrow.len, wide.len);
			assert_memory_equal(narrow.ptr, wide.ptr, wide.len);
			buffer_release(&narrow);
			buffer_init(&narrow, wide.len - 1);
			json_quote(&narrow, slice_of(text, length));
			assert_true(narrow.failed);
			assert_int_equal(narrow.len, 0);
			buffer_release(&narrow);
			buffer_release(&wide);
		}
}

/* Nothing at no place, where the buffer has no room yet: what a sanitizer looks at. */
static void nothing_is_quoted(void **state)
{
	struct buffer b;

	buffer_init(&b, 4096);
	json_quote(&b, (struct slice){0});
	assert_written(&b, "\"\"");
	buffer_release(&b);
}

static void strings_come_back(void **state)
{
	char text[40];
	struct buffer b;

	buffer_init(&b, 4096);
	for (int byte = 0; byte < 0x80; byte++)
		for (size_t at = 0; at < sizeof text; at += 3) {
			struct arena arena;
			struct json_doc doc;
			struct cs_error err;

			memset(text, 'x', sizeof text);
			text[at] = (char)byte;
			json_quote(&b, slice_of(text, sizeof text));
			arena_init(&arena, NULL, 0, 1u << 20);
			assert_int_equal(json_parse(&arena, buffer_slice(&b), JSON_LIMITS_DEFAULT, &doc, &err), CS_OK);
			assert_true(slice_eq(doc.nodes[0].text, slice_of(text, sizeof text)));
			arena_release(&arena);
			buffer_clear(&b);
		}
	json_quote(&b, S("\b\t\n\f\r\x1f\x7f/\"\\"));
	assert_written(&b, "\"\\b\\t\\n\\f\\r\\u001f\x7f/\\\"\\\\\"");
	json_quote(&b, S("\xE2\x80\xA8\xF0\x9F\x98\x80"));
	assert_written(&b, "\"\xE2\x80\xA8\xF0\x9F\x98\x80\"");
	json_quote(&b, (struct slice){NULL, 0});
	assert_written(&b, "\"\"");
	buffer_release(&b);
}

static void doubles(void **state)
{
	static const struct {
		double value;
		const char *text;
	} rows[] = {
		{0.0, "0"},
		{-0.0, "-0"},
		{1.0, "1"},
		{-1.5, "-1.5"},
		{0.1, "0.1"},
		{0.30000000000000004, "0.30000000000000004"},
		{1e300, "1e300"},
		{-1e-300, "-1e-300"},
		{1e21, "1e21"},
		{1e20, "1e20"},
		{1e15, "1000000000000000"},
		{9007199254740991.0, "9007199254740991"},
		{9007199254740993.0, "9.007199254740992e15"},
		{1e-6, "0.000001"},
		{1e-7, "1e-7"},
		{1.5e-7, "1.5e-7"},
		{123456789.125, "123456789.125"},
		{DBL_MAX, "1.7976931348623157e308"},
		{DBL_MIN, "2.2250738585072014e-308"},
		{4.9e-324, "5e-324"},
		{1.5e-323, "1.5e-323"},
		{0.8734, "0.8734"},
		{5.684341886080802e-14, "5.684341886080802e-14"},
		{9.5367431640625e-7, "9.5367431640625e-7"},
		{2.5, "2.5"},
		{1e23, "1e23"},
		{1.7800590868057611e-307, "1.7800590868057611e-307"},
		{0.1f, "0.10000000149011612"},
		{(double)NAN, "null"},
		{(double)INFINITY, "null"},
		{-(double)INFINITY, "null"},
		{2.2250738585072011e-308, "2.225073858507201e-308"},
		{1e22, "1e22"},
		{123456789012345680000.0, "1.2345678901234568e20"},
	};
	struct buffer b;

	buffer_init(&b, 4096);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct json_writer w = json_writer(&b);

		json_write_f64(&w, rows[i].value);
		assert_written(&b, rows[i].text);
	}
	buffer_release(&b);
}

/* A locale with a comma must change nothing, neither in what is written nor in what is read. */
static void no_locale(void **state)
{
	static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
	bool set = false;

	for (size_t i = 0; i < sizeof names / sizeof *names && !set; i++)
		set = setlocale(LC_ALL, names[i]) != NULL;
	if (!set) {
		print_message("no locale with a decimal comma is installed\n");
		skip();
	}
	doubles(state);
	setlocale(LC_ALL, "C");
}

static void deep_nodes(void **state)
{
	char text[2 * JSON_DEPTH_MAX + 1];
	struct arena arena;
	struct json_doc doc;
	struct cs_error err;
	struct buffer b;
	struct json_writer w;

	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	text[2 * JSON_DEPTH_MAX] = '\0';
	arena_init(&arena, NULL, 0, 1u << 20);
	assert_int_equal(json_parse(&arena, slice_cstr(text), JSON_LIMITS_DEFAULT, &doc, &err), CS_OK);
	buffer_init(&b, 4096);
	w = json_writer(&b);
	json_write_node(&w, &doc, 0);
	assert_written(&b, text);
	buffer_release(&b);
	arena_release(&arena);
}

/* A subtree alone, among other values, with keys that look like values. */
static void subtrees(void **state)
{
	struct arena arena;
	struct json_doc doc;
	struct cs_error err;
	struct buffer b;
	struct json_writer w;

	arena_init(&arena, NULL, 0, 1u << 20);
	assert_int_equal(
		json_parse(&arena, S(" { \"a\" : [ { } , { \"k\" : \"v\" , \"l\" : [ ] } ] , \"b\" : 1e999 } "),
			JSON_LIMITS_DEFAULT, &doc, &err),
		CS_OK);
	buffer_init(&b, 4096);
	w = json_writer(&b);
	json_begin_array(&w);
	json_write_node(&w, &doc, json_get(&doc, 0, S("a")));
	json_write_node(&w, &doc, 0);
	json_write_null(&w);
	json_end_array(&w);
	assert_written(&b, "[[{},{\"k\":\"v\",\"l\":[]}],{\"a\":[{},{\"k\":\"v\",\"l\":[]}],\"b\":1e999},null]");
	buffer_release(&b);
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas_and_kinds),
		cmocka_unit_test(integers),
		cmocka_unit_test(ceilings),
		cmocka_unit_test(quoting_needs_the_room_it_takes),
		cmocka_unit_test(nothing_is_quoted),
		cmocka_unit_test(strings_come_back),
		cmocka_unit_test(doubles),
		cmocka_unit_test(no_locale),
		cmocka_unit_test(deep_nodes),
		cmocka_unit_test(subtrees),
	};

	return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
