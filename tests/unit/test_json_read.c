/* What the JSON reader takes, what it refuses and where, and that every allocation may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/utf8.h"

#define ARENA_CEILING (64u << 20)

/* The text stands in a malloc'd piece of its exact size, so that a sanitizer sees a byte read behind it. */
struct fixture {
	struct arena arena;
	char *text;
	struct json_doc doc;
	struct cs_error err;
	enum cs_status status;
};

static struct fixture parse_limited(struct slice text, struct json_limits limits, size_t ceiling)
{
	struct fixture f = {.text = malloc(text.len ? text.len : 1)};

	assert_non_null(f.text);
	if (text.len)
		memcpy(f.text, text.ptr, text.len);
	arena_init(&f.arena, NULL, 0, ceiling);
	f.status = json_parse(&f.arena, slice_of(f.text, text.len), limits, &f.doc, &f.err);
	return f;
}

static struct fixture parse(struct slice text)
{
	return parse_limited(text, JSON_LIMITS_DEFAULT, ARENA_CEILING);
}

static void release(struct fixture *f)
{
	arena_release(&f->arena);
	free(f->text);
}

static void assert_taken(struct slice text)
{
	struct fixture f = parse(text);

	if (f.status != CS_OK)
		fail_msg("%.*s: %s", SLICE_ARG(text), f.err.text);
	assert_int_equal(f.doc.nodes[0].next, f.doc.count);
	release(&f);
}

/* `where` is a part of the message. */
static void assert_refused(struct slice text, const char *where)
{
	struct fixture f = parse(text);

	if (f.status != CS_SYNTAX)
		fail_msg("%.*s was taken", SLICE_ARG(text));
	if (!strstr(f.err.text, where))
		fail_msg("%.*s: \"%s\" does not say \"%s\"", SLICE_ARG(text), f.err.text, where);
	release(&f);
}

static void grammar(void **state)
{
	static const char *const good[] = {"null", "true", "false", "0", "-1", "\"\"", "[]", "{}", " [ ] ",
		"\t{\r\n}\n", "[[]]", "[{},[],{}]", "{\"a\":{\"b\":[1,{\"c\":null}]}}", "[1 , 2]",
		"{ \"a\" : 1 , \"b\" : 2 }", "\"\x7f\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"", "1e5", "1E+5",
		"0.5e-3", "-0.0", "10", "\"/\""};
	static const char *const bad[] = {"[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[,]", "{\"a\"",
		"{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{1:2}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
		"[1 2]", "[1}", "{\"a\":1]", "nul", "nullx", "True", "NaN", "Infinity", "-Infinity", "+1", ".5", "1.",
		"1.e5", "01", "-01", "00", "-", "--1", "1e", "1e+", "1e-", "0x10", "1_000", "'a'", "\"a", "\"\\x\"",
		"\"\\", "\"\\u\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "\"\t\"", "1 2", "[] []", "{} x", "/* */ 1",
		"1 // x", "\v1", "\f1", "\302\2401" /* a space that is none of JSON's */, "[1,\n2,\n\n}", "{a:1}",
		"[1]]", "\"\\a\"", "\"\\U0041\""};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_taken(slice_cstr(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_refused(slice_cstr(bad[i]), "byte");
	assert_refused(S("\"a\0b\""), "control character");
	assert_refused(S("1\0"), "byte 1");
	assert_refused(S("\"\\\0\""), "unknown escape");
}

static void errors_name_the_place(void **state)
{
	assert_refused(S(""), "the text is empty at line 1, column 1 (byte 0)");
	assert_refused(S("{\n  \"\u00e9\": 1,\n  \"\u00e9\": 2}"), "line 3, column 3 (byte 15)");
	assert_refused(S("[\"\u00e9\u20ac\U0001F600\" x]"), "line 1, column 8 (byte 13)");
	assert_refused(S("[\n1\n,\n]"), "line 4, column 1 (byte 6)");
	assert_refused(S("\xEF\xBB\xBF{}"), "byte order mark");
}

/* Every beginning of a document is refused, and at its end. */
static void truncation(void **state)
{
	const struct slice whole =
		S("{\"id\": -12.5e+3, \"\u20ac\": [true, null, \"x\\ud83d\\ude00\\n\"], \"o\": {\"k\": false}}");

	assert_taken(whole);
	for (size_t len = 0; len < whole.len; len++) {
		struct fixture f = parse(slice_of(whole.ptr, len));

		assert_int_equal(f.status, CS_SYNTAX);
		release(&f);
	}
}

static void structure(void **state)
{
	struct fixture f = parse(S(" {\"a\":[1,[],{\"x\":2}],\"b\":\"t\",\"\":null} "));
	uint32_t a, v;

	assert_int_equal(f.status, CS_OK);
	assert_int_equal(f.doc.count, 12);
	assert_int_equal(f.doc.nodes[0].count, 3);
	a = json_get(&f.doc, 0, S("a"));
	assert_int_equal(a, 2);
	assert_int_equal(f.doc.nodes[a].count, 3);
	v = json_first(&f.doc, a);
	assert_int_equal(json_type_of(&f.doc, v), JSON_INT);
	v = json_next(&f.doc, a, v);
	assert_int_equal(json_type_of(&f.doc, v), JSON_ARRAY);
	assert_int_equal(json_first(&f.doc, v), JSON_NONE);
	v = json_next(&f.doc, a, v);
	assert_int_equal(json_type_of(&f.doc, v), JSON_OBJECT);
	assert_int_equal(json_next(&f.doc, a, v), JSON_NONE);
	v = json_next(&f.doc, 0, a);
	assert_true(slice_eq(json_key(&f.doc, v), S("b")));
	v = json_next(&f.doc, 0, v);
	assert_true(slice_eq(json_key(&f.doc, v), S("")));
	assert_int_equal(json_next(&f.doc, 0, v), JSON_NONE);
	assert_int_equal(json_get(&f.doc, 0, S("c")), JSON_NONE);
	assert_int_equal(json_get(&f.doc, JSON_NONE, S("c")), JSON_NONE);
	assert_int_equal(json_get(&f.doc, a, S("c")), JSON_NONE);
	release(&f);
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		enum json_type type;
		uint64_t bits;
		double value;
	} rows[] = {
		{"0", JSON_INT, 0, 0},
		{"-1", JSON_INT, UINT64_MAX, 0},
		{"9007199254740993", JSON_INT, 9007199254740993, 0},
		{"9223372036854775807", JSON_INT, INT64_MAX, 0},
		{"-9223372036854775808", JSON_INT, UINT64_C(1) << 63, 0},
		{"9223372036854775808", JSON_UINT, UINT64_C(1) << 63, 0},
		{"18446744073709551615", JSON_UINT, UINT64_MAX, 0},
		{"18446744073709551616", JSON_HUGE, 0, 0},
		{"99999999999999999999", JSON_HUGE, 0, 0},
		{"-9223372036854775809", JSON_HUGE, 0, 0},
		{"1e309", JSON_HUGE, 0, 0},
		{"-1e99999999999999999999", JSON_HUGE, 0, 0},
		{"1.7976931348623159e308", JSON_HUGE, 0, 0},
		{"-0", JSON_DOUBLE, 0, -0.0},
		{"-0.0", JSON_DOUBLE, 0, -0.0},
		{"0e99999999999999999999", JSON_DOUBLE, 0, 0.0},
		{"1.0", JSON_DOUBLE, 0, 1.0},
		{"1e2", JSON_DOUBLE, 0, 100.0},
		{"1e-400", JSON_DOUBLE, 0, 0.0},
		{"1e-99999999999999999999", JSON_DOUBLE, 0, 0.0},
		{"0.1", JSON_DOUBLE, 0, 0.1},
		{"1.7976931348623157e308", JSON_DOUBLE, 0, DBL_MAX},
		{"2.2250738585072011e-308", JSON_DOUBLE, 0, 2.2250738585072011e-308},
		{"4.9e-324", JSON_DOUBLE, 0, 4.9e-324},
		{"9007199254740993.0", JSON_DOUBLE, 0, 9007199254740992.0},
		{"123456789012345678901234567890.0", JSON_DOUBLE, 0, 123456789012345678901234567890.0},
		{"0.000000000000000000000000000000123456789012345678", JSON_DOUBLE, 0, 0.123456789012345678e-30},
		{"1e23", JSON_DOUBLE, 0, 1e23},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fixture f = parse(slice_cstr(rows[i].text));

		assert_int_equal(f.status, CS_OK);
		if (f.doc.nodes[0].type != rows[i].type)
			fail_msg("%s has type %d", rows[i].text, (int)f.doc.nodes[0].type);
		if (rows[i].type == JSON_DOUBLE)
			assert_memory_equal(&f.doc.nodes[0].f64, &rows[i].value, sizeof(double));
		else if (rows[i].type == JSON_HUGE)
			assert_true(slice_eq(f.doc.nodes[0].text, slice_cstr(rows[i].text)));
		else
			assert_int_equal(f.doc.nodes[0].u64, rows[i].bits);
		release(&f);
	}
}

/* 1 + 2^-53 lies between two doubles; only the thousandth digit says that the upper one is nearer. */
static void digits_far_behind_decide(void **state)
{
	static const char half[] = "1.00000000000000011102230246251565404236316680908203125";
	char text[2100];

	for (int with = 0; with < 2; with++) {
		size_t len = (size_t)snprintf(text, sizeof text, "%s", half);
		struct fixture f;

		memset(text + len, '0', 2000 - len);
		text[1999] = (char)(with ? '1' : '0');
		f = parse(slice_of(text, 2000));
		assert_int_equal(f.status, CS_OK);
		assert_true(f.doc.nodes[0].f64 == (with ? 1.0 + DBL_EPSILON : 1.0));
		release(&f);
	}
}

static void typed_reads(void **state)
{
	struct fixture f = parse(S("[1, 2.0, 2.5, 9223372036854775807, 9223372036854775808, 9223372036854775808.0, "
				   "true, \"s\", null, 1e999]"));
	int64_t i = 77;
	double d = 77;
	bool b = false;
	struct slice s;

	assert_int_equal(f.status, CS_OK);
	assert_true(json_i64(&f.doc, 1, &i) && i == 1);
	assert_true(json_i64(&f.doc, 2, &i) && i == 2);
	assert_false(json_i64(&f.doc, 3, &i));
	assert_int_equal(i, 2);
	assert_true(json_i64(&f.doc, 4, &i) && i == INT64_MAX);
	assert_false(json_i64(&f.doc, 5, &i));
	assert_false(json_i64(&f.doc, 6, &i));
	assert_true(json_f64(&f.doc, 5, &d) && d == 9223372036854775808.0);
	assert_true(json_bool(&f.doc, 7, &b) && b);
	assert_true(json_str(&f.doc, 8, &s) && slice_eq(s, S("s")));
	assert_false(json_str(&f.doc, 9, &s) || json_bool(&f.doc, 9, &b) || json_f64(&f.doc, 10, &d));
	assert_false(
		json_str(&f.doc, JSON_NONE, &s) || json_i64(&f.doc, JSON_NONE, &i) || json_f64(&f.doc, JSON_NONE, &d));
	assert_int_equal(json_find_huge(&f.doc, 0), 10);
	assert_int_equal(json_find_huge(&f.doc, 1), JSON_NONE);
	release(&f);
}

static void assert_text(struct slice json, struct slice expected)
{
	struct fixture f = parse(json);

	if (f.status != CS_OK)
		fail_msg("%.*s: %s", SLICE_ARG(json), f.err.text);
	assert_int_equal(f.doc.nodes[0].text.len, expected.len);
	assert_memory_equal(f.doc.nodes[0].text.ptr, expected.ptr, expected.len);
	release(&f);
}

static void escapes(void **state)
{
	assert_text(S("\"a\\u0000b\""), S("a\0b"));
	assert_text(S("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""), S("\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"));
	assert_text(S("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), S("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
	assert_text(S("\"x\\n\\t\\/\\\\\\\"y\\b\\f\\r\""), S("x\n\t/\\\"y\b\f\r"));
	assert_text(S("\"a long text with more than sixteen bytes\\nand more\""),
		S("a long text with more than sixteen bytes\nand more"));
	assert_refused(S("\"\\ud800\""), "surrogate");
	assert_refused(S("\"\\udc00\""), "surrogate");
	assert_refused(S("\"\\udc00\\ud800\""), "surrogate");
	assert_refused(S("\"\\ud800\\ud800\""), "surrogate");
	assert_refused(S("\"\\ud800\\u0041\""), "surrogate");
	assert_refused(S("\"\\ud800xudc00\""), "surrogate");
	assert_refused(S("\"\\ud83d\\ude0\""), "surrogate");
}

static void utf8(void **state)
{
	static const char *const good[] = {"\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
		"\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
	static const char *const bad[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x20", "\xC2\xC0",
		"\xE0\x80\x80", "\xE0\x9F\xBF", "\xE0\xA0", "\xE1\x80\x20", "\xED\xA0\x80", "\xED\xBF\xBF",
		"\xEF\xBF\xC0", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF1\x80\x80\x20",
		"\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "\xF8\x88\x80\x80\x80"};
	char text[64];

	for (size_t pad = 0; pad < 20; pad++) {
		memset(text, 'a', sizeof text);
		text[0] = '"';
		for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
			size_t len = strlen(good[i]);

			memcpy(text + 1 + pad, good[i], len);
			text[1 + pad + len] = '"';
			assert_taken(slice_of(text, pad + len + 2));
			assert_int_equal(utf8_length(slice_of(text, pad + len + 2)), pad + 3);
		}
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
			size_t len = strlen(bad[i]);

			memcpy(text + 1 + pad, bad[i], len);
			text[1 + pad + len] = '"';
			assert_refused(slice_of(text, pad + len + 2), "not UTF-8");
			assert_int_equal(utf8_length(slice_of(text, pad + len + 2)), -1);
		}
	}
	assert_int_equal(utf8_length(S("")), 0);
	assert_int_equal(utf8_length((struct slice){NULL, 0}), 0);
}

/* The copies stand in memory of exactly their length: what is written or read beyond it, the sanitizer sees. */
static void copies_agree(const char *text, size_t length)
{
	size_t grown = length + json_escape_growth_scalar(text, text + length);
	char *source = malloc(length), *wide = malloc(grown), *narrow = malloc(grown);

	assert_true(source && wide && narrow);
	memcpy(source, text, length);
	assert_int_equal(json_escape_growth(source, source + length), grown - length);
	assert_ptr_equal(json_copy_escaped(wide, source, source + length), wide + grown);
	assert_ptr_equal(json_copy_escaped_scalar(narrow, source, source + length), narrow + grown);
	assert_memory_equal(wide, narrow, grown);
	free(narrow);
	free(wide);
	free(source);
}

/* Each byte at each place of a block: the wide loops stop where their scalar twins do. */
static void scans_agree(void **state)
{
	char text[48];

	for (int byte = 0; byte < 256; byte++)
		for (size_t at = 0; at < sizeof text; at++) {
			memset(text, 'x', sizeof text);
			text[at] = (char)byte;
			assert_ptr_equal(
				json_plain(text, text + sizeof text), json_plain_scalar(text, text + sizeof text));
			copies_agree(text, sizeof text);
			text[sizeof text - 1 - at] = '"';
			copies_agree(text + at / 2, sizeof text - at / 2);
		}
	memset(text, '\\', sizeof text);
	for (size_t length = 1; length <= sizeof text; length++)
		copies_agree(text, length);
}

/* {"key-0":0,...}, the last one being called as number `twice` is. */
static size_t make_keys(char *text, size_t members, size_t twice)
{
	size_t len = 0;

	text[len++] = '{';
	for (size_t i = 0; i < members; i++)
		len += (size_t)snprintf(
			text + len, 32, "%s\"key-%zu\":%zu", i ? "," : "", i == members - 1 ? twice : i, i);
	text[len++] = '}';
	return len;
}

static void duplicate_keys(void **state)
{
	char *text = malloc(1u << 20);

	assert_non_null(text);
	assert_refused(S("{\"a\":1,\"\\u0061\":2}"), "(byte 7)");
	assert_refused(S("{\"\":1,\"\":2}"), "already");
	assert_refused(S("{\"a\":{\"a\":1},\"a\":2}"), "already");
	assert_taken(S("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}"));
	assert_taken(S("{\"ab\":1,\"ba\":2,\"aab\":3,\"abb\":4,\"\":5,\"a\\u0000b\":6,\"a\\u0000c\":7}"));
	for (size_t members = 2; members < 200; members++) {
		assert_taken(slice_of(text, make_keys(text, members, members - 1)));
		for (size_t twice = 0; twice + 1 < members; twice += 1 + members / 5)
			assert_refused(slice_of(text, make_keys(text, members, twice)), "already");
	}
	free(text);
}

/* Large objects within large objects share one set and do not disturb each other. */
static void large_objects_nest(void **state)
{
	size_t size = 1u << 20, len = 0;
	char *text = malloc(size);
	struct fixture f;

	assert_non_null(text);
	for (int level = 0; level < 20; level++) {
		text[len++] = '{';
		for (int i = 0; i < 40; i++)
			len += (size_t)snprintf(text + len, size - len, "\"k%d\":%d,", i, i);
		len += (size_t)snprintf(text + len, size - len, "\"in\":");
	}
	text[len++] = '0';
	for (int level = 0; level < 20; level++)
		len += (size_t)snprintf(text + len, size - len, ",\"last\":1}");
	f = parse(slice_of(text, len));
	assert_int_equal(f.status, CS_OK);
	release(&f);
	/* The outermost object's first key again, behind all the others. */
	len += (size_t)snprintf(text + len - 1, size - len, ",\"k0\":1}") - 1;
	assert_refused(slice_of(text, len), "already");
	free(text);
}

static void depth_limit(void **state)
{
	char text[400];

	for (size_t depth = 62; depth < 68; depth++) {
		struct fixture f;

		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		f = parse(slice_of(text, 2 * depth));
		assert_int_equal(f.status, depth <= JSON_DEPTH_MAX ? CS_OK : CS_SYNTAX);
		release(&f);
	}
	/* Depth is what stands around a value, not how many containers there are. */
	for (size_t i = 0; i < 100; i++)
		memcpy(text + 3 * i, i ? ",[]" : "[[]", 3);
	text[300] = ']';
	assert_taken(slice_of(text, 301));
	{
		struct fixture f =
			parse_limited(S("[1]"), (struct json_limits){.depth = 0, .nodes = 10}, ARENA_CEILING);

		assert_int_equal(f.status, CS_SYNTAX);
		assert_non_null(strstr(f.err.text, "deeper than 0"));
		release(&f);
	}
}

static void node_limit(void **state)
{
	for (uint32_t nodes = 0; nodes < 9; nodes++) {
		struct fixture f = parse_limited(
			S("{\"a\":[1,2,{}],\"b\":\",,,,,,,,\"}"), (struct json_limits){10, nodes}, ARENA_CEILING);

		assert_int_equal(f.status, nodes < 8 ? CS_SYNTAX : CS_OK);
		release(&f);
	}
}

/* Whatever the arena's ceiling, the answer is the document or LIMIT_EXCEEDED, and the document is untouched then. */
static void every_allocation_fails(void **state)
{
	char text[4096];
	size_t len = make_keys(text, 80, 79), refused = 0;
	struct json_doc before = {NULL, 4711};

	len -= 1;
	len += (size_t)snprintf(text + len, sizeof text - len, ",\"esc\":[\"a\\n\",\"b\\u00e9\",\"c\\t\"]}");
	for (size_t ceiling = 0; ceiling < 20000; ceiling += 61) {
		struct arena arena;
		struct json_doc doc = before;
		struct cs_error err;
		enum cs_status status;

		arena_init(&arena, NULL, 0, ceiling);
		status = json_parse(&arena, slice_of(text, len), JSON_LIMITS_DEFAULT, &doc, &err);
		if (status != CS_OK) {
			assert_int_equal(status, CS_LIMIT_EXCEEDED);
			assert_memory_equal(&doc, &before, sizeof doc);
			refused++;
		}
		arena_release(&arena);
	}
	assert_in_range(refused, 10, 20000 / 61);
}

/* Each of the rows is less than the next one, in whatever forms they are written. */
static void order_of_numbers(void **state)
{
	static const char *const rising[] = {"-1e300", "-9223372036854775809.0e1", "-9223372036854775808",
		"-9223372036854774784.0", "-9007199254740993", "-9007199254740992.0", "-1.5", "-1", "-0.5", "0", "0.5",
		"1", "1.5", "9007199254740992.0", "9007199254740993", "9223372036854774784.0", "9223372036854775807",
		"9223372036854775808", "9223372036854775809", "18446744073709549568.0", "18446744073709551615",
		"18446744073709551616.0", "1e300"};
	const size_t count = sizeof rising / sizeof *rising;
	int order = 7;

	for (size_t i = 0; i < count * count; i++) {
		struct fixture a = parse(slice_cstr(rising[i / count])), b = parse(slice_cstr(rising[i % count]));
		int expected = (i / count > i % count) - (i / count < i % count);

		assert_true(json_number_order(&a.doc, 0, &b.doc, 0, &order));
		if (order != expected)
			fail_msg("%s and %s: %d", rising[i / count], rising[i % count], order);
		release(&a);
		release(&b);
	}
}

static void equality(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{"1", "1.0", true},
		{"0", "-0.0", true},
		{"9007199254740993", "9007199254740992.0", false},
		{"18446744073709551615", "18446744073709551616.0", false},
		{"9223372036854775808", "9223372036854775808.0", true},
		{"-9223372036854775808", "9223372036854775808.0", false},
		{"-9223372036854775808", "-9223372036854775808.0", true},
		{"9223372036854775807", "9223372036854775808.0", false},
		{"1", "true", false},
		{"null", "false", false},
		{"\"a\"", "\"\\u0061\"", true},
		{"[1,2]", "[2,1]", false},
		{"[1]", "[1,1]", false},
		{"[]", "{}", false},
		{"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1}", true},
		{"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
		{"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false},
		{"{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"a\":1,\"b\":2}", true},
		{"1e400", "1e400", true},
		{"1.5", "1", false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fixture a = parse(slice_cstr(rows[i].a)), b = parse(slice_cstr(rows[i].b));

		assert_int_equal(a.status, CS_OK);
		assert_int_equal(b.status, CS_OK);
		if (json_equal(&a.doc, 0, &b.doc, 0) != rows[i].equal ||
			json_equal(&b.doc, 0, &a.doc, 0) != rows[i].equal)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		release(&a);
		release(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grammar),
		cmocka_unit_test(errors_name_the_place),
		cmocka_unit_test(truncation),
		cmocka_unit_test(structure),
		cmocka_unit_test(numbers),
		cmocka_unit_test(digits_far_behind_decide),
		cmocka_unit_test(typed_reads),
		cmocka_unit_test(escapes),
		cmocka_unit_test(utf8),
		cmocka_unit_test(scans_agree),
		cmocka_unit_test(duplicate_keys),
		cmocka_unit_test(large_objects_nest),
		cmocka_unit_test(depth_limit),
		cmocka_unit_test(node_limit),
		cmocka_unit_test(every_allocation_fails),
		cmocka_unit_test(equality),
		cmocka_unit_test(order_of_numbers),
	};

	return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
