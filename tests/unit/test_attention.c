/* Attention of one head by every kernel set, in f32 and in pairs, against double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "embed/attention.h"
#include "embed/scratch.h"

#define COUNT_MAX 160
#define WIDTH_MAX 34

static float qkv[COUNT_MAX][3][WIDTH_MAX];

static void fill(size_t count, size_t width, float spread)
{
	uint64_t seed = 11 * count + width;

	for (size_t t = 0; t < count; t++)
		for (size_t i = 0; i < 3 * WIDTH_MAX; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			qkv[t][i / WIDTH_MAX][i % WIDTH_MAX] =
				spread * (float)((double)(int32_t)(seed >> 32) / 2147483648.0);
		}
}

static void run(const struct kernels *k, bool in_pairs, size_t count, size_t width, float *to)
{
	const struct head head = {qkv[0][0], qkv[0][1], qkv[0][2], 3 * WIDTH_MAX};
	struct scratch scratch = {0};
	struct attention a;
	size_t used = 0;

	attention_init(&a, k, count, width, in_pairs);
	attention_lay_out(&a, NULL, &used);
	assert_true(scratch_need(&scratch, used));
	/* What is there before must not matter. */
	memset(scratch.block, 0xa5, used);
	used = 0;
	attention_lay_out(&a, scratch.block, &used);
	attention_run(&a, &head, to, width + 3);
	scratch_release(&scratch);
}

static void reference(size_t count, size_t width, size_t query, double *to)
{
	double weights[COUNT_MAX], sum = 0, top = -INFINITY;

	for (size_t t = 0; t < count; t++) {
		weights[t] = 0;
		for (size_t i = 0; i < width; i++)
			weights[t] += (double)qkv[query][0][i] * qkv[t][1][i] / sqrt((double)width);
		top = fmax(top, weights[t]);
	}
	for (size_t t = 0; t < count; t++)
		sum += weights[t] = exp(weights[t] - top);
	for (size_t i = 0; i < width; i++) {
		to[i] = 0;
		for (size_t t = 0; t < count; t++)
			to[i] += weights[t] / sum * qkv[t][2][i];
	}
}

static void assert_near(const struct kernels *k, size_t count, size_t width, float spread, float tolerance)
{
	static float f32[COUNT_MAX * (WIDTH_MAX + 3)], pairs[COUNT_MAX * (WIDTH_MAX + 3)];

	fill(count, width, spread);
	run(k, false, count, width, f32);
	run(k, true, count, width, pairs);
	for (size_t query = 0; query < count; query++) {
		double wanted[WIDTH_MAX];

		reference(count, width, query, wanted);
		for (size_t i = 0; i < width; i++) {
			assert_float_equal(f32[query * (width + 3) + i], wanted[i], 1e-5 * spread);
			assert_float_equal(pairs[query * (width + 3) + i], wanted[i], tolerance * spread);
		}
	}
}

static void assert_pairs(const struct kernels *k, size_t count, size_t width)
{
	static float got[COUNT_MAX * (WIDTH_MAX + 3)];

	run(k, true, count, width, got);
	for (size_t query = 0; query < count; query++) {
		double wanted[WIDTH_MAX];

		reference(count, width, query, wanted);
		for (size_t i = 0; i < width; i++)
			assert_float_equal(got[query * (width + 3) + i], wanted[i], 5e-4);
	}
}

static void test_near_the_exact(void **state)
{
	static const size_t counts[] = {1, 2, 3, 15, 16, 17, 24, 25, 31, 32, 63, 100, 129, 160};
	static const size_t widths[] = {1, 2, 6, 10, 16, 21, 32, 34};
	/* Weights alike; some larger; one takes nearly all, by exponents around 50. */
	static const struct {
		float spread, tolerance;
	} rows[] = {{0.01f, 2e-4f}, {1, 2e-4f}, {6, 3e-3f}};
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
			for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
				for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
					assert_near(k, counts[c], widths[w], rows[r].spread, rows[r].tolerance);
}

static void fill_tokens(float query, float other_key, float value)
{
	for (size_t t = 0; t < COUNT_MAX; t++)
		for (size_t i = 0; i < WIDTH_MAX; i++) {
			qkv[t][0][i] = query;
			qkv[t][1][i] = t % 50 == 0 ? 0.7f : other_key;
			qkv[t][2][i] = t % 50 == 0 ? 0.7f : value;
		}
}

/* All of a token's numbers at their limit: a sum over it would turn its sign. Then the same of a row's weights, which are
 * alike because queries are 0. */
static void test_largest_sums_fit(void **state)
{
	static const size_t widths[] = {2, 8, 10, 32};
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
			for (size_t count = 1; count <= COUNT_MAX; count += 53) {
				fill_tokens(0.7f, -0.7f, -0.7f);
				assert_pairs(k, count, widths[w]);
				fill_tokens(0, 0.7f, 0.7f);
				assert_pairs(k, count, widths[w]);
			}
}

static void test_nothing_but_zeros(void **state)
{
	const struct kernels *k;

	memset(qkv, 0, sizeof qkv);
	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++) {
		float to[7 * (8 + 3)];

		run(k, true, 7, 8, to);
		for (size_t t = 0; t < 7; t++)
			for (size_t i = 0; i < 8; i++)
				assert_float_equal(to[t * (8 + 3) + i], 0, 0);
	}
}

/* Rounding to whole numbers must not turn what is none into some. */
static void test_no_number_stays_none(void **state)
{
	const float none[] = {NAN, INFINITY, -INFINITY};
	const struct kernels *k;

	for (size_t n = 0; (k = kernels_available(n)) != NULL; n++)
		for (size_t part = 0; part < 3; part++)
			for (size_t i = 0; i < 3; i++) {
				float to[9 * (8 + 3)];
				bool all_finite = true;

				fill(9, 8, 1);
				qkv[4][part][5] = none[i];
				run(k, true, 9, 8, to);
				for (size_t t = 0; t < 9; t++)
					all_finite &= isfinite(to[t * (8 + 3)]) != 0;
				assert_false(all_finite);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near_the_exact),
		cmocka_unit_test(test_largest_sums_fit),
		cmocka_unit_test(test_nothing_but_zeros),
		cmocka_unit_test(test_no_number_stays_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
