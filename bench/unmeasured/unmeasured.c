/* What stands in for the metric calls on a request's path in the program without metrics (bench/bench_metrics.c).
 *
 * The linker sends every call from another file here (--wrap), so both programs are made of the same objects, and the
 * product has no switch that only a benchmark would use. */
#include "base/metrics.h"

void __wrap_metric_add(struct metric_series *, int64_t delta);
void __wrap_metric_observe_ns(struct metric_series *, int64_t elapsed_ns);

void __wrap_metric_add(struct metric_series *series, int64_t delta)
{
	(void)series;
	(void)delta;
}

void __wrap_metric_observe_ns(struct metric_series *series, int64_t elapsed_ns)
{
	(void)series;
	(void)elapsed_ns;
}
