/* Kernels for 64-bit ARM. See kernels.h.
 *
 * Only what every such processor has: bytes are widened and multiplied exactly in 16 bits. A group's weights of two
 * outputs are one register, so a block is eight; each output sums its four products apart, and they are added at the
 * end. The dot product instructions of later processors (i8mm) would want a second set, which no machine here can
 * measure. */
#ifdef __aarch64__
#include <arm_neon.h>

#include "embed/kernels.h"

#define LANES       4
#define VECTORS_MAX 4
#define DOT_ROWS    4
#define vec_min     vminq_f32
#define vec_max     vmaxq_f32

#include "embed/kernel_f32.h"

static void neon_quantize(const float *x, const float *smooth, size_t count, float *scaled, uint8_t *values,
	float *ret_step, float *ret_lowest)
{
	float lowest, highest, inverse;
	size_t i = 0;

	/* A loop of its own, so that no compiler makes one rounding of this product and the difference below. */
	for (size_t j = 0; j < count; j++)
		scaled[j] = x[j] * smooth[j];
	lowest = highest = scaled[0];
	for (size_t j = 1; j < count; j++) {
		lowest = scaled[j] < lowest ? scaled[j] : lowest;
		highest = scaled[j] > highest ? scaled[j] : highest;
	}
	inverse = highest > lowest ? 255.0f / (highest - lowest) : 0.0f;
	for (; i + 8 <= count; i += 8) {
		float32x4_t a = vsubq_f32(vld1q_f32(scaled + i), vdupq_n_f32(lowest));
		float32x4_t b = vsubq_f32(vld1q_f32(scaled + i + 4), vdupq_n_f32(lowest));
		uint16x4_t low = vqmovn_u32(vcvtnq_u32_f32(vmulq_n_f32(a, inverse)));
		uint16x4_t high = vqmovn_u32(vcvtnq_u32_f32(vmulq_n_f32(b, inverse)));

		vst1_u8(values + i, vqmovn_u16(vcombine_u16(low, high)));
	}
	for (; i < count; i++) {
		float v = nearbyintf((scaled[i] - lowest) * inverse);

		values[i] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
	}
	*ret_step = (highest - lowest) / 255.0f;
	*ret_lowest = lowest;
}

/* A quarter of a block: sixteen bytes of weights, which are four outputs; each output's sums are one register. */
#define EACH_QUARTER(DO) DO(0) DO(1) DO(2) DO(3)
#define DECLARE(n)       int32x4_t a##n = vdupq_n_s32(0), b##n = a##n, c##n = a##n, d##n = a##n;
#define ADD(n)                                                                                                         \
	{                                                                                                              \
		int8x16_t bytes = vld1q_s8(w + k * 64 + (n)*16);                                                       \
		int16x8_t first = vmovl_s8(vget_low_s8(bytes)), second = vmovl_s8(vget_high_s8(bytes));                \
		a##n = vmlal_s16(a##n, vget_low_s16(first), group);                                                    \
		b##n = vmlal_s16(b##n, vget_high_s16(first), group);                                                   \
		c##n = vmlal_s16(c##n, vget_low_s16(second), group);                                                   \
		d##n = vmlal_s16(d##n, vget_high_s16(second), group);                                                  \
	}
#define STORE(n) vst1q_s32(sums + (n)*4, vpaddq_s32(vpaddq_s32(a##n, b##n), vpaddq_s32(c##n, d##n)));

/* The sums of one token and one block. */
INLINED void block_sums(const uint8_t *q, const int8_t *w, size_t groups, int32_t sums[KERNEL_BLOCK])
{
	EACH_QUARTER(DECLARE)
	for (size_t k = 0; k < groups; k++) {
		uint32_t four;
		int16x4_t group;

		memcpy(&four, q + k * KERNEL_GROUP, sizeof four);
		group = vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
		EACH_QUARTER(ADD)
	}
	EACH_QUARTER(STORE)
}

static void neon_linear_i8(const struct linear_i8 *l, const struct rows_u8 *x, float *to, size_t to_stride)
{
	size_t groups = kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP;

	for (size_t output = 0; output < l->out; output += KERNEL_BLOCK) {
		size_t count = l->out - output < KERNEL_BLOCK ? l->out - output : KERNEL_BLOCK;

		for (size_t row = 0; row < x->count; row++) {
			int32_t sums[KERNEL_BLOCK];

			block_sums(
				x->values + row * x->stride, l->values + output * groups * KERNEL_GROUP, groups, sums);
			for (size_t i = 0; i < count; i++)
				to[row * to_stride + output + i] =
					fmaf((float)sums[i], x->step[row] * l->scale[output + i],
						fmaf(x->lowest[row], l->sum[output + i], l->bias[output + i]));
		}
	}
}

const struct kernels kernels_neon = {
	"neon",
	neon_quantize,
	neon_linear_i8,
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
