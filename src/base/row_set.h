/* A set of row numbers as bits: row % 64 of word row / 64. Borrowed: whoever made it says how long it lives. */
#ifndef CS_BASE_ROW_SET_H
#define CS_BASE_ROW_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct row_set {
	const uint64_t *words;
	size_t word_count;
	size_t count; /* rows in it */
};

static inline bool row_set_has(const struct row_set *set, int64_t row)
{
	const size_t word = (size_t)row / 64;

	return row >= 0 && word < set->word_count && (set->words[word] >> (row % 64) & 1);
}

#endif
