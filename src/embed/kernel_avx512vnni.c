/* Kernels for AVX-512 with VNNI: servers since 2019, AMD since 2022. See kernels.h.
 *
 * One instruction multiplies 16 outputs by a group of four activations, so a block of packed weights is one register. A
 * tile of 8 tokens by 3 blocks keeps 24 of the 32 registers busy adding and loads 11 for 24 products. Tokens are dealt
 * out evenly over tiles (33 become 7, 7, 7, 6, 6), since a tile of one would be bound by latency. Blocks are the outer
 * loop: their weights, 18 KiB a tile at 384 inputs, stay in the first cache while the tokens pass. */
#ifdef __x86_64__
#include <immintrin.h>

#include "embed/kernels.h"

#define LANES                      16
#define VECTORS_MAX                4
#define DOT_ROWS                   4
#define vec_min                    _mm512_min_ps
#define vec_max                    _mm512_max_ps
#define ivec_max(a, b)             ((ivec)_mm512_max_epi32((__m512i)(a), (__m512i)(b)))
#define ivec_add_pairs(sums, x, y) ((ivec)_mm512_dpwssd_epi32((__m512i)(sums), (__m512i)(x), (__m512i)(y)))

#ifdef __clang__
#pragma clang attribute push(                                                                                          \
	__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")
#endif

#include "embed/kernel_f32.h"

#define TOKENS_MAX 8
#define BLOCKS_MAX 3

/* Sixteen values, or the last ones; the others are 0. */
INLINED __mmask16 lanes_of(size_t left)
{
	return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
}

static void avx512_quantize(const float *x, const float *smooth, size_t count, float *scaled, uint8_t *values,
	float *ret_step, float *ret_lowest)
{
	__m512 low = _mm512_set1_ps(x[0] * smooth[0]), high = low;
	float lowest, highest, inverse;

	for (size_t i = 0; i < count; i += 16) {
		__mmask16 lanes = lanes_of(count - i);
		__m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + i), _mm512_maskz_loadu_ps(lanes, smooth + i));

		low = _mm512_mask_min_ps(low, lanes, v, low);
		high = _mm512_mask_max_ps(high, lanes, v, high);
		_mm512_mask_storeu_ps(scaled + i, lanes, v);
	}
	lowest = _mm512_reduce_min_ps(low);
	highest = _mm512_reduce_max_ps(high);
	inverse = highest > lowest ? 255.0f / (highest - lowest) : 0.0f;
	for (size_t i = 0; i < count; i += 16) {
		__mmask16 lanes = lanes_of(count - i);
		__m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, scaled + i), _mm512_set1_ps(lowest));
		__m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(v, _mm512_set1_ps(inverse)));

		q = _mm512_max_epi32(q, _mm512_setzero_si512());
		_mm512_mask_cvtusepi32_storeu_epi8(values + i, lanes, q);
	}
	*ret_step = (highest - lowest) / 255.0f;
	*ret_lowest = lowest;
}

/* Four activations in each lane. */
INLINED __m512i group_of(const uint8_t *q)
{
	int32_t group;

	memcpy(&group, q, sizeof group);
	return _mm512_set1_epi32(group);
}

/* The sums of one token and block as floats. */
INLINED void finish(const struct linear_i8 *l, const struct rows_u8 *x, __m512i sums, size_t row, size_t output,
	float *to, size_t to_stride)
{
	__m512 factor = _mm512_mul_ps(_mm512_set1_ps(x->step[row]), _mm512_loadu_ps(l->scale + output));
	__m512 offset = _mm512_fmadd_ps(
		_mm512_set1_ps(x->lowest[row]), _mm512_loadu_ps(l->sum + output), _mm512_loadu_ps(l->bias + output));

	_mm512_mask_storeu_ps(to + row * to_stride + output, lanes_of(l->out - output),
		_mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), factor, offset));
}

/* Sums are named one by one: gcc 12 keeps an array of them in memory. What a constant rules out is not compiled. The empty
 * asm ends their life as loop variables: without it gcc converts each to its final type in every round. */
#define EACH_TOKEN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define DECLARE(t)     __m512i a##t = _mm512_setzero_si512(), b##t = a##t, c##t = a##t;
#define ADD(t)                                                                                                         \
	if (tokens > t) {                                                                                              \
		__m512i group = group_of(q + t * x->stride + k * KERNEL_GROUP);                                        \
		a##t = _mm512_dpbusd_epi32(a##t, group, u);                                                            \
		if (blocks > 1) {                                                                                      \
			b##t = _mm512_dpbusd_epi32(b##t, group, v);                                                    \
			c##t = _mm512_dpbusd_epi32(c##t, group, w);                                                    \
		}                                                                                                      \
	}
#define FINISH(t)                                                                                                      \
	if (tokens > t) {                                                                                              \
		__asm__("" : "+v"(a##t), "+v"(b##t), "+v"(c##t));                                                      \
		finish(l, x, a##t, row + t, output, to, to_stride);                                                    \
		if (blocks > 1) {                                                                                      \
			finish(l, x, b##t, row + t, output + KERNEL_BLOCK, to, to_stride);                             \
			finish(l, x, c##t, row + t, output + 2 * KERNEL_BLOCK, to, to_stride);                         \
		}                                                                                                      \
	}

INLINED void tile(const struct linear_i8 *l, const struct rows_u8 *x, size_t row, size_t output, float *to,
	size_t to_stride, const int tokens, const int blocks)
{
	size_t groups = kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP;
	const uint8_t *q = x->values + row * x->stride;
	const int8_t *weights = l->values + output * groups * KERNEL_GROUP;

	EACH_TOKEN(DECLARE)
	for (size_t k = 0; k < groups; k++) {
		__m512i u = _mm512_loadu_si512(weights + k * 64), v = u, w = u;

		if (blocks > 1) {
			v = _mm512_loadu_si512(weights + (groups + k) * 64);
			w = _mm512_loadu_si512(weights + (2 * groups + k) * 64);
		}
		EACH_TOKEN(ADD)
	}
	EACH_TOKEN(FINISH)
}

#define TILE_OF(n)                                                                                                     \
	case n: tile(l, x, row, output, to, to_stride, n, blocks); break

INLINED void tiles(const struct linear_i8 *l, const struct rows_u8 *x, size_t output, float *to, size_t to_stride,
	const int blocks)
{
	size_t count = (x->count + TOKENS_MAX - 1) / TOKENS_MAX;
	size_t lines = (size_t)blocks * (kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP);
	size_t share = (lines + count - 1) / count;
	const int8_t *next = l->values + output / KERNEL_BLOCK * (lines / (size_t)blocks) * 64 + lines * 64;

	for (size_t i = 0; i < count; i++) {
		size_t row = x->count * i / count;

		for (size_t line = 0; line < share; line++, next += 64)
			_mm_prefetch((const char *)next, _MM_HINT_T0);

		switch (x->count * (i + 1) / count - row) {
			TILE_OF(1);
			TILE_OF(2);
			TILE_OF(3);
			TILE_OF(4);
			TILE_OF(5);
			TILE_OF(6);
			TILE_OF(7);
			TILE_OF(8);
		}
	}
}

static void avx512_linear_i8(const struct linear_i8 *l, const struct rows_u8 *x, float *to, size_t to_stride)
{
	size_t output = 0;

	for (; output + (BLOCKS_MAX - 1) * KERNEL_BLOCK < l->out; output += BLOCKS_MAX * KERNEL_BLOCK)
		tiles(l, x, output, to, to_stride, BLOCKS_MAX);
	for (; output < l->out; output += KERNEL_BLOCK)
		tiles(l, x, output, to, to_stride, 1);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct kernels kernels_avx512vnni = {
	"avx512vnni",
	avx512_quantize,
	avx512_linear_i8,
	f32_linear,
	f32_product,
	f32_exponentials,
	f32_product_pairs,
	f32_largest,
	f32_pairs,
	f32_weights,
	f32_gelu,
	f32_add_norm,
};
#endif
