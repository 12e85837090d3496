/* update_scratchpad: one key of an agent's working memory is written, appended to, counted up, or deleted. */
#include <assert.h>

#include "mcp/tool_rows.h"
#include "store/state.h"

_Static_assert(STATE_TTL_MIN == 60 && STATE_TTL_DEFAULT == 3600 && KV_CONTENT_MAX == 100000, "the texts below say so");

const char *const prefix_names[] = {"scratchpad", "state", "memory", "config", NULL};
static const char *const mode_names[] = {"overwrite", "append", "increment", "delete", NULL};

enum { MODE_OVERWRITE, MODE_APPEND, MODE_INCREMENT, MODE_DELETE };

const struct field update_scratchpad_input[] = {
	{.name = "agent_id",
		.help = "",
		.kind = FIELD_STRING,
		.required = true,
		.pattern = &pattern_agent_id,
		.wrong = CS_INVALID_AGENT_ID},
	{.name = "key",
		.help = "",
		.kind = FIELD_STRING,
		.required = true,
		.pattern = &pattern_key,
		.wrong = CS_INVALID_KEY},
	{.name = "content",
		.help = "The text; for increment the whole number to add (default 1)",
		.kind = FIELD_STRING,
		.min = 1,
		.max = KV_CONTENT_MAX,
		.wrong_type = CS_INVALID_CONTENT_TYPE,
		.too_long = CS_CONTENT_TOO_LARGE},
	{.name = "mode",
		.help = "append adds a line",
		.kind = FIELD_STRING,
		.values = mode_names,
		.fallback = "\"overwrite\""},
	{.name = "ttl",
		.help = "Seconds to live; scratchpad 3600 if not given, other prefixes forever",
		.kind = FIELD_INTEGER,
		.min = STATE_TTL_MIN,
		.max = STATE_TTL_MAX,
		.wrong = CS_INVALID_TTL},
	{.name = "prefix",
		.help = "",
		.kind = FIELD_STRING,
		.values = prefix_names,
		.fallback = "\"scratchpad\"",
		.wrong = CS_INVALID_PREFIX},
	{.name = "if_version",
		.help = "Only if this version is stored; 0: only if absent",
		.kind = FIELD_INTEGER,
		.max = INT64_MAX},
	{0},
};

const struct field update_scratchpad_output[] = {
	OUTPUT_SUCCESS,
	{.name = "key", .help = "agent:{agent_id}:{prefix}:{key}", .kind = FIELD_STRING},
	{.name = "ttl", .help = "Seconds left; null: does not expire", .kind = FIELD_INTEGER, .nullable = true},
	{.name = "content_size", .help = "Characters of the whole stored value", .kind = FIELD_INTEGER},
	{.name = "version", .help = "Of the stored value; null once deleted", .kind = FIELD_INTEGER, .nullable = true},
	OUTPUT_FAILURE,
	{0},
};

struct kv_key tool_kv_key(const struct tool_call *call, enum kv_prefix fallback)
{
	struct kv_key key = {.prefix = fallback};
	struct slice prefix;

	key.agent_id = arg_str(call->doc, call->arguments, "agent_id", S(""));
	key.key = arg_str(call->doc, call->arguments, "key", S(""));
	prefix = arg_str(call->doc, call->arguments, "prefix", S(""));
	if (prefix.len > 0) {
		bool known = kv_prefix_parse(prefix, &key.prefix);

		assert(known); /* the schema's values are the port's */
		(void)known;
	}
	return key;
}

/* Agent ids, prefixes and keys hold nothing that JSON escapes. */
void tool_write_namespaced(struct json_writer *w, const struct kv_key *owner, struct slice key)
{
	json_write_raw(w, S("\"agent:"));
	buffer_append(w->out, owner->agent_id);
	buffer_byte(w->out, ':');
	buffer_append(w->out, kv_prefix_name(owner->prefix));
	buffer_byte(w->out, ':');
	buffer_append(w->out, key);
	buffer_byte(w->out, '"');
}

static int mode_of(const struct tool_call *call)
{
	struct slice name = arg_str(call->doc, call->arguments, "mode", S("overwrite"));
	int mode = 0;

	while (!slice_eq(slice_cstr(mode_names[mode]), name))
		mode++;
	return mode;
}

static void write_result(
	struct json_writer *w, const struct kv_key *key, const struct kv_entry *entry, const char *message)
{
	json_begin_object(w);
	json_key_bool(w, "success", true);
	json_write_name(w, S("key"));
	tool_write_namespaced(w, key, key->key);
	if (entry && entry->ttl_s != KV_TTL_NONE)
		json_key_i64(w, "ttl", entry->ttl_s);
	else
		json_key_null(w, "ttl");
	json_key_i64(w, "content_size", entry ? entry->characters : 0);
	if (entry)
		json_key_u64(w, "version", entry->version);
	else
		json_key_null(w, "version");
	json_key_str(w, "message", slice_cstr(message));
	json_end_object(w);
}

enum cs_status update_scratchpad_run(struct tool_call *call, struct cs_error *err)
{
	static const char *const messages[] = {[MODE_OVERWRITE] = "written",
		[MODE_APPEND] = "appended",
		[MODE_INCREMENT] = "counted",
		[MODE_DELETE] = "deleted"};
	static const enum state_mode modes[] = {
		[MODE_OVERWRITE] = STATE_OVERWRITE, [MODE_APPEND] = STATE_APPEND, [MODE_INCREMENT] = STATE_INCREMENT};
	int mode = mode_of(call);
	struct state_write write = {
		.key = tool_kv_key(call, KV_SCRATCHPAD),
		.content = arg_str(call->doc, call->arguments, "content", S("")),
		.has_content = arg_get(call->doc, call->arguments, "content") != JSON_NONE,
		.ttl_s = arg_i64(call->doc, call->arguments, "ttl", 0),
		.has_ttl = arg_get(call->doc, call->arguments, "ttl") != JSON_NONE,
		.if_version = arg_i64(call->doc, call->arguments, "if_version", KV_VERSION_ANY),
	};
	struct kv_entry entry;
	enum cs_status status;

	if (mode == MODE_DELETE) {
		status = state_delete(call->store, call->op, &write.key, write.if_version, err);
	} else {
		write.mode = modes[mode];
		status = state_write(call->store, call->op, &write, &entry, err);
	}
	if (status == CS_OK)
		write_result(call->out, &write.key, mode == MODE_DELETE ? NULL : &entry, messages[mode]);
	return status;
}
