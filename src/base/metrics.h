/* The metrics registry, and its Prometheus text form.
 *
 * Every family is one row of METRICS_TABLE (base/metrics_table.h): name, kind, help, and the names of its labels, if
 * any, separated by commas. A label's values are few and fixed (tool names, results), registered on first use, at most
 * METRIC_SERIES_MAX a family; of a family with several labels a value names all of them, separated by commas too
 * ("retrieve_context,ok"). Counters and gauges are relaxed atomics; a histogram observation is two additions. Naming
 * and units follow prometheus.io/docs/practices/naming; the text form is the exposition format 0.0.4.
 *
 * What is counted where it happens (a request, a commit) is added at that moment. What is merely looked up (a length, a
 * size in bytes) is asked for when somebody reads: its owner registers a collector, which sets gauges. No thread polls,
 * and nothing on a hot path keeps a gauge up to date that is read four times a minute.
 * Threads: any, without locks except when a label value is seen for the first time. */
#ifndef CS_BASE_METRICS_H
#define CS_BASE_METRICS_H

#include "base/buffer.h"
#include "base/slice.h"

/* One row a family; base/metrics_table.h has them. */
enum metric_id {
#define METRIC(symbol, kind, name, label, help) METRIC_##symbol,
#include "base/metrics_table.h"
#undef METRIC
	METRIC_COUNT
};

#define METRIC_SERIES_MAX 128

struct metric_series; /* one time series: a family with one value of its labels */

/* The series of a family without label (value is ignored) or with this value. Never NULL: past METRIC_SERIES_MAX
 * the series labelled "other". Look it up once and keep it where the path is hot. */
struct metric_series *metric_series(enum metric_id, struct slice label_value);

void metric_add(struct metric_series *, int64_t delta);       /* counters (delta >= 0) and gauges */
void metric_set(struct metric_series *, int64_t value);       /* gauges; of a GAUGE_NANO in billionths */
void metric_set_total(struct metric_series *, int64_t total); /* a counter that somebody else keeps; never smaller */
void metric_observe_ns(struct metric_series *, int64_t elapsed_ns); /* histograms of seconds */
void metric_observe(struct metric_series *, uint64_t value); /* histograms of plain counts: buckets 1, 2, 4 ... 1024 */

int64_t metric_value(const struct metric_series *); /* counter or gauge; the count of a histogram */

/* Of a histogram of seconds: what each bucket holds by itself, the last one being what is above all bounds. */
#define METRIC_BUCKETS 23
void metric_buckets(const struct metric_series *, uint64_t ret_counts[METRIC_BUCKETS]);
/* In seconds, as histogram_quantile() of Prometheus estimates it: linear within a bucket, the highest bound for what is
 * above it. NAN when nothing was observed. q in 0..1. */
double metric_quantile(const uint64_t counts[METRIC_BUCKETS], double q);

/* Whoever owns something worth a gauge embeds one of these and keeps it until metrics_collector_remove. */
struct metrics_collector {
	/* On the thread that reads, which may be an event loop: brief, no I/O that can wait, and a lock that is held
	 * for long is only tried (then the gauge keeps what it had). It must not add or remove collectors. */
	void (*collect)(void *self);
	void *self;
	struct metrics_collector *next, *former; /* the registry's */
};

void metrics_collector_add(struct metrics_collector *);
/* Once it returns, collect is not running and will not be called. Nothing for one that is all zero or was removed. The
 * caller holds no lock that collect takes. */
void metrics_collector_remove(struct metrics_collector *);

void metrics_collect(void); /* asks all collectors now */
/* Asks all collectors, then writes all families with at least one series, in the order of the table. */
void metrics_write(struct buffer *out);

#endif
