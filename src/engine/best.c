/* Twice as many as are wanted are collected; when the room is full, the worse half is thrown away, and from then on only
 * what beats the worst of those kept gets in.
 *
 * A heap was here before. A hybrid search wants 400, most of 5,000 matches come while the heap is still changing, and nine
 * levels of unpredictable branches for each were a tenth of the search; dividing 800 now and then costs a fifth of it.
 *
 * Dividing is quickselect (Hoare 1961) with the middle of three as the pivot; should that go wrong for too long, the items
 * are sorted instead, so nobody's choice of words makes it quadratic. */
#include "engine/best.h"

#include <math.h>
#include <stdlib.h>

#define CAPACITY_MIN 64
#define DIVIDES_MAX  64 /* each takes half away on average */

enum cs_status best_init(struct best *best, size_t room, enum text_order order, struct cs_error *err)
{
	size_t capacity = room * 2 > CAPACITY_MIN ? room * 2 : CAPACITY_MIN;
	struct match *items = malloc(capacity * sizeof *items);

	if (!items)
		return cs_fail_memory(err);
	*best = (struct best){.items = items,
		.room = room,
		.capacity = capacity,
		.floor = room ? -INFINITY : INFINITY,
		.order = order};
	return CS_OK;
}

void best_release(struct best *best)
{
	free(best->items);
	*best = (struct best){0};
}

static int by_score(const void *left, const void *right)
{
	const struct match *a = left, *b = right;

	if (a->score != b->score)
		return a->score > b->score ? -1 : 1;
	return (a->row < b->row) - (a->row > b->row);
}

static int by_date(const void *left, const void *right)
{
	const struct match *a = left, *b = right;

	if (a->created_at != b->created_at)
		return a->created_at > b->created_at ? -1 : 1;
	return (a->row < b->row) - (a->row > b->row);
}

/* Does a come before b in the result? */
static bool before(enum text_order order, const struct match *a, const struct match *b)
{
	return (order == TEXT_BY_DATE ? by_date(a, b) : by_score(a, b)) < 0;
}

static void swap(struct match *a, struct match *b)
{
	struct match kept = *a;

	*a = *b;
	*b = kept;
}

/* Puts those before the pivot before it; returns where the pivot then is. */
static size_t divide(struct best *best, size_t low, size_t high)
{
	struct match *items = best->items;
	size_t middle = low + (high - low) / 2, to = low;

	if (before(best->order, &items[middle], &items[low]))
		swap(&items[middle], &items[low]);
	if (before(best->order, &items[high], &items[low]))
		swap(&items[high], &items[low]);
	if (before(best->order, &items[middle], &items[high]))
		swap(&items[middle], &items[high]);
	for (size_t i = low; i < high; i++)
		if (before(best->order, &items[i], &items[high]))
			swap(&items[i], &items[to++]);
	swap(&items[to], &items[high]);
	return to;
}

/* Brings the best `count` of more to the front. */
static void bring_forward(struct best *best, size_t count)
{
	size_t low = 0, high = best->count - 1, wanted = count - 1, at = SIZE_MAX;

	for (unsigned divides = 0; at != wanted && divides < DIVIDES_MAX; divides++) {
		at = divide(best, low, high);
		if (at < wanted)
			low = at + 1;
		else if (at > wanted)
			high = at - 1;
	}
	if (at != wanted)
		qsort(best->items, best->count, sizeof *best->items, best->order == TEXT_BY_DATE ? by_date : by_score);
}

/* Keeps the best `room` of more. */
static void keep_room(struct best *best)
{
	bring_forward(best, best->room);
	best->count = best->room;
	if (best->order == TEXT_BY_SCORE)
		best->floor = best->items[best->count - 1].score;
}

void best_offer(struct best *best, const struct match *match)
{
	if (best->room == 0 || (best->order == TEXT_BY_SCORE && match->score < best->floor))
		return;
	if (best->count == best->capacity)
		keep_room(best);
	best->items[best->count++] = *match;
}

void best_sort(struct best *best)
{
	size_t in_order;

	if (best->count > best->room)
		keep_room(best);
	in_order = best->in_order && best->in_order < best->count ? best->in_order : best->count;
	if (in_order < best->count)
		bring_forward(best, in_order);
	qsort(best->items, in_order, sizeof *best->items, best->order == TEXT_BY_DATE ? by_date : by_score);
}
