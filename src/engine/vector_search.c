/* Searching by vectors. vectors.h holds what is scanned; this file asks it.
 *
 * Filters first. What a filter lets through is read from the mirror, too (attributes.h); the scan looks at those only, so
 * that limits and totals count what passes. A filter on metadata is one statement over contexts that gives row numbers.
 * The statement ends before the mirror is taken hold of, so commits do not wait for a slow filter. Between the two a
 * context may change: what was acknowledged before the call began is in both, and what is on its way may be found or
 * not, as always.
 *
 * Order: similarity, then id, on every page the same. The scan breaks ties by row number, so those that tie with the
 * last of the page are fetched, too (a second look by similarity, only when there are some and the query is not rough), and
 * sorted here.
 *
 * Cost: the scan (about 30 us for 1,000 entries of 384); a filter some nanoseconds for each context, or a microsecond with
 * metadata. */
#include <assert.h>
#include <math.h>

#include "engine/context_filter.h"
#include "engine/parts.h"

#define VECTOR_WINDOW_MAX 100000 /* offset + limit */
#define NUMBERS_MIN       1024

/* Row numbers; malloc'd, because they outgrow a request's memory and are gone before it ends. */
struct numbers {
	int64_t *rows;
	size_t count, room;
};

static enum cs_status add_number(struct numbers *numbers, int64_t row, struct cs_error *err)
{
	if (numbers->count == numbers->room) {
		size_t room = numbers->room ? numbers->room * 2 : NUMBERS_MIN;
		int64_t *bigger = realloc(numbers->rows, room * sizeof *bigger);

		if (!bigger)
			return cs_fail_memory(err);
		numbers->rows = bigger;
		numbers->room = room;
	}
	numbers->rows[numbers->count++] = row;
	return CS_OK;
}

static enum cs_status read_numbers(struct sql *sql, const struct filter *filter, struct arena *arena,
	struct numbers *numbers, struct cs_error *err)
{
	struct slice text = arena_printf(arena, "SELECT c.row FROM contexts c WHERE c.hidden = 0" SLICE_FMT,
		SLICE_ARG(buffer_slice(&filter->sql)));
	sqlite3_stmt *stmt = NULL;
	bool row = true;
	enum cs_status status = text.ptr ? sql_prepare_once(sql, text, &stmt, err) : cs_fail_memory(err);

	if (status != CS_OK)
		return status;
	status = filter_bind(filter, sql, stmt, err);
	while (status == CS_OK && row) {
		status = sql_step(sql, stmt, &row, err);
		if (status == CS_OK && row)
			status = add_number(numbers, sqlite3_column_int64(stmt, 0), err);
	}
	sqlite3_finalize(stmt);
	return status;
}

/* What a filter lets through. */
struct passing {
	enum { PASS_ALL, PASS_ATTRIBUTES, PASS_NUMBERS } kind;
	struct numbers numbers; /* of PASS_NUMBERS */
};

/* What the file has to be asked for. */
static enum cs_status ask_file(struct engine *engine, const struct op *op, const struct context_filter *from,
	struct passing *passing, struct cs_error *err)
{
	struct filter filter;
	struct sql *sql;
	enum cs_status status = filter_compile(&filter, op->arena, from, 1, err);

	passing->kind = filter_is_empty(&filter) ? PASS_ALL : attributes_answer(from) ? PASS_ATTRIBUTES : PASS_NUMBERS;
	if (status == CS_OK && passing->kind == PASS_NUMBERS) {
		status = readers_begin(engine->readers, op, &sql, err);
		if (status == CS_OK) {
			status = read_numbers(sql, &filter, op->arena, &passing->numbers, err);
			readers_end(engine->readers, sql);
		}
	}
	filter_release(&filter);
	return status;
}

/* The mirror is held from here on. */

struct hit {
	float similarity;
	struct slice id; /* the mirror's */
};

static int by_similarity_then_id(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	if (x->similarity != y->similarity)
		return x->similarity < y->similarity ? 1 : -1;
	return slice_compare(x->id, y->id);
}

static enum cs_status name_hits(const struct vectors_view *view, struct arena *arena, const struct scan_hit *found,
	size_t count, struct hit **ret_hits, struct cs_error *err)
{
	struct hit *hits = arena_array(arena, count, sizeof *hits);

	if (!hits)
		return cs_fail_memory(err);
	for (size_t i = 0; i < count; i++) {
		hits[i].similarity = found[i].similarity;
		if (!vector_rows_get(view->rows, found[i].number, &hits[i].id))
			return cs_fail(
				err, CS_UNEXPECTED, "the vector of row %lld is nobody's", (long long)found[i].number);
	}
	qsort(hits, count, sizeof *hits, by_similarity_then_id);
	*ret_hits = hits;
	return CS_OK;
}

/* The best of the pages up to this one, and all that tie with the last of them. */
static enum cs_status find_best(const struct vectors_view *view, struct op *op, struct scan_query ask,
	const struct vector_query *query, struct scan_hit **ret_hits, size_t *ret_count, uint64_t *ret_total,
	struct cs_error *err)
{
	size_t wanted = query->offset + query->limit;
	uint64_t reached;
	enum cs_status status;

	ask.limit = wanted ? wanted + 1 : 0;
	status = scan_search(view->scan, op, &ask, ret_hits, ret_count, ret_total, err);
	if (status != CS_OK || wanted == 0 || *ret_count <= wanted)
		return status;
	if (query->rough || (*ret_hits)[wanted].similarity < (*ret_hits)[wanted - 1].similarity) {
		*ret_count = wanted;
		return CS_OK;
	}
	ask.at_least = (*ret_hits)[wanted].similarity;
	ask.limit = SIZE_MAX;
	return scan_search(view->scan, op, &ask, ret_hits, ret_count, &reached, err);
}

static enum cs_status fill_page(const struct hit *hits, size_t count, const struct vector_query *query,
	struct arena *arena, struct vector_result *result, struct cs_error *err)
{
	size_t left = count > query->offset ? count - query->offset : 0;

	assert(hits);
	result->count = left < query->limit ? left : query->limit;
	result->hits = arena_array(arena, result->count, sizeof *result->hits);
	if (!result->hits)
		return cs_fail_memory(err);
	for (size_t i = 0; i < result->count; i++) {
		const struct hit *hit = &hits[query->offset + i];

		result->hits[i].similarity = (double)hit->similarity;
		result->hits[i].id = arena_copy(arena, hit->id);
		if (!result->hits[i].id.ptr)
			return cs_fail_memory(err);
	}
	return CS_OK;
}

/* The least float that is not below it, so that comparing floats says what comparing doubles would. */
static float float_from_above(double value)
{
	float nearest = (float)value;

	return (double)nearest < value ? nextafterf(nearest, INFINITY) : nearest;
}

static uint64_t count_unsearched(const struct vectors_view *view, const struct numbers *numbers)
{
	uint64_t count = 0;

	if (view->scan && scan_count(view->scan) == view->rows->count)
		return 0;
	for (size_t i = 0; i < numbers->count; i++)
		count += vector_rows_get(view->rows, numbers->rows[i], NULL) &&
			 !(view->scan && scan_has(view->scan, numbers->rows[i]));
	return count;
}

/* What the scan is to look at, and how many live contexts that pass have no vector. */
static enum cs_status select_vectors(const struct vectors_view *view, struct op *op, const struct vector_query *query,
	const struct passing *passing, const struct scan_selection **ret_selection, uint64_t *ret_unsearched,
	struct cs_error *err)
{
	struct row_set set;
	size_t found = 0;
	enum cs_status status;

	switch (passing->kind) {
	case PASS_ALL: *ret_unsearched = view->rows->count - (view->scan ? scan_count(view->scan) : 0); break;
	case PASS_NUMBERS:
		*ret_unsearched = count_unsearched(view, &passing->numbers);
		if (view->scan)
			return scan_select(view->scan, op->arena, passing->numbers.rows, passing->numbers.count,
				ret_selection, err);
		break;
	case PASS_ATTRIBUTES:
		status = attribute_table_select(view->attributes, op->arena, query->filter, &set, err);
		if (status == CS_OK && view->scan)
			status = scan_select_set(view->scan, op->arena, &set, ret_selection, &found, err);
		*ret_unsearched = status == CS_OK ? set.count - found : 0;
		return status;
	}
	return CS_OK;
}

static enum cs_status search(const struct vectors_view *view, struct op *op, const struct vector_query *query,
	const struct passing *passing, struct vector_result *result, struct cs_error *err)
{
	struct scan_query ask = {
		.vector = query->vector, .at_least = float_from_above(query->least_similarity), .rough = query->rough};
	struct scan_hit *found = NULL;
	struct hit *hits = NULL;
	size_t count = 0;
	enum cs_status status = select_vectors(view, op, query, passing, &ask.selection, &result->unsearched, err);

	if (!view->scan)
		return status;
	if (status == CS_OK)
		status = find_best(view, op, ask, query, &found, &count, &result->total, err);
	if (status == CS_OK)
		status = name_hits(view, op->arena, found, count, &hits, err);
	return status == CS_OK ? fill_page(hits, count, query, op->arena, result, err) : status;
}

static bool fits(const struct vectors_view *view, uint32_t dimension)
{
	return !view->scan || scan_dimension(view->scan) == dimension;
}

/* After the mirror was let go: the sentence needs the model's name. */
static enum cs_status refuse_dimension(struct engine *engine, struct op *op, uint32_t dimension, struct cs_error *err)
{
	struct vector_stats stats = {0};
	enum cs_status status = vector_stats(engine, op, &stats, err);

	if (status != CS_OK)
		return status;
	return cs_fail(err, CS_VALIDATION,
		"the query's vector has %u dimensions, the stored ones have %u (model " SLICE_FMT
		"); go back to that model, or run `context-store reembed` to embed everything with the new one",
		(unsigned)dimension, (unsigned)stats.dimension, SLICE_ARG(stats.model_id));
}

enum cs_status vector_search(void *self, struct op *op, const struct vector_query *query,
	struct vector_result *ret_result, struct cs_error *err)
{
	struct engine *engine = self;
	struct vector_result result = {0};
	struct passing passing = {0};
	struct vectors_view view;
	bool same = true;
	enum cs_status status;

	if (query->offset > VECTOR_WINDOW_MAX || query->limit > VECTOR_WINDOW_MAX - query->offset)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "a search gives its best %d matches; narrow it with filters",
			VECTOR_WINDOW_MAX);
	status = ask_file(engine, op, query->filter, &passing, err);
	if (status == CS_OK)
		status = vectors_begin(engine->vectors, op, &view, err);
	if (status == CS_OK) {
		same = fits(&view, query->dimension);
		if (same)
			status = search(&view, op, query, &passing, &result, err);
		vectors_end(engine->vectors);
	}
	free(passing.numbers.rows);
	if (!same)
		return refuse_dimension(engine, op, query->dimension, err);
	if (status == CS_OK)
		*ret_result = result;
	return status;
}

/* Similarities of given contexts. */

static enum cs_status measure(const struct vectors_view *view, struct op *op, const float *vector,
	const struct slice *ids, size_t count, double *similarities, struct cs_error *err)
{
	int64_t *rows = arena_array(op->arena, count, sizeof *rows); /* 0: no such live context */
	float *found = arena_array(op->arena, count, sizeof *found);
	enum cs_status status = CS_OK;

	if (!rows || !found)
		return cs_fail_memory(err);
	for (size_t i = 0; i < count; i++) {
		rows[i] = 0;
		(void)vector_rows_find(view->rows, ids[i], &rows[i]);
		found[i] = NAN;
	}
	if (view->scan && count > 0)
		status = scan_similarities(view->scan, op, vector, rows, count, found, err);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		similarities[i] = (double)found[i];
	return status;
}

enum cs_status vector_similarities(void *self, struct op *op, const float *vector, uint32_t dimension,
	const struct slice *ids, size_t count, double *ret_similarities, struct cs_error *err)
{
	struct engine *engine = self;
	struct vectors_view view;
	bool same = true;
	enum cs_status status = vectors_begin(engine->vectors, op, &view, err);

	if (status != CS_OK)
		return status;
	same = fits(&view, dimension);
	if (same)
		status = measure(&view, op, vector, ids, count, ret_similarities, err);
	vectors_end(engine->vectors);
	return same ? status : refuse_dimension(engine, op, dimension, err);
}
