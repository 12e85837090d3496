/* Kernels for AVX2: nearly every x86 processor since 2013. See kernels.h.
 *
 * Its one instruction for bytes (vpmaddubsw) adds two products in 16 bits and saturates, so it is right for 7 bits only;
 * a bit less in either factor costs more accuracy than the promise leaves (0.980 instead of 0.992 in the worst of 250
 * texts before smoothing). So bytes are widened and multiplied exactly in 16 bits (vpmaddwd). Activations are kept
 * widened from the start, each group as its inputs 0 and 2 and then 1 and 3: then a group's weights, read as 16-bit
 * numbers, give the even ones by a shift up and down, the odd ones by a shift down, and each product lands in the lane
 * of its output, with no shuffle anywhere. A tile is 4 tokens by one block. */
#ifdef __x86_64__
#include <immintrin.h>

#include "embed/kernels.h"

#define LANES       8
#define VECTORS_MAX 2
#define DOT_ROWS    2
#define vec_min     _mm256_min_ps
#define vec_max     _mm256_max_ps

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "embed/kernel_f32.h"

#define TOKENS_MAX      4
#define BYTES_PER_VALUE 2
#define EACH_TOKEN(DO)  DO(0) DO(1) DO(2) DO(3)

INLINED void store_bytes(uint8_t *to, __m256i q)
{
	__m128i words = _mm_packus_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));

	words = _mm_shufflelo_epi16(words, _MM_SHUFFLE(3, 1, 2, 0));
	_mm_storeu_si128((__m128i *)to, _mm_shufflehi_epi16(words, _MM_SHUFFLE(3, 1, 2, 0)));
}

/* Two activations in each lane. */
INLINED __m256i pair_of(const uint8_t *q)
{
	int32_t pair;

	memcpy(&pair, q, sizeof pair);
	return _mm256_set1_epi32(pair);
}

INLINED __m256i even_of(__m256i w)
{
	return _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
}

INLINED __m256i add_products(__m256i sum, __m256i a, __m256i b)
{
	return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

#define WEIGHTS(w, k)                                                                                                  \
	__m256i u = _mm256_loadu_si256((const __m256i *)((w) + (k)*64));                                               \
	__m256i v = _mm256_loadu_si256((const __m256i *)((w) + (k)*64 + 32));                                          \
	__m256i u_even = even_of(u), u_odd = _mm256_srai_epi16(u, 8);                                                  \
	__m256i v_even = even_of(v), v_odd = _mm256_srai_epi16(v, 8)
#define MULTIPLY(low, high, q, k)                                                                                      \
	do {                                                                                                           \
		__m256i even = pair_of((q) + (k)*8), odd = pair_of((q) + (k)*8 + 4);                                   \
		(low) = add_products(add_products(low, even, u_even), odd, u_odd);                                     \
		(high) = add_products(add_products(high, even, v_even), odd, v_odd);                                   \
	} while (0)

#include "embed/kernel_256.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct kernels kernels_avx2 = {
	"avx2",
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
