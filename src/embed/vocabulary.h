/* The pieces a model knows, and their numbers: within this folder only; tokenizer.h is what others see.
 *
 * vocab.txt has one piece a line, and the line's number, from 0, is its id. A piece that goes on a word is written with
 * "##" before it. Lines may end with CR LF.
 *
 * Searching takes no text to hash: whoever walks a word extends the hash of its beginning by one byte at a time, from
 * vocabulary_start, and asks for any of these beginnings.
 *
 * Owner: vocabulary_release. Threads: read-only once loaded. */
#ifndef CS_EMBED_VOCABULARY_H
#define CS_EMBED_VOCABULARY_H

#include "base/error.h"
#include "base/slice.h"

#define VOCABULARY_BYTES_MAX (32u << 20)
#define VOCABULARY_SIZE_MAX  (1u << 20) /* pieces */
#define VOCABULARY_NONE      UINT32_MAX /* no such id */

struct vocabulary_slot {
	uint32_t tag;
	uint32_t id;
};

struct vocabulary {
	char *text;       /* the lines' bytes, one behind the other, without their ends */
	uint32_t *starts; /* size + 1 places in text */
	uint32_t size;
	uint32_t longest; /* bytes of the longest piece, "##" not counted */
	struct vocabulary_slot *slots;
	unsigned shift; /* 64 less the binary logarithm of the number of slots */
	uint64_t start[2];
};

/* Errors: CS_VALIDATION (which line, what is wrong), CS_LIMIT_EXCEEDED (memory). On error nothing is owned. */
CS_CHECKED enum cs_status vocabulary_load(struct vocabulary *ret_vocabulary, struct slice lines, struct cs_error *);
void vocabulary_release(struct vocabulary *); /* takes NULL */

/* Of the empty beginning: of a word, or (goes_on) of a piece that goes on one. */
static inline uint64_t vocabulary_start(const struct vocabulary *v, bool goes_on)
{
	return v->start[goes_on];
}

static inline uint64_t vocabulary_extend(uint64_t hash, char byte)
{
	return (hash ^ (unsigned char)byte) * UINT64_C(0x9E3779B97F4A7C15);
}

/* The piece with these bytes, "##" left out if it goes on a word; `hash` is theirs. VOCABULARY_NONE: there is none. */
uint32_t vocabulary_find(const struct vocabulary *, struct slice bytes, bool goes_on, uint64_t hash);
/* A whole line: "##ing", "[SEP]". */
uint32_t vocabulary_find_line(const struct vocabulary *, struct slice line);
/* Empty if there is no such id. */
struct slice vocabulary_line(const struct vocabulary *, uint32_t id);

#endif
