/* The table, and the one way a call is made.
 *
 * Order of a call: may this key use the tool; do the arguments fit; is the store here; run. Arguments are checked
 * before the store is asked for, so that a bad call costs nothing and never waits, also where another process will run
 * it.
 *
 * Roles. A guest may list tools and look at health, nothing else; a reader reads; a writer stores, updates and removes;
 * an admin may do everything. Without configured keys everybody is a human admin.
 *
 * A handler writes into the reply's buffer directly. When it fails, what it wrote is cut off again and the failure
 * object takes its place; a reply over the buffer's ceiling becomes limit_exceeded. */
#include "mcp/tools.h"

#include <assert.h>

#include "base/metrics.h"
#include "base/nearest.h"
#include "mcp/tool_rows.h"

const struct tool tool_rows[] = {
	{
		.name = "store_context",
		.title = "Store contexts",
		.description =
			"Save a document (decision, design, trace, ...) to shared memory so any agent can find it "
			"later; "
			"the answer means it is durable. Give content and type, or up to 100 of them in contexts.",
		.input = store_context_input,
		.output = store_context_output,
		.least_role = ROLE_WRITER,
		.run = store_context_run,
	},
	{
		.name = "retrieve_context",
		.title = "Find contexts",
		.description = "Search shared memory by words, best first, or read known ids. Use filters to narrow "
			       "and cursor to go on.",
		.input = retrieve_context_input,
		.output = retrieve_context_output,
		.read_only = true,
		.idempotent = true,
		.from_memory = true,
		.least_role = ROLE_READER,
		.run = retrieve_context_run,
	},
	{
		.name = "update_scratchpad",
		.title = "Write agent state",
		.description = "Write, append to, count up or delete one key of an agent's working memory. Scratchpad "
			       "keys expire, others stay.",
		.input = update_scratchpad_input,
		.output = update_scratchpad_output,
		.destructive = true,
		.least_role = ROLE_WRITER,
		.run = update_scratchpad_run,
	},
	{
		.name = "get_agent_state",
		.title = "Read agent state",
		.description = "Read one key of an agent's working memory, or all of them when key is left out. Notes "
			       "written by "
			       "update_scratchpad are under prefix scratchpad.",
		.input = get_agent_state_input,
		.output = get_agent_state_output,
		.read_only = true,
		.idempotent = true,
		.from_memory = true,
		.least_role = ROLE_READER,
		.run = get_agent_state_run,
	},
	{
		.name = "delete_context",
		.title = "Delete a context",
		.description = "Hide a context from all reads, or erase it for good with hard_delete. For people: "
			       "agent keys are refused.",
		.input = delete_context_input,
		.output = delete_context_output,
		.destructive = true,
		.idempotent = true,
		.least_role = ROLE_WRITER,
		.human_only = true,
		.run = delete_context_run,
	},
	{
		.name = "forget_context",
		.title = "Forget a context",
		.description = "Hide a context now and purge it after retention_days; until then it can be restored. "
			       "For people: "
			       "agent keys are refused.",
		.input = forget_context_input,
		.output = forget_context_output,
		.destructive = true,
		.idempotent = true,
		.least_role = ROLE_WRITER,
		.human_only = true,
		.run = forget_context_run,
	},
};

#define ROW_COUNT (sizeof tool_rows / sizeof tool_rows[0])

const size_t tool_row_count = ROW_COUNT;

const struct tool *tool_find(struct slice name)
{
	for (size_t i = 0; i < tool_row_count; i++)
		if (slice_is(name, tool_rows[i].name))
			return &tool_rows[i];
	return NULL;
}

const char *tool_nearest(struct slice name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; i < tool_row_count; i++)
		nearest_offer(&nearest, slice_cstr(tool_rows[i].name));
	return nearest.best.len > 0 ? nearest.best.ptr : NULL;
}

void tool_write(struct json_writer *w, const struct tool *tool)
{
	json_begin_object(w);
	json_key_str(w, "name", slice_cstr(tool->name));
	json_key_str(w, "title", slice_cstr(tool->title));
	json_key_str(w, "description", slice_cstr(tool->description));
	json_write_name(w, S("inputSchema"));
	schema_write_input(w, tool->input);
	json_write_name(w, S("outputSchema"));
	schema_write_output(w, tool->output);
	json_write_name(w, S("annotations"));
	json_begin_object(w);
	json_key_bool(w, "readOnlyHint", tool->read_only);
	json_key_bool(w, "destructiveHint", tool->destructive);
	json_key_bool(w, "idempotentHint", tool->idempotent);
	json_key_bool(w, "openWorldHint", false);
	json_end_object(w);
	json_end_object(w);
}

static void write_time(struct json_writer *w, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(wall_ms, text);
	json_key_str(w, name, slice_cstr(text));
}

void tool_begin_failure(struct json_writer *w, enum cs_status status, const struct cs_error *err)
{
	bool told = err->status == status && err->text[0];

	json_begin_object(w);
	json_key_bool(w, "success", false);
	json_key_str(w, "error_type", slice_cstr(cs_status_type(status)));
	json_key_str(w, "message", slice_cstr(told ? err->text : cs_status_text(status)));
	if (status == CS_VERSION_CONFLICT)
		json_key_u64(w, "version", err->status == status ? err->version : 0);
	if (told && err->backend[0]) {
		json_key_str(w, "backend", slice_cstr(err->backend));
		write_time(w, "since", err->since_ms);
		write_time(w, "next_try", err->next_try_ms);
	}
}

void tool_write_failure(struct json_writer *w, const struct cs_error *err)
{
	tool_begin_failure(w, err->status, err);
	json_end_object(w);
}

/* Found once and kept: the registry's lock is not for the path of every call. */
static struct metric_series *kept_series(
	_Atomic(struct metric_series *) *slot, enum metric_id id, const char *tool, const char *result)
{
	struct metric_series *series = atomic_load_explicit(slot, memory_order_acquire);
	char labels[64];

	if (!series) {
		snprintf(labels, sizeof labels, "%s%s%s", tool, result ? "," : "", result ? result : "");
		series = metric_series(id, slice_cstr(labels));
		atomic_store_explicit(slot, series, memory_order_release);
	}
	return series;
}

static void measure(const struct tool *tool, enum cs_status status, int64_t start_ns)
{
	static _Atomic(struct metric_series *) times[ROW_COUNT];
	static _Atomic(struct metric_series *) results[ROW_COUNT][CS_STATUS_COUNT];
	const char *result = status == CS_OK ? "ok" : cs_status_type(status);
	size_t row = (size_t)(tool - tool_rows);

	assert(row < ROW_COUNT);
	metric_observe_ns(kept_series(&times[row], METRIC_RESPONSE_TIME, tool->name, NULL), clock_mono_ns() - start_ns);
	metric_add(kept_series(&results[row][status], METRIC_REQUESTS, tool->name, result), 1);
}

static enum cs_status check_role(const struct tool *tool, const struct op *op, struct cs_error *err)
{
	static const char *const names[] = {
		[ROLE_GUEST] = "guest", [ROLE_READER] = "reader", [ROLE_WRITER] = "writer", [ROLE_ADMIN] = "admin"};

	if (op->principal->role >= tool->least_role)
		return CS_OK;
	return cs_fail(err, CS_FORBIDDEN, "%s needs a key with the role %s or higher; this one is %s", tool->name,
		names[tool->least_role], names[op->principal->role]);
}

static enum cs_status check_arguments(const struct tool *tool, const struct op *op, const struct json_doc *doc,
	uint32_t arguments, struct cs_error *err)
{
	struct schema_problems problems;

	problems.arena = op->arena;
	problems.status = CS_OK;
	problems.count = 0;
	if (schema_check(tool->input, doc, arguments, S(""), &problems))
		return CS_OK;
	return schema_fail(&problems, err);
}

/* *ret_answered: the owner's object, failure or not, stands in out. */
static enum cs_status forward(const struct tool_host *host, struct op *op, const struct tool *tool,
	const struct json_doc *doc, uint32_t arguments, struct buffer *out, bool *ret_answered, struct cs_error *err)
{
	struct buffer text;
	struct json_writer w = json_writer(&text);
	size_t before = out->len;
	enum cs_status status;

	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "another process owns the store");
	buffer_init(&text, SIZE_MAX / 2);
	if (arguments == JSON_NONE)
		buffer_append(&text, S("{}"));
	else
		json_write_node(&w, doc, arguments);
	status = buffer_status(&text, err);
	if (status == CS_OK)
		status = host->forward(host->self, op, tool, buffer_slice(&text), out, err);
	buffer_release(&text);
	*ret_answered = out->len > before && !out->failed;
	return status;
}

static enum cs_status run(const struct tool_host *host, struct op *op, const struct tool *tool,
	const struct json_doc *doc, uint32_t arguments, struct buffer *out, bool *ret_answered, struct cs_error *err)
{
	struct json_writer w = json_writer(out);
	struct tool_call call = {op, NULL, doc, arguments, &w, false};
	enum cs_status status = check_role(tool, op, err);

	if (status == CS_OK)
		status = check_arguments(tool, op, doc, arguments, err);
	if (status == CS_OK && op->may_wait)
		status = op_check(op, err);
	if (status == CS_OK)
		status = host->acquire(host->self, op, &call.store, err);
	if (status != CS_OK)
		return status;
	if (!call.store)
		return forward(host, op, tool, doc, arguments, out, ret_answered, err);
	if (tool->human_only && call.store->keys_configured && op->principal->is_agent)
		return cs_fail(err, CS_FORBIDDEN, "%s is for people; this key belongs to an agent", tool->name);
	status = tool->run(&call, err);
	*ret_answered = status == CS_OK || call.answered;
	return status;
}

enum cs_status tool_run(const struct tool_host *host, struct op *op, const struct tool *tool,
	const struct json_doc *doc, uint32_t arguments, struct buffer *out)
{
	int64_t start_ns = op->started_ns ? op->started_ns : clock_mono_ns();
	size_t before = out->len;
	bool answered = false;
	struct json_writer w;
	struct cs_error err;
	enum cs_status status;

	err.status = CS_OK;
	err.text[0] = '\0';
	status = run(host, op, tool, doc, arguments, out, &answered, &err);
	if (out->failed) {
		out->failed = false;
		answered = false;
		status = cs_fail(&err, CS_LIMIT_EXCEEDED,
			"the reply would be larger than %zu bytes; ask for less at once (limit, "
			"max_tokens)",
			out->ceiling);
	}
	if (!answered)
		out->len = before;
	if (status == CS_WOULD_WAIT)
		return status;
	if (!answered) {
		err.status = status == err.status ? status : (err.text[0] = '\0', status);
		w = json_writer(out);
		tool_write_failure(&w, &err);
	}
	measure(tool, status, start_ns);
	return status;
}
