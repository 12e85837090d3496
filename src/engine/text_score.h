/* BM25 as an auxiliary function of the text index: text_score(context_words) beside a MATCH on it.
 *
 * The figure is that of FTS5's own bm25 (k1 = 1.2, b = 0.75, and a weight of at least 1e-6 for a word that stands in
 * most rows; Robertson and Zaragoza 2009) with the sign turned: more is better. Only where the lengths of documents
 * come from differs, and with it the cost. Threads: those of the connection. */
#ifndef CS_ENGINE_TEXT_SCORE_H
#define CS_ENGINE_TEXT_SCORE_H

#include "engine/sql.h"

/* FTS5's interface on this connection, or NULL. */
fts5_api *text_api(struct sql *);

/* Makes text_score known on the connection. */
CS_CHECKED enum cs_status text_score_register(struct sql *, struct cs_error *);

#endif
