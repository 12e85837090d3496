/* Memory that passes work in, kept from one to the next.
 *
 * A pass of 256 tokens wants some 3 MB for 10 ms. Taken from malloc and given back each time, it was cut up by what was
 * allocated beside it, and arenas grew to 40 MB of holes; pages of its own each time would be faulted in anew. So blocks
 * are kept, as many as passes ran at once, at most SCRATCH_KEPT.
 *
 * Owner: of a taken block the taker, who gives it back. Threads: any. */
#ifndef CS_EMBED_SCRATCH_H
#define CS_EMBED_SCRATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define SCRATCH_KEPT 16

/* {0} is none. */
struct scratch {
	char *block; /* aligned as packed weights are */
	size_t size;
};

/* At least so many bytes, whose contents are undefined; false: no memory, and the scratch is none. */
bool scratch_need(struct scratch *, size_t size);
void scratch_release(struct scratch *);
/* Gives out `count` things of `size` bytes within a block from *used on, each piece aligned as the block; while there is no block
 * it measures, and returns NULL. */
void *scratch_piece(char *block, size_t *used, size_t count, size_t size);

struct scratch_pool {
	pthread_mutex_t lock;
	size_t count;
	struct scratch kept[SCRATCH_KEPT];
};

void scratch_pool_init(struct scratch_pool *);
void scratch_pool_release(struct scratch_pool *);
/* The one given back last, or none. */
struct scratch scratch_pool_take(struct scratch_pool *);
void scratch_pool_give(struct scratch_pool *, struct scratch);

#endif
