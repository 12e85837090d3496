/* What the reference tokenizer makes of one character.
 *
 * The kinds below are those of its normaliser and splitter together, for uncased models; UNICODE_MARK, UNICODE_BASE_MARK,
 * UNICODE_ORDERED and UNICODE_MAPPED are plain characters to a cased model (unicode_mapped_is_alone tells the exceptions).
 *
 * Order of combining characters. The reference decomposes, sorts runs of combining characters by their class and then
 * drops nonspacing marks. What is dropped cannot be seen in the result, so only the 59 combining characters that stay have a
 * rank, and a dropped mark matters only if it is a base itself (class 0), for it ends a run.
 *
 * Threads: constant tables. */
#ifndef CS_EMBED_UNICODE_CLASSES_H
#define CS_EMBED_UNICODE_CLASSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* scripts/make-unicode-tables knows this order. */
enum unicode_kind {
	UNICODE_PLAIN,     /* part of a word */
	UNICODE_CONTROL,   /* dropped before anything else happens */
	UNICODE_MARK,      /* dropped; characters on either side may still change places */
	UNICODE_BASE_MARK, /* dropped; nothing moves across it */
	UNICODE_SPACE,     /* ends a word */
	UNICODE_ALONE,     /* punctuation: a word of its own */
	UNICODE_IDEOGRAPH, /* a word of its own */
	UNICODE_MAPPED,    /* stands for its image */
	UNICODE_ORDERED,   /* part of a word; sorted within a run of its kind by unicode_rank */
};

#define UNICODE_IMAGE_MAX 4

/* A scalar value: below 0x110000, no surrogate. */
enum unicode_kind unicode_kind(uint32_t scalar);

/* Of an UNICODE_ORDERED character: the lower rank comes first, equal ranks stay as they are. */
unsigned unicode_rank(uint32_t scalar);

/* Of an UNICODE_MAPPED character: decomposed, without marks, in small letters. Its parts are plain, alone, ideographs or
 * ordered, and never mapped themselves. Returns how many they are, 1 to UNICODE_IMAGE_MAX. */
size_t unicode_image(uint32_t scalar, uint32_t ret_image[UNICODE_IMAGE_MAX]);

/* Is an UNICODE_MAPPED character a word of its own where nothing is mapped? */
bool unicode_mapped_is_alone(uint32_t scalar);

#endif
