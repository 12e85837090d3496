/* Puts the client to work: one tool, the mix, or the mix at a rate.
 *
 * Requests of rows with a cycle are made once and kept, so that making them is no part of the client's cost; the others
 * name something new each time and are made as they leave, which costs less than a microsecond. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/runner.h"

uint64_t runner_requests(const struct runner *r, unsigned round)
{
	uint64_t all = r->options->iterations;

	return all / r->rounds + (round < all % r->rounds);
}

bool runner_stopped(const struct runner *r)
{
	return r->hooks->stop && atomic_load_explicit(r->hooks->stop, memory_order_relaxed);
}

void runner_tell(struct runner *r, double per_second)
{
	const struct bench_progress progress = {r->what, r->fraction, per_second};

	if (r->hooks->progress)
		r->hooks->progress(r->hooks->self, &progress);
}

static void on_progress(void *self, uint64_t done)
{
	struct runner *r = self;
	int64_t elapsed_ns = clock_mono_ns() - r->load_start_ns;

	if (r->segment_of > 0)
		r->fraction = fmin(1, (double)done / (r->options->rate * (double)r->options->duration_s));
	runner_tell(r, elapsed_ns > 0 ? (double)done * 1e9 / (double)elapsed_ns : 0);
}

static void make_request(struct runner *r, const struct workload_row *row, uint64_t index)
{
	buffer_clear(&r->arguments);
	buffer_clear(&r->request);
	workload_write(&r->workload, row, index, &r->arguments);
	request_write(&r->request, &r->form, row->tool, buffer_slice(&r->arguments));
}

/* The next request of the row. One that could not be made for want of memory is empty, and the server closes on it. */
static struct slice next_of_row(struct runner *r, const struct workload_row *row)
{
	size_t at = workload_index(row);
	uint64_t index = r->workload.next[at]++;
	struct slice *kept = row->cycle && r->cached[at] ? &r->cached[at][index % row->cycle] : NULL;

	if (kept && kept->len > 0)
		return *kept;
	make_request(r, row, index);
	if (kept)
		*kept = arena_copy(r->arena, buffer_slice(&r->request));
	return buffer_slice(&r->request);
}

static struct slice next_request(void *self, unsigned *ret_series)
{
	struct runner *r = self;
	const struct workload_row *row = r->row ? r->row : mix_pick(&r->options->mix, r->picked++);
	uint64_t segment = r->segment_of ? r->taken++ / r->segment_of : 0;

	*ret_series = (unsigned)(segment * WORKLOAD_MAX + workload_index(row));
	return next_of_row(r, row);
}

static struct client_load load_of(struct runner *r, unsigned connections, uint64_t requests)
{
	return (struct client_load){
		.to = &r->target.address,
		.connections = connections,
		.requests = requests,
		.timeout_ns = RUNNER_TIMEOUT_NS,
		.frame = request_frame(&r->form),
		.request = next_request,
		.progress = on_progress,
		.self = r,
		.series = r->series,
		.stop = r->hooks->stop,
	};
}

static void clear_series(struct runner *r, unsigned segments)
{
	memset(r->series, 0, (size_t)segments * WORKLOAD_MAX * sizeof *r->series);
	for (size_t i = 0; i < segments * WORKLOAD_MAX; i++)
		if (i % WORKLOAD_MAX < workload_row_count && workload_rows[i % WORKLOAD_MAX].pending)
			r->series[i].mark = slice_cstr(workload_rows[i % WORKLOAD_MAX].pending);
	r->load_start_ns = clock_mono_ns();
}

static void add_memory(struct tally *tally, int64_t before, int64_t after)
{
	if (before < 0 || after < 0)
		return;
	if (tally->m->memory_change == RESULT_MEMORY_UNKNOWN)
		tally->m->memory_change = 0;
	tally->m->memory_change += after - before;
}

static enum cs_status closed_one(
	struct runner *r, const struct workload_row *row, unsigned connections, unsigned round, struct cs_error *err)
{
	struct tally *tally = tally_find(r, KIND_CLOSED, row->tool, connections);
	struct client_load load = load_of(r, connections, runner_requests(r, round));
	struct client_result result;
	int64_t before;
	enum cs_status status =
		tally ? seeds_ensure(r, row, load.requests + 2 * connections, err) : cs_fail_memory(err);

	if (status != CS_OK)
		return status;
	r->row = row;
	clear_series(r, 1);
	before = target_memory(&r->target, &r->form);
	status = client_run(&load, &result, err);
	if (result.done > 0)
		tally_round(r, tally, &r->series[workload_index(row)], result.elapsed_ns, result.cpu_ns, result.done);
	if (status != CS_OK)
		return status;
	add_memory(tally, before, target_memory(&r->target, &r->form));
	return CS_OK;
}

/* How far the run is: rounds, and within each the steps done so far. */
static void set_fraction(struct runner *r, unsigned round, size_t step, size_t steps)
{
	r->fraction = ((double)round + (double)step / (double)steps) / r->rounds;
}

enum cs_status loads_closed(struct runner *r, unsigned round, struct cs_error *err)
{
	const struct bench_options *o = r->options;
	size_t steps = workload_row_count * o->level_count;
	enum cs_status status = CS_OK;

	for (size_t step = 0; step < steps && status == CS_OK && !runner_stopped(r); step++) {
		const struct workload_row *row = &workload_rows[step / o->level_count];
		unsigned connections = o->levels[step % o->level_count];

		if (!o->tools[workload_index(row)])
			continue;
		snprintf(r->what, sizeof r->what, "%s, %u connection%s", row->tool, connections,
			connections == 1 ? "" : "s");
		set_fraction(r, round, step, steps);
		runner_tell(r, 0);
		status = closed_one(r, row, connections, round, err);
	}
	return status;
}

static enum cs_status ensure_mix(struct runner *r, uint64_t requests, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (size_t i = 0; i < workload_row_count && status == CS_OK; i++) {
		/* Shares are chances: twice the expected number is out of reach but for a few requests. */
		uint64_t likely = requests * r->options->mix.share[i] / 50 + 64;

		if (r->options->mix.share[i])
			status = seeds_ensure(r, &workload_rows[i], likely < requests ? likely : requests, err);
	}
	return status;
}

/* The mixture as a whole and each tool in it. `series` are those of one round. */
static enum cs_status tally_mix(struct runner *r, enum measurement_kind kind, unsigned connections,
	const struct client_series *series, int64_t elapsed_ns, int64_t cpu_ns, struct cs_error *err)
{
	struct tally *whole = tally_find(r, kind, "mix", connections), *part;
	struct client_series *all = &r->series[RESULT_ROUNDS_MAX * WORKLOAD_MAX];

	memset(all, 0, sizeof *all);
	for (size_t i = 0; i < workload_row_count && whole; i++) {
		if (!r->options->mix.share[i])
			continue;
		histogram_add(&all->latency, &series[i].latency);
		all->success += series[i].success;
		all->failed += series[i].failed;
		all->marked += series[i].marked;
		if (!all->failure[0])
			memcpy(all->failure, series[i].failure, sizeof all->failure);
		part = tally_find(r, kind, workload_rows[i].tool, connections);
		if (!part)
			return cs_fail_memory(err);
		tally_round(r, part, &series[i], elapsed_ns, -1, 0);
	}
	if (!whole)
		return cs_fail_memory(err);
	tally_round(r, whole, all, elapsed_ns, cpu_ns, all->success + all->failed);
	return CS_OK;
}

static enum cs_status mixed_one(struct runner *r, unsigned connections, unsigned round, struct cs_error *err)
{
	struct client_load load = load_of(r, connections, runner_requests(r, round));
	enum cs_status status = ensure_mix(r, load.requests + 2 * connections, err), tallied = CS_OK;
	struct client_result result;
	int64_t before;

	if (status != CS_OK)
		return status;
	r->row = NULL;
	clear_series(r, 1);
	before = target_memory(&r->target, &r->form);
	status = client_run(&load, &result, err);
	if (result.done > 0)
		tallied = tally_mix(r, KIND_MIX, connections, r->series, result.elapsed_ns, result.cpu_ns,
			status == CS_OK ? err : NULL);
	if (status != CS_OK || tallied != CS_OK)
		return status != CS_OK ? status : tallied;
	add_memory(tally_find(r, KIND_MIX, "mix", connections), before, target_memory(&r->target, &r->form));
	return CS_OK;
}

enum cs_status loads_mixed(struct runner *r, unsigned round, struct cs_error *err)
{
	const struct bench_options *o = r->options;
	enum cs_status status = CS_OK;

	for (unsigned i = 0; i < o->level_count && status == CS_OK && !runner_stopped(r); i++) {
		snprintf(r->what, sizeof r->what, "mix, %u connection%s", o->levels[i], o->levels[i] == 1 ? "" : "s");
		set_fraction(r, round, i, o->level_count);
		runner_tell(r, 0);
		status = mixed_one(r, o->levels[i], round, err);
	}
	return status;
}

/* One load from first to last, whose rounds are its parts by the order in which requests were due: a schedule that
 * began anew each round would forgive the server what it had not caught up with. */
enum cs_status loads_open(struct runner *r, struct cs_error *err)
{
	const struct bench_options *o = r->options;
	uint64_t requests = (uint64_t)fmax(1, o->rate * (double)o->duration_s);
	unsigned rounds = requests < r->rounds ? 1 : r->rounds, connections = 0;
	struct client_load load;
	struct client_result result;
	struct tally *tally;
	enum cs_status status, tallied = CS_OK;
	int64_t before;

	for (unsigned i = 0; i < o->level_count; i++)
		connections = o->levels[i] > connections ? o->levels[i] : connections;
	snprintf(r->what, sizeof r->what, "mix at %.0f a second, %u connections", o->rate, connections);
	runner_tell(r, 0);
	status = ensure_mix(r, requests, err);
	if (status != CS_OK)
		return status;
	load = load_of(r, connections, requests);
	load.rate = o->rate;
	r->row = NULL;
	r->segment_of = (requests + rounds - 1) / rounds;
	r->taken = 0;
	clear_series(r, rounds);
	before = target_memory(&r->target, &r->form);
	status = client_run(&load, &result, err);
	r->segment_of = 0;
	for (unsigned i = 0; i < rounds && result.done > 0 && tallied == CS_OK; i++)
		tallied = tally_mix(r, KIND_OPEN, connections, &r->series[i * WORKLOAD_MAX], result.elapsed_ns / rounds,
			result.cpu_ns / rounds, NULL);
	tally = tally_find(r, KIND_OPEN, "mix", connections);
	if (!tally || tallied != CS_OK)
		return cs_fail_memory(err);
	tally->m->rate = o->rate;
	tally->m->late = result.late;
	tally->m->dropped = result.dropped;
	tally_finish(r, tally);
	if (status != CS_OK)
		return status;
	add_memory(tally, before, target_memory(&r->target, &r->form));
	return CS_OK;
}
