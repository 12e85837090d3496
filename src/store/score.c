/* Cost. Without a threshold: one search. By score: one search, and only when the page does not show where the threshold
 * lies, log2(total) more of one hit each. By date: total / BLOCK searches; rare, and exact. The scratch arena of the
 * scan is given back after each block, so that a big result does not need memory for all of it. */
#include "store/score.h"

#define BLOCK         2048u
#define BLOCK_CEILING (16u << 20)

double score_normalise(double score, double top_score)
{
	double ratio = top_score > 0 ? score / top_score : 0;

	return ratio > 1 ? 1 : ratio < 0 ? 0 : ratio;
}

static bool good(const struct text_result *result, size_t hit, double threshold)
{
	return score_normalise(result->hits[hit].score, result->top_score) >= threshold;
}

/* One hit's score, without leaving its memory behind. */
static enum cs_status is_good_at(const struct text_port *text, struct op *op, const struct text_query *query,
	uint64_t offset, double threshold, bool *ret_good, struct cs_error *err)
{
	struct text_query probe = *query;
	struct text_result result;
	struct arena scratch;
	struct op inner = *op;
	enum cs_status status;

	arena_init(&scratch, NULL, 0, BLOCK_CEILING);
	inner.arena = &scratch;
	probe.offset = (size_t)offset;
	probe.limit = 1;
	status = text->search(text->self, &inner, &probe, &result, err);
	if (status == CS_OK)
		*ret_good = result.count > 0 && good(&result, 0, threshold);
	arena_release(&scratch);
	return status;
}

/* How many hits are good, by bisection: [0, low) are, [high, total) are not. */
static enum cs_status count_good(const struct text_port *text, struct op *op, const struct text_query *query,
	uint64_t low, uint64_t high, double threshold, uint64_t *ret_count, struct cs_error *err)
{
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		bool is_good;
		enum cs_status status = is_good_at(text, op, query, middle, threshold, &is_good, err);

		if (status != CS_OK)
			return status;
		if (is_good)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_count = low;
	return CS_OK;
}

static enum cs_status search_by_score(const struct text_port *text, struct op *op, const struct text_query *query,
	double threshold, struct text_result *ret_result, struct cs_error *err)
{
	struct text_result result;
	uint64_t total, low = 0, high;
	size_t kept = 0;
	enum cs_status status = text->search(text->self, op, query, &result, err);

	if (status != CS_OK)
		return status;
	while (kept < result.count && good(&result, kept, threshold))
		kept++;
	high = result.total;
	if (kept > 0)
		low = query->offset + kept;
	if (kept < result.count)
		high = query->offset + kept;
	status = count_good(text, op, query, low < high ? low : high, high, threshold, &total, err);
	if (status != CS_OK)
		return status;
	result.count = kept;
	result.total = total;
	*ret_result = result;
	return CS_OK;
}

struct scan {
	struct text_result page; /* what is asked for, filled on the way */
	uint64_t good;
	double threshold;
};

static enum cs_status take_block(struct scan *scan, struct op *op, const struct text_query *query,
	const struct text_result *block, struct cs_error *err)
{
	for (size_t i = 0; i < block->count; i++) {
		struct text_hit *to = &scan->page.hits[scan->page.count];

		if (!good(block, i, scan->threshold))
			continue;
		if (scan->good++ < query->offset || scan->page.count >= query->limit)
			continue;
		to->id = arena_copy(op->arena, block->hits[i].id);
		to->score = block->hits[i].score;
		if (!to->id.ptr)
			return cs_fail_memory(err);
		scan->page.count++;
	}
	return CS_OK;
}

static enum cs_status search_by_date(const struct text_port *text, struct op *op, const struct text_query *query,
	double threshold, struct text_result *ret_result, struct cs_error *err)
{
	struct scan scan = {.threshold = threshold};
	struct text_query block = *query;
	struct text_result found = {.total = 1};
	struct op inner = *op;
	enum cs_status status = CS_OK;
	struct arena scratch;

	scan.page.hits = arena_array(op->arena, query->limit, sizeof *scan.page.hits);
	if (!scan.page.hits)
		return cs_fail_memory(err);
	arena_init(&scratch, NULL, 0, BLOCK_CEILING);
	inner.arena = &scratch;
	block.limit = BLOCK;
	for (block.offset = 0; status == CS_OK && block.offset < found.total; block.offset += BLOCK) {
		status = text->search(text->self, &inner, &block, &found, err);
		if (status == CS_OK)
			status = take_block(&scan, op, query, &found, err);
		arena_reset(&scratch);
	}
	arena_release(&scratch);
	if (status != CS_OK)
		return status;
	scan.page.total = scan.good;
	scan.page.top_score = found.top_score;
	scan.page.no_words = found.no_words;
	*ret_result = scan.page;
	return CS_OK;
}

enum cs_status score_search(const struct text_port *text, struct op *op, const struct text_query *query,
	double threshold, struct text_result *ret_result, struct cs_error *err)
{
	if (threshold <= 0)
		return text->search(text->self, op, query, ret_result, err);
	if (query->order == TEXT_BY_DATE)
		return search_by_date(text, op, query, threshold, ret_result, err);
	return search_by_score(text, op, query, threshold, ret_result, err);
}
