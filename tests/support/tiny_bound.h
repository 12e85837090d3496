/* The tiny model as the encoder's inner functions take it: read, bound, in f32. Included once a program, instead of
 * tiny_model.h. */
#ifndef CS_TESTS_TINY_BOUND_H
#define CS_TESTS_TINY_BOUND_H

#include "embed/bert.h"
#include "embed/safetensors.h"
#include "tiny_model.h"

static struct model f32;

static struct {
	struct arena arena;
	struct buffer file; /* what f32 points into */
} bound;

/* These two are a group's set-up and tear-down; 0, or not. */
static inline int tiny_bind(uint64_t seed)
{
	struct model_config config;
	struct tensors tensors;

	tiny_make(seed);
	arena_init(&bound.arena, NULL, 0, 64u << 20);
	buffer_init(&bound.file, 16u << 20);
	tiny_safetensors(&bound.file);
	if (safetensors_parse(&bound.arena, buffer_slice(&bound.file), &tensors, NULL) != CS_OK ||
		model_config_read(&bound.arena, slice_cstr(tiny.directory), &config, NULL) != CS_OK ||
		bert_bind(&bound.arena, &tensors, &config, &f32, NULL) != CS_OK)
		return -1;
	return 0;
}

static inline int tiny_release(void **state)
{
	(void)state;
	buffer_release(&bound.file);
	arena_release(&bound.arena);
	tiny_remove();
	return 0;
}

#endif
