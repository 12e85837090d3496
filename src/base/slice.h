/* Text as {pointer, length}.
 *
 * A slice borrows: whoever made the bytes owns them, and the header that hands out a slice says how long they live.
 * Bytes are UTF-8 unless said otherwise and may contain NUL. An empty slice may have a null pointer.
 * Threads: plain values. */
#ifndef CS_BASE_SLICE_H
#define CS_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* S("literal"): a slice of a string literal. */
#define S(literal) ((struct slice){"" literal, sizeof(literal) - 1})
/* For static initialisers, where a compound literal is no constant. */
#define SLICE_INIT(literal)                                                                                            \
	{                                                                                                              \
		"" literal, sizeof(literal) - 1                                                                        \
	}
/* printf("%.*s", SLICE_ARG(s)) */
#define SLICE_FMT    "%.*s"
#define SLICE_ARG(s) (int)(s).len, (s).ptr

static inline struct slice slice_of(const char *ptr, size_t len)
{
	return (struct slice){ptr, len};
}

/* A NULL string is the empty slice. */
static inline struct slice slice_cstr(const char *text)
{
	return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	/* The length of the second, which is often a literal: then nothing is called. */
	return a.len == b.len && (b.len == 0 || memcmp(a.ptr, b.ptr, b.len) == 0);
}

/* Is the text this name? For walks over tables of names: most differ in the first byte, and need not be measured. */
static inline bool slice_is(struct slice text, const char *name)
{
	return (text.len == 0 || text.ptr[0] == name[0]) && slice_eq(text, slice_cstr(name));
}

/* A byte below space, or DEL. */
static inline bool slice_has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7F)
			return true;
	return false;
}

static inline bool slice_starts(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

static inline struct slice slice_from(struct slice text, size_t start)
{
	return start >= text.len ? (struct slice){text.ptr + text.len, 0}
				 : (struct slice){text.ptr + start, text.len - start};
}

bool slice_same_letters(const char *a, const char *b, size_t len);

/* ASCII letters compared without case (HTTP header names, log levels). Cheapest where they are written alike, and where
 * the first letters differ. */
static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len || (b.len > 0 && (a.ptr[0] ^ b.ptr[0]) & ~0x20))
		return false;
	return slice_eq(a, b) || slice_same_letters(a.ptr, b.ptr, a.len);
}

/* Byte order, then length: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);

/* Removes ASCII space, tab, CR and LF at both ends. */
struct slice slice_trim(struct slice text);

/* Position of the byte, or text.len. */
size_t slice_find_byte(struct slice text, char byte);

/* Cuts *rest at the first separator and returns what stood before it; the whole of *rest when there is none (and *rest
 * is then empty with a null pointer, which tells "no more" from "empty last part"). */
struct slice slice_cut(struct slice *rest, char separator);

/* Whole decimal numbers, an optional '-' for the signed one; false (and *ret untouched) on anything else or overflow.
 */
bool slice_to_i64(struct slice text, int64_t *ret_value);
bool slice_to_u64(struct slice text, uint64_t *ret_value);

#endif
