/* Latencies in bounded memory: a log-linear histogram, after the idea of HdrHistogram.
 *
 * A value below 128 ns has a bucket of its own; above, each power of two is divided into 128 buckets of equal width. A
 * bucket is told by its middle, so a value read back is off by at most 1/256 (0.4 %), from one nanosecond to 73
 * minutes, in 37 KB, however many are recorded. Smallest, largest and mean are exact. A sorted array would be exact
 * throughout and grow with the run; a digest (t-digest, KLL) is smaller and bounds ranks instead of values.
 *
 * Percentiles are by nearest rank: the p-th of n values is the smallest value that at least ceil(p/100 * n) of them do
 * not exceed. Nothing is interpolated.
 *
 * Owner: the caller's storage, no pointers in it; all zero is an empty one. Threads: one at a time. */
#ifndef CS_BENCH_HISTOGRAM_H
#define CS_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_LINEAR_BITS 7  /* 128 buckets a power of two */
#define HISTOGRAM_VALUE_BITS  42 /* values from 2^42 ns on count as the largest */
#define HISTOGRAM_MAX_NS      ((INT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)
#define HISTOGRAM_BUCKETS     ((HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 1) << HISTOGRAM_LINEAR_BITS)

struct histogram {
	uint64_t count;
	uint64_t sum_ns;
	int64_t min_ns, max_ns; /* of no value while count is 0 */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *);
/* A negative time counts as 0, one over HISTOGRAM_MAX_NS as that. */
void histogram_record(struct histogram *, int64_t ns);
/* Adds what `from` holds. */
void histogram_add(struct histogram *, const struct histogram *from);

/* In nanoseconds; p in 0..100. NAN when there are no values. */
double histogram_percentile(const struct histogram *, double p);
double histogram_mean(const struct histogram *);

#endif
