/* The order of a run: server, seeds, baselines, the store for direct calls; then rounds, each with a share of
 * everything.
 *
 * Baselines come before direct calls because they fork, and a store has threads. All are open from first to last, idle
 * but for their turn: a baseline measured minutes later is a baseline of another machine. Whatever fails ends the run,
 * and what was measured until then is kept. */
#include "bench/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/version.h"
#include "bench/runner.h"
#include "mcp/revision.h"

#define REQUEST_MAX (4u << 20)
#define TMPFS       0x01021994
#define DYING_NS    INT64_C(2000000000) /* how long a server that refuses connections may take to end */

static struct slice processor_name(struct arena *arena)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	struct slice name = S("unknown processor");

	while (file && fgets(line, sizeof line, file)) {
		struct slice text = slice_cstr(line), key = slice_cut(&text, ':');

		if (slice_eq(slice_trim(key), S("model name"))) {
			name = arena_copy(arena, slice_trim(text));
			break;
		}
	}
	if (file)
		fclose(file);
	return name;
}

static struct slice storage_name(struct arena *arena, const char *dir)
{
	struct statfs fs;
	char parent[PATH_MAX];

	snprintf(parent, sizeof parent, "%s", dir);
	*strrchr(parent, '/') = '\0';
	if (statfs(dir, &fs) == 0 && fs.f_type == TMPFS)
		return arena_printf(arena, "%s, which is memory: commits cost nothing there; set TMPDIR", parent);
	return arena_copy(arena, slice_cstr(parent));
}

static void describe(struct runner *r)
{
	struct result *result = r->result;
	struct utsname system;
	char now[CLOCK_TEXT_SIZE];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	clock_format(clock_wall_ms(), now);
	result->started_at = arena_copy(r->arena, slice_cstr(now));
	result->program = S(CS_NAME " " CS_VERSION);
	result->cores = cores > 0 ? (unsigned)cores : 1;
	result->processor = processor_name(r->arena);
	if (uname(&system) == 0)
		result->system = arena_printf(r->arena, "%s %s %s", system.sysname, system.release, system.machine);
	result->url = r->options->url;
	result->transport = r->options->mcp ? arena_printf(r->arena, "POST /mcp, revision " SLICE_FMT,
						      SLICE_ARG(revision_rows[REVISION_COUNT - 1].name))
					    : S("POST /tools/NAME");
	result->target_ms = r->options->target_ms;
	result->iterations = r->options->rate > 0 ? 0 : r->options->iterations;
	result->rounds = r->rounds;
}

static enum cs_status prepare(struct runner *r, struct cs_error *err)
{
	for (size_t i = 0; i < workload_row_count; i++) {
		unsigned cycle = workload_rows[i].cycle;

		r->cached[i] = cycle ? arena_array(r->arena, cycle, sizeof *r->cached[i]) : NULL;
		if (cycle && !r->cached[i])
			return cs_fail_memory(err);
	}
	/* Untouched pages cost nothing, and most of them stay untouched. */
	r->tallies = calloc(RESULT_MEASUREMENTS_MAX, sizeof *r->tallies);
	r->series = calloc(RESULT_ROUNDS_MAX * WORKLOAD_MAX + 1, sizeof *r->series);
	return r->tallies && r->series ? CS_OK : cs_fail_memory(err);
}

static enum cs_status open_target(struct runner *r, struct cs_error *err)
{
	const struct bench_options *o = r->options;
	enum cs_status status;

	snprintf(r->what, sizeof r->what, "%s", o->url.len > 0 ? "reaching the server" : "starting a server");
	runner_tell(r, 0);
	if (o->url.len > 0)
		status = target_resolve(&r->target, o->url, err);
	else
		status = target_start(&r->target, o->flags, o->flag_count, err);
	r->form = (struct request_form){.mcp = o->mcp, .host = slice_cstr(r->target.host), .api_key = o->api_key};
	if (status == CS_OK && o->url.len == 0)
		r->result->storage = storage_name(r->arena, r->target.dir.path);
	return status == CS_OK ? target_probe(&r->target, &r->form, err) : status;
}

/* What runs beside the server: forks first, threads last. */
static enum cs_status open_others(struct runner *r, struct cs_error *err)
{
	const struct bench_options *o = r->options;
	enum cs_status status = CS_OK;

	if (o->baselines)
		status = baselines_open(r, &r->baselines, err);
	if (status == CS_OK && o->url.len == 0 && !o->mixed && o->rate <= 0 && !runner_stopped(r))
		status = direct_open(r, &r->direct, err);
	return status;
}

static enum cs_status measure(struct runner *r, struct cs_error *err)
{
	const struct bench_options *o = r->options;
	enum cs_status status = CS_OK;

	if (o->rate > 0)
		status = loads_open(r, err);
	for (unsigned round = 0; round < r->rounds && status == CS_OK && !runner_stopped(r); round++) {
		if (o->rate <= 0)
			status = o->mixed ? loads_mixed(r, round, err) : loads_closed(r, round, err);
		if (status == CS_OK && r->direct)
			status = direct_round(r->direct, round, err);
		if (status == CS_OK && r->baselines)
			status = baselines_round(r->baselines, round, err);
	}
	return status;
}

/* An error names what was under way, and tells how the server of our own ended, if it did. */
static enum cs_status explain(struct runner *r, enum cs_status status, struct cs_error *err)
{
	struct cs_error why = *err;
	char ended[CS_ERROR_TEXT_MAX];

	if (status == CS_OK)
		return CS_OK;
	if (target_has_ended(&r->target, status == CS_UNAVAILABLE ? DYING_NS : 0, ended, sizeof ended))
		return cs_fail(err, CS_UNAVAILABLE, "the server died during %s: %.380s", r->what, ended);
	return cs_fail(err, status, "%s: %.380s", r->what, why.text);
}

static enum cs_status phases(struct runner *r, struct cs_error *err)
{
	const struct bench_options *o = r->options;
	enum cs_status status = open_target(r, err), removed = CS_OK;

	if (status != CS_OK)
		return status;
	status = seeds_store(r, err);
	if (status == CS_OK && !runner_stopped(r))
		status = open_others(r, err);
	if (status == CS_OK)
		status = measure(r, err);
	status = explain(r, status, err);
	if ((o->url.len > 0 && !o->keep) || o->lasting)
		removed = seeds_remove(r, status == CS_OK ? err : NULL);
	baselines_check(r);
	return status == CS_OK ? removed : status;
}

enum cs_status bench_run(const struct bench_options *options, const struct bench_hooks *hooks, struct result *result,
	bool *ret_stopped, struct cs_error *err)
{
	struct runner *r = calloc(1, sizeof *r);
	enum cs_status status;

	if (!r)
		return cs_fail_memory(err);
	r->options = options;
	r->hooks = hooks;
	r->result = result;
	r->arena = result->arena;
	r->rounds = options->iterations < options->rounds ? (unsigned)options->iterations : options->rounds;
	buffer_init(&r->arguments, REQUEST_MAX);
	buffer_init(&r->request, REQUEST_MAX);
	workload_init(&r->workload);
	describe(r);
	status = prepare(r, err);
	if (status == CS_OK)
		status = phases(r, err);
	direct_close(r->direct);
	baselines_close(r->baselines);
	target_close(&r->target);
	*ret_stopped = runner_stopped(r);
	result->partial = status != CS_OK || *ret_stopped;
	if (status != CS_OK)
		result->why_partial = arena_copy(result->arena, slice_cstr(err->text));
	else if (*ret_stopped)
		result->why_partial = S("it was interrupted");
	buffer_release(&r->arguments);
	buffer_release(&r->request);
	free(r->tallies);
	free(r->series);
	free(r);
	return status;
}
