/* What the words of `context-store bench` mean: from an invocation to struct bench_options, everything checked.
 *
 * Threads: the main one. */
#ifndef CS_CLI_BENCH_OPTIONS_H
#define CS_CLI_BENCH_OPTIONS_H

#include "base/arena.h"
#include "bench/run.h"
#include "cli/invocation.h"

struct bench_choices {
	struct bench_options run;
	const char *output_dir;
	bool json, fail_on_target;
};

/* Slices borrow from the invocation and the arena. Errors: CS_VALIDATION for wrong usage, CS_NOT_FOUND for a key file
 * that cannot be read. */
CS_CHECKED enum cs_status bench_options_read(
	const struct invocation *, struct arena *, struct bench_choices *ret_choices, struct cs_error *);
/* --threshold of compare. */
CS_CHECKED enum cs_status bench_threshold_read(const struct invocation *, double *ret_threshold, struct cs_error *);

#endif
