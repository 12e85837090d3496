/* Finding contexts again: by meaning, by words, by both, by id, or all of them.
 *
 * Modes. `text` searches words, `vector` meaning, `hybrid` both (store/hybrid.h says how, and what matches). `auto` is
 * hybrid, too. Where there are no vectors (no model, it does not answer, the store's come from another one) hybrid and
 * auto answer from text and say in degraded[] why and what to do; `vector` fails with the same reason: a mode that
 * silently is another one would be worse than none. `graph` and `kv` do not exist here and are refused with the ones
 * that do (agent state is read with get_agent_state).
 *
 * The query "*" stands for everything: no search, newest first, each with score 1. With ids, exactly these are read, each
 * once, in their order, and which of them are not there is told. What would leave some of them out (filters, threshold) is
 * refused beside ids: to pass over it silently would be to answer another question. What says how to search (query,
 * order, mode) has no use then, and is named. limit is the size of a page, as ever.
 *
 * Pages. The next one begins behind the last hit of the former one. Where contexts have changed in between, that hit is
 * looked for near its old place and the page begins behind it wherever it is now, so that what was stored or removed
 * shifts nothing. Lists and searches by date have no repeats and no gaps then, and leave out what is new before the page.
 * In a ranking by score other hits may have changed places (a word is rarer or more common than before, a context was
 * stored anew), and the hit itself may be gone: degraded[] says which, since a page that only looks whole is worse than
 * one that tells. Paging by (score, id) was rejected: scores by words depend on all contexts, so that a boundary between
 * two of them lets hits through twice when anything is stored. A snapshot kept for each client that may come back was
 * rejected for its memory.
 *
 * total counts what matches, passes the filters and reaches the threshold, whatever the page: by text, contexts with at
 * least one of the words; by vector, contexts that have one; hybrid, either. Filters apply in the ports, before the
 * search.
 * Slices live in op->arena. Threads: any worker. Errors: VALIDATION (mode; what ids exclude), EMBEDDING_UNAVAILABLE
 * (mode vector), and the ports'. */
#ifndef CS_STORE_RETRIEVE_H
#define CS_STORE_RETRIEVE_H

#include "store/store.h"

#define RETRIEVE_LIMIT_DEFAULT 10
#define RETRIEVE_LIMIT_MAX     100
#define RETRIEVE_QUERY_MAX     10000 /* characters */
#define RETRIEVE_DEGRADED_MAX  5

enum retrieve_mode {
	RETRIEVE_VECTOR,
	RETRIEVE_GRAPH,
	RETRIEVE_KV,
	RETRIEVE_TEXT,
	RETRIEVE_HYBRID,
	RETRIEVE_AUTO,
	RETRIEVE_MODE_COUNT
};

extern const char *const retrieve_mode_names[RETRIEVE_MODE_COUNT + 1]; /* as clients spell them; ends with NULL */

struct retrieve_request {
	struct slice query;
	const struct slice *ids; /* instead of a query */
	size_t id_count;
	enum retrieve_mode mode;
	struct context_filter filter;
	enum text_order order;
	double score_threshold; /* 0: none */
	size_t offset;
	size_t limit;
	/* Of a page behind the first: the id of the hit at offset - 1 and the mark of the page it stood on. */
	struct slice behind;
	uint64_t mark;
	bool with_relations;
	bool with_ranks; /* of hits in either search, as deep as is looked; else some are left out */
};

struct retrieve_hit {
	struct context context;
	size_t place;       /* in the whole ranking, or among the ids (each once), from 0 */
	double score;       /* 0 to 1 */
	double text_score;  /* BM25; 0 where words were not searched */
	double similarity;  /* cosine; NAN: none */
	uint64_t text_rank; /* from 1; 0: none, or deeper than was looked */
	uint64_t vector_rank;
};

enum retrieve_way { RETRIEVED_BY_TEXT, RETRIEVED_BY_ID, RETRIEVED_ALL, RETRIEVED_BY_VECTOR, RETRIEVED_HYBRID };

struct retrieve_result {
	struct retrieve_hit *hits;
	size_t count;
	uint64_t total;
	uint64_t end;  /* no hit has this place or a higher one */
	uint64_t mark; /* the state of the contexts; 0: not told */
	enum retrieve_way way;
	const struct slice *not_found; /* of all the ids, whatever the page; in their order */
	size_t not_found_count;
	struct slice unused; /* names of arguments that say nothing beside ids; empty: none */
	size_t short_of;     /* hits that were gone, or no longer passed the filter, when they were loaded */
	bool no_words;       /* the query has no word in it */
	struct slice degraded[RETRIEVE_DEGRADED_MAX];
	size_t degraded_count;
	bool passing;      /* something that may mend itself, without a commit, kept the answer from being better */
	int64_t embed_ns;  /* time until the query's vector was there */
	int64_t vector_ns; /* time in the vector port */
	int64_t search_ns; /* time in the text port */
	int64_t load_ns;   /* time in the context port */
};

CS_CHECKED enum cs_status retrieve_contexts(struct store *, struct op *, const struct retrieve_request *,
	struct retrieve_result *ret_result, struct cs_error *);

#endif
