/* Percentiles by nearest rank: every figure shown was measured, none is interpolated.
 *
 * The test is exact: all ways to deal the ranks of both series to a first series of the same size are counted by their
 * rank sum (a subset-sum table), instead of the normal approximation, which is off for the handful of rounds a
 * benchmark has. Equal values share the mean of their ranks; ranks are doubled, so that they stay whole. */
#include "bench/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void stats_sort(double *values, size_t count)
{
	qsort(values, count, sizeof *values, ascending);
}

double stats_percentile(const double *sorted, size_t count, double p)
{
	size_t rank;

	if (count == 0)
		return (double)NAN;
	rank = (size_t)ceil(p / 100.0 * (double)count);
	return sorted[rank ? rank - 1 : 0];
}

struct spread stats_spread(double *values, size_t count)
{
	stats_sort(values, count);
	return (struct spread){stats_percentile(values, count, 50), stats_percentile(values, count, 0),
		stats_percentile(values, count, 100)};
}

/* Doubled rank of `value` among both series: twice those below it, plus those equal to it, plus one. */
static unsigned doubled_rank(double value, const double *both, size_t count)
{
	unsigned rank = 1;

	for (size_t i = 0; i < count; i++)
		rank += both[i] < value ? 2 : both[i] == value;
	return rank;
}

#define BOTH_MAX (2 * STATS_SAMPLE_MAX)
#define SUM_MAX  (STATS_SAMPLE_MAX * 2 * BOTH_MAX)

double stats_mann_whitney(const double *a, size_t a_count, const double *b, size_t b_count)
{
	static _Thread_local double ways[STATS_SAMPLE_MAX + 1][SUM_MAX + 1];
	double both[BOTH_MAX], all = 0, as_far = 0;
	size_t count = a_count + b_count;
	unsigned sum = 0;
	double middle = (double)a_count * (double)(count + 1); /* the mean of the doubled rank sum */

	assert(a_count <= STATS_SAMPLE_MAX && b_count <= STATS_SAMPLE_MAX);
	if (a_count == 0 || b_count == 0)
		return 1;
	for (size_t i = 0; i < count; i++)
		both[i] = i < a_count ? a[i] : b[i - a_count];
	for (size_t n = 0; n <= a_count; n++)
		for (unsigned s = 0; s <= SUM_MAX; s++)
			ways[n][s] = 0;
	ways[0][0] = 1;
	for (size_t i = 0; i < count; i++) {
		unsigned rank = doubled_rank(both[i], both, count);

		sum += i < a_count ? rank : 0;
		for (size_t n = a_count; n > 0; n--)
			for (unsigned s = SUM_MAX; s >= rank; s--)
				ways[n][s] += ways[n - 1][s - rank];
	}
	for (unsigned s = 0; s <= SUM_MAX; s++) {
		all += ways[a_count][s];
		if (fabs((double)s - middle) >= fabs((double)sum - middle))
			as_far += ways[a_count][s];
	}
	return as_far / all;
}
