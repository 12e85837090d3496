/* Rounds become measurements. */
#include <math.h>
#include <string.h>

#include "bench/runner.h"

struct tally *tally_find(struct runner *r, enum measurement_kind kind, const char *name, unsigned connections)
{
	struct measurement *m = NULL;
	struct slice key = slice_cstr(name);
	struct tally *tally;

	for (size_t i = 0; i < r->result->count && !m; i++) {
		struct measurement *known = &r->result->measurements[i];

		if (known->kind == kind && known->connections == connections && slice_eq(known->name, key))
			m = known;
	}
	if (!m)
		m = result_add(r->result, kind, arena_copy(r->arena, key), connections);
	if (!m)
		return NULL;
	tally = &r->tallies[m - r->result->measurements];
	tally->m = m;
	return tally;
}

void tally_round(struct runner *r, struct tally *tally, const struct client_series *series, int64_t elapsed_ns,
	int64_t cpu_ns, uint64_t replies)
{
	struct measurement *m = tally->m;

	histogram_add(&tally->latency, &series->latency);
	m->success += series->success;
	m->failures += series->failed;
	m->pending += series->marked;
	if (m->failure.len == 0 && series->failure[0])
		m->failure = arena_copy(r->arena, slice_cstr(series->failure));
	tally->elapsed_ns += elapsed_ns;
	tally->cpu_ns = cpu_ns < 0 ? -1 : tally->cpu_ns + cpu_ns;
	tally->replies += replies;
	if (m->round_count < RESULT_ROUNDS_MAX)
		m->rounds[m->round_count++] = (struct round_figures){
			.median_ms = histogram_percentile(&series->latency, 50) / 1e6,
			.p95_ms = histogram_percentile(&series->latency, 95) / 1e6,
			.per_second = elapsed_ns > 0 ? (double)series->success * 1e9 / (double)elapsed_ns : (double)NAN,
		};
	tally_finish(r, tally);
}

void tally_finish(struct runner *r, struct tally *tally)
{
	struct measurement *m = tally->m;

	m->latency = latency_of(&tally->latency);
	m->per_second = tally->elapsed_ns > 0 ? (double)m->success * 1e9 / (double)tally->elapsed_ns : (double)NAN;
	m->client_cpu_us = tally->cpu_ns > 0 && tally->replies > 0
				   ? (double)tally->cpu_ns / 1e3 / (double)tally->replies
				   : (double)NAN;
	/* A tool of a mix whose turn never came has missed nothing. */
	m->has_target = (m->kind == KIND_CLOSED || m->kind == KIND_MIX || m->kind == KIND_OPEN) &&
			m->success + m->failures + m->dropped > 0;
	m->target_met = m->has_target && result_meets(m, r->result->target_ms);
}
