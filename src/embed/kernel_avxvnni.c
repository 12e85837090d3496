/* Kernels for AVX-VNNI: Intel's client processors since 2021, which have no AVX-512. See kernels.h.
 *
 * One instruction multiplies 8 outputs by a group of four activations; a tile is 6 tokens by one block. */
#ifdef __x86_64__
#include <immintrin.h>

#include "embed/kernels.h"

#define LANES                      8
#define VECTORS_MAX                2
#define DOT_ROWS                   2
#define vec_min                    _mm256_min_ps
#define vec_max                    _mm256_max_ps
#define ivec_max(a, b)             ((ivec)_mm256_max_epi32((__m256i)(a), (__m256i)(b)))
#define ivec_add_pairs(sums, x, y) ((ivec)_mm256_dpwssd_avx_epi32((__m256i)(sums), (__m256i)(x), (__m256i)(y)))

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avxvnni")
#endif

#include "embed/kernel_f32.h"

#define TOKENS_MAX     6
#define EACH_TOKEN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)

#include "embed/kernel_256.h"

#define DECLARE(t) __m256i a##t = _mm256_setzero_si256(), b##t = a##t;
#define ADD(t)                                                                                                         \
	if (tokens > t) {                                                                                              \
		__m256i group = group_of(q + t * x->stride + k * KERNEL_GROUP);                                        \
		a##t = _mm256_dpbusd_avx_epi32(a##t, group, u);                                                        \
		b##t = _mm256_dpbusd_avx_epi32(b##t, group, v);                                                        \
	}

INLINED void tile(const struct linear_i8 *l, const struct rows_u8 *x, const void *prepared, size_t row, size_t output,
	float *to, size_t to_stride, const int tokens)
{
	size_t groups = kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP;
	const uint8_t *q = x->values + row * x->stride;
	const int8_t *w = l->values + output * groups * KERNEL_GROUP;

	EACH_TOKEN(DECLARE)
	for (size_t k = 0; k < groups; k++) {
		__m256i u = _mm256_loadu_si256((const __m256i *)(w + k * 64));
		__m256i v = _mm256_loadu_si256((const __m256i *)(w + k * 64 + 32));

		EACH_TOKEN(ADD)
	}
	EACH_TOKEN(FINISH)
}

static void avxvnni_linear_i8(const struct linear_i8 *l, const struct rows_u8 *x, float *to, size_t to_stride)
{
	for (size_t output = 0; output < l->out; output += KERNEL_BLOCK)
		tiles(l, x, NULL, output, to, to_stride);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct kernels kernels_avxvnni = {
	"avxvnni",
	quantize_256,
	avxvnni_linear_i8,
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
