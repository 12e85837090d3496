/* Requests carry what a client of this program sends and nothing for show. The id of every message is 1: each is the
 * only one under way on its connection, and the modern revision has no sessions. */
#include "bench/request.h"

#include <stdio.h>

#include "base/version.h"
#include "mcp/revision.h"

#define MCP_META                                                                                                       \
	",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" SLICE_FMT "\","                                   \
	"\"io.modelcontextprotocol/clientInfo\":{\"name\":\"" CS_NAME "-bench\",\"version\":\"" CS_VERSION "\"},"      \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}}}"

static void write_key(struct buffer *out, const struct request_form *form)
{
	if (form->api_key.len > 0)
		buffer_printf(out, "X-API-Key: " SLICE_FMT "\r\n", SLICE_ARG(form->api_key));
}

void request_write(struct buffer *out, const struct request_form *form, const char *tool, struct slice arguments)
{
	const struct slice revision = revision_rows[REVISION_COUNT - 1].name;
	char before[160], behind[320];
	int before_len = 0, behind_len = 0;

	if (form->mcp) {
		before_len = snprintf(before, sizeof before,
			"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/"
			"call\",\"params\":{\"name\":\"%s\",\"arguments\":",
			tool);
		behind_len = snprintf(behind, sizeof behind, MCP_META, SLICE_ARG(revision));
	}
	buffer_printf(out,
		"POST %s%s HTTP/1.1\r\nHost: " SLICE_FMT
		"\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n",
		form->mcp ? "/mcp" : "/tools/", form->mcp ? "" : tool, SLICE_ARG(form->host));
	if (form->mcp)
		buffer_printf(out, "MCP-Protocol-Version: " SLICE_FMT "\r\nMcp-Method: tools/call\r\nMcp-Name: %s\r\n",
			SLICE_ARG(revision), tool);
	write_key(out, form);
	buffer_printf(out, "Content-Length: %zu\r\n\r\n", (size_t)before_len + arguments.len + (size_t)behind_len);
	buffer_append(out, slice_of(before, (size_t)before_len));
	buffer_append(out, arguments);
	buffer_append(out, slice_of(behind, (size_t)behind_len));
}

void request_write_get(struct buffer *out, const struct request_form *form, const char *path)
{
	buffer_printf(out, "GET %s HTTP/1.1\r\nHost: " SLICE_FMT "\r\n", path, SLICE_ARG(form->host));
	write_key(out, form);
	buffer_append(out, S("\r\n"));
}

enum frame_state (*request_frame(const struct request_form *form))(const char *, size_t, size_t *)
{
	return form->mcp ? frame_mcp : frame_http;
}
