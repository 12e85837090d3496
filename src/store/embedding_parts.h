/* The inner parts of the embedding service, for its own files only (store/embedding*.c): cache, queue, the service.
 * Cache and queue know no threads; whoever holds the service's lock uses them. */
#ifndef CS_STORE_EMBEDDING_PARTS_H
#define CS_STORE_EMBEDDING_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/metrics.h"
#include "base/wait.h"
#include "store/embedding.h"

/* Of model, kind and text. 128 bits: two texts of one key are not a case that needs handling. */
struct embedding_key {
	uint64_t low, high;
};

static inline bool embedding_key_eq(struct embedding_key a, struct embedding_key b)
{
	return a.low == b.low && a.high == b.high;
}

/* store/embedding_cache.c */

struct embedding_cache;

struct embedding_cache *embedding_cache_new(size_t texts_max, size_t bytes_max); /* NULL: no memory */
void embedding_cache_free(struct embedding_cache *);                             /* takes NULL */
/* The vector, now the youngest; NULL: not there. Dies with the next put. */
const float *embedding_cache_get(struct embedding_cache *, struct embedding_key);
/* Copies. Drops the oldest ones for it; without memory nothing is kept. The number that was dropped. */
size_t embedding_cache_put(struct embedding_cache *, struct embedding_key, const float *vector, uint32_t dimension);
size_t embedding_cache_count(const struct embedding_cache *);
size_t embedding_cache_bytes(const struct embedding_cache *); /* of memory, table included */

/* store/embedding_queue.c */

enum embedding_class { EMBEDDING_QUERIES, EMBEDDING_DOCUMENTS, EMBEDDING_REPAIRS, EMBEDDING_CLASSES };

struct embedding_call; /* one caller that waits; store/embedding.c */

/* One text one caller waits for. */
struct embedding_interest {
	struct embedding_interest *next; /* of the same job */
	struct embedding_job *job;       /* NULL when settled */
	struct embedding_call *call;
	float *to;             /* where the vector goes */
	struct cs_error error; /* status CS_OK: the vector is there */
};

struct embedding_job {
	struct embedding_key key;
	enum embedding_class class_;
	enum embed_kind kind;
	uint32_t dimension;
	bool running;
	struct embedding_interest *interests;
	struct embedding_job *next, *former; /* in its line, while waiting */
	struct embedding_job *chained;       /* in its bucket */
	size_t len;
	char text[];
};

#define EMBEDDING_BUCKETS 1024u

struct embedding_line {
	struct embedding_job *first, *last;
	size_t count;
};

struct embedding_queue {
	struct embedding_line lines[EMBEDDING_CLASSES];
	struct embedding_job *buckets[EMBEDDING_BUCKETS];
	size_t bytes; /* of texts in the lines */
};

struct embedding_job *embedding_queue_find(const struct embedding_queue *, struct embedding_key);
/* A new job at the end of its line; NULL: no memory. */
struct embedding_job *embedding_queue_push(
	struct embedding_queue *, struct embedding_key, enum embedding_class, enum embed_kind, struct slice text);
/* A waiting job moves to the end of a better line. */
void embedding_queue_promote(struct embedding_queue *, struct embedding_job *, enum embedding_class);
/* The next jobs to run: out of their line, still found by their key. One query, or documents of about the same length,
 * shortest first. 0: nothing waits. */
size_t embedding_queue_take(
	struct embedding_queue *, bool queries_only, size_t texts_max, size_t bytes_max, struct embedding_job **jobs);
/* Forgets and frees a job, waiting or taken. */
void embedding_queue_drop(struct embedding_queue *, struct embedding_job *);

/* store/embedding.c */

struct embedding_thread {
	struct embedding_service *service;
	pthread_t thread;
	enum { THREAD_NONE, THREAD_RUNS, THREAD_ENDED } state; /* ENDED: to be joined */
	bool queries_only;
};

struct embedding_service {
	struct embedding_options options;
	char off[CS_ERROR_TEXT_MAX];
	pthread_mutex_t lock; /* over all below but `closing` */
	atomic_bool closing;
	struct embedding_cache *cache;
	struct embedding_queue queue;

	/* Computing. The last thread takes queries only. */
	pthread_cond_t work, query_work; /* of the threads that take anything, and of the last one */
	struct embedding_thread threads[EMBEDDING_THREADS_MAX + 1];
	size_t idle; /* of those that take anything */
	bool query_thread_idle;

	/* What is known of the embedder. */
	enum embedding_state state;
	struct cs_error failure;
	int64_t retry_at_ns, pause_ns;
	bool known, agreed; /* the model was loaded; the store's is the same */
	struct embed_model model;

	/* Repair. */
	struct embedding_thread repair;
	pthread_cond_t repair_wake;
	bool repair_again; /* something became pending meanwhile */
	bool recovered;    /* the embedder answers again: no need to wait longer */
	uint64_t repaired;

	struct metric_series *hits, *joins, *misses, *evictions;
	struct metrics_collector collector;
};

/* store/embedding_model.c: what the embedder last said, under the lock. */
extern const char embedding_off_text[];
void embedding_note_success(struct embedding_service *);
void embedding_note_failure(struct embedding_service *, const struct cs_error *);
void embedding_note_other_model(struct embedding_service *, const struct cs_error *);

/* Embeds texts in a class of their own: embedding_documents behind all other work. */
enum cs_status embedding_ask(struct embedding_service *, struct op *, enum embedding_class,
	struct embedding_text *texts, size_t count, struct embed_model *ret_model, struct cs_error *);
/* Under the lock: joins an ended thread and starts it again. False: no thread to be had. */
bool embedding_thread_start(struct embedding_service *, struct embedding_thread *, void *(*run)(void *));

/* store/embedding_metrics.c: sets the service's gauges. */
void embedding_collect(void *service);

/* store/embedding_repair.c */
void *embedding_repair_run(void *thread);

#endif
