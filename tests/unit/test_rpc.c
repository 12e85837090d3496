/* What is a message, of which kind, and what the envelope looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "mcp/rpc.h"

struct fixture {
	struct arena arena;
	struct json_doc doc;
	struct buffer out;
};

static void parse(struct fixture *f, const char *text)
{
	struct cs_error err;

	arena_init(&f->arena, NULL, 0, 1u << 20);
	buffer_init(&f->out, 1u << 20);
	assert_int_equal(json_parse(&f->arena, slice_cstr(text), JSON_LIMITS_DEFAULT, &f->doc, &err), CS_OK);
}

static void release(struct fixture *f)
{
	buffer_release(&f->out);
	arena_release(&f->arena);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		int kind; /* -1: refused */
	} rows[] = {
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}", RPC_REQUEST},
		{"{\"method\":\"m\",\"id\":\"\",\"jsonrpc\":\"2.0\",\"params\":[],\"more\":1}", RPC_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{}}", RPC_NOTIFICATION},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}", RPC_RESPONSE},
		{"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}", RPC_RESPONSE},
		{"{\"jsonrpc\":\"2.0\",\"error\":{}}", RPC_RESPONSE},
		{"{\"jsonrpc\":\"2.0\",\"result\":1}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":1}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{},\"result\":1}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"result\":1}", -1},
		{"{\"jsonrpc\":2,\"id\":1,\"method\":\"m\"}", -1},
		{"{\"id\":1,\"method\":\"m\"}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"m\"}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":1e999,\"method\":\"m\"}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", -1},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":null}", -1},
		{"null", -1},
		{"\"text\"", -1},
		{"[]", -1},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rpc_message message;
		struct rpc_error error;
		struct fixture f;
		bool valid;

		parse(&f, rows[i].text);
		valid = rpc_classify(&f.doc, 0, &message, &error);
		if (valid != (rows[i].kind >= 0) || (valid && (int)message.kind != rows[i].kind))
			fail_msg("%s", rows[i].text);
		if (!valid) {
			assert_int_equal(error.code, RPC_INVALID_REQUEST);
			assert_int_equal(error.http, 400);
			assert_true(error.text[0]);
		}
		release(&f);
	}
}

static void test_ids_go_back_as_they_came(void **state)
{
	static const char *const ids[] = {"0", "-1", "9223372036854775807", "18446744073709551615",
		"-99999999999999999999", "123456789012345678901234567890", "\"\"", "\"a\\\"b\"", "\"\xc3\xa9\""};

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		struct rpc_message message;
		struct rpc_error error;
		struct json_writer w;
		struct fixture f;
		char text[256];

		snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", ids[i]);
		parse(&f, text);
		assert_true(rpc_classify(&f.doc, 0, &message, &error));
		w = json_writer(&f.out);
		rpc_begin_result(&w, &f.doc, message.id);
		json_write_bool(&w, true);
		json_end_object(&w);
		snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":true}", ids[i]);
		assert_int_equal(f.out.len, strlen(text));
		assert_memory_equal(f.out.ptr, text, f.out.len);
		release(&f);
	}
}

static void test_errors(void **state)
{
	static const char wanted[] =
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32022,\"message\":\"no\",\"data\":{"
		"\"supported\":"
		"[\"2026-07-28\",\"2025-11-25\",\"2025-06-18\",\"2025-03-26\",\"2024-11-05\"],\"requested\":\"x\"}}}";
	struct rpc_error error;
	struct buffer out;
	char text[CS_ERROR_TEXT_MAX * 3];

	assert_false(rpc_fail(&error, RPC_UNSUPPORTED_VERSION, 400, "%s", "no"));
	error.requested = S("x");
	buffer_init(&out, 4096);
	rpc_write_error(&out, NULL, JSON_NONE, &error);
	assert_int_equal(out.len, sizeof wanted - 1);
	assert_memory_equal(out.ptr, wanted, out.len);
	buffer_release(&out);
	/* A text that is cut is cut between characters. */
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		assert_false(rpc_fail(&error, RPC_INTERNAL_ERROR, 200, "%s", text));
		assert_true(utf8_length(slice_cstr(error.text)) > 100);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_ids_go_back_as_they_came),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
