/* What requests need beforehand, stored over the same HTTP surface as everything else, in lists of a hundred; and its
 * removal from a server that is not ours.
 *
 * POST /tools/NAME is used whatever the run measures: its replies are plain, and it is not measured. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/runner.h"

#define ERASE_CONNECTIONS 4

/* One call; the arguments stand in r->arguments. */
static enum cs_status call(struct runner *r, const char *tool, struct cs_error *err)
{
	struct request_form plain = r->form;
	char *reply = NULL;
	size_t length;
	bool good = false, whole;
	enum cs_status status = buffer_status(&r->arguments, err);

	plain.mcp = false;
	buffer_clear(&r->request);
	request_write(&r->request, &plain, tool, buffer_slice(&r->arguments));
	if (status == CS_OK)
		status = buffer_status(&r->request, err);
	if (status == CS_OK)
		status = client_ask(&r->target.address, buffer_slice(&r->request), RUNNER_TIMEOUT_NS, frame_http,
			&reply, &length, &good, err);
	if (status != CS_OK)
		return status;
	whole = good && (!strstr(reply, "\"failed\":") || strstr(reply, "\"failed\":0,"));
	if (!whole)
		status = cs_fail(err, CS_STORAGE, "%s, which prepares the run, failed: %.300s", tool,
			reply + frame_head_length(reply, length));
	free(reply);
	return status;
}

static enum cs_status store_contexts(
	struct runner *r, const struct workload_row *row, uint64_t first, uint64_t count, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (uint64_t done = 0; done < count && status == CS_OK && !runner_stopped(r); done += WORKLOAD_BATCH) {
		uint64_t part = count - done < WORKLOAD_BATCH ? count - done : WORKLOAD_BATCH;

		buffer_clear(&r->arguments);
		workload_write_seeds(&r->workload, row, first + done, (unsigned)part, &r->arguments);
		status = call(r, "store_context", err);
	}
	return status;
}

static bool asks(const struct runner *r, const char *alias)
{
	size_t at = workload_index(workload_find(slice_cstr(alias)));

	return r->options->mixed || r->options->rate > 0 ? r->options->mix.share[at] > 0 : r->options->tools[at];
}

enum cs_status seeds_store(struct runner *r, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	snprintf(r->what, sizeof r->what, "storing what is asked for");
	runner_tell(r, 0);
	if (asks(r, "retrieve"))
		status = store_contexts(r, NULL, 0, WORKLOAD_CORPUS, err);
	for (unsigned i = 0; i < WORKLOAD_KEYS && status == CS_OK && asks(r, "state"); i++) {
		buffer_clear(&r->arguments);
		workload_write_key(&r->workload, i, false, false, &r->arguments);
		status = call(r, "update_scratchpad", err);
	}
	return status;
}

enum cs_status seeds_ensure(struct runner *r, const struct workload_row *row, uint64_t count, struct cs_error *err)
{
	size_t at = workload_index(row);
	uint64_t wanted = r->workload.next[at] + count, have = r->workload.seeded[at];
	enum cs_status status;

	if (!row->consumes || have >= wanted)
		return CS_OK;
	status = store_contexts(r, row, have, wanted - have, err);
	if (status == CS_OK)
		r->workload.seeded[at] = wanted;
	return status;
}

/* What is taken back goes through the client, over few connections: thousands of single ones would use up the ports. */
struct erasure {
	struct runner *runner;
	const struct workload_row *row; /* of contexts; NULL: the corpus */
	bool keys, notes;
	uint64_t next, end;
};

static struct slice next_erasure(void *self, unsigned *ret_series)
{
	struct erasure *e = self;
	struct runner *r = e->runner;
	struct request_form plain = r->form;
	uint64_t index = e->next < e->end ? e->next++ : e->end - 1; /* those beyond are the client's own, not counted */

	plain.mcp = false;
	*ret_series = 0;
	buffer_clear(&r->arguments);
	buffer_clear(&r->request);
	if (e->keys)
		workload_write_key(&r->workload, (unsigned)index, e->notes, true, &r->arguments);
	else
		workload_write_erasure(&r->workload, e->row, index, &r->arguments);
	request_write(
		&r->request, &plain, e->keys ? "update_scratchpad" : "delete_context", buffer_slice(&r->arguments));
	return buffer_slice(&r->request);
}

/* What is gone already answers with a failure, which is none here. */
static enum cs_status erase(struct erasure e, struct cs_error *err)
{
	struct client_result unused;
	struct client_load load = {.to = &e.runner->target.address,
		.connections = ERASE_CONNECTIONS,
		.requests = e.end - e.next,
		.timeout_ns = RUNNER_TIMEOUT_NS,
		.frame = frame_http,
		.request = next_erasure,
		.self = &e,
		.series = e.runner->series};

	return e.next < e.end ? client_run(&load, &unused, err) : CS_OK;
}

enum cs_status seeds_remove(struct runner *r, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	snprintf(r->what, sizeof r->what, "removing what was stored");
	runner_tell(r, 0);
	if (asks(r, "retrieve"))
		status = erase((struct erasure){.runner = r, .end = WORKLOAD_CORPUS}, err);
	for (size_t i = 0; i < workload_row_count && status == CS_OK; i++) {
		const struct workload_row *row = &workload_rows[i];

		if (row->stores)
			status = erase((struct erasure){.runner = r, .row = row, .end = r->workload.next[i]}, err);
		else if (row->consumes) /* those that no request came to name */
			status = erase((struct erasure){.runner = r,
					       .row = row,
					       .next = r->workload.next[i],
					       .end = r->workload.seeded[i]},
				err);
	}
	if (status == CS_OK && asks(r, "state"))
		status = erase((struct erasure){.runner = r, .keys = true, .end = WORKLOAD_KEYS}, err);
	if (status == CS_OK && asks(r, "scratchpad"))
		status = erase((struct erasure){.runner = r, .keys = true, .notes = true, .end = WORKLOAD_KEYS}, err);
	return status;
}
