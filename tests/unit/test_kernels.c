/* Every kernel set this processor runs against the scalar one, over sizes that fill no vector, block or tile; and the
 * scalar one against double precision. What is not there is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "embed/kernels.h"

static uint64_t seed = 7;

static float random_float(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (float)((double)(int32_t)(seed >> 32) / 2147483648.0);
}

static float *random_floats(size_t count, float spread)
{
	float *values = malloc((count ? count : 1) * sizeof *values);

	assert_non_null(values);
	for (size_t i = 0; i < count; i++)
		values[i] = spread * random_float();
	return values;
}

/* A layer of bytes within the limits of kernels.h, extremes included. */
struct layer_i8 {
	struct linear_i8 linear;
	int8_t *values;
	float *scale, *sum, *bias, *smooth;
};

/* The largest magnitudes that a chunk's lane may hold, by place in the chunk: pairs of one sign up to KERNEL_PAIR_MAX, all
 * up to KERNEL_LANE_MAX. */
static const int8_t fullest[KERNEL_CHUNK] = {127, 1, 64, 64, 0, 127, 64, 63, 0, 0, 0, 0, 0, 0, 0, 0};

/* Up to `bound` each, so that no lane is over its limits; every third channel at them, above and below. */
static int8_t some_weight(size_t channel, size_t input)
{
	const int bound = KERNEL_LANE_MAX / (KERNEL_CHUNK / 2);

	if (channel % 3 == 2)
		return (int8_t)((float)bound * random_float());
	return (int8_t)(channel % 3 == 0 ? fullest[input % KERNEL_CHUNK] : -fullest[input % KERNEL_CHUNK]);
}

static struct layer_i8 make_layer(size_t in, size_t out)
{
	size_t whole = kernel_round_up(out, KERNEL_BLOCK), size = kernel_packed_size(in, out);
	struct layer_i8 l = {.linear = {.in = (uint32_t)in, .out = (uint32_t)out}};

	l.values = aligned_alloc(KERNEL_ALIGN, kernel_round_up(size, KERNEL_ALIGN));
	assert_non_null(l.values);
	memset(l.values, 0, size);
	for (size_t o = 0; o < out; o++)
		for (size_t i = 0; i < in; i++)
			l.values[kernel_packed_place(in, o, i)] = some_weight(o, i);
	l.scale = random_floats(whole, 0.01f);
	l.sum = random_floats(whole, 1);
	l.bias = random_floats(whole, 1);
	l.smooth = random_floats(in, 1);
	for (size_t i = 0; i < in; i++)
		l.smooth[i] = 0.5f + fabsf(l.smooth[i]);
	l.linear.values = l.values;
	l.linear.scale = l.scale;
	l.linear.sum = l.sum;
	l.linear.bias = l.bias;
	l.linear.smooth = l.smooth;
	return l;
}

static void free_layer(struct layer_i8 *l)
{
	free(l->values);
	free(l->scale);
	free(l->sum);
	free(l->bias);
	free(l->smooth);
}

/* Quantises rows and multiplies, all by one set. */
static float *run_i8(const struct kernels *k, const struct layer_i8 *l, const float *x, size_t rows)
{
	size_t in = l->linear.in, out = l->linear.out, stride = kernel_round_up(in, KERNEL_GROUP);
	float *to = malloc(rows * (out + 3) * sizeof *to), *scaled = malloc(in * sizeof *scaled);
	float *step = malloc(rows * sizeof *step), *lowest = malloc(rows * sizeof *lowest);
	uint8_t *bytes = malloc(rows * stride);
	struct rows_u8 q = {bytes, stride, rows, step, lowest};

	assert_true(to && scaled && step && lowest && bytes);
	for (size_t i = 0; i < rows * (out + 3); i++)
		to[i] = 12345;
	/* What the padding holds must not matter. */
	memset(bytes, 0xa5, rows * stride);
	for (size_t r = 0; r < rows; r++)
		k->quantize(x + r * in, l->smooth, in, scaled, bytes + r * stride, &step[r], &lowest[r]);
	k->linear_i8(&l->linear, &q, to, out + 3);
	free(bytes);
	free(lowest);
	free(step);
	free(scaled);
	return to;
}

static const size_t sizes[][3] = {
	/* rows, in, out */
	{1, 1, 1}, {1, 4, 16}, {2, 3, 17}, {3, 5, 15}, {5, 16, 33}, {6, 20, 48}, {7, 37, 20}, {8, 64, 49}, {9, 31, 64},
	{13, 129, 95}, {17, 384, 96}, {4, 1000, 7}};
#define SIZES (sizeof sizes / sizeof *sizes)

static void test_bytes_are_equal(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t s = 0; s < SIZES; s++) {
			size_t rows = sizes[s][0], in = sizes[s][1], out = sizes[s][2];
			struct layer_i8 l = make_layer(in, out);
			float *x = random_floats(rows * in, 3), *a = run_i8(&kernels_scalar, &l, x, rows);
			float *b = run_i8(k, &l, x, rows);

			if (memcmp(a, b, rows * (out + 3) * sizeof *a) != 0)
				fail_msg("%s differs from scalar with %zu rows, %zu in, %zu out", k->name, rows, in,
					out);
			free(a);
			free(b);
			free(x);
			free_layer(&l);
		}
}

/* The largest sums there are: every activation 255, or 0 where the weight is negative, every lane full. */
static void test_extremes_do_not_saturate(void **state)
{
	const size_t in = 4096, out = 16;
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++) {
		struct layer_i8 l = make_layer(in, out);
		float *x = random_floats(in, 0), *got;

		x[in - 1] = -1; /* becomes 0, all the others 255; its weight is 0 */
		for (size_t i = 0; i < in; i++)
			l.smooth[i] = 1;
		for (size_t o = 0; o < out; o++) {
			l.scale[o] = 1;
			l.sum[o] = l.bias[o] = 0;
		}
		got = run_i8(k, &l, x, 1);
		/* A step of 1 / 255 turns sums of 255 v back into sums of v. */
		assert_float_equal(got[0], 2.0 * KERNEL_LANE_MAX * (double)(in / KERNEL_CHUNK), 0.01);
		assert_float_equal(got[1], -2.0 * KERNEL_LANE_MAX * (double)(in / KERNEL_CHUNK), 0.01);
		free(got);
		free(x);
		free_layer(&l);
	}
}

/* Bytes stand for what they were made of: each value within half a step, the smallest and largest exact. */
static void test_quantize(void **state)
{
	const float smooth[5] = {1, 1, 2, 1, 1};
	const float x[5] = {-1, 0.25f, 0.75f, 1, -0.3f};
	float scaled[5], step, lowest;
	uint8_t q[8];

	kernels_scalar.quantize(x, smooth, 5, scaled, q, &step, &lowest);
	assert_float_equal(lowest, -1, 0);
	assert_float_equal(step, 2.5f / 255, 1e-8);
	assert_int_equal(q[0], 0);
	assert_int_equal(q[2], 255);
	for (int i = 0; i < 5; i++)
		assert_float_equal(lowest + step * q[i], x[i] * smooth[i], step / 2 + 1e-6);
}

static void test_a_level_row(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++) {
		struct layer_i8 l = make_layer(9, 5);
		float x[9], *got;

		for (int i = 0; i < 9; i++) {
			x[i] = 2.5f;
			l.smooth[i] = 1;
		}
		got = run_i8(k, &l, x, 1);
		for (int o = 0; o < 5; o++)
			assert_float_equal(got[o], 2.5f * l.sum[o] + l.bias[o], 1e-5);
		free(got);
		free_layer(&l);
	}
}

/* In double, over vectors whose elements stand so far apart. */
static double dot(const float *a, size_t a_step, const float *b, size_t b_step, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (double)a[i * a_step] * b[i * b_step];
	return sum;
}

static void test_linear_f32(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t s = 0; s < SIZES; s++) {
			size_t rows = sizes[s][0], in = sizes[s][1], out = sizes[s][2];
			float *x = random_floats(rows * (in + 2), 1), *w = random_floats(out * in, 1);
			float *bias = random_floats(out, 1), *to = random_floats(rows * (out + 1), 1);
			const struct linear_f32 l = {(uint32_t)in, (uint32_t)out, w, bias};
			const struct rows_f32 r = {x, in + 2, rows};

			k->linear_f32(&l, &r, to, out + 1);
			for (size_t i = 0; i < rows * out; i++) {
				const float *row = x + i / out * (in + 2);

				assert_float_equal(to[i / out * (out + 1) + i % out],
					bias[i % out] + dot(row, 1, w + i % out * in, 1, in), 1e-4);
			}
			free(to);
			free(bias);
			free(w);
			free(x);
		}
}

static void test_product(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t s = 0; s < SIZES; s++) {
			size_t rows = sizes[s][0], inner = sizes[s][1], columns = sizes[s][2];
			float *left = random_floats(rows * (inner + 1), 1),
			      *right = random_floats(inner * (columns + 5), 1);
			float *to = random_floats(rows * (columns + 2), 1);
			const struct product p = {left, right, inner + 1, columns + 5, rows, inner, columns, NULL};

			k->product(&p, to, columns + 2);
			for (size_t i = 0; i < rows * columns; i++) {
				const float *row = left + i / columns * (inner + 1), *column = right + i % columns;

				assert_float_equal(to[i / columns * (columns + 2) + i % columns],
					dot(row, 1, column, columns + 5, inner), 1e-4);
			}
			free(to);
			free(right);
			free(left);
		}
}

static int32_t pair_of(int first, int second)
{
	return (int32_t)((uint32_t)(uint16_t)first | (uint32_t)second << 16);
}

/* Up to `largest` in magnitude, extremes included. */
static int32_t *random_pairs(size_t count, int largest)
{
	int32_t *pairs = malloc((count ? count : 1) * sizeof *pairs);

	assert_non_null(pairs);
	for (size_t i = 0; i < count; i++)
		pairs[i] = i % 5 == 0 ? pair_of(-largest, largest)
				      : pair_of((int)((float)largest * random_float()),
						(int)((float)largest * random_float()));
	return pairs;
}

/* Sums of whole numbers are exact, so all sets agree bit for bit; the largest sum of 32 products fits. */
static void test_product_pairs(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t s = 0; s < SIZES; s++) {
			size_t rows = sizes[s][0], inner = sizes[s][1], columns = sizes[s][2];
			int largest = (int)sqrt(2147483647.0 / 2 / (double)inner);
			int32_t *left = random_pairs(rows * (inner + 1), largest < 32767 ? largest : 32767);
			int32_t *right = random_pairs(inner * (columns + 5), largest < 32767 ? largest : 32767);
			float *to = random_floats(rows * (columns + 2), 1), *factors = random_floats(rows, 1);
			const struct product_pairs p = {
				left, right, inner + 1, columns + 5, rows, inner, columns, s % 2 ? factors : NULL};

			k->product_pairs(&p, to, columns + 2);
			for (size_t i = 0; i < rows * columns; i++) {
				size_t row = i / columns, column = i % columns;
				int64_t sum = 0;

				for (size_t j = 0; j < inner; j++) {
					int32_t a = left[row * (inner + 1) + j], b = right[j * (columns + 5) + column];

					sum += (int16_t)a * (int16_t)b + (int64_t)(a >> 16) * (b >> 16);
				}
				assert_true(sum == (int32_t)sum);
				assert_float_equal(to[row * (columns + 2) + column],
					(float)(int32_t)sum * (s % 2 ? factors[row] : 1), 0);
			}
			free(factors);
			free(to);
			free(right);
			free(left);
		}
}

static void test_largest(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t width = 1; width < 70; width += 3) {
			const struct rows_f32 x = {random_floats(3 * (width + 1), 0.5f), width + 1, 3};
			float *values = (float *)(uintptr_t)x.values;

			values[width] = 9; /* between two rows */
			values[2 * (width + 1) + width / 2] = -0.75f;
			assert_float_equal(k->largest(&x, width), 0.75f, 0);
			values[width - 1] = -INFINITY;
			assert_true(isinf(k->largest(&x, width)));
			values[width + 1] = NAN;
			assert_true(isnan(k->largest(&x, width)));
			free(values);
		}
}

static void test_pairs(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t width = 1; width < 70; width += 3) {
			size_t stride = 2 * width + 1;
			float *x = random_floats(3 * stride, 0.999f);
			int32_t *to = random_pairs(3 * width, 1);
			const struct rows_f32 first = {x, stride, 3};

			k->pairs(&first, x + width, width, 32767, to);
			for (size_t i = 0; i < 3 * width; i++) {
				const float *at = x + i / width * stride + i % width;

				assert_float_equal((int16_t)to[i], at[0] * 32767, 0.51);
				assert_float_equal((to[i] >> 16), at[width] * 32767, 0.51);
			}
			free(to);
			free(x);
		}
}

/* Each weight within half a unit of what it should be, and of a share of all that the header promises. */
static void assert_weights(const int32_t *pairs, const double *e, size_t count, float got)
{
	size_t half = (count + 1) / 2;
	double sum = 0, total = 0;

	for (size_t i = 0; i < count; i++)
		sum += e[i];
	for (size_t i = 0; i < count; i++) {
		int weight = i < half ? (int16_t)pairs[i] : pairs[i - half] >> 16;

		assert_in_range(weight, 0, 32767);
		assert_float_equal(weight / fmin(32767, (KERNEL_WEIGHTS_MAX - (double)count) / sum), e[i],
			1e-5 * e[i] + 0.51 / fmin(32767, (KERNEL_WEIGHTS_MAX - (double)count) / sum));
		total += weight;
	}
	if (count % 2)
		assert_int_equal(pairs[half - 1] >> 16, 0);
	assert_float_equal(got, total, 0);
	assert_true(total <= KERNEL_WEIGHTS_MAX);
}

/* Three rows, by one set. */
static void check_weights(const struct kernels *k, size_t count, float spread)
{
	enum { ROWS = 3, STRIDE = 700 };
	float *x = random_floats(ROWS * STRIDE, spread), got[ROWS];
	double *e = malloc(ROWS * STRIDE * sizeof *e);
	int32_t *to = random_pairs(ROWS * STRIDE, 1);
	const struct weights w = {x, STRIDE, ROWS, count, 0.5f};

	assert_non_null(e);
	for (size_t r = 0; r < ROWS; r++) {
		float *row = x + r * STRIDE, top = row[0];

		for (size_t i = 0; i < count; i++)
			top = fmaxf(top, row[i]);
		for (size_t i = 0; i < count; i++)
			e[r * STRIDE + i] = exp(((double)row[i] - top) * 0.5);
		row[count] = 1e9f; /* what is behind the last does not matter */
	}
	k->weights(&w, to, STRIDE, got);
	for (size_t r = 0; r < ROWS; r++)
		assert_weights(to + r * STRIDE, e + r * STRIDE, count, got[r]);
	free(to);
	free(e);
	free(x);
}

static void test_weights(void **state)
{
	/* One takes all, a few do, all are alike. */
	static const float spreads[] = {400, 10, 0};
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t count = 1; count < 600; count += count < 40 ? 1 : 37)
			for (size_t s = 0; s < sizeof spreads / sizeof *spreads; s++)
				check_weights(k, count, spreads[s]);
}

/* A score that is no number leaves no sum; the other rows keep theirs. */
static void test_weights_of_nan(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t i = 0; i < 21; i++) {
			float x[2 * 64] = {0}, got[2];
			int32_t to[2 * 64];
			const struct weights w = {x, 64, 2, 21, 1};

			x[i] = NAN;
			k->weights(&w, to, 64, got);
			assert_false(isfinite(got[0]));
			assert_true(isfinite(got[1]));
		}
}

static void test_gelu(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++) {
		float x[2003];

		for (int i = 0; i < 2003; i++)
			x[i] = (float)(i - 1001) / 100;
		k->gelu(x, 2003);
		for (int i = 0; i < 2003; i++) {
			double v = (double)(float)((float)(i - 1001) / 100);

			assert_float_equal(x[i], 0.5 * v * (1 + erf(v / sqrt(2))), 2e-6);
		}
	}
}

static void test_exponentials(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t count = 1; count < 40; count++) {
			float *x = random_floats(count, 40), *before = malloc(count * sizeof *before);
			double sum = 0, largest = -INFINITY;
			float got;

			assert_non_null(before);
			memcpy(before, x, count * sizeof *x);
			for (size_t i = 0; i < count; i++)
				largest = fmax(largest, before[i]);
			got = k->exponentials(x, count, 0.5f);
			for (size_t i = 0; i < count; i++) {
				double e = exp((before[i] - largest) * 0.5);

				/* The argument itself, up to 40, is rounded. */
				assert_float_equal(x[i], e, 2e-6 * e + 1e-12);
				sum += e;
			}
			assert_float_equal(got, sum, 1e-5 * sum);
			free(before);
			free(x);
		}
}

static void test_add_norm(void **state)
{
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t count = 2; count < 60; count += 3) {
			float *x = random_floats(count, 2), *y = random_floats(count, 2), *w = random_floats(count, 1);
			float *b = random_floats(count, 1), *before = malloc(count * sizeof *before);
			double mean = 0, square = 0;

			assert_non_null(before);
			memcpy(before, x, count * sizeof *x);
			k->add_norm(x, y, w, b, count, 1e-6f);
			for (size_t i = 0; i < count; i++)
				mean += ((double)before[i] + y[i]) / (double)count;
			for (size_t i = 0; i < count; i++)
				square += pow((double)before[i] + y[i] - mean, 2) / (double)count;
			for (size_t i = 0; i < count; i++)
				assert_float_equal(x[i],
					((double)before[i] + y[i] - mean) / sqrt(square + 1e-6) * w[i] + b[i], 1e-5);
			free(before);
			free(b);
			free(w);
			free(y);
			free(x);
		}
}

static void test_choice(void **state)
{
	size_t count = 0;
	const struct kernels *k;

	for (; (k = kernels_available(count)) != NULL; count++) {
		print_message("# this processor runs %s\n", k->name);
		assert_ptr_equal(kernels_find(k->name), k);
		assert_int_equal(setenv("CONTEXT_STORE_KERNEL", k->name, 1), 0);
		assert_ptr_equal(kernels_best(), k);
	}
	assert_true(count >= 1);
	assert_ptr_equal(kernels_available(count - 1), &kernels_scalar);
	assert_null(kernels_find("abacus"));
	assert_int_equal(setenv("CONTEXT_STORE_KERNEL", "abacus", 1), 0);
	assert_ptr_equal(kernels_best(), kernels_available(0));
	assert_int_equal(unsetenv("CONTEXT_STORE_KERNEL"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_quantize),
		cmocka_unit_test(test_bytes_are_equal),
		cmocka_unit_test(test_extremes_do_not_saturate),
		cmocka_unit_test(test_a_level_row),
		cmocka_unit_test(test_linear_f32),
		cmocka_unit_test(test_product),
		cmocka_unit_test(test_product_pairs),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_weights_of_nan),
		cmocka_unit_test(test_gelu),
		cmocka_unit_test(test_exponentials),
		cmocka_unit_test(test_add_norm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
