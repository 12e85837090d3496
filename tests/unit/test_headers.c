/* The Base64 form of mirrored header values, after the specification's examples and RFC 4648. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mcp/headers.h"

static void test_values(void **state)
{
	static const struct {
		const char *text, *value; /* NULL: refused */
	} rows[] = {
		{"us-west1", "us-west1"},
		{"", ""},
		{"=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, \xe4\xb8\x96\xe7\x95\x8c"},
		{"=?base64?IHBhZGRlZCA=?=", " padded "},
		{"=?base64?bGluZTEKbGluZTI=?=", "line1\nline2"},
		{"=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="},
		{"=?base64?"
		 "?=",
			""}, /* apart, for "??=" is a trigraph */
		{"=?base64?+/+/?=", "\xfb\xff\xbf"},
		/* not the form: as it is */
		{"=?Base64?IA==?=", "=?Base64?IA==?="},
		{"=?base64?IA==", "=?base64?IA=="},
		{"=?base64?=", "=?base64?="},
		/* the form, with what is no Base64 */
		{"=?base64?I?=", NULL},
		{"=?base64?IA?=", NULL},
		{"=?base64?IA=?=", NULL},
		{"=?base64?IB==?=", NULL},
		{"=?base64?I A=?=", NULL},
		{"=?base64?=IA=?=", NULL},
		{"=?base64?====?=", NULL},
		{"=?base64?I===?=", NULL},
		{"=?base64?-_-_?=", NULL},
	};
	char out[128];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice value = {0};
		bool valid = headers_decode_value(slice_cstr(rows[i].text), out, &value);

		if (valid != (rows[i].value != NULL) || (valid && !slice_eq(value, slice_cstr(rows[i].value))))
			fail_msg("%s", rows[i].text);
	}
}

static void test_media_types(void **state)
{
	assert_true(headers_media_is(S("application/json"), S("application/json")));
	assert_true(headers_media_is(S("Application/Json ; charset=utf-8"), S("application/json")));
	assert_false(headers_media_is(S("application/jsonl"), S("application/json")));
	assert_false(headers_media_is(S(""), S("application/json")));
}

static void test_gathering(void **state)
{
	static struct http_head head = {.header_count = 5,
		.headers = {{SLICE_INIT("mcp-session-id"), SLICE_INIT("s")}, {SLICE_INIT("X-Api-Kez"), SLICE_INIT("z")},
			{SLICE_INIT("HOST"), SLICE_INIT("h")}, {SLICE_INIT("ACCEPT"), SLICE_INIT("text/*;q=0.1")},
			{SLICE_INIT("Mcp-Name"), {NULL, 0}}}};
	struct request_headers h;

	headers_gather(&head, &h);
	assert_true(slice_eq(h.session, S("s")) && slice_eq(h.host, S("h")));
	assert_null(h.api_key.ptr);
	assert_null(h.repeated);
	assert_non_null(h.name.ptr); /* empty is there */
	assert_true(h.accepts_events && !h.accepts_json);
	head.headers[1].name = S("MCP-SESSION-ID");
	headers_gather(&head, &h);
	assert_string_equal(h.repeated, "Mcp-Session-Id");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_media_types),
		cmocka_unit_test(test_gathering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
