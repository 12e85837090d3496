/* Scores between 0 and 1, and pages of what is good enough.
 *
 * BM25 has no upper end, so a score is divided by the best one of the whole result (of all pages): the best hit has 1
 * and a score means "this good compared with the best there is". It is no probability and does not compare across
 * queries.
 *
 * A threshold changes what is counted and paged, not only what is shown: total counts the hits at or above it, and
 * pages are full of them. What it is in scores is known once the best one is, so there are two searches, the second for
 * those that score so much; one is enough where the page shows where the threshold lies.
 * Threads: any worker. Errors: the text port's. */
#ifndef CS_STORE_SCORE_H
#define CS_STORE_SCORE_H

#include "port/text.h"

/* 0 where there is no best. */
double score_normalise(double score, double top_score);

/* As text->search, without the hits whose normalised score is below the threshold: hits, count and total. */
CS_CHECKED enum cs_status score_search(const struct text_port *text, struct op *, const struct text_query *,
	double threshold, struct text_result *ret_result, struct cs_error *);

#endif
