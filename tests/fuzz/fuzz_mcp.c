/* MCP messages: any bytes as a message, over both transports, in sessions of every revision.
 *
 * The first byte chooses the transport, the revision of the session and what headers say; the rest up to the first
 * newline are header lines for HTTP ('|' ends one), and what follows is the message. The tool table is the real one,
 * storage a fake. Held against: exactly one answer per exchange, an answer that is valid JSON and a JSON-RPC message,
 * memory that is given back (the sanitizers). */
#include "../support/fake_host.h"
#include "../support/fake_net.h"

#include "mcp/mcp.h"
#include "mcp/revision.h"

#define REPLY_MAX (256u << 10)

static struct mcp *mcp;

static void on_done(void *self, int error)
{
}

static void start(void)
{
	struct mcp_options options = {
		.host = fake_host(), .sessions_max = 8, .request_timeout_s = 30, .response_max = REPLY_MAX};
	struct cs_error err;
	enum cs_status status = mcp_new(&options, &mcp, &err);

	assert(status == CS_OK);
	host.in_memory = true;
}

/* What the server sends is JSON, and on /mcp a message or an array of them. */
static void check_reply(struct slice reply, bool message)
{
	struct arena arena;
	struct json_doc doc;
	struct cs_error err;

	arena_init(&arena, NULL, 0, 64u << 20);
	if (json_parse(&arena, reply, JSON_LIMITS_DEFAULT, &doc, &err) != CS_OK)
		abort();
	if (message && json_type_of(&doc, 0) == JSON_OBJECT && json_get(&doc, 0, S("jsonrpc")) == JSON_NONE &&
		json_get(&doc, 0, S("error")) == JSON_NONE)
		abort();
	arena_release(&arena);
}

static void exchange(struct slice method, struct slice lines, struct slice body, char *ret_session)
{
	static struct fake_exchange f;
	struct server_handler handler = mcp_http(mcp);

	fake_exchange_init(&f, method, S("/mcp"), lines, body, REPLY_MAX);
	fake.finished = 0;
	fake.stream = NULL;
	handler.request(handler.self, &f.ex);
	while (fake_work())
		;
	if (fake.finished != 1)
		abort();
	if (f.ex.response.body.len > 0)
		check_reply(buffer_slice(&f.ex.response.body), true);
	if (ret_session && f.ex.response.headers.len >= 48)
		memcpy(ret_session, f.ex.response.headers.ptr + 16, 32);
	fake_exchange_release(&f);
	if (fake.stream) {
		if (fake.stream->hooks.ending)
			fake.stream->hooks.ending(fake.stream->hooks.self, fake.stream);
		fake_close_stream(fake.stream);
	}
}

static void over_http(unsigned choice, struct slice lines, struct slice body)
{
	char session[33] = "";
	char text[4096];
	char head[4096];
	int length;

	length = snprintf(text, sizeof text,
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"%s\"}}",
		revision_rows[choice % REVISION_COUNT].name.ptr);
	exchange(S("POST"), S("Host: localhost\n"), slice_of(text, (size_t)length), session);
	length = snprintf(head, sizeof head, "Host: localhost\nMcp-Session-Id: %s\n", session);
	for (size_t i = 0; i < lines.len && length < (int)sizeof head - 1; i++)
		head[length++] = lines.ptr[i] == '|' ? '\n' : lines.ptr[i];
	exchange(S("POST"), slice_of(head, (size_t)length), body, NULL);
}

static void over_stdio(unsigned choice, struct slice body)
{
	struct cs_error err;
	char text[256];
	int length;

	if (mcp_stdio_start(mcp, NULL, 0, 1, on_done, NULL, &err) != CS_OK)
		abort();
	length = snprintf(text, sizeof text,
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"%s\"}}",
		revision_rows[choice % REVISION_COUNT].name.ptr);
	if (choice & 8)
		fake.lines.line(fake.lines.self, slice_of(text, (size_t)length));
	while (body.len > 0)
		fake.lines.line(fake.lines.self, slice_cut(&body, '\n'));
	while (fake_work())
		;
	fake.lines.ended(fake.lines.self);
	for (struct slice rest = buffer_slice(&fake.written); rest.len > 0;) {
		struct slice one = slice_cut(&rest, '\n');

		if (one.len > 0)
			check_reply(one, true);
	}
	fake_lines_closed();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size);
	struct slice lines;
	unsigned choice;

	if (!mcp)
		start();
	if (size == 0)
		return 0;
	choice = data[0];
	host.in_memory = choice & 64;
	fake.queue_full = choice & 128;
	rest = slice_from(rest, 1);
	lines = slice_cut(&rest, '\n');
	if (choice & 16)
		over_stdio(choice, rest);
	else
		over_http(choice, lines, rest);
	fake.queue_full = false;
	return 0;
}
