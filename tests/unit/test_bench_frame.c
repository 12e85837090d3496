/* Where replies end: whole, in every pair of pieces, and what is no reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bench/frame.h"
#include "bench/request.h"
#include "net/http_parser.h"

static enum frame_state state_of(
	enum frame_state (*frame)(const char *, size_t, size_t *), const char *text, size_t *ret_length)
{
	return frame(text, strlen(text), ret_length);
}

static void test_http(void **state)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nDate: x\r\nCONTENT-length: 5\r\n\r\nhello";
	size_t length = 0;

	(void)state;
	for (size_t part = 1; part < sizeof reply - 1; part++)
		assert_int_equal(frame_http(reply, part, &length), FRAME_PARTIAL);
	assert_int_equal(frame_http(reply, sizeof reply - 1, &length), FRAME_GOOD);
	assert_int_equal(length, sizeof reply - 1);
	assert_int_equal(state_of(frame_http, "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", &length), FRAME_FAILED);
	assert_int_equal(
		state_of(frame_http, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &length), FRAME_FOREIGN);
	assert_int_equal(state_of(frame_http, "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", &length), FRAME_FOREIGN);
	assert_int_equal(
		state_of(frame_http, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", &length), FRAME_FOREIGN);
	assert_int_equal(state_of(frame_http, "SSH-2.0-OpenSSH_9.2\r\n", &length), FRAME_FOREIGN);
	assert_int_equal(state_of(frame_http, "HT", &length), FRAME_PARTIAL);
	assert_int_equal(state_of(frame_http, "HTTP/1.\r\n\r\n", &length), FRAME_FOREIGN);
}

static void test_mcp(void **state)
{
	size_t length = 0;

	(void)state;
	assert_int_equal(
		state_of(frame_mcp, "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"isError\":false}", &length),
		FRAME_GOOD);
	assert_int_equal(
		state_of(frame_mcp, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"isError\":true}", &length),
		FRAME_FAILED);
	assert_int_equal(state_of(frame_mcp, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"error\":{}}", &length),
		FRAME_FAILED);
}

static void test_redis(void **state)
{
	static const char reply[] = "$5\r\nhello\r\n";
	size_t length = 0;

	(void)state;
	for (size_t part = 1; part < sizeof reply - 1; part++)
		assert_int_equal(frame_redis(reply, part, &length), FRAME_PARTIAL);
	assert_int_equal(frame_redis(reply, sizeof reply - 1, &length), FRAME_GOOD);
	assert_int_equal(length, sizeof reply - 1);
	assert_int_equal(state_of(frame_redis, "+OK\r\n", &length), FRAME_GOOD);
	assert_int_equal(state_of(frame_redis, "-ERR no\r\n", &length), FRAME_FAILED);
	assert_int_equal(state_of(frame_redis, "$-1\r\n", &length), FRAME_FAILED);
	assert_int_equal(state_of(frame_redis, "HTTP/1.1", &length), FRAME_FOREIGN);
}

/* What is sent is a request by the program's own parser, with the length it says. */
static void test_requests_parse(void **state)
{
	const struct request_form forms[] = {
		{.mcp = true, .host = S("127.0.0.1:1")}, {.host = S("[::1]:80"), .api_key = S("secret")}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct http_limits limits = HTTP_LIMITS_DEFAULT;
		struct http_error error;
		struct http_head head;
		struct buffer out;
		size_t used = 0, scanned = 0;

		buffer_init(&out, 1u << 16);
		request_write(&out, &forms[i], "get_agent_state", S("{\"agent_id\":\"a\"}"));
		assert_int_equal(
			http_parse_head(buffer_slice(&out), &limits, &scanned, &head, &used, &error), HTTP_DONE);
		assert_int_equal(used + head.content_length, out.len);
		assert_true(slice_eq(head.path, i == 0 ? S("/mcp") : S("/tools/get_agent_state")));
		assert_int_equal(memmem(out.ptr, out.len, "X-API-Key: secret\r\n", 19) != NULL, i == 1);
		buffer_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_mcp),
		cmocka_unit_test(test_redis),
		cmocka_unit_test(test_requests_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
