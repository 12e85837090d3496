/* Event streams.
 *
 * A session's GET stream carries nothing yet but its heartbeat: it is what legacy clients open after initialize, and
 * what tells them that the server is gone. It takes one of the session's places, and ends with the session.
 *
 * subscriptions/listen (2026-07-28) is a request whose answer stays open: the acknowledgement first, and when the
 * server drains, the result, which tells a graceful end from a broken line. The result is made at the start, for the
 * message it is made from does not outlive the exchange. */
#include "mcp/http.h"

#define EVENT_BYTES_MAX (64u << 10)

struct session_stream {
	struct session *session;
	int place;
};

static void session_stream_closed(void *self, struct sse *stream)
{
	struct session_stream *s = self;

	session_give_place(s->session, s->place);
	session_unref(s->session);
	free(s);
}

static void drop_session_stream(struct session_stream *s)
{
	if (s->place >= 0)
		session_give_place(s->session, s->place);
	session_unref(s->session);
	free(s);
}

/* The session a GET or DELETE names, or NULL and the exchange is answered. */
static struct session *find_session(const struct visit *v)
{
	const struct revision *revision = revision_find(v->headers.version);
	struct session *session;

	if (revision && revision->modern) {
		buffer_append(&v->exchange->response.headers, S("Allow: POST, OPTIONS\r\n"));
		http_refuse(v->exchange, 405, "revision 2026-07-28 has no sessions and no GET stream");
		return NULL;
	}
	if (v->headers.version.ptr && !revision) {
		http_refuse(v->exchange, 400, "MCP-Protocol-Version names no revision this server knows");
		return NULL;
	}
	if (!v->headers.session.ptr) {
		http_refuse(v->exchange, 400, "the Mcp-Session-Id header is missing: open a session with initialize");
		return NULL;
	}
	session = session_ref(v->mcp->sessions, v->principal, v->headers.session);
	if (!session)
		http_refuse(v->exchange, 404, "session not found: open a new one with initialize");
	return session;
}

static void prepare_stream(struct exchange *ex)
{
	ex->response.status = 200;
	ex->response.content_type = "text/event-stream";
	/* Proxies that buffer would hold messages back. */
	buffer_append(&ex->response.headers, S("Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"));
}

void stream_open_session(const struct visit *v)
{
	struct exchange *ex = v->exchange;
	struct session_stream *s;
	struct session *session;
	struct sse *stream;

	if (!v->headers.accepts_events) {
		http_refuse(ex, 406, "a GET of this path is an event stream; accept text/event-stream");
		return;
	}
	session = find_session(v);
	if (!session)
		return;
	s = malloc(sizeof *s);
	if (!s) {
		session_unref(session);
		http_refuse(ex, 503, "out of memory; try again in a moment");
		return;
	}
	*s = (struct session_stream){session, session_take_place(session)};
	if (s->place < 0) {
		drop_session_stream(s);
		http_refuse(ex, 409, "this session has as many event streams as it may have (4)");
		return;
	}
	prepare_stream(ex);
	stream = exchange_stream(ex, (struct sse_hooks){.self = s, .closed = session_stream_closed});
	if (stream)
		session_attach(session, s->place, stream);
	else
		drop_session_stream(s);
}

void stream_close_session(const struct visit *v)
{
	struct session *session = find_session(v);

	if (!session)
		return;
	session_unref(session);
	/* Another request may have closed it since: gone is gone. */
	(void)sessions_close(v->mcp->sessions, v->principal, v->headers.session);
	http_finish_empty(v->exchange, 204);
}

struct subscription {
	struct buffer first, last; /* the acknowledgement; the result */
};

static void free_subscription(struct subscription *s)
{
	buffer_release(&s->first);
	buffer_release(&s->last);
	free(s);
}

static void subscription_closed(void *self, struct sse *stream)
{
	free_subscription(self);
}

static void subscription_ending(void *self, struct sse *stream)
{
	struct subscription *s = self;

	sse_send(stream, buffer_slice(&s->last));
}

static struct subscription *new_subscription(const struct json_doc *doc, uint32_t id)
{
	struct subscription *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	buffer_init(&s->first, EVENT_BYTES_MAX);
	buffer_init(&s->last, EVENT_BYTES_MAX);
	dispatch_write_acknowledged(&s->first, doc, id);
	dispatch_write_listen_result(&s->last, doc, id);
	if (!s->first.failed && !s->last.failed)
		return s;
	free_subscription(s);
	return NULL;
}

void stream_listen(struct exchange *ex, const struct json_doc *doc, uint32_t id)
{
	struct subscription *s = new_subscription(doc, id);
	struct sse *stream;

	if (!s) {
		http_refuse(ex, 503, "out of memory; try again in a moment");
		return;
	}
	prepare_stream(ex);
	stream = exchange_stream(
		ex, (struct sse_hooks){.self = s, .closed = subscription_closed, .ending = subscription_ending});
	if (!stream) {
		free_subscription(s);
		return;
	}
	/* If it does not go through, the stream is closing: the client left. */
	if (sse_send(stream, buffer_slice(&s->first)))
		buffer_release(&s->first);
}
