/* retrieve_context: the question out of the arguments, the page into the reply.
 *
 * max_tokens. A token is taken as four bytes of the reply's JSON, which is near for English and code and too few for
 * other scripts; the reply stands twice in a tool result (as object and as text), and the budget is for one. Hits are
 * written while they fit; then truncated is true and next_cursor goes on with the first one left out. A first hit too
 * large for the whole budget is given with its content cut to {"excerpt": ...}, so that each page makes progress; ids
 * reads it whole.
 *
 * A cursor belongs to what decides ranking and matches: query, type, mode, filters, threshold, order, excluded sources,
 * ids. limit, max_tokens, explain and include_relationships may change from page to page.
 *
 * The query cache is looked at first, also on an event loop, where the question is only spelled and looked up: whether it
 * makes sense was checked when it was answered. A remembered reply is the former one but for its backends and their
 * timings, which name the cache. */
#include <xxhash.h>

#include "mcp/retrieve_hits.h"
#include "mcp/tool_rows.h"
#include "store/contexts.h"
#include "store/cursor.h"
#include "store/filter.h"
#include "store/query_cache.h"

#define BYTES_PER_TOKEN 4
#define ENVELOPE_BYTES  640 /* of the reply around its results, at most */
#define TOKENS_MIN      256
#define LOOP_REPLY_MAX  (16u << 10) /* a longer one is a worker's to write */

_Static_assert(TOKENS_MIN *BYTES_PER_TOKEN > ENVELOPE_BYTES + 200, "the smallest budget holds the smallest excerpt");
_Static_assert(CONTEXT_ID_MAX <= CURSOR_TEXT_MAX, "a page begins behind an id");
_Static_assert(RETRIEVE_LIMIT_DEFAULT == 10, "the default below says so");

static const char *const order_names[] = {"relevance", "timestamp", NULL};
static const struct field name_item = {.name = "", .help = "", .kind = FIELD_NAME};
static const struct field string_item = {.name = "", .help = "", .kind = FIELD_STRING};

static const struct field filter_fields[] = {
	{.name = "date_from", .help = "RFC 3339", .kind = FIELD_STRING, .min = 1, .max = 40},
	{.name = "date_to", .help = "", .kind = FIELD_STRING, .min = 1, .max = 40},
	{.name = "status", .help = "", .kind = FIELD_NAME},
	{.name = "tags", .help = "All of", .kind = FIELD_ARRAY, .items = &name_item, .max = CONTEXT_TAGS_MAX},
	{.name = "metadata", .help = "{key: value | [values] | {gte, lte}}", .kind = FIELD_OBJECT},
	{.name = "agent_id", .help = "", .kind = FIELD_NAME},
	{.name = "namespace", .help = "", .kind = FIELD_NAME},
	{0},
};

const struct field retrieve_context_input[] = {
	{.name = "query",
		.help = "What to find; * lists everything, newest first",
		.kind = FIELD_STRING,
		.max = RETRIEVE_QUERY_MAX}, /* empty beside ids: some clients fill in what they were not given */
	{.name = "ids",
		.help = "Instead of query and what narrows it: read exactly these, all at once unless limit is given",
		.kind = FIELD_ARRAY,
		.items = &name_item,
		.min = 1,
		.max = RETRIEVE_LIMIT_MAX},
	{.name = "type", .help = "", .kind = FIELD_NAME, .fallback = "\"all\""},
	{.name = "search_mode",
		.help = "By meaning (vector), words (text) or both; graph and kv do not exist yet",
		.kind = FIELD_STRING,
		.values = retrieve_mode_names,
		.fallback = "\"hybrid\""},
	{.name = "limit", .help = "", .kind = FIELD_INTEGER, .min = 1, .max = RETRIEVE_LIMIT_MAX, .fallback = "10"},
	{.name = "filters", .help = "", .kind = FIELD_OBJECT, .fields = filter_fields},
	{.name = "score_threshold",
		.help = "Words score relative to the best hit",
		.kind = FIELD_NUMBER,
		.min = 0,
		.max = 1},
	{.name = "include_relationships", .help = "", .kind = FIELD_BOOLEAN, .fallback = "false"},
	{.name = "sort_by", .help = "", .kind = FIELD_STRING, .values = order_names, .fallback = "\"relevance\""},
	{.name = "exclude_sources", .help = "", .kind = FIELD_ARRAY, .items = &name_item, .max = 64},
	{.name = "max_tokens",
		.help = "Budget of the reply, 4 bytes a token",
		.kind = FIELD_INTEGER,
		.min = TOKENS_MIN,
		.max = 1000000},
	{.name = "cursor",
		.help = "next_cursor of the former page",
		.kind = FIELD_STRING,
		.min = 1,
		.max = CURSOR_SIZE_MAX},
	{.name = "use_cache", .help = "", .kind = FIELD_BOOLEAN, .fallback = "true"},
	{.name = "explain", .help = "Say how each hit was ranked", .kind = FIELD_BOOLEAN, .fallback = "false"},
	{0},
};

static const struct field relation_fields[] = {
	{.name = "type", .help = "", .kind = FIELD_STRING},
	{.name = "target", .help = "", .kind = FIELD_STRING},
	{0},
};
static const struct field relation_item = {.name = "", .help = "", .kind = FIELD_OBJECT, .fields = relation_fields};

static const struct field hit_fields[] = {
	{.name = "id", .help = "", .kind = FIELD_STRING},
	{.name = "content", .help = "", .kind = FIELD_OBJECT},
	{.name = "content_truncated",
		.help = "content is only an excerpt; read it whole by ids",
		.kind = FIELD_BOOLEAN},
	{.name = "score",
		.help = "text: divided by the best of all; vector: cosine; hybrid: four fifths cosine, one fifth words",
		.kind = FIELD_NUMBER,
		.max = 1},
	{.name = "type", .help = "", .kind = FIELD_STRING},
	{.name = "metadata", .help = "", .kind = FIELD_OBJECT},
	{.name = "created_at", .help = "", .kind = FIELD_STRING},
	{.name = "version", .help = "", .kind = FIELD_INTEGER},
	{.name = "source", .help = "", .kind = FIELD_STRING, .nullable = true},
	{.name = "relationships", .help = "", .kind = FIELD_ARRAY, .items = &relation_item},
	{.name = "explain", .help = "{vector, text, graph, recency}: {rank, score} or null", .kind = FIELD_OBJECT},
	{0},
};
static const struct field hit_item = {.name = "", .help = "", .kind = FIELD_OBJECT, .fields = hit_fields};

const struct field retrieve_context_output[] = {
	OUTPUT_SUCCESS,
	{.name = "results", .help = "", .kind = FIELD_ARRAY, .items = &hit_item},
	{.name = "total_count", .help = "All that match, whatever the page", .kind = FIELD_INTEGER},
	{.name = "next_cursor", .help = "There is more", .kind = FIELD_STRING},
	{.name = "not_found",
		.help = "The ids under which there is no context",
		.kind = FIELD_ARRAY,
		.items = &string_item},
	{.name = "search_mode_used", .help = "hybrid, vector, text, ids or list", .kind = FIELD_STRING},
	{.name = "backend_timings", .help = "Milliseconds by name", .kind = FIELD_OBJECT},
	{.name = "backends_used",
		.help = "cache: answered before, and nothing has changed since",
		.kind = FIELD_ARRAY,
		.items = &string_item},
	{.name = "degraded", .help = "What was missing", .kind = FIELD_ARRAY, .items = &string_item},
	{.name = "truncated", .help = "max_tokens left something out", .kind = FIELD_BOOLEAN},
	OUTPUT_FAILURE,
	{0},
};

/* What is asked, beyond the domain's part. */
struct question {
	struct retrieve_request request;
	uint64_t hash;
	struct hits_form form;
};

static const char *const binding_names[] = {
	"query", "ids", "type", "search_mode", "filters", "score_threshold", "sort_by", "exclude_sources"};

static enum cs_status hash_question(const struct tool_call *call, uint64_t *ret_hash, struct cs_error *err)
{
	struct buffer text;
	struct json_writer w = json_writer(&text);
	enum cs_status status;

	buffer_init(&text, SIZE_MAX / 2);
	json_begin_array(&w);
	for (size_t i = 0; i < sizeof binding_names / sizeof binding_names[0]; i++) {
		uint32_t node = arg_get(call->doc, call->arguments, binding_names[i]);

		if (node == JSON_NONE)
			json_write_null(&w);
		else
			json_write_node(&w, call->doc, node);
	}
	json_end_array(&w);
	status = buffer_status(&text, err);
	if (status == CS_OK)
		*ret_hash = XXH3_64bits(text.ptr, text.len);
	buffer_release(&text);
	return status;
}

static enum retrieve_mode mode_of(const struct tool_call *call)
{
	struct slice name = arg_str(call->doc, call->arguments, "search_mode", S("hybrid"));
	int mode = 0;

	while (!slice_eq(slice_cstr(retrieve_mode_names[mode]), name))
		mode++;
	return (enum retrieve_mode)mode;
}

static enum cs_status read_filter(struct tool_call *call, struct context_filter *filter, struct cs_error *err)
{
	const struct json_doc *doc = call->doc;
	struct slice *type;
	enum cs_status status;

	*filter = filter_none();
	status = filter_read(call->op, doc, arg_get(doc, call->arguments, "filters"), filter, err);
	if (status == CS_OK)
		status = filter_read_strings(call->op, doc, arg_get(doc, call->arguments, "exclude_sources"),
			&filter->exclude_sources, &filter->exclude_source_count, err);
	if (status != CS_OK)
		return status;
	type = arena_zalloc(call->op->arena, sizeof *type);
	if (!type)
		return cs_fail_memory(err);
	*type = arg_str(doc, call->arguments, "type", S("all"));
	if (slice_eq(*type, S("all")))
		return CS_OK;
	filter->types = type;
	filter->type_count = 1;
	return store_check_type(call->store, *type, err);
}

static enum cs_status read_place(struct tool_call *call, struct question *question, struct cs_error *err)
{
	struct slice text = arg_str(call->doc, call->arguments, "cursor", S(""));
	struct cursor cursor;
	enum cs_status status = hash_question(call, &question->hash, err);

	if (status == CS_OK && text.len > 0) {
		status = cursor_read(call->op->arena, text, question->hash, &cursor, err);
		if (status == CS_OK) {
			question->request.offset = (size_t)cursor.number;
			question->request.behind = cursor.text;
			question->request.mark = cursor.mark;
		}
	}
	return status;
}

static enum cs_status read_question(struct tool_call *call, struct question *question, struct cs_error *err)
{
	const struct json_doc *doc = call->doc;
	uint32_t arguments = call->arguments;
	struct retrieve_request *request = &question->request;
	int64_t tokens = arg_i64(doc, arguments, "max_tokens", 0);
	enum cs_status status;

	request->query = arg_str(doc, arguments, "query", S(""));
	request->mode = mode_of(call);
	request->order =
		slice_eq(arg_str(doc, arguments, "sort_by", S("")), S("timestamp")) ? TEXT_BY_DATE : TEXT_BY_SCORE;
	request->score_threshold = arg_f64(doc, arguments, "score_threshold", 0);
	request->with_relations = arg_bool(doc, arguments, "include_relationships", false);
	request->with_ranks = arg_bool(doc, arguments, "explain", false);
	question->form = (struct hits_form){
		.with_relations = request->with_relations,
		.explain = request->with_ranks,
		.by_date = request->order == TEXT_BY_DATE,
		.budget = tokens ? (size_t)tokens * BYTES_PER_TOKEN - ENVELOPE_BYTES : SIZE_MAX,
	};
	status = filter_read_strings(
		call->op, doc, arg_get(doc, arguments, "ids"), &request->ids, &request->id_count, err);
	if (status == CS_OK && request->id_count == 0 && request->query.len == 0)
		return cs_fail(err,
			arg_get(doc, arguments, "query") == JSON_NONE ? CS_MISSING_PARAMETER : CS_VALIDATION,
			"query is required and may not be empty: the words to find (or ids: what to read)");
	request->limit = (size_t)arg_i64(
		doc, arguments, "limit", request->id_count > 0 ? RETRIEVE_LIMIT_MAX : RETRIEVE_LIMIT_DEFAULT);
	if (status == CS_OK)
		status = read_filter(call, &request->filter, err);
	return status == CS_OK ? read_place(call, question, err) : status;
}

/* What was not asked has taken no time and is left out. */
static void write_timing(struct json_writer *w, const char *name, int64_t elapsed_ns)
{
	if (elapsed_ns > 0)
		json_key_f64(w, name, (double)(elapsed_ns / 1000) / 1000);
}

/* Where in the output stands what a remembered reply has of its own. */
struct reply_parts {
	size_t start, head_end, tail_start;
};

static void write_backends(struct json_writer *w, const struct retrieve_result *result, const char *backends)
{
	json_write_name(w, S("backend_timings"));
	json_begin_object(w);
	write_timing(w, "embed", result->embed_ns);
	write_timing(w, "vector", result->vector_ns);
	write_timing(w, "text", result->search_ns);
	write_timing(w, "contexts", result->load_ns);
	json_end_object(w);
	json_key_raw(w, "backends_used", slice_cstr(backends));
}

static void write_ways(struct json_writer *w, const struct retrieve_result *result, struct reply_parts *parts)
{
	static const struct {
		const char *mode, *backends;
	} ways[] = {
		[RETRIEVED_BY_TEXT] = {"text", "[\"text\"]"},
		[RETRIEVED_BY_ID] = {"ids", "[\"contexts\"]"},
		[RETRIEVED_ALL] = {"list", "[\"contexts\"]"},
		[RETRIEVED_BY_VECTOR] = {"vector", "[\"vector\"]"},
		[RETRIEVED_HYBRID] = {"hybrid", "[\"vector\",\"text\"]"},
	};

	json_key_str(w, "search_mode_used", slice_cstr(ways[result->way].mode));
	parts->head_end = w->out->len;
	write_backends(w, result, ways[result->way].backends);
	parts->tail_start = w->out->len;
	json_write_name(w, S("degraded"));
	json_begin_array(w);
	for (size_t i = 0; i < result->degraded_count; i++)
		json_write_str(w, result->degraded[i]);
	json_end_array(w);
}

static void write_message(struct json_writer *w, const struct question *question, const struct retrieve_result *result,
	size_t written, bool truncated)
{
	char text[160];

	if (result->no_words)
		snprintf(text, sizeof text,
			"the query has no word in it, so nothing was searched; use words, or * for everything");
	else if (result->way == RETRIEVED_BY_ID)
		snprintf(text, sizeof text, "%zu shown, %llu of %llu ids found%s%s" SLICE_FMT, written,
			(unsigned long long)result->total, (unsigned long long)result->total + result->not_found_count,
			truncated ? "; max_tokens is used up" : "",
			result->unused.len > 0 ? "; not used beside ids: " : "", SLICE_ARG(result->unused));
	else
		snprintf(text, sizeof text, "%zu of %llu shown%s", written, (unsigned long long)result->total,
			truncated ? "; max_tokens is used up" : "");
	json_key_str(w, "message", slice_cstr(text));
}

static enum cs_status write_page(struct tool_call *call, struct question *question,
	const struct retrieve_result *result, struct reply_parts *parts, struct cs_error *err)
{
	struct json_writer *w = call->out;
	struct cursor next = {.question = question->hash};
	struct slice cursor = {NULL, 0};
	bool truncated;
	size_t written;

	parts->start = w->out->len;
	json_begin_object(w);
	json_key_bool(w, "success", true);
	truncated = hits_write_not_found(w, &question->form, result);
	written = hits_write(w, &question->form, result, &truncated);
	if (written > 0 && result->hits[written - 1].place + 1 < result->end) {
		const struct retrieve_hit *last = &result->hits[written - 1];

		next.number = last->place + 1;
		/* Places among ids are the client's own and do not shift. */
		next.text = result->way == RETRIEVED_BY_ID ? S("") : last->context.id;
		next.mark = result->mark;
		cursor = cursor_write(call->op->arena, &next);
		if (!cursor.ptr)
			return cs_fail_memory(err);
	}
	json_key_u64(w, "total_count", result->total);
	if (cursor.ptr)
		json_key_str(w, "next_cursor", cursor);
	write_ways(w, result, parts);
	json_key_bool(w, "truncated", truncated);
	write_message(w, question, result, written, truncated);
	json_end_object(w);
	return CS_OK;
}

/* The question as the cache knows it: every argument but use_cache, in the table's order, null for one left out. Empty:
 * not to be looked up. */
static void spell_question(const struct tool_call *call, struct buffer *out)
{
	struct json_writer w = json_writer(out);

	if (!call->store->queries || !call->store->contexts.generation ||
		!arg_bool(call->doc, call->arguments, "use_cache", true))
		return;
	json_begin_array(&w);
	for (const struct field *field = retrieve_context_input; field->name; field++) {
		uint32_t node = arg_get(call->doc, call->arguments, field->name);

		if (node == JSON_NONE || strcmp(field->name, "use_cache") == 0)
			json_write_null(&w);
		else
			json_write_node(&w, call->doc, node);
	}
	json_end_array(&w);
	if (out->failed)
		buffer_clear(out);
}

/* True: the reply stands in the output. */
static bool give_remembered(struct tool_call *call, struct slice question, uint64_t generation)
{
	int64_t start_ns = clock_mono_ns();
	struct buffer *out = call->out->out;
	struct json_writer timings = json_writer(out);
	struct query_answer answer;
	bool given;

	if (!query_cache_get(call->store->queries, question, generation, &answer))
		return false;
	given = call->op->may_wait || answer.head.len + answer.tail.len <= LOOP_REPLY_MAX;
	if (given) {
		buffer_append(out, answer.head);
		buffer_append(out, S(",\"backend_timings\":"));
		json_begin_object(&timings);
		write_timing(&timings, "cache", clock_mono_ns() - start_ns);
		json_end_object(&timings);
		buffer_append(out, S(",\"backends_used\":[\"cache\"]"));
		buffer_append(out, answer.tail);
		query_cache_count_hit(call->store->queries);
	}
	query_answer_release(&answer);
	return given;
}

static void remember(
	const struct tool_call *call, struct slice question, uint64_t generation, const struct reply_parts *parts)
{
	const struct buffer *out = call->out->out;

	if (!out->failed)
		query_cache_put(call->store->queries, question, generation,
			slice_of(out->ptr + parts->start, parts->head_end - parts->start),
			slice_of(out->ptr + parts->tail_start, out->len - parts->tail_start));
}

static enum cs_status find(struct tool_call *call, struct slice asked, uint64_t generation, struct cs_error *err)
{
	struct question question = {0};
	struct retrieve_result result;
	struct reply_parts parts = {0};
	enum cs_status status = read_question(call, &question, err);

	if (status == CS_OK)
		status = retrieve_contexts(call->store, call->op, &question.request, &result, err);
	if (status == CS_OK)
		status = write_page(call, &question, &result, &parts, err);
	if (status == CS_OK && asked.len > 0 && !result.passing)
		remember(call, asked, generation, &parts);
	return status;
}

enum cs_status retrieve_context_run(struct tool_call *call, struct cs_error *err)
{
	struct buffer asked;
	uint64_t generation = 0;
	enum cs_status status = CS_OK;
	bool given = false;

	buffer_init(&asked, SIZE_MAX / 2);
	spell_question(call, &asked);
	if (asked.len > 0) {
		generation = call->store->contexts.generation(call->store->contexts.self);
		given = give_remembered(call, buffer_slice(&asked), generation);
		if (!given && call->op->may_wait)
			query_cache_count_miss(call->store->queries);
	}
	if (!given && !call->op->may_wait)
		status = cs_fail(err, CS_WOULD_WAIT, "the answer is not in memory");
	else if (!given)
		status = find(call, buffer_slice(&asked), generation, err);
	buffer_release(&asked);
	return status;
}
