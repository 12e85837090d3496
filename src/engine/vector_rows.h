/* Which rows are there and what they are called: from the row number of a context to its id, and back.
 *
 * What a search finds are row numbers; naming them from memory spares it a visit to SQLite, and lets equal similarities
 * be ordered by id. The way back is for the similarities of what words have found, some hundreds a question. Ids are
 * copied. Cost: 24 bytes a slot, at most 3/4 full, and the id with the allocator's share.
 * Threads: any number of readers, or one that changes; the caller locks. */
#ifndef CS_ENGINE_VECTOR_ROWS_H
#define CS_ENGINE_VECTOR_ROWS_H

#include "base/slice.h"

struct vector_row;
struct vector_name;

/* All zero is an empty one. */
struct vector_rows {
	struct vector_row *slots;
	struct vector_name **by_id; /* as many slots; the empty id is not in it */
	size_t slot_count;          /* a power of two, or 0 */
	size_t count;
	size_t name_bytes; /* of ids */
};

void vector_rows_release(struct vector_rows *rows);

/* Adds, or renames. False: no memory; nothing changed. An id has at most UINT16_MAX bytes (CONTEXT_ID_MAX is less). */
bool vector_rows_put(struct vector_rows *rows, int64_t row, struct slice id);
void vector_rows_remove(struct vector_rows *rows, int64_t row); /* nothing, if it is not there */
size_t vector_rows_bytes(const struct vector_rows *rows);       /* of memory, the allocator's share estimated */
/* *ret_id (may be NULL) lives until the next change. */
bool vector_rows_get(const struct vector_rows *rows, int64_t row, struct slice *ret_id);
/* The row that was put last under this id. */
bool vector_rows_find(const struct vector_rows *rows, struct slice id, int64_t *ret_row);

#endif
