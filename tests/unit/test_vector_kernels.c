/* Every set of kernels that this machine can run, against the scalar one: bytes bit by bit, floats within what rounding
 * allows. A set the machine cannot run is named and skipped by being absent from the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/kernels.h"

#define ROWS_MAX 37

static int8_t *query, *rows;
static float *left, *right;
static uint64_t random_state = 20261124;

static uint64_t random_u64(void)
{
	uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static int set_up(void **state)
{
	query = aligned_alloc(VECTOR_ALIGNMENT, VECTOR_WIDTH_MAX);
	rows = aligned_alloc(VECTOR_ALIGNMENT, (size_t)ROWS_MAX * VECTOR_WIDTH_MAX);
	left = aligned_alloc(VECTOR_ALIGNMENT, VECTOR_WIDTH_MAX * sizeof *left);
	right = aligned_alloc(VECTOR_ALIGNMENT, VECTOR_WIDTH_MAX * sizeof *right);
	return query && rows && left && right ? 0 : -1;
}

static int tear_down(void **state)
{
	free(query);
	free(rows);
	free(left);
	free(right);
	return 0;
}

static const struct vector_kernels *scalar(void)
{
	const struct vector_kernels *last = NULL, *kernels;

	for (size_t rank = 0; (kernels = vector_kernels_at(rank)) != NULL; rank++)
		last = kernels;
	assert_non_null(last);
	assert_string_equal(last->name, "scalar");
	return last;
}

/* Both sides as they are now, for each set, with guards around the answer. */
static void compare_dots(size_t width, size_t count)
{
	int32_t expected[ROWS_MAX], dots[ROWS_MAX + 2];
	const struct vector_kernels *kernels;

	scalar()->dots_i8(query, rows, width, count, expected);
	for (size_t rank = 0; (kernels = vector_kernels_at(rank)) != NULL; rank++) {
		memset(dots, 0x55, sizeof dots);
		kernels->dots_i8(query, rows, width, count, dots + 1);
		if (memcmp(dots + 1, expected, count * sizeof *dots) != 0)
			fail_msg("%s differs at width %zu, %zu rows", kernels->name, width, count);
		assert_int_equal(dots[0], 0x55555555);
		assert_int_equal(dots[count + 1], 0x55555555);
	}
}

static void fill_random(int8_t *codes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		codes[i] = (int8_t)((int)(random_u64() % 255) - 127);
}

static void test_scalar_is_right(void **state)
{
	int32_t dots[2];

	memset(query, 0, 64);
	memset(rows, 0, 128);
	query[0] = 3;
	query[63] = -127;
	rows[0] = -5;
	rows[63] = 127;
	rows[64] = 1;
	rows[127] = -1;
	scalar()->dots_i8(query, rows, 64, 2, dots);
	assert_int_equal(dots[0], -15 - 127 * 127);
	assert_int_equal(dots[1], 3 + 127);
}

static void test_random_codes(void **state)
{
	for (size_t width = VECTOR_WIDTH_STEP; width <= VECTOR_WIDTH_MAX;
		width += width < 512 ? VECTOR_WIDTH_STEP : 512) {
		for (size_t count = 0; count <= ROWS_MAX; count += count < 9 ? 1 : 7) {
			fill_random(query, width);
			fill_random(rows, count * width);
			compare_dots(width, count);
		}
	}
}

/* The sums that saturate or overflow if anything can: every code at its limit, in each combination of signs. */
static void test_extreme_codes(void **state)
{
	static const int8_t limits[] = {-127, 0, 127};
	int32_t dot;

	for (size_t q = 0; q < 3; q++) {
		for (size_t r = 0; r < 3; r++) {
			memset(query, limits[q], VECTOR_WIDTH_MAX);
			memset(rows, limits[r], (size_t)ROWS_MAX * VECTOR_WIDTH_MAX);
			compare_dots(VECTOR_WIDTH_MAX, ROWS_MAX);
			compare_dots(VECTOR_WIDTH_STEP, ROWS_MAX);
			scalar()->dots_i8(query, rows, VECTOR_WIDTH_MAX, 1, &dot);
			assert_int_equal(dot, limits[q] * limits[r] * VECTOR_WIDTH_MAX);
		}
	}
	for (size_t i = 0; i < VECTOR_WIDTH_MAX; i++)
		query[i] = rows[i] = i % 2 ? 127 : -127;
	compare_dots(VECTOR_WIDTH_MAX, 1);
}

/* One element at a time: a lane that is left out or counted twice shows. */
static void test_every_element_counts_once(void **state)
{
	const size_t width = 384;

	for (size_t i = 0; i < width; i++) {
		memset(query, 0, width);
		query[i] = 7;
		fill_random(rows, 5 * width);
		compare_dots(width, 5);
	}
}

static double dot_f64(size_t width, double *ret_size)
{
	double sum = 0;

	*ret_size = 0;
	for (size_t i = 0; i < width; i++) {
		sum += (double)left[i] * (double)right[i];
		*ret_size += fabs((double)left[i] * (double)right[i]);
	}
	return sum;
}

static void test_floats(void **state)
{
	const struct vector_kernels *kernels;

	for (size_t round = 0; round < 200; round++) {
		const size_t width = VECTOR_WIDTH_STEP * (1 + random_u64() % (VECTOR_WIDTH_MAX / VECTOR_WIDTH_STEP));
		double exact, size;

		for (size_t i = 0; i < width; i++) {
			left[i] = (float)((double)(int64_t)random_u64() / 0x1p63);
			right[i] = (float)((double)(int64_t)random_u64() / 0x1p63);
		}
		exact = dot_f64(width, &size);
		for (size_t rank = 0; (kernels = vector_kernels_at(rank)) != NULL; rank++) {
			float dot = kernels->dot_f32(left, right, width);

			/* The bound scan_search.c relies on. */
			if (!(fabs((double)dot - exact) <= (double)width * (double)FLT_EPSILON / 2 * size))
				fail_msg("%s: %.9g is not %.9g, width %zu", kernels->name, (double)dot, exact, width);
			assert_true(kernels->dot_f32(right, left, width) == dot);
		}
	}
}

static void test_every_float_counts_once(void **state)
{
	const struct vector_kernels *kernels;
	const size_t width = 192;

	for (size_t i = 0; i < width; i++)
		right[i] = (float)(i + 1);
	for (size_t i = 0; i < width; i++) {
		memset(left, 0, width * sizeof *left);
		left[i] = 1;
		for (size_t rank = 0; (kernels = vector_kernels_at(rank)) != NULL; rank++)
			assert_true(kernels->dot_f32(left, right, width) == (float)(i + 1));
	}
}

static void test_best_is_first(void **state)
{
	const struct vector_kernels *kernels;
	size_t rank = 0;

	assert_ptr_equal(vector_kernels_best(), vector_kernels_at(0));
	for (; (kernels = vector_kernels_at(rank)) != NULL; rank++)
		print_message("# runs here: %s\n", kernels->name);
	assert_null(vector_kernels_at(rank + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalar_is_right),
		cmocka_unit_test(test_random_codes),
		cmocka_unit_test(test_extreme_codes),
		cmocka_unit_test(test_every_element_counts_once),
		cmocka_unit_test(test_floats),
		cmocka_unit_test(test_every_float_counts_once),
		cmocka_unit_test(test_best_is_first),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
