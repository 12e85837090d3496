/* UTF-8 as the Unicode Standard's table 3-7 has it ("Well-Formed UTF-8 Byte Sequences"): no overlong form, no surrogate,
 * nothing above U+10FFFF. Threads: plain functions. */
#ifndef CS_BASE_UTF8_H
#define CS_BASE_UTF8_H

#include "base/slice.h"

#define UTF8_MAX 4 /* bytes of one character */

/* Bytes of the well-formed character at `at` (at < end), or 0: there is none. */
size_t utf8_char(const char *at, const char *end);
/* The scalar value of the well-formed character of so many bytes. */
uint32_t utf8_scalar(const char *at, size_t length);
/* Writes a scalar value, at most UTF8_MAX bytes; returns how many. */
size_t utf8_write(uint32_t scalar, char *to);

/* Characters (Unicode scalar values) of valid UTF-8; -1 if it is not valid. */
int64_t utf8_length(struct slice text);

#endif
