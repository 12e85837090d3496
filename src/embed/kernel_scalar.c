/* The kernel set that runs everywhere, and what the others are compared with. See kernels.h.
 *
 * Its products of bytes are the definition, one number at a time. Its f32 functions are the shared ones over vectors of
 * four floats, which every 64-bit processor has. */
#include "embed/kernels.h"

#define LANES       4
#define VECTORS_MAX 2
#define DOT_ROWS    2

#include "embed/kernel_f32.h"

static uint8_t quantize_value(float x, float lowest, float inverse)
{
	/* A difference and a product, each rounded once, then to the nearest and even at ties, as the instructions do. */
	float v = nearbyintf((x - lowest) * inverse);

	return v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
}

static void scalar_quantize(const float *x, const float *smooth, size_t count, float *scaled, uint8_t *values,
	float *ret_step, float *ret_lowest)
{
	float lowest, highest, inverse;

	/* A loop of its own, so that no compiler makes one rounding of this product and the difference below. */
	for (size_t i = 0; i < count; i++)
		scaled[i] = x[i] * smooth[i];
	lowest = highest = scaled[0];
	for (size_t i = 1; i < count; i++) {
		lowest = scaled[i] < lowest ? scaled[i] : lowest;
		highest = scaled[i] > highest ? scaled[i] : highest;
	}
	inverse = highest > lowest ? 255.0f / (highest - lowest) : 0.0f;
	for (size_t i = 0; i < count; i++)
		values[i] = quantize_value(scaled[i], lowest, inverse);
	*ret_step = (highest - lowest) / 255.0f;
	*ret_lowest = lowest;
}

static void scalar_linear_i8(const struct linear_i8 *l, const struct rows_u8 *x, float *to, size_t to_stride)
{
	for (size_t row = 0; row < x->count; row++) {
		const uint8_t *q = x->values + row * x->stride;

		for (size_t o = 0; o < l->out; o++) {
			int32_t sum = 0;

			for (size_t k = 0; k < l->in; k++)
				sum += q[k] * l->values[kernel_packed_place(l->in, o, k)];
			to[row * to_stride + o] = fmaf(
				(float)sum, x->step[row] * l->scale[o], fmaf(x->lowest[row], l->sum[o], l->bias[o]));
		}
	}
}

const struct kernels kernels_scalar = {
	"scalar",
	scalar_quantize,
	scalar_linear_i8,
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
