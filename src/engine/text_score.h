/* BM25 as an auxiliary function of the text index: text_score(context_words) beside a MATCH on it.
 *
 * The figure is that of FTS5's own bm25 (k1 = 1.2, b = 0.75, and a weight of at least 1e-6 for a word that stands in
 * most rows; Robertson and Zaragoza 2009) with the sign turned: more is better. Only where the lengths of documents
 * come from differs, and with it the cost. The word index (word_index.h) scores with the same functions in the same order,
 * so that a score is the same to the last bit whoever gives it. Threads: those of the connection. */
#ifndef CS_ENGINE_TEXT_SCORE_H
#define CS_ENGINE_TEXT_SCORE_H

#include <math.h>

#include "engine/sql.h"

#define BM25_K1 1.2
#define BM25_B  0.75

/* The weight of a word that stands in `with` of all rows. */
static inline double bm25_weight(int64_t rows, int64_t with)
{
	double weight = log(((double)(rows - with) + 0.5) / ((double)with + 0.5));

	return weight > 0 ? weight : 1e-6;
}

/* What a row's length, in words, takes off; `average` is that of all rows. */
static inline double bm25_norm(double length, double average)
{
	return BM25_K1 * (1 - BM25_B + BM25_B * length / average);
}

/* What a word adds that stands in the row so many times. */
static inline double bm25_part(double weight, double times, double norm)
{
	return weight * (times * (BM25_K1 + 1) / (times + norm));
}

/* FTS5's interface on this connection, or NULL. */
fts5_api *text_api(sqlite3 *db);

/* Makes text_score known on the connection. */
CS_CHECKED enum cs_status text_score_register(struct sql *, struct cs_error *);

#endif
