/* Search by vectors, as the domain needs it.
 *
 * Each context has one vector, none, or is pending: stored, and to be embedded later. Vectors come in with the context
 * itself (context_put.vector), so that what was acknowledged is found by meaning at once; `put` adds one to a
 * pending context afterwards. Similarity is the cosine. Filters apply before the search.
 *
 * All vectors of a store come from one model. The first one stored pins the model; another one's are refused until
 * `reset` has forgotten the old ones (context-store reembed).
 *
 * Adapters: engine (SQLite, with an exact scan in memory). Each passes tests/contract/test_vector.
 * Threads: any worker; may wait. Errors: VALIDATION (another model or dimension: the text says how to go on), NOT_FOUND,
 * VERSION_CONFLICT, TIMEOUT, LIMIT_EXCEEDED, UNAVAILABLE, STORAGE, WOULD_WAIT. */
#ifndef CS_PORT_VECTOR_H
#define CS_PORT_VECTOR_H

#include "port/context.h"
#include "port/embed.h"

#define VECTOR_NO_LIMIT (-2.0) /* least_similarity that lets all pass */

struct vector_hit {
	struct slice id;
	double similarity; /* -1..1 */
};

struct vector_query {
	const float *vector;
	uint32_t dimension;
	const struct context_filter *filter; /* NULL: all live contexts */
	size_t offset;
	size_t limit;
	bool rough; /* of those that tie, or that the index's own rounding cannot tell apart, any will do */
	double least_similarity;
};

struct vector_result {
	struct vector_hit *hits; /* best first; ties by id */
	size_t count;
	uint64_t total;      /* contexts that pass the filter, have a vector and reach least_similarity */
	uint64_t unsearched; /* contexts that pass the filter and have no vector (pending, or stored without a model) */
};

struct vector_pending {
	struct slice id;
	uint64_t version;
	struct slice words; /* what is to be embedded */
};

struct vector_stats {
	uint64_t vectors;
	uint64_t without;      /* live contexts that have none */
	struct slice model_id; /* empty: no vector was ever stored */
	struct slice model_hash;
	uint32_t dimension;
};

struct vector_port {
	void *self;
	enum cs_status (*search)(void *self, struct op *, const struct vector_query *, struct vector_result *ret_result,
		struct cs_error *);
	/* Similarity of each id to the vector; NAN where it has none. ret_similarities has room for count. */
	enum cs_status (*similarities)(void *self, struct op *, const float *vector, uint32_t dimension,
		const struct slice *ids, size_t count, double *ret_similarities, struct cs_error *);
	/* Live contexts without a vector, oldest first, ids behind `after`. */
	enum cs_status (*pending)(void *self, struct op *, struct slice after, size_t limit,
		struct vector_pending **ret_pending, size_t *ret_count, struct cs_error *);
	/* VERSION_CONFLICT: the context has changed since (its new version brings its own vector or is pending). */
	enum cs_status (*put)(void *self, struct op *, struct slice id, uint64_t version, const struct embed_model *,
		const float *vector, struct cs_error *);
	/* Forgets all vectors and the model; every live context is then without one. */
	enum cs_status (*reset)(void *self, struct op *, struct cs_error *);
	enum cs_status (*stats)(void *self, struct op *, struct vector_stats *ret_stats, struct cs_error *);
};

#endif
