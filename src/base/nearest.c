/* Optimal string alignment over three rows of the usual table: names are short, so 64 bytes a row on the stack do. */
#include "base/nearest.h"

static unsigned char lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

static size_t distance(struct slice a, struct slice b)
{
	size_t rows[3][NEAREST_LENGTH_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b.len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			bool same = lower(a.ptr[i - 1]) == lower(b.ptr[j - 1]);

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && lower(a.ptr[i - 1]) == lower(b.ptr[j - 2]) &&
				lower(a.ptr[i - 2]) == lower(b.ptr[j - 1]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b.len];
}

struct nearest nearest_to(struct slice wanted)
{
	return (struct nearest){.wanted = wanted, .distance = SIZE_MAX};
}

void nearest_offer(struct nearest *nearest, struct slice candidate)
{
	size_t allowed, far;

	if (nearest->wanted.len == 0 || nearest->wanted.len > NEAREST_LENGTH_MAX || candidate.len > NEAREST_LENGTH_MAX)
		return;
	allowed = (candidate.len > nearest->wanted.len ? candidate.len : nearest->wanted.len) / 3;
	far = distance(nearest->wanted, candidate);
	if (far <= (allowed ? allowed : 1) && far < nearest->distance) {
		nearest->best = candidate;
		nearest->distance = far;
	}
}
