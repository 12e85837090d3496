/* `context-store reembed`: vectors made anew, with a look at how far it is.
 *
 * The work is the embedding service's repair, in the process that owns the store: here, or in a serve that goes on
 * answering meanwhile. What is done is committed context by context, so whatever ends this command, the next one (or
 * the next start of a server) goes on where it stopped. This side only asks now and then. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/process.h"

#define LOOK_NS   100000000
#define LINES_NS  INT64_C(5000000000) /* between lines where there is no terminal */
#define BAR_WIDTH 30

struct progress {
	bool terminal;
	bool drawn;
	int64_t start_ns, told_ns;
	int64_t done_first; /* when it began */
};

static void describe_rest(const struct progress *p, int64_t done, int64_t total, char *text, size_t size)
{
	double seconds = (double)(clock_mono_ns() - p->start_ns) / 1e9;
	double rate = seconds > 0 ? (double)(done - p->done_first) / seconds : 0;
	double left = rate > 0 ? (double)(total - done) / rate : 0;

	*text = '\0';
	if (rate > 0 && left >= 90)
		snprintf(text, size, ", %.0f a second, %.0f minutes left", rate, left / 60);
	else if (rate > 0)
		snprintf(text, size, ", %.0f a second, %.0f seconds left", rate, left);
}

static void show_progress(struct progress *p, int64_t done, int64_t total)
{
	int64_t now_ns = clock_mono_ns();
	int filled = total > 0 ? (int)(done * BAR_WIDTH / total) : BAR_WIDTH;
	char rest[96], bar[BAR_WIDTH + 1];

	if (!p->terminal && now_ns - p->told_ns < LINES_NS)
		return;
	p->told_ns = now_ns;
	describe_rest(p, done, total, rest, sizeof rest);
	if (!p->terminal) {
		fprintf(stderr, "%lld of %lld contexts%s\n", (long long)done, (long long)total, rest);
		return;
	}
	memset(bar, '#', (size_t)filled);
	memset(bar + filled, '.', (size_t)(BAR_WIDTH - filled));
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %lld of %lld contexts%s\033[K", bar, (long long)done, (long long)total, rest);
	p->drawn = true;
}

/* One question to whoever owns the store, with a deadline of its own. */
static enum cs_status ask(struct caller *c, const char *what, struct cs_error *err)
{
	c->op.deadline_ns = clock_mono_ns() + INT64_C(60000000000);
	return caller_act(c, "reembed", slice_cstr(what), err);
}

/* Until nothing is left to do; c->doc is the last answer. */
static enum cs_status follow(struct caller *c, struct progress *p, struct cs_error *err)
{
	const struct timespec pause = {0, LOOK_NS};
	enum cs_status status = CS_OK;

	p->start_ns = p->told_ns = clock_mono_ns();
	p->done_first = caller_i64(c, 0, "vectors");
	while (status == CS_OK) {
		int64_t done = caller_i64(c, 0, "vectors"), without = caller_i64(c, 0, "without");
		struct slice state = caller_str(c, 0, "state"), reason = caller_str(c, 0, "reason");
		bool working = false;

		show_progress(p, done, done + without);
		(void)json_bool(&c->doc, json_get(&c->doc, 0, S("working")), &working);
		if (without == 0)
			return CS_OK;
		if (slice_eq(state, S("failing")) || slice_eq(state, S("other_model")))
			return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
				"%lld contexts are still without a vector: " SLICE_FMT
				"; what is done is kept, call again to go on",
				(long long)without, SLICE_ARG(reason));
		if (!working)
			return cs_fail(err, CS_VALIDATION, "%lld %s cannot be embedded and %s found by words alone",
				(long long)without, without == 1 ? "context" : "contexts", without == 1 ? "is" : "are");
		nanosleep(&pause, NULL);
		status = ask(c, "look", err);
	}
	return status;
}

enum cli_exit reembed_command(struct invocation *inv)
{
	struct progress progress = {.terminal = isatty(STDERR_FILENO)};
	struct caller c;
	struct cs_error err;
	enum cs_status status = caller_open(&c, inv, false, &err);

	if (status != CS_OK)
		return cli_fail(&err);
	process_prepare();
	status = ask(&c, invocation_option(inv, "all") ? "all" : "missing", &err);
	if (status == CS_OK)
		status = follow(&c, &progress, &err);
	if (progress.drawn)
		fputc('\n', stderr);
	if (status == CS_OK)
		printf("%lld contexts have a vector of " SLICE_FMT "\n", (long long)caller_i64(&c, 0, "vectors"),
			SLICE_ARG(caller_str(&c, 0, "model")));
	caller_close(&c);
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}
