/* The owner's private routes.
 *
 * A wrapper around the protocol's handler and not more rows in its route table: mcp/ then knows nothing of the
 * command line, and nothing here is reachable over TCP. */
#include "cli/owner_http.h"

#include <stdlib.h>

#include "store/embedding.h"
#include "store/removal.h"

#define OWNER_DEADLINE_NS INT64_C(30000000000)

struct owner_job {
	struct job job;
	struct owner_http *owner;
	struct exchange *exchange;
};

static enum cs_status restore(
	struct store *store, struct op *op, struct slice id, struct buffer *out, struct cs_error *err)
{
	enum cs_status status = store_restore(store, op, id, err);
	struct json_writer w = json_writer(out);

	if (status != CS_OK)
		return status;
	json_begin_object(&w);
	json_key_bool(&w, "success", true);
	json_key_str(&w, "id", id);
	json_end_object(&w);
	return buffer_status(out, err);
}

static enum cs_status history(
	struct store *store, struct op *op, struct slice id, struct buffer *out, struct cs_error *err)
{
	struct context_history_entry *entries;
	struct json_writer w = json_writer(out);
	size_t count;
	enum cs_status status = store->contexts.history(store->contexts.self, op, id, &entries, &count, err);

	if (status != CS_OK)
		return status;
	json_begin_object(&w);
	json_key_bool(&w, "success", true);
	json_key_str(&w, "id", id);
	json_write_name(&w, S("history"));
	json_begin_array(&w);
	for (size_t i = 0; i < count; i++) {
		char when[CLOCK_TEXT_SIZE];

		clock_format(entries[i].updated_at, when);
		json_begin_object(&w);
		json_key_u64(&w, "version", entries[i].version);
		json_key_str(&w, "updated_at", slice_cstr(when));
		json_key_raw(&w, "content", entries[i].content);
		json_key_raw(&w, "metadata", entries[i].metadata);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	return buffer_status(out, err);
}

/* What is to be done for `id`; CS_OK when the vectors can be mended. */
static enum cs_status begin_reembed(struct store *store, struct op *op, struct slice id, struct cs_error *err)
{
	struct embed_model model;
	enum cs_status status = embedding_model(store->embedding, op, &model, err);

	/* Only a model that works is worth forgetting the vectors of another one for (VALIDATION), or damaged ones
	 * (STORAGE). */
	if (status == CS_OK && !slice_eq(id, S("all")))
		return CS_OK;
	if (status != CS_OK && status != CS_VALIDATION && status != CS_STORAGE)
		return status;
	status = store->vectors.reset(store->vectors.self, op, err);
	return status == CS_OK ? embedding_model(store->embedding, op, &model, err) : status;
}

static enum cs_status reembed(
	struct store *store, struct op *op, struct slice id, struct buffer *out, struct cs_error *err)
{
	struct json_writer w = json_writer(out);
	struct embedding_status now;
	struct vector_stats stats;
	enum cs_status status = CS_OK;

	if (!store->embedding || !store->vectors.stats)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "this store has no vectors");
	if (!slice_eq(id, S("look"))) {
		status = begin_reembed(store, op, id, err);
		if (status == CS_OK)
			embedding_repair(store->embedding);
	}
	/* The thread that mends is looked at before what it has done, so that "ended" is never told too early. */
	embedding_status(store->embedding, &now);
	if (status == CS_OK)
		status = store->vectors.stats(store->vectors.self, op, &stats, err);
	if (status != CS_OK)
		return status;
	json_begin_object(&w);
	json_key_bool(&w, "success", true);
	json_key_str(&w, "state", slice_cstr(embedding_state_names[now.state]));
	json_key_str(&w, "reason", slice_cstr(now.reason));
	json_key_str(&w, "model", slice_cstr(now.model_id));
	json_key_bool(&w, "working", now.repairing);
	json_key_u64(&w, "vectors", stats.vectors);
	json_key_u64(&w, "without", stats.without);
	json_end_object(&w);
	return buffer_status(out, err);
}

static const struct action {
	struct slice name;
	enum cs_status (*run)(struct store *, struct op *, struct slice id, struct buffer *out, struct cs_error *);
} actions[] = {
	{SLICE_INIT("restore"), restore},
	{SLICE_INIT("history"), history},
	{SLICE_INIT("reembed"), reembed},
};

static const struct action *find_action(struct slice name)
{
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (slice_eq(actions[i].name, name))
			return &actions[i];
	return NULL;
}

enum cs_status owner_act(struct slice name, struct store *store, struct op *op, struct slice id, struct buffer *out,
	struct cs_error *err)
{
	const struct action *action = find_action(name);

	return action ? action->run(store, op, id, out, err)
		      : cs_fail(err, CS_NOT_FOUND, "no action " SLICE_FMT, SLICE_ARG(name));
}

/* The action a path names; empty: it is none of ours. */
static struct slice action_of(struct slice path)
{
	const struct slice prefix = S("/owner/");
	struct slice name = slice_starts(path, prefix) ? slice_from(path, prefix.len) : S("");

	return find_action(name) ? name : S("");
}

static enum cs_status answer(struct owner_job *job, struct op *op, struct cs_error *err)
{
	const struct exchange *x = job->exchange;
	const struct tool_host tools = host_tools(job->owner->host);
	struct store *store = NULL;
	struct json_doc doc;
	struct slice id;
	enum cs_status status = json_parse(op->arena, x->body, JSON_LIMITS_DEFAULT, &doc, err);

	if (status != CS_OK)
		return status;
	if (!json_str(&doc, json_get(&doc, 0, S("id")), &id) || id.len == 0)
		return cs_fail(err, CS_MISSING_PARAMETER, "the body must be {\"id\": \"...\"}");
	status = tools.acquire(tools.self, op, &store, err);
	if (status != CS_OK)
		return status;
	if (!store)
		return cs_fail(err, CS_UNAVAILABLE, "this process does not own the store any more; call again");
	return owner_act(action_of(x->head->path), store, op, id, &job->exchange->response.body, err);
}

static void finish(struct exchange *x, enum cs_status status, const struct cs_error *err)
{
	if (status != CS_OK) {
		struct json_writer w;

		buffer_clear(&x->response.body);
		w = json_writer(&x->response.body);
		tool_write_failure(&w, err);
	}
	x->response.status = cs_status_http(status);
	x->response.content_type = "application/json";
	exchange_finish(x);
}

static void run(struct job *base)
{
	struct owner_job *job = (struct owner_job *)base;
	struct exchange *x = job->exchange;
	struct cs_error err;
	struct op op = {
		.arena = &x->arena,
		.principal = &principal_anonymous,
		.deadline_ns = clock_mono_ns() + OWNER_DEADLINE_NS,
		.cancelled = &x->cancelled,
		.may_wait = true,
	};
	enum cs_status status = answer(job, &op, &err);

	finish(x, status, &err);
}

static void request(void *self, struct exchange *x)
{
	struct owner_http *owner = self;
	struct owner_job *job;
	struct cs_error err;

	if (!x->local || action_of(x->head->path).len == 0) {
		owner->inner.request(owner->inner.self, x);
		return;
	}
	job = arena_zalloc(&x->arena, sizeof *job);
	if (!job) {
		enum cs_status status = cs_fail_memory(&err);

		finish(x, status, &err);
		return;
	}
	*job = (struct owner_job){.job = {.run = run}, .owner = owner, .exchange = x};
	if (workers_submit(owner->workers, &job->job) != CS_OK) {
		enum cs_status status = cs_fail(&err, CS_LIMIT_EXCEEDED, "too many requests are waiting; try again");

		finish(x, status, &err);
	}
}

struct server_handler owner_http_handler(struct owner_http *self)
{
	return (struct server_handler){.self = self, .request = request};
}
