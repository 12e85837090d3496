/* The f32 functions of a kernel set, written once in the compilers' vector types and compiled for each processor by
 * being included, between the pragmas that name its instructions, in kernel_*.c.
 *
 * The includer defines LANES (floats in a vector), VECTORS_MAX (of a tile of 6 rows in a product: 4 or 2, as registers
 * allow), DOT_ROWS (2 to 6, of a tile of 4 outputs in linear_f32), and may define vec_min and vec_max with instructions
 * of its own.
 * Intrinsics for all of this were rejected: five copies of each function, of which two cannot be run on any one machine.
 *
 * erf and exp are fits made for this file (least squares over their range, weighted until the error was level): erf(x)
 * as x P(x^2) / Q(x^2) on [-4, 4], outside of which it is 1 in f32, with at most 4e-7 of error; exp as a power of 2, by 2^n
 * times a polynomial of degree 6 on +-1/2, with at most two units in the last place beside those of its argument. */

#include <math.h>

#define INLINED static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * 4), may_alias));
typedef float vec_in_memory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
/* Four floats: a register everywhere, and what wider vectors are summed by. */
typedef float quarter __attribute__((vector_size(16), may_alias));
typedef int32_t ivec __attribute__((vector_size(LANES * 4), may_alias));

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

INLINED float vec_largest(vec v)
{
	float lanes[LANES], largest;

	vec_store(lanes, v);
	largest = lanes[0];
	for (size_t i = 1; i < LANES; i++)
		largest = lanes[i] > largest ? lanes[i] : largest;
	return largest;
}

/* 2^x of x <= 0. Below -126 the result stays at 2^-126, which is next to nothing. Of a NaN, a NaN: vec_max gives its second
 * operand when either is none. */
INLINED vec vec_exp2(vec x)
{
	const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number in the low bits */
	vec low = vec_max(vec_all(-126.0f), x);
	vec n = low + shift;
	vec r = low - (n - shift);
	vec p = vec_all(1.532099286e-04f);

	p = p * r + 1.339027564e-03f;
	p = p * r + 9.618527894e-03f;
	p = p * r + 5.550362056e-02f;
	p = p * r + 2.402264753e-01f;
	p = p * r + 6.931471806e-01f;
	p = p * r + 1.0f;
	return (vec)((ivec)p + ((ivec)n << 23));
}

INLINED vec vec_erf(vec x)
{
	vec z = vec_min(vec_max(x, vec_all(-4.0f)), vec_all(4.0f));
	vec t = z * z;
	vec p = vec_all(1.986780172e-06f), q = vec_all(3.742021756e-05f);

	p = p * t + 2.845671365e-04f;
	p = p * t + 3.883382991e-03f;
	p = p * t + 5.310186544e-02f;
	p = p * t + 1.935459226e-01f;
	p = p * t + 1.128379139e+00f;
	q = q * t + 1.185581308e-03f;
	q = q * t + 1.520732824e-02f;
	q = q * t + 1.153503612e-01f;
	q = q * t + 5.048581633e-01f;
	q = q * t + 1.0f;
	return z * p / q;
}

INLINED vec vec_gelu(vec x)
{
	return 0.5f * x * (1.0f + vec_erf(x * 0.707106781186547524f));
}

static void f32_gelu(float *x, size_t count)
{
	size_t i = 0;

	for (; i + LANES <= count; i += LANES)
		vec_store(x + i, vec_gelu(vec_load(x + i)));
	if (i < count)
		vec_store_part(x + i, vec_gelu(vec_load_part(x + i, count - i)), count - i);
}

static float f32_exponentials(float *x, size_t count, float scale)
{
	vec largest = vec_all(x[0]), sum = {0};
	float top, rest = 0, powers = scale * 1.44269504088896f;
	size_t i = 0;

	for (; i + LANES <= count; i += LANES)
		largest = vec_max(largest, vec_load(x + i));
	top = vec_largest(largest);
	for (; i < count; i++)
		top = x[i] > top ? x[i] : top;
	for (i = 0; i + LANES <= count; i += LANES) {
		vec e = vec_exp2((vec_load(x + i) - top) * powers);

		sum += e;
		vec_store(x + i, e);
	}
	if (i < count)
		vec_store_part(x + i, vec_exp2((vec_load_part(x + i, count - i) - top) * powers), count - i);
	for (; i < count; i++)
		rest += x[i];
	return vec_sum(sum) + rest;
}

static void f32_add_norm(float *x, const float *y, const float *weight, const float *bias, size_t count, float epsilon)
{
	vec sums = {0}, squares = {0};
	size_t i = 0, whole = count / LANES * LANES;
	float sum = 0, square = 0, mean, inverse;

	for (; i < whole; i += LANES) {
		vec v = vec_load(x + i) + vec_load(y + i);

		sums += v;
		vec_store(x + i, v);
	}
	for (; i < count; i++) {
		x[i] += y[i];
		sum += x[i];
	}
	mean = (sum + vec_sum(sums)) / (float)count;
	for (i = 0; i < whole; i += LANES) {
		vec d = vec_load(x + i) - mean;

		squares += d * d;
	}
	for (; i < count; i++)
		square += (x[i] - mean) * (x[i] - mean);
	inverse = 1.0f / sqrtf((square + vec_sum(squares)) / (float)count + epsilon);
	for (i = 0; i < whole; i += LANES)
		vec_store(x + i, (vec_load(x + i) - mean) * inverse * vec_load(weight + i) + vec_load(bias + i));
	for (; i < count; i++)
		x[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
}

/* Accumulators are named one by one: gcc 12 keeps an array of them in memory. What a constant rules out is not compiled.
 */
#define EACH_ROW(DO)   DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define DECLARE_ROW(r) vec a##r = {0}, b##r = {0}, c##r = {0}, d##r = {0};
#define STORE_ROW(r)                                                                                                   \
	if (rows > r) {                                                                                                \
		vec_store(to + r * to_stride, a##r);                                                                   \
		if (vectors > 1)                                                                                       \
			vec_store(to + r * to_stride + LANES, b##r);                                                   \
		if (vectors > 2)                                                                                       \
			vec_store(to + r * to_stride + 2 * LANES, c##r);                                               \
		if (vectors > 2)                                                                                       \
			vec_store(to + r * to_stride + 3 * LANES, d##r);                                               \
	}
#define ADD_ROW(r)                                                                                                     \
	if (rows > r) {                                                                                                \
		vec x = vec_all(left[r * p->left_stride + k]);                                                         \
		a##r += x * u;                                                                                         \
		if (vectors > 1)                                                                                       \
			b##r += x * v;                                                                                 \
		if (vectors > 2)                                                                                       \
			c##r += x * w;                                                                                 \
		if (vectors > 2)                                                                                       \
			d##r += x * z;                                                                                 \
	}

/* One tile of a product: `rows` (up to 6) by `vectors` (1, 2 or 4) accumulators stay in registers while `inner` runs. */
INLINED void product_tile(const struct product *p, size_t row, size_t column, float *to, size_t to_stride,
	const int rows, const int vectors)
{
	const float *left = p->left + row * p->left_stride, *right = p->right + column;

	EACH_ROW(DECLARE_ROW)
	to += row * to_stride + column;
	for (size_t k = 0; k < p->inner; k++, right += p->right_stride) {
		vec u = vec_load(right), v = u, w = u, z = u;

		if (vectors > 1)
			v = vec_load(right + LANES);
		if (vectors > 2)
			w = vec_load(right + 2 * LANES);
		if (vectors > 2)
			z = vec_load(right + 3 * LANES);
		EACH_ROW(ADD_ROW)
	}
	EACH_ROW(STORE_ROW)
}

#define PRODUCT_TILE(n)                                                                                                \
	case n: product_tile(p, row, column, to, to_stride, n, vectors); break

/* All rows of some columns; rows are dealt out evenly over tiles. */
INLINED void product_columns(const struct product *p, size_t column, float *to, size_t to_stride, const int vectors)
{
	size_t count = (p->rows + 5) / 6;

	for (size_t i = 0; i < count; i++) {
		size_t row = p->rows * i / count;

		switch (p->rows * (i + 1) / count - row) {
			PRODUCT_TILE(1);
			PRODUCT_TILE(2);
			PRODUCT_TILE(3);
			PRODUCT_TILE(4);
			PRODUCT_TILE(5);
			PRODUCT_TILE(6);
		}
	}
}

/* The columns that fill no vector. */
static void product_rest(const struct product *p, size_t column, float *to, size_t to_stride)
{
	for (size_t row = 0; row < p->rows; row++)
		for (size_t c = column; c < p->columns; c++) {
			float sum = 0;

			for (size_t k = 0; k < p->inner; k++)
				sum += p->left[row * p->left_stride + k] * p->right[k * p->right_stride + c];
			to[row * to_stride + c] = sum;
		}
}

static void f32_product(const struct product *p, float *to, size_t to_stride)
{
	size_t column = 0;

	for (; VECTORS_MAX == 4 && column + 4 * LANES <= p->columns; column += 4 * LANES)
		product_columns(p, column, to, to_stride, VECTORS_MAX);
	for (; column + 2 * LANES <= p->columns; column += 2 * LANES)
		product_columns(p, column, to, to_stride, 2);
	for (; column + LANES <= p->columns; column += LANES)
		product_columns(p, column, to, to_stride, 1);
	if (column < p->columns)
		product_rest(p, column, to, to_stride);
}

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
