/* What HTTP adds around messages: streams, media types, routes, who may ask from where, and keys. */
#include "../support/fake_mcp.h"

static void test_session_streams(void **state)
{
	struct sse *streams[4];

	open_session("2025-06-18");
	ask("GET", "/mcp", SESSION "Accept: application/json\n", "");
	assert_int_equal(answer.status, 406);
	ask("GET", "/mcp", HOST "Accept: text/event-stream\n", "");
	assert_int_equal(answer.status, 400);
	ask("GET", "/mcp", HOST "Accept: text/event-stream\nMcp-Session-Id: x\n", "");
	assert_int_equal(answer.status, 404);
	ask("GET", "/mcp", SESSION "Accept: text/event-stream\nMCP-Protocol-Version: 2026-07-28\n", "");
	assert_int_equal(answer.status, 405);
	ask("HEAD", "/mcp", SESSION "Accept: text/event-stream\n", "");
	assert_int_equal(answer.status, 405);
	for (int i = 0; i < 4; i++) {
		ask("GET", "/mcp", SESSION "Accept: text/event-stream\n", "");
		assert_int_equal(answer.status, 200);
		streams[i] = fake.stream;
	}
	ask("GET", "/mcp", SESSION "Accept: text/event-stream\n", "");
	assert_int_equal(answer.status, 409);
	fake_close_stream(streams[0]);
	ask("GET", "/mcp", SESSION "Accept: text/event-stream\n", "");
	assert_int_equal(answer.status, 200);
	streams[0] = fake.stream;
	fake.client_gone = true;
	fake_close_stream(streams[1]);
	ask("GET", "/mcp", SESSION "Accept: text/event-stream\n", "");
	fake.client_gone = false;
	ask("GET", "/mcp", SESSION "Accept: text/event-stream\n", "");
	streams[1] = fake.stream;
	ask("DELETE", "/mcp", SESSION, "");
	for (int i = 0; i < 4; i++) {
		assert_true(streams[i]->ended);
		fake_close_stream(streams[i]);
	}
}

/* An id of so many characters, each of which JSON escapes. */
static void listen_with_id(size_t length)
{
	struct buffer body;

	buffer_init(&body, 64u << 10);
	buffer_append(&body, S("{\"jsonrpc\":\"2.0\",\"id\":\""));
	for (size_t i = 0; i < length; i++)
		buffer_append(&body, S("\\u0001"));
	buffer_append(&body, S("\",\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":{}," META "}}"));
	ask_as(mcp, false, "POST", "/mcp", MODERN "subscriptions/listen\n", buffer_slice(&body));
	buffer_release(&body);
}

static void test_listen(void **state)
{
#define LISTEN                                                                                                         \
	REQUEST("\"l\"",                                                                                               \
		"\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":{\"toolsListChanged\":true}," META  \
		"}")
	static char large[20 << 10];
	const char *wanted;

	post(MODERN "subscriptions/listen\nAccept: application/json\n", LISTEN);
	assert_int_equal(answer.status, 406);
	post(MODERN "subscriptions/listen\n", LISTEN);
	wanted = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":"
		 "{\"io.modelcontextprotocol/subscriptionId\":\"l\"},\"notifications\":{}}}\n";
	assert_int_equal(fake.stream->sent.len, strlen(wanted));
	assert_memory_equal(fake.stream->sent.ptr, wanted, strlen(wanted));
	buffer_clear(&fake.stream->sent);
	fake.stream->hooks.ending(fake.stream->hooks.self, fake.stream);
	wanted = "{\"jsonrpc\":\"2.0\",\"id\":\"l\",\"result\":{\"resultType\":\"complete\",\"_meta\":"
		 "{\"io.modelcontextprotocol/subscriptionId\":\"l\"}}}\n";
	assert_int_equal(fake.stream->sent.len, strlen(wanted));
	assert_memory_equal(fake.stream->sent.ptr, wanted, strlen(wanted));
	fake_close_stream(fake.stream);
	/* One that a worker read is opened on the loop all the same. */
	snprintf(large, sizeof large, "%*s" LISTEN, 9000, "");
	post(MODERN "subscriptions/listen\n", large);
	assert_true(fake.stream->sent.len > 0);
	fake_close_stream(fake.stream);
	/* The longest id, of characters that are escaped, and one that is longer. */
	listen_with_id(4096);
	assert_int_equal(answer.status, 200);
	assert_true(fake.stream->sent.len > 6 * 4096);
	fake.stream->hooks.ending(fake.stream->hooks.self, fake.stream);
	assert_true(fake.stream->sent.len > 3 * 6 * 4096);
	fake_close_stream(fake.stream);
	listen_with_id(4097);
	assert_non_null(strstr(
		answer.body, "\"code\":-32602,\"message\":\"the id of a subscription may be at most 4096 bytes"));
	fake.client_gone = true;
	post(MODERN "subscriptions/listen\n", LISTEN);
}

static void test_media_types(void **state)
{
	static const struct {
		const char *lines;
		int status;
	} rows[] = {
		{SESSION, 200},
		{SESSION "Content-Type: application/json\n", 200},
		{SESSION "Content-Type: Application/JSON; charset=utf-8\n", 200},
		{SESSION "Content-Type: text/plain\n", 415},
		{SESSION "Content-Encoding: identity\n", 200},
		{SESSION "Content-Encoding: gzip\n", 415},
		{SESSION "Content-Type: application/x-www-form-urlencoded\n", 415},
		{SESSION "Accept: application/json, text/event-stream\n", 200},
		{SESSION "Accept: */*\n", 200},
		{SESSION "Accept: application/*;q=0.5\n", 200},
		{SESSION "Accept: text/event-stream\n", 406},
		{SESSION "Accept: text/html\n", 406},
		{SESSION "Accept: application/json;q=0.0, text/event-stream\n", 406},
		{SESSION "Accept: text/event-stream\nAccept: application/json\n", 200},
	};

	open_session("2025-11-25");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		post(rows[i].lines, REQUEST("1", "\"method\":\"ping\""));
		if (answer.status != rows[i].status)
			fail_msg("%s gave %d", rows[i].lines, answer.status);
	}
	ask("POST", "/tools/get_agent_state", HOST "Content-Encoding: br\n", "{\"agent_id\":\"a\",\"key\":\"k\"}");
	assert_int_equal(answer.status, 415);
	assert_non_null(strstr(answer.headers, "Accept-Encoding: identity\r\n"));
	ask("GET", "/health", HOST "Content-Encoding: gzip\n", "");
	assert_int_equal(answer.status, 200);
}

static void test_routes(void **state)
{
	static const struct {
		const char *method, *path, *body;
		int status;
		const char *part;
	} rows[] = {
		{"GET", "/", "", 200, "Context Store"},
		{"GET", "/health", "", 200, "\"status\":\"healthy\""},
		{"HEAD", "/health", "", 200, ""},
		{"GET", "/health/live", "", 200, "\"status\":\"alive\""},
		{"GET", "/metrics", "", 200, "mcp_status_level{measure=\"cpu_usage_percent\"} 0"},
		{"HEAD", "/metrics", "", 200, ""},
		{"POST", "/metrics", "", 405, ""},
		{"GET", "/status", "", 200, "\"thresholds\":{\"response_time_ms\":{\"value\":"},
		{"HEAD", "/status", "", 200, ""},
		{"DELETE", "/status", "", 405, ""},
		{"GET", "/tools", "", 200, "{\"tools\":[{\"name\":\"store_context\""},
		{"GET", "/tools/", "", 404, ""},
		{"GET", "/tools/get_agent_state", "", 405, ""},
		{"POST", "/tools", "{}", 405, ""},
		{"PUT", "/mcp", "{}", 405, ""},
		{"GET", "/nothing", "", 404, "/health/ready"},
		{"OPTIONS", "/mcp", "", 204, ""},
		{"POST", "/tools/get_agent_state", "{\"agent_id\":\"a\",\"key\":\"k\"}", 200, "{\"success\":true,"},
		{"POST", "/tools/get_agent_state", "{\"agent_id\":\"a\",\"key\":\"absent\"}", 404,
			"\"error_type\":\"key_not_found\""},
		{"POST", "/tools/get_agent_state", "", 400, "\"error_type\":\"missing_parameter\""},
		{"POST", "/tools/get_agent_state", "{", 400, "\"success\":false"},
		{"POST", "/tools/get_agent_state", "[]", 400, "\"error_type\":\"validation_error\""},
		{"POST", "/tools/get_agent_stat", "{}", 404, "did you mean get_agent_state"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ask(rows[i].method, rows[i].path, HOST, rows[i].body);
		if (answer.status != rows[i].status || !strstr(answer.body, rows[i].part))
			fail_msg("%s %s gave %d %s", rows[i].method, rows[i].path, answer.status, answer.body);
	}
	host.in_memory = false;
	ask("GET", "/health/ready", HOST, "");
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "\"status\":\"ready\""));
}

static void test_sites(void **state)
{
	static const struct {
		const char *lines;
		int status;
	} rows[] = {
		{"Host: localhost:8000\n", 200},
		{"Host: evil.example\n", 403},
		{"Host: 127.0.0.1\nOrigin: http://localhost:6274\n", 200},
		{"Host: 127.0.0.1\nOrigin: http://evil.example\n", 403},
		{"Host: 127.0.0.1\nOrigin: null\n", 403},
		{"Host: 127.0.0.1\nOrigin: http://evil.example\nOrigin: http://localhost\n", 400},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ask("GET", "/health", rows[i].lines, "");
		if (answer.status != rows[i].status)
			fail_msg("%s gave %d", rows[i].lines, answer.status);
	}
	post(HOST "Origin: http://evil.example\nOrigin: http://localhost\n",
		REQUEST("1", "\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\"}"));
	assert_int_equal(answer.status, 400);
	assert_null(strstr(answer.headers, "Mcp-Session-Id: "));
	ask("GET", "/health", "Host: 127.0.0.1\nOrigin: http://localhost:6274\n", "");
	assert_non_null(strstr(answer.headers, "Access-Control-Allow-Origin: http://localhost:6274\r\n"));
	ask("OPTIONS", "/mcp", "Host: 127.0.0.1\nOrigin: http://localhost:6274\n", "");
	assert_non_null(strstr(answer.headers, "Access-Control-Allow-Headers: "));
	ask("GET", "/health", "Host: 127.0.0.1\n", "");
	assert_null(strstr(answer.headers, "Access-Control"));
	ask_as(mcp, true, "GET", "/health", "Host: owner.sock\n", S(""));
	assert_int_equal(answer.status, 200);
}

static void test_keys(void **state)
{
	char one[] = "API_KEY_ONE=sesame:ann:admin:false", bot[] = "API_KEY_BOT=robot:bot:reader:true";
	char *environment[] = {one, bot, NULL};
	struct mcp *keyed = make_mcp(environment, "");
	struct mcp *open = mcp;

	assert_true(mcp_keys_configured(keyed));
	assert_false(mcp_keys_configured(open));
	mcp = keyed;
	ask("GET", "/health/live", HOST, "");
	assert_int_equal(answer.status, 200);
	ask("GET", "/tools", HOST, "");
	assert_int_equal(answer.status, 401);
	assert_non_null(strstr(answer.headers, "WWW-Authenticate: Bearer"));
	ask("GET", "/tools", HOST "X-API-Key: sesam\n", "");
	assert_int_equal(answer.status, 401);
	ask("GET", "/tools", HOST "X-API-Key: sesame\n", "");
	assert_int_equal(answer.status, 200);
	ask("GET", "/tools", HOST "Authorization: bearer sesame\n", "");
	assert_int_equal(answer.status, 200);
	ask_as(keyed, true, "GET", "/tools", "", S(""));
	assert_int_equal(answer.status, 200);
	/* A role that is too low, and another one's session. */
	ask("POST", "/tools/update_scratchpad", HOST "X-API-Key: robot\n",
		"{\"agent_id\":\"a\",\"key\":\"k\",\"content\":\"c\"}");
	assert_int_equal(answer.status, 403);
	post(HOST "X-API-Key: sesame\n", "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
					 "\"protocolVersion\":\"2025-11-25\"}}");
	memcpy(session, strstr(answer.headers, "Mcp-Session-Id: ") + 16, 32);
	post(SESSION "X-API-Key: sesame\n", REQUEST("1", "\"method\":\"ping\""));
	assert_int_equal(answer.status, 200);
	post(SESSION "X-API-Key: robot\n", REQUEST("1", "\"method\":\"ping\""));
	assert_int_equal(answer.status, 404);
	mcp = open;
	mcp_free(keyed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_session_streams, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_media_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
