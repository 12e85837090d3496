/* Vectors in the file: the pieces that storing contexts and storing vectors share. schema.c explains the tables.
 *
 * Threads: the writer's, inside a transaction. Judging writes nothing and may refuse; storing and erasing fail only
 * with the storage (writer.h). */
#ifndef CS_ENGINE_VECTOR_WRITE_H
#define CS_ENGINE_VECTOR_WRITE_H

#include "engine/vectors.h"
#include "port/embed.h"

/* What a vector in the file belongs to. contexts.vector_set says the set of its vector; any other than this one's means
 * it has none. */
struct vector_set {
	int64_t number;
	uint32_t dimension; /* 0: no vector was ever stored, and the next one's model is taken */
};

/* May this vector be stored for the context in this row (0: a new one)? CS_VALIDATION: no vector at all, or of another
 * model; the text names both. CS_LIMIT_EXCEEDED: no room in memory. */
CS_CHECKED enum cs_status vector_judge(struct vectors *vectors, const struct write_txn *txn, int64_t row,
	const struct embed_model *model, const float *vector, struct vector_set *ret_set, struct cs_error *err);

/* Adds or replaces, and takes the model if it is the first. contexts.vector_set is the caller's to set. */
CS_CHECKED enum cs_status vector_store(const struct write_txn *txn, const struct vector_set *set, int64_t row,
	const struct embed_model *model, const float *vector, struct cs_error *err);
CS_CHECKED enum cs_status vector_erase(const struct write_txn *txn, int64_t row, struct cs_error *err);

/* The change that shows a hidden context again: with its vector, copied to the arena, or pending. `id` is borrowed. */
CS_CHECKED enum cs_status vector_bring_back(struct vectors *vectors, const struct write_txn *txn, struct arena *arena,
	int64_t row, struct slice id, struct vector_change *ret_change, struct cs_error *err);

#endif
