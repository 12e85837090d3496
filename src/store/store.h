/* The domain: what it means to store, find, remember and forget. Knows ports, never who stands behind them.
 *
 *   store/contexts.h   store_context: checks beyond the schema, what indexes need drawn out of content
 *   store/retrieve.h   retrieve_context: modes, filters, scores, paging
 *   store/query_cache.h  answers of searches, remembered
 *   store/embedding.h  texts to vectors: cache, queue, threads, repair
 *   store/state.h      scratchpads and agent state
 *   store/removal.h    delete, forget, restore
 *
 * A struct store is a plain bundle of ports made by cli/'s wiring. Threads: as the ports. */
#ifndef CS_STORE_STORE_H
#define CS_STORE_STORE_H

#include "port/backend.h"
#include "port/context.h"
#include "port/kv.h"
#include "port/text.h"
#include "port/vector.h"

#define STORE_TYPES_MAX    64
#define STORE_BACKENDS_MAX 8

struct embedding_service; /* store/embedding.h */
struct query_cache;       /* store/query_cache.h */

struct store {
	struct context_port contexts;
	struct text_port text;
	struct kv_port kv;
	struct vector_port vectors;          /* search NULL: this store has no vectors */
	struct embedding_service *embedding; /* NULL: off; outlives the store's calls */
	struct query_cache *queries;         /* NULL: none; outlives the calls */
	struct slice types[STORE_TYPES_MAX]; /* allowed context types */
	size_t type_count;
	size_t content_max;                          /* bytes of one context's content */
	struct backend backends[STORE_BACKENDS_MAX]; /* servers behind the ports; none: all is embedded */
	size_t backend_count;
	bool keys_configured; /* API keys exist: deleting is for human ones only */
};

#endif
