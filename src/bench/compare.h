/* What became faster or slower between two results, beyond the noise.
 *
 * Each measurement's rounds are samples of one thing taken at different moments. A measurement has changed when both
 * hold:
 *
 *  - the Mann-Whitney U test over the rounds of both files, exact and two-sided, gives p <= 0.01: with five rounds
 *    each, every round of one lies beyond every round of the other;
 *  - the medians of the rounds differ by at least the threshold (5 % by default): what is real but tiny is nothing to
 *    act upon.
 *
 * Tested are the rounds' medians (p50) and their 95th percentiles (p95). The test asks nothing of the distribution: a
 * t-test would want a normal one, and latencies have a long tail. Rounds too few to reach p <= 0.01 (fewer than five
 * each) give `unknown`, never `same`. Two things this cannot see: a whole run on a machine that was busy otherwise,
 * which is why changed baselines are told first; and that of a hundred unchanged measurements one may pass the test by
 * chance.
 *
 * Threads: plain functions. */
#ifndef CS_BENCH_COMPARE_H
#define CS_BENCH_COMPARE_H

#include "bench/result.h"

#define COMPARE_P_MAX     0.01
#define COMPARE_THRESHOLD 5.0 /* per cent */

enum verdict { VERDICT_SAME, VERDICT_FASTER, VERDICT_SLOWER, VERDICT_UNKNOWN };
extern const char *const verdict_names[4];

struct comparison {
	const struct measurement *before, *after;
	const char *figure;                 /* "p50", "p95" */
	double before_ms, after_ms, change; /* medians of the rounds; change in per cent, + is slower */
	double p;
	enum verdict verdict;
};

struct comparison_list {
	struct comparison *rows;
	size_t count;
	size_t slower, faster, same, unknown; /* measurements of the program; baselines are not counted */
	size_t baselines_changed;
	size_t only_before, only_after;
};

/* Rows live in the arena, the measurements in their results. Errors: CS_VALIDATION when nothing stands in both. */
CS_CHECKED enum cs_status compare_results(struct arena *, const struct result *before, const struct result *after,
	double threshold, struct comparison_list *ret_list, struct cs_error *);

void compare_write_text(const struct comparison_list *, const struct result *before, const struct result *after,
	double threshold, struct buffer *out);
void compare_write_json(const struct comparison_list *, double threshold, struct buffer *out);

#endif
