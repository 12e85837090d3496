/* The inner loops of JSON: how far does plain text go, and what do escapes add to it?
 *
 * Most bytes of a message stand in strings and need nothing done to them, so these loops look at sixteen at once where
 * the machine has SSE2 (every x86-64 does) and at one otherwise. Each loop has a scalar twin of the same meaning; it
 * ends the blocks, is all there is elsewhere, and is what the tests compare the blocks with. Loads never pass `end`.
 *
 * Internal to src/base/json_*.c and its tests. */
#ifndef CS_BASE_JSON_SCAN_H
#define CS_BASE_JSON_SCAN_H

#include "base/slice.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Reading stops at '"', '\\', a control character or a byte that is not ASCII. */
static inline const char *json_plain_scalar(const char *at, const char *end)
{
	for (; at < end; at++)
		if (*at == '"' || *at == '\\' || (unsigned char)*at < 0x20 || (unsigned char)*at >= 0x80)
			break;
	return at;
}

/* What stands behind the backslash for a byte that must be escaped: a letter, or 'u' for the form \u00XX. 0: nothing must. */
static const char json_escapes[256] = {
	[0x00 ... 0x07] = 'u',
	['\b'] = 'b',
	['\t'] = 't',
	['\n'] = 'n',
	[0x0B] = 'u',
	['\f'] = 'f',
	['\r'] = 'r',
	[0x0E ... 0x1F] = 'u',
	['"'] = '"',
	['\\'] = '\\',
};

#define JSON_ESCAPE_MAX 6u /* bytes that one byte becomes at most: \\u001f */

/* Bytes that escapes add to the text. */
static inline size_t json_escape_growth_scalar(const char *at, const char *end)
{
	size_t more = 0;

	for (; at < end; at++) {
		char escape = json_escapes[(unsigned char)*at];

		if (escape)
			more += escape == 'u' ? 5 : 1;
	}
	return more;
}

/* Writes the escape of one byte; returns its end. */
static inline char *json_put_escape(char *to, char c)
{
	static const char hex[] = "0123456789abcdef";

	*to++ = '\\';
	*to++ = json_escapes[(unsigned char)c];
	if (to[-1] != 'u')
		return to;
	to[0] = to[1] = '0';
	to[2] = hex[(unsigned char)c >> 4];
	to[3] = hex[(unsigned char)c & 15];
	return to + 4;
}

/* Copies the text with its escapes and returns the end of the copy. At `to` there is room for exactly that. */
static inline char *json_copy_escaped_scalar(char *to, const char *at, const char *end)
{
	for (; at < end; at++) {
		if (json_escapes[(unsigned char)*at])
			to = json_put_escape(to, *at);
		else
			*to++ = *at;
	}
	return to;
}

#ifdef __SSE2__

static inline const char *json_plain(const char *at, const char *end)
{
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);

	for (; end - at >= 16; at += 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
		/* As signed bytes, what is not ASCII is below the space too. */
		__m128i stop = _mm_or_si128(_mm_cmplt_epi8(block, space),
			_mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
		unsigned bits = (unsigned)_mm_movemask_epi8(stop);

		if (bits)
			return at + __builtin_ctz(bits);
	}
	return json_plain_scalar(at, end);
}

static inline __m128i json_marked(__m128i block)
{
	return _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
}

static inline __m128i json_controls(__m128i block)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
}

static inline unsigned json_escape_bits(__m128i block)
{
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(json_marked(block), json_controls(block)));
}

static inline size_t json_escape_growth(const char *at, const char *end)
{
	size_t more = 0;

	for (; end - at >= 16; at += 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)at), sums;

		if (_mm_movemask_epi8(json_controls(block))) {
			more += json_escape_growth_scalar(at, at + 16);
			continue;
		}
		sums = _mm_sad_epu8(_mm_and_si128(json_marked(block), _mm_set1_epi8(1)), _mm_setzero_si128());
		more += (size_t)(_mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4));
	}
	/* The upper half of the block is zero: its bits mean nothing. */
	if (end - at >= 8 && !(json_escape_bits(_mm_loadl_epi64((const __m128i *)(const void *)at)) & 0xFF))
		at += 8;
	return more + json_escape_growth_scalar(at, end);
}

/* Blocks are looked at once, however many escapes are in them: JSON quoted as text has one every few bytes. What
 * stands before an escape is copied sixteen bytes at a time, of which the next copy overwrites what was too much;
 * '"' and '\\' follow their backslash as they are, with the bytes behind them. So while a block with escapes is gone
 * through, sixteen bytes behind any of its bytes can be read, and as many written: such a block is left when it is
 * among the last. */
static inline const char *json_copy_escaped_blocks(char **to_end, const char *at, const char *end)
{
	char *to = *to_end;

	for (; end - at >= 16; at += 16) {
		unsigned bits = json_escape_bits(_mm_loadu_si128((const __m128i *)(const void *)at)), from = 0;

		if (bits && end - at < 32)
			break;
		for (; bits; bits &= bits - 1) {
			unsigned stop = (unsigned)__builtin_ctz(bits);

			memcpy(to, at + from, 16);
			to += stop - from;
			from = stop;
			if ((unsigned char)at[stop] >= 0x20)
				*to++ = '\\';
			else
				to = json_put_escape(to, at[from++]);
		}
		memcpy(to, at + from, 16);
		to += 16 - from;
	}
	*to_end = to;
	return at;
}

/* The end of the text has nothing behind it to read or to write over, so it goes through a place that has. */
static inline char *json_copy_escaped(char *to, const char *at, const char *end)
{
	char rest[48], escaped[32 * JSON_ESCAPE_MAX + 16], *escaped_end = escaped;
	size_t left;

	at = json_copy_escaped_blocks(&to, at, end);
	left = (size_t)(end - at);
	if (left < 16)
		return json_copy_escaped_scalar(to, at, end);
	memset(rest + 16, ' ', 32);
	memcpy(rest, at, left);
	(void)json_copy_escaped_blocks(&escaped_end, rest, rest + sizeof rest);
	left = (size_t)(escaped_end - escaped) - (sizeof rest - left);
	memcpy(to, escaped, left);
	return to + left;
}

#else

static inline const char *json_plain(const char *at, const char *end)
{
	return json_plain_scalar(at, end);
}

static inline size_t json_escape_growth(const char *at, const char *end)
{
	return json_escape_growth_scalar(at, end);
}

static inline char *json_copy_escaped(char *to, const char *at, const char *end)
{
	return json_copy_escaped_scalar(to, at, end);
}

#endif

#endif
