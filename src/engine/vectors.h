/* The mirror of vectors: what a search by meaning scans instead of the file.
 *
 * It holds each live context: its row number and id, what filters ask of it (attributes.h), and its vector in an exact
 * scan (vector/scan.h) unless it is pending. Hidden contexts are in the file only. It is empty until the first call that
 * needs it, which loads it; opening the engine costs nothing for it, and a store that never searches by vectors or with
 * a filter never pays for it.
 *
 * Never behind. A job publishes its changes after the commit; vectors_settle applies those of a whole commit under one
 * lock, before any caller wakes. So whatever was acknowledged is what the next search of any thread sees. A change that
 * cannot be applied (no memory) drops the mirror, and the next call that needs it loads it again or says why not.
 *
 * While it is loaded, changes are applied as always; vectors.c says why none is lost.
 * Memory is limited: vectors_set_memory. Threads: as said at each function. */
#ifndef CS_ENGINE_VECTORS_H
#define CS_ENGINE_VECTORS_H

#include "engine/attributes.h"
#include "engine/readers.h"
#include "engine/vector_rows.h"
#include "engine/writer.h"
#include "vector/scan.h"

#define VECTORS_MEMORY_DEFAULT (UINT64_C(2) << 30) /* bytes; a million vectors of 384 */

struct vectors;

enum vector_change_kind {
	VECTOR_SET,     /* the context is live and has this vector */
	VECTOR_PENDING, /* live, without one */
	VECTOR_GONE,    /* hidden or erased */
	VECTOR_RESET,   /* nobody has one any more; row and id say nothing */
};

/* Belongs to a job. What it points to lives until vectors_settle, which is before the job's caller wakes. */
struct vector_change {
	struct vector_change *next; /* the mirror's */
	enum vector_change_kind kind;
	int64_t row;
	struct slice id;
	struct attributes attributes; /* of SET and PENDING */
	const float *vector;
	uint32_t dimension;
};

CS_CHECKED enum cs_status vectors_new(struct readers *readers, struct vectors **ret_vectors, struct cs_error *err);
void vectors_free(struct vectors *vectors); /* when nobody uses it; takes NULL */
/* How much the mirror may take, about. Before the first use. */
void vectors_set_memory(struct vectors *vectors, uint64_t bytes_max);

/* The writer's thread, in a transaction, before the first write of a job: is there room for one more vector? `row` may
 * be one that has a vector (0: a new one). CS_LIMIT_EXCEEDED. A mirror that is not loaded cannot tell, and says yes:
 * loading says no then. */
CS_CHECKED enum cs_status vectors_reserve(
	struct vectors *vectors, const struct write_txn *txn, int64_t row, uint32_t dimension, struct cs_error *err);
/* The writer's thread, after the commit, in the order of the jobs. */
void vectors_publish(struct vectors *vectors, struct vector_change *change);
/* The writer's thread, when all jobs of a commit have published and before their callers wake (writer_on_settled). */
/* False: there was no change, so the commit was about something else than contexts. */
bool vectors_settle(struct vectors *vectors);

/* What a search reads, complete and unchanging from vectors_begin to vectors_end. */
struct vectors_view {
	const struct scan *scan;        /* NULL: no vector was ever stored */
	const struct vector_rows *rows; /* the live contexts */
	const struct attribute_table *attributes;
};

/* Any thread: loads, if that is not done yet. Errors: as vectors_begin. */
CS_CHECKED enum cs_status vectors_load(struct vectors *vectors, const struct op *op, struct cs_error *err);

/* Any thread; loads first if need be. Be brief: commits wait. Do not ask the writer or a reader meanwhile. Errors:
 * CS_TIMEOUT (what was loaded until then is kept), CS_LIMIT_EXCEEDED (more vectors than memory allows), CS_STORAGE,
 * CS_UNAVAILABLE, CS_WOULD_WAIT. */
CS_CHECKED enum cs_status vectors_begin(
	struct vectors *vectors, const struct op *op, struct vectors_view *ret_view, struct cs_error *err);
/* The same without loading. False: not loaded, and nothing was begun. */
bool vectors_try_begin(struct vectors *vectors, struct vectors_view *ret_view);
void vectors_end(struct vectors *vectors);

/* Live contexts, and those of them with a vector. False: not loaded, and nothing is loaded for it. Any thread. */
bool vectors_counts(struct vectors *vectors, uint64_t *ret_contexts, uint64_t *ret_vectors);

/* For /metrics, without waiting. False: commits are being applied just now. */
bool vectors_try_memory(struct vectors *vectors, uint64_t *ret_vectors, uint64_t *ret_without, uint64_t *ret_bytes);

#endif
