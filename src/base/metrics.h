/* The metrics registry, and its Prometheus text form.
 *
 * Every family is one row of METRICS_TABLE (base/metrics_table.h): name, kind, help, and the name of its one label, if
 * any. A label's values are few and fixed (tool names, results), registered on first use, at most METRIC_SERIES_MAX a
 * family. Counters and gauges are relaxed atomics; a histogram observation is two additions. Naming and units follow
 * prometheus.io/docs/practices/naming; the text form is the exposition format 0.0.4.
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

#define METRIC_SERIES_MAX 64

struct metric_series; /* one time series: a family with one label value */

/* The series of a family without label (value is ignored) or with this label value. Never NULL: past METRIC_SERIES_MAX
 * the series labelled "other". Look it up once and keep it where the path is hot. */
struct metric_series *metric_series(enum metric_id, struct slice label_value);

void metric_add(struct metric_series *, int64_t delta);             /* counters (delta >= 0) and gauges */
void metric_set(struct metric_series *, int64_t value);             /* gauges */
void metric_observe_ns(struct metric_series *, int64_t elapsed_ns); /* histograms of seconds */
void metric_observe(struct metric_series *, uint64_t value); /* histograms of plain counts: buckets 1, 2, 4 ... 1024 */

int64_t metric_value(const struct metric_series *); /* counter or gauge; the count of a histogram */

/* All families with at least one series, sorted by table order. */
void metrics_write(struct buffer *out);

#endif
