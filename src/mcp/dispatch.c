/* A table of methods with the eras that have them, and a function each.
 *
 * The path of tools/call is the hot one. The tool writes its object into a buffer that the thread keeps (so a call that
 * is answered from memory allocates nothing), and the reply is put together around it: once quoted as text, once as it
 * is. Writing the object into the reply at once and quoting it from there was tried on paper and dropped: the reply may
 * move while it grows.
 *
 * Invariant: nothing is appended to `out` before it is certain that the request need not be run again. */
#include "mcp/dispatch.h"

#include "base/version.h"
#include "mcp/scratch.h"

/* Implementation in JSON, for revisions that know titles and for the others. */
#define TITLED   "{\"name\":\"" CS_NAME "\",\"title\":\"Context Store\",\"version\":\"" CS_VERSION "\"}"
#define UNTITLED "{\"name\":\"" CS_NAME "\",\"version\":\"" CS_VERSION "\"}"
#define INSTRUCTIONS                                                                                                   \
	"Shared, durable memory for agents. Search with retrieve_context before you start, and keep what others will " \
	"need "                                                                                                        \
	"(designs, decisions, findings) with store_context; store again under the same id to replace it. Notes and "   \
	"state of "                                                                                                    \
	"one agent belong in update_scratchpad and get_agent_state, under its own agent_id."

#define SUBSCRIPTION_ID_TEXT "4096"

_Static_assert(SUBSCRIPTION_ID_MAX == 4096, "the text says so");

enum era { LEGACY = 1, MODERN = 2, BOTH = 3 };

static enum dispatch_result reply_error(struct request *r, const struct rpc_error *error, struct buffer *out)
{
	r->http = error->http;
	rpc_write_error(out, r->doc, r->message.id, error);
	return DISPATCH_REPLIED;
}

static enum dispatch_result reply_invalid(struct request *r, struct buffer *out, const char *text)
{
	struct rpc_error error;

	(void)rpc_fail(&error, RPC_INVALID_PARAMS, 200, "%s", text);
	return reply_error(r, &error, out);
}

/* What every result of a revision carries besides its own members; then the result's and the message's end. */
static void end_result(struct request *r, struct json_writer *w)
{
	if (r->revision->complete_results) /* both members are constant, and one text */
		json_key_raw(w, "resultType",
			S("\"complete\",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":" TITLED "}"));
	json_end_object(w);
	json_end_object(w);
	r->http = 200;
}

static struct json_writer begin_result(struct request *r, struct buffer *out)
{
	struct json_writer w = json_writer(out);

	rpc_begin_result(&w, r->doc, r->message.id);
	json_begin_object(&w);
	return w;
}

static void write_cache_hints(const struct request *r, struct json_writer *w)
{
	if (!r->revision->cache_hints)
		return;
	json_key_i64(w, "ttlMs", CACHE_TTL_MS);
	json_key_raw(w, "cacheScope", S("\"public\""));
}

static void write_capabilities(struct json_writer *w)
{
	json_key_raw(w, "capabilities", S("{\"tools\":{}}"));
}

static enum dispatch_result initialize(struct request *r, struct buffer *out)
{
	uint32_t params = r->message.params;
	uint32_t capabilities = json_get(r->doc, params, S("capabilities"));
	uint32_t client = json_get(r->doc, params, S("clientInfo"));
	struct json_writer w;
	struct slice asked;

	if (!json_str(r->doc, json_get(r->doc, params, S("protocolVersion")), &asked))
		return reply_invalid(r, out, "protocolVersion must be a string");
	/* Both are required of clients; one that leaves them out is served all the same, since nothing here needs them.
	 */
	if ((capabilities != JSON_NONE && json_type_of(r->doc, capabilities) != JSON_OBJECT) ||
		(client != JSON_NONE && json_type_of(r->doc, client) != JSON_OBJECT))
		return reply_invalid(r, out, "capabilities and clientInfo must be objects");
	r->negotiated = revision_negotiate(asked);
	w = begin_result(r, out);
	json_key_str(&w, "protocolVersion", r->negotiated->name);
	write_capabilities(&w);
	json_key_raw(&w, "serverInfo", r->negotiated->titles ? S(TITLED) : S(UNTITLED));
	json_key_str(&w, "instructions", S(INSTRUCTIONS));
	end_result(r, &w);
	return DISPATCH_REPLIED;
}

static enum dispatch_result ping(struct request *r, struct buffer *out)
{
	struct json_writer w = begin_result(r, out);

	end_result(r, &w);
	return DISPATCH_REPLIED;
}

static enum dispatch_result discover(struct request *r, struct buffer *out)
{
	struct json_writer w = begin_result(r, out);

	json_write_name(&w, S("supportedVersions"));
	json_begin_array(&w);
	for (int i = REVISION_COUNT - 1; i >= 0; i--)
		json_write_str(&w, revision_rows[i].name);
	json_end_array(&w);
	write_capabilities(&w);
	json_key_str(&w, "instructions", S(INSTRUCTIONS));
	write_cache_hints(r, &w);
	end_result(r, &w);
	return DISPATCH_REPLIED;
}

static enum dispatch_result list_tools(struct request *r, struct buffer *out)
{
	uint32_t cursor = json_get(r->doc, r->message.params, S("cursor"));
	struct json_writer w;

	if (cursor != JSON_NONE && json_type_of(r->doc, cursor) != JSON_NULL)
		return reply_invalid(r, out, "unknown cursor: all tools are on the first page");
	w = begin_result(r, out);
	json_key_raw(&w, "tools", buffer_slice(&r->dispatcher->catalogue.lists[r->revision->tool_form]));
	write_cache_hints(r, &w);
	end_result(r, &w);
	return DISPATCH_REPLIED;
}

static void write_call_result(struct request *r, struct slice object, bool failed, struct buffer *out)
{
	struct json_writer w;

	/* Once instead of by doubling; a reply near the ceiling is left to find out by itself. */
	if (3 * object.len + 512 < out->ceiling - out->len)
		buffer_reserve(out, 3 * object.len + 512);
	w = begin_result(r, out);
	json_write_name(&w, S("content"));
	buffer_append(out, S("[{\"type\":\"text\",\"text\":"));
	json_quote(out, object);
	buffer_append(out, S("}]"));
	w.comma = true;
	if (r->revision->structured_content)
		json_key_raw(&w, "structuredContent", object);
	json_key_bool(&w, "isError", failed);
	end_result(r, &w);
}

/* A reply over the ceiling is taken back and becomes a failure that says so. */
static void write_call_failure(struct request *r, const struct cs_error *failure, struct buffer *out)
{
	struct buffer object;
	struct json_writer w;

	buffer_init(&object, 16u << 10);
	w = json_writer(&object);
	tool_write_failure(&w, failure);
	write_call_result(r, buffer_slice(&object), true, out);
	buffer_release(&object);
}

static void too_large(const struct request *r, struct cs_error *ret_error)
{
	(void)!cs_fail(ret_error, CS_LIMIT_EXCEEDED, "the result is larger than %zu bytes; ask for less at once",
		r->dispatcher->response_max);
}

static enum dispatch_result run_tool(struct request *r, const struct tool *tool, uint32_t arguments, struct buffer *out)
{
	struct buffer *object = scratch_take(r->dispatcher->response_max);
	size_t start = out->len;
	enum cs_status status = tool_run(&r->dispatcher->host, r->op, tool, r->doc, arguments, object);

	if (status == CS_WOULD_WAIT) {
		scratch_give(object);
		return DISPATCH_WOULD_WAIT;
	}
	if (!object->failed)
		write_call_result(r, buffer_slice(object), status != CS_OK, out);
	if (object->failed || out->failed) {
		struct cs_error failure;

		out->len = start;
		out->failed = false;
		too_large(r, &failure);
		write_call_failure(r, &failure, out);
	}
	scratch_give(object);
	return DISPATCH_REPLIED;
}

static enum dispatch_result unknown_tool(struct request *r, struct slice name, struct buffer *out)
{
	const char *nearest = tool_nearest(name);
	struct rpc_error error;
	int shown = name.len > 128 ? 128 : (int)name.len;

	if (nearest)
		(void)rpc_fail(&error, RPC_INVALID_PARAMS, 200, "Unknown tool: %.*s; did you mean %s?", shown, name.ptr,
			nearest);
	else
		(void)rpc_fail(
			&error, RPC_INVALID_PARAMS, 200, "Unknown tool: %.*s; tools/list names all", shown, name.ptr);
	return reply_error(r, &error, out);
}

static enum dispatch_result call_tool(struct request *r, struct buffer *out)
{
	uint32_t params = r->message.params;
	uint32_t arguments = json_get(r->doc, params, S("arguments"));
	const struct tool *tool;
	struct slice name;

	if (!json_str(r->doc, json_get(r->doc, params, S("name")), &name))
		return reply_invalid(r, out, "name of the tool must be a string");
	tool = tool_find(name);
	if (!tool)
		return unknown_tool(r, name, out);
	if (arguments != JSON_NONE && json_type_of(r->doc, arguments) != JSON_OBJECT)
		return reply_invalid(r, out, "arguments must be an object");
	if (!r->op->may_wait && !tool->from_memory)
		return DISPATCH_WOULD_WAIT;
	return run_tool(r, tool, arguments, out);
}

static enum dispatch_result listen(struct request *r, struct buffer *out)
{
	uint32_t filter = json_get(r->doc, r->message.params, S("notifications"));
	const struct json_node *id = &r->doc->nodes[r->message.id];

	/* Its messages repeat the id for as long as it is open. */
	if ((id->type == JSON_STRING || id->type == JSON_HUGE) && id->text.len > SUBSCRIPTION_ID_MAX)
		return reply_invalid(
			r, out, "the id of a subscription may be at most " SUBSCRIPTION_ID_TEXT " bytes long");
	if (filter == JSON_NONE || json_type_of(r->doc, filter) != JSON_OBJECT)
		return reply_invalid(r, out, "notifications must be an object that names what to be told about");
	return DISPATCH_LISTEN;
}

static const struct method {
	struct slice name;
	enum era era;
	enum dispatch_result (*run)(struct request *, struct buffer *out);
} methods[] = {
	{SLICE_INIT("tools/call"), BOTH, call_tool},
	{SLICE_INIT("tools/list"), BOTH, list_tools},
	{SLICE_INIT("initialize"), LEGACY, initialize},
	{SLICE_INIT("ping"), LEGACY, ping},
	{SLICE_INIT("server/discover"), MODERN, discover},
	{SLICE_INIT("subscriptions/listen"), MODERN, listen},
};

static enum dispatch_result unknown_method(struct request *r, struct buffer *out)
{
	struct slice name = r->message.method;
	struct rpc_error error;

	(void)rpc_fail(&error, RPC_METHOD_NOT_FOUND, r->revision->unknown_method_http, "Method not found: %.*s",
		name.len > 128 ? 128 : (int)name.len, name.ptr);
	return reply_error(r, &error, out);
}

enum dispatch_result dispatch_request(struct request *r, struct buffer *out)
{
	enum era era = r->revision->modern ? MODERN : LEGACY;
	uint32_t meta;

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (!(methods[i].era & era) || !slice_eq(methods[i].name, r->message.method))
			continue;
		if (r->message.params != JSON_NONE && json_type_of(r->doc, r->message.params) != JSON_OBJECT)
			return reply_invalid(r, out, "params must be an object: parameters are named");
		meta = json_get(r->doc, r->message.params, S("_meta"));
		if (meta != JSON_NONE && json_type_of(r->doc, meta) != JSON_OBJECT)
			return reply_invalid(r, out, "params._meta must be an object");
		return methods[i].run(r, out);
	}
	return unknown_method(r, out);
}

void dispatch_refuse(struct request *r, const struct cs_error *failure, struct buffer *out)
{
	struct rpc_error error;

	if (slice_eq(r->message.method, S("tools/call"))) {
		write_call_failure(r, failure, out);
		return;
	}
	(void)rpc_fail(&error, RPC_INTERNAL_ERROR, 200, "%s", failure->text);
	reply_error(r, &error, out);
}

static struct json_writer begin_notification(struct buffer *out, struct slice method)
{
	struct json_writer w = json_writer(out);

	json_begin_object(&w);
	json_key_raw(&w, "jsonrpc", S("\"2.0\""));
	json_key_str(&w, "method", method);
	json_write_name(&w, S("params"));
	json_begin_object(&w);
	return w;
}

static void write_subscription_meta(struct json_writer *w, const struct json_doc *doc, uint32_t id)
{
	json_write_name(w, S("_meta"));
	json_begin_object(w);
	json_write_name(w, S("io.modelcontextprotocol/subscriptionId"));
	rpc_write_id(w, doc, id);
	json_end_object(w);
}

/* Nothing this server has ever changes unasked, so the subset it agrees to tell about is empty. */
void dispatch_write_acknowledged(struct buffer *out, const struct json_doc *doc, uint32_t id)
{
	struct json_writer w = begin_notification(out, S("notifications/subscriptions/acknowledged"));

	write_subscription_meta(&w, doc, id);
	json_key_raw(&w, "notifications", S("{}"));
	json_end_object(&w);
	json_end_object(&w);
}

void dispatch_write_listen_result(struct buffer *out, const struct json_doc *doc, uint32_t id)
{
	struct json_writer w = json_writer(out);

	rpc_begin_result(&w, doc, id);
	json_begin_object(&w);
	json_key_raw(&w, "resultType", S("\"complete\""));
	write_subscription_meta(&w, doc, id);
	json_end_object(&w);
	json_end_object(&w);
}

void dispatch_write_listen_cancelled(struct buffer *out, const struct json_doc *doc, uint32_t id)
{
	struct json_writer w = begin_notification(out, S("notifications/cancelled"));

	json_write_name(&w, S("requestId"));
	rpc_write_id(&w, doc, id);
	json_key_str(&w, "reason", S("the server is shutting down"));
	json_end_object(&w);
	json_end_object(&w);
}
