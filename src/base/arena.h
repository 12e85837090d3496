/* A pool that is given back at once.
 *
 * One per request: everything a request needs while it runs is taken here and nothing is freed singly. The first block
 * can be the caller's own storage, so that a small request never calls malloc. Blocks double up to ARENA_BLOCK_MAX; a
 * larger piece gets a block of its own. The ceiling counts all blocks but the caller's.
 *
 * Owner: whoever called arena_init; it calls arena_release. Pointers live until arena_reset or arena_release.
 * Threads: one at a time. Errors: NULL when memory or the ceiling is reached; callers turn it into cs_fail_memory. */
#ifndef CS_BASE_ARENA_H
#define CS_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/slice.h"

#define ARENA_BLOCK_MIN (4u << 10)
#define ARENA_BLOCK_MAX (1u << 20)

struct arena_block;

struct arena {
	char *next; /* free bytes of the current block */
	char *end;
	struct arena_block *blocks; /* newest first, malloc'd */
	char *own;                  /* the caller's first block, or NULL */
	size_t own_size;
	size_t used; /* bytes of malloc'd blocks */
	size_t ceiling;
};

/* `own` of `own_size` bytes (may be NULL, 0) is used before anything is allocated. */
void arena_init(struct arena *, void *own, size_t own_size, size_t ceiling);
/* Forgets every piece; keeps the caller's storage only. The arena can be used again. */
void arena_reset(struct arena *);
void arena_release(struct arena *);

/* Aligned to 16 bytes, not cleared. A size of 0 gives a valid pointer. */
void *arena_alloc(struct arena *, size_t size) __attribute__((malloc, alloc_size(2)));
void *arena_zalloc(struct arena *, size_t size) __attribute__((malloc, alloc_size(2)));
/* count * size with overflow checked, cleared. */
void *arena_array(struct arena *, size_t count, size_t size) __attribute__((malloc, alloc_size(2, 3)));

/* Unaligned copies; on failure ptr is NULL (an empty slice copies to a non-null pointer). */
struct slice arena_copy(struct arena *, struct slice);
/* NUL-terminated copy for a library's edge. */
char *arena_cstr(struct arena *, struct slice);
struct slice arena_printf(struct arena *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
