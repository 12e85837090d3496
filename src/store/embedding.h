/* The embedding service: everything between a text that needs a vector and the port that computes one.
 *
 * Memory. The last EMBEDDING_CACHE_TEXTS texts are kept with their vectors, under a 128-bit hash of model, kind and
 * text; a text that is asked for while it is being computed is computed once. Both are counted in /metrics.
 *
 * Order. Queries come before documents, documents before repairs. Texts of about the same length are computed together,
 * beginning with the one that waits longest, as many as leave work for all threads. As many threads compute as the machine has cores; one more
 * takes queries alone, so that a query never waits for the end of a long document. Threads start when there is work and
 * end after EMBEDDING_IDLE_S without.
 *
 * Back-pressure. With queue_texts documents waiting, further ones are not taken (RATE_LIMIT): whoever stores them
 * stores them without a vector. Neither are documents before which others stand for longer than queue_wait_ms, judged
 * by how long the last ones took, or whose turn has not come within that time, unless they are patient: a caller is told
 * soon that its vector follows rather than late that it is there. Such contexts are pending in storage, not here, so that nothing is lost in a crash: a
 * repair thread reads them from the vector port, embeds them behind all other work and puts their vectors. It runs
 * while there is something to mend, backs off while the embedder fails, and starts anew when it answers again.
 *
 * Failure. The first EMBEDDING_UNAVAILABLE opens a pause in which calls fail at once with the same text; it doubles up
 * to EMBEDDING_PAUSE_MAX_S. Vectors of another model than the store's are refused (VALIDATION, with the way out).
 *
 * A NULL service is one that is off. Owner: embedding_free; no call may be running then. Threads: new and free from
 * one; the calls from any worker, never from an event loop. */
#ifndef CS_STORE_EMBEDDING_H
#define CS_STORE_EMBEDDING_H

#include "port/vector.h"

#define EMBEDDING_CACHE_TEXTS 10000
#define EMBEDDING_CACHE_BYTES (32u << 20) /* of vectors: 10,000 of 384 dimensions take 15 MB */
#define EMBEDDING_QUEUE_TEXTS 1000
#define EMBEDDING_QUEUE_BYTES (64u << 20) /* of texts that wait */
#define EMBEDDING_BATCH_TEXTS 16
#define EMBEDDING_BATCH_BYTES 512 /* about 128 tokens: more at once is no faster, and each waits for all */
#define EMBEDDING_THREADS_MAX 64
#define EMBEDDING_IDLE_S      10
#define EMBEDDING_PAUSE_MAX_S 30

struct embedding_service;

struct embedding_options {
	struct embed_port embed;    /* embed.model NULL: off */
	struct vector_port vectors; /* vectors.search NULL: no model to agree with, nothing to repair */
	struct slice off;           /* why embed is off and how to turn it on; empty: a general text */
	/* 0: the constants above, and the machine's cores. An embedder behind a network wants larger batches. */
	size_t cache_texts, queue_texts, batch_texts, batch_bytes, threads;
	int64_t queue_wait_ms; /* 0: no limit */
};

CS_CHECKED enum cs_status embedding_new(
	const struct embedding_options *, struct embedding_service **ret_service, struct cs_error *);
/* Ends all threads: what is being computed is told to stop (op->cancelled). Takes NULL. */
void embedding_free(struct embedding_service *);

/* The model, loaded and agreed with the store's. Errors: EMBEDDING_UNAVAILABLE, VALIDATION (another model), and the
 * ports'. */
CS_CHECKED enum cs_status embedding_model(
	struct embedding_service *, struct op *, struct embed_model *ret_model, struct cs_error *);

/* model->dimension floats in op->arena. Errors: also RATE_LIMIT, TIMEOUT. */
CS_CHECKED enum cs_status embedding_query(struct embedding_service *, struct op *, struct slice text,
	const float **ret_vector, struct embed_model *ret_model, struct cs_error *);

struct embedding_text {
	struct slice text;
	bool patient;          /* waits for its turn however long that takes */
	const float *vector;   /* in op->arena; NULL: error says why */
	struct cs_error error; /* RATE_LIMIT: not waited for; TIMEOUT: not done in time; else the port's */
};

/* Each text on its own. The wait ends a little before op's deadline, so that there is time left to store the texts
 * without. Errors of the whole: as embedding_model, LIMIT_EXCEEDED (memory). */
CS_CHECKED enum cs_status embedding_documents(struct embedding_service *, struct op *, struct embedding_text *texts,
	size_t count, struct embed_model *ret_model, struct cs_error *);

/* There may be contexts without a vector: starts the repair unless it runs. Called after opening a store and after
 * storing a context that is pending. Returns at once. */
void embedding_repair(struct embedding_service *);

enum embedding_state {
	EMBEDDING_OFF,     /* no embedder */
	EMBEDDING_UNTRIED, /* not needed yet */
	EMBEDDING_READY,
	EMBEDDING_FAILING,
	EMBEDDING_OTHER_MODEL, /* the store's vectors come from another one */
};

extern const char *const embedding_state_names[]; /* "off", "untried", ... */

struct embedding_status {
	enum embedding_state state;
	char reason[CS_ERROR_TEXT_MAX]; /* why vectors are missing and what to do; empty when READY or UNTRIED */
	char model_id[128];             /* cut; empty before it was loaded */
	uint32_t dimension;
	size_t waiting;    /* texts in the queue */
	size_t cached;     /* texts in memory */
	size_t threads;    /* alive */
	bool repairing;    /* contexts without a vector are being mended */
	uint64_t repaired; /* since the start */
};

/* No embedder, for as long as the process runs. Takes NULL. */
bool embedding_is_off(const struct embedding_service *);

void embedding_status(struct embedding_service *, struct embedding_status *ret_status);

#endif
