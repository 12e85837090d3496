/* The index from the inside, for scan.c (what is stored) and scan_search.c (what is asked); and for tests that choose
 * the kernels. Nobody else includes this. */
#ifndef CS_VECTOR_SCAN_PARTS_H
#define CS_VECTOR_SCAN_PARTS_H

#include "vector/kernels.h"
#include "vector/scan.h"

/* Slots of one block. Entries fill slots 0 .. count-1 without a hole, whatever was removed. */
struct scan_block {
	int8_t *codes;    /* [slots][width]; value = code * scale */
	float *vectors;   /* [slots][width], of unit length, padded with zeros */
	float *scales;    /* [slots] */
	float *errors;    /* [slots], length of (vector - code * scale), rounded up */
	int64_t *numbers; /* [slots] */
};

struct scan {
	const struct vector_kernels *kernels;
	uint32_t dimension;
	uint32_t width; /* dimension rounded up to VECTOR_WIDTH_STEP */
	size_t entries_max;
	size_t count;
	uint64_t changes;     /* puts and removals so far; tells a selection that is out of date */
	unsigned block_shift; /* a block has 1 << block_shift slots */
	struct scan_block **blocks;
	size_t block_count, block_room;
	uint32_t *table;   /* slot + 1 by hash of number, 0 for free; linear probing */
	size_t table_size; /* a power of two, or 0 */
};

struct scan_selection {
	uint64_t changes; /* of the index when it was made */
	size_t count;
	uint64_t words[]; /* bit slot % 64 of word slot / 64 */
};

/* A vector as it is stored and asked with. */
struct scan_codes {
	float *vector; /* [width] */
	int8_t *codes; /* [width] */
	float scale;
	float error;
};

/* Fills what `codes` points to. CS_VALIDATION: no direction. */
CS_CHECKED enum cs_status scan_encode(
	const struct scan *scan, const float *vector, struct scan_codes *codes, struct cs_error *err);

#define SCAN_NO_SLOT UINT32_MAX

uint32_t scan_slot(const struct scan *scan, int64_t number); /* SCAN_NO_SLOT: not there */

static inline const struct scan_block *scan_block_of(const struct scan *scan, size_t slot)
{
	return scan->blocks[slot >> scan->block_shift];
}

static inline size_t scan_index_in_block(const struct scan *scan, size_t slot)
{
	return slot & (((size_t)1 << scan->block_shift) - 1);
}

#endif
