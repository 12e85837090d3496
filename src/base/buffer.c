/* Buffer: a vector of bytes that doubles, with a ceiling and a sticky failure. */
#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_SIZE 256u

void buffer_init(struct buffer *b, size_t ceiling)
{
	*b = (struct buffer){.ceiling = ceiling};
}

void buffer_release(struct buffer *b)
{
	if (!b)
		return;
	free(b->ptr);
	*b = (struct buffer){.ceiling = b->ceiling};
}

void buffer_clear(struct buffer *b)
{
	b->len = 0;
	b->failed = false;
}

char *buffer_grow(struct buffer *b, size_t more)
{
	size_t want, cap;
	char *grown;

	if (b->failed)
		return NULL;
	if (more <= b->cap - b->len && b->ptr)
		return b->ptr + b->len;
	if (__builtin_add_overflow(b->len, more, &want) || want > b->ceiling) {
		b->failed = true;
		return NULL;
	}
	cap = b->cap ? b->cap : FIRST_SIZE;
	while (cap < want)
		cap = cap > SIZE_MAX / 2 ? want : cap * 2;
	if (cap > b->ceiling)
		cap = b->ceiling ? b->ceiling : 1;
	grown = realloc(b->ptr, cap);
	if (!grown) {
		b->failed = true;
		return NULL;
	}
	b->ptr = grown;
	b->cap = cap;
	return b->ptr + b->len;
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;
	int wanted;
	char *room;

	va_start(args, format);
	wanted = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(wanted >= 0);
	/* vsnprintf writes a NUL that is not kept, so it needs one byte more than stays. */
	room = buffer_reserve(b, (size_t)wanted + 1);
	if (!room)
		return;
	va_start(args, format);
	vsnprintf(room, (size_t)wanted + 1, format, args);
	va_end(args);
	b->len += (size_t)wanted;
}

void buffer_consume(struct buffer *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->len)
		memmove(b->ptr, b->ptr + n, b->len);
}

enum cs_status buffer_status(const struct buffer *b, struct cs_error *err)
{
	return b->failed ? cs_fail_memory(err) : CS_OK;
}
