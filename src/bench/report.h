/* Results for people: the text of mcp_benchmark_report_<time>.txt (and of standard output), and the picture.
 *
 * Threads: plain functions. */
#ifndef CS_BENCH_REPORT_H
#define CS_BENCH_REPORT_H

#include "bench/result.h"

void report_write_text(const struct result *, struct buffer *out);

/* An SVG of latency over connections: a panel for each tool (or for the mix), both axes logarithmic, lines for p50, p95
 * and p99, the target as a dashed line. Light and dark by the reader's own choice (prefers-color-scheme); its own
 * background, so that it is legible where a page has another. Empty out: nothing to draw. */
void report_write_chart(const struct result *, struct buffer *out);

#endif
