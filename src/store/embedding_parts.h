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

/* One caller that waits. */
struct embedding_call {
	pthread_cond_t changed;
	size_t left; /* interests that are not settled */
	bool begun;  /* one of its texts is being computed, or was */
};

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
	size_t count, bytes; /* of texts */
};

struct embedding_queue {
	struct embedding_line lines[EMBEDDING_CLASSES];
	struct embedding_job *buckets[EMBEDDING_BUCKETS];
	size_t running_bytes; /* of documents taken and not dropped yet */
};

size_t embedding_queue_bytes(const struct embedding_queue *); /* that wait */

struct embedding_job *embedding_queue_find(const struct embedding_queue *, struct embedding_key);
/* A new job at the end of its line; NULL: no memory. */
struct embedding_job *embedding_queue_push(
	struct embedding_queue *, struct embedding_key, enum embedding_class, enum embed_kind, struct slice text);
/* A waiting job moves to the end of a better line. */
void embedding_queue_promote(struct embedding_queue *, struct embedding_job *, enum embedding_class);
/* The next jobs to run: out of their line, still found by their key. All of one class and of about the
 * same length, shortest first. 0: nothing waits. */
size_t embedding_queue_take(struct embedding_queue *, enum embedding_class first, enum embedding_class last,
	size_t texts_max, size_t bytes_max, struct embedding_job **jobs);
/* Forgets and frees a job, waiting or taken. */
void embedding_queue_drop(struct embedding_queue *, struct embedding_job *);

/* store/embedding_compute.c */

struct embedding_thread {
	struct embedding_service *service;
	struct embedding_crew *crew; /* of those that compute */
	pthread_t thread;
	enum { THREAD_NONE, THREAD_RUNS, THREAD_ENDED } state; /* ENDED: to be joined */
};

enum { EMBEDDING_FOREGROUND, EMBEDDING_SPARE, EMBEDDING_BACKGROUND, EMBEDDING_CREWS };

struct embedding_crew {
	enum embedding_class first, last; /* what it takes */
	size_t size, idle;
	pthread_cond_t work;
	struct embedding_thread threads[EMBEDDING_THREADS_MAX];
};

/* Under the lock: joins an ended thread and starts it again. False: no thread to be had. */
bool embedding_thread_start(struct embedding_service *, struct embedding_thread *, void *(*run)(void *));
/* Under the lock, after jobs came: wakes or starts who will take them. False: there is no thread for those of this
 * class, and none to be had. */
bool embedding_summon(struct embedding_service *, enum embedding_class);
size_t embedding_threads(const struct embedding_service *); /* alive; under the lock */

struct embedding_service {
	struct embedding_options options;
	char off[CS_ERROR_TEXT_MAX];
	pthread_mutex_t lock; /* over all below but `closing` */
	atomic_bool closing;
	struct embedding_cache *cache;
	struct embedding_queue queue;

	struct embedding_crew crews[EMBEDDING_CREWS];

	/* What is known of the embedder. */
	enum embedding_state state;
	struct cs_error failure;
	int64_t retry_at_ns, pause_ns;
	bool known, agreed; /* the model was loaded; the store's is the same */
	struct embed_model model;
	double ns_per_byte; /* of documents, lately; 0: none was embedded yet */

	/* Repair. */
	struct embedding_thread repair;
	pthread_cond_t repair_wake;
	bool repair_again; /* something became pending meanwhile */
	bool recovered;    /* the embedder answers again: no need to wait longer */
	uint64_t repaired;

	struct metric_series *hits, *joins, *misses, *evictions;
	struct metrics_collector collector;
};

/* Of the service's own threads: nobody waits for it, and the end of the service ends it. */
static inline struct op embedding_op(struct embedding_service *s, struct arena *arena)
{
	return (struct op){.arena = arena,
		.principal = &principal_anonymous,
		.deadline_ns = OP_NO_DEADLINE,
		.cancelled = &s->closing,
		.may_wait = true};
}

/* store/embedding_model.c: what the embedder last said, under the lock. */
extern const char embedding_off_text[];
void embedding_note_success(struct embedding_service *);
void embedding_note_failure(struct embedding_service *, const struct cs_error *);
void embedding_note_other_model(struct embedding_service *, const struct cs_error *);

/* store/embedding.c: embeds texts in a class of their own: embedding_documents behind all other work. */
enum cs_status embedding_ask(struct embedding_service *, struct op *, enum embedding_class,
	struct embedding_text *texts, size_t count, struct embed_model *ret_model, struct cs_error *);
/* store/embedding_metrics.c: sets the service's gauges. */
void embedding_collect(void *service);

/* store/embedding_repair.c */
void *embedding_repair_run(void *thread);

#endif
