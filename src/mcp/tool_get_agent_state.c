/* get_agent_state: one key, or a page of all keys under a prefix.
 *
 * One key is the hottest call there is. It may run on an event loop: nothing is allocated, nothing is written before
 * the port has answered, and the members are written in one go. A list is read in blocks and ends early, with a cursor,
 * once the reply holds REPLY_BYTES: a thousand keys of a hundred thousand characters are not one answer. */
#include "mcp/tool_rows.h"
#include "store/cursor.h"
#include "store/state.h"

#include <xxhash.h>

#define REPLY_BYTES (1u << 20)
#define BLOCK_KEYS  64u

const struct field get_agent_state_input[] = {
	{.name = "agent_id",
		.help = "",
		.kind = FIELD_STRING,
		.required = true,
		.pattern = &pattern_agent_id,
		.wrong = CS_INVALID_AGENT_ID},
	{.name = "key", .help = "", .kind = FIELD_STRING, .pattern = &pattern_key, .wrong = CS_INVALID_KEY},
	{.name = "prefix",
		.help = "",
		.kind = FIELD_STRING,
		.values = prefix_names,
		.fallback = "\"state\"",
		.wrong = CS_INVALID_PREFIX},
	{.name = "limit",
		.help = "Most keys of one page",
		.kind = FIELD_INTEGER,
		.min = 1,
		.max = STATE_LIST_MAX,
		.fallback = "100"},
	{.name = "cursor",
		.help = "next_cursor of the former page",
		.kind = FIELD_STRING,
		.min = 1,
		.max = CURSOR_SIZE_MAX},
	{0},
};

const struct field get_agent_state_output[] = {
	OUTPUT_SUCCESS,
	{.name = "data",
		.help = "One key: {key, content, namespaced_key, version, ttl}; all: {key: content}",
		.kind = FIELD_OBJECT},
	{.name = "keys",
		.help = "",
		.kind = FIELD_ARRAY,
		.items = &(const struct field){.name = "", .help = "", .kind = FIELD_STRING}},
	{.name = "total_available", .help = "", .kind = FIELD_INTEGER},
	{.name = "next_cursor", .help = "There is more", .kind = FIELD_STRING},
	OUTPUT_FAILURE,
	{0},
};

static void write_one(struct json_writer *w, const struct kv_key *key, const struct kv_entry *entry)
{
	json_begin_object(w);
	json_key_bool(w, "success", true);
	json_write_name(w, S("data"));
	json_begin_object(w);
	json_key_str(w, "key", key->key);
	json_key_str(w, "content", entry->content);
	json_write_name(w, S("namespaced_key"));
	tool_write_namespaced(w, key, key->key);
	json_key_u64(w, "version", entry->version);
	if (entry->ttl_s == KV_TTL_NONE)
		json_key_null(w, "ttl");
	else
		json_key_i64(w, "ttl", entry->ttl_s);
	json_end_object(w);
	json_end_object(w);
}

static enum cs_status read_one(struct tool_call *call, const struct kv_key *key, struct cs_error *err)
{
	struct kv_entry entry;
	enum cs_status status = state_read(call->store, call->op, key, &entry, err);

	if (status == CS_OK) {
		write_one(call->out, key, &entry);
	} else if (status == CS_KEY_NOT_FOUND) {
		tool_begin_failure(call->out, status, err);
		json_write_name(call->out, S("data"));
		json_begin_object(call->out);
		json_end_object(call->out);
		json_end_object(call->out);
		call->answered = true;
	}
	return status;
}

/* A page under way: data is written as it is read, keys are remembered for the list behind it. */
struct listing {
	const struct kv_key *owner;
	struct slice *keys;
	size_t count, limit;
	struct slice after;
	uint64_t total;
	bool more;
};

static void write_block(struct tool_call *call, struct listing *list, const struct kv_page *page, size_t start)
{
	size_t i;

	for (i = 0; i < page->count && (list->count == 0 || call->out->out->len - start < REPLY_BYTES); i++) {
		json_write_key(call->out, page->keys[i]);
		json_write_str(call->out, page->entries[i].content);
		list->keys[list->count++] = page->keys[i];
		list->after = page->keys[i];
	}
	list->more = page->more || i < page->count;
}

static enum cs_status list_keys(struct tool_call *call, struct listing *list, size_t start, struct cs_error *err)
{
	struct kv_page page;

	do {
		size_t left = list->limit - list->count;
		enum cs_status status = call->store->kv.list(call->store->kv.self, call->op, list->owner, list->after,
			left < BLOCK_KEYS ? left : BLOCK_KEYS, &page, err);

		if (status != CS_OK)
			return status;
		list->total = page.total;
		write_block(call, list, &page, start);
	} while (list->more && list->count < list->limit && call->out->out->len - start < REPLY_BYTES);
	return CS_OK;
}

static uint64_t question_of(const struct kv_key *owner)
{
	return XXH3_64bits_withSeed(owner->agent_id.ptr, owner->agent_id.len, (uint64_t)owner->prefix + 1);
}

static enum cs_status start_listing(struct tool_call *call, struct listing *list, struct cs_error *err)
{
	struct slice text = arg_str(call->doc, call->arguments, "cursor", S(""));
	struct cursor cursor;
	enum cs_status status;

	list->limit = (size_t)arg_i64(call->doc, call->arguments, "limit", 100);
	list->keys = arena_array(call->op->arena, list->limit, sizeof *list->keys);
	if (!list->keys)
		return cs_fail_memory(err);
	if (text.len == 0)
		return CS_OK;
	status = cursor_read(call->op->arena, text, question_of(list->owner), &cursor, err);
	if (status == CS_OK)
		list->after = cursor.text;
	return status;
}

static enum cs_status read_all(struct tool_call *call, const struct kv_key *owner, struct cs_error *err)
{
	struct listing list = {.owner = owner};
	struct json_writer *w = call->out;
	size_t start = w->out->len;
	enum cs_status status = start_listing(call, &list, err);
	struct slice cursor;

	if (status != CS_OK)
		return status;
	json_begin_object(w);
	json_key_bool(w, "success", true);
	json_write_name(w, S("data"));
	json_begin_object(w);
	status = list_keys(call, &list, start, err);
	if (status != CS_OK)
		return status;
	json_end_object(w);
	json_write_name(w, S("keys"));
	json_begin_array(w);
	for (size_t i = 0; i < list.count; i++)
		json_write_str(w, list.keys[i]);
	json_end_array(w);
	json_key_u64(w, "total_available", list.total);
	if (list.more) {
		cursor = cursor_write(
			call->op->arena, &(struct cursor){.question = question_of(owner), .text = list.after});
		if (!cursor.ptr)
			return cs_fail_memory(err);
		json_key_str(w, "next_cursor", cursor);
	}
	json_end_object(w);
	return CS_OK;
}

enum cs_status get_agent_state_run(struct tool_call *call, struct cs_error *err)
{
	struct kv_key key = tool_kv_key(call, KV_STATE);

	return key.key.len > 0 ? read_one(call, &key, err) : read_all(call, &key, err);
}
