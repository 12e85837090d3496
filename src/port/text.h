/* Search by words, as the domain needs it.
 *
 * The query is what a person or model typed, never a query language: it is split into words as the index splits texts
 * (letters and digits of any script, case and diacritics folded, English stems); a context matches when it has at least
 * one of them, and matches that have more, and rarer, words score higher (BM25). Filters apply before the search: total
 * counts the matching contexts that pass the filter, and no page is short because of a filter.
 *
 * Writing is the context port's business: a context is searchable when its put has returned.
 * Adapters: engine (FTS5, and its words in memory). Each passes tests/contract/test_text.
 * Threads: any worker; may wait. Errors: TIMEOUT, UNAVAILABLE, STORAGE, LIMIT_EXCEEDED, WOULD_WAIT. */
#ifndef CS_PORT_TEXT_H
#define CS_PORT_TEXT_H

#include "port/context.h"

struct text_hit {
	struct slice id;
	double score; /* BM25, higher is better, > 0 */
};

enum text_order { TEXT_BY_SCORE, TEXT_BY_DATE /* newest first */ };

struct text_query {
	struct slice text;
	const struct context_filter *filter;
	enum text_order order;
	size_t offset;
	size_t limit;
	double least_score; /* what scores less is no match: neither a hit nor counted; 0: all are */
	size_t in_order;    /* of the best, so many have to be in order; 0: all */
};

struct text_result {
	struct text_hit *hits;
	size_t count;
	uint64_t total;
	double top_score; /* the best score, 0 if there is no match: what scores are normalised by */
	bool no_words;    /* the query has no word in it; nothing was searched */
};

struct text_port {
	void *self;
	enum cs_status (*search)(
		void *self, struct op *, const struct text_query *, struct text_result *ret_result, struct cs_error *);
};

#endif
