/* Scores between 0 and 1, and pages of what is good enough.
 *
 * BM25 has no upper end, so a score is divided by the best one of the whole result (of all pages): the best hit has 1
 * and a score means "this good compared with the best there is". It is no probability and does not compare across
 * queries.
 *
 * A threshold changes what is counted and paged, not only what is shown: total counts the hits at or above it, and
 * pages are full of them. By score these are the first ones, and how many is found by bisection over the ranking, with
 * the first page tried first (most thresholds end there). By date they lie scattered: then every hit's score is looked
 * at, in blocks. Threads: any worker. Errors: the text port's. */
#ifndef CS_STORE_SCORE_H
#define CS_STORE_SCORE_H

#include "port/text.h"

/* 0 where there is no best. */
double score_normalise(double score, double top_score);

/* As text->search, without the hits whose normalised score is below the threshold: hits, count and total. */
CS_CHECKED enum cs_status score_search(const struct text_port *text, struct op *, const struct text_query *,
	double threshold, struct text_result *ret_result, struct cs_error *);

#endif
