/* UTF-8, as strict as the Unicode Standard's table 3-7 ("Well-Formed UTF-8 Byte Sequences"): no overlong form, no
 * surrogate, nothing above U+10FFFF.
 *
 * Only the second byte has ranges that depend on the first, so a lead byte gives the length and the bounds of the
 * second byte, and the others are plain continuations. A table-driven automaton was not taken: ASCII runs never come
 * here, and with branches a run of one script is predicted well. */
#include <stdbool.h>

#include "base/json.h"
#include "base/json_scan.h"

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
