/* Classification follows the JSON-RPC 2.0 specification, narrowed where MCP is narrower: ids, and methods that are
 * always named. Unknown members are ignored, as both ask. */
#include "mcp/rpc.h"

#include <stdarg.h>

#include "mcp/revision.h"

bool rpc_fail(struct rpc_error *error, enum rpc_code code, int http, const char *format, ...)
{
	char text[2 * CS_ERROR_TEXT_MAX];
	struct cs_error cut;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	/* The text may quote a client and be cut: cs_fail cuts at a character, so that what is sent stays UTF-8. */
	(void)!cs_fail(&cut, CS_VALIDATION, "%s", text);
	error->code = code;
	error->http = http;
	error->requested = (struct slice){0};
	memcpy(error->text, cut.text, sizeof error->text);
	return false;
}

static bool is_integer(struct slice text)
{
	size_t start = text.len > 0 && text.ptr[0] == '-';

	for (size_t i = start; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return text.len > start;
}

static bool is_id(const struct json_doc *doc, uint32_t node)
{
	switch (json_type_of(doc, node)) {
	case JSON_STRING:
	case JSON_INT:
	case JSON_UINT: return true;
	case JSON_HUGE: return is_integer(doc->nodes[node].text);
	default: return false;
	}
}

/* The members a message is told by, found in one walk. */
struct members {
	uint32_t version, id, method, params, result, error;
};

static struct members find_members(const struct json_doc *doc, uint32_t object)
{
	struct members m = {JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE, JSON_NONE};

	for (uint32_t value = json_first(doc, object); value != JSON_NONE; value = json_next(doc, object, value)) {
		struct slice key = json_key(doc, value);

		if (slice_eq(key, S("jsonrpc")))
			m.version = value;
		else if (slice_eq(key, S("id")))
			m.id = value;
		else if (slice_eq(key, S("method")))
			m.method = value;
		else if (slice_eq(key, S("params")))
			m.params = value;
		else if (slice_eq(key, S("result")))
			m.result = value;
		else if (slice_eq(key, S("error")))
			m.error = value;
	}
	return m;
}

static bool refuse(struct rpc_error *error, const char *text)
{
	return rpc_fail(error, RPC_INVALID_REQUEST, 400, "%s", text);
}

static bool classify_response(
	const struct json_doc *doc, const struct members *m, struct rpc_message *ret_message, struct rpc_error *error)
{
	if ((m->result == JSON_NONE) == (m->error == JSON_NONE))
		return refuse(error, "a message has a method, or as a response either result or error");
	if (m->error != JSON_NONE && json_type_of(doc, m->error) != JSON_OBJECT)
		return refuse(error, "error of a response must be an object");
	if (m->result != JSON_NONE && m->id == JSON_NONE)
		return refuse(error, "a response must carry the id of its request");
	*ret_message = (struct rpc_message){RPC_RESPONSE, {0}, m->id, JSON_NONE};
	return true;
}

bool rpc_classify(const struct json_doc *doc, uint32_t node, struct rpc_message *ret_message, struct rpc_error *error)
{
	struct members m;
	struct slice text;

	if (json_type_of(doc, node) != JSON_OBJECT)
		return refuse(error, "a message must be a JSON object");
	m = find_members(doc, node);
	if (!json_str(doc, m.version, &text) || !slice_eq(text, S("2.0")))
		return refuse(error, "jsonrpc must be \"2.0\"");
	if (m.method == JSON_NONE)
		return classify_response(doc, &m, ret_message, error);
	if (!json_str(doc, m.method, &text))
		return refuse(error, "method must be a string");
	if (m.result != JSON_NONE || m.error != JSON_NONE)
		return refuse(error, "a message with a method has neither result nor error");
	if (m.id != JSON_NONE && !is_id(doc, m.id))
		return refuse(error, "id must be a string or an integer; leave it out in a notification");
	if (m.params != JSON_NONE && json_type_of(doc, m.params) != JSON_OBJECT &&
		json_type_of(doc, m.params) != JSON_ARRAY)
		return refuse(error, "params must be an object");
	*ret_message = (struct rpc_message){m.id == JSON_NONE ? RPC_NOTIFICATION : RPC_REQUEST, text, m.id, m.params};
	return true;
}

void rpc_write_id(struct json_writer *w, const struct json_doc *doc, uint32_t id)
{
	if (id == JSON_NONE)
		json_write_null(w);
	else if (json_type_of(doc, id) == JSON_INT)
		json_write_i64(w, doc->nodes[id].i64);
	else if (json_type_of(doc, id) == JSON_HUGE)
		json_write_raw(w, doc->nodes[id].text);
	else
		json_write_node(w, doc, id);
}

/* {"jsonrpc":"2.0","id":ID */
static void begin_message(struct json_writer *w, const struct json_doc *doc, uint32_t id)
{
	json_begin_object(w);
	buffer_append(w->out, S("\"jsonrpc\":\"2.0\",\"id\":"));
	rpc_write_id(w, doc, id);
}

void rpc_begin_result(struct json_writer *w, const struct json_doc *doc, uint32_t id)
{
	begin_message(w, doc, id);
	json_write_name(w, S("result"));
}

static void write_version_data(struct json_writer *w, const struct rpc_error *error)
{
	json_write_name(w, S("data"));
	json_begin_object(w);
	json_write_name(w, S("supported"));
	json_begin_array(w);
	for (int i = REVISION_COUNT - 1; i >= 0; i--)
		json_write_str(w, revision_rows[i].name);
	json_end_array(w);
	json_key_str(w, "requested", error->requested);
	json_end_object(w);
}

void rpc_write_error(struct buffer *out, const struct json_doc *doc, uint32_t id, const struct rpc_error *error)
{
	struct json_writer w = json_writer(out);

	begin_message(&w, doc, id);
	json_write_name(&w, S("error"));
	json_begin_object(&w);
	json_key_i64(&w, "code", error->code);
	json_key_str(&w, "message", slice_cstr(error->text));
	if (error->code == RPC_UNSUPPORTED_VERSION)
		write_version_data(&w, error);
	json_end_object(&w);
	json_end_object(&w);
}
