/* Bytes that grow up to a ceiling.
 *
 * Failure is sticky: the first append that would pass the ceiling (or finds no memory) sets `failed`, changes nothing,
 * and every later append is refused, so a writer checks once at the end. `buffer_clear` forgets the failure.
 *
 * Owner: whoever called buffer_init; it calls buffer_release. Slices of the contents die with the next append.
 * Threads: one at a time. */
#ifndef CS_BASE_BUFFER_H
#define CS_BASE_BUFFER_H

#include <assert.h>

#include "base/error.h"
#include "base/slice.h"

struct buffer {
	char *ptr;
	size_t len;
	size_t cap;
	size_t ceiling; /* bytes; never more than this in len */
	bool failed;
};

void buffer_init(struct buffer *, size_t ceiling);
void buffer_release(struct buffer *); /* takes NULL; the buffer can be initialised again */
void buffer_clear(struct buffer *);   /* keeps the memory */

/* buffer_reserve where the room is not there yet. */
CS_COLD char *buffer_grow(struct buffer *, size_t more);

/* Makes room for `more` bytes behind len and returns where they go, or NULL (and failed). Bytes written there count
 * once len is moved behind them. */
static inline char *buffer_reserve(struct buffer *b, size_t more)
{
	return more < b->cap - b->len && !b->failed ? b->ptr + b->len : buffer_grow(b, more);
}

static inline void buffer_append(struct buffer *b, struct slice text)
{
	char *room = buffer_reserve(b, text.len);

	if (!room || text.len == 0)
		return;
	assert(text.ptr);
	memcpy(room, text.ptr, text.len);
	b->len += text.len;
}

void buffer_printf(struct buffer *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first n bytes. */
void buffer_consume(struct buffer *, size_t n);

static inline void buffer_byte(struct buffer *b, char byte)
{
	if (b->len < b->cap && !b->failed)
		b->ptr[b->len++] = byte;
	else
		buffer_append(b, (struct slice){&byte, 1});
}

static inline struct slice buffer_slice(const struct buffer *b)
{
	return (struct slice){b->ptr, b->len};
}

/* CS_OK, or cs_fail_memory if any append was refused. */
CS_CHECKED enum cs_status buffer_status(const struct buffer *, struct cs_error *);

#endif
