/* Each option is checked on its own first, then those that have no meaning beside each other. */
#include "cli/bench_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/version.h"
#include "bench/client.h"
#include "bench/compare.h"
#include "bench/target.h"
#include "cli/read_file.h"

#define KEY_FILE_MAX (128u << 10)
#define ITERATIONS   1000
#define ROUNDS       5
#define DURATION_S   10
#define TARGET_MS    50.0

static const unsigned standard_levels[] = {1, 10, 50, 100, 200};

/* The whole number of an option, or the fallback where it was not given. */
static enum cs_status whole(const struct invocation *inv, const char *name, int64_t fallback, int64_t max,
	int64_t *ret_value, struct cs_error *err)
{
	const char *text = invocation_option(inv, name);

	*ret_value = fallback;
	if (text && (!slice_to_i64(slice_cstr(text), ret_value) || *ret_value < 1 || *ret_value > max))
		return cs_fail(err, CS_VALIDATION, "--%s is a whole number from 1 to %lld, not \"%.40s\"", name,
			(long long)max, text);
	return CS_OK;
}

/* A number over 0. */
static enum cs_status positive(const struct invocation *inv, const char *name, double fallback, double max,
	double *ret_value, struct cs_error *err)
{
	const char *text = invocation_option(inv, name);
	char *end;

	*ret_value = fallback;
	if (!text)
		return CS_OK;
	*ret_value = strtod(text, &end);
	if (end == text || *end || !(*ret_value > 0) || *ret_value > max)
		return cs_fail(
			err, CS_VALIDATION, "--%s is a number over 0 and at most %.0f, not \"%.40s\"", name, max, text);
	return CS_OK;
}

static bool has_level(const struct bench_options *o, unsigned level)
{
	for (unsigned i = 0; i < o->level_count; i++)
		if (o->levels[i] == level)
			return true;
	return false;
}

/* Words, each a number or several with commas; ascending in the end, each once. */
static enum cs_status read_levels(const struct invocation *inv, struct bench_options *o, struct cs_error *err)
{
	const char *word;
	int cursor = 0;

	while ((word = invocation_each(inv, "concurrent-connections", &cursor))) {
		struct slice rest = slice_cstr(word);

		while (rest.ptr) {
			struct slice part = slice_trim(slice_cut(&rest, ','));
			int64_t level;

			if (!slice_to_i64(part, &level) || level < 1 || level > CLIENT_CONNECTIONS_MAX)
				return cs_fail(err, CS_VALIDATION,
					"--concurrent-connections takes whole numbers from 1 to %d, not \"%.40s\"",
					CLIENT_CONNECTIONS_MAX, word);
			if (has_level(o, (unsigned)level))
				continue;
			if (o->level_count == BENCH_LEVELS_MAX)
				return cs_fail(err, CS_VALIDATION, "--concurrent-connections takes at most %d numbers",
					BENCH_LEVELS_MAX);
			o->levels[o->level_count++] = (unsigned)level;
		}
	}
	for (size_t i = 0; i < sizeof standard_levels / sizeof *standard_levels &&
			   !invocation_option(inv, "concurrent-connections");
		i++)
		o->levels[o->level_count++] = standard_levels[i];
	for (unsigned i = 1; i < o->level_count; i++)
		for (unsigned at = i; at > 0 && o->levels[at] < o->levels[at - 1]; at--) {
			unsigned level = o->levels[at];

			o->levels[at] = o->levels[at - 1];
			o->levels[at - 1] = level;
		}
	return CS_OK;
}

static enum cs_status fail_tool(struct slice name, struct cs_error *err)
{
	struct nearest nearest = nearest_to(name);
	int shown = name.len < 40 ? (int)name.len : 40;

	for (size_t i = 0; i < workload_row_count; i++)
		nearest_offer(&nearest, slice_cstr(workload_rows[i].tool));
	if (nearest.best.len > 0)
		return cs_fail(err, CS_VALIDATION, "--tools knows no \"%.*s\"; did you mean " SLICE_FMT "?", shown,
			name.ptr, SLICE_ARG(nearest.best));
	return cs_fail(
		err, CS_VALIDATION, "--tools knows no \"%.*s\"; " CS_NAME " help bench tells more", shown, name.ptr);
}

static enum cs_status read_tools(const struct invocation *inv, struct bench_options *o, struct cs_error *err)
{
	const char *word;
	int cursor = 0;

	for (size_t i = 0; i < workload_row_count; i++)
		o->tools[i] = !invocation_option(inv, "tools");
	while ((word = invocation_each(inv, "tools", &cursor))) {
		struct slice rest = slice_cstr(word);

		while (rest.ptr) {
			struct slice name = slice_trim(slice_cut(&rest, ','));
			const struct workload_row *row = workload_find(name);

			if (!row)
				return fail_tool(name, err);
			o->tools[workload_index(row)] = true;
		}
	}
	return CS_OK;
}

static enum cs_status read_mix(const struct invocation *inv, struct bench_options *o, struct cs_error *err)
{
	const char *mix = invocation_option(inv, "mix"), *form = invocation_option(inv, "transport");
	enum cs_status status = CS_OK;

	o->mix = mix_default();
	o->mixed = mix != NULL;
	if (mix)
		status = mix_parse(slice_cstr(mix), &o->mix, err);
	o->mcp = !form || strcmp(form, "mcp") == 0;
	if (status == CS_OK && !o->mcp && strcmp(form, "tools") != 0)
		status = cs_fail(err, CS_VALIDATION, "--transport is mcp or tools, not \"%.40s\"", form);
	return status;
}

/* The key itself, or @FILE: a key among a command's words is seen by every user of the machine. */
static enum cs_status read_key(
	const struct invocation *inv, struct arena *arena, struct slice *ret_key, struct cs_error *err)
{
	const char *key = invocation_option(inv, "api-key");
	enum cs_status status = CS_OK;
	struct buffer text;

	*ret_key = slice_cstr(key);
	buffer_init(&text, KEY_FILE_MAX);
	if (key && key[0] == '@') {
		status = read_file(key + 1, &text, err);
		*ret_key = arena_copy(arena, slice_trim(buffer_slice(&text)));
	}
	buffer_release(&text);
	if (status != CS_OK)
		return status;
	if (key && ret_key->len == 0)
		return cs_fail(err, CS_VALIDATION, "--api-key %.200s holds no key", key);
	for (size_t i = 0; i < ret_key->len; i++)
		if (ret_key->ptr[i] <= ' ' || ret_key->ptr[i] > '~')
			return cs_fail(err, CS_VALIDATION, "--api-key holds a character that no key has");
	return CS_OK;
}

static enum cs_status read_url(const struct invocation *inv, struct slice *ret_url, struct cs_error *err)
{
	const char *url = invocation_option(inv, "url");

	*ret_url = slice_cstr(url);
	return url ? target_check_url(*ret_url, err) : CS_OK;
}

/* The settings among the words, behind one that takes back what a settings file says of Redis: a run must not write to
 * somebody's server because a file for other purposes names it. Who asks for it says --redis-url here. (The
 * environment is seen to by target_clean_environment.) */
static enum cs_status read_settings(
	const struct invocation *inv, struct arena *arena, struct bench_options *o, struct cs_error *err)
{
	static char no_redis[] = "--redis-url=";
	char **flags = arena_array(arena, (size_t)inv->setting_count + 1, sizeof *flags);

	if (!flags)
		return cs_fail_memory(err);
	flags[0] = no_redis;
	for (int i = 0; i < inv->setting_count; i++)
		flags[1 + i] = inv->settings[i];
	o->flags = flags;
	o->flag_count = 1 + inv->setting_count;
	return CS_OK;
}

static enum cs_status check_together(const struct invocation *inv, struct cs_error *err)
{
	static const char *const apart[][2] = {{"tools", "mix"}, {"tools", "rate"}, {"iterations", "rate"}};
	static const char *const needs[][2] = {{"duration", "rate"}, {"api-key", "url"}, {"keep", "url"}};
	static const char *const of_compare[] = {"threshold", "fail-on-slower"};
	static const char *const settings[] = {"--data-dir", "--host", "--port"};

	for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
		if (invocation_option(inv, apart[i][0]) && invocation_option(inv, apart[i][1]))
			return cs_fail(err, CS_VALIDATION, "--%s has no meaning beside --%s", apart[i][0], apart[i][1]);
	for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
		if (invocation_option(inv, needs[i][0]) && !invocation_option(inv, needs[i][1]))
			return cs_fail(err, CS_VALIDATION, "--%s needs --%s", needs[i][0], needs[i][1]);
	for (size_t i = 0; i < sizeof of_compare / sizeof *of_compare; i++)
		if (invocation_option(inv, of_compare[i]))
			return cs_fail(err, CS_VALIDATION, "--%s is for bench compare A B", of_compare[i]);
	for (int i = 0; i < inv->setting_count; i++)
		for (size_t s = 0; s < sizeof settings / sizeof *settings; s++)
			if (strncmp(inv->settings[i], settings[s], strlen(settings[s])) == 0)
				return cs_fail(err, CS_VALIDATION,
					"%s has no part in a bench, which starts a server of its own on a fresh "
					"directory",
					settings[s]);
	return CS_OK;
}

enum cs_status bench_options_read(
	const struct invocation *inv, struct arena *arena, struct bench_choices *ret_choices, struct cs_error *err)
{
	struct bench_choices c = {.json = invocation_option(inv, "json"),
		.fail_on_target = invocation_option(inv, "fail-on-target"),
		.output_dir = invocation_option(inv, "output-dir")};
	struct bench_options *o = &c.run;
	int64_t iterations = 0, rounds = 0;
	enum cs_status status = check_together(inv, err);

	if (status == CS_OK)
		status = whole(inv, "iterations", ITERATIONS, BENCH_ITERATIONS_MAX, &iterations, err);
	if (status == CS_OK)
		status = whole(inv, "rounds", ROUNDS, RESULT_ROUNDS_MAX, &rounds, err);
	if (status == CS_OK)
		status = whole(inv, "duration", DURATION_S, BENCH_DURATION_MAX, &o->duration_s, err);
	if (status == CS_OK)
		status = positive(inv, "rate", 0, BENCH_RATE_MAX, &o->rate, err);
	if (status == CS_OK)
		status = positive(inv, "target-ms", TARGET_MS, 1e6, &o->target_ms, err);
	if (status == CS_OK)
		status = read_levels(inv, o, err);
	if (status == CS_OK)
		status = read_tools(inv, o, err);
	if (status == CS_OK)
		status = read_mix(inv, o, err);
	if (status == CS_OK)
		status = read_key(inv, arena, &o->api_key, err);
	if (status == CS_OK)
		status = read_url(inv, &o->url, err);
	if (status == CS_OK)
		status = read_settings(inv, arena, o, err);
	if (status != CS_OK)
		return status;
	o->iterations = (uint64_t)iterations;
	o->rounds = (unsigned)rounds;
	o->baselines = !invocation_option(inv, "no-baselines");
	o->keep = invocation_option(inv, "keep");
	c.output_dir = c.output_dir ? c.output_dir : "benchmark_results";
	*ret_choices = c;
	return CS_OK;
}

enum cs_status bench_threshold_read(const struct invocation *inv, double *ret_threshold, struct cs_error *err)
{
	return positive(inv, "threshold", COMPARE_THRESHOLD, 1000, ret_threshold, err);
}
