/* The Mann-Whitney test against counted and published values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "bench/stats.h"

#define P(a, b) stats_mann_whitney(a, sizeof(a) / sizeof *(a), b, sizeof(b) / sizeof *(b))

static void near(double found, double wanted)
{
	if (fabs(found - wanted) > 1e-9)
		fail_msg("%.12f is not %.12f", found, wanted);
}

static void test_apart(void **state)
{
	double low[] = {1, 2, 3, 4, 5}, high[] = {6, 7, 8, 9, 10}, three[] = {20, 21, 22};

	(void)state;
	near(P(low, high), 2.0 / 252);
	near(P(high, low), 2.0 / 252);
	near(P(low, three), 2.0 / 56);
	near(stats_mann_whitney(low, 5, high, 0), 1);
}

/* The second pair has rank sum 22 and U = 7; tables give p = 0.31 for five and five. */
static void test_mixed(void **state)
{
	double a[] = {1, 4, 6, 7, 9}, b[] = {2, 3, 5, 8, 10};
	double c[] = {1, 2, 5, 6, 8}, d[] = {3, 4, 7, 9, 10};

	(void)state;
	assert_true(P(a, b) > 0.8);
	near(P(c, d), 78.0 / 252);
}

static void test_ties(void **state)
{
	double same[] = {3, 3, 3, 3, 3}, a[] = {1, 1}, b[] = {1, 2};

	(void)state;
	near(P(same, same), 1);
	/* Ranks 2, 2, 2 and 4: of six ways to deal them, all are as far from the middle as this one. */
	near(P(a, b), 1);
}

/* The largest sizes that are allowed. */
static void test_largest(void **state)
{
	double a[STATS_SAMPLE_MAX], b[STATS_SAMPLE_MAX];

	(void)state;
	for (int i = 0; i < STATS_SAMPLE_MAX; i++) {
		a[i] = i;
		b[i] = 100 + i;
	}
	near(P(a, b) * 137846528820.0, 2); /* 40 over 20 */
	near(P(a, a), 1);
}

static void test_percentile(void **state)
{
	double values[] = {5, 1, 4, 2, 3};
	struct spread spread = stats_spread(values, 5);

	(void)state;
	near(spread.median, 3);
	near(spread.lowest, 1);
	near(spread.highest, 5);
	assert_true(isnan(stats_percentile(values, 0, 50)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_percentile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
