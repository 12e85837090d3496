/* Search first, load after: the ranking is made of ids and scores, and only the page's documents are read.
 *
 * A context removed between the two steps is left out of its page; the ranking itself came from one moment. */
#include "store/retrieve.h"

#include <math.h>
#include <stdarg.h>

#include "store/embedding.h"
#include "store/hybrid.h"
#include "store/score.h"

/* Where the last hit of the former page is looked for: more is stored than removed, and a list is newest first. */
#define NEAR_BEFORE    20u
#define NEAR           100u
#define NEAR_BYTES     (128u << 20)
#define NOT_WHOLE      "hits may repeat or be missing"

#define SEARCHES_AGAIN 2

const char *const retrieve_mode_names[RETRIEVE_MODE_COUNT + 1] = {
	[RETRIEVE_VECTOR] = "vector",
	[RETRIEVE_GRAPH] = "graph",
	[RETRIEVE_KV] = "kv",
	[RETRIEVE_TEXT] = "text",
	[RETRIEVE_HYBRID] = "hybrid",
	[RETRIEVE_AUTO] = "auto",
};

static enum cs_status check_mode(enum retrieve_mode mode, struct cs_error *err)
{
	if (mode != RETRIEVE_GRAPH && mode != RETRIEVE_KV)
		return CS_OK;
	return cs_fail(err, CS_VALIDATION,
		"search_mode %s does not exist yet; modes that do: text, vector, hybrid, auto%s",
		retrieve_mode_names[mode], mode == RETRIEVE_KV ? " (get_agent_state reads agent state)" : "");
}

static void __attribute__((format(printf, 3, 4)))
note(struct op *op, struct retrieve_result *result, const char *format, ...)
{
	char text[CS_ERROR_TEXT_MAX + 128];
	struct slice kept;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	kept = arena_copy(op->arena, slice_cstr(text));
	if (kept.ptr && result->degraded_count < RETRIEVE_DEGRADED_MAX)
		result->degraded[result->degraded_count++] = kept;
}

struct argument {
	const char *name;
	bool given;
};

/* The names of those that are given, with commas; false: none is. */
static bool list_given(const struct argument *arguments, size_t count, char *names, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < count; i++)
		if (arguments[i].given)
			length += (size_t)snprintf(
				names + length, size - length, "%s%s", length ? ", " : "", arguments[i].name);
	return length > 0;
}

/* Beside ids, what would leave some out contradicts them, and all of it is named at once, so that a model mends its call
 * in one go. What says how to search is merely of no use. */
static enum cs_status check_beside_ids(
	struct op *op, const struct retrieve_request *request, struct retrieve_result *result, struct cs_error *err)
{
	const struct context_filter *filter = &request->filter;
	const struct argument excluded[] = {
		{"type", filter->type_count > 0},
		{"filters", filter->tag_count > 0 || filter->predicate_count > 0 || filter->status.len > 0 ||
				    filter->agent_id.len > 0 || filter->namespace_.len > 0 ||
				    filter->date_from != CONTEXT_NO_DATE || filter->date_to != CONTEXT_NO_DATE},
		{"score_threshold", request->score_threshold > 0},
		{"exclude_sources", filter->exclude_source_count > 0},
	};
	const struct argument unused[] = {
		{"query", request->query.len > 0},
		{"search_mode", request->mode != RETRIEVE_HYBRID && request->mode != RETRIEVE_AUTO},
		{"sort_by", request->order != TEXT_BY_SCORE},
	};
	char names[128];

	if (list_given(excluded, sizeof excluded / sizeof *excluded, names, sizeof names))
		return cs_fail(err, CS_VALIDATION,
			"%s cannot be combined with ids, which names exactly the contexts to return, in their order; "
			"leave out either",
			names);
	if (list_given(unused, sizeof unused / sizeof *unused, names, sizeof names))
		result->unused = arena_copy(op->arena, slice_cstr(names));
	return CS_OK;
}

/* All places one behind the other, from `place` on. */
static enum cs_status give(struct op *op, const struct context *contexts, size_t count, size_t place,
	struct retrieve_result *result, struct cs_error *err)
{
	result->hits = arena_array(op->arena, count, sizeof *result->hits);
	if (!result->hits)
		return cs_fail_memory(err);
	for (size_t i = 0; i < count; i++)
		result->hits[i] = (struct retrieve_hit){
			.context = contexts[i], .place = place + i, .score = 1, .similarity = NAN};
	result->count = count;
	return CS_OK;
}

/* Each id once, in the order given. */
static size_t drop_repeats(const struct slice *ids, size_t count, struct slice *unique)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		bool seen = false;

		for (size_t j = 0; j < kept && !seen; j++)
			seen = slice_eq(unique[j], ids[i]);
		if (!seen)
			unique[kept++] = ids[i];
	}
	return kept;
}

/* Contexts come in the order of the ids: one walk over both tells what is missing and gives the page. */
static enum cs_status give_ids(struct op *op, const struct retrieve_request *request, const struct slice *ids,
	size_t id_count, const struct context *contexts, size_t count, struct retrieve_result *result,
	struct cs_error *err)
{
	struct slice *missing = arena_array(op->arena, id_count - count, sizeof *missing);
	size_t found = 0, kept = 0;
	enum cs_status status = give(op, contexts, count, 0, result, err);

	if (status != CS_OK)
		return status;
	if (!missing)
		return cs_fail_memory(err);
	for (size_t place = 0; place < id_count; place++) {
		if (found == count || !slice_eq(ids[place], contexts[found].id)) {
			missing[result->not_found_count++] = ids[place];
			continue;
		}
		result->hits[found].place = place;
		result->end = place + 1;
		if (place >= request->offset && kept < request->limit)
			result->hits[kept++] = result->hits[found];
		found++;
	}
	result->not_found = missing;
	result->count = kept;
	return CS_OK;
}

static enum cs_status by_id(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, struct cs_error *err)
{
	struct slice *ids = arena_array(op->arena, request->id_count, sizeof *ids);
	struct context *contexts;
	int64_t start = clock_mono_ns();
	size_t id_count, count;
	enum cs_status status;

	if (!ids)
		return cs_fail_memory(err);
	id_count = drop_repeats(request->ids, request->id_count, ids);
	status = store->contexts.get(
		store->contexts.self, op, ids, id_count, NULL, request->with_relations, &contexts, &count, err);
	if (status != CS_OK)
		return status;
	result->load_ns = clock_mono_ns() - start;
	result->way = RETRIEVED_BY_ID;
	result->total = count;
	return give_ids(op, request, ids, id_count, contexts, count, result, err);
}

static enum cs_status all_of_them(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, struct cs_error *err)
{
	int64_t start = clock_mono_ns();
	struct context *contexts;
	uint64_t total;
	size_t count;
	enum cs_status status = store->contexts.list(store->contexts.self, op, &request->filter, request->offset,
		request->limit, request->with_relations, &contexts, &count, &total, err);

	if (status != CS_OK)
		return status;
	result->load_ns = clock_mono_ns() - start;
	result->way = RETRIEVED_ALL;
	result->total = result->end = total;
	return give(op, contexts, count, request->offset, result, err);
}

/* Contexts come in the order of the hits: one walk over both matches them. One may be gone, or no longer pass the filter,
 * since it was ranked. */
static enum cs_status load_hits(struct store *store, struct op *op, const struct retrieve_request *request,
	const struct hybrid_hit *hits, size_t hit_count, struct retrieve_result *result, struct cs_error *err)
{
	struct slice *ids = arena_array(op->arena, hit_count, sizeof *ids);
	int64_t start = clock_mono_ns();
	struct context *contexts = NULL;
	size_t count = 0, at = 0;
	enum cs_status status = CS_OK;

	if (!ids)
		return cs_fail_memory(err);
	for (size_t i = 0; i < hit_count; i++)
		ids[i] = hits[i].id;
	if (hit_count > 0)
		status = store->contexts.get(store->contexts.self, op, ids, hit_count, &request->filter,
			request->with_relations, &contexts, &count, err);
	if (status == CS_OK)
		status = give(op, contexts, count, request->offset, result, err);
	if (status != CS_OK)
		return status;
	for (size_t i = 0; i < count; i++, at++) {
		struct retrieve_hit *to = &result->hits[i];

		while (at + 1 < hit_count && !slice_eq(hits[at].id, contexts[i].id))
			at++;
		to->place = request->offset + at;
		to->score = hits[at].score;
		to->text_score = hits[at].text_score;
		to->text_rank = hits[at].text_rank;
		to->similarity = hits[at].similarity;
		to->vector_rank = hits[at].vector_rank;
	}
	result->load_ns = clock_mono_ns() - start;
	result->short_of = hit_count - count;
	return CS_OK;
}

static enum cs_status by_words(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, struct cs_error *err)
{
	struct text_query query = {
		.text = request->query,
		.filter = &request->filter,
		.order = request->order,
		.offset = request->offset,
		.limit = request->limit,
	};
	int64_t start = clock_mono_ns();
	struct text_result found;
	struct hybrid_hit *hits;
	enum cs_status status = score_search(&store->text, op, &query, request->score_threshold, &found, err);

	if (status != CS_OK)
		return status;
	hits = arena_array(op->arena, found.count, sizeof *hits);
	if (!hits)
		return cs_fail_memory(err);
	/* By date the ranks of the words are not known. */
	for (size_t i = 0; i < found.count; i++)
		hits[i] = (struct hybrid_hit){.id = found.hits[i].id,
			.score = score_normalise(found.hits[i].score, found.top_score),
			.similarity = NAN,
			.text_score = found.hits[i].score,
			.text_rank = request->order == TEXT_BY_SCORE ? request->offset + i + 1 : 0};
	result->search_ns = clock_mono_ns() - start;
	result->way = RETRIEVED_BY_TEXT;
	result->total = result->end = found.total;
	result->no_words = found.no_words;
	return load_hits(store, op, request, hits, found.count, result, err);
}

static void note_bounds(struct op *op, const struct hybrid_result *found, struct retrieve_result *result)
{
	bool by_vector = result->way == RETRIEVED_BY_VECTOR;

	if (found->unsearched > 0)
		note(op, result, "vector: %llu context%s without a vector %s%s", (unsigned long long)found->unsearched,
			found->unsearched > 1 ? "s" : "", found->unsearched > 1 ? "were" : "was",
			by_vector ? " not searched" : " searched by words only");
	if (found->bounded)
		note(op, result, "sort_by timestamp: only the %d best of all matches were put in order", HYBRID_WINDOW);
	if (found->words_cut)
		note(op, result, "total_count leaves out contexts without a vector beyond the first %d found by words",
			HYBRID_TEXT_ALL);
}

static enum cs_status by_vector(struct store *store, struct op *op, const struct retrieve_request *request,
	const float *vector, uint32_t dimension, struct retrieve_result *result, struct cs_error *err)
{
	const struct hybrid_query query = {
		.text = request->mode == RETRIEVE_VECTOR ? S("") : request->query,
		.vector = vector,
		.dimension = dimension,
		.filter = &request->filter,
		.order = request->order,
		.threshold = request->score_threshold,
		.offset = request->offset,
		.limit = request->limit,
		.with_ranks = request->with_ranks,
	};
	struct hybrid_result found;
	enum cs_status status = hybrid_search(store, op, &query, &found, err);

	if (status != CS_OK)
		return status;
	result->way = request->mode == RETRIEVE_VECTOR ? RETRIEVED_BY_VECTOR : RETRIEVED_HYBRID;
	result->total = result->end = found.total;
	result->vector_ns = found.vector_ns;
	result->search_ns = found.text_ns;
	note_bounds(op, &found, result);
	return load_hits(store, op, request, found.hits, found.count, result, err);
}

/* Is it the vectors that are missing, so that words may answer? */
static bool lacks_vectors(enum cs_status status)
{
	return status == CS_EMBEDDING_UNAVAILABLE || status == CS_VALIDATION || status == CS_RATE_LIMIT ||
	       status == CS_LIMIT_EXCEEDED || status == CS_UNAVAILABLE || status == CS_TIMEOUT;
}

static enum cs_status by_meaning(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, struct cs_error *err)
{
	struct embedding_service *embedding = store->vectors.search ? store->embedding : NULL;
	int64_t start = clock_mono_ns();
	struct embed_model model;
	const float *vector;
	struct cs_error why;
	enum cs_status status = embedding_query(embedding, op, request->query, &vector, &model, &why);

	result->embed_ns = clock_mono_ns() - start;
	if (status == CS_OK)
		status = by_vector(store, op, request, vector, model.dimension, result, &why);
	if (status == CS_OK)
		return CS_OK;
	if (request->mode == RETRIEVE_VECTOR || !lacks_vectors(status) || op_check(op, NULL) != CS_OK) {
		if (err)
			*err = why;
		return status;
	}
	note(op, result, "vector: %s; answered from text", why.text);
	result->passing = !embedding_is_off(embedding);
	return by_words(store, op, request, result, err);
}

static enum cs_status search_once(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, struct cs_error *err)
{
	if (slice_eq(slice_trim(request->query), S("*")))
		return all_of_them(store, op, request, result, err);
	if (request->mode == RETRIEVE_TEXT)
		return by_words(store, op, request, result, err);
	return by_meaning(store, op, request, result, err);
}

/* Everything but ids. Where contexts went between ranking and loading, others have their place: it is ranked again. */
static enum cs_status search(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, struct cs_error *err)
{
	const struct retrieve_result empty = *result;
	enum cs_status status = search_once(store, op, request, result, err);

	for (int again = 0; status == CS_OK && result->short_of > 0 && again < SEARCHES_AGAIN; again++) {
		*result = empty;
		status = search_once(store, op, request, result, err);
	}
	if (status == CS_OK && result->short_of > 0)
		note(op, result, "contexts changed while they were read: %zu that were found left out",
			result->short_of);
	return status;
}

static uint64_t mark_of(const struct store *store)
{
	return store->contexts.generation ? store->contexts.generation(store->contexts.self) : 0;
}

/* Where the page behind request->behind begins now; not touched where that is not near its old place. Costs what a page
 * costs. */
static enum cs_status find_again(struct store *store, struct op *op, const struct retrieve_request *request,
	size_t *ret_offset, bool *ret_found, struct cs_error *err)
{
	struct retrieve_request nearby = *request;
	struct retrieve_result result = {0};
	struct arena scratch;
	struct op inner = *op;
	enum cs_status status;

	nearby.offset = request->offset > NEAR_BEFORE ? request->offset - NEAR_BEFORE : 0;
	nearby.limit = NEAR;
	nearby.with_relations = false;
	arena_init(&scratch, NULL, 0, NEAR_BYTES);
	inner.arena = &scratch;
	status = search(store, &inner, &nearby, &result, err);
	for (size_t i = 0; status == CS_OK && i < result.count; i++)
		if (slice_eq(result.hits[i].context.id, request->behind)) {
			*ret_offset = result.hits[i].place + 1;
			*ret_found = true;
		}
	arena_release(&scratch);
	/* Too much text nearby: the page itself may still fit. */
	return status == CS_LIMIT_EXCEEDED ? CS_OK : status;
}

/* In these a context keeps its place relative to every other, whatever is stored. */
static bool order_is_lasting(const struct retrieve_request *request, const struct retrieve_result *result)
{
	return result->way == RETRIEVED_ALL ||
	       (result->way == RETRIEVED_BY_TEXT && request->order == TEXT_BY_DATE && request->score_threshold <= 0);
}

/* The page, looked at together with the hit before it, which must be the one it goes on behind. The number of a commit
 * cannot tell that: readers see a commit a moment before it has one. */
static enum cs_status search_behind(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, bool *ret_right, struct cs_error *err)
{
	struct retrieve_request wider = *request;
	enum cs_status status;

	wider.offset--;
	wider.limit++;
	status = search(store, op, &wider, result, err);
	if (status != CS_OK)
		return status;
	*ret_right = result->count > 0 && slice_eq(result->hits[0].context.id, request->behind);
	if (result->count > 0 && result->hits[0].place < request->offset) {
		result->hits++;
		result->count--;
	}
	return CS_OK;
}

static enum cs_status next_page(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *result, struct cs_error *err)
{
	const struct retrieve_result empty = *result;
	struct retrieve_request moved = *request;
	bool found = true, right = false;
	enum cs_status status = CS_OK;

	for (int again = 0; status == CS_OK && found && !right && again <= SEARCHES_AGAIN; again++) {
		*result = empty;
		found = false;
		status = find_again(store, op, &moved, &moved.offset, &found, err);
		if (status == CS_OK)
			status = found ? search_behind(store, op, &moved, result, &right, err)
				       : search(store, op, &moved, result, err);
	}
	if (status != CS_OK)
		return status;
	if (!found)
		note(op, result,
			"contexts changed since the former page, and its last hit is not near its place any "
			"more: " NOT_WHOLE);
	else if (!order_is_lasting(request, result) && (result->mark || moved.offset != request->offset))
		note(op, result,
			"contexts changed since the former page: this one goes on behind its last hit, but "
			"other " NOT_WHOLE);
	else if (!right)
		note(op, result, "contexts changed while this page was read: " NOT_WHOLE);
	return CS_OK;
}

enum cs_status retrieve_contexts(struct store *store, struct op *op, const struct retrieve_request *request,
	struct retrieve_result *ret_result, struct cs_error *err)
{
	struct retrieve_result result = {.mark = mark_of(store)};
	bool next = request->behind.len > 0 && request->offset > 0, right = true;
	bool changed = next && (request->mark != result.mark || !result.mark);
	enum cs_status status =
		request->id_count > 0 ? check_beside_ids(op, request, &result, err) : check_mode(request->mode, err);

	if (status != CS_OK)
		return status;
	if (request->id_count > 0) {
		status = by_id(store, op, request, &result, err);
	} else if (!changed) {
		status = next ? search_behind(store, op, request, &result, &right, err)
			      : search(store, op, request, &result, err);
		changed = next && status == CS_OK && (!right || mark_of(store) != request->mark);
	}
	if (changed) {
		result = (struct retrieve_result){.mark = mark_of(store)};
		status = next_page(store, op, request, &result, err);
	}
	if (status == CS_OK)
		*ret_result = result;
	return status;
}
