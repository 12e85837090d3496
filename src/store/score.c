/* Between the two searches something may be stored; then the second one's scores are divided by another best one, and a
 * hit may be off the threshold by as much as that moved it. */
#include "store/score.h"

#include <math.h>

double score_normalise(double score, double top_score)
{
	double ratio = top_score > 0 ? score / top_score : 0;

	return ratio > 1 ? 1 : ratio < 0 ? 0 : ratio;
}

/* The least score whose quotient reaches the threshold: a product may be off by its rounding. */
static double least_score(double threshold, double top_score)
{
	double score = threshold * top_score;

	while (score < top_score && score_normalise(score, top_score) < threshold)
		score = nextafter(score, INFINITY);
	while (score > 0 && score_normalise(nextafter(score, 0), top_score) >= threshold)
		score = nextafter(score, 0);
	return score;
}

/* By score: is the last good hit seen, so that all of them are counted? Leaves the good ones. */
static bool ends_here(const struct text_query *query, double least, struct text_result *result)
{
	size_t kept = 0;

	while (kept < result->count && result->hits[kept].score >= least)
		kept++;
	if (kept == 0 || (kept == result->count && query->offset + kept < result->total))
		return false;
	result->count = kept;
	result->total = query->offset + kept;
	return true;
}

enum cs_status score_search(const struct text_port *text, struct op *op, const struct text_query *query,
	double threshold, struct text_result *ret_result, struct cs_error *err)
{
	struct text_query good = *query;
	struct text_result all;
	enum cs_status status;

	if (threshold <= 0)
		return text->search(text->self, op, query, ret_result, err);
	if (query->order == TEXT_BY_DATE)
		good.limit = 0; /* for the best score alone */
	status = text->search(text->self, op, &good, &all, err);
	if (status != CS_OK)
		return status;
	good.limit = query->limit;
	good.least_score = least_score(threshold, all.top_score);
	if (all.total > 0 && (query->order == TEXT_BY_DATE || !ends_here(query, good.least_score, &all)))
		return text->search(text->self, op, &good, ret_result, err);
	*ret_result = all;
	return CS_OK;
}
