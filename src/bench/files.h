/* The files of a run: mcp_benchmark_<time>.json, mcp_benchmark_report_<time>.txt, mcp_benchmark_<time>.svg.
 *
 * The directory is made, and proved to be writable, before the run and not after it: the JSON file is made there under
 * another name, and gets its own when it is complete. Threads: one. */
#ifndef CS_BENCH_FILES_H
#define CS_BENCH_FILES_H

#include <limits.h>

#include "bench/result.h"

struct bench_files {
	char begun[PATH_MAX]; /* what files_open made; "" when it is gone */
	char json[PATH_MAX], text[PATH_MAX], chart[PATH_MAX];
};

/* Errors: CS_UNAVAILABLE with the path and why. */
CS_CHECKED enum cs_status files_open(struct bench_files *, const char *dir, struct cs_error *);
/* Writes all three; chart is "" when there was nothing to draw. Errors: CS_UNAVAILABLE. */
CS_CHECKED enum cs_status files_write(struct bench_files *, const struct result *, struct cs_error *);
/* Removes what files_open made, where files_write was not called. */
void files_discard(struct bench_files *);

#endif
