/* Messages of each revision, as tables: header lines and a body in, a status and bytes out. `reply` is the whole body, or
 * with `part` something that stands in it. */
#include "../support/fake_mcp.h"

static void test_negotiation(void **state)
{
	static const struct {
		const char *asked, *given;
	} rows[] = {{"2024-11-05", "2024-11-05"}, {"2025-03-26", "2025-03-26"}, {"2025-06-18", "2025-06-18"},
		{"2025-11-25", "2025-11-25"}, {"2026-07-28", "2025-11-25"}, {"1900-01-01", "2025-11-25"}};
	char wanted[64];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		open_session(rows[i].asked);
		snprintf(wanted, sizeof wanted, "\"result\":{\"protocolVersion\":\"%s\"", rows[i].given);
		assert_non_null(strstr(answer.body, wanted));
	}
}

static void test_initialize_is_checked(void **state)
{
	static const struct row rows[] = {
		{HOST, REQUEST("1", "\"method\":\"initialize\""), 200, NULL, ERROR("1", "-32602")},
		{HOST, REQUEST("1", "\"method\":\"initialize\",\"params\":{\"protocolVersion\":7}"), 200, NULL,
			ERROR("1", "-32602")},
		{HOST, REQUEST("1", "\"method\":\"initialize\",\"params\":[]"), 200, NULL, ERROR("1", "-32602")},
		{HOST,
			REQUEST("1", "\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\","
				     "\"clientInfo\":3}"),
			200, NULL, ERROR("1", "-32602")},
	};

	CHECK(rows);
	assert_null(strstr(answer.headers, "Mcp-Session-Id"));
}

static void test_legacy_requests(void **state)
{
	static const struct row rows[] = {
		{SESSION, REQUEST("1", "\"method\":\"ping\""), 200, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
			NULL},
		{SESSION, REQUEST("\"a\\u0062\"", "\"method\":\"ping\""), 200,
			"{\"jsonrpc\":\"2.0\",\"id\":\"ab\",\"result\":{}}", NULL},
		{SESSION, REQUEST("18446744073709551615", "\"method\":\"ping\""), 200,
			"{\"jsonrpc\":\"2.0\",\"id\":18446744073709551615,\"result\":{}}", NULL},
		{SESSION, REQUEST("184467440737095516160", "\"method\":\"ping\""), 200,
			"{\"jsonrpc\":\"2.0\",\"id\":184467440737095516160,\"result\":{}}", NULL},
		{SESSION "MCP-Protocol-Version: 2025-11-25\n", REQUEST("-9223372036854775808", "\"method\":\"ping\""),
			200, "{\"jsonrpc\":\"2.0\",\"id\":-9223372036854775808,\"result\":{}}", NULL},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", 202, NULL, NULL},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}", 202, NULL, NULL},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{\"code\":1,\"message\":\"m\"}}", 202, NULL, NULL},
		{SESSION, REQUEST("2", "\"method\":\"server/discover\""), 200, NULL, ERROR("2", "-32601")},
		{SESSION, REQUEST("2", "\"method\":\"resources/list\""), 200, NULL, ERROR("2", "-32601")},
		{SESSION, REQUEST("2", "\"method\":\"tools/list\",\"params\":{\"cursor\":\"x\"}"), 200, NULL,
			ERROR("2", "-32602")},
		{SESSION, REQUEST("2", "\"method\":\"tools/list\",\"params\":{\"cursor\":null}"), 200, NULL,
			"\"tools\":[{\"name\":"},
		{SESSION, REQUEST("2", "\"method\":\"tools/list\",\"params\":[]"), 200, NULL, ERROR("2", "-32602")},
		{SESSION, REQUEST("2", "\"method\":\"tools/list\",\"params\":{\"_meta\":1}"), 200, NULL,
			ERROR("2", "-32602")},
		{SESSION, REQUEST("3", "\"method\":\"tools/call\",\"params\":{\"name\":\"no_such\"}"), 200, NULL,
			ERROR("3", "-32602")},
		{SESSION, REQUEST("3", "\"method\":\"tools/call\",\"params\":{\"name\":\"get_agent_stat\"}"), 200, NULL,
			"did you mean get_agent_state?"},
		{SESSION, REQUEST("3", "\"method\":\"tools/call\",\"params\":{}"), 200, NULL, ERROR("3", "-32602")},
		{SESSION, REQUEST("3", "\"method\":\"tools/call\""), 200, NULL, ERROR("3", "-32602")},
		{SESSION,
			REQUEST("3", "\"method\":\"tools/"
				     "call\",\"params\":{\"name\":\"get_agent_state\",\"arguments\":[1]}"),
			200, NULL, ERROR("3", "-32602")},
	};

	open_session("2025-11-25");
	CHECK(rows);
}

static void test_session_rules(void **state)
{
	static const struct row rows[] = {
		{HOST, REQUEST("1", "\"method\":\"ping\""), 400, NULL, ERROR("1", "-32600")},
		{HOST "Mcp-Session-Id: 0123456789abcdef0123456789abcdef\n", REQUEST("1", "\"method\":\"ping\""), 404,
			NULL, ERROR("1", "-32600")},
		{HOST "Mcp-Session-Id: x\n", "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", 404,
			NULL, ERROR("null", "-32600")},
		{SESSION "Mcp-Session-Id: $S\n", REQUEST("1", "\"method\":\"ping\""), 400, NULL, ERROR("1", "-32600")},
		{SESSION "MCP-Protocol-Version: 1900-01-01\n", REQUEST("1", "\"method\":\"ping\""), 400, NULL,
			ERROR("1", "-32022")},
		{SESSION "MCP-Protocol-Version: 2025-03-26\n", REQUEST("1", "\"method\":\"ping\""), 200, NULL,
			"\"result\":{}"},
	};
	char first[33];

	open_session("2025-06-18");
	CHECK(rows);
	memcpy(first, session, sizeof first);
	for (int i = 0; i < 4; i++)
		open_session("2025-06-18");
	memcpy(session, first, sizeof first);
	post(SESSION, REQUEST("1", "\"method\":\"ping\""));
	assert_int_equal(answer.status, 404); /* the fifth took its place */
	open_session("2025-06-18");
	ask("DELETE", "/mcp", SESSION, "");
	assert_int_equal(answer.status, 204);
	ask("DELETE", "/mcp", SESSION, "");
	assert_int_equal(answer.status, 404);
	ask("DELETE", "/mcp", HOST, "");
	assert_int_equal(answer.status, 400);
	ask("DELETE", "/mcp", SESSION "MCP-Protocol-Version: 2026-07-28\n", "");
	assert_int_equal(answer.status, 405);
	assert_non_null(strstr(answer.headers, "Allow: POST"));
}

static void test_what_is_no_message(void **state)
{
	static const struct row rows[] = {
		{SESSION, "{", 400, NULL, ERROR("null", "-32700")},
		{SESSION, "", 400, NULL, ERROR("null", "-32700")},
		{SESSION, "\xef\xbb\xbf{}", 400, NULL, ERROR("null", "-32700")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\"}", 400, NULL, ERROR("null", "-32700")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", 400, NULL, ERROR("null", "-32700")},
		{SESSION, "7", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{}", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":1}", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", 400, NULL, ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":7}", 400, NULL,
			ERROR("null", "-32600")},
		{SESSION, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{}}", 400, NULL,
			ERROR("null", "-32600")},
		{SESSION, "[]", 400, NULL, ERROR("null", "-32600")},
	};

	open_session("2025-11-25");
	CHECK(rows);
}

static void test_batches(void **state)
{
	static const struct row known[] = {
		{SESSION, "[" REQUEST("1", "\"method\":\"ping\"") "]", 200,
			"[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]", NULL},
		{SESSION,
			"[" REQUEST("1", "\"method\":\"ping\"") ",7,{\"jsonrpc\":\"2.0\",\"method\":\"x\"}," REQUEST(
				"2", "\"method\":\"no\"") "]",
			200, NULL,
			"[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}},{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{"
			"\"code\":-32600,"},
		{SESSION, "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}]", 202, NULL, NULL},
		{SESSION,
			"[" REQUEST(
				"1", "\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-03-26\"}") "]",
			200, NULL, "[" ERROR("1", "-32600")},
		{SESSION, "[]", 400, NULL, ERROR("null", "-32600")},
		{HOST, "[" REQUEST("1", "\"method\":\"ping\"") "]", 400, NULL, ERROR("null", "-32600")},
		{SESSION,
			"[" REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}") "," REQUEST(
				"2", "\"method\":\"ping\"") "]",
			200, NULL, "\"isError\":false}},{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}]"},
	};
	static const struct row unknown[] = {
		{SESSION, "[" REQUEST("1", "\"method\":\"ping\"") "]", 400, NULL, ERROR("null", "-32600")},
	};
	static char many[16 << 10];
	size_t length = 0;

	open_session("2025-03-26");
	CHECK(known);
	open_session("2024-11-05");
	CHECK(known);
	for (int i = 0; i < 101; i++)
		length += (size_t)snprintf(
			many + length, sizeof many - length, "%s" REQUEST("1", "\"method\":\"ping\""), i ? "," : "[");
	snprintf(many + length, sizeof many - length, "]");
	post(SESSION, many);
	assert_int_equal(answer.status, 400);
	open_session("2025-06-18");
	CHECK(unknown);
	open_session("2025-11-25");
	CHECK(unknown);
	post(MODERN "ping\n", "[" REQUEST("1", "\"method\":\"ping\"") "]");
	assert_int_equal(answer.status, 400);
}

/* What a revision's tools/call and tools/list look like, and no more than that. */
static void test_results_by_revision(void **state)
{
	static const struct {
		const char *revision;
		bool structured, annotations, titles;
	} rows[] = {{"2024-11-05", false, false, false}, {"2025-03-26", false, true, false},
		{"2025-06-18", true, true, true}, {"2025-11-25", true, true, true}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		open_session(rows[i].revision);
		assert_int_equal(strstr(answer.body, "\"title\":\"Context Store\"") != NULL, rows[i].titles);
		assert_null(strstr(answer.body, "resultType"));
		post(SESSION, REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
		assert_int_equal(
			strstr(answer.body, "\"structuredContent\":{\"success\":true,") != NULL, rows[i].structured);
		assert_non_null(
			strstr(answer.body, "\"content\":[{\"type\":\"text\",\"text\":\"{\\\"success\\\":true,"));
		assert_non_null(strstr(answer.body, "he said \\\\\\\"hi\\\\\\\""));
		assert_null(strstr(answer.body, "resultType"));
		post(SESSION, REQUEST("1", "\"method\":\"tools/list\""));
		assert_int_equal(strstr(answer.body, "\"annotations\":{") != NULL, rows[i].annotations);
		assert_int_equal(strstr(answer.body, "\"outputSchema\":{") != NULL, rows[i].titles);
		assert_int_equal(strstr(answer.body, "\"title\":\"") != NULL, rows[i].titles);
		assert_null(strstr(answer.body, "ttlMs"));
	}
}

static void test_modern_requests(void **state)
{
	static const struct row rows[] = {
		{MODERN "server/discover\n", REQUEST("\"d\"", "\"method\":\"server/discover\",\"params\":{" META "}"),
			200, NULL,
			"{\"jsonrpc\":\"2.0\",\"id\":\"d\",\"result\":{\"supportedVersions\":[\"2026-07-28\",\"2025-11-"
			"25\",\"2025-06-18\","
			"\"2025-03-26\",\"2024-11-05\"],\"capabilities\":{\"tools\":{}},\"instructions\":"},
		{MODERN "server/discover\n", REQUEST("1", "\"method\":\"server/discover\",\"params\":{" META "}"), 200,
			NULL, "\"ttlMs\":300000,\"cacheScope\":\"public\"," COMPLETE "}}"},
		{MODERN "tools/list\n", REQUEST("1", "\"method\":\"tools/list\",\"params\":{" META "}"), 200, NULL,
			"\"ttlMs\":300000,\"cacheScope\":\"public\"," COMPLETE "}}"},
		{MODERN "tools/call\nMcp-Name: get_agent_state\n",
			REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "," META "}"), 200, NULL,
			",\"isError\":false," COMPLETE "}}"},
		{MODERN "tools/call\nMcp-Name: =?base64?Z2V0X2FnZW50X3N0YXRl?=\n",
			REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "," META "}"), 200, NULL,
			"\"isError\":false"},
		/* A session id means nothing here. */
		{MODERN "tools/list\nMcp-Session-Id: x\n",
			REQUEST("1", "\"method\":\"tools/list\",\"params\":{" META "}"), 200, NULL, "\"tools\":["},
		{MODERN "ping\n", REQUEST("1", "\"method\":\"ping\",\"params\":{" META "}"), 404, NULL,
			ERROR("1", "-32601")},
		{MODERN "initialize\n", REQUEST("1", "\"method\":\"initialize\",\"params\":{" META "}"), 404, NULL,
			ERROR("1", "-32601")},
		{MODERN "logging/setLevel\n", REQUEST("1", "\"method\":\"logging/setLevel\",\"params\":{" META "}"),
			404, NULL, ERROR("1", "-32601")},
		{MODERN "x\n",
			"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}",
			202, NULL, NULL},
		{MODERN "x\n", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", 400, NULL, ERROR("null", "-32600")},
		{MODERN "tools/call\nMcp-Name: no\n",
			REQUEST("1", "\"method\":\"tools/call\",\"params\":{\"name\":\"no\"," META "}"), 200, NULL,
			ERROR("1", "-32602")},
	};

	CHECK(rows);
	assert_int_equal(host.forwards, 0);
	assert_int_equal(host.memory_reads, 2);
}

static void test_modern_refusals(void **state)
{
#define LIST(meta) REQUEST("1", "\"method\":\"tools/list\",\"params\":{" meta "}")
#define CALL(name)                                                                                                     \
	REQUEST("1", "\"method\":\"tools/call\",\"params\":{\"name\":\"" name "\",\"arguments\":{}," META "}")
#define VERSION "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\""
	static const struct row rows[] = {
		/* headers */
		{HOST "Mcp-Method: tools/list\n", LIST(META), 400, NULL, ERROR("1", "-32020")},
		{HOST "MCP-Protocol-Version: 2026-07-28\n", LIST(META), 400, NULL, ERROR("1", "-32020")},
		{MODERN "tools/call\n", LIST(META), 400, NULL, ERROR("1", "-32020")},
		{MODERN "Tools/List\n", LIST(META), 400, NULL, ERROR("1", "-32020")},
		{HOST "MCP-Protocol-Version: 2025-11-25\nMcp-Method: tools/list\n", LIST(META), 400, NULL,
			ERROR("1", "-32020")},
		{MODERN "tools/list\nMcp-Method: tools/list\n", LIST(META), 400, NULL, ERROR("1", "-32020")},
		{MODERN "tools/call\n", CALL("get_agent_state"), 400, NULL, ERROR("1", "-32020")},
		{MODERN "tools/call\nMcp-Name: other\n", CALL("get_agent_state"), 400, NULL, ERROR("1", "-32020")},
		{MODERN "tools/call\nMcp-Name: =?base64?!!!!?=\n", CALL("get_agent_state"), 400, NULL,
			ERROR("1", "-32020")},
		{MODERN "tools/call\nMcp-Name: =?base64?b3RoZXI=?=\n", CALL("get_agent_state"), 400, NULL,
			ERROR("1", "-32020")},
		/* versions */
		{HOST "MCP-Protocol-Version: 2099-01-01\nMcp-Method: tools/list\n", LIST(META_OF("2099-01-01")), 400,
			NULL,
			"\"error\":{\"code\":-32022,\"message\":\"Unsupported protocol "
			"version\",\"data\":{\"supported\":[\"2026-07-28\","
			"\"2025-11-25\",\"2025-06-18\",\"2025-03-26\",\"2024-11-05\"],\"requested\":\"2099-01-01\"}}}"},
		{HOST "MCP-Protocol-Version: 2099-01-01\nMcp-Method: tools/list\n", LIST(""), 400, NULL,
			ERROR("1", "-32022")},
		/* _meta */
		{MODERN "tools/list\n", REQUEST("1", "\"method\":\"tools/list\""), 400, NULL, ERROR("1", "-32602")},
		{MODERN "tools/list\n", LIST("\"_meta\":{}"), 400, NULL, ERROR("1", "-32602")},
		{MODERN "tools/list\n", LIST("\"_meta\":7"), 400, NULL, ERROR("1", "-32602")},
		{MODERN "tools/list\n", LIST("\"_meta\":{" VERSION "}"), 400, NULL, ERROR("1", "-32602")},
		{MODERN "tools/list\n",
			LIST("\"_meta\":{" VERSION ",\"io.modelcontextprotocol/clientCapabilities\":[]}"), 400, NULL,
			ERROR("1", "-32602")},
		{MODERN "tools/list\n",
			LIST("\"_meta\":{" VERSION ",\"io.modelcontextprotocol/"
			     "clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":1}"),
			400, NULL, ERROR("1", "-32602")},
		{MODERN "tools/list\n",
			LIST("\"_meta\":{" VERSION ",\"io.modelcontextprotocol/clientCapabilities\":{}}"), 200, NULL,
			"\"tools\":["},
		{MODERN "subscriptions/listen\n",
			REQUEST("1", "\"method\":\"subscriptions/listen\",\"params\":{" META "}"), 200, NULL,
			ERROR("1", "-32602")},
	};

	CHECK(rows);
}

static void test_workers(void **state)
{
	static char large[20 << 10];

	/* Not open yet: the same request is run again by a worker, there by the owner. */
	host.in_memory = false;
	open_session("2025-11-25");
	post(SESSION, REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_non_null(strstr(
		answer.body, "\"structuredContent\":{\"success\":true,\"echo\":{\"agent_id\":\"a\",\"key\":\"k\"}}"));
	assert_int_equal(host.forwards, 1);
	/* A tool failure is a result. */
	post(SESSION, REQUEST("1", "\"method\":\"tools/"
				   "call\",\"params\":{\"name\":\"forget_context\",\"arguments\":{\"context_id\":\"x\","
				   "\"reason\":\"because\"}}"));
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "\"isError\":true"));
	assert_non_null(strstr(answer.body, "\"error_type\":\"not_found\""));
	/* A body that is parsed by a worker gives the same. */
	snprintf(large, sizeof large, "%*s" REQUEST("1", "\"method\":\"ping\""), 9000, "");
	post(SESSION, large);
	assert_string_equal(answer.body, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
	/* A full queue is told. */
	fake.queue_full = true;
	post(SESSION, REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "\"isError\":true"));
	assert_non_null(strstr(answer.body, "\"error_type\":\"rate_limit\""));
	post(SESSION, large);
	assert_int_equal(answer.status, 503);
	ask("POST", "/tools/get_agent_state", HOST, "{\"agent_id\":\"a\",\"key\":\"k\"}");
	assert_int_equal(answer.status, 429);
}

static void test_large_replies(void **state)
{
	host.in_memory = false;
	host.reply_padding = REPLY_MAX / 2; /* fits once, and not twice */
	open_session("2025-11-25");
	post(SESSION, REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "\"error_type\":\"limit_exceeded\""));
	host.reply_padding = 2 * REPLY_MAX;
	post(SESSION, REQUEST("1", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_non_null(strstr(answer.body, "\"error_type\":\"limit_exceeded\""));
	assert_non_null(strstr(answer.body, "\"isError\":true"));
}

static void cancel_meanwhile(void)
{
	static struct fake_exchange other;
	struct server_handler handler = mcp_http(mcp);
	char lines[128];

	fake_exchange_init(&other, S("POST"), S("/mcp"), with_session(SESSION, lines, sizeof lines),
		S("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"c1\"}}"),
		REPLY_MAX);
	handler.request(handler.self, &other.ex);
	assert_int_equal(other.ex.response.status, 202);
	fake_exchange_release(&other);
	fake.finished = 0;
}

static void test_cancelling(void **state)
{
	static char large[20 << 10];

	host.in_memory = false;
	host.meanwhile = cancel_meanwhile;
	open_session("2025-11-25");
	post(SESSION, REQUEST("\"c1\"", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_true(host.was_cancelled);
	post(SESSION, REQUEST("\"c2\"", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_false(host.was_cancelled);
	/* One that a worker read is found all the same. */
	snprintf(large, sizeof large, "%*s" REQUEST("\"c1\"", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"),
		9000, "");
	post(SESSION, large);
	assert_true(host.was_cancelled);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_negotiation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_initialize_is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_legacy_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_session_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_results_by_revision, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modern_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modern_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_workers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_replies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelling, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
