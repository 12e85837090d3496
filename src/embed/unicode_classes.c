/* The generated table and how it is read.
 *
 * One 16-bit value a scalar: a kind, a kind and a rank, or the place of its image in a pool. Three stages of blocks
 * without repetition hold the 1.1 million values in 26 KB; two stages take 59 KB and a sorted list of ranges takes a
 * search. Syllables of Hangul are computed, as the Unicode Standard describes in section 3.12: 11,172 images less. */
#include "embed/unicode_classes.h"

#include <assert.h>

#include "embed/unicode_table.h"

#define HANGUL_FIRST 0xAC00u
#define HANGUL_L     0x1100u
#define HANGUL_V     0x1161u
#define HANGUL_T     0x11A7u
#define HANGUL_TAILS 28u
#define HANGUL_BLOCK (21u * HANGUL_TAILS) /* syllables of one leading consonant */

static unsigned value_of(uint32_t scalar)
{
	unsigned block;

	assert(scalar < 0x110000);
	block = unicode_top[scalar >> (UNICODE_LEAF_BITS + UNICODE_MIDDLE_BITS)];
	block = unicode_middle[block << UNICODE_MIDDLE_BITS |
			       (scalar >> UNICODE_LEAF_BITS & ((1u << UNICODE_MIDDLE_BITS) - 1))];
	return unicode_leaf[block << UNICODE_LEAF_BITS | (scalar & ((1u << UNICODE_LEAF_BITS) - 1))];
}

enum unicode_kind unicode_kind(uint32_t scalar)
{
	unsigned value = value_of(scalar);

	if (value >= UNICODE_FIRST_MAPPING)
		return UNICODE_MAPPED;
	return value < UNICODE_ORDERED ? (enum unicode_kind)value : UNICODE_ORDERED;
}

unsigned unicode_rank(uint32_t scalar)
{
	return value_of(scalar) - UNICODE_ORDERED;
}

static size_t hangul_image(uint32_t scalar, uint32_t ret_image[UNICODE_IMAGE_MAX])
{
	uint32_t syllable = scalar - HANGUL_FIRST, tail = syllable % HANGUL_TAILS;

	ret_image[0] = HANGUL_L + syllable / HANGUL_BLOCK;
	ret_image[1] = HANGUL_V + syllable % HANGUL_BLOCK / HANGUL_TAILS;
	ret_image[2] = HANGUL_T + tail;
	return tail ? 3 : 2;
}

size_t unicode_image(uint32_t scalar, uint32_t ret_image[UNICODE_IMAGE_MAX])
{
	unsigned value = value_of(scalar);
	const uint32_t *part;
	size_t count = 0;

	if (value == UNICODE_MAPPED)
		return hangul_image(scalar, ret_image);
	assert(value >= UNICODE_FIRST_MAPPING);
	part = &unicode_pool[value - UNICODE_FIRST_MAPPING];
	do
		ret_image[count++] = *part / 2;
	while (*part++ & 1);
	return count;
}

bool unicode_mapped_is_alone(uint32_t scalar)
{
	for (size_t i = 0; i < sizeof unicode_mapped_alone / sizeof *unicode_mapped_alone; i++) {
		if (unicode_mapped_alone[i] == scalar)
			return true;
	}
	return false;
}
