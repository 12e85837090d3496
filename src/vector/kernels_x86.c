/* Kernels for x86-64: AVX-512 VNNI, AVX-VNNI, AVX2 with FMA.
 *
 * Bytes. VNNI multiplies unsigned by signed bytes and adds four products to each 32-bit lane. Rows are signed, so their
 * top bit is flipped on the way (row + 128 as an unsigned byte), and 128 times the query's sum is taken off at the end:
 * one cheap instruction more, no second form of the codes in memory. AVX2 has only the multiplication with a saturating
 * 16-bit sum of two; |query| * sign(row, query) keeps it at 2 * 127 * 127 = 32258, below saturation.
 *
 * Four rows are taken at a time: the query is loaded once for them, their sums are folded together (a horizontal sum a
 * row costs as much as the products of 384 bytes), and four streams keep more cache lines in flight than one.
 *
 * Processor tests: __builtin_cpu_supports, which asks the system too whether it saves the registers; AVX-VNNI is unknown
 * to clang 14's and is read from CPUID. */
#include "vector/kernels_parts.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define TARGET_AVX2    __attribute__((target("avx2,fma")))
#define TARGET_AVXVNNI __attribute__((target("avx2,fma,avxvnni")))
#define TARGET_AVX512  __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")))

#define ROWS           4 /* at a time */

/* How far ahead of the row being read memory is asked for, in bytes. Measured with 384 bytes a row: 4096 reads a tenth
 * faster from memory than no asking, 16384 is slower than none from the cache. */
#define AHEAD 4096

/* The four sums of eight lanes each, in order. */
TARGET_AVX2 static inline __m128i fold4(__m256i a, __m256i b, __m256i c, __m256i d)
{
	__m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));

	return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

TARGET_AVX2 static inline __m256i add_products_avx2(__m256i sum, __m256i query, __m256i positive, const int8_t *row)
{
	__m256i codes = _mm256_load_si256((const __m256i *)row);
	__m256i pairs = _mm256_maddubs_epi16(positive, _mm256_sign_epi8(codes, query));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

TARGET_AVX2 static inline __m128i four_avx2(const int8_t *query, const int8_t *const rows[ROWS], size_t width)
{
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;

	for (size_t j = 0; j < width; j += 32) {
		__m256i q = _mm256_load_si256((const __m256i *)(query + j)), positive = _mm256_abs_epi8(q);

		a = add_products_avx2(a, q, positive, rows[0] + j);
		b = add_products_avx2(b, q, positive, rows[1] + j);
		c = add_products_avx2(c, q, positive, rows[2] + j);
		d = add_products_avx2(d, q, positive, rows[3] + j);
	}
	return fold4(a, b, c, d);
}

TARGET_AVXVNNI static inline __m256i add_products_avxvnni(__m256i sum, __m256i query, const int8_t *row)
{
	__m256i codes = _mm256_load_si256((const __m256i *)row);

	return _mm256_dpbusd_avx_epi32(sum, _mm256_xor_si256(codes, _mm256_set1_epi8(-128)), query);
}

TARGET_AVXVNNI static inline __m128i four_avxvnni(const int8_t *query, const int8_t *const rows[ROWS], size_t width)
{
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;

	for (size_t j = 0; j < width; j += 32) {
		__m256i q = _mm256_load_si256((const __m256i *)(query + j));

		a = add_products_avxvnni(a, q, rows[0] + j);
		b = add_products_avxvnni(b, q, rows[1] + j);
		c = add_products_avxvnni(c, q, rows[2] + j);
		d = add_products_avxvnni(d, q, rows[3] + j);
	}
	return fold4(a, b, c, d);
}

TARGET_AVX512 static inline __m512i add_products_avx512(__m512i sum, __m512i query, const int8_t *row)
{
	__m512i codes = _mm512_load_si512(row);

	return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(codes, _mm512_set1_epi8(-128)), query);
}

TARGET_AVX512 static inline __m256i halves(__m512i x)
{
	return _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
}

TARGET_AVX512 static inline __m128i four_avx512(const int8_t *query, const int8_t *const rows[ROWS], size_t width)
{
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;

	for (size_t j = 0; j < width; j += 64) {
		__m512i q = _mm512_load_si512(query + j);

		a = add_products_avx512(a, q, rows[0] + j);
		b = add_products_avx512(b, q, rows[1] + j);
		c = add_products_avx512(c, q, rows[2] + j);
		d = add_products_avx512(d, q, rows[3] + j);
	}
	return fold4(halves(a), halves(b), halves(c), halves(d));
}

/* The next four rows; where fewer are left the last one is taken again, which costs less than a second kernel. */
static inline void pick(const int8_t *rows, size_t width, size_t left, const int8_t *ret_rows[ROWS])
{
	for (size_t r = 0; r < ROWS; r++)
		ret_rows[r] = rows + (r < left ? r : left - 1) * width;
	for (size_t j = 0; j < ROWS * width; j += 64)
		__builtin_prefetch(rows + AHEAD + j);
}

/* `correction` is what the flipped top bits added. */
static inline void keep(__m128i four, int32_t correction, size_t left, int32_t *ret_dots)
{
	int32_t sums[ROWS];

	_mm_storeu_si128((__m128i *)sums, _mm_sub_epi32(four, _mm_set1_epi32(correction)));
	memcpy(ret_dots, sums, (left < ROWS ? left : ROWS) * sizeof *sums);
}

/* 128 times the sum of a query's codes. */
TARGET_AVXVNNI static inline int32_t correction_avxvnni(const int8_t *query, size_t width)
{
	__m256i sum = _mm256_setzero_si256();

	for (size_t j = 0; j < width; j += 32)
		sum = _mm256_dpbusd_avx_epi32(
			sum, _mm256_set1_epi8(-128), _mm256_load_si256((const __m256i *)(query + j)));
	return _mm_cvtsi128_si32(fold4(sum, sum, sum, sum));
}

TARGET_AVX512 static inline int32_t correction_avx512(const int8_t *query, size_t width)
{
	__m512i sum = _mm512_setzero_si512();

	for (size_t j = 0; j < width; j += 64)
		sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(-128), _mm512_load_si512(query + j));
	return _mm512_reduce_add_epi32(sum);
}

TARGET_AVX2 static void dots_avx2(
	const int8_t *query, const int8_t *rows, size_t width, size_t count, int32_t *ret_dots)
{
	const int8_t *four[ROWS];

	for (size_t i = 0; i < count; i += ROWS) {
		pick(rows + i * width, width, count - i, four);
		keep(four_avx2(query, four, width), 0, count - i, ret_dots + i);
	}
}

TARGET_AVXVNNI static void dots_avxvnni(
	const int8_t *query, const int8_t *rows, size_t width, size_t count, int32_t *ret_dots)
{
	const int32_t correction = correction_avxvnni(query, width);
	const int8_t *four[ROWS];

	for (size_t i = 0; i < count; i += ROWS) {
		pick(rows + i * width, width, count - i, four);
		keep(four_avxvnni(query, four, width), correction, count - i, ret_dots + i);
	}
}

TARGET_AVX512 static void dots_avx512(
	const int8_t *query, const int8_t *rows, size_t width, size_t count, int32_t *ret_dots)
{
	const int32_t correction = correction_avx512(query, width);
	const int8_t *four[ROWS];

	for (size_t i = 0; i < count; i += ROWS) {
		pick(rows + i * width, width, count - i, four);
		keep(four_avx512(query, four, width), correction, count - i, ret_dots + i);
	}
}

TARGET_AVX2 static float dot_f32_avx2(const float *a, const float *b, size_t width)
{
	__m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
	__m128 four;

	for (size_t j = 0; j < width; j += 32) {
		s0 = _mm256_fmadd_ps(_mm256_load_ps(a + j), _mm256_load_ps(b + j), s0);
		s1 = _mm256_fmadd_ps(_mm256_load_ps(a + j + 8), _mm256_load_ps(b + j + 8), s1);
		s2 = _mm256_fmadd_ps(_mm256_load_ps(a + j + 16), _mm256_load_ps(b + j + 16), s2);
		s3 = _mm256_fmadd_ps(_mm256_load_ps(a + j + 24), _mm256_load_ps(b + j + 24), s3);
	}
	s0 = _mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3));
	four = _mm_add_ps(_mm256_castps256_ps128(s0), _mm256_extractf128_ps(s0, 1));
	four = _mm_add_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

TARGET_AVX512 static float dot_f32_avx512(const float *a, const float *b, size_t width)
{
	__m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;

	for (size_t j = 0; j < width; j += 64) {
		s0 = _mm512_fmadd_ps(_mm512_load_ps(a + j), _mm512_load_ps(b + j), s0);
		s1 = _mm512_fmadd_ps(_mm512_load_ps(a + j + 16), _mm512_load_ps(b + j + 16), s1);
		s2 = _mm512_fmadd_ps(_mm512_load_ps(a + j + 32), _mm512_load_ps(b + j + 32), s2);
		s3 = _mm512_fmadd_ps(_mm512_load_ps(a + j + 48), _mm512_load_ps(b + j + 48), s3);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

static bool runs_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool runs_avxvnni(void)
{
	unsigned eax, ebx, ecx, edx;

	return runs_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1);
}

static bool runs_avx512(void)
{
	return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

const struct vector_kernels_choice vector_kernels_x86[] = {
	{{"avx512vnni", dots_avx512, dot_f32_avx512}, runs_avx512},
	{{"avxvnni", dots_avxvnni, dot_f32_avx2}, runs_avxvnni},
	{{"avx2", dots_avx2, dot_f32_avx2}, runs_avx2},
	{{0}, 0},
};

#else

const struct vector_kernels_choice vector_kernels_x86[] = {{{0}, 0}};

#endif
