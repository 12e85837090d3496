/* Kernels for AVX2: nearly every x86 processor since 2013. See kernels.h.
 *
 * Its one instruction for bytes (vpmaddubsw) adds two products in 16 bits and saturates; widening its sums to 32 bits at
 * once (vpmaddwd) makes it no faster than multiplying in 16 bits from the start, which was the kernel before and took
 * 1.5 times as long. So a chunk of four groups is summed in 16 bits and widened once. Weights keep limits (kernels.h)
 * under which no pair saturates, and under which the sum over a chunk of (q - 128) v fits in 16 bits. What is added up is
 * q v, which does not; but 16-bit addition is exact modulo 2^16, so each sum starts at -128 times the sum of its weights
 * and ends at what fits; sums of 32 bits start at what all of these took away. Starts are found once a block, for all
 * tokens. A tile is 3 tokens by one block: six sums of 32 bits and six of 16. */
#ifdef __x86_64__
#include <immintrin.h>

#include "embed/kernels.h"

#define LANES          8
#define VECTORS_MAX    2
#define DOT_ROWS       2
#define vec_min        _mm256_min_ps
#define vec_max        _mm256_max_ps
#define ivec_max(a, b) ((ivec)_mm256_max_epi32((__m256i)(a), (__m256i)(b)))
#define ivec_add_pairs(sums, x, y)                                                                                     \
	((ivec)_mm256_add_epi32((__m256i)(sums), _mm256_madd_epi16((__m256i)(x), (__m256i)(y))))

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "embed/kernel_f32.h"

#define TOKENS_MAX     3
#define EACH_TOKEN(DO) DO(0) DO(1) DO(2)
#define CHUNK_GROUPS   (KERNEL_CHUNK / KERNEL_GROUP)

#include "embed/kernel_256.h"

/* Two vectors of eight outputs: a block. */
struct block {
	__m256i low, high;
};

/* Where a block's sums start. */
struct starts {
	struct block total;                                /* 128 times the sum of all weights, 32 bits */
	struct block chunks[KERNEL_IN_MAX / KERNEL_CHUNK]; /* -128 times that of a lane of a chunk, 16 bits */
};

INLINED __m256i add_pairs(__m256i sums, __m256i q, __m256i w)
{
	return _mm256_add_epi16(sums, _mm256_maddubs_epi16(q, w));
}

/* Adds the two lanes of 16 bits. */
INLINED __m256i widen(__m256i lanes, __m256i ones)
{
	return _mm256_madd_epi16(lanes, ones);
}

/* Sixteen times 1, loaded where it is wanted: in the loop over groups every register has work, and a compiler that knew the
 * value would keep one for it and load each vector of weights three times instead. */
INLINED __m256i load_ones(void)
{
	static const int16_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	const int16_t *from = ones;

	__asm__("" : "+r"(from));
	return _mm256_loadu_si256((const __m256i *)from);
}

/* 128 times the sums of a chunk's lanes. */
INLINED struct block sum_chunk(const int8_t *w, const size_t groups)
{
	const __m256i middle = _mm256_set1_epi8((char)128);
	struct block sums = {_mm256_setzero_si256(), _mm256_setzero_si256()};

	_Pragma("GCC unroll 4") for (size_t g = 0; g < groups; g++)
	{
		sums.low = add_pairs(sums.low, middle, _mm256_loadu_si256((const __m256i *)(w + g * 64)));
		sums.high = add_pairs(sums.high, middle, _mm256_loadu_si256((const __m256i *)(w + g * 64 + 32)));
	}
	return sums;
}

static void find_starts(const int8_t *w, size_t groups, struct starts *starts)
{
	const __m256i zero = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
	__m256i low = zero, high = zero;
	struct block *chunk = starts->chunks;

	for (size_t g = 0; g < groups; g += CHUNK_GROUPS, chunk++) {
		struct block sums = groups - g >= CHUNK_GROUPS ? sum_chunk(w + g * 64, CHUNK_GROUPS)
							       : sum_chunk(w + g * 64, groups - g);

		low = _mm256_add_epi32(low, widen(sums.low, ones));
		high = _mm256_add_epi32(high, widen(sums.high, ones));
		chunk->low = _mm256_sub_epi16(zero, sums.low);
		chunk->high = _mm256_sub_epi16(zero, sums.high);
	}
	starts->total.low = low;
	starts->total.high = high;
}

/* The empty asm keeps the order of a group's additions: gcc would first make all products and spill them. */
#define DECLARE(t) __m256i a##t = starts->total.low, b##t = starts->total.high;
#define START(t)   __m256i c##t = chunk->low, d##t = chunk->high;
#define ADD(t)                                                                                                         \
	if (tokens > t) {                                                                                              \
		__m256i group = group_of(q + t * x->stride + g * KERNEL_GROUP);                                        \
		c##t = add_pairs(c##t, group, u);                                                                      \
		d##t = add_pairs(d##t, group, v);                                                                      \
		__asm__("" : "+x"(c##t), "+x"(d##t));                                                                  \
	}
#define WIDEN(t)                                                                                                       \
	if (tokens > t) {                                                                                              \
		a##t = _mm256_add_epi32(a##t, widen(c##t, ones));                                                      \
		b##t = _mm256_add_epi32(b##t, widen(d##t, ones));                                                      \
	}
#define ADD_CHUNK(count)                                                                                               \
	do {                                                                                                           \
		__m256i ones;                                                                                          \
		EACH_TOKEN(START)                                                                                      \
		_Pragma("GCC unroll 4") for (size_t g = 0; g < (count); g++)                                           \
		{                                                                                                      \
			__m256i u = _mm256_loadu_si256((const __m256i *)(w + g * 64));                                 \
			__m256i v = _mm256_loadu_si256((const __m256i *)(w + g * 64 + 32));                            \
			__asm__("" : "+x"(u), "+x"(v));                                                                \
			EACH_TOKEN(ADD)                                                                                \
		}                                                                                                      \
		ones = load_ones();                                                                                    \
		EACH_TOKEN(WIDEN)                                                                                      \
	} while (0)

INLINED void tile(const struct linear_i8 *l, const struct rows_u8 *x, const void *prepared, size_t row, size_t output,
	float *to, size_t to_stride, const int tokens)
{
	size_t groups = kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP, k = 0;
	const uint8_t *q = x->values + row * x->stride;
	const int8_t *w = l->values + output * groups * KERNEL_GROUP;
	const struct starts *starts = prepared;
	const struct block *chunk = starts->chunks;

	EACH_TOKEN(DECLARE)
	for (; k + CHUNK_GROUPS <= groups; k += CHUNK_GROUPS) {
		ADD_CHUNK(CHUNK_GROUPS);
		q += CHUNK_GROUPS * KERNEL_GROUP;
		w += CHUNK_GROUPS * 64;
		chunk++;
	}
	if (k < groups)
		ADD_CHUNK(groups - k);
	EACH_TOKEN(FINISH)
}

static void avx2_linear_i8(const struct linear_i8 *l, const struct rows_u8 *x, float *to, size_t to_stride)
{
	struct starts starts;
	size_t groups = kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP;

	for (size_t output = 0; output < l->out; output += KERNEL_BLOCK) {
		find_starts(l->values + output * groups * KERNEL_GROUP, groups, &starts);
		tiles(l, x, &starts, output, to, to_stride);
	}
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

const struct kernels kernels_avx2 = {
	"avx2",
	quantize_256,
	avx2_linear_i8,
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
