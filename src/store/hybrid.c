/* How a page is exact without scoring everything.
 *
 * To know the first n of the ranking, the n best by vector are enough beside the best by words: a context that is in
 * neither list has no text part and a cosine at most that of each of the n, so all n come before it. Those found by
 * words alone are looked up by id in the vector port.
 *
 * Counting. Whatever is not among the text hits scores weight * max(0, cosine), so how many of those reach a threshold
 * is one count of the vector port; the text hits are at hand.
 *
 * The depth of the text search is a constant, not a multiple of the page: were it to grow with the page, a context
 * whose words come in with the greater depth would jump onto an earlier page between two requests. */
#include "store/hybrid.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "store/score.h"

#define DATE_BLOCK    128u
#define INSERTED_MAX  100u /* hits of a page that are put in their place one by one */
#define SCRATCH_BYTES (256u << 20)

struct ranking {
	struct store *store;
	const struct hybrid_query *query;
	struct hybrid_hit *hits;
	size_t count, ordered; /* the best `ordered` stand first, in order */
	uint64_t with_vector;  /* contexts the vector search matched */
	uint64_t words_only;   /* text hits without a vector */
	size_t vector_hits;    /* how many of the best by vector are in hits */
	double least_seen;     /* the lowest cosine among them */
	uint64_t unsearched;
	bool words_cut; /* words found more than could be looked at, some of them without a vector */
	int64_t vector_ns, text_ns;
};

static double weight_of(const struct hybrid_query *query)
{
	return query->text.len > 0 ? HYBRID_VECTOR_WEIGHT : 1;
}

static double vector_part(const struct hybrid_query *query, double similarity)
{
	return weight_of(query) * (similarity > 0 ? similarity < 1 ? similarity : 1 : 0);
}

static int best_first(const void *a, const void *b)
{
	const struct hybrid_hit *left = a, *right = b;
	double left_similarity = isnan(left->similarity) ? VECTOR_NO_LIMIT : left->similarity;
	double right_similarity = isnan(right->similarity) ? VECTOR_NO_LIMIT : right->similarity;

	if (left->score != right->score)
		return left->score < right->score ? 1 : -1;
	if (left_similarity != right_similarity)
		return left_similarity < right_similarity ? 1 : -1;
	return slice_compare(left->id, right->id);
}

static enum cs_status ask_vectors(struct ranking *ranking, struct op *op, size_t limit, double least,
	struct vector_result *ret_result, struct cs_error *err)
{
	const struct vector_query query = {
		.vector = ranking->query->vector,
		.dimension = ranking->query->dimension,
		.filter = ranking->query->filter,
		.limit = limit,
		.least_similarity = least,
	};
	const struct vector_port *vectors = &ranking->store->vectors;
	int64_t start_ns = clock_mono_ns();
	enum cs_status status = vectors->search(vectors->self, op, &query, ret_result, err);

	ranking->vector_ns += clock_mono_ns() - start_ns;
	return status;
}

static enum cs_status ask_words(
	struct ranking *ranking, struct op *op, struct text_result *ret_result, struct cs_error *err)
{
	const struct text_query query = {
		.text = ranking->query->text,
		.filter = ranking->query->filter,
		.order = TEXT_BY_SCORE,
		.limit = ranking->unsearched > 0 ? HYBRID_TEXT_ALL : HYBRID_TEXT_DEPTH,
		.in_order = ranking->query->with_ranks ? HYBRID_TEXT_DEPTH : 1,
	};
	const struct text_port *text = &ranking->store->text;
	int64_t start_ns = clock_mono_ns();
	enum cs_status status;

	*ret_result = (struct text_result){0};
	if (query.text.len == 0)
		return CS_OK;
	status = text->search(text->self, op, &query, ret_result, err);
	ranking->text_ns += clock_mono_ns() - start_ns;
	return status;
}

/* The hit with this id, added if there is none. `slots` is a table of indexes + 1 into hits, at most half full. */
static struct hybrid_hit *hit_of(struct ranking *ranking, uint32_t *slots, size_t mask, struct slice id)
{
	size_t at = map_hash(id) & mask;

	for (; slots[at]; at = (at + 1) & mask)
		if (slice_eq(ranking->hits[slots[at] - 1].id, id))
			return &ranking->hits[slots[at] - 1];
	ranking->hits[ranking->count] = (struct hybrid_hit){.id = id, .similarity = VECTOR_NO_LIMIT};
	slots[at] = (uint32_t)++ranking->count;
	return &ranking->hits[ranking->count - 1];
}

/* Both lists as one, each id once. A hit of words alone gets the similarity -2, to be looked up. */
static enum cs_status merge(struct ranking *ranking, struct op *op, const struct vector_result *vectors,
	const struct text_result *words, struct cs_error *err)
{
	size_t count = vectors->count + words->count, slot_count = 16;
	uint32_t *slots;

	while (slot_count < count * 2)
		slot_count *= 2;
	slots = arena_array(op->arena, slot_count, sizeof *slots);
	ranking->hits = arena_alloc(op->arena, (count + 1) * sizeof *ranking->hits);
	ranking->count = 0;
	if (!slots || !ranking->hits)
		return cs_fail_memory(err);
	for (size_t i = 0; i < vectors->count; i++) {
		struct hybrid_hit *hit = hit_of(ranking, slots, slot_count - 1, vectors->hits[i].id);

		hit->similarity = vectors->hits[i].similarity;
		hit->vector_rank = i + 1;
	}
	for (size_t i = 0; i < words->count; i++) {
		struct hybrid_hit *hit = hit_of(ranking, slots, slot_count - 1, words->hits[i].id);

		hit->text_score = words->hits[i].score;
		hit->text_rank = ranking->query->with_ranks && i < HYBRID_TEXT_DEPTH ? i + 1 : 0;
	}
	return CS_OK;
}

static enum cs_status look_up_similarities(struct ranking *ranking, struct op *op, struct cs_error *err)
{
	const struct vector_port *vectors = &ranking->store->vectors;
	struct slice *ids = arena_array(op->arena, ranking->count, sizeof *ids);
	double *similarities = arena_array(op->arena, ranking->count, sizeof *similarities);
	struct hybrid_hit **of = arena_array(op->arena, ranking->count, sizeof(struct hybrid_hit *));
	int64_t start_ns = clock_mono_ns();
	enum cs_status status = CS_OK;
	size_t count = 0;

	if (!ids || !similarities || !of)
		return cs_fail_memory(err);
	for (size_t i = 0; i < ranking->count; i++)
		if (ranking->hits[i].vector_rank == 0) {
			of[count] = &ranking->hits[i];
			ids[count++] = ranking->hits[i].id;
		}
	if (count > 0)
		status = vectors->similarities(vectors->self, op, ranking->query->vector, ranking->query->dimension,
			ids, count, similarities, err);
	if (status != CS_OK)
		return status;
	for (size_t i = 0; i < count; i++) {
		of[i]->similarity = similarities[i];
		ranking->words_only += isnan(similarities[i]);
	}
	ranking->vector_ns += clock_mono_ns() - start_ns;
	return CS_OK;
}

static void swap(struct hybrid_hit *a, struct hybrid_hit *b)
{
	struct hybrid_hit kept = *a;

	*a = *b;
	*b = kept;
}

/* The best `need` to the front. A page is short beside what was found, most of which is told apart by one look at the
 * last of the page. */
static void order_first(struct ranking *ranking, size_t need)
{
	struct hybrid_hit *hits = ranking->hits;

	ranking->ordered = need > INSERTED_MAX || need > ranking->count ? ranking->count : need;
	if (ranking->ordered == ranking->count) {
		qsort(hits, ranking->count, sizeof *hits, best_first);
		return;
	}
	qsort(hits, need, sizeof *hits, best_first);
	for (size_t i = need; i < ranking->count; i++) {
		if (best_first(&hits[i], &hits[need - 1]) >= 0)
			continue;
		swap(&hits[i], &hits[need - 1]);
		for (size_t at = need - 1; at > 0 && best_first(&hits[at], &hits[at - 1]) < 0; at--)
			swap(&hits[at], &hits[at - 1]);
	}
}

/* Fills ranking->hits, of which the first `need` are the first of all. */
static enum cs_status rank(struct ranking *ranking, struct op *op, size_t need, struct cs_error *err)
{
	const struct hybrid_query *query = ranking->query;
	struct vector_result vectors;
	struct text_result words;
	double full;
	size_t deep = query->with_ranks && need < HYBRID_TEXT_DEPTH ? HYBRID_TEXT_DEPTH : need;
	enum cs_status status = ask_vectors(ranking, op, deep, VECTOR_NO_LIMIT, &vectors, err);

	if (status != CS_OK)
		return status;
	ranking->with_vector = vectors.total;
	ranking->unsearched = vectors.unsearched;
	ranking->vector_hits = vectors.count;
	ranking->least_seen = vectors.count > 0 ? vectors.hits[vectors.count - 1].similarity : 1;
	ranking->words_only = 0;
	status = ask_words(ranking, op, &words, err);
	if (status != CS_OK)
		return status;
	ranking->words_cut = ranking->unsearched > 0 && words.total > words.count;
	status = merge(ranking, op, &vectors, &words, err);
	if (status == CS_OK)
		status = look_up_similarities(ranking, op, err);
	if (status != CS_OK)
		return status;
	full = words.top_score > HYBRID_TEXT_FULL ? words.top_score : HYBRID_TEXT_FULL;
	for (size_t i = 0; i < ranking->count; i++) {
		struct hybrid_hit *hit = &ranking->hits[i];

		hit->score = vector_part(query, hit->similarity) +
			     (1 - weight_of(query)) * score_normalise(hit->text_score, full);
	}
	order_first(ranking, need);
	return CS_OK;
}

/* How many contexts reach the threshold. */
static enum cs_status count_good(
	struct ranking *ranking, struct op *op, double threshold, uint64_t *ret_count, struct cs_error *err)
{
	double least = threshold / weight_of(ranking->query);
	uint64_t at_hand = 0, seen = 0, beyond = 0;
	struct vector_result found;
	enum cs_status status;

	if (threshold <= 0) {
		*ret_count = ranking->with_vector + ranking->words_only;
		return CS_OK;
	}
	for (size_t i = 0; i < ranking->count; i++) {
		at_hand += ranking->hits[i].score >= threshold;
		seen += ranking->hits[i].similarity >= least;
	}
	if (ranking->vector_hits < ranking->with_vector && ranking->least_seen >= least) {
		status = ask_vectors(ranking, op, 1, least, &found, err);
		if (status != CS_OK)
			return status;
		beyond = found.total > seen ? found.total - seen : 0;
	}
	*ret_count = at_hand + beyond;
	return CS_OK;
}

static size_t cut(const struct ranking *ranking, double threshold)
{
	size_t count = 0;

	while (count < ranking->ordered && ranking->hits[count].score >= threshold)
		count++;
	return count;
}

static void give_page(const struct ranking *ranking, struct hybrid_hit *hits, size_t count, uint64_t total,
	struct hybrid_result *result)
{
	const struct hybrid_query *query = ranking->query;
	size_t skip = query->offset < count ? query->offset : count;

	result->hits = hits + skip;
	result->count = count - skip < query->limit ? count - skip : query->limit;
	result->total = total;
}

static enum cs_status by_score(
	struct ranking *ranking, struct op *op, struct hybrid_result *result, struct cs_error *err)
{
	const struct hybrid_query *query = ranking->query;
	size_t need = query->offset + query->limit;
	uint64_t total = 0;
	enum cs_status status = rank(ranking, op, need, err);

	if (status == CS_OK)
		status = count_good(ranking, op, query->threshold, &total, err);
	if (status == CS_OK)
		give_page(ranking, ranking->hits, cut(ranking, query->threshold), total, result);
	return status;
}

struct dated {
	struct hybrid_hit hit;
	int64_t created_at;
};

static int newest_first(const void *a, const void *b)
{
	const struct dated *left = a, *right = b;

	if (left->created_at != right->created_at)
		return left->created_at < right->created_at ? 1 : -1;
	return slice_compare(left->hit.id, right->hit.id);
}

/* Dates of hits [from, to), from the contexts themselves; one that is gone counts as the oldest. */
static enum cs_status read_dates(struct ranking *ranking, struct op *op, struct dated *dated, size_t from, size_t to,
	struct arena *scratch, struct cs_error *err)
{
	const struct context_port *contexts = &ranking->store->contexts;
	struct op inner = *op;
	struct slice ids[DATE_BLOCK];
	struct context *found;
	size_t count, at = from;
	enum cs_status status;

	inner.arena = scratch;
	for (size_t i = from; i < to; i++) {
		ids[i - from] = ranking->hits[i].id;
		dated[i] = (struct dated){.hit = ranking->hits[i], .created_at = INT64_MIN};
	}
	status = contexts->get(contexts->self, &inner, ids, to - from, NULL, false, &found, &count, err);
	for (size_t i = 0; status == CS_OK && i < count; i++) {
		while (at + 1 < to && !slice_eq(dated[at].hit.id, found[i].id))
			at++;
		dated[at].created_at = found[i].created_at;
	}
	return status;
}

static enum cs_status sort_by_date(struct ranking *ranking, struct op *op, size_t count, struct cs_error *err)
{
	struct dated *dated = arena_array(op->arena, count, sizeof *dated);
	struct arena scratch;
	enum cs_status status = CS_OK;

	if (!dated)
		return cs_fail_memory(err);
	arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
	for (size_t from = 0; status == CS_OK && from < count; from += DATE_BLOCK) {
		size_t to = count - from > DATE_BLOCK ? from + DATE_BLOCK : count;

		status = read_dates(ranking, op, dated, from, to, &scratch, err);
		arena_reset(&scratch);
	}
	arena_release(&scratch);
	if (status != CS_OK)
		return status;
	qsort(dated, count, sizeof *dated, newest_first);
	for (size_t i = 0; i < count; i++)
		ranking->hits[i] = dated[i].hit;
	return CS_OK;
}

static enum cs_status by_date(
	struct ranking *ranking, struct op *op, struct hybrid_result *result, struct cs_error *err)
{
	double threshold = ranking->query->threshold;
	uint64_t total = 0;
	size_t count, wanted;
	enum cs_status status = rank(ranking, op, HYBRID_TEXT_DEPTH, err);

	if (status != CS_OK)
		return status;
	if (threshold <= 0 && ranking->count > 0)
		threshold = HYBRID_DATE_SHARE * ranking->hits[0].score;
	status = count_good(ranking, op, threshold, &total, err);
	wanted = total < HYBRID_WINDOW ? (size_t)total : HYBRID_WINDOW;
	if (status == CS_OK && cut(ranking, threshold) < wanted)
		status = rank(ranking, op, wanted, err);
	if (status != CS_OK)
		return status;
	count = cut(ranking, threshold);
	count = count < HYBRID_WINDOW ? count : HYBRID_WINDOW;
	result->bounded = total > HYBRID_WINDOW;
	status = sort_by_date(ranking, op, count, err);
	if (status == CS_OK)
		give_page(ranking, ranking->hits, count, total, result);
	return status;
}

enum cs_status hybrid_search(struct store *store, struct op *op, const struct hybrid_query *query,
	struct hybrid_result *ret_result, struct cs_error *err)
{
	struct ranking ranking = {.store = store, .query = query};
	struct hybrid_result result = {0};
	enum cs_status status;

	if (query->offset > HYBRID_PAGE_MAX || query->limit > HYBRID_PAGE_MAX - query->offset)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "a search gives its best %d matches; narrow it with filters",
			HYBRID_PAGE_MAX);
	status = query->order == TEXT_BY_DATE ? by_date(&ranking, op, &result, err)
					      : by_score(&ranking, op, &result, err);
	if (status != CS_OK)
		return status;
	result.unsearched = ranking.unsearched;
	result.words_cut = ranking.words_cut;
	result.vector_ns = ranking.vector_ns;
	result.text_ns = ranking.text_ns;
	*ret_result = result;
	return CS_OK;
}
