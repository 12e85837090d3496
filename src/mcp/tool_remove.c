/* delete_context and forget_context: two tools over store/removal.h, alike but for what becomes of the context. */
#include "mcp/tool_rows.h"
#include "store/removal.h"

_Static_assert(REMOVAL_RETENTION_DAYS == 30, "the default below says so");

#define CONTEXT_AND_REASON                                                                                             \
	{.name = "context_id", .help = "", .kind = FIELD_NAME, .required = true},                                      \
	{                                                                                                              \
		.name = "reason", .help = "Kept in the audit log", .kind = FIELD_STRING, .required = true,             \
		.min = REMOVAL_REASON_MIN, .max = 1000                                                                 \
	}

const struct field delete_context_input[] = {
	CONTEXT_AND_REASON,
	{.name = "hard_delete", .help = "Erase at once, beyond restoring", .kind = FIELD_BOOLEAN, .fallback = "false"},
	{0},
};

const struct field forget_context_input[] = {
	CONTEXT_AND_REASON,
	{.name = "retention_days",
		.help = "",
		.kind = FIELD_INTEGER,
		.min = 1,
		.max = REMOVAL_RETENTION_DAYS_MAX,
		.fallback = "30"},
	{0},
};

const struct field delete_context_output[] = {
	OUTPUT_SUCCESS,
	{.name = "context_id", .help = "", .kind = FIELD_STRING},
	{.name = "operation", .help = "soft_delete or hard_delete", .kind = FIELD_STRING},
	OUTPUT_FAILURE,
	{0},
};

const struct field forget_context_output[] = {
	OUTPUT_SUCCESS,
	{.name = "context_id", .help = "", .kind = FIELD_STRING},
	{.name = "operation", .help = "forget", .kind = FIELD_STRING},
	{.name = "retention_days", .help = "", .kind = FIELD_INTEGER},
	{.name = "purge_after", .help = "RFC 3339; until then it can be restored", .kind = FIELD_STRING},
	OUTPUT_FAILURE,
	{0},
};

static void begin_result(struct json_writer *w, struct slice id, const char *operation)
{
	json_begin_object(w);
	json_key_bool(w, "success", true);
	json_key_str(w, "context_id", id);
	json_key_str(w, "operation", slice_cstr(operation));
}

enum cs_status delete_context_run(struct tool_call *call, struct cs_error *err)
{
	struct slice id = arg_str(call->doc, call->arguments, "context_id", S(""));
	struct slice reason = arg_str(call->doc, call->arguments, "reason", S(""));
	bool hard = arg_bool(call->doc, call->arguments, "hard_delete", false);
	enum cs_status status = store_delete(call->store, call->op, id, reason, hard, err);

	if (status != CS_OK)
		return status;
	begin_result(call->out, id, hard ? "hard_delete" : "soft_delete");
	json_key_str(call->out, "message",
		hard ? S("erased with its history, words and relationships")
		     : S("hidden from every read and search; it can be restored"));
	json_end_object(call->out);
	return CS_OK;
}

enum cs_status forget_context_run(struct tool_call *call, struct cs_error *err)
{
	struct slice id = arg_str(call->doc, call->arguments, "context_id", S(""));
	struct slice reason = arg_str(call->doc, call->arguments, "reason", S(""));
	int64_t days = arg_i64(call->doc, call->arguments, "retention_days", REMOVAL_RETENTION_DAYS);
	enum cs_status status = store_forget(call->store, call->op, id, reason, days, err);
	char when[CLOCK_TEXT_SIZE];

	if (status != CS_OK)
		return status;
	clock_format(clock_wall_ms() + days * INT64_C(86400000), when);
	begin_result(call->out, id, "forget");
	json_key_i64(call->out, "retention_days", days);
	json_key_str(call->out, "purge_after", slice_cstr(when));
	json_key_str(
		call->out, "message", S("hidden from every read and search, and purged when its retention is over"));
	json_end_object(call->out);
	return CS_OK;
}
