/* Arena: a bump pointer over a list of blocks.
 *
 * Growing doubles, so that n bytes cost O(log n) mallocs and at most half of the last block is slack. Reset keeps no
 * malloc'd block: requests differ by orders of magnitude in size, and a pool that remembers its largest one never gives
 * memory back. The caller's own first block makes the small ones free. */
#include "base/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ALIGNMENT 16u

struct arena_block {
	struct arena_block *older;
	size_t size; /* of the bytes behind this header */
};

_Static_assert(sizeof(struct arena_block) % ALIGNMENT == 0, "a block's bytes start aligned");

void arena_init(struct arena *arena, void *own, size_t own_size, size_t ceiling)
{
	*arena = (struct arena){.own = own, .own_size = own ? own_size : 0, .ceiling = ceiling};
	arena_reset(arena);
}

void arena_reset(struct arena *arena)
{
	struct arena_block *block = arena->blocks;

	while (block) {
		struct arena_block *older = block->older;

		free(block);
		block = older;
	}
	arena->blocks = NULL;
	arena->used = 0;
	arena->next = arena->own;
	arena->end = arena->own ? arena->own + arena->own_size : NULL;
}

void arena_release(struct arena *arena)
{
	if (!arena)
		return;
	arena_reset(arena);
	*arena = (struct arena){0};
}

/* A new block with room for size bytes becomes the current one. */
static bool add_block(struct arena *arena, size_t size)
{
	size_t want = arena->blocks ? arena->blocks->size * 2 : ARENA_BLOCK_MIN;
	struct arena_block *block;

	if (want > ARENA_BLOCK_MAX)
		want = ARENA_BLOCK_MAX;
	if (want < size + ALIGNMENT)
		want = size + ALIGNMENT;
	if (want > arena->ceiling - arena->used && size + ALIGNMENT <= arena->ceiling - arena->used)
		want = size + ALIGNMENT;
	if (want > arena->ceiling - arena->used)
		return false;
	block = malloc(sizeof *block + want);
	if (!block)
		return false;
	block->older = arena->blocks;
	block->size = want;
	arena->blocks = block;
	arena->used += want;
	arena->next = (char *)(block + 1);
	arena->end = arena->next + want;
	return true;
}

static void *take(struct arena *arena, size_t size, size_t alignment)
{
	size_t gap = (0 - (uintptr_t)arena->next) & (alignment - 1);
	void *piece;

	if (size > SIZE_MAX / 4)
		return NULL;
	if (!arena->next || gap + size > (size_t)(arena->end - arena->next)) {
		if (!add_block(arena, size))
			return NULL;
		gap = 0;
	}
	piece = arena->next + gap;
	arena->next += gap + size;
	return piece;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	return take(arena, size, ALIGNMENT);
}

void *arena_zalloc(struct arena *arena, size_t size)
{
	void *piece = take(arena, size, ALIGNMENT);

	return piece ? memset(piece, 0, size) : NULL;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return arena_zalloc(arena, total);
}

struct slice arena_copy(struct arena *arena, struct slice text)
{
	char *copy = take(arena, text.len, 1);

	if (!copy)
		return (struct slice){NULL, 0};
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	return (struct slice){copy, text.len};
}

char *arena_cstr(struct arena *arena, struct slice text)
{
	char *copy = take(arena, text.len + 1, 1);

	if (!copy)
		return NULL;
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return copy;
}

struct slice arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	int wanted;
	char *text;

	va_start(args, format);
	wanted = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = wanted < 0 ? NULL : take(arena, (size_t)wanted + 1, 1);
	if (!text)
		return (struct slice){NULL, 0};
	va_start(args, format);
	vsnprintf(text, (size_t)wanted + 1, format, args);
	va_end(args);
	return (struct slice){text, (size_t)wanted};
}
