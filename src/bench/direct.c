/* The same requests without protocol, sockets and threads in between: each tool's function, called in this process on a
 * store of its own, one call after the other. What is left is what the store itself costs; the rest of a client's time
 * is MCP, HTTP and the kernel. Arguments are parsed beforehand, because that is part of the protocol's share. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/runner.h"

#define CALL_MEMORY (256u << 20)
#define REPLY_MAX   (64u << 20)

struct direct {
	struct runner *runner;
	struct tool_host host;
	struct workload workload;
	struct arena arena;
	struct buffer reply;
	struct scratch_dir dir;
	bool open;
};

/* One call with the arguments in r->arguments; *ret_ns is its time. */
static enum cs_status call(struct direct *d, const char *tool, int64_t *ret_ns, struct cs_error *err)
{
	struct op op = {
		.arena = &d->arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct json_doc doc;
	enum cs_status status;
	int64_t start_ns;

	arena_reset(&d->arena);
	buffer_clear(&d->reply);
	status = buffer_status(&d->runner->arguments, err);
	if (status == CS_OK)
		status = json_parse(&d->arena, buffer_slice(&d->runner->arguments), JSON_LIMITS_DEFAULT, &doc, err);
	if (status != CS_OK)
		return status;
	start_ns = clock_mono_ns();
	status = tool_run(&d->host, &op, tool_find(slice_cstr(tool)), &doc, 0, &d->reply);
	*ret_ns = clock_mono_ns() - start_ns;
	if (status != CS_OK)
		return cs_fail(err, status, "%.*s", (int)(d->reply.len < 300 ? d->reply.len : 300), d->reply.ptr);
	return CS_OK;
}

static enum cs_status store(
	struct direct *d, const struct workload_row *row, uint64_t first, uint64_t count, struct cs_error *err)
{
	enum cs_status status = CS_OK;
	int64_t unused_ns;

	for (uint64_t done = 0; done < count && status == CS_OK; done += WORKLOAD_BATCH) {
		uint64_t part = count - done < WORKLOAD_BATCH ? count - done : WORKLOAD_BATCH;

		buffer_clear(&d->runner->arguments);
		workload_write_seeds(&d->workload, row, first + done, (unsigned)part, &d->runner->arguments);
		status = call(d, "store_context", &unused_ns, err);
	}
	return status;
}

static enum cs_status prepare(struct direct *d, struct cs_error *err)
{
	const bool *tools = d->runner->options->tools;
	enum cs_status status = CS_OK;
	int64_t unused_ns;

	if (tools[workload_index(workload_find(S("retrieve")))])
		status = store(d, NULL, 0, WORKLOAD_CORPUS, err);
	for (unsigned i = 0; i < WORKLOAD_KEYS && status == CS_OK; i++) {
		if (!tools[workload_index(workload_find(S("state")))])
			break;
		buffer_clear(&d->runner->arguments);
		workload_write_key(&d->workload, i, false, false, &d->runner->arguments);
		status = call(d, "update_scratchpad", &unused_ns, err);
	}
	return status;
}

static enum cs_status round_of(struct direct *d, const struct workload_row *row, unsigned round, struct cs_error *err)
{
	struct runner *r = d->runner;
	struct tally *tally = tally_find(r, KIND_DIRECT, row->tool, 1);
	struct client_series *series = &r->series[0];
	size_t at = workload_index(row);
	uint64_t count = runner_requests(r, round);
	int64_t spent_ns = 0;
	enum cs_status status = tally ? CS_OK : cs_fail_memory(err);

	if (status == CS_OK && row->consumes)
		status = store(d, row, d->workload.next[at], count, err);
	if (status != CS_OK)
		return status;
	*series = (struct client_series){0};
	for (uint64_t i = 0; i < count && !runner_stopped(r); i++) {
		struct cs_error why;
		int64_t ns = 0;

		buffer_clear(&r->arguments);
		workload_write(&d->workload, row, d->workload.next[at]++, &r->arguments);
		if (call(d, row->tool, &ns, &why) == CS_OK) {
			series->success++;
			histogram_record(&series->latency, ns);
		} else if (series->failed++ == 0)
			snprintf(series->failure, sizeof series->failure, "%.230s", why.text);
		spent_ns += ns;
	}
	tally_round(r, tally, series, spent_ns, -1, 0);
	return CS_OK;
}

enum cs_status direct_open(struct runner *r, struct direct **ret_direct, struct cs_error *err)
{
	struct direct *d = calloc(1, sizeof *d);
	enum cs_status status;

	if (!d)
		return cs_fail_memory(err);
	snprintf(r->what, sizeof r->what, "opening a store for direct calls");
	runner_tell(r, 0);
	d->runner = r;
	workload_init(&d->workload);
	arena_init(&d->arena, NULL, 0, CALL_MEMORY);
	buffer_init(&d->reply, REPLY_MAX);
	status = scratch_dir_make(&d->dir, err);
	if (status == CS_OK)
		status = r->hooks->open_direct(r->hooks->self, d->dir.path, &d->host, err);
	d->open = status == CS_OK;
	if (status == CS_OK)
		status = prepare(d, err);
	if (status != CS_OK) {
		direct_close(d);
		return status;
	}
	*ret_direct = d;
	return CS_OK;
}

enum cs_status direct_round(struct direct *d, unsigned round, struct cs_error *err)
{
	struct runner *r = d->runner;
	enum cs_status status = CS_OK;

	for (size_t i = 0; i < workload_row_count && status == CS_OK && !runner_stopped(r); i++) {
		if (!r->options->tools[i])
			continue;
		snprintf(r->what, sizeof r->what, "%s, called directly", workload_rows[i].tool);
		runner_tell(r, 0);
		status = round_of(d, &workload_rows[i], round, err);
	}
	return status;
}

/* The directory goes with the rest; agent state that is kept elsewhere does not. What fails here was told before. */
static void forget_keys(struct direct *d)
{
	int64_t unused_ns;

	for (unsigned i = 0; i < 2 * WORKLOAD_KEYS; i++) {
		buffer_clear(&d->runner->arguments);
		workload_write_key(&d->workload, i % WORKLOAD_KEYS, i >= WORKLOAD_KEYS, true, &d->runner->arguments);
		(void)!call(d, "update_scratchpad", &unused_ns, NULL);
	}
}

void direct_close(struct direct *d)
{
	if (!d)
		return;
	if (d->open && d->runner->options->lasting)
		forget_keys(d);
	if (d->open)
		d->runner->hooks->close_direct(d->runner->hooks->self);
	buffer_release(&d->reply);
	arena_release(&d->arena);
	scratch_dir_remove(&d->dir);
	free(d);
}
