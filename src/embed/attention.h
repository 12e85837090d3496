/* Attention of one head: softmax(Q K^T / sqrt(width)) V.
 *
 * In f32, or in pairs of 16-bit numbers, which take a half to two thirds of the time (kernels.h). Those are for int8
 * models, whose weights and activations have 8 bits: 13 for queries, keys and values and 10 to 15 for weights cost no
 * accuracy that is left to lose (attention.c).
 *
 * Owner: of its memory the caller, who lays it out in scratch. Threads: one a struct attention. */
#ifndef CS_EMBED_ATTENTION_H
#define CS_EMBED_ATTENTION_H

#include "embed/kernels.h"

struct attention {
	const struct kernels *kernels;
	size_t count, width; /* tokens; numbers of a head */
	bool in_pairs;
	size_t columns;    /* keys, to whole vectors */
	size_t key_stride; /* no power of two, or transposed keys would share few sets of the first cache */
	float *keys;       /* f32: [width][key_stride], transposed */
	float *scores;     /* [queries at once][key_stride] */
	/* As pairs: */
	int32_t *pair_queries; /* [count][width / 2] */
	int32_t *pair_keys;    /* [width / 2][key_stride], transposed */
	int32_t *pair_values;  /* [half of count][width] */
	int32_t *pair_weights; /* [queries at once][key_stride] */
	float score_step, value_step;
};

/* One head's, a row a token; rows stand `stride` apart. */
struct head {
	const float *query, *key, *value;
	size_t stride;
};

/* An odd width has no pairs, and is computed in f32. */
void attention_init(struct attention *, const struct kernels *, size_t count, size_t width, bool in_pairs);
/* From now on texts of so many tokens, at most those it has its memory for. */
void attention_of(struct attention *, size_t count);
/* Gives it its memory within the block from *used on, or measures it while there is none. Nothing needs to be in it. */
void attention_lay_out(struct attention *, char *block, size_t *used);
/* to[token][i], rows `to_stride` apart. What is no finite number in the head gives none. */
void attention_run(struct attention *, const struct head *, float *to, size_t to_stride);

#endif
