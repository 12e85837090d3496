/* Byte classes of HTTP, and the scans that find the end of a name or of a line's text.
 *
 * The scans look at 16 bytes at a time where SSE2 is there (every x86-64); their scalar twins are the definition, run
 * elsewhere and on the last bytes of a block, and the tests compare the two. None reads behind `end`. A name is letters
 * and dashes nearly always, so its blocks know only these, and what else a token may hold is looked up byte by byte.
 * Used by the request parser, the body framing and the client's reply parser. Threads: pure functions. */
#ifndef CS_NET_HTTP_SCAN_H
#define CS_NET_HTTP_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define HTTP_CHAR_TOKEN 1u /* RFC 9110 5.6.2 */
#define HTTP_CHAR_HOST  2u /* RFC 3986 host and port, without the comma, which would make a list of it */
#define HTTP_CHAR_HEX   4u

extern const uint8_t http_char_class[256];

static inline bool http_is_token(char c)
{
	return http_char_class[(uint8_t)c] & HTTP_CHAR_TOKEN;
}

/* Allowed in a header's value: tab, space, visible ASCII, and bytes over 127, which are passed on as they are. */
static inline bool http_is_text(char c)
{
	uint8_t u = (uint8_t)c;
	return (u >= 0x20 && u != 0x7f) || u == '\t';
}

/* The first byte in [at, end) that is no text, or end. */
static inline const char *http_scan_text_scalar(const char *at, const char *end)
{
	while (at < end && http_is_text(*at))
		at++;
	return at;
}

static inline const char *http_scan_text(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i low = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f), tab = _mm_set1_epi8('\t');
	for (; end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		/* min(b, 0x1f) == b tells b <= 0x1f without a sign. */
		__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, low), bytes);
		control = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control);
		control = _mm_or_si128(control, _mm_cmpeq_epi8(bytes, del));
		unsigned mask = (unsigned)_mm_movemask_epi8(control);
		if (mask)
			return at + __builtin_ctz(mask);
	}
#endif
	return http_scan_text_scalar(at, end);
}

/* The first line feed in [at, end), or end. Lines of a head are short, so calling memchr costs more than looking. */
static inline const char *http_scan_feed(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i feed = _mm_set1_epi8('\n');
	for (; end - at >= 16; at += 16) {
		unsigned mask = (unsigned)_mm_movemask_epi8(
			_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)at), feed));
		if (mask)
			return at + __builtin_ctz(mask);
	}
#endif
	while (at < end && *at != '\n')
		at++;
	return at;
}

/* Visible ASCII but '#', which is what a request target is made of. */
static inline const char *http_scan_target_scalar(const char *at, const char *end)
{
	while (at<end && * at> 0x20 && *at < 0x7f && *at != '#')
		at++;
	return at;
}

static inline const char *http_scan_target(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f), hash = _mm_set1_epi8('#');
	for (; end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		/* As signed bytes, those over 127 are below the space. */
		__m128i visible = _mm_and_si128(_mm_cmpgt_epi8(bytes, space), _mm_cmplt_epi8(bytes, del));
		visible = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, hash), visible);
		unsigned others = ~(unsigned)_mm_movemask_epi8(visible) & 0xffff;
		if (others)
			return at + __builtin_ctz(others);
	}
#endif
	return http_scan_target_scalar(at, end);
}

/* The first byte in [at, end) that may not stand in a token, or end. */
static inline const char *http_scan_token_scalar(const char *at, const char *end)
{
	while (at < end && http_is_token(*at))
		at++;
	return at;
}

static inline const char *http_scan_token(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i before_a = _mm_set1_epi8('a' - 1), behind_z = _mm_set1_epi8('z' + 1), small = _mm_set1_epi8(0x20),
		      dash = _mm_set1_epi8('-');
	for (; end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i lower = _mm_or_si128(bytes, small);
		__m128i known = _mm_and_si128(_mm_cmpgt_epi8(lower, before_a), _mm_cmplt_epi8(lower, behind_z));
		known = _mm_or_si128(known, _mm_cmpeq_epi8(bytes, dash));
		unsigned others = ~(unsigned)_mm_movemask_epi8(known) & 0xffff;
		if (others)
			return http_scan_token_scalar(at + __builtin_ctz(others), end);
	}
#endif
	return http_scan_token_scalar(at, end);
}

#endif
