/* store_context: one context, or a list of them in one call.
 *
 * A list's elements are checked here one by one, with the table of one context: an element that is wrong says so in its
 * own result and does not stop the others. `stored` counts those whose content is in the store afterwards, be it as the
 * duplicate that on_duplicate "skip" found.
 *
 * backend_status speaks of each index: ok (written and searchable now), pending (will be, by itself), failed, disabled
 * (this store has none). embedding_status: completed, pending, failed, disabled. graph_id is the id of the context's
 * node. */
#include "mcp/tool_rows.h"
#include "store/contexts.h"

static const char *const priority_names[] = {"low", "medium", "high", "critical", NULL};
static const char *const author_type_names[] = {"human", "agent", NULL};
static const char *const duplicate_names[] = {"store", "skip", NULL};
static const char *const embedding_names[] = {"auto", "wait", "later", NULL};

static const struct field name_item = {.name = "", .help = "", .kind = FIELD_NAME};
static const struct field string_item = {.name = "", .help = "", .kind = FIELD_STRING};

static const struct field metadata_fields[] = {
	{.name = "source", .help = "", .kind = FIELD_NAME},
	{.name = "tags", .help = "", .kind = FIELD_ARRAY, .items = &name_item, .max = CONTEXT_TAGS_MAX},
	{.name = "priority", .help = "", .kind = FIELD_STRING, .values = priority_names},
	{.name = "author", .help = "", .kind = FIELD_NAME},
	{.name = "author_type", .help = "", .kind = FIELD_STRING, .values = author_type_names},
	{.name = "agent_id", .help = "", .kind = FIELD_NAME},
	{.name = "namespace", .help = "", .kind = FIELD_NAME},
	{0},
};

static const struct field relation_fields[] = {
	{.name = "type", .help = "", .kind = FIELD_STRING, .required = true, .pattern = &pattern_relation_type},
	{.name = "target", .help = "Id; may not exist yet", .kind = FIELD_NAME, .required = true},
	{0},
};

static const struct field relation_item = {.name = "", .help = "", .kind = FIELD_OBJECT, .fields = relation_fields};

#define FIELDS_OF_ONE(needed)                                                                                          \
	{.name = "content",                                                                                            \
		.help = "The document; title, text and id in it are known",                                            \
		.kind = FIELD_OBJECT,                                                                                  \
		.required = needed},                                                                                   \
		{.name = "type",                                                                                       \
			.help = "design, decision, trace, sprint, log or a configured type",                           \
			.kind = FIELD_NAME,                                                                            \
			.required = needed},                                                                           \
		{.name = "metadata",                                                                                   \
			.help = "Free; known members are checked",                                                     \
			.kind = FIELD_OBJECT,                                                                          \
			.fields = metadata_fields,                                                                     \
			.open = true},                                                                                 \
		{.name = "relationships",                                                                              \
			.help = "Edges to other contexts; replace the former ones",                                    \
			.kind = FIELD_ARRAY,                                                                           \
			.items = &relation_item,                                                                       \
			.max = CONTEXT_RELATIONS_MAX},                                                                 \
		{.name = "id", .help = "Replaces what is stored under it", .kind = FIELD_NAME},                        \
		{.name = "if_version",                                                                                 \
			.help = "Only if this version is stored; 0: only if absent",                                   \
			.kind = FIELD_INTEGER,                                                                         \
			.max = INT64_MAX},                                                                             \
		{.name = "on_duplicate",                                                                               \
			.help = "Same or nearly the same content",                                                     \
			.kind = FIELD_STRING,                                                                          \
			.values = duplicate_names,                                                                     \
			.fallback = "\"store\""},                                                                      \
	{                                                                                                              \
		.name = "embedding", .help = "", .kind = FIELD_STRING, .values = embedding_names,                      \
		.fallback = "\"auto\""                                                                                 \
	}

static const struct field one_fields[] = {FIELDS_OF_ONE(true), {0}};
static const struct field one_item = {.name = "", .help = "", .kind = FIELD_OBJECT, .fields = one_fields};

/* content and type are required unless contexts is given, which a schema without anyOf cannot say; the handler does. */
const struct field store_context_input[] = {
	FIELDS_OF_ONE(false),
	{.name = "contexts",
		.help = "Instead of content and type: many, each with these arguments",
		.kind = FIELD_ARRAY,
		.items = &one_item,
		.each = true,
		.min = 1,
		.max = STORE_ITEMS_MAX},
	{0},
};

static const struct field backend_fields[] = {
	{.name = "vector", .help = "", .kind = FIELD_STRING},
	{.name = "graph", .help = "", .kind = FIELD_STRING},
	{.name = "text", .help = "", .kind = FIELD_STRING},
	{0},
};

#define RESULTS_OF_ONE                                                                                                 \
	{.name = "id", .help = "", .kind = FIELD_STRING},                                                              \
		{.name = "vector_id", .help = "", .kind = FIELD_STRING, .nullable = true},                             \
		{.name = "graph_id", .help = "", .kind = FIELD_STRING, .nullable = true},                              \
		{.name = "version", .help = "null: nothing new was stored", .kind = FIELD_INTEGER, .nullable = true},  \
		{.name = "embedding_status", .help = "completed, pending, failed or disabled", .kind = FIELD_STRING},  \
		{.name = "relationships_created", .help = "", .kind = FIELD_INTEGER},                                  \
		{.name = "duplicate_of", .help = "", .kind = FIELD_STRING, .nullable = true},                          \
		{.name = "backend_status",                                                                             \
			.help = "ok, pending, failed or disabled",                                                     \
			.kind = FIELD_OBJECT,                                                                          \
			.fields = backend_fields},                                                                     \
	{                                                                                                              \
		.name = "validation_errors", .help = "", .kind = FIELD_ARRAY, .items = &string_item                    \
	}

static const struct field result_fields[] = {
	{.name = "index", .help = "", .kind = FIELD_INTEGER},
	OUTPUT_SUCCESS,
	RESULTS_OF_ONE,
	OUTPUT_FAILURE,
	{0},
};
static const struct field result_item = {.name = "", .help = "", .kind = FIELD_OBJECT, .fields = result_fields};

const struct field store_context_output[] = {
	OUTPUT_SUCCESS,
	RESULTS_OF_ONE,
	{.name = "stored", .help = "", .kind = FIELD_INTEGER},
	{.name = "failed", .help = "", .kind = FIELD_INTEGER},
	{.name = "results", .help = "", .kind = FIELD_ARRAY, .items = &result_item},
	OUTPUT_FAILURE,
	{0},
};

static enum cs_status read_relations(
	const struct tool_call *call, uint32_t array, struct store_item *item, struct cs_error *err)
{
	const struct json_doc *doc = call->doc;
	struct context_relation *relations;
	size_t count = 0;

	if (array == JSON_NONE || doc->nodes[array].count == 0)
		return CS_OK;
	relations = arena_array(call->op->arena, doc->nodes[array].count, sizeof *relations);
	if (!relations)
		return cs_fail_memory(err);
	for (uint32_t node = json_first(doc, array); node != JSON_NONE; node = json_next(doc, array, node)) {
		relations[count].type = arg_str(doc, node, "type", S(""));
		relations[count++].target = arg_str(doc, node, "target", S(""));
	}
	item->relations = relations;
	item->relation_count = count;
	return CS_OK;
}

static enum meaning_when read_when(struct slice embedding)
{
	if (slice_eq(embedding, S("wait")))
		return MEANING_WAIT;
	return slice_eq(embedding, S("later")) ? MEANING_LATER : MEANING_SOON;
}

/* From arguments that fit one_fields. */
static enum cs_status read_item(
	const struct tool_call *call, uint32_t arguments, struct store_item *ret_item, struct cs_error *err)
{
	const struct json_doc *doc = call->doc;
	struct store_item item = {
		.doc = doc,
		.content = arg_get(doc, arguments, "content"),
		.metadata = arg_get(doc, arguments, "metadata"),
		.type = arg_str(doc, arguments, "type", S("")),
		.id = arg_str(doc, arguments, "id", S("")),
		.if_version = arg_i64(doc, arguments, "if_version", CONTEXT_VERSION_ANY),
		.skip_duplicate = slice_eq(arg_str(doc, arguments, "on_duplicate", S("")), S("skip")),
		.when = read_when(arg_str(doc, arguments, "embedding", S("auto"))),
	};
	enum cs_status status = read_relations(call, arg_get(doc, arguments, "relationships"), &item, err);

	if (status == CS_OK)
		*ret_item = item;
	return status;
}

/* How a context stands with its vector: embedding_status, backend_status.vector, and how the message goes on. */
static const struct {
	const char *embedding, *backend, *message;
} meaning_texts[] = {
	[MEANING_DISABLED] = {"disabled", "disabled", "; vectors are off: "},
	[MEANING_COMPLETED] = {"completed", "ok", ""},
	[MEANING_PENDING] = {"pending", "pending", "; its vector follows: "},
	[MEANING_FAILED] = {"failed", "failed", "; it has no vector: "},
};

static void write_stored_message(struct json_writer *w, const struct store_outcome *outcome)
{
	const struct context_put_result *put = &outcome->put;
	const struct meaning *meaning = &outcome->meaning;
	char text[CS_ERROR_TEXT_MAX + 96];

	if (put->version == 0)
		snprintf(text, sizeof text, "not stored again: %s content is there already",
			meaning->near.len > 0 && !meaning->exact ? "nearly the same" : "the same");
	else
		snprintf(text, sizeof text, "stored%s%s" SLICE_FMT, put->version > 1 ? " as a new version" : "",
			meaning_texts[meaning->status].message,
			(int)(meaning->why.len < CS_ERROR_TEXT_MAX ? meaning->why.len : 0), meaning->why.ptr);
	json_key_str(w, "message", slice_cstr(text));
}

static void write_stored(struct json_writer *w, const struct store_outcome *outcome)
{
	const struct context_put_result *put = &outcome->put;
	enum meaning_status meaning = outcome->meaning.status;

	json_key_bool(w, "success", true);
	json_key_str(w, "id", outcome->id);
	if (meaning == MEANING_COMPLETED)
		json_key_str(w, "vector_id", outcome->id);
	else
		json_key_null(w, "vector_id");
	json_key_str(w, "graph_id", outcome->id);
	if (put->version == 0)
		json_key_null(w, "version");
	else
		json_key_u64(w, "version", put->version);
	write_stored_message(w, outcome);
	json_key_str(w, "embedding_status", slice_cstr(meaning_texts[meaning].embedding));
	json_key_u64(w, "relationships_created", put->relationships_created);
	if (put->duplicate_of.len > 0)
		json_key_str(w, "duplicate_of", put->duplicate_of);
	else
		json_key_null(w, "duplicate_of");
	json_write_key(w, S("backend_status"));
	json_begin_object(w);
	json_key_str(w, "vector", slice_cstr(meaning_texts[meaning].backend));
	json_key_str(w, "graph", S("ok"));
	json_key_str(w, "text", S("ok"));
	json_end_object(w);
	json_write_key(w, S("validation_errors"));
	json_write_raw(w, S("[]"));
}

static bool is_validation(enum cs_status status)
{
	return cs_status_http(status) == 400 || status == CS_CONTENT_TOO_LARGE;
}

static void write_failed(struct json_writer *w, enum cs_status status, const struct cs_error *err)
{
	json_key_bool(w, "success", false);
	json_key_str(w, "error_type", slice_cstr(cs_status_type(status)));
	json_key_str(w, "message", slice_cstr(err->text[0] ? err->text : cs_status_text(status)));
	if (status == CS_VERSION_CONFLICT)
		json_key_u64(w, "version", err->version);
	json_write_name(w, S("validation_errors"));
	json_begin_array(w);
	if (is_validation(status))
		json_write_str(w, slice_cstr(err->text));
	json_end_array(w);
}

static enum cs_status store_one(struct tool_call *call, struct cs_error *err)
{
	struct store_outcome outcome;
	struct store_item item;
	enum cs_status status;

	if (arg_get(call->doc, call->arguments, "content") == JSON_NONE)
		return cs_fail(
			err, CS_MISSING_PARAMETER, "content is required: an object (or contexts: a list of many)");
	if (arg_get(call->doc, call->arguments, "type") == JSON_NONE)
		return cs_fail(err, CS_MISSING_PARAMETER,
			"type is required: design, decision, trace, sprint, log or a configured type");
	status = read_item(call, call->arguments, &item, err);
	if (status == CS_OK)
		status = store_contexts(call->store, call->op, &item, 1, &outcome, err);
	if (status != CS_OK)
		return status;
	json_begin_object(call->out);
	if (outcome.put.status == CS_OK)
		write_stored(call->out, &outcome);
	else
		write_failed(call->out, outcome.put.status, &outcome.put.error);
	json_end_object(call->out);
	call->answered = true;
	return outcome.put.status;
}

/* All elements of a list: those that fit, and for the others why not. */
struct batch {
	size_t count, ready;
	struct store_item *items;       /* ready ones, packed */
	struct store_outcome *outcomes; /* of items */
	size_t *item_of;                /* by index; SIZE_MAX: see errors */
	struct cs_error **errors;       /* by index */
};

static enum cs_status read_element(
	struct tool_call *call, struct batch *batch, size_t index, uint32_t node, struct cs_error *err)
{
	struct schema_problems problems = {.arena = call->op->arena};
	struct slice path = arena_printf(call->op->arena, "contexts[%zu]", index);
	struct cs_error why;
	enum cs_status status;

	if (!path.ptr)
		return cs_fail_memory(err);
	if (schema_check(one_fields, call->doc, node, path, &problems))
		status = read_item(call, node, &batch->items[batch->ready], &why);
	else
		status = schema_fail(&problems, &why);
	if (status == CS_OK) {
		batch->item_of[index] = batch->ready++;
		return CS_OK;
	}
	batch->item_of[index] = SIZE_MAX;
	batch->errors[index] = arena_alloc(call->op->arena, sizeof why);
	if (!batch->errors[index])
		return cs_fail_memory(err);
	*batch->errors[index] = why;
	return CS_OK;
}

static enum cs_status read_batch(struct tool_call *call, uint32_t array, struct batch *batch, struct cs_error *err)
{
	struct arena *arena = call->op->arena;
	size_t index = 0;

	batch->count = call->doc->nodes[array].count;
	batch->items = arena_array(arena, batch->count, sizeof *batch->items);
	batch->outcomes = arena_array(arena, batch->count, sizeof *batch->outcomes);
	batch->item_of = arena_array(arena, batch->count, sizeof *batch->item_of);
	batch->errors = arena_array(arena, batch->count, sizeof(struct cs_error *));
	if (!batch->items || !batch->outcomes || !batch->item_of || !batch->errors)
		return cs_fail_memory(err);
	for (uint32_t node = json_first(call->doc, array); node != JSON_NONE;
		node = json_next(call->doc, array, node)) {
		enum cs_status status = read_element(call, batch, index++, node, err);

		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

/* Of the element: CS_OK, or why it is not stored. */
static const struct cs_error *error_of(const struct batch *batch, size_t index)
{
	const struct context_put_result *put;

	if (batch->item_of[index] == SIZE_MAX)
		return batch->errors[index];
	put = &batch->outcomes[batch->item_of[index]].put;
	return put->status == CS_OK ? NULL : &put->error;
}

static enum cs_status write_batch(struct tool_call *call, const struct batch *batch)
{
	struct json_writer *w = call->out;
	const struct cs_error *first = NULL;
	size_t failed = 0;
	bool none_stored;

	for (size_t i = 0; i < batch->count; i++) {
		const struct cs_error *why = error_of(batch, i);

		failed += why != NULL;
		first = first ? first : why;
	}
	none_stored = first && failed == batch->count;
	json_begin_object(w);
	json_key_bool(w, "success", failed == 0);
	json_key_u64(w, "stored", batch->count - failed);
	json_key_u64(w, "failed", failed);
	if (none_stored) {
		json_key_str(w, "error_type", slice_cstr(cs_status_type(first->status)));
		json_key_str(w, "message", slice_cstr(first->text));
	} else {
		json_key_str(w, "message",
			failed == 0 ? S("all stored") : S("some are not stored; results says which and why"));
	}
	json_write_name(w, S("results"));
	json_begin_array(w);
	for (size_t i = 0; i < batch->count; i++) {
		const struct cs_error *why = error_of(batch, i);

		json_begin_object(w);
		json_key_u64(w, "index", i);
		if (why)
			write_failed(w, why->status, why);
		else
			write_stored(w, &batch->outcomes[batch->item_of[i]]);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
	call->answered = true;
	return none_stored ? first->status : CS_OK;
}

static enum cs_status store_many(struct tool_call *call, uint32_t array, struct cs_error *err)
{
	struct batch batch = {0};
	enum cs_status status;

	for (uint32_t node = json_first(call->doc, call->arguments); node != JSON_NONE;
		node = json_next(call->doc, call->arguments, node))
		if (node != array && json_type_of(call->doc, node) != JSON_NULL)
			return cs_fail(err, CS_VALIDATION,
				"contexts takes the place of " SLICE_FMT ": give one or the other",
				SLICE_ARG(json_key(call->doc, node)));
	status = read_batch(call, array, &batch, err);
	if (status == CS_OK && batch.ready > 0)
		status = store_contexts(call->store, call->op, batch.items, batch.ready, batch.outcomes, err);
	return status != CS_OK ? status : write_batch(call, &batch);
}

enum cs_status store_context_run(struct tool_call *call, struct cs_error *err)
{
	uint32_t array = arg_get(call->doc, call->arguments, "contexts");

	return array == JSON_NONE ? store_one(call, err) : store_many(call, array, err);
}
