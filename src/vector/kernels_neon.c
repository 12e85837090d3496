/* Kernels for 64-bit ARM: NEON, and NEON with the dot product instructions of ARMv8.2.
 *
 * Plain NEON widens two products of bytes into 16 bits before they are added to 32-bit lanes: 2 * 127 * 127 = 32258
 * fits. SDOT multiplies signed by signed bytes, so nothing needs correcting. Two rows at a time share the loads of the
 * query; a horizontal sum is one instruction here. */
#include "vector/kernels_parts.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#include <arm_neon.h>
#include <sys/auxv.h>

#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1u << 20)
#endif

/* clang before 16 declares SDOT only where the whole build may use it; built by it, plain NEON has to do. */
#if !defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_DOTPROD)
#define HAS_DOTPROD 1
#else
#define HAS_DOTPROD 0
#endif

#if defined(__clang__)
#define TARGET_DOTPROD __attribute__((target("dotprod")))
#else
#define TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

static inline int32x4_t add_products(int32x4_t sum, int8x16_t query, int8x16_t codes)
{
	int16x8_t pairs = vmull_s8(vget_low_s8(query), vget_low_s8(codes));

	return vpadalq_s16(sum, vmlal_s8(pairs, vget_high_s8(query), vget_high_s8(codes)));
}

static void dots_neon(const int8_t *query, const int8_t *rows, size_t width, size_t count, int32_t *ret_dots)
{
	for (size_t i = 0; i < count; i += 2) {
		const int8_t *one = rows + i * width, *two = i + 1 < count ? one + width : one;
		int32x4_t a = vdupq_n_s32(0), b = a;

		for (size_t j = 0; j < width; j += 16) {
			int8x16_t q = vld1q_s8(query + j);

			a = add_products(a, q, vld1q_s8(one + j));
			b = add_products(b, q, vld1q_s8(two + j));
		}
		ret_dots[i] = vaddvq_s32(a);
		if (i + 1 < count)
			ret_dots[i + 1] = vaddvq_s32(b);
	}
}

#if HAS_DOTPROD

TARGET_DOTPROD static void dots_dotprod(
	const int8_t *query, const int8_t *rows, size_t width, size_t count, int32_t *ret_dots)
{
	for (size_t i = 0; i < count; i += 2) {
		const int8_t *one = rows + i * width, *two = i + 1 < count ? one + width : one;
		int32x4_t a = vdupq_n_s32(0), b = a, c = a, d = a;

		for (size_t j = 0; j < width; j += 32) {
			int8x16_t q = vld1q_s8(query + j), r = vld1q_s8(query + j + 16);

			a = vdotq_s32(a, q, vld1q_s8(one + j));
			b = vdotq_s32(b, q, vld1q_s8(two + j));
			c = vdotq_s32(c, r, vld1q_s8(one + j + 16));
			d = vdotq_s32(d, r, vld1q_s8(two + j + 16));
		}
		ret_dots[i] = vaddvq_s32(vaddq_s32(a, c));
		if (i + 1 < count)
			ret_dots[i + 1] = vaddvq_s32(vaddq_s32(b, d));
	}
}

static bool runs_dotprod(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

#endif

static float dot_f32_neon(const float *a, const float *b, size_t width)
{
	float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;

	for (size_t j = 0; j < width; j += 16) {
		s0 = vfmaq_f32(s0, vld1q_f32(a + j), vld1q_f32(b + j));
		s1 = vfmaq_f32(s1, vld1q_f32(a + j + 4), vld1q_f32(b + j + 4));
		s2 = vfmaq_f32(s2, vld1q_f32(a + j + 8), vld1q_f32(b + j + 8));
		s3 = vfmaq_f32(s3, vld1q_f32(a + j + 12), vld1q_f32(b + j + 12));
	}
	return vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
}

static bool runs_neon(void)
{
	return true; /* part of the 64-bit architecture */
}

const struct vector_kernels_choice vector_kernels_arm[] = {
#if HAS_DOTPROD
	{{"neon-dotprod", dots_dotprod, dot_f32_neon}, runs_dotprod},
#endif
	{{"neon", dots_neon, dot_f32_neon}, runs_neon},
	{{0}, 0},
};

#else

const struct vector_kernels_choice vector_kernels_arm[] = {{{0}, 0}};

#endif
