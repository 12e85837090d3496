/* Open addressing with linear probing; a removed entry's followers move up, so there are no tombstones and look-ups
 * stay short however often contexts come and go. Not base/map.h, which would allocate each 8-byte key. */
#include "engine/vector_rows.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"

#define SLOTS_MIN  64
#define NAME_BYTES 32 /* beside the id: row, hash, length, malloc's header and rounding */

struct vector_name {
	int64_t row;
	uint32_t hash; /* of the id */
	uint16_t length;
	char bytes[];
};

struct vector_row {
	int64_t row;
	struct vector_name *name; /* NULL: free */
};

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014). Row numbers are ours, so nobody can aim for one slot. */
static size_t place_of(const struct vector_rows *rows, int64_t row)
{
	uint64_t z = (uint64_t)row;

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return (size_t)(z ^ z >> 31) & (rows->slot_count - 1);
}

/* Where the row is, or the free slot where it would be. The table must have slots. */
static size_t find(const struct vector_rows *rows, int64_t row)
{
	size_t at = place_of(rows, row);

	while (rows->slots[at].name && rows->slots[at].row != row)
		at = (at + 1) & (rows->slot_count - 1);
	return at;
}

/* The same for the other table. */
static size_t find_id(const struct vector_rows *rows, struct slice id, uint32_t hash)
{
	size_t mask = rows->slot_count - 1, at = hash & mask;

	for (; rows->by_id[at]; at = (at + 1) & mask)
		if (rows->by_id[at]->hash == hash &&
			slice_eq(slice_of(rows->by_id[at]->bytes, rows->by_id[at]->length), id))
			break;
	return at;
}

static void enter_id(struct vector_rows *rows, struct vector_name *name)
{
	if (name->length > 0)
		rows->by_id[find_id(rows, slice_of(name->bytes, name->length), name->hash)] = name;
}

/* Nothing, if another row has taken the id since. */
static void leave_id(struct vector_rows *rows, const struct vector_name *name)
{
	size_t mask = rows->slot_count - 1, hole, at;

	if (name->length == 0)
		return;
	hole = find_id(rows, slice_of(name->bytes, name->length), name->hash);
	if (rows->by_id[hole] != name)
		return;
	for (at = (hole + 1) & mask; rows->by_id[at]; at = (at + 1) & mask) {
		if (((at - rows->by_id[at]->hash) & mask) >= ((at - hole) & mask)) {
			rows->by_id[hole] = rows->by_id[at];
			hole = at;
		}
	}
	rows->by_id[hole] = NULL;
}

static bool reserve(struct vector_rows *rows)
{
	const struct vector_rows old = *rows;
	size_t slot_count = old.slot_count ? old.slot_count * 2 : SLOTS_MIN;
	struct vector_row *slots;
	struct vector_name **by_id;

	if ((rows->count + 1) * 4 <= rows->slot_count * 3)
		return true;
	slots = calloc(slot_count, sizeof *slots);
	by_id = calloc(slot_count, sizeof(struct vector_name *));
	if (!slots || !by_id) {
		free(slots);
		free(by_id);
		return false;
	}
	rows->slots = slots;
	rows->by_id = by_id;
	rows->slot_count = slot_count;
	for (size_t i = 0; i < old.slot_count; i++) {
		if (old.slots[i].name)
			slots[find(rows, old.slots[i].row)] = old.slots[i];
		if (old.by_id[i])
			enter_id(rows, old.by_id[i]);
	}
	free(old.slots);
	free(old.by_id);
	return true;
}

void vector_rows_release(struct vector_rows *rows)
{
	for (size_t i = 0; i < rows->slot_count; i++)
		free(rows->slots[i].name);
	free(rows->slots);
	free(rows->by_id);
	*rows = (struct vector_rows){0};
}

bool vector_rows_put(struct vector_rows *rows, int64_t row, struct slice id)
{
	struct vector_name *name;
	struct slice known;
	size_t at;

	assert(id.len <= UINT16_MAX);
	if (vector_rows_get(rows, row, &known) && slice_eq(known, id))
		return true;
	name = malloc(sizeof *name + id.len);
	if (!name || !reserve(rows)) {
		free(name);
		return false;
	}
	*name = (struct vector_name){.row = row, .hash = (uint32_t)map_hash(id), .length = (uint16_t)id.len};
	if (id.len)
		memcpy(name->bytes, id.ptr, id.len);
	at = find(rows, row);
	if (rows->slots[at].name) {
		rows->name_bytes -= rows->slots[at].name->length;
		leave_id(rows, rows->slots[at].name);
		free(rows->slots[at].name);
	} else {
		rows->count++;
	}
	rows->name_bytes += id.len;
	rows->slots[at] = (struct vector_row){row, name};
	enter_id(rows, name);
	return true;
}

void vector_rows_remove(struct vector_rows *rows, int64_t row)
{
	size_t mask = rows->slot_count - 1, hole, at;

	if (!vector_rows_get(rows, row, NULL))
		return;
	hole = at = find(rows, row);
	rows->name_bytes -= rows->slots[hole].name->length;
	leave_id(rows, rows->slots[hole].name);
	free(rows->slots[hole].name);
	rows->count--;
	/* An entry moves into the hole unless its own place lies behind it, going round. */
	for (at = (at + 1) & mask; rows->slots[at].name; at = (at + 1) & mask) {
		size_t place = place_of(rows, rows->slots[at].row);

		if (((at - place) & mask) >= ((at - hole) & mask)) {
			rows->slots[hole] = rows->slots[at];
			hole = at;
		}
	}
	rows->slots[hole].name = NULL;
}

size_t vector_rows_bytes(const struct vector_rows *rows)
{
	return rows->slot_count * (sizeof *rows->slots + sizeof *rows->by_id) + rows->name_bytes +
	       rows->count * NAME_BYTES;
}

bool vector_rows_get(const struct vector_rows *rows, int64_t row, struct slice *ret_id)
{
	const struct vector_name *name = rows->slot_count ? rows->slots[find(rows, row)].name : NULL;

	if (name && ret_id)
		*ret_id = slice_of(name->bytes, name->length);
	return name != NULL;
}

bool vector_rows_find(const struct vector_rows *rows, struct slice id, int64_t *ret_row)
{
	const struct vector_name *name =
		rows->slot_count ? rows->by_id[find_id(rows, id, (uint32_t)map_hash(id))] : NULL;

	if (name)
		*ret_row = name->row;
	return name != NULL;
}
