/* Kernels for AVX-VNNI: Intel's client processors since 2021, which have no AVX-512. See kernels.h.
 *
 * One instruction multiplies 8 outputs by a group of four activations; a tile is 6 tokens by one block. */
#ifdef __x86_64__
#include <immintrin.h>

#include "embed/kernels.h"

#define LANES       8
#define VECTORS_MAX 2
#define DOT_ROWS    2
#define vec_min     _mm256_min_ps
#define vec_max     _mm256_max_ps

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avxvnni")
#endif

#include "embed/kernel_f32.h"

#define TOKENS_MAX      6
#define BYTES_PER_VALUE 1
#define EACH_TOKEN(DO)  DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)

INLINED void store_bytes(uint8_t *to, __m256i q)
{
	__m128i words = _mm_packus_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));

	_mm_storel_epi64((__m128i *)to, _mm_packus_epi16(words, words));
}

/* Four activations in each lane. */
INLINED __m256i group_of(const uint8_t *q)
{
	int32_t group;

	memcpy(&group, q, sizeof group);
	return _mm256_set1_epi32(group);
}

#define WEIGHTS(w, k)                                                                                                  \
	__m256i u = _mm256_loadu_si256((const __m256i *)((w) + (k)*64));                                               \
	__m256i v = _mm256_loadu_si256((const __m256i *)((w) + (k)*64 + 32))
#define MULTIPLY(low, high, q, k)                                                                                      \
	do {                                                                                                           \
		__m256i group = group_of((q) + (k)*KERNEL_GROUP);                                                      \
		(low) = _mm256_dpbusd_avx_epi32(low, group, u);                                                        \
		(high) = _mm256_dpbusd_avx_epi32(high, group, v);                                                      \
	} while (0)

#include "embed/kernel_256.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct kernels kernels_avxvnni = {
	"avxvnni",
	BYTES_PER_VALUE,
	quantize_256,
	linear_i8_256,
	f32_linear,
	f32_product,
	f32_exponentials,
	f32_gelu,
	f32_add_norm,
};
#endif
