/* The text report. Columns are fixed: the same text goes to a terminal, a pipe and a file, and diff of two reports
 * lines up. They fit 80 columns, so a tool's name is a line of its own above its rows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/report.h"

#define CELL 32

/* Milliseconds in six columns: 0.0123, 12.345, 1234.5, 123456 */
static const char *ms(double value, char text[CELL])
{
	if (isnan(value))
		return "n/a";
	snprintf(text, CELL, "%.*f", value < 1 ? 4 : value < 100 ? 3 : value < 10000 ? 1 : 0, value);
	return text;
}

static const char *rate(double value, char text[CELL])
{
	if (isnan(value))
		return "n/a";
	snprintf(text, CELL, "%.*f", value < 10 ? 2 : 0, value);
	return text;
}

static const char *megabytes(int64_t bytes, char text[CELL])
{
	if (bytes == RESULT_MEMORY_UNKNOWN)
		return "n/a";
	snprintf(text, CELL, "%+.*f", llabs(bytes) < 100000000 ? 1 : 0, (double)bytes / 1e6);
	return text;
}

static void write_headings(struct buffer *out)
{
	buffer_printf(out, "%4s %6s %6s %6s %6s %6s %6s %6s %6s %6s %6s %5s\n", "conn", "ok", "failed", "min", "avg",
		"median", "p95", "p99", "max", "req/s", "target", "MB");
}

static void write_row(const struct measurement *m, struct buffer *out)
{
	char a[CELL], b[CELL], c[CELL], d[CELL], e[CELL], f[CELL], g[CELL], h[CELL];
	const struct latency *l = &m->latency;

	buffer_printf(out, "%4u %6llu %6llu %6s %6s %6s %6s %6s %6s %6s %6s %5s\n", m->connections,
		(unsigned long long)m->success, (unsigned long long)m->failures, ms(l->min_ms, a), ms(l->avg_ms, b),
		ms(l->median_ms, c), ms(l->p95_ms, d), ms(l->p99_ms, e), ms(l->max_ms, f), rate(m->per_second, g),
		!m->has_target  ? "-"
		: m->target_met ? "met"
				: "MISSED",
		megabytes(m->memory_change, h));
}

static size_t count_kind(const struct result *r, enum measurement_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->measurements[i].kind == kind;
	return n;
}

static void write_pending(const struct result *r, enum measurement_kind kind, struct buffer *out)
{
	bool begun = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];

		if (m->kind != kind || m->pending == 0)
			continue;
		if (!begun)
			buffer_append(out, S("\nanswered before the vector was made (embedding_status pending)\n"));
		begun = true;
		buffer_printf(out, "%4u " SLICE_FMT ", %llu of %llu\n", m->connections, SLICE_ARG(m->name),
			(unsigned long long)m->pending, (unsigned long long)m->success);
	}
}

static void write_kind(const struct result *r, enum measurement_kind kind, const char *title, struct buffer *out)
{
	const struct measurement *last = NULL;

	if (count_kind(r, kind) == 0)
		return;
	buffer_printf(out, "\n%s\n\n", title);
	write_headings(out);
	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];

		if (m->kind != kind)
			continue;
		if (!last || !slice_eq(last->name, m->name))
			buffer_printf(out, SLICE_FMT "\n", SLICE_ARG(m->name));
		write_row(m, out);
		last = m;
	}
	write_pending(r, kind, out);
}

static void write_open(const struct result *r, struct buffer *out)
{
	write_kind(r, KIND_OPEN, "Open loop: latency from when a request was due", out);
	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];

		if (m->kind == KIND_OPEN && m->rate > 0)
			buffer_printf(out,
				"\nasked for %.0f a second, achieved %.0f; %llu left over 1 ms late, %llu were "
				"dropped\n",
				m->rate, m->per_second, (unsigned long long)m->late, (unsigned long long)m->dropped);
	}
}

/* Each tool called in this process, beside the same at one connection. */
static void write_direct(const struct result *r, struct buffer *out)
{
	char a[CELL], b[CELL], c[CELL];

	if (count_kind(r, KIND_DIRECT) == 0)
		return;
	buffer_printf(out, "\nMCP against direct store access (the tool's function in this process), medians\n\n");
	buffer_printf(out, "%-18s %12s %12s %14s\n", "tool", "direct ms", "client ms", "difference ms");
	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *d = &r->measurements[i];
		const struct measurement *m = d->kind == KIND_DIRECT ? result_find(r, KIND_CLOSED, d->name, 1) : NULL;
		double client = m ? m->latency.median_ms : (double)NAN;

		if (d->kind == KIND_DIRECT)
			buffer_printf(out, "%-18.*s %12s %12s %14s\n", SLICE_ARG(d->name), ms(d->latency.median_ms, a),
				ms(client, b), ms(client - d->latency.median_ms, c));
	}
}

static void write_baselines(const struct result *r, struct buffer *out)
{
	char a[CELL], b[CELL], c[CELL];

	if (count_kind(r, KIND_BASELINE) == 0)
		return;
	buffer_printf(out, "\nBaselines of the same run\n\n%-34s %5s %10s %10s %10s\n", "what", "conn", "median ms",
		"p99 ms", "per second");
	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];

		if (m->kind != KIND_BASELINE)
			continue;
		if (m->skipped.len > 0)
			buffer_printf(out, "%-34.*s " SLICE_FMT "\n", SLICE_ARG(m->name), SLICE_ARG(m->skipped));
		else
			buffer_printf(out, "%-34.*s %5u %10s %10s %10s\n", SLICE_ARG(m->name), m->connections,
				ms(m->latency.median_ms, a), ms(m->latency.p99_ms, b), rate(m->per_second, c));
	}
}

/* How many times the best rate of each tool the client could do, a tool a line. */
static void write_reserves(const struct result *r, struct buffer *out)
{
	double best = 0;

	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];
		bool last = i + 1 == r->count || r->measurements[i + 1].kind != m->kind ||
			    !slice_eq(r->measurements[i + 1].name, m->name);

		if (m->kind != KIND_CLOSED && m->kind != KIND_MIX)
			continue;
		best = fmax(best, result_usual_rate(m));
		if (!last)
			continue;
		if (best > 0)
			buffer_printf(
				out, "  %-18.*s %6.2f times\n", SLICE_ARG(m->name), r->check.client_per_second / best);
		best = 0;
	}
}

/* Is the client cheap enough? Where a tool is answered at more than half of what the client can do at all, its figures
 * are the client's and the kernel's too. */
static void write_check(const struct result *r, struct buffer *out)
{
	const struct self_check *c = &r->check;
	size_t close = 0, all = 0;

	if (!c->done)
		return;
	buffer_printf(out,
		"\nSelf-check: against the bare responder the client alone does %.0f requests a\n"
		"second (%.1f us of CPU each); against the server at most %.0f\n"
		"(" SLICE_FMT ", %u connection%s). It could do, of the best rate of\n",
		c->client_per_second, c->client_cpu_us, c->server_per_second, SLICE_ARG(c->name), c->connections,
		c->connections == 1 ? "" : "s");
	write_reserves(r, out);
	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];

		if (m->kind != KIND_CLOSED && m->kind != KIND_MIX)
			continue;
		all++;
		close += 2 * result_usual_rate(m) > c->client_per_second;
	}
	if (close > 0)
		buffer_printf(out,
			"%zu of %zu measurements are above half of the client's rate: client and kernel are\n"
			"part of what they tell.\n",
			close, all);
}

static void write_failures(const struct result *r, struct buffer *out)
{
	bool begun = false;

	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];

		if (m->failure.len == 0)
			continue;
		if (!begun)
			buffer_append(out, S("\nFirst failures\n\n"));
		begun = true;
		buffer_printf(out, "%s " SLICE_FMT ", %u connections: " SLICE_FMT "\n", kind_names[m->kind],
			SLICE_ARG(m->name), m->connections, SLICE_ARG(m->failure));
	}
}

static void write_head(const struct result *r, struct buffer *out)
{
	buffer_printf(out, SLICE_FMT " benchmark, " SLICE_FMT "\n", SLICE_ARG(r->program), SLICE_ARG(r->started_at));
	if (r->partial)
		buffer_printf(out, "PARTIAL: " SLICE_FMT "\n", SLICE_ARG(r->why_partial));
	buffer_printf(out, "machine    %u cores, " SLICE_FMT ", " SLICE_FMT "\n", r->cores, SLICE_ARG(r->processor),
		SLICE_ARG(r->system));
	if (r->url.len > 0)
		buffer_printf(out, "server     " SLICE_FMT "\n", SLICE_ARG(r->url));
	else
		buffer_printf(out, "server     its own, on a fresh directory (" SLICE_FMT ")\n", SLICE_ARG(r->storage));
	buffer_printf(out, "requests   " SLICE_FMT, SLICE_ARG(r->transport));
	if (r->iterations > 0)
		buffer_printf(out, "\n           %llu of each %s at each level, in %u rounds",
			(unsigned long long)r->iterations, count_kind(r, KIND_MIX) > 0 ? "mix" : "tool", r->rounds);
	buffer_byte(out, '\n');
	buffer_printf(out, "target     %g ms: met when nothing failed and p95 is within it\n", r->target_ms);
}

void report_write_text(const struct result *r, struct buffer *out)
{
	write_head(r, out);
	write_kind(r, KIND_CLOSED, "Tools at each number of connections", out);
	write_kind(r, KIND_MIX, "Mix", out);
	write_open(r, out);
	write_direct(r, out);
	write_baselines(r, out);
	write_check(r, out);
	write_failures(r, out);
	buffer_append(out, S("\nTimes are milliseconds, percentiles by nearest rank, of successes; MB is the\n"
			     "change of the server's resident memory.\n"));
}
