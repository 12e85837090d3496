/* Exchanges over HTTP, of each revision, as tables: header lines and a body in, a status and bytes out.
 *
 * The handler is the real one; the network and the storage behind the tools are fakes. In header lines "$S" is the id
 * of the session that the test opened. `reply` is the whole body, or with `part` something that stands in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/fake_host.h"
#include "../support/fake_net.h"

#include "base/version.h"
#include "mcp/mcp.h"

#define REPLY_MAX (256u << 10)

static struct mcp *mcp;
static char session[33];

struct answer {
	int status;
	bool has_body;
	char headers[2048];
	char body[64 << 10];
};

static struct answer answer;

static struct mcp *make_mcp(char *const *environment, const char *allowed_hosts)
{
	struct mcp_options options = {.host = fake_host(),
		.sessions_max = 4,
		.request_timeout_s = 30,
		.response_max = REPLY_MAX,
		.allowed_hosts = slice_cstr(allowed_hosts),
		.environment = environment};
	struct cs_error err;
	struct mcp *made = NULL;

	assert_int_equal(mcp_new(&options, &made, &err), CS_OK);
	return made;
}

static int setup(void **state)
{
	memset(&fake, 0, sizeof fake);
	memset(&host, 0, sizeof host);
	host.in_memory = true;
	mcp = make_mcp(NULL, "");
	return 0;
}

static int teardown(void **state)
{
	mcp_free(mcp);
	assert_null(fake.first);
	return 0;
}

/* Header lines with "$S" replaced. */
static struct slice with_session(const char *lines, char *out, size_t size)
{
	const char *mark = strstr(lines, "$S");

	if (mark)
		snprintf(out, size, "%.*s%s%s", (int)(mark - lines), lines, session, mark + 2);
	else
		snprintf(out, size, "%s", lines);
	return slice_cstr(out);
}

static void keep_answer(struct exchange *ex)
{
	struct buffer *body = &ex->response.body;

	answer.status = ex->response.status;
	answer.has_body = ex->response.content_type != NULL;
	assert_false(body->failed);
	assert_true(body->len < sizeof answer.body && ex->response.headers.len < sizeof answer.headers);
	memcpy(answer.body, body->ptr ? body->ptr : "", body->len);
	answer.body[body->len] = '\0';
	memcpy(answer.headers, ex->response.headers.ptr ? ex->response.headers.ptr : "", ex->response.headers.len);
	answer.headers[ex->response.headers.len] = '\0';
}

/* One exchange, its worker's part included. `local`: over the Unix socket. */
static void ask_as(
	struct mcp *asked, bool local, const char *method, const char *path, const char *lines, struct slice body)
{
	static struct fake_exchange f;
	char head[4096];
	struct server_handler handler = mcp_http(asked);

	fake_exchange_init(
		&f, slice_cstr(method), slice_cstr(path), with_session(lines, head, sizeof head), body, REPLY_MAX);
	f.ex.local = local;
	fake.finished = 0;
	handler.request(handler.self, &f.ex);
	while (fake_work())
		;
	assert_int_equal(fake.finished, 1);
	keep_answer(&f.ex);
	fake_exchange_release(&f);
}

static void ask(const char *method, const char *path, const char *lines, const char *body)
{
	ask_as(mcp, false, method, path, lines, slice_cstr(body));
}

static void post(const char *lines, const char *body)
{
	ask("POST", "/mcp", lines, body);
}

static void open_session(const char *revision)
{
	char body[256];
	const char *found;

	snprintf(body, sizeof body,
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"%s\","
		"\"capabilities\":{},"
		"\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}",
		revision);
	post("", body);
	assert_int_equal(answer.status, 200);
	found = strstr(answer.headers, "Mcp-Session-Id: ");
	assert_non_null(found);
	memcpy(session, found + 16, 32);
	session[32] = '\0';
	assert_memory_equal(found + 48, "\r\n", 2);
}

struct row {
	const char *lines, *body;
	int status;
	const char *reply; /* whole; NULL: no body */
	const char *part;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		post(rows[i].lines, rows[i].body);
		if (answer.status != rows[i].status || (rows[i].part && !strstr(answer.body, rows[i].part)) ||
			(!rows[i].part && strcmp(answer.body, rows[i].reply ? rows[i].reply : "") != 0))
			fail_msg("row %zu: %s\ngave %d %s", i, rows[i].body, answer.status, answer.body);
	}
}

#define CHECK(rows)       check_rows(rows, sizeof(rows) / sizeof((rows)[0]))
#define REQUEST(id, rest) "{\"jsonrpc\":\"2.0\",\"id\":" id "," rest "}"
#define ERROR(id, code)   "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":"
#define HOST              "Host: 127.0.0.1:8000\n"
#define SESSION           HOST "Mcp-Session-Id: $S\n"
#define META_OF(version)                                                                                               \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" version                                            \
	"\",\"io.modelcontextprotocol/clientInfo\":{\"name\":\"t\",\"version\":\"1\"},"                                \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define META   META_OF("2026-07-28")
#define MODERN HOST "MCP-Protocol-Version: 2026-07-28\nMcp-Method: "
#define COMPLETE                                                                                                       \
	"\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"context-store\","   \
	"\"title\":\"Context Store\",\"version\":\"" CS_VERSION "\"}}"
#define GET_STATE "\"name\":\"get_agent_state\",\"arguments\":{\"agent_id\":\"a\",\"key\":\"k\"}"

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
	host.in_memory = false;
	host.meanwhile = cancel_meanwhile;
	open_session("2025-11-25");
	post(SESSION, REQUEST("\"c1\"", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_true(host.was_cancelled);
	post(SESSION, REQUEST("\"c2\"", "\"method\":\"tools/call\",\"params\":{" GET_STATE "}"));
	assert_false(host.was_cancelled);
}

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
		cmocka_unit_test_setup_teardown(test_session_streams, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_media_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
