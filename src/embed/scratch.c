/* Kept memory. See scratch.h. */
#include "embed/scratch.h"

#include <stdlib.h>

#include "embed/kernels.h"

#define STEP (64u << 10) /* sizes differ by the tokens of a text; so few blocks are made anew for a little more */

bool scratch_need(struct scratch *s, size_t size)
{
	if (size <= s->size)
		return true;
	scratch_release(s);
	size = kernel_round_up(size, STEP);
	s->block = aligned_alloc(KERNEL_ALIGN, size);
	s->size = s->block ? size : 0;
	return s->block != NULL;
}

void scratch_release(struct scratch *s)
{
	free(s->block);
	*s = (struct scratch){0};
}

void *scratch_piece(char *block, size_t *used, size_t count, size_t size)
{
	size_t at = *used;

	*used += kernel_round_up(count * size, KERNEL_ALIGN);
	return block ? block + at : NULL;
}

void scratch_pool_init(struct scratch_pool *pool)
{
	*pool = (struct scratch_pool){0};
	pthread_mutex_init(&pool->lock, NULL);
}

void scratch_pool_release(struct scratch_pool *pool)
{
	for (size_t i = 0; i < pool->count; i++)
		scratch_release(&pool->kept[i]);
	pthread_mutex_destroy(&pool->lock);
}

struct scratch scratch_pool_take(struct scratch_pool *pool)
{
	struct scratch taken = {0};

	pthread_mutex_lock(&pool->lock);
	if (pool->count > 0)
		taken = pool->kept[--pool->count];
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

void scratch_pool_give(struct scratch_pool *pool, struct scratch scratch)
{
	pthread_mutex_lock(&pool->lock);
	if (scratch.block && pool->count < SCRATCH_KEPT) {
		pool->kept[pool->count++] = scratch;
		scratch = (struct scratch){0};
	}
	pthread_mutex_unlock(&pool->lock);
	scratch_release(&scratch);
}
