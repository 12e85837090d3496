/* One ranking out of two: by vectors, and by words.
 *
 *     score = HYBRID_VECTOR_WEIGHT * max(0, cosine)
 *           + (1 - HYBRID_VECTOR_WEIGHT) * BM25 / max(best BM25, HYBRID_TEXT_FULL)
 *
 * A convex combination (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval"), which keeps
 * what reciprocal ranks throw away: how much better one hit is than the next. The floor under the best BM25 is for
 * questions whose words are not there: divided by the best alone, whatever shares a "how" with the question would count
 * as much as a match of its rarest word. Weight and floor are tuned on the 74 pairs of tests/data/paraphrases.jsonl
 * (tests/unit/test_recall.c; 66 paraphrases, 8 questions for a name or code): 68 answers are among the first five, 66 by
 * vector and 15 by words alone. Weights from 0.7 to 0.8 do the same; without the floor 0.8 finds 66 and 0.7 only 56.
 *
 * A context without a vector has the text part alone. A context's words count when it is among the HYBRID_TEXT_DEPTH
 * best of the text search, however deep the page lies: so a context's score is the same on every page, and pages have
 * neither gaps nor repeats. Without a text the score is max(0, cosine). Ties: the higher cosine, then the id.
 *
 * What matches, and total counts exactly: by vector, every context that passes the filter and has a vector; hybrid,
 * those and the ones that have a word of the query. Each has a score, so a threshold is what narrows; with one, total
 * counts the contexts that reach it. By date there must be a threshold, or the query would play no part: without one it
 * is HYBRID_DATE_SHARE of the best score. Dates are compared among the HYBRID_WINDOW best at most (`bounded` says that
 * there are more; total still counts all). Contexts that lack vectors are counted among the HYBRID_TEXT_ALL best by words;
 * `words_cut` says that there may be more. They are none of the first HYBRID_TEXT_ALL of the ranking: each of those that
 * words found before them has a text part at least as good.
 *
 * Threads: any worker. Errors: the ports', LIMIT_EXCEEDED (memory, a page beyond HYBRID_PAGE_MAX). */
#ifndef CS_STORE_HYBRID_H
#define CS_STORE_HYBRID_H

#include "store/store.h"

#define HYBRID_VECTOR_WEIGHT 0.8
#define HYBRID_TEXT_FULL     15 /* about two or three words that are rare in a small store, one in a large one */
#define HYBRID_TEXT_DEPTH    400
#define HYBRID_TEXT_ALL      1000 /* where contexts lack vectors: so many found by words are looked at, for the total */
#define HYBRID_DATE_SHARE    0.5
#define HYBRID_WINDOW        10000
#define HYBRID_PAGE_MAX      100000

struct hybrid_query {
	struct slice text; /* empty: by vector alone */
	const float *vector;
	uint32_t dimension;
	const struct context_filter *filter;
	enum text_order order;
	double threshold; /* of the score; 0: none */
	size_t offset, limit;
	bool with_ranks; /* in both lists, to a depth of HYBRID_TEXT_DEPTH at least; else some or all are 0 */
};

struct hybrid_hit {
	struct slice id;
	double score;         /* 0 to 1 */
	double similarity;    /* cosine; NAN: no vector */
	double text_score;    /* BM25; 0: not found by words */
	uint64_t vector_rank; /* from 1; 0: none, or deeper than was looked */
	uint64_t text_rank;
};

struct hybrid_result {
	struct hybrid_hit *hits; /* in op->arena */
	size_t count;
	uint64_t total;
	uint64_t unsearched;        /* contexts that pass the filter and have no vector */
	bool bounded;               /* by date: only the HYBRID_WINDOW best were compared */
	bool words_cut;             /* total lacks contexts without a vector beyond the HYBRID_TEXT_ALL best by words */
	int64_t vector_ns, text_ns; /* time in the ports */
};

CS_CHECKED enum cs_status hybrid_search(
	struct store *, struct op *, const struct hybrid_query *, struct hybrid_result *ret_result, struct cs_error *);

#endif
