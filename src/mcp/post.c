/* POST /mcp, all revisions.
 *
 * A small body is parsed on the loop and, where the answer is in memory, answered there; what would wait goes to a
 * worker with the parsed message, a large body before it is parsed. Both run post_answer: `resolved` says how far the
 * first run came.
 *
 * Which revision governs. A request whose header or _meta names 2026-07-28 (or a version nobody knows, in _meta) is a
 * modern one and stands for itself. `initialize` without such _meta opens a session, whatever its header says.
 * Everything else belongs to a session, which knows its revision; MCP-Protocol-Version then only has to be one of ours,
 * for some clients send it before they know what was agreed, and some never.
 *
 * Cancelling. A modern client cancels by leaving. In the legacy revisions leaving means nothing and
 * notifications/cancelled does, so a worker's request is listed in its session by id. Batches are not listed.
 *
 * Statuses the transport pages leave open: 400 for what is no message, 200 for an error that answers an id. */
#include "base/utf8.h"
#include "mcp/batch.h"
#include "mcp/http.h"
#include "mcp/meta.h"

enum outcome { ANSWERED, WOULD_WAIT, LISTEN };

struct post {
	struct job job;
	struct loop_task task;
	struct visit visit;
	struct op op;
	struct json_doc doc;
	struct request request;
	struct session *session; /* while the request is listed in it */
	struct inflight inflight;
	bool resolved; /* the message is read and its revision known */
	bool batch;
};

static void prepare_reply(struct post *p, int status)
{
	p->visit.exchange->response.status = status;
	p->visit.exchange->response.content_type = "application/json";
}

static enum outcome answer_empty(struct post *p)
{
	p->visit.exchange->response.status = 202;
	p->visit.exchange->response.content_type = NULL;
	return ANSWERED;
}

static enum outcome answer_error(struct post *p, uint32_t id, const struct rpc_error *error)
{
	struct buffer *out = &p->visit.exchange->response.body;

	prepare_reply(p, error->http);
	buffer_clear(out);
	rpc_write_error(out, &p->doc, id, error);
	return ANSWERED;
}

static bool header_is_modern(const struct request_headers *h)
{
	const struct revision *revision = revision_find(h->version);

	return revision && revision->modern;
}

static bool resolve_modern(
	struct post *p, const struct rpc_message *message, const struct meta *meta, struct rpc_error *error)
{
	const struct request_headers *h = &p->visit.headers;

	if (h->repeated)
		return rpc_fail(error, RPC_HEADER_MISMATCH, 400, "Header mismatch: the %s header stands more than once",
			h->repeated);
	if (!h->version.ptr)
		return rpc_fail(
			error, RPC_HEADER_MISMATCH, 400, "Header mismatch: the MCP-Protocol-Version header is missing");
	if (meta->version.ptr && !slice_eq(meta->version, h->version))
		return rpc_fail(error, RPC_HEADER_MISMATCH, 400,
			"Header mismatch: the MCP-Protocol-Version header differs from the body's _meta");
	return meta_check(&p->doc, meta, &p->request.revision, error) &&
	       headers_mirror_body(h, &p->doc, message, error);
}

static bool check_headers(const struct request_headers *h, struct rpc_error *error)
{
	return !h->repeated ||
	       rpc_fail(error, RPC_INVALID_REQUEST, 400, "the %s header stands more than once", h->repeated);
}

static bool resolve_session(struct post *p, struct rpc_error *error)
{
	const struct request_headers *h = &p->visit.headers;

	if (!check_headers(h, error))
		return false;
	if (h->version.ptr && !revision_find(h->version)) {
		(void)rpc_fail(error, RPC_UNSUPPORTED_VERSION, 400, "Unsupported protocol version");
		error->requested = utf8_length(h->version) >= 0 ? h->version : (struct slice){0};
		return false;
	}
	if (!h->session.ptr)
		return rpc_fail(error, RPC_INVALID_REQUEST, 400,
			"the Mcp-Session-Id header is missing: open a session with initialize, or name 2026-07-28 in "
			"params._meta");
	p->request.revision = sessions_touch(p->visit.mcp->sessions, p->visit.principal, h->session);
	if (!p->request.revision)
		return rpc_fail(error, RPC_INVALID_REQUEST, 404, "Session not found: open a new one with initialize");
	return true;
}

/* Finds p->request.revision. */
static bool resolve(struct post *p, const struct rpc_message *message, struct rpc_error *error)
{
	struct meta meta = meta_read(&p->doc, message);
	bool opens = message->kind == RPC_REQUEST && slice_eq(message->method, S("initialize"));

	if (opens && !meta_claims_modern(&meta)) {
		p->request.revision = &revision_rows[REVISION_2025_11_25];
		return check_headers(&p->visit.headers, error);
	}
	if (message->kind == RPC_REQUEST && (meta_claims_modern(&meta) || header_is_modern(&p->visit.headers)))
		return resolve_modern(p, message, &meta, error);
	if (!header_is_modern(&p->visit.headers))
		return resolve_session(p, error);
	/* No revision gives clients of the modern era a message to send that is no request; notifications may come. */
	p->request.revision = &revision_rows[REVISION_2026_07_28];
	return message->kind == RPC_NOTIFICATION ||
	       rpc_fail(error, RPC_INVALID_REQUEST, 400, "revision 2026-07-28 has no responses from clients");
}

static struct slice id_text(struct arena *arena, const struct json_doc *doc, uint32_t id)
{
	struct buffer text;
	struct json_writer w;
	struct slice copy = {0};

	buffer_init(&text, INLINE_BYTES_MAX);
	w = json_writer(&text);
	rpc_write_id(&w, doc, id);
	if (!text.failed)
		copy = arena_copy(arena, buffer_slice(&text));
	buffer_release(&text);
	return copy;
}

static void notified(void *self, const struct rpc_message *message)
{
	struct post *p = self;
	uint32_t target = json_get(&p->doc, message->params, S("requestId"));
	struct session *session;
	struct slice id;

	if (!slice_eq(message->method, S("notifications/cancelled")) || p->request.revision->modern ||
		target == JSON_NONE)
		return;
	id = id_text(&p->visit.exchange->arena, &p->doc, target);
	session = session_ref(p->visit.mcp->sessions, p->visit.principal, p->visit.headers.session);
	if (session && id.ptr)
		session_cancel(session, id);
	session_unref(session);
}

/* Reads the message and finds its revision. True: go on; false: answered. */
static bool read_message(struct post *p)
{
	struct exchange *ex = p->visit.exchange;
	struct rpc_error error;
	struct cs_error err;
	struct rpc_message *message = &p->request.message;

	if (json_parse(&ex->arena, ex->body, JSON_LIMITS_DEFAULT, &p->doc, &err)) {
		(void)rpc_fail(&error, RPC_PARSE_ERROR, 400, "Parse error: %s", err.text);
		answer_error(p, JSON_NONE, &error);
		return false;
	}
	p->batch = json_type_of(&p->doc, 0) == JSON_ARRAY;
	if (p->batch) {
		*message = (struct rpc_message){.kind = RPC_RESPONSE, .id = JSON_NONE, .params = JSON_NONE};
		p->request.revision = &revision_rows[REVISION_2026_07_28];
		if ((header_is_modern(&p->visit.headers) || resolve_session(p, &error)) &&
			batch_check(p->request.revision, &p->doc, &error))
			return true;
	} else if (!rpc_classify(&p->doc, 0, message, &error)) {
		answer_error(p, JSON_NONE, &error);
		return false;
	} else if (resolve(p, message, &error)) {
		if (message->kind == RPC_REQUEST)
			return true;
		if (message->kind == RPC_NOTIFICATION)
			notified(p, message);
		answer_empty(p);
		return false;
	}
	answer_error(p, message->kind == RPC_REQUEST ? message->id : JSON_NONE, &error);
	return false;
}

static void open_session(struct post *p)
{
	struct exchange *ex = p->visit.exchange;
	char id[SESSION_ID_SIZE];
	struct rpc_error error;
	struct cs_error err;

	if (sessions_open(p->visit.mcp->sessions, p->visit.principal, p->request.negotiated, id, &err)) {
		(void)rpc_fail(&error, RPC_INTERNAL_ERROR, 503, "%s", err.text);
		answer_error(p, p->request.message.id, &error);
		return;
	}
	buffer_append(&ex->response.headers, S("Mcp-Session-Id: "));
	buffer_append(&ex->response.headers, slice_of(id, sizeof id));
	buffer_append(&ex->response.headers, S("\r\n"));
}

/* A reply that did not fit is replaced: the client learns that, not half of it. */
static void check_reply(struct post *p)
{
	struct exchange *ex = p->visit.exchange;
	struct rpc_error error;

	if (!ex->response.body.failed)
		return;
	(void)rpc_fail(&error, RPC_INTERNAL_ERROR, p->batch ? 500 : 200,
		"the reply is larger than %zu bytes; ask for less at once", ex->response.body.ceiling);
	answer_error(p, p->batch ? JSON_NONE : p->request.message.id, &error);
}

/* So that notifications/cancelled finds it. Without memory for the id it cannot be cancelled, which is all. */
static void enlist(struct post *p)
{
	if (p->session || !p->resolved || p->batch || p->request.revision->modern || !p->visit.headers.session.ptr)
		return;
	p->inflight.id = id_text(&p->visit.exchange->arena, &p->doc, p->request.message.id);
	if (!p->inflight.id.ptr)
		return;
	p->session = session_ref(p->visit.mcp->sessions, p->visit.principal, p->visit.headers.session);
	if (!p->session)
		return;
	session_inflight_add(p->session, &p->inflight);
	p->op.cancelled = &p->inflight.cancelled;
}

static enum outcome answer_batch(struct post *p)
{
	if (!p->op.may_wait)
		return WOULD_WAIT;
	if (!batch_run(&p->request, notified, p, &p->visit.exchange->response.body))
		return answer_empty(p);
	prepare_reply(p, 200);
	check_reply(p);
	return ANSWERED;
}

static enum outcome post_answer(struct post *p)
{
	struct exchange *ex = p->visit.exchange;

	if (!p->resolved && !read_message(p))
		return ANSWERED;
	p->resolved = true;
	if (p->batch)
		return answer_batch(p);
	if (p->op.may_wait) /* a body that was read only here is not listed yet */
		enlist(p);
	if (p->request.revision->modern)
		p->op.cancelled = &ex->cancelled;
	switch (dispatch_request(&p->request, &ex->response.body)) {
	case DISPATCH_WOULD_WAIT: return WOULD_WAIT;
	case DISPATCH_LISTEN: return LISTEN;
	case DISPATCH_REPLIED: break;
	}
	prepare_reply(p, p->request.http);
	if (p->request.negotiated)
		open_session(p);
	check_reply(p);
	return ANSWERED;
}

static void delist(struct post *p)
{
	if (!p->session)
		return;
	session_inflight_remove(p->session, &p->inflight);
	session_unref(p->session);
	p->session = NULL;
}

static void listen_on_loop(struct loop_task *task)
{
	struct post *p = (struct post *)((char *)task - offsetof(struct post, task));

	stream_listen(p->visit.exchange, &p->doc, p->request.message.id);
}

static void finish(struct post *p, enum outcome outcome)
{
	struct exchange *ex = p->visit.exchange;

	delist(p);
	if (outcome == ANSWERED) {
		exchange_finish(ex);
	} else if (!p->visit.headers.accepts_events) {
		http_refuse(ex, 406, "subscriptions/listen answers with text/event-stream; accept it");
	} else if (p->op.may_wait) {
		p->task.run = listen_on_loop;
		loop_post(ex->loop, &p->task);
	} else {
		listen_on_loop(&p->task);
	}
}

static void run_on_worker(struct job *job)
{
	struct post *p = (struct post *)((char *)job - offsetof(struct post, job));

	p->op.may_wait = true;
	finish(p, post_answer(p));
}

static void hand_over(struct post *p)
{
	struct cs_error err;
	struct rpc_error error;

	p->job.run = run_on_worker;
	p->job.bulk = p->visit.exchange->body.len > INLINE_BYTES_MAX;
	enlist(p);
	if (workers_submit(p->visit.mcp->options.workers, &p->job) == CS_OK)
		return;
	(void)!cs_fail(&err, CS_RATE_LIMIT, "too many requests are waiting; try again in a moment");
	if (p->resolved && !p->batch) {
		dispatch_refuse(&p->request, &err, &p->visit.exchange->response.body);
		prepare_reply(p, 200);
	} else {
		(void)rpc_fail(&error, RPC_INTERNAL_ERROR, 503, "%s", err.text);
		answer_error(p, JSON_NONE, &error);
	}
	finish(p, ANSWERED);
}

void post_message(const struct visit *v)
{
	struct exchange *ex = v->exchange;
	struct post *p;
	enum outcome outcome;

	/* Some clients leave Content-Type out; a form or plain text is what a foreign page could send without asking.
	 */
	if (v->headers.content_type.ptr && !headers_media_is(v->headers.content_type, S("application/json"))) {
		http_refuse(ex, 415, "the body must be application/json");
		return;
	}
	if (!v->headers.accepts_json) {
		http_refuse(ex, 406, "the answer is application/json; accept it, and text/event-stream beside it");
		return;
	}
	p = arena_alloc(&ex->arena, sizeof *p);
	if (!p) {
		http_refuse(ex, 503, "out of memory; try again in a moment");
		return;
	}
	*p = (struct post){.visit = *v};
	p->op = (struct op){.arena = &ex->arena,
		.principal = v->principal,
		.deadline_ns = mcp_deadline(v->mcp, ex->started_ns),
		.started_ns = ex->started_ns};
	p->request = (struct request){.dispatcher = &v->mcp->dispatcher, .op = &p->op, .doc = &p->doc};
	if (ex->body.len > INLINE_BYTES_MAX) {
		hand_over(p);
		return;
	}
	outcome = post_answer(p);
	if (outcome == WOULD_WAIT)
		hand_over(p);
	else
		finish(p, outcome);
}
