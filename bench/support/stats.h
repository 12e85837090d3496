/* What benchmarks say of a series of figures: percentiles, and the median with its spread. */
#ifndef CS_BENCH_STATS_H
#define CS_BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Sorts. */
void stats_sort(double *values, size_t count);
/* Of sorted values, by nearest rank; p in 0..100. NAN when there are none. */
double stats_percentile(const double *sorted, size_t count, double p);

struct spread {
	double median, lowest, highest;
};

/* Sorts. */
struct spread stats_spread(double *values, size_t count);

#endif
