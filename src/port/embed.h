/* Text to vectors, as the domain needs it.
 *
 * A model turns a text into a vector of unit length; texts that mean the same point the same way. Queries and documents
 * may get different prefixes, so which of the two a text is has to be said. A text longer than the model's window is
 * embedded in pieces whose mean is taken: nothing is cut.
 *
 * Adapters: engine (the native encoder, loaded by the first call), remote (an OpenAI-compatible server).
 * Threads: any worker, never an event loop. A call computes on the calling thread; how many compute at once is the caller's
 * business (store/embedding.h).
 * Errors: EMBEDDING_UNAVAILABLE (no model, or its server does not answer: the text says how to turn it on), VALIDATION
 * (a text that cannot be embedded: invalid UTF-8, or its server refuses it), TIMEOUT, LIMIT_EXCEEDED. On error no ret_ argument is touched. */
#ifndef CS_PORT_EMBED_H
#define CS_PORT_EMBED_H

#include "base/op.h"

#define EMBED_DIMENSION_MAX 4096

struct embed_model {
	struct slice id;   /* "all-MiniLM-L6-v2" */
	struct slice hash; /* of the weights, hex; for a remote model its URL and name */
	uint32_t dimension;
};

enum embed_kind { EMBED_DOCUMENT, EMBED_QUERY };

struct embedding {
	const float *vector; /* unit length, in op->arena */
	uint32_t tokens;     /* pieces of the text that were used: all of them */
};

struct embed_port {
	void *self;
	/* Loads the model if that has not happened. Slices live as long as the port. */
	enum cs_status (*model)(void *self, struct op *, struct embed_model *ret_model, struct cs_error *);
	/* All or nothing; ret_embeddings has room for count. */
	enum cs_status (*embed)(void *self, struct op *, enum embed_kind, const struct slice *texts, size_t count,
		struct embedding *ret_embeddings, struct cs_error *);
};

#endif
