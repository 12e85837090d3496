/* The f32 functions of a kernel set, written once in the compilers' vector types and compiled for each processor by
 * being included, between the pragmas that name its instructions, in kernel_*.c.
 *
 * The includer defines LANES (floats in a vector), VECTORS_MAX (of a tile of 6 rows in a product: 4 or 2, as registers
 * allow), DOT_ROWS (2 to 6, of a tile of 4 outputs in linear_f32), and may define vec_min and vec_max with instructions
 * of its own.
 * Intrinsics for all of this were rejected: five copies of each function, of which two cannot be run on any one machine.
 *
 * erf and exp are fits made for this file (least squares over their range, weighted until the error was level): erf(x)
 * as x P(x^2) / Q(x^2) on [-4, 4], outside of which it is 1 in f32, with at most 4e-7 of error, and its factors brought into
 * GELU's; exp as a power of 2, by 2^n times a polynomial of degree 6 on +-1/2, with at most two units in the last place
 * beside those of its argument. Where it is rounded to 15 bits or fewer, one of degree 4, off by at most 2.9e-6 of it. */

#include <math.h>

/* 1.5 * 2^23: adding it rounds to a whole number in the low bits. */
#define ROUNDING 12582912.0f
#define LOG2_E   1.44269504088896f

#define INLINED  static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * 4), may_alias));
typedef float vec_in_memory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
/* Four floats: a register everywhere, and what wider vectors are summed by. */
typedef float quarter __attribute__((vector_size(16), may_alias));
typedef int32_t ivec __attribute__((vector_size(LANES * 4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(LANES * 4), may_alias));
typedef int32_t ivec_in_memory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINED vec vec_load(const float *from)
{
	return *(const vec_in_memory *)from;
}

INLINED void vec_store(float *to, vec v)
{
	*(vec_in_memory *)to = v;
}

INLINED vec vec_all(float x)
{
	return x - (vec){0};
}

/* The first `count` lanes; the others are 0. */
INLINED vec vec_load_part(const float *from, size_t count)
{
	float lanes[LANES] = {0};

	memcpy(lanes, from, count * sizeof *lanes);
	return vec_load(lanes);
}

INLINED vec vec_load_some(const float *from, size_t count)
{
	return count >= LANES ? vec_load(from) : vec_load_part(from, count);
}

INLINED void vec_store_part(float *to, vec v, size_t count)
{
	float lanes[LANES];

	vec_store(lanes, v);
	memcpy(to, lanes, count * sizeof *lanes);
}

INLINED float vec_sum(vec v)
{
	quarter parts[LANES / 4], sum;

	vec_store((float *)parts, v);
	sum = parts[0];
	for (size_t i = 1; i < LANES / 4; i++)
		sum += parts[i];
	return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

#ifndef vec_max
INLINED vec vec_select(ivec mask, vec yes, vec no)
{
	return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}
#define vec_max(a, b) vec_select((a) > (b), a, b)
#define vec_min(a, b) vec_select((a) < (b), a, b)
#endif

INLINED float larger_of(float a, float b)
{
	return a > b ? a : b;
}

INLINED float vec_largest(vec v)
{
	float lanes[LANES];

	vec_store(lanes, v);
	for (size_t half = LANES / 2; half; half /= 2)
		for (size_t i = 0; i < half; i++)
			lanes[i] = larger_of(lanes[i], lanes[half + i]);
	return lanes[0];
}

#ifndef ivec_add_pairs
INLINED ivec low_halves(ivec x)
{
	return (ivec)((uvec)x << 16) >> 16;
}

INLINED ivec ivec_add_pairs(ivec sums, ivec x, ivec y)
{
	return sums + (low_halves(x) * low_halves(y)) + (x >> 16) * (y >> 16);
}
#endif

/* 2^x of x <= 0. Below -126 the result stays at 2^-126, which is next to nothing. Of a NaN, a NaN: vec_max gives its second
 * operand when either is none. `rough` takes the polynomial of degree 4. */
INLINED vec vec_exp2(vec x, const bool rough)
{
	vec low = vec_max(vec_all(-126.0f), x);
	vec n = low + ROUNDING;
	vec r = low - (n - ROUNDING);
	vec p;

	if (rough) {
		p = r * 9.582857540e-03f + 5.590643628e-02f;
		p = p * r + 2.402409860e-01f;
		p = p * r + 6.931241921e-01f;
	} else {
		p = r * 1.532099286e-04f + 1.339027564e-03f;
		p = p * r + 9.618527894e-03f;
		p = p * r + 5.550362056e-02f;
		p = p * r + 2.402264753e-01f;
		p = p * r + 6.931471806e-01f;
	}
	p = p * r + 1.0f;
	return (vec)((uvec)p + ((uvec)n << 23));
}

/* x times the normal distribution's share below x. */
INLINED vec vec_gelu(vec x)
{
	vec z = vec_min(vec_max(x, vec_all(-5.656854249f)), vec_all(5.656854249f));
	vec t = z * z;
	vec p = t * 2.195102707e-08f + 6.288104748e-06f;
	vec q = t * 1.169381799e-06f + 7.409883175e-05f;

	p = p * t + 1.716229029e-04f;
	p = p * t + 4.693586143e-03f;
	p = p * t + 3.421440859e-02f;
	p = p * t + 3.989422705e-01f;
	q = q * t + 1.900916030e-03f;
	q = q * t + 2.883759030e-02f;
	q = q * t + 2.524290816e-01f;
	q = q * t + 1.0f;
	return x * (z * p / q + 0.5f);
}

static void f32_gelu(float *x, size_t count)
{
	size_t i = 0;

	for (; i + LANES <= count; i += LANES)
		vec_store(x + i, vec_gelu(vec_load(x + i)));
	if (i < count)
		vec_store_part(x + i, vec_gelu(vec_load_part(x + i, count - i)), count - i);
}

INLINED float row_largest(const float *x, size_t count)
{
	vec a = vec_all(x[0]), b = a;
	float top;
	size_t i = 0;

	for (; i + 2 * LANES <= count; i += 2 * LANES) {
		a = vec_max(a, vec_load(x + i));
		b = vec_max(b, vec_load(x + i + LANES));
	}
	top = vec_largest(vec_max(a, b));
	for (; i < count; i++)
		top = x[i] > top ? x[i] : top;
	return top;
}

static float f32_exponentials(float *x, size_t count, float scale)
{
	vec sum = {0};
	float top = row_largest(x, count), rest = 0, powers = scale * LOG2_E;
	size_t i = 0;

	for (; i + LANES <= count; i += LANES) {
		vec e = vec_exp2((vec_load(x + i) - top) * powers, false);

		sum += e;
		vec_store(x + i, e);
	}
	if (i < count)
		vec_store_part(x + i, vec_exp2((vec_load_part(x + i, count - i) - top) * powers, false), count - i);
	for (; i < count; i++)
		rest += x[i];
	return vec_sum(sum) + rest;
}

/* Of some bits: all where they are a number's magnitude, and the larger, the larger it is; largest where it is none. */
INLINED ivec vec_magnitude(vec v)
{
	return (ivec)v & 0x7fffffff;
}

#ifndef ivec_max
INLINED ivec ivec_max(ivec a, ivec b)
{
	ivec larger = a > b;

	return (a & larger) | (b & ~larger);
}
#endif

static float f32_largest(const struct rows_f32 *x, size_t width)
{
	ivec a = {0}, b = {0};
	int32_t lanes[LANES], top = 0;
	float found;

	for (size_t row = 0; row < x->count; row++) {
		const float *values = x->values + row * x->stride;
		size_t i = 0;

		for (; i + 2 * LANES <= width; i += 2 * LANES) {
			a = ivec_max(a, vec_magnitude(vec_load(values + i)));
			b = ivec_max(b, vec_magnitude(vec_load(values + i + LANES)));
		}
		for (; i < width; i += LANES)
			a = ivec_max(a, vec_magnitude(vec_load_some(values + i, width - i)));
	}
	a = ivec_max(a, b);
	memcpy(lanes, &a, sizeof lanes);
	for (size_t i = 0; i < LANES; i++)
		top = lanes[i] > top ? lanes[i] : top;
	memcpy(&found, &top, sizeof found);
	return found;
}

/* Whole numbers of 16 bits, rounded, side by side. */
INLINED ivec vec_pairs(vec first, vec second, vec factor)
{
	ivec low = (ivec)(first * factor + ROUNDING), high = (ivec)(second * factor + ROUNDING);

	return (low & 0xffff) | (ivec)((uvec)high << 16);
}

INLINED void ivec_store(int32_t *to, ivec v)
{
	*(ivec_in_memory *)to = v;
}

static void f32_pairs(const struct rows_f32 *first, const float *second, size_t width, float factor, int32_t *to)
{
	for (size_t row = 0; row < first->count; row++, to += width) {
		const float *a = first->values + row * first->stride, *b = second + row * first->stride;
		size_t i = 0;

		for (; i + LANES <= width; i += LANES)
			ivec_store(to + i, vec_pairs(vec_load(a + i), vec_load(b + i), vec_all(factor)));
		if (i < width) {
			ivec rest = vec_pairs(
				vec_load_part(a + i, width - i), vec_load_part(b + i, width - i), vec_all(factor));

			memcpy(to + i, &rest, (width - i) * sizeof *to);
		}
	}
}

/* The first `count` lanes are all ones, the others 0. */
INLINED ivec ivec_first(size_t count)
{
	static const int32_t lanes[2 * LANES] = {[0 ... LANES - 1] = -1};

	return *(const ivec_in_memory *)(lanes + LANES - (count < LANES ? count : LANES));
}

/* x becomes powers of e, and 0 to the end of its last vector; their sum. */
INLINED float row_powers(float *x, size_t count, float top, float powers)
{
	vec sum = {0}, e;
	size_t i = 0;

	for (; i + LANES <= count; i += LANES) {
		e = vec_exp2((vec_load(x + i) - top) * powers, true);
		sum += e;
		vec_store(x + i, e);
	}
	if (i < count) {
		e = (vec)((ivec)vec_exp2((vec_load(x + i) - top) * powers, true) & ivec_first(count - i));
		sum += e;
		vec_store(x + i, e);
	}
	return vec_sum(sum);
}

/* Powers of e become pairs; the sum of all. Of an odd number of them the last has no second, and 0 stands there. */
INLINED int32_t row_pairs(const float *x, size_t half, float factor, int32_t *to)
{
	const ivec ones = (ivec){0} + 0x00010001;
	ivec total = {0}, pairs;
	int32_t lanes[LANES], sum = 0;
	size_t i = 0;

	for (; i + LANES <= half; i += LANES) {
		pairs = vec_pairs(vec_load(x + i), vec_load(x + half + i), vec_all(factor));
		total = ivec_add_pairs(total, pairs, ones);
		ivec_store(to + i, pairs);
	}
	if (i < half) {
		pairs = vec_pairs(vec_load(x + i), vec_load(x + half + i), vec_all(factor)) & ivec_first(half - i);
		total = ivec_add_pairs(total, pairs, ones);
		ivec_store(to + i, pairs);
	}
	memcpy(lanes, &total, sizeof lanes);
	for (i = 0; i < LANES; i++)
		sum += lanes[i];
	return sum;
}

/* Step by step over all rows: nothing in a step waits for another row. */
static void f32_weights(const struct weights *w, int32_t *to, size_t to_stride, float *ret_sums)
{
	size_t half = (w->count + 1) / 2;

	for (size_t r = 0; r < w->rows; r++)
		ret_sums[r] = row_largest(w->scores + r * w->stride, w->count);
	for (size_t r = 0; r < w->rows; r++) {
		float *x = w->scores + r * w->stride;

		ret_sums[r] = row_powers(x, w->count, ret_sums[r], w->scale * LOG2_E);
	}
	for (size_t r = 0; r < w->rows; r++) {
		float factor = fminf(32767.0f, (float)(KERNEL_WEIGHTS_MAX - w->count) / ret_sums[r]);
		int32_t sum = row_pairs(w->scores + r * w->stride, half, factor, to + r * to_stride);

		ret_sums[r] = isfinite(ret_sums[r]) ? (float)sum : ret_sums[r];
	}
}

static void f32_add_norm(float *x, const float *y, const float *weight, const float *bias, size_t count, float epsilon)
{
	/* Two sums each, since each addition waits for the one before. */
	vec sums = {0}, more_sums = {0}, squares = {0}, more_squares = {0};
	size_t i = 0, whole = count / LANES * LANES, even = count / (2 * LANES) * (2 * LANES);
	float sum = 0, square = 0, mean, inverse;

	for (; i < even; i += 2 * LANES) {
		vec v = vec_load(x + i) + vec_load(y + i), w = vec_load(x + i + LANES) + vec_load(y + i + LANES);

		sums += v;
		more_sums += w;
		vec_store(x + i, v);
		vec_store(x + i + LANES, w);
	}
	for (; i < count; i++) {
		x[i] += y[i];
		sum += x[i];
	}
	mean = (sum + vec_sum(sums + more_sums)) / (float)count;
	for (i = 0; i < even; i += 2 * LANES) {
		vec v = vec_load(x + i) - mean, w = vec_load(x + i + LANES) - mean;

		squares += v * v;
		more_squares += w * w;
	}
	for (; i < count; i++)
		square += (x[i] - mean) * (x[i] - mean);
	inverse = 1.0f / sqrtf((square + vec_sum(squares + more_squares)) / (float)count + epsilon);
	for (i = 0; i < whole; i += LANES)
		vec_store(x + i, (vec_load(x + i) - mean) * inverse * vec_load(weight + i) + vec_load(bias + i));
	for (; i < count; i++)
		x[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
}

/* Accumulators are named one by one: gcc 12 keeps an array of them in memory. What a constant rules out is not compiled.
 */
#define EACH_ROW(DO)               DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)

#define PRODUCT                    product
#define ELEMENT                    float
#define PRODUCT_VEC                vec
#define PRODUCT_MEMORY             vec_in_memory
#define PRODUCT_ADD(sum, x, y)     ((sum) + (x) * (y))
#define PRODUCT_ADD_ONE(sum, x, y) ((sum) + (x) * (y))
#define PRODUCT_FLOATS(sums)       (sums)
#include "embed/kernel_product.h"

#define PRODUCT                    product_pairs
#define ELEMENT                    int32_t
#define PRODUCT_VEC                ivec
#define PRODUCT_MEMORY             ivec_in_memory
#define PRODUCT_ADD(sum, x, y)     ivec_add_pairs(sum, x, y)
#define PRODUCT_ADD_ONE(sum, x, y) ((sum) + (int16_t)(x) * (int16_t)(y) + ((x) >> 16) * ((y) >> 16))
#define PRODUCT_FLOATS(sums)       __builtin_convertvector(sums, vec)
#include "embed/kernel_product.h"

#define DECLARE_ROW(r) vec a##r = {0}, b##r = {0}, c##r = {0}, d##r = {0};

/* The inputs that fill no vector. */
static float dot_rest(const float *x, const float *w, size_t from, size_t to)
{
	float sum = 0;

	for (size_t i = from; i < to; i++)
		sum += x[i] * w[i];
	return sum;
}

#define ADD_DOT(r)                                                                                                     \
	if (rows > r) {                                                                                                \
		vec y = vec_load(x + r * x_stride + k);                                                                \
		a##r += y * u;                                                                                         \
		if (rows > 1) {                                                                                        \
			b##r += y * v;                                                                                 \
			c##r += y * s;                                                                                 \
			d##r += y * z;                                                                                 \
		}                                                                                                      \
	}
#define STORE_DOT(r)                                                                                                   \
	if (rows > r) {                                                                                                \
		to[r * to_stride] = vec_sum(a##r) + bias[0] + dot_rest(x + r * x_stride, w, k, in);                    \
		if (rows > 1) {                                                                                        \
			const float *xs = x + r * x_stride;                                                            \
			to[r * to_stride + 1] = vec_sum(b##r) + bias[1] + dot_rest(xs, w + in, k, in);                 \
			to[r * to_stride + 2] = vec_sum(c##r) + bias[2] + dot_rest(xs, w + 2 * in, k, in);             \
			to[r * to_stride + 3] = vec_sum(d##r) + bias[3] + dot_rest(xs, w + 3 * in, k, in);             \
		}                                                                                                      \
	}

/* A tile of `rows` by four outputs, or (rows = 1) one by one, each a dot product along both arrays' contiguous
 * direction. */
INLINED void linear_tile(const struct linear_f32 *l, const float *x, size_t x_stride, size_t output, float *to,
	size_t to_stride, const int rows)
{
	const float *w = l->values + output * l->in, *bias = l->bias + output;
	size_t k = 0, in = l->in;

	EACH_ROW(DECLARE_ROW)
	for (; k + LANES <= in; k += LANES) {
		vec u = vec_load(w + k), v = u, s = u, z = u;

		if (rows > 1) {
			v = vec_load(w + in + k);
			s = vec_load(w + 2 * in + k);
			z = vec_load(w + 3 * in + k);
		}
		EACH_ROW(ADD_DOT)
	}
	EACH_ROW(STORE_DOT)
}

static void f32_linear(const struct linear_f32 *l, const struct rows_f32 *x, float *to, size_t to_stride)
{
	for (size_t output = 0; output < l->out; output += 4) {
		size_t row = 0, outs = l->out - output < 4 ? l->out - output : 4;

		for (; outs == 4 && row + DOT_ROWS <= x->count; row += DOT_ROWS)
			linear_tile(l, x->values + row * x->stride, x->stride, output, to + row * to_stride + output,
				to_stride, DOT_ROWS);
		for (; row < x->count; row++)
			for (size_t o = 0; o < outs; o++)
				linear_tile(l, x->values + row * x->stride, x->stride, output + o,
					to + row * to_stride + output + o, to_stride, 1);
	}
}
