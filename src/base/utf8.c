/* Checking, reading and writing characters. See utf8.h.
 *
 * Only the second byte has ranges that depend on the first, so a lead byte gives the length and the bounds of the
 * second byte, and the others are plain continuations. A table-driven automaton was not taken: ASCII runs never come
 * here, and with branches a run of one script is predicted well. */
#include "base/utf8.h"

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xC0) == 0x80;
}

size_t utf8_char(const char *at, const char *end)
{
	unsigned char lead = (unsigned char)*at, low = 0x80, high = 0xBF, second;
	size_t length;

	if (lead < 0x80)
		return 1;
	if (lead < 0xC2 || lead > 0xF4)
		return 0;
	length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
	if ((size_t)(end - at) < length)
		return 0;
	if (lead == 0xE0)
		low = 0xA0;
	else if (lead == 0xED)
		high = 0x9F;
	else if (lead == 0xF0)
		low = 0x90;
	else if (lead == 0xF4)
		high = 0x8F;
	second = (unsigned char)at[1];
	if (second < low || second > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (!is_continuation(at[i]))
			return 0;
	return length;
}

uint32_t utf8_scalar(const char *at, size_t length)
{
	uint32_t scalar = (unsigned char)*at & (length == 1 ? 0x7Fu : 0x7Fu >> length);

	for (size_t i = 1; i < length; i++)
		scalar = scalar << 6 | ((unsigned char)at[i] & 0x3F);
	return scalar;
}

size_t utf8_write(uint32_t scalar, char *to)
{
	if (scalar < 0x80) {
		to[0] = (char)scalar;
		return 1;
	}
	if (scalar < 0x800) {
		to[0] = (char)(0xC0 | scalar >> 6);
		to[1] = (char)(0x80 | (scalar & 0x3F));
		return 2;
	}
	if (scalar < 0x10000) {
		to[0] = (char)(0xE0 | scalar >> 12);
		to[1] = (char)(0x80 | (scalar >> 6 & 0x3F));
		to[2] = (char)(0x80 | (scalar & 0x3F));
		return 3;
	}
	to[0] = (char)(0xF0 | scalar >> 18);
	to[1] = (char)(0x80 | (scalar >> 12 & 0x3F));
	to[2] = (char)(0x80 | (scalar >> 6 & 0x3F));
	to[3] = (char)(0x80 | (scalar & 0x3F));
	return 4;
}

/* Eight ASCII bytes at a time: content is mostly that, and its length is asked for with every write. */
int64_t utf8_length(struct slice text)
{
	const char *at = text.ptr, *end = text.len ? text.ptr + text.len : text.ptr;
	int64_t characters = 0;

	while (at < end) {
		uint64_t block;
		size_t length;

		if (end - at >= 8) {
			memcpy(&block, at, sizeof block);
			if (!(block & UINT64_C(0x8080808080808080))) {
				at += 8;
				characters += 8;
				continue;
			}
		}
		length = utf8_char(at, end);
		if (length == 0)
			return -1;
		at += length;
		characters++;
	}
	return characters;
}
