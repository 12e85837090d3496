/* Percentiles by nearest rank: every figure shown was measured, none is interpolated. */
#include "stats.h"

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
