/* The words of documents in memory: an inverted index that is asked instead of FTS5's.
 *
 * For each word the documents that have it and how often, in the order in which they were put; for each document its row,
 * its id and its length. Nothing here knows of the file: words.h keeps it equal to what is committed.
 *
 * A removed document stays in the lists and is skipped; counts leave it out. So removing costs nothing and needs no
 * words, and whoever owns the index makes a new one when too many are dead (word_index_worn).
 *
 * Cost: 4 bytes for each different word of a document, some 60 a word, 40 and the id a document. A search takes about
 * 3 ns for each match of each word, and as much for each document where only some rows are asked for.
 * Threads: any number of searches, or one that changes; the caller locks. Errors: CS_LIMIT_EXCEEDED (no memory, or
 * WORD_INDEX_DOCS_MAX); after one the index is of no use. */
#ifndef CS_ENGINE_WORD_INDEX_H
#define CS_ENGINE_WORD_INDEX_H

#include "base/row_set.h"
#include "engine/best.h"
#include "engine/word_counts.h"

#define WORD_INDEX_DOCS_MAX ((UINT32_C(1) << 24) - 1)

struct word_index;

CS_CHECKED enum cs_status word_index_new(struct word_index **ret_index, struct cs_error *err);
void word_index_free(struct word_index *index); /* takes NULL */

bool word_index_has(const struct word_index *index, int64_t row);
/* Adds, or replaces what the row had. */
CS_CHECKED enum cs_status word_index_put(
	struct word_index *index, int64_t row, struct slice id, const struct word_counts *counts, struct cs_error *err);
void word_index_remove(struct word_index *index, int64_t row); /* nothing, if it is not there */

/* Documents that have one of the words (each different), and whose row is among these (NULL: all), offered to `best`,
 * unless they score below best->least; *ret_total counts these, *ret_top is the highest score. What a word weighs is said
 * by all documents. CS_TIMEOUT. */
CS_CHECKED enum cs_status word_index_search(const struct word_index *index, const struct op *op,
	const struct slice *words, size_t word_count, const struct row_set *among, struct best *best,
	uint64_t *ret_total, double *ret_top, struct cs_error *err);
/* The id of a match; lives until the index changes. */
struct slice word_index_id(const struct word_index *index, uint32_t doc);

uint64_t word_index_count(const struct word_index *index); /* documents */
uint64_t word_index_bytes(const struct word_index *index); /* of memory; takes NULL */
bool word_index_worn(const struct word_index *index);      /* more dead ones than others */

#endif
