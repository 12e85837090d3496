/* The histogram against a sorted array of the same values: percentiles within 1 %, smallest, largest and mean exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/histogram.h"
#include "bench/stats.h"

#define VALUES 20000

static struct histogram h, other;

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 11;
}

/* Six decades, with a tail: what latencies look like. */
static int64_t latency(uint64_t *state)
{
	double unit = (double)next_random(state) / (double)(1ull << 53);

	return (int64_t)(100 * exp(14 * unit * unit));
}

static void test_percentiles_against_exact(void **state)
{
	static const double points[] = {0, 1, 25, 50, 75, 90, 95, 99, 99.9, 100};
	static double exact[VALUES];
	uint64_t seed = 7;
	double sum = 0;

	(void)state;
	histogram_clear(&h);
	for (size_t i = 0; i < VALUES; i++) {
		int64_t ns = latency(&seed);

		histogram_record(&h, ns);
		exact[i] = (double)ns;
		sum += exact[i];
	}
	stats_sort(exact, VALUES);
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		double wanted = stats_percentile(exact, VALUES, points[i]);

		assert_true(fabs(histogram_percentile(&h, points[i]) - wanted) <= 0.01 * wanted);
	}
	assert_true(histogram_percentile(&h, 0) == exact[0]);
	assert_true(histogram_percentile(&h, 100) == exact[VALUES - 1]);
	assert_true(fabs(histogram_mean(&h) - sum / VALUES) < 1e-6 * sum / VALUES);
}

/* Every power of two and its neighbours: a value alone is read back within 1 %, wherever bucket limits lie. */
static void test_each_size(void **state)
{
	(void)state;
	for (int bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++)
		for (int64_t step = -1; step <= 1; step++) {
			int64_t ns = (INT64_C(1) << bit) + step;

			histogram_clear(&h);
			histogram_record(&h, 0);
			histogram_record(&h, ns);
			histogram_record(&h, HISTOGRAM_MAX_NS);
			assert_true(fabs(histogram_percentile(&h, 50) - (double)ns) <= 0.005 * (double)ns);
		}
}

static void test_edges(void **state)
{
	(void)state;
	histogram_clear(&h);
	assert_true(isnan(histogram_percentile(&h, 50)));
	assert_true(isnan(histogram_mean(&h)));
	histogram_record(&h, -5);
	assert_true(histogram_percentile(&h, 50) == 0);
	histogram_record(&h, INT64_MAX);
	assert_int_equal(h.max_ns, HISTOGRAM_MAX_NS);
	assert_int_equal(h.count, 2);
}

/* Nearest rank of ten values: the 50th is the fifth, the 91st the tenth. */
static void test_nearest_rank(void **state)
{
	(void)state;
	histogram_clear(&h);
	for (int64_t ns = 10; ns >= 1; ns--)
		histogram_record(&h, ns);
	assert_true(histogram_percentile(&h, 50) == 5);
	assert_true(histogram_percentile(&h, 51) == 6);
	assert_true(histogram_percentile(&h, 90) == 9);
	assert_true(histogram_percentile(&h, 91) == 10);
}

static void test_adding_is_recording_both(void **state)
{
	static struct histogram both;
	uint64_t seed = 3;

	(void)state;
	histogram_clear(&h);
	histogram_clear(&other);
	histogram_clear(&both);
	histogram_add(&h, &other);
	assert_int_equal(h.count, 0);
	for (int i = 0; i < 1000; i++) {
		int64_t ns = latency(&seed);

		histogram_record(i % 3 ? &h : &other, ns);
		histogram_record(&both, ns);
	}
	histogram_add(&h, &other);
	assert_memory_equal(&h, &both, sizeof h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles_against_exact),
		cmocka_unit_test(test_each_size),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_nearest_rank),
		cmocka_unit_test(test_adding_is_recording_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
