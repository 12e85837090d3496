/* What the engine is made of, for its own files. Threads: set by engine_open, constant afterwards. */
#ifndef CS_ENGINE_PARTS_H
#define CS_ENGINE_PARTS_H

#include <pthread.h>

#include "base/metrics.h"
#include "engine/engine.h"
#include "engine/readers.h"
#include "engine/vectors.h"
#include "engine/words.h"
#include "engine/writer.h"
#include "port/hot_keys.h"

struct engine {
	char path[SQL_PATH_MAX];
	struct writer *writer;
	struct readers *readers;
	struct hot_keys *hot_keys;
	struct vectors *vectors;
	struct tokenizers *tokenizers;
	struct words *words;
	struct {
		pthread_t thread;
		bool started; /* of who has begun, and of who closes the engine */
		atomic_bool begun, stopping;
	} warm;                          /* warm.c */
	atomic_uint_fast64_t generation; /* of the contexts; port/context.h says when it grows */
	struct metric_series *key_hits, *key_misses;
	struct metrics_collector collector;
};

/* warm.c: ends what engine_warm began. Before the readers are freed. */
void engine_warm_stop(struct engine *engine);

/* engine_metrics.c: sets the engine's gauges; self is the engine. */
void engine_collect(void *self);

/* The functions behind the ports; each is described where its port is. */
enum cs_status context_put(void *self, struct op *, const struct context_put *, size_t count,
	struct context_put_result *, struct cs_error *);
enum cs_status context_get(void *self, struct op *, const struct slice *ids, size_t count,
	const struct context_filter *, bool with_relations, struct context **ret_contexts, size_t *ret_count,
	struct cs_error *);
enum cs_status context_find_equal(
	void *self, struct op *, const struct context *, struct slice *ret_id, struct cs_error *);
/* The same within a transaction; the id is in the arena. */
enum cs_status context_select_equal(
	struct sql *, const struct context *, struct arena *, struct slice *ret_id, struct cs_error *);
enum cs_status context_list(void *self, struct op *, const struct context_filter *, size_t offset, size_t limit,
	bool with_relations, struct context **ret_contexts, size_t *ret_count, uint64_t *ret_total, struct cs_error *);
enum cs_status context_history(void *self, struct op *, struct slice id, struct context_history_entry **ret_entries,
	size_t *ret_count, struct cs_error *);
enum cs_status context_counts(void *self, struct op *, struct context_counts *, struct cs_error *);
uint64_t context_generation(void *self);
enum cs_status context_probe(void *self, struct op *, struct cs_error *);
enum cs_status context_remove(void *self, struct op *, const struct context_remove *, struct cs_error *);
enum cs_status context_restore(void *self, struct op *, struct slice id, struct cs_error *);
enum cs_status text_search(void *self, struct op *, const struct text_query *, struct text_result *, struct cs_error *);
enum cs_status vector_search(
	void *self, struct op *, const struct vector_query *, struct vector_result *, struct cs_error *);
enum cs_status vector_similarities(void *self, struct op *, const float *vector, uint32_t dimension,
	const struct slice *ids, size_t count, double *ret_similarities, struct cs_error *);
enum cs_status vector_pending(void *self, struct op *, struct slice after, size_t limit,
	struct vector_pending **ret_pending, size_t *ret_count, struct cs_error *);
enum cs_status vector_put(void *self, struct op *, struct slice id, uint64_t version, const struct embed_model *,
	const float *vector, struct cs_error *);
enum cs_status vector_reset(void *self, struct op *, struct cs_error *);
enum cs_status vector_stats(void *self, struct op *, struct vector_stats *, struct cs_error *);
enum cs_status kv_get(void *self, struct op *, const struct kv_key *, struct kv_entry *, struct cs_error *);
enum cs_status kv_list(void *self, struct op *, const struct kv_key *owner, struct slice after, size_t limit,
	struct kv_page *, struct cs_error *);
enum cs_status kv_put(void *self, struct op *, const struct kv_write *, struct kv_entry *, struct cs_error *);
enum cs_status kv_remove(void *self, struct op *, const struct kv_key *, int64_t if_version, struct cs_error *);

#endif
