/* A binary heap in an array. See best.h. */
#include "engine/best.h"

#include <stdlib.h>

enum cs_status best_init(struct best *best, size_t room, enum text_order order, struct cs_error *err)
{
	struct match *heap = malloc((room ? room : 1) * sizeof *heap);

	if (!heap)
		return cs_fail_memory(err);
	*best = (struct best){.heap = heap, .room = room, .order = order};
	return CS_OK;
}

void best_release(struct best *best)
{
	free(best->heap);
	*best = (struct best){0};
}

/* Does a come before b in the result? */
static bool before(enum text_order order, const struct match *a, const struct match *b)
{
	if (order == TEXT_BY_DATE && a->created_at != b->created_at)
		return a->created_at > b->created_at;
	if (order == TEXT_BY_SCORE && a->score != b->score)
		return a->score > b->score;
	return a->row > b->row;
}

static void sift_down(struct best *best, size_t at)
{
	struct match moved = best->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= best->count)
			break;
		if (child + 1 < best->count && before(best->order, &best->heap[child], &best->heap[child + 1]))
			child++;
		if (!before(best->order, &moved, &best->heap[child]))
			break;
		best->heap[at] = best->heap[child];
		at = child;
	}
	best->heap[at] = moved;
}

static void sift_up(struct best *best, size_t at)
{
	struct match moved = best->heap[at];

	while (at > 0 && before(best->order, &best->heap[(at - 1) / 2], &moved)) {
		best->heap[at] = best->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	best->heap[at] = moved;
}

void best_offer(struct best *best, const struct match *match)
{
	if (best->count < best->room) {
		best->heap[best->count++] = *match;
		sift_up(best, best->count - 1);
	} else if (best->room && before(best->order, match, &best->heap[0])) {
		best->heap[0] = *match;
		sift_down(best, 0);
	}
}

void best_sort(struct best *best)
{
	size_t count = best->count;

	while (best->count > 1) {
		struct match worst = best->heap[0];

		best->heap[0] = best->heap[--best->count];
		sift_down(best, 0);
		best->heap[best->count] = worst;
	}
	best->count = count;
}
