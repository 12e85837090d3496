/* The arithmetic of the encoder, once for each kind of processor.
 *
 * A kernel set is a table of functions over plain arrays. Which one runs is chosen at run time from what the processor
 * has (kernels_best), so one program serves all; CONTEXT_STORE_KERNEL names one to force it. Every set is tested against
 * the scalar one: products of 8-bit numbers are sums of integers, so they are equal bit for bit, and so are vectors of
 * whole int8 layers; functions in f32 differ by rounding.
 *
 * Numbers of 8 bits. A row of activations x (one token), multiplied by the layer's `smooth` (quantize.h says what for),
 * becomes unsigned bytes q with x = lowest + step * q: `lowest` and `step` are its own, found from its smallest and
 * largest value. A weight w of output channel n becomes a signed byte v with w = scale[n] * v. Then
 *
 *     sum_k x[k] w[n][k] = step * scale[n] * (sum_k q[k] v[n][k]) + lowest * sum[n],    sum[n] = scale[n] * sum_k v[n][k]
 *
 * where the sum of q v is exact in 32 bits (KERNEL_IN_MAX terms of at most 255 * 127).
 *
 * Limits of packed weights. AVX2 multiplies bytes fast only in 16 bits, where two products saturate and eight overflow.
 * So whoever packs weights keeps them small together, which costs far less accuracy than a bit of each. Of a chunk of
 * KERNEL_CHUNK inputs, those of places 0 and 1 of each group make one lane, places 2 and 3 the other. In a lane:
 *
 *     of the two weights of a group, those of one sign sum up to at most KERNEL_PAIR_MAX in magnitude  (255 * 128 < 2^15)
 *     all eight sum up to at most KERNEL_LANE_MAX in magnitude                                         (128 * 255 < 2^15)
 *
 * The second is enough because q - 128 is at most 128 in magnitude, and 16 bits may overflow on the way to a sum that
 * fits in them (kernel_avx2.c).
 *
 * Layout of packed weights, the same for every kernel: blocks of KERNEL_BLOCK outputs; within one, groups of
 * KERNEL_GROUP inputs; within one, output by output its KERNEL_GROUP bytes: 64 bytes, which is what one instruction of
 * AVX-512 VNNI multiplies with a group of activations. Missing outputs and inputs are 0. Rows of activations are padded
 * to a whole group; what the padding holds does not matter.
 *
 * Pairs. An element of 32 bits is two signed numbers of 16, the first in the low half. A product of matrices of pairs
 * multiplies elements by both and adds, which one instruction does where there is one; sums are exact in 32 bits, and it is
 * the caller's care that they fit. Attention's weights are whole numbers of at most KERNEL_WEIGHTS_MAX together, so that
 * they fit with values up to KERNEL_VALUE_MAX (attention.c).
 *
 * Threads: none of it shares anything. */
#ifndef CS_EMBED_KERNELS_H
#define CS_EMBED_KERNELS_H

#include "base/slice.h"

#define KERNEL_BLOCK       16
#define KERNEL_GROUP       4
#define KERNEL_IN_MAX      16384
#define KERNEL_ALIGN       64 /* of packed weights */
#define KERNEL_CHUNK       16 /* inputs: four groups */
#define KERNEL_PAIR_MAX    128
#define KERNEL_LANE_MAX    255

#define KERNEL_WEIGHTS_MAX 262144 /* times KERNEL_VALUE_MAX < 2^31 */
#define KERNEL_VALUE_MAX   8191

/* A linear layer with 8-bit weights; arrays hold `out` rounded up to whole blocks. */
struct linear_i8 {
	uint32_t in, out;
	const int8_t *values;
	const float *scale, *sum, *bias;
	const float *smooth; /* `in` of them */
};

/* A linear layer with f32 weights, [out][in]. */
struct linear_f32 {
	uint32_t in, out;
	const float *values;
	const float *bias;
};

/* Rows of activations; `stride` counts values from row to row. */
struct rows_f32 {
	const float *values;
	size_t stride;
	size_t count;
};

/* Rows made by `quantize` of the same kernel set; `stride` counts bytes. */
struct rows_u8 {
	const uint8_t *values;
	size_t stride;
	size_t count;
	const float *step, *lowest; /* one each a row */
};

/* left [rows][inner] times right [inner][columns]. */
struct product {
	const float *left, *right;
	size_t left_stride, right_stride;
	size_t rows, inner, columns;
	const float *factors; /* NULL, or what each row of the product is multiplied by */
};

/* The same over pairs. */
struct product_pairs {
	const int32_t *left, *right;
	size_t left_stride, right_stride;
	size_t rows, inner, columns;
	const float *factors;
};

/* Scores of queries (rows) against `count` keys; overwritten. A row has room for 16 more, rounded up to even. */
struct weights {
	float *scores;
	size_t stride, rows, count;
	float scale;
};

struct kernels {
	const char *name;
	/* `scaled` is room for `count` floats: x times smooth, which may be x itself. */
	void (*quantize)(const float *x, const float *smooth, size_t count, float *scaled, uint8_t *values,
		float *ret_step, float *ret_lowest);
	void (*linear_i8)(const struct linear_i8 *, const struct rows_u8 *, float *to, size_t to_stride);
	void (*linear_f32)(const struct linear_f32 *, const struct rows_f32 *, float *to, size_t to_stride);
	void (*product)(const struct product *, float *to, size_t to_stride);
	/* x[i] = exp((x[i] - largest) * scale), not divided by its sum, which is returned. */
	float (*exponentials)(float *x, size_t count, float scale);
	void (*product_pairs)(const struct product_pairs *, float *to, size_t to_stride);
	/* The largest magnitude; infinity or no number if there is one. */
	float (*largest)(const struct rows_f32 *x, size_t width);
	/* to[row][i] = the pair of factor * first[row][i] and factor * second[row][i], each rounded to within +-32767; rows of
	 * both stand first->stride apart, those of `to` `width`. */
	void (*pairs)(const struct rows_f32 *first, const float *second, size_t width, float factor, int32_t *to);
	/* Exponentials, as above, times what brings the largest to at most 32767 and their sum to at most KERNEL_WEIGHTS_MAX,
	 * as pairs of number i and number i + half, half of count rounded up; 0 stands behind the last. A row of `to` has
	 * room as one of scores. Their sums; of a row with a score that is none, no finite number. */
	void (*weights)(const struct weights *, int32_t *to, size_t to_stride, float *ret_sums);
	void (*gelu)(float *x, size_t count);
	/* x = LayerNorm(x + y) * weight + bias */
	void (*add_norm)(float *x, const float *y, const float *weight, const float *bias, size_t count, float epsilon);
};

/* The fastest set this processor runs, or the one CONTEXT_STORE_KERNEL names if it can. Never NULL. */
const struct kernels *kernels_best(void);
/* By name; NULL: there is none, or this processor cannot run it. */
const struct kernels *kernels_find(const char *name);
/* From 0 on, the fastest first; NULL behind the last one that this processor can run ("scalar"). */
const struct kernels *kernels_available(size_t index);

static inline size_t kernel_round_up(size_t count, size_t to)
{
	return (count + to - 1) / to * to;
}

/* Bytes of the packed weights of a layer. */
static inline size_t kernel_packed_size(size_t in, size_t out)
{
	return kernel_round_up(out, KERNEL_BLOCK) * kernel_round_up(in, KERNEL_GROUP);
}

/* Where the byte of (output, input) lies in them. */
static inline size_t kernel_packed_place(size_t in, size_t output, size_t input)
{
	size_t groups = kernel_round_up(in, KERNEL_GROUP) / KERNEL_GROUP;

	return ((output / KERNEL_BLOCK * groups + input / KERNEL_GROUP) * KERNEL_BLOCK + output % KERNEL_BLOCK) *
		       KERNEL_GROUP +
	       input % KERNEL_GROUP;
}

/* The sets, one a file; those of another architecture are not linked. */
extern const struct kernels kernels_scalar;
#ifdef __x86_64__
extern const struct kernels kernels_avx2, kernels_avxvnni, kernels_avx512vnni;
#elif defined __aarch64__
extern const struct kernels kernels_neon;
#endif

#endif
