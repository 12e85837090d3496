/* Pairs measurements and judges them; compare.h says how. */
#include "bench/compare.h"

#include <math.h>

const char *const verdict_names[4] = {"same", "faster", "slower", "unknown"};

static double figure_of(const struct round_figures *round, bool p95)
{
	return p95 ? round->p95_ms : round->median_ms;
}

/* The rounds' figures, those of rounds in which something succeeded. */
static size_t samples(const struct measurement *m, bool p95, double values[RESULT_ROUNDS_MAX])
{
	size_t n = 0;

	for (unsigned i = 0; i < m->round_count; i++)
		if (!isnan(figure_of(&m->rounds[i], p95)))
			values[n++] = figure_of(&m->rounds[i], p95);
	return n;
}

/* The smallest p that samples of these sizes can give: 2 in (a + b over a). */
static double smallest_p(size_t a, size_t b)
{
	double ways = 1;

	for (size_t i = 1; i <= a; i++)
		ways *= (double)(b + i) / (double)i;
	return 2 / ways;
}

static struct comparison judge(
	const struct measurement *before, const struct measurement *after, bool p95, double threshold)
{
	struct comparison c = {before, after, p95 ? "p95" : "p50", .verdict = VERDICT_SAME};
	double a[RESULT_ROUNDS_MAX], b[RESULT_ROUNDS_MAX];
	size_t a_count = samples(before, p95, a), b_count = samples(after, p95, b);

	c.p = stats_mann_whitney(a, a_count, b, b_count);
	c.before_ms = stats_spread(a, a_count).median;
	c.after_ms = stats_spread(b, b_count).median;
	c.change = c.before_ms > 0 ? 100 * (c.after_ms / c.before_ms - 1) : 0;
	if (a_count == 0 || b_count == 0 || smallest_p(a_count, b_count) > COMPARE_P_MAX)
		c.verdict = VERDICT_UNKNOWN;
	else if (c.p <= COMPARE_P_MAX && c.after_ms > c.before_ms * (1 + threshold / 100))
		c.verdict = VERDICT_SLOWER;
	else if (c.p <= COMPARE_P_MAX && c.after_ms < c.before_ms / (1 + threshold / 100))
		c.verdict = VERDICT_FASTER;
	return c;
}

static void count(struct comparison_list *list, const struct comparison *c)
{
	if (c->before->kind == KIND_BASELINE) {
		list->baselines_changed += c->verdict == VERDICT_SLOWER || c->verdict == VERDICT_FASTER;
		return;
	}
	list->slower += c->verdict == VERDICT_SLOWER;
	list->faster += c->verdict == VERDICT_FASTER;
	list->same += c->verdict == VERDICT_SAME;
	list->unknown += c->verdict == VERDICT_UNKNOWN;
}

enum cs_status compare_results(struct arena *arena, const struct result *before, const struct result *after,
	double threshold, struct comparison_list *ret_list, struct cs_error *err)
{
	struct comparison_list list = {.rows = arena_array(arena, 2 * before->count + 1, sizeof *list.rows)};

	if (!list.rows)
		return cs_fail_memory(err);
	for (size_t i = 0; i < before->count; i++) {
		const struct measurement *a = &before->measurements[i];
		const struct measurement *b = result_find(after, a->kind, a->name, a->connections);

		if (!b) {
			list.only_before++;
			continue;
		}
		for (int p95 = 0; p95 < 2 && a->skipped.len == 0 && b->skipped.len == 0; p95++) {
			list.rows[list.count] = judge(a, b, p95 != 0, threshold);
			count(&list, &list.rows[list.count++]);
		}
	}
	for (size_t i = 0; i < after->count; i++) {
		const struct measurement *b = &after->measurements[i];

		list.only_after += !result_find(before, b->kind, b->name, b->connections);
	}
	if (list.count == 0)
		return cs_fail(err, CS_VALIDATION, "the two results have no measurement in common");
	*ret_list = list;
	return CS_OK;
}

static void write_row(const struct comparison *c, struct buffer *out)
{
	const struct measurement *m = c->before;

	buffer_printf(out, "  %-8s %-17.*s %5u %-6s %9.3f %9.3f %+8.1f %% %.4f\n", kind_names[m->kind],
		SLICE_ARG(m->name), m->connections, c->figure, c->before_ms, c->after_ms, c->change, c->p);
}

static void write_group(
	const struct comparison_list *list, const char *title, bool baselines, enum verdict verdict, struct buffer *out)
{
	bool begun = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct comparison *c = &list->rows[i];

		if (c->verdict != verdict || (c->before->kind == KIND_BASELINE) != baselines)
			continue;
		if (!begun)
			buffer_printf(out, "\n%s\n  %-8s %-17s %5s %-6s %9s %9s %10s %s\n", title, "kind", "what",
				"conn", "figure", "before ms", "after ms", "change", "p");
		begun = true;
		write_row(c, out);
	}
}

/* Where vectors came later in one of the two than in the other, a time is not that of the same work. */
static void write_pending(const struct comparison_list *list, struct buffer *out)
{
	bool begun = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct measurement *a = list->rows[i].before, *b = list->rows[i].after;

		if (a->pending == b->pending || (i > 0 && list->rows[i - 1].before == a))
			continue;
		if (!begun)
			buffer_printf(out,
				"\nanswered before the vector was made (pending)\n  %-8s %-17s %5s %9s %9s\n", "kind",
				"what", "conn", "before", "after");
		begun = true;
		buffer_printf(out, "  %-8s %-17.*s %5u %9llu %9llu\n", kind_names[a->kind], SLICE_ARG(a->name),
			a->connections, (unsigned long long)a->pending, (unsigned long long)b->pending);
	}
}

void compare_write_text(const struct comparison_list *list, const struct result *before, const struct result *after,
	double threshold, struct buffer *out)
{
	buffer_printf(out, "before: " SLICE_FMT " of " SLICE_FMT "%s\nafter:  " SLICE_FMT " of " SLICE_FMT "%s\n",
		SLICE_ARG(before->program), SLICE_ARG(before->started_at), before->partial ? " (partial)" : "",
		SLICE_ARG(after->program), SLICE_ARG(after->started_at), after->partial ? " (partial)" : "");
	if (before->cores != after->cores || !slice_eq(before->processor, after->processor))
		buffer_append(out, S("The two ran on different machines: figures differ for that alone.\n"));
	if (list->baselines_changed > 0) {
		buffer_append(out, S("\nThe machine itself was different: baselines, which run none of this "
				     "program,\nchanged.\n"));
		write_group(list, "baselines slower", true, VERDICT_SLOWER, out);
		write_group(list, "baselines faster", true, VERDICT_FASTER, out);
	}
	write_group(list, "slower", false, VERDICT_SLOWER, out);
	write_group(list, "faster", false, VERDICT_FASTER, out);
	write_group(list, "unknown: too few rounds to tell", false, VERDICT_UNKNOWN, out);
	write_pending(list, out);
	buffer_printf(out, "\n%zu slower, %zu faster, %zu no different", list->slower, list->faster, list->same);
	if (list->unknown > 0)
		buffer_printf(out, ", %zu unknown", list->unknown);
	buffer_printf(out, " (p <= %.2f over the rounds, and at least %g %%)\n", COMPARE_P_MAX, threshold);
	if (list->only_before + list->only_after > 0)
		buffer_printf(out, "Only in the first: %zu measurements; only in the second: %zu.\n", list->only_before,
			list->only_after);
}

void compare_write_json(const struct comparison_list *list, double threshold, struct buffer *out)
{
	struct json_writer w = json_writer(out);

	json_begin_object(&w);
	json_key_u64(&w, "slower", list->slower);
	json_key_u64(&w, "faster", list->faster);
	json_key_u64(&w, "same", list->same);
	json_key_u64(&w, "unknown", list->unknown);
	json_key_u64(&w, "baselines_changed", list->baselines_changed);
	json_key_f64(&w, "p_max", COMPARE_P_MAX);
	json_key_f64(&w, "threshold_percent", threshold);
	json_write_name(&w, S("rows"));
	json_begin_array(&w);
	for (size_t i = 0; i < list->count; i++) {
		const struct comparison *c = &list->rows[i];

		json_begin_object(&w);
		json_key_str(&w, "kind", slice_cstr(kind_names[c->before->kind]));
		json_key_str(&w, "name", c->before->name);
		json_key_u64(&w, "connections", c->before->connections);
		json_key_str(&w, "figure", slice_cstr(c->figure));
		json_key_u64(&w, "before_pending", c->before->pending);
		json_key_u64(&w, "after_pending", c->after->pending);
		json_key_f64(&w, "before_ms", c->before_ms);
		json_key_f64(&w, "after_ms", c->after_ms);
		json_key_f64(&w, "change_percent", c->change);
		json_key_f64(&w, "p", c->p);
		json_key_str(&w, "verdict", slice_cstr(verdict_names[c->verdict]));
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	buffer_byte(out, '\n');
}
