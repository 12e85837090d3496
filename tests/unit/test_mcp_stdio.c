/* Exchanges over stdio as tables: lines in, lines out. The transport's code is the real one; lines, workers and storage
 * are fakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/fake_host.h"
#include "../support/fake_net.h"

#include "mcp/mcp.h"

#define REQUEST(id, rest) "{\"jsonrpc\":\"2.0\",\"id\":" id "," rest "}"
#define ERROR(id, code)   "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":"
#define INITIALIZE(id, revision)                                                                                       \
	REQUEST(id, "\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"" revision "\",\"capabilities\":{}}")
#define META                                                                                                           \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                                       \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define CALL(id)                                                                                                       \
	REQUEST(id,                                                                                                    \
		"\"method\":\"tools/"                                                                                  \
		"call\",\"params\":{\"name\":\"get_agent_state\",\"arguments\":{\"agent_id\":\"a\",\"key\":\"k\"}}")
#define LISTEN(id)                                                                                                     \
	REQUEST(id,                                                                                                    \
		"\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":{\"toolsListChanged\":true}," META  \
		"}")
#define CANCEL(id) "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":" id "}}"

static struct mcp *mcp;
static bool done;

static void on_done(void *self, int error)
{
	done = true;
}

static int setup(void **state)
{
	struct mcp_options options = {
		.host = fake_host(), .sessions_max = 1, .request_timeout_s = 30, .response_max = 1u << 20};
	struct cs_error err;

	memset(&fake, 0, sizeof fake);
	memset(&host, 0, sizeof host);
	host.in_memory = true;
	done = false;
	assert_int_equal(mcp_new(&options, &mcp, &err), CS_OK);
	assert_int_equal(mcp_stdio_start(mcp, NULL, 0, 1, on_done, NULL, &err), CS_OK);
	return 0;
}

static int teardown(void **state)
{
	while (fake_work())
		;
	if (!fake.closed)
		fake.lines.ended(fake.lines.self);
	fake_lines_closed();
	assert_true(done);
	mcp_free(mcp);
	return 0;
}

static void line(const char *text)
{
	fake.lines.line(fake.lines.self, slice_cstr(text));
}

/* What was written since the last time is this line (or nothing), or starts with it. */
static void expect(const char *wanted, bool whole)
{
	size_t length = strlen(wanted);
	bool same = fake.written.len >= length &&
		    memcmp(fake.written.ptr ? fake.written.ptr : "", wanted, length) == 0 &&
		    (!whole || fake.written.len == length + (length > 0));

	if (!same)
		fail_msg("wrote %.*s and not %s", (int)fake.written.len, fake.written.ptr ? fake.written.ptr : "",
			wanted);
	if (fake.written.len)
		assert_int_equal(fake.written.ptr[fake.written.len - 1], '\n');
	buffer_clear(&fake.written);
}

static void converse(const char *sent, const char *wanted, bool whole)
{
	line(sent);
	while (fake_work())
		;
	expect(wanted, whole);
}

static void test_before_initialize(void **state)
{
	converse("", "", true);
	converse("  \t", "", true);
	converse(REQUEST("1", "\"method\":\"ping\""), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", true);
	converse(REQUEST("1", "\"method\":\"tools/list\""), ERROR("1", "-32602"), false);
	converse(REQUEST("1", "\"method\":\"server/discover\""), ERROR("1", "-32602"), false);
	converse("[" REQUEST("1", "\"method\":\"ping\"") "]", ERROR("null", "-32600"), false);
	converse("{", ERROR("null", "-32700"), false);
	converse("\xff", ERROR("null", "-32700"), false);
	converse("7", ERROR("null", "-32600"), false);
	converse("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", "", true);
	fake.lines.too_long(fake.lines.self, 4096);
	expect(ERROR("null", "-32700"), false);
}

static void test_eras_side_by_side(void **state)
{
	converse(INITIALIZE("0", "2024-11-05"),
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":\"2024-11-05\"", false);
	converse(REQUEST("1", "\"method\":\"tools/list\""),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":", false);
	converse(REQUEST("2", "\"method\":\"server/discover\""), ERROR("2", "-32601"), false);
	converse(REQUEST("3", "\"method\":\"server/discover\",\"params\":{" META "}"),
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"supportedVersions\":[\"2026-07-28\"", false);
	converse(REQUEST("4", "\"method\":\"ping\",\"params\":{" META "}"), ERROR("4", "-32601"), false);
	converse("[" REQUEST("5", "\"method\":\"ping\"") "]", "[{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}]", true);
	converse("[]", ERROR("null", "-32600"), false);
	/* initialize again: from here on the other revision holds. */
	converse(INITIALIZE("6", "2026-07-28"),
		"{\"jsonrpc\":\"2.0\",\"id\":6,\"result\":{\"protocolVersion\":\"2025-11-25\"", false);
	converse("[" REQUEST("7", "\"method\":\"ping\"") "]", ERROR("null", "-32600"), false);
	converse(REQUEST("8", "\"method\":\"tools/list\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/"
			      "protocolVersion\":\"2099-01-01\"}}"),
		ERROR("8", "-32022"), false);
}

static void test_calls(void **state)
{
	static char large[20 << 10];

	converse(INITIALIZE("0", "2025-11-25"), "{", false);
	line(CALL("1"));
	assert_null(fake.first); /* answered from memory, on the loop */
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":", false);
	host.in_memory = false;
	line(CALL("2"));
	line(REQUEST("3", "\"method\":\"ping\""));
	expect("{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}", true); /* overtakes */
	assert_true(fake_work());
	expect("{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":", false);
	snprintf(large, sizeof large, "%*s" REQUEST("4", "\"method\":\"ping\""), 9000, "");
	line(large);
	expect("", true);
	assert_true(fake_work());
	expect("{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}", true);
	fake.queue_full = true;
	converse(CALL("5"),
		"{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"success\\\":"
		"false,",
		false);
	converse(large, ERROR("4", "-32603"), false);
	fake.queue_full = false;
}

static void cancel_meanwhile(void)
{
	line(CANCEL("\"c\""));
}

static void test_cancelling(void **state)
{
	static char large[20 << 10];

	converse(INITIALIZE("0", "2025-11-25"), "{", false);
	host.in_memory = false;
	line(CALL("\"a\""));
	line(CALL("\"b\""));
	line(CANCEL("\"a\""));
	line(CANCEL("\"unknown\""));
	line(CANCEL("{}"));
	assert_true(fake_work());
	assert_int_equal(host.forwards, 0); /* it had not begun, and does not */
	expect("", true);
	assert_true(fake_work());
	assert_int_equal(host.forwards, 1);
	expect("{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"result\":", false);
	/* One that a worker read is found all the same. */
	host.meanwhile = cancel_meanwhile;
	snprintf(large, sizeof large, "%*s" CALL("\"c\""), 9000, "");
	converse(large, "", true);
	assert_true(host.was_cancelled);
}

static void test_subscriptions(void **state)
{
	static const char acknowledged[] =
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":"
		"{\"io.modelcontextprotocol/subscriptionId\":1},\"notifications\":{}}}";

	converse(LISTEN("1"), acknowledged, true);
	converse(LISTEN("\"two\""), "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\"",
		false);
	converse(CANCEL("\"two\""), "", true);
	for (int i = 0; i < 63; i++)
		converse(LISTEN("3"), "{\"jsonrpc\":\"2.0\",\"method\"", false);
	converse(LISTEN("4"), ERROR("4", "-32603"), false);
	for (int i = 0; i < 63; i++)
		converse(CANCEL("3"), "", true);
	fake.lines.ended(fake.lines.self);
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"_meta\":{\"io."
	       "modelcontextprotocol/subscriptionId\":1}}}\n"
	       "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1,"
	       "\"reason\":\"the server is shutting down\"}}",
		true);
}

static void test_end_of_input(void **state)
{
	converse(INITIALIZE("0", "2025-11-25"), "{", false);
	host.in_memory = false;
	line(CALL("1"));
	line(CALL("2"));
	fake.lines.ended(fake.lines.self);
	assert_null(fake.closed); /* not before all is answered */
	assert_true(fake_work());
	assert_null(fake.closed);
	assert_true(fake_work());
	assert_non_null(fake.closed);
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,", false);
}

/* A client that is behind with reading is waited for, and whoever was waiting is answered then, or ended for. */
static void test_behind(void **state)
{
	converse(INITIALIZE("0", "2025-11-25"), "{", false);
	host.in_memory = false;
	fake.lines_full = true;
	line(CALL("1"));
	line(CALL("2"));
	line(CANCEL("2"));
	assert_false(fake_work());
	fake.lines_full = false;
	fake.lines.drained(fake.lines.self);
	assert_true(fake_work());
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,", false);
	assert_true(fake_work());
	expect("", true);
	for (int i = 0; i < 300; i++)
		line(CALL("3"));
	fake.queue_full = true; /* those that wait for a place find none */
	fake.lines.ended(fake.lines.self);
	while (fake_work())
		;
	assert_non_null(fake.closed);
	assert_int_equal(host.forwards, 1 + 256);
}

static void test_too_many_in_flight(void **state)
{
	converse(INITIALIZE("0", "2025-11-25"), "{", false);
	host.in_memory = false;
	for (int i = 0; i < 1024; i++)
		line(CALL("1"));
	expect("", true);
	converse(REQUEST("2", "\"method\":\"ping\""), ERROR("2", "-32603"), false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_before_initialize, setup, teardown),
		cmocka_unit_test_setup_teardown(test_eras_side_by_side, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancelling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_subscriptions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_of_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_in_flight, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
