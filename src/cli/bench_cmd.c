/* `context-store bench` and `context-store bench compare A B`: the screen of a benchmark, and its wiring.
 *
 * What is measured and how stands in bench/run.h. Here: the options, Ctrl-C, progress on standard error, the store for
 * direct calls, the files, the exit code. Progress is one line that is written over on a terminal, and a line now and
 * then elsewhere, so that a log of it stays short. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "bench/compare.h"
#include "bench/files.h"
#include "bench/report.h"
#include "bench/scratch_dir.h"
#include "bench/target.h"
#include "cli/bench_options.h"
#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/read_file.h"

#define ARENA_MAX   (512u << 20)
#define FILE_MAX    (64u << 20)
#define LINE_NS     INT64_C(3000000000) /* between lines of progress, off a terminal */
#define REPORT_MAX  (64u << 20)
#define BAR_COLUMNS 24

extern char **environ;

struct bench {
	const struct invocation *inv;
	struct caller direct;
	bool terminal;
	int64_t told_ns;
};

static atomic_bool stop_wanted;

/* The first Ctrl-C (or a terminal that is closed) ends the run in order. A Ctrl-C behind it ends the process; its children
 * are told by the kernel, and its directories stay for the next bench to remove. Any other signal behind it changes
 * nothing, as in cli/signals.h: a session that ends sends both SIGTERM and SIGHUP. */
static void on_signal(int number)
{
	if (atomic_exchange(&stop_wanted, true) && number == SIGINT)
		_exit(CLI_FAILED);
}

static void watch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal}, before;

	sigemptyset(&action.sa_mask);
	/* These fail for a number that is no signal only. Under nohup a closed terminal ends nothing. */
	if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		(void)sigaction(SIGHUP, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
}

static void on_progress(void *self, const struct bench_progress *p)
{
	struct bench *b = self;
	int64_t now_ns = clock_mono_ns();
	int filled = (int)(p->fraction * BAR_COLUMNS);

	if (b->terminal) {
		fprintf(stderr, "\r\033[K%3.0f %% [%.*s%.*s] %s", p->fraction * 100, filled, "########################",
			BAR_COLUMNS - filled, "                        ", p->what);
		if (p->per_second > 0)
			fprintf(stderr, ", %.0f/s", p->per_second);
		fflush(stderr);
		return;
	}
	if (now_ns - b->told_ns < LINE_NS)
		return;
	b->told_ns = now_ns;
	fprintf(stderr, CS_NAME ": %3.0f %%, %s", p->fraction * 100, p->what);
	if (p->per_second > 0)
		fprintf(stderr, ", %.0f/s", p->per_second);
	fputc('\n', stderr);
}

static void end_progress(const struct bench *b)
{
	if (b->terminal)
		fputs("\r\033[K", stderr);
}

static enum cs_status open_direct(void *self, const char *dir, struct tool_host *ret_host, struct cs_error *err)
{
	struct bench *b = self;
	enum cs_status status = caller_open_in(&b->direct, b->inv, slice_cstr(dir), err);

	if (status == CS_OK)
		*ret_host = host_tools(b->direct.host);
	return status;
}

static void close_direct(void *self)
{
	caller_close(&((struct bench *)self)->direct);
}

static enum cs_status show(const struct bench_choices *c, const struct result *result, struct cs_error *err)
{
	struct buffer out;
	enum cs_status status;

	buffer_init(&out, REPORT_MAX);
	if (c->json)
		result_write(result, &out);
	else
		report_write_text(result, &out);
	status = buffer_status(&out, err);
	if (status == CS_OK)
		fwrite(out.ptr, 1, out.len, stdout);
	buffer_release(&out);
	(void)fflush(stdout); /* before the next lines where both go to one place; main.c tells of failure */
	return status;
}

static void tell_files(const struct bench_files *files)
{
	fprintf(stderr, "written: %s\n         %s\n", files->json, files->text);
	if (files->chart[0])
		fprintf(stderr, "         %s\n", files->chart);
}

/* Whatever was measured is written, also of a run that failed; and shown where it cannot be written (a full disk, a
 * directory that is gone), for it took minutes. */
static enum cli_exit conclude(const struct bench_choices *c, const struct result *result, struct bench_files *files,
	enum cs_status status, bool stopped, struct cs_error *err)
{
	struct cs_error why;
	enum cs_status written = CS_OK, shown = CS_OK;

	if (result->count > 0) {
		shown = show(c, result, status == CS_OK ? err : NULL);
		written = files_write(files, result, &why);
		if (written == CS_OK)
			tell_files(files);
	}
	files_discard(files);
	if (status != CS_OK || shown != CS_OK)
		return cli_fail(err);
	if (written != CS_OK)
		return cli_fail(&why);
	if (stopped) {
		fprintf(stderr, CS_NAME ": interrupted; %s\n",
			result->count > 0 ? "the results are partial" : "nothing was measured yet");
		return CLI_FAILED;
	}
	if (c->fail_on_target && !result_all_met(result)) {
		fputs(CS_NAME ": a target was missed (--fail-on-target)\n", stderr);
		return CLI_FAILED;
	}
	return CLI_DONE;
}

/* A store of ours is measured and never somebody's: settings are read again without what names other servers. */
static enum cs_status settle(struct invocation *inv, struct bench_options *o, struct cs_error *err)
{
	struct config *config;
	enum cs_status status;
	int rest;

	target_clean_environment();
	status = config_load(o->flag_count, o->flags, environ, &config, &rest, err);
	if (status != CS_OK)
		return status;
	config_free(inv->config);
	inv->config = config;
	o->lasting = o->url.len == 0 && config_str(config, SETTING_REDIS_URL).len > 0;
	return CS_OK;
}

static enum cli_exit run_bench(struct invocation *inv)
{
	struct bench b = {.inv = inv, .terminal = isatty(STDERR_FILENO) == 1};
	const struct bench_hooks hooks = {&b, on_progress, open_direct, close_direct, &stop_wanted};
	struct bench_choices choices;
	struct bench_files files;
	struct result result;
	struct arena arena;
	struct cs_error err;
	bool stopped = false;
	unsigned swept;
	enum cli_exit code;
	enum cs_status status;

	arena_init(&arena, NULL, 0, ARENA_MAX);
	status = bench_options_read(inv, &arena, &choices, &err);
	if (status != CS_OK) {
		code = status == CS_VALIDATION ? cli_usage(inv, "%s", err.text) : cli_fail(&err);
		arena_release(&arena);
		return code;
	}
	process_prepare();
	watch_signals();
	swept = scratch_dirs_sweep();
	if (swept > 0)
		fprintf(stderr, CS_NAME ": removed %u director%s that benches which were killed had left\n", swept,
			swept == 1 ? "y" : "ies");
	status = settle(inv, &choices.run, &err);
	if (status == CS_OK)
		status = result_init(&result, &arena, &err);
	if (status == CS_OK)
		status = files_open(&files, choices.output_dir, &err);
	if (status != CS_OK) {
		code = cli_fail(&err);
	} else {
		status = bench_run(&choices.run, &hooks, &result, &stopped, &err);
		end_progress(&b);
		code = conclude(&choices, &result, &files, status, stopped, &err);
	}
	arena_release(&arena);
	return code;
}

/* `text` holds the bytes the result's slices point to. */
static enum cs_status read_result(
	struct arena *arena, const char *path, struct buffer *text, struct result *ret_result, struct cs_error *err)
{
	struct cs_error why;
	enum cs_status status;

	buffer_init(text, FILE_MAX);
	status = read_file(path, text, err);
	if (status != CS_OK)
		return status;
	status = result_read(arena, buffer_slice(text), ret_result, &why);
	return status == CS_OK ? CS_OK : cs_fail(err, status, "%.200s: %.250s", path, why.text);
}

static enum cs_status compare(const struct invocation *inv, struct arena *arena, struct buffer texts[2],
	double threshold, struct comparison_list *ret_list, struct cs_error *err)
{
	struct result before, after;
	struct buffer out;
	enum cs_status status = read_result(arena, inv->operands[1], &texts[0], &before, err);

	if (status == CS_OK)
		status = read_result(arena, inv->operands[2], &texts[1], &after, err);
	if (status == CS_OK)
		status = compare_results(arena, &before, &after, threshold, ret_list, err);
	if (status != CS_OK)
		return status;
	buffer_init(&out, REPORT_MAX);
	if (invocation_option(inv, "json"))
		compare_write_json(ret_list, threshold, &out);
	else
		compare_write_text(ret_list, &before, &after, threshold, &out);
	status = buffer_status(&out, err);
	if (status == CS_OK)
		fwrite(out.ptr, 1, out.len, stdout);
	buffer_release(&out);
	return status;
}

static enum cli_exit run_compare(struct invocation *inv)
{
	struct comparison_list list = {0};
	struct buffer texts[2];
	struct arena arena;
	struct cs_error err;
	double threshold;
	enum cs_status status;

	if (inv->operand_count != 3)
		return cli_usage(inv, "compare needs two result files");
	if (bench_threshold_read(inv, &threshold, &err) != CS_OK)
		return cli_usage(inv, "%s", err.text);
	arena_init(&arena, NULL, 0, ARENA_MAX);
	for (size_t i = 0; i < 2; i++)
		buffer_init(&texts[i], FILE_MAX);
	status = compare(inv, &arena, texts, threshold, &list, &err);
	for (size_t i = 0; i < 2; i++)
		buffer_release(&texts[i]);
	arena_release(&arena);
	if (status != CS_OK)
		return cli_fail(&err);
	return invocation_option(inv, "fail-on-slower") && list.slower > 0 ? CLI_FAILED : CLI_DONE;
}

enum cli_exit bench_command(struct invocation *inv)
{
	if (inv->operand_count == 0)
		return run_bench(inv);
	if (strcmp(inv->operands[0], "compare") == 0)
		return run_compare(inv);
	return cli_usage(inv, "'%.60s' is none of bench's words; there is compare", inv->operands[0]);
}
