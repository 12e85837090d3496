/* Which words a text has, and how often each: what the word index takes in.
 *
 * Counting is apart from taking in so that it can be done by the thread that stores, outside of every lock.
 * Owner: an all-zero one is empty; word_counts_release ends it. It can be filled again and again, and keeps its memory.
 * Threads: one at a time. */
#ifndef CS_ENGINE_WORD_COUNTS_H
#define CS_ENGINE_WORD_COUNTS_H

#include "engine/tokenizers.h"

struct word_count {
	uint64_t hash; /* map_hash of the word */
	uint32_t at;   /* in bytes */
	uint32_t length;
	uint32_t times;
};

struct word_counts {
	struct word_count *items; /* each different word, in the order of its first occurrence */
	size_t count, room;
	char *bytes; /* of the words */
	size_t byte_count, byte_room;
	uint32_t *slots; /* index + 1 into items */
	size_t slot_count;
	uint32_t tokens; /* the text's length in words */
};

void word_counts_release(struct word_counts *counts);
/* Forgets what it held. SQLite's code; what it holds is of no use if that is not SQLITE_OK. */
CS_CHECKED int word_counts_fill(struct word_counts *counts, struct tokenizers *tokenizers, struct slice text);

static inline struct slice word_counts_word(const struct word_counts *counts, size_t i)
{
	return slice_of(counts->bytes + counts->items[i].at, counts->items[i].length);
}

#endif
