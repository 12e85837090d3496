/* The MCP handler over HTTP without a network: exchanges in, a status and bytes out. The handler is the real one; the network
 * and the storage behind the tools are fakes. In header lines "$S" is the id of the session that the test opened. Included
 * once a program. */
#ifndef CS_TESTS_FAKE_MCP_H
#define CS_TESTS_FAKE_MCP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"
#include "fake_net.h"

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

static inline struct mcp *make_mcp(char *const *environment, const char *allowed_hosts)
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

static inline int setup(void **state)
{
	memset(&fake, 0, sizeof fake);
	memset(&host, 0, sizeof host);
	host.in_memory = true;
	mcp = make_mcp(NULL, "");
	return 0;
}

static inline int teardown(void **state)
{
	mcp_free(mcp);
	assert_null(fake.first);
	return 0;
}

/* Header lines with "$S" replaced. */
static inline struct slice with_session(const char *lines, char *out, size_t size)
{
	const char *mark = strstr(lines, "$S");

	if (mark)
		snprintf(out, size, "%.*s%s%s", (int)(mark - lines), lines, session, mark + 2);
	else
		snprintf(out, size, "%s", lines);
	return slice_cstr(out);
}

static inline void keep_answer(struct exchange *ex)
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
static inline void ask_as(
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

static inline void ask(const char *method, const char *path, const char *lines, const char *body)
{
	ask_as(mcp, false, method, path, lines, slice_cstr(body));
}

static inline void post(const char *lines, const char *body)
{
	ask("POST", "/mcp", lines, body);
}

static inline void open_session(const char *revision)
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

static inline void check_rows(const struct row *rows, size_t count)
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

#endif
