/* What a benchmark says of a series of figures: percentiles, the median with its spread, and whether two series differ.
 *
 * Threads: plain functions. */
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

#define STATS_SAMPLE_MAX 20

/* Two-sided p of the Mann-Whitney U test (Mann and Whitney 1947), exact and with ties: how often two series drawn from
 * one and the same source would differ in their ranks as much as these or more. 1 when one of them is empty. At most
 * STATS_SAMPLE_MAX values each. */
double stats_mann_whitney(const double *a, size_t a_count, const double *b, size_t b_count);

#endif
