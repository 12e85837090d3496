/* The validator, on a table of its own: every kind, bound and status, paths, several problems at once; and the schema
 * text. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/nearest.h"
#include "mcp/schema.h"

static const char *const colours[] = {"red", "green", NULL};
static const struct field inner[] = {
	{.name = "deep", .help = "", .kind = FIELD_BOOLEAN, .required = true},
	{0},
};
static const struct field inner_item = {.name = "", .help = "", .kind = FIELD_OBJECT, .fields = inner};
static const struct field known[] = {
	{.name = "tag", .help = "", .kind = FIELD_NAME},
	{0},
};
static const struct field table[] = {
	{.name = "who", .help = "", .kind = FIELD_STRING, .pattern = &pattern_agent_id, .wrong = CS_INVALID_AGENT_ID},
	{.name = "text",
		.help = "Said",
		.kind = FIELD_STRING,
		.min = 2,
		.max = 4,
		.wrong_type = CS_INVALID_CONTENT_TYPE,
		.too_long = CS_CONTENT_TOO_LARGE},
	{.name = "colour", .help = "", .kind = FIELD_STRING, .values = colours, .fallback = "\"red\""},
	{.name = "count", .help = "", .kind = FIELD_INTEGER, .min = 1, .max = 9, .wrong = CS_INVALID_TTL},
	{.name = "since", .help = "", .kind = FIELD_INTEGER, .max = INT64_MAX},
	{.name = "ratio", .help = "", .kind = FIELD_NUMBER, .max = 1},
	{.name = "list", .help = "", .kind = FIELD_ARRAY, .items = &inner_item, .min = 1, .max = 2},
	{.name = "free", .help = "", .kind = FIELD_OBJECT},
	{.name = "open", .help = "", .kind = FIELD_OBJECT, .fields = known, .open = true},
	{.name = "must", .help = "", .kind = FIELD_NAME, .required = true},
	{0},
};

static struct arena arena;

static int setup(void **state)
{
	arena_init(&arena, NULL, 0, 16u << 20);
	return 0;
}

static int teardown(void **state)
{
	arena_release(&arena);
	return 0;
}

static enum cs_status check(const char *text, struct cs_error *err)
{
	struct schema_problems problems = {.arena = &arena};
	struct json_doc doc;

	if (json_parse(&arena, slice_cstr(text), JSON_LIMITS_DEFAULT, &doc, err) != CS_OK)
		fail_msg("%s: %s", text, err->text);
	if (schema_check(table, &doc, 0, S(""), &problems))
		return CS_OK;
	return schema_fail(&problems, err);
}

static void what_fits_is_accepted(void **state)
{
	static const char *const good[] = {
		"{\"must\":\"m\"}",
		"{\"must\":\"m\",\"who\":\"a-Z_9\",\"text\":\"ab\",\"colour\":\"green\",\"count\":9,\"ratio\":0.5}",
		"{\"must\":\"m\",\"since\":0}",
		"{\"must\":\"m\",\"text\":\"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"}",
		"{\"must\":\"m\",\"count\":2.0,\"ratio\":1,\"list\":[{\"deep\":true},{\"deep\":false}]}",
		"{\"must\":\"m\",\"free\":{\"x\":[1,{}]},\"open\":{\"any\":1,\"tag\":\"t\"}}",
		"{\"must\":\"m\",\"who\":null,\"text\":null,\"list\":null,\"free\":null}",
		"{\"must\":\"m\",\"since\":9223372036854775807}",
	};
	struct cs_error err;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (check(good[i], &err) != CS_OK)
			fail_msg("%s: %s", good[i], err.text);
}

static void what_does_not_is_told_with_its_path(void **state)
{
	static const struct {
		const char *text;
		enum cs_status status;
		const char *says;
	} bad[] = {
		{"{}", CS_MISSING_PARAMETER, "must is required: a string of 1 to 256 bytes"},
		{"{\"must\":null}", CS_VALIDATION,
			"must must be a string of 1 to 256 bytes without control characters, not null"},
		{"{\"must\":\"\"}", CS_VALIDATION, "not \"\""},
		{"{\"must\":\"a\\u0000\"}", CS_VALIDATION, "\\u0000"},
		{"{\"must\":\"m\",\"who\":\"a.b\"}", CS_INVALID_AGENT_ID,
			"who must be a string that matches ^[a-zA-Z0-9_-]{1,64}$, not \"a.b\""},
		{"{\"must\":\"m\",\"who\":\"\"}", CS_INVALID_AGENT_ID, "who"},
		{"{\"must\":\"m\",\"who\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
			CS_INVALID_AGENT_ID, "... (65 characters)"},
		{"{\"must\":\"m\",\"text\":\"a\"}", CS_VALIDATION,
			"text must be a string of 2 to 4 characters, not \"a\""},
		{"{\"must\":\"m\",\"text\":\"\xC3\xBC\"}", CS_VALIDATION, "text"},
		{"{\"must\":\"m\",\"text\":\"abcde\"}", CS_CONTENT_TOO_LARGE, "abcde"},
		{"{\"must\":\"m\",\"text\":[]}", CS_INVALID_CONTENT_TYPE, "not an array of 0"},
		{"{\"must\":\"m\",\"colour\":\"blue\"}", CS_VALIDATION,
			"colour must be one of red, green, not \"blue\""},
		{"{\"must\":\"m\",\"count\":0}", CS_INVALID_TTL, "count must be a whole number from 1 to 9, not 0"},
		{"{\"must\":\"m\",\"count\":10}", CS_INVALID_TTL, "not 10"},
		{"{\"must\":\"m\",\"count\":1.5}", CS_INVALID_TTL, "not 1.5"},
		{"{\"must\":\"m\",\"count\":true}", CS_INVALID_TTL, "not true"},
		{"{\"must\":\"m\",\"count\":18446744073709551615}", CS_INVALID_TTL, "18446744073709551615"},
		{"{\"must\":\"m\",\"count\":1e999}", CS_INVALID_TTL, "1e999"},
		{"{\"must\":\"m\",\"since\":-1}", CS_VALIDATION,
			"since must be a whole number from 0 to 9223372036854775807, not -1"},
		{"{\"must\":\"m\",\"since\":9223372036854775808}", CS_VALIDATION,
			"since must be a whole number from 0 to 9223372036854775807, not 9223372036854775808"},
		{"{\"must\":\"m\",\"ratio\":1.01}", CS_VALIDATION, "ratio must be a number from 0 to 1"},
		{"{\"must\":\"m\",\"ratio\":1e999}", CS_VALIDATION, "not 1e999"},
		{"{\"must\":\"m\",\"list\":[]}", CS_VALIDATION,
			"list must be an array of 1 to 2 elements, not an array of 0"},
		{"{\"must\":\"m\",\"list\":[{\"deep\":true},{\"deep\":1}]}", CS_VALIDATION,
			"list[1].deep must be true or false, not 1"},
		{"{\"must\":\"m\",\"list\":[{}]}", CS_MISSING_PARAMETER, "list[0].deep is required"},
		{"{\"must\":\"m\",\"list\":[null]}", CS_VALIDATION, "list[0] must be an object, not null"},
		{"{\"must\":\"m\",\"free\":{\"a\":[{},{\"b\":-1e999}]}}", CS_VALIDATION,
			"free.a[1].b must be a number that"},
		{"{\"must\":\"m\",\"free\":{\"a\":[1,1e999]}}", CS_VALIDATION, "free.a[1] must be a number that"},
		{"{\"must\":\"m\",\"open\":{\"x\":1e999}}", CS_VALIDATION, "open.x must be a number that"},
		{"{\"must\":\"m\",\"open\":{\"tag\":5}}", CS_VALIDATION, "open.tag must be"},
		{"{\"must\":\"m\",\"color\":\"red\"}", CS_VALIDATION, "color is not known; did you mean colour?"},
		{"{\"must\":\"m\",\"zzz\":1}", CS_VALIDATION, "zzz is not known; known are who, text, colour"},
		{"{\"must\":\"m\",\"count\":0,\"colour\":7}", CS_VALIDATION, "not 7; count must be"},
		{"[]", CS_VALIDATION, "arguments must be an object, not an array of 0"},
	};
	struct cs_error err;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		enum cs_status status = check(bad[i].text, &err);

		if (status != bad[i].status || !strstr(err.text, bad[i].says))
			fail_msg("%s: %s, %s", bad[i].text, cs_status_type(status), status ? err.text : "accepted");
	}
}

static void arguments_that_are_not_there_are_an_empty_object(void **state)
{
	struct schema_problems problems = {.arena = &arena};

	assert_false(schema_check(table, NULL, JSON_NONE, S(""), &problems));
	assert_int_equal(problems.status, CS_MISSING_PARAMETER);
	assert_int_equal(problems.count, 1);
}

static void problems_past_the_limit_still_refuse(void **state)
{
	struct cs_error err;

	assert_int_equal(
		check("{\"a1\":1,\"a2\":1,\"a3\":1,\"a4\":1,\"a5\":1,\"a6\":1,\"a7\":1,\"a8\":1,\"a9\":1}", &err),
		CS_MISSING_PARAMETER);
}

static void the_schema_says_the_same(void **state)
{
	static const char expected[] = "{\"type\":\"object\",\"properties\":{\"deep\":{\"type\":\"boolean\"}},"
				       "\"required\":[\"deep\"],\"additionalProperties\":false}";
	static const char *const parts[] = {
		"\"who\":{\"type\":\"string\",\"pattern\":\"^[a-zA-Z0-9_-]{1,64}$\"}",
		"\"text\":{\"type\":\"string\",\"description\":\"Said\",\"minLength\":2,\"maxLength\":4}",
		"\"colour\":{\"type\":\"string\",\"enum\":[\"red\",\"green\"],\"default\":\"red\"}",
		"\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}",
		"\"since\":{\"type\":\"integer\",\"minimum\":0}",
		"\"ratio\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
		"\"list\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,\"items\":{\"type\":\"object\",",
		"\"free\":{\"type\":\"object\"}",
		"\"open\":{\"type\":\"object\",\"properties\":{\"tag\":{\"type\":\"string\"}}}",
		"\"required\":[\"must\"],\"additionalProperties\":false}",
	};
	struct buffer out;
	struct json_writer w = json_writer(&out);

	buffer_init(&out, 1u << 16);
	schema_write_input(&w, inner);
	assert_true(slice_eq(buffer_slice(&out), slice_cstr(expected)));
	buffer_clear(&out);
	w = json_writer(&out);
	schema_write_input(&w, table);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (!memmem(out.ptr, out.len, parts[i], strlen(parts[i])))
			fail_msg("%s is not in " SLICE_FMT, parts[i], SLICE_ARG(buffer_slice(&out)));
	buffer_clear(&out);
	w = json_writer(&out);
	schema_write_output(&w, inner);
	assert_null(memmem(out.ptr, out.len, "additional", 10));
	buffer_release(&out);
}

static void nearest_names_are_near(void **state)
{
	static const struct {
		const char *wanted, *best;
	} cases[] = {
		{"tll", "ttl"}, {"LIMIT", "limit"}, {"limti", "limit"}, {"quary", "query"}, {"zebra", ""}, {"", ""}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nearest nearest = nearest_to(slice_cstr(cases[i].wanted));

		nearest_offer(&nearest, S("ttl"));
		nearest_offer(&nearest, S("limit"));
		nearest_offer(&nearest, S("query"));
		assert_true(slice_eq(nearest.best, slice_cstr(cases[i].best)));
	}
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_fits_is_accepted),
		T(what_does_not_is_told_with_its_path),
		T(arguments_that_are_not_there_are_an_empty_object),
		T(problems_past_the_limit_still_refuse),
		T(the_schema_says_the_same),
		T(nearest_names_are_near),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
