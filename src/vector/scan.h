/* Exact nearest neighbours by scanning: the index of small collections, and the oracle of any other.
 *
 * Vectors of unit length are kept in memory twice: as signed bytes with one scale each, contiguous (what is scanned;
 * 384 bytes for 384 dimensions, so memory bandwidth is the limit), and as f32 (what the best candidates are ranked by
 * again). A code's error is measured when it is made, and bounds how far a similarity taken from codes can be from the
 * f32 one; every entry whose bound reaches the best ones is ranked by f32. So hits, their order and the total are those
 * of comparing every f32 vector. Similarity is the cosine, that is the dot product.
 *
 * An entry has a number the caller chooses (a row id). A filter is a selection made from numbers (scan_select), so it is
 * applied before the search, never after it.
 *
 * Ceiling: entries_max. Cost: 5 bytes for each dimension (rounded up to a multiple of 64) and about 24 an entry, taken
 * in blocks of some megabytes that never move. Where many vectors lie closer together than codes can tell, a search
 * reads the f32 of all of those. Kernels are chosen at run time (vector/kernels.h), each is tested against the scalar
 * one. Owner: scan_free.
 * Threads: any number of searches and selections together; put and remove alone (the caller locks: many readers, one
 * writer). */
#ifndef CS_VECTOR_SCAN_H
#define CS_VECTOR_SCAN_H

#include "base/op.h"
#include "base/row_set.h"

#define SCAN_DIMENSION_MAX 4096

struct scan;

/* Errors: CS_VALIDATION (a dimension of 0 or over SCAN_DIMENSION_MAX, entries_max of 0 or over 2^31), CS_LIMIT_EXCEEDED
 * (no memory). Nothing is set aside for entries_max. */
CS_CHECKED enum cs_status scan_new(
	uint32_t dimension, size_t entries_max, struct scan **ret_scan, struct cs_error *err);
void scan_free(struct scan *scan); /* takes NULL */

/* Replaces the vector of a number that is there. The vector need not be of unit length; a zero vector or one with a NaN
 * or infinity is CS_VALIDATION. CS_LIMIT_EXCEEDED: full or no memory. On error nothing changed. */
CS_CHECKED enum cs_status scan_put(struct scan *scan, int64_t number, const float *vector, struct cs_error *err);
bool scan_remove(struct scan *scan, int64_t number); /* false: was not there */
size_t scan_count(const struct scan *scan);
size_t scan_bytes(const struct scan *scan); /* of memory that was asked for; 0 for NULL */
uint32_t scan_dimension(const struct scan *scan);
bool scan_has(const struct scan *scan, int64_t number);
/* The stored f32 vector of unit length, or NULL. Dies with the next put or remove. */
const float *scan_vector(const struct scan *scan, int64_t number);

struct scan_hit {
	int64_t number;
	float similarity; /* -1..1, from f32 */
};

struct scan_query {
	const float *vector; /* any length but zero */
	size_t limit;        /* 0: only the total is asked for */
	float at_least;      /* similarity; -2 for none; a NaN is CS_VALIDATION */
	/* NULL: all of them. */
	const struct scan_selection *selection;
	/* The best by what codes promise at least: one may be left out for another that it is better than by less than
	 * the codes' error. Similarities and the total are exact all the same. Costs no more where many are alike. */
	bool rough;
};

/* A set of entries, made from their numbers; those that are not in the index are ignored, one that stands twice counts
 * once. In the arena; dies with the next put or remove, which scan_search asserts. CS_LIMIT_EXCEEDED: no memory. */
struct scan_selection;
CS_CHECKED enum cs_status scan_select(const struct scan *scan, struct arena *arena, const int64_t *numbers,
	size_t count, const struct scan_selection **ret_selection, struct cs_error *err);
/* The same from a set of numbers. *ret_count: how many of them are here. */
CS_CHECKED enum cs_status scan_select_set(const struct scan *scan, struct arena *arena, const struct row_set *set,
	const struct scan_selection **ret_selection, size_t *ret_count, struct cs_error *err);

/* Best first; ties by number. *ret_total: how many of the selection reach at_least, however many the limit lets through.
 * Hits are in op->arena, at most limit of them. Errors: CS_VALIDATION (the query's vector, as for scan_put),
 * CS_LIMIT_EXCEEDED (no memory), CS_TIMEOUT when op says so (asked every few thousand entries). */
CS_CHECKED enum cs_status scan_search(const struct scan *scan, struct op *op, const struct scan_query *query,
	struct scan_hit **ret_hits, size_t *ret_count, uint64_t *ret_total, struct cs_error *err);

/* One for each number, to the last bit what a search gives; NAN where the number is not there. Errors as scan_search. */
CS_CHECKED enum cs_status scan_similarities(const struct scan *scan, struct op *op, const float *vector,
	const int64_t *numbers, size_t count, float *similarities, struct cs_error *err);

#endif
