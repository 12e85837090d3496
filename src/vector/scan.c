/* What the index stores: blocks of slots without holes, and a hash table from numbers to slots.
 *
 * Slots are dense, so that a scan is a walk through memory and nothing else: a removal moves the last entry into the
 * hole. Blocks of about a megabyte of codes are never moved or copied when the index grows; one array that doubles
 * would copy everything and need three times the memory while it does. A block is one allocation; pages of it that were
 * never written cost address space only, so a small index is small. The last block but one spare is given back when
 * entries go.
 *
 * The hash table holds slots only (4 bytes, at most 2/3 full): the number to compare with stands in the block. Numbers
 * are row ids that we hand out ourselves, so the hash needs to mix, not to keep a secret. Removal shifts the run back,
 * so there are no tombstones and no rebuilding.
 *
 * Codes: code = round(value / scale), scale = largest value / 127. The length of what rounding took away is measured in
 * double and kept rounded up: scan_search.c builds its bound on it. One scale a vector was preferred to one for the
 * whole index (a bound from the entry itself, no training, no drift) and to one for each group of 32 dimensions (a third
 * more bytes to read for a bound not much tighter). */
#include "vector/scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/scan_parts.h"

#define ENTRIES_MAX     ((size_t)1 << 31)
#define BLOCK_CODES     ((size_t)1 << 20) /* bytes, about */
#define BLOCK_SHIFT_MIN 6                 /* a word of a selection never spans two blocks */
#define BLOCK_SHIFT_MAX 12
#define BLOCK_ROOM_MIN  8
#define TABLE_SIZE_MIN  64
#define CODE_MAX        127

_Static_assert(SCAN_DIMENSION_MAX == VECTOR_WIDTH_MAX, "every dimension has a kernel");

enum cs_status scan_new(uint32_t dimension, size_t entries_max, struct scan **ret_scan, struct cs_error *err)
{
	struct scan *scan;

	if (dimension == 0 || dimension > SCAN_DIMENSION_MAX)
		return cs_fail(err, CS_VALIDATION, "vectors have 1 to %d dimensions, not %u", SCAN_DIMENSION_MAX,
			(unsigned)dimension);
	if (entries_max == 0 || entries_max > ENTRIES_MAX)
		return cs_fail(
			err, CS_VALIDATION, "an index holds 1 to %zu vectors, not %zu", ENTRIES_MAX, entries_max);
	scan = calloc(1, sizeof *scan);
	if (!scan)
		return cs_fail_memory(err);
	scan->kernels = vector_kernels_best();
	scan->dimension = dimension;
	scan->width = (dimension + VECTOR_WIDTH_STEP - 1) / VECTOR_WIDTH_STEP * VECTOR_WIDTH_STEP;
	scan->entries_max = entries_max;
	scan->block_shift = BLOCK_SHIFT_MIN;
	while (scan->block_shift < BLOCK_SHIFT_MAX && (size_t)scan->width << (scan->block_shift + 1) <= BLOCK_CODES)
		scan->block_shift++;
	*ret_scan = scan;
	return CS_OK;
}

void scan_free(struct scan *scan)
{
	if (!scan)
		return;
	for (size_t i = 0; i < scan->block_count; i++)
		free(scan->blocks[i]);
	free(scan->blocks);
	free(scan->table);
	free(scan);
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the number moves every bit of the place. */
static size_t place_of(const struct scan *scan, int64_t number)
{
	uint64_t z = (uint64_t)number;

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return (size_t)(z ^ z >> 31) & (scan->table_size - 1);
}

static int64_t *number_at(const struct scan *scan, size_t slot)
{
	return &scan->blocks[slot >> scan->block_shift]->numbers[scan_index_in_block(scan, slot)];
}

/* Where the number stands in the table, or the free place where it would. The table must not be empty. */
static size_t find(const struct scan *scan, int64_t number)
{
	size_t place = place_of(scan, number);

	while (scan->table[place] && *number_at(scan, scan->table[place] - 1) != number)
		place = (place + 1) & (scan->table_size - 1);
	return place;
}

uint32_t scan_slot(const struct scan *scan, int64_t number)
{
	uint32_t entry = scan->table_size ? scan->table[find(scan, number)] : 0;

	return entry ? entry - 1 : SCAN_NO_SLOT;
}

/* Room in the table for one more. */
static bool reserve_place(struct scan *scan)
{
	size_t old_size = scan->table_size;
	uint32_t *old = scan->table, *bigger;

	if ((scan->count + 1) * 3 <= old_size * 2)
		return true;
	bigger = calloc(old_size ? old_size * 2 : TABLE_SIZE_MIN, sizeof *bigger);
	if (!bigger)
		return false;
	scan->table = bigger;
	scan->table_size = old_size ? old_size * 2 : TABLE_SIZE_MIN;
	for (size_t slot = 0; slot < scan->count; slot++)
		bigger[find(scan, *number_at(scan, slot))] = (uint32_t)slot + 1;
	free(old);
	return true;
}

#define BLOCK_HEAD ((sizeof(struct scan_block) + VECTOR_ALIGNMENT - 1) / VECTOR_ALIGNMENT * VECTOR_ALIGNMENT)

static size_t block_bytes(const struct scan *scan)
{
	const size_t slots = (size_t)1 << scan->block_shift, values = slots * scan->width;
	const struct scan_block *block = NULL;

	return BLOCK_HEAD + values * (sizeof *block->codes + sizeof *block->vectors) +
	       slots * (sizeof *block->scales + sizeof *block->errors + sizeof *block->numbers);
}

size_t scan_bytes(const struct scan *scan)
{
	return scan ? sizeof *scan + scan->block_count * block_bytes(scan) + scan->block_room * sizeof *scan->blocks +
			       scan->table_size * sizeof *scan->table
		    : 0;
}

/* One allocation: the header, then each array, all at multiples of 64 bytes since there are at least 64 slots. */
static struct scan_block *new_block(const struct scan *scan)
{
	const size_t slots = (size_t)1 << scan->block_shift, values = slots * scan->width;
	struct scan_block *block;
	char *next;

	block = aligned_alloc(VECTOR_ALIGNMENT, block_bytes(scan));
	if (!block)
		return NULL;
	next = (char *)block + BLOCK_HEAD;
	block->codes = (int8_t *)next;
	next += values;
	block->vectors = (float *)(void *)next;
	next += values * sizeof *block->vectors;
	block->scales = (float *)(void *)next;
	next += slots * sizeof *block->scales;
	block->errors = (float *)(void *)next;
	next += slots * sizeof *block->errors;
	block->numbers = (int64_t *)(void *)next;
	return block;
}

/* A block for slot number `count`. */
static bool reserve_slot(struct scan *scan)
{
	if (scan->count >> scan->block_shift < scan->block_count)
		return true;
	if (scan->block_count == scan->block_room) {
		size_t room = scan->block_room ? scan->block_room * 2 : BLOCK_ROOM_MIN;
		struct scan_block **bigger = realloc(scan->blocks, room * sizeof *bigger);

		if (!bigger)
			return false;
		scan->blocks = bigger;
		scan->block_room = room;
	}
	scan->blocks[scan->block_count] = new_block(scan);
	if (!scan->blocks[scan->block_count])
		return false;
	scan->block_count++;
	return true;
}

/* Sums and maxima are kept in eight lanes: one chain of additions would wait for each, and storing a vector took three
 * times as long. In double: squares of any float are in range, so that 1e38 and 1e-45 have a direction, too. */
#define LANES 8

static double sum_of(const double *lanes)
{
	return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

/* 0 if it has none. */
static double length_of(const float *vector, size_t dimension)
{
	double lanes[LANES] = {0}, sum;
	size_t i = 0;

	for (; i + LANES <= dimension; i += LANES)
		for (size_t lane = 0; lane < LANES; lane++)
			lanes[lane] += (double)vector[i + lane] * (double)vector[i + lane];
	for (; i < dimension; i++)
		lanes[0] += (double)vector[i] * (double)vector[i];
	sum = sum_of(lanes);
	return isfinite(sum) ? sqrt(sum) : 0;
}

static float largest_of(const float *vector, size_t width)
{
	float lanes[LANES] = {0}, largest = 0;

	for (size_t i = 0; i < width; i += LANES)
		for (size_t lane = 0; lane < LANES; lane++) {
			const float size = fabsf(vector[i + lane]);

			lanes[lane] = size > lanes[lane] ? size : lanes[lane];
		}
	for (size_t lane = 0; lane < LANES; lane++)
		largest = lanes[lane] > largest ? lanes[lane] : largest;
	return largest;
}

/* Rounds each value to its code; returns the length of what that took away. */
static double round_to_codes(struct scan_codes *codes, double codes_a_unit, size_t width)
{
	double lanes[LANES] = {0};

	for (size_t i = 0; i < width; i += LANES)
		for (size_t lane = 0; lane < LANES; lane++) {
			const double value = (double)codes->vector[i + lane], exact = value * codes_a_unit;
			const int code = (int)(exact + copysign(0.5, exact));
			const double left = value - code * (double)codes->scale;

			codes->codes[i + lane] = (int8_t)code;
			lanes[lane] += left * left;
		}
	return sqrt(sum_of(lanes));
}

enum cs_status scan_encode(const struct scan *scan, const float *vector, struct scan_codes *codes, struct cs_error *err)
{
	const double length = length_of(vector, scan->dimension);
	double shrink, largest;

	if (length == 0)
		return cs_fail(err, CS_VALIDATION, "a vector needs a direction: not all zero, no NaN, no infinity");
	shrink = 1 / length;
	/* The caller's vector may be the stored one, so each value is read before its place is written. */
	for (size_t i = 0; i < scan->dimension; i++)
		codes->vector[i] = (float)((double)vector[i] * shrink);
	memset(codes->vector + scan->dimension, 0, (scan->width - scan->dimension) * sizeof *codes->vector);
	largest = (double)largest_of(codes->vector, scan->width);
	codes->scale = (float)(largest / CODE_MAX);
	codes->error = nextafterf((float)round_to_codes(codes, CODE_MAX / largest, scan->width), INFINITY);
	return CS_OK;
}

static struct scan_codes slot_codes(const struct scan *scan, size_t slot)
{
	const struct scan_block *block = scan_block_of(scan, slot);
	const size_t i = scan_index_in_block(scan, slot);

	return (struct scan_codes){
		block->vectors + i * scan->width, block->codes + i * scan->width, block->scales[i], block->errors[i]};
}

static void set_scale(struct scan *scan, size_t slot, float scale, float error)
{
	const struct scan_block *block = scan_block_of(scan, slot);
	const size_t i = scan_index_in_block(scan, slot);

	block->scales[i] = scale;
	block->errors[i] = error;
}

enum cs_status scan_put(struct scan *scan, int64_t number, const float *vector, struct cs_error *err)
{
	uint32_t slot = scan_slot(scan, number);
	const bool added = slot == SCAN_NO_SLOT;
	struct scan_codes codes;
	enum cs_status status;

	if (added) {
		if (scan->count >= scan->entries_max)
			return cs_fail(err, CS_LIMIT_EXCEEDED, "the vector index is full: it holds %zu vectors",
				scan->entries_max);
		if (!reserve_place(scan) || !reserve_slot(scan))
			return cs_fail_memory(err);
		slot = (uint32_t)scan->count;
	}
	codes = slot_codes(scan, slot);
	status = scan_encode(scan, vector, &codes, err); /* writes nothing if it refuses */
	if (status != CS_OK)
		return status;
	set_scale(scan, slot, codes.scale, codes.error);
	if (added) {
		scan->table[find(scan, number)] = slot + 1;
		*number_at(scan, slot) = number;
		scan->count++;
	}
	scan->changes++;
	return CS_OK;
}

/* Empties a place and closes the gap: an entry behind it moves up unless that would put it before its own place. */
static void clear_place(struct scan *scan, size_t place)
{
	const size_t mask = scan->table_size - 1;

	for (size_t next = (place + 1) & mask; scan->table[next]; next = (next + 1) & mask) {
		size_t home = place_of(scan, *number_at(scan, scan->table[next] - 1));

		if (((next - home) & mask) < ((next - place) & mask))
			continue;
		scan->table[place] = scan->table[next];
		place = next;
	}
	scan->table[place] = 0;
}

static void move_entry(struct scan *scan, size_t from, size_t to)
{
	struct scan_codes source = slot_codes(scan, from), target = slot_codes(scan, to);

	scan->table[find(scan, *number_at(scan, from))] = (uint32_t)to + 1;
	memcpy(target.vector, source.vector, scan->width * sizeof *target.vector);
	memcpy(target.codes, source.codes, scan->width);
	set_scale(scan, to, source.scale, source.error);
	*number_at(scan, to) = *number_at(scan, from);
}

bool scan_remove(struct scan *scan, int64_t number)
{
	const uint32_t slot = scan_slot(scan, number);
	const size_t slots = (size_t)1 << scan->block_shift;

	if (slot == SCAN_NO_SLOT)
		return false;
	clear_place(scan, find(scan, number));
	if (slot != scan->count - 1)
		move_entry(scan, scan->count - 1, slot);
	scan->count--;
	scan->changes++;
	/* One empty block is kept, so that an index at a block's edge does not take and give it back in turn. */
	if (scan->block_count * slots - scan->count >= 2 * slots)
		free(scan->blocks[--scan->block_count]);
	return true;
}

size_t scan_count(const struct scan *scan)
{
	return scan->count;
}

uint32_t scan_dimension(const struct scan *scan)
{
	return scan->dimension;
}

bool scan_has(const struct scan *scan, int64_t number)
{
	return scan_slot(scan, number) != SCAN_NO_SLOT;
}

const float *scan_vector(const struct scan *scan, int64_t number)
{
	const uint32_t slot = scan_slot(scan, number);

	return slot == SCAN_NO_SLOT ? NULL : slot_codes(scan, slot).vector;
}
