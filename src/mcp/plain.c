/* Everything but /mcp: tools for curl and old clients, health, metrics.
 *
 * POST /tools/{name} takes the arguments as its body and gives the tool's object with the status of its error_type. It
 * follows the same path as tools/call: parsed and tried on the loop when small, else on a worker.
 *
 * Health. /health/live says that the program runs and touches nothing, /health that and whether a server behind the
 * store is known to be down; both are 200. /health/ready asks the store (it writes and reads one row) and is 503 when
 * something is not as it should be; /health/detailed adds what the store holds. /status and /metrics are answered from
 * memory. */
#include "base/clock.h"
#include "base/metrics.h"
#include "base/version.h"
#include "mcp/health.h"
#include "mcp/http.h"
#include "store/embedding.h"

#define TOOLS_PREFIX_LENGTH (sizeof "/tools/" - 1)

static void finish_json(struct exchange *ex, int status)
{
	ex->response.status = status;
	ex->response.content_type = "application/json";
	exchange_finish(ex);
}

struct plain {
	struct job job;
	struct visit visit;
	struct op op;
	struct json_doc doc;
	const struct tool *tool;
	bool parsed;
	void (*answer)(struct plain *); /* of a health page */
};

static struct plain *new_plain(const struct visit *v)
{
	struct exchange *ex = v->exchange;
	struct plain *p = arena_alloc(&ex->arena, sizeof *p);

	if (!p) {
		http_refuse(ex, 503, "out of memory; try again in a moment");
		return NULL;
	}
	*p = (struct plain){.visit = *v};
	p->op = (struct op){.arena = &ex->arena,
		.principal = v->principal,
		.deadline_ns = mcp_deadline(v->mcp, ex->started_ns),
		.started_ns = ex->started_ns,
		.cancelled = &ex->cancelled};
	return p;
}

void plain_tools(const struct visit *v)
{
	struct json_writer w = json_writer(&v->exchange->response.body);

	json_begin_object(&w);
	json_key_raw(&w, "tools", buffer_slice(&v->mcp->dispatcher.catalogue.lists[TOOL_FORM_FULL]));
	json_end_object(&w);
	finish_json(v->exchange, 200);
}

static void finish_failure(struct exchange *ex, const struct cs_error *failure, int status)
{
	struct json_writer w;

	buffer_clear(&ex->response.body);
	w = json_writer(&ex->response.body);
	tool_write_failure(&w, failure);
	finish_json(ex, status);
}

static enum cs_status read_arguments(struct plain *p, struct cs_error *err)
{
	struct exchange *ex = p->visit.exchange;
	struct slice body = slice_trim(ex->body).len ? ex->body : S("{}");
	enum cs_status status = json_parse(&ex->arena, body, JSON_LIMITS_DEFAULT, &p->doc, err);

	if (status == CS_OK && json_type_of(&p->doc, 0) != JSON_OBJECT)
		status = cs_fail(err, CS_VALIDATION, "the body must be a JSON object: the tool's arguments");
	p->parsed = status == CS_OK;
	return status;
}

/* False: the call would have to wait, and nothing was written. */
static bool run_call(struct plain *p)
{
	struct exchange *ex = p->visit.exchange;
	struct cs_error err;
	enum cs_status status;

	if (!p->parsed) {
		status = read_arguments(p, &err);
		if (status) {
			finish_failure(ex, &err, cs_status_http(status));
			return true;
		}
	}
	if (!p->op.may_wait && !p->tool->from_memory)
		return false;
	status = tool_run(&p->visit.mcp->dispatcher.host, &p->op, p->tool, &p->doc, 0, &ex->response.body);
	if (status == CS_WOULD_WAIT)
		return false;
	if (ex->response.body.failed) {
		status = cs_fail(&err, CS_LIMIT_EXCEEDED, "the result is larger than %zu bytes; ask for less at once",
			ex->response.body.ceiling);
		finish_failure(ex, &err, cs_status_http(status));
		return true;
	}
	finish_json(ex, cs_status_http(status));
	return true;
}

static void call_on_worker(struct job *job)
{
	struct plain *p = (struct plain *)((char *)job - offsetof(struct plain, job));

	p->op.may_wait = true;
	(void)run_call(p); /* a worker may wait, so it answers */
}

static void submit(struct plain *p, void (*run)(struct job *))
{
	struct cs_error err;

	p->job.run = run;
	if (workers_submit(p->visit.mcp->options.workers, &p->job) == CS_OK)
		return;
	(void)!cs_fail(&err, CS_RATE_LIMIT, "too many requests are waiting; try again in a moment");
	finish_failure(p->visit.exchange, &err, cs_status_http(CS_RATE_LIMIT));
}

static void refuse_tool(struct exchange *ex, struct slice name)
{
	const char *nearest = tool_nearest(name);
	struct cs_error err;

	if (nearest)
		(void)!cs_fail(&err, CS_NOT_FOUND, "there is no such tool; did you mean %s?", nearest);
	else
		(void)!cs_fail(&err, CS_NOT_FOUND, "there is no such tool; GET /tools lists all");
	finish_failure(ex, &err, cs_status_http(CS_NOT_FOUND));
}

void plain_call(const struct visit *v)
{
	struct exchange *ex = v->exchange;
	struct slice name = slice_from(ex->head->path, TOOLS_PREFIX_LENGTH);
	struct slice type = v->headers.content_type;
	const struct tool *tool = tool_find(name);
	struct plain *p;

	if (!tool) {
		refuse_tool(ex, name);
		return;
	}
	/* curl -d says it sends a form; the Origin check keeps foreign pages from making use of that. */
	if (type.ptr && !headers_media_is(type, S("application/json")) &&
		!headers_media_is(type, S("application/x-www-form-urlencoded"))) {
		http_refuse(ex, 415, "the body must be application/json");
		return;
	}
	p = new_plain(v);
	if (!p)
		return;
	p->tool = tool;
	p->job.bulk = ex->body.len > INLINE_BYTES_MAX;
	if (ex->body.len > INLINE_BYTES_MAX || !run_call(p))
		submit(p, call_on_worker);
}

static struct json_writer begin_health(struct exchange *ex, struct slice status)
{
	struct json_writer w = json_writer(&ex->response.body);

	json_begin_object(&w);
	json_key_str(&w, "status", status);
	json_key_str(&w, "name", S(CS_NAME));
	json_key_str(&w, "version", S(CS_VERSION));
	return w;
}

void plain_health(const struct visit *v)
{
	const struct tool_host *host = &v->mcp->dispatcher.host;
	struct op op = {.arena = &v->exchange->arena, .principal = v->principal, .deadline_ns = OP_NO_DEADLINE};
	struct store *store = NULL;
	bool up = host->acquire(host->self, &op, &store, NULL) != CS_OK || !store || health_backends_up(store, S(""));
	struct json_writer w = begin_health(v->exchange, up ? S("healthy") : S("degraded"));

	json_end_object(&w);
	finish_json(v->exchange, 200);
}

void plain_live(const struct visit *v)
{
	struct json_writer w = begin_health(v->exchange, S("alive"));

	json_end_object(&w);
	finish_json(v->exchange, 200);
}

static enum cs_status probe(struct plain *p, struct store **ret_store, int64_t *ret_took_ns, struct cs_error *err)
{
	const struct tool_host *host = &p->visit.mcp->dispatcher.host;
	int64_t start = clock_mono_ns();
	enum cs_status status = host->acquire(host->self, &p->op, ret_store, err);

	if (status == CS_OK && *ret_store)
		status = (*ret_store)->contexts.probe((*ret_store)->contexts.self, &p->op, err);
	*ret_took_ns = clock_mono_ns() - start;
	return status;
}

static void write_probe(struct json_writer *w, enum cs_status status, int64_t took_ns, const struct cs_error *err)
{
	json_write_name(w, S("store"));
	json_begin_object(w);
	json_key_str(w, "status", status ? S("failed") : S("ok"));
	json_key_f64(w, "probe_ms", (double)took_ns / 1e6);
	if (status) {
		json_key_str(w, "error_type", slice_cstr(cs_status_type(status)));
		json_key_str(w, "message", slice_cstr(err->text));
	}
	json_end_object(w);
}

/* Is it degraded: the store works, and a server behind it does not? */
static bool is_degraded(const struct plain *p, enum cs_status status, const struct store *store)
{
	return status == CS_OK && store && !health_backends_up(store, p->visit.exchange->head->query);
}

static void answer_ready(struct plain *p)
{
	struct store *store = NULL;
	struct cs_error err;
	int64_t took_ns;
	enum cs_status status = probe(p, &store, &took_ns, &err);
	bool degraded = is_degraded(p, status, store);
	struct json_writer w = begin_health(p->visit.exchange, status     ? S("not_ready")
							       : degraded ? S("degraded")
									  : S("ready"));

	write_probe(&w, status, took_ns, &err);
	if (store)
		health_write_backends(&w, store, false);
	json_end_object(&w);
	finish_json(p->visit.exchange, status || degraded ? 503 : 200);
}

static void write_counts(struct json_writer *w, const struct context_counts *counts)
{
	json_write_name(w, S("counts"));
	json_begin_object(w);
	json_key_u64(w, "contexts", counts->contexts);
	json_key_u64(w, "relationships", counts->relationships);
	json_key_u64(w, "keys", counts->keys);
	json_key_u64(w, "file_bytes", counts->file_bytes);
	json_end_object(w);
}

/* Whether texts get vectors, and how many contexts have theirs. */
static void write_embedding(struct json_writer *w, struct plain *p, struct store *store)
{
	struct embedding_status now;
	struct vector_stats stats;

	embedding_status(store->embedding, &now);
	json_write_name(w, S("embedding"));
	json_begin_object(w);
	json_key_str(w, "status", slice_cstr(embedding_state_names[now.state]));
	if (*now.reason)
		json_key_str(w, "reason", slice_cstr(now.reason));
	if (*now.model_id)
		json_key_str(w, "model", slice_cstr(now.model_id));
	json_key_u64(w, "waiting", now.waiting);
	json_key_u64(w, "cached", now.cached);
	json_key_bool(w, "repairing", now.repairing);
	json_end_object(w);
	if (!store->vectors.stats || store->vectors.stats(store->vectors.self, &p->op, &stats, NULL) != CS_OK)
		return;
	json_write_name(w, S("vectors"));
	json_begin_object(w);
	json_key_u64(w, "vectors", stats.vectors);
	json_key_u64(w, "without", stats.without);
	json_key_str(w, "model", stats.model_id);
	json_key_u64(w, "dimension", stats.dimension);
	json_end_object(w);
}

static void answer_detailed(struct plain *p)
{
	const struct mcp *mcp = p->visit.mcp;
	struct context_counts counts;
	struct store *store = NULL;
	struct cs_error err;
	int64_t took_ns;
	enum cs_status status = probe(p, &store, &took_ns, &err);
	bool degraded = is_degraded(p, status, store);
	struct json_writer w = begin_health(p->visit.exchange, status     ? S("unhealthy")
							       : degraded ? S("degraded")
									  : S("healthy"));

	json_key_i64(&w, "uptime_s", (clock_mono_ns() - mcp->started_ns) / 1000000000);
	json_key_i64(&w, "sessions", sessions_count(mcp->sessions));
	json_key_bool(&w, "keys_configured", auth_configured(mcp->auth));
	write_probe(&w, status, took_ns, &err);
	if (status == CS_OK && store && store->contexts.counts(store->contexts.self, &p->op, &counts, &err) == CS_OK)
		write_counts(&w, &counts);
	if (status == CS_OK && store)
		write_embedding(&w, p, store);
	if (store)
		health_write_backends(&w, store, true);
	json_end_object(&w);
	finish_json(p->visit.exchange, status || degraded ? 503 : 200);
}

static void health_on_worker(struct job *job)
{
	struct plain *p = (struct plain *)((char *)job - offsetof(struct plain, job));

	p->op.may_wait = true;
	p->answer(p);
}

static void ask_store(const struct visit *v, void (*answer)(struct plain *))
{
	struct plain *p = new_plain(v);

	if (!p)
		return;
	p->answer = answer;
	submit(p, health_on_worker);
}

void plain_ready(const struct visit *v)
{
	ask_store(v, answer_ready);
}

void plain_detailed(const struct visit *v)
{
	ask_store(v, answer_detailed);
}

void plain_status(const struct visit *v)
{
	const struct mcp *mcp = v->mcp;
	int64_t now_ns = clock_mono_ns();
	struct json_writer w = json_writer(&v->exchange->response.body);

	json_begin_object(&w);
	json_key_str(&w, "name", S(CS_NAME));
	json_key_str(&w, "version", S(CS_VERSION));
	json_key_i64(&w, "uptime_s", (now_ns - mcp->started_ns) / 1000000000);
	status_write(mcp->status, now_ns, &w);
	json_end_object(&w);
	finish_json(v->exchange, 200);
}

/* Answered on the loop and not by a worker: it must come when all workers wait, and then most of all. */
void plain_metrics(const struct visit *v)
{
	metrics_write(&v->exchange->response.body);
	v->exchange->response.status = 200;
	v->exchange->response.content_type = "text/plain; version=0.0.4; charset=utf-8";
	exchange_finish(v->exchange);
}

void plain_root(const struct visit *v)
{
	buffer_append(&v->exchange->response.body,
		S("Context Store " CS_VERSION " runs here. It is made for programs:\n\n"
		  "  /mcp            Model Context Protocol (Streamable HTTP): the address to give an MCP client\n"
		  "  /tools          the tools and their schemas; POST /tools/{name} calls one with plain JSON\n"
		  "  /health         is it running; /health/ready asks the store, /health/detailed says more\n"
		  "  /status         is it well: response time, connections, memory and CPU against their thresholds\n"
		  "  /metrics        Prometheus text\n"));
	v->exchange->response.status = 200;
	v->exchange->response.content_type = "text/plain; charset=utf-8";
	exchange_finish(v->exchange);
}
