/* Bucket numbers. A value whose highest bit is e (from HISTOGRAM_LINEAR_BITS on) is shifted right by e - 7; what is
 * left lies in 128..255 and is the place within its power of two. Below, the shift is 0 and the value is the bucket. */
#include "bench/histogram.h"

#include <math.h>
#include <string.h>

#define LINEAR (INT64_C(1) << HISTOGRAM_LINEAR_BITS)

static unsigned shift_of(int64_t ns)
{
	unsigned highest;

	if (ns < LINEAR)
		return 0;
	highest = 63 - (unsigned)__builtin_clzll((unsigned long long)ns);
	return highest - HISTOGRAM_LINEAR_BITS;
}

static unsigned bucket_of(int64_t ns)
{
	unsigned shift = shift_of(ns);

	return (unsigned)(shift * LINEAR + (ns >> shift));
}

/* The middle of a bucket's values. */
static double middle_of(unsigned bucket)
{
	unsigned shift = bucket < LINEAR ? 0 : bucket / LINEAR - 1;
	int64_t first = ((int64_t)bucket - shift * LINEAR) << shift;

	return (double)first + (double)((INT64_C(1) << shift) - 1) / 2;
}

void histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof *h);
}

void histogram_record(struct histogram *h, int64_t ns)
{
	if (ns < 0)
		ns = 0;
	if (ns > HISTOGRAM_MAX_NS)
		ns = HISTOGRAM_MAX_NS;
	if (h->count == 0 || ns < h->min_ns)
		h->min_ns = ns;
	if (h->count == 0 || ns > h->max_ns)
		h->max_ns = ns;
	h->count++;
	h->sum_ns += (uint64_t)ns;
	h->buckets[bucket_of(ns)]++;
}

void histogram_add(struct histogram *h, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (h->count == 0 || from->min_ns < h->min_ns)
		h->min_ns = from->min_ns;
	if (h->count == 0 || from->max_ns > h->max_ns)
		h->max_ns = from->max_ns;
	h->count += from->count;
	h->sum_ns += from->sum_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->buckets[i] += from->buckets[i];
}

double histogram_percentile(const struct histogram *h, double p)
{
	uint64_t rank, seen = 0;
	double value = 0;

	if (h->count == 0)
		return (double)NAN;
	rank = (uint64_t)ceil(p / 100 * (double)h->count);
	if (rank <= 1)
		return (double)h->min_ns;
	if (rank >= h->count)
		return (double)h->max_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS && seen < rank; i++) {
		seen += h->buckets[i];
		value = middle_of(i);
	}
	return fmin(fmax(value, (double)h->min_ns), (double)h->max_ns);
}

double histogram_mean(const struct histogram *h)
{
	return h->count == 0 ? (double)NAN : (double)h->sum_ns / (double)h->count;
}
