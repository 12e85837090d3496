/* The version is judged before the other fields: whoever speaks another version may fill _meta by other rules. */
#include "mcp/meta.h"

#define KEY_VERSION      "io.modelcontextprotocol/protocolVersion"
#define KEY_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define KEY_CLIENT       "io.modelcontextprotocol/clientInfo"

static bool is_object(const struct json_doc *doc, uint32_t node)
{
	return node != JSON_NONE && json_type_of(doc, node) == JSON_OBJECT;
}

struct meta meta_read(const struct json_doc *doc, const struct rpc_message *message)
{
	struct meta meta = {.node = json_get(doc, message->params, S("_meta"))};

	if (json_str(doc, json_get(doc, meta.node, S(KEY_VERSION)), &meta.version))
		meta.revision = revision_find(meta.version);
	return meta;
}

bool meta_claims_modern(const struct meta *meta)
{
	return meta->version.ptr && (!meta->revision || meta->revision->modern);
}

static bool lacks(struct rpc_error *error, const char *what)
{
	return rpc_fail(error, RPC_INVALID_PARAMS, 400, "params._meta must carry %s", what);
}

static bool check_client(const struct json_doc *doc, uint32_t client)
{
	struct slice text;

	return client == JSON_NONE ||
	       (is_object(doc, client) && json_str(doc, json_get(doc, client, S("name")), &text) &&
		       json_str(doc, json_get(doc, client, S("version")), &text));
}

bool meta_check(const struct json_doc *doc, const struct meta *meta, const struct revision **ret_revision,
	struct rpc_error *error)
{
	if (!meta->version.ptr)
		return lacks(error, KEY_VERSION " (a string), or the client must open with initialize");
	if (!meta->revision || !meta->revision->modern) {
		(void)rpc_fail(error, RPC_UNSUPPORTED_VERSION, 400, "Unsupported protocol version");
		error->requested = meta->version;
		return false;
	}
	if (!is_object(doc, json_get(doc, meta->node, S(KEY_CAPABILITIES))))
		return lacks(error, KEY_CAPABILITIES " (an object, which may be empty)");
	if (!check_client(doc, json_get(doc, meta->node, S(KEY_CLIENT))))
		return rpc_fail(error, RPC_INVALID_PARAMS, 400,
			"params._meta " KEY_CLIENT " must be an object with name and version");
	*ret_revision = meta->revision;
	return true;
}
