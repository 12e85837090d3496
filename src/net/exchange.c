/* Exchanges: the pool, and how a response leaves.
 *
 * The usual response is one send (and those of a pipeline that can be given at once share one) of head and body that
 * the kernel takes whole, from memory the loop already has: no allocation, no request object. A small body is copied
 * behind its head, which costs less than gathering two pieces in the kernel; a large one is sent from where it is, by
 * a second call. send and not libuv's uv_try_write, because the kernel takes a shorter way to a socket by it than by
 * write. Only what the kernel refuses gets an object of its own, which takes the body's memory along, so that the
 * exchange is free at once.
 *
 * Everything below runs on the exchange's loop, but exchange_finish, which brings it there. */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/server_internal.h"

struct exchange *exchange_take(struct home *home)
{
	struct exchange *ex = home->pool;

	if (ex) {
		home->pool = ex->next;
		home->pool_count--;
	} else {
		ex = malloc(sizeof(*ex));
		if (!ex)
			return NULL;
		buffer_init(&ex->response.headers, HTTP_LIMITS_DEFAULT.headers);
		buffer_init(&ex->response.body, home->server->options.response_max);
	}
	home->exchanges_out++;
	arena_init(&ex->arena, ex->own, sizeof(ex->own), home->server->options.arena_ceiling);
	ex->home = home;
	ex->loop = home->loop;
	ex->body_memory = NULL;
	ex->user = NULL;
	ex->response.status = 200;
	ex->response.content_type = NULL;
	ex->response.close = false;
	atomic_init(&ex->cancelled, false);
	return ex;
}

static void clear(struct buffer *b, size_t keep)
{
	if (b->cap > keep)
		buffer_release(b);
	buffer_clear(b);
}

void exchange_give(struct home *home, struct exchange *ex)
{
	arena_release(&ex->arena);
	free(ex->body_memory);
	clear(&ex->response.headers, POOL_BODY_BYTES);
	clear(&ex->response.body, POOL_BODY_BYTES);
	home->exchanges_out--;
	if (home->pool_count < POOL_EXCHANGES) {
		ex->next = home->pool;
		home->pool = ex;
		home->pool_count++;
	} else {
		buffer_release(&ex->response.headers);
		buffer_release(&ex->response.body);
		free(ex);
	}
}

void exchange_pool_free(struct home *home)
{
	while (home->pool) {
		struct exchange *ex = home->pool;

		home->pool = ex->next;
		buffer_release(&ex->response.headers);
		buffer_release(&ex->response.body);
		free(ex);
	}
	home->pool_count = 0;
}

void response_count(struct home *home, int status)
{
	struct metric_series **series = &home->responses[status];

	if (!*series) {
		char label[12];

		snprintf(label, sizeof(label), "%d", status);
		*series = metric_series(METRIC_HTTP_RESPONSES, slice_cstr(label));
	}
	metric_add(*series, 1);
}

static void append_number(struct buffer *out, size_t value)
{
	char digits[24];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	buffer_append(out, slice_of(digits + at, sizeof(digits) - at));
}

struct buffer *connection_out(struct connection *c)
{
	struct home *home = c->home;

	assert(!home->gathering || home->gathering == c);
	if (!home->gathering)
		buffer_clear(&home->out);
	home->gathering = NULL;
	return &home->out;
}

/* Status line and Date. */
static void start_head(struct connection *c, int status)
{
	struct home *home = c->home;
	struct buffer *out = connection_out(c);

	if (status == 200) {
		buffer_append(out, S("HTTP/1.1 200 OK\r\n"));
	} else {
		buffer_append(out, S("HTTP/1.1 "));
		append_number(out, (size_t)status);
		buffer_append(out, S(" "));
		buffer_append(out, slice_cstr(http_reason(status)));
		buffer_append(out, S("\r\n"));
	}
	buffer_append(out, slice_of(home->date, home->date_len));
	response_count(home, status);
}

static void on_write(uv_write_t *request, int status)
{
	struct waiting_write *w = (struct waiting_write *)request;
	struct connection *c = w->connection;

	c->write = NULL;
	buffer_release(&w->body);
	free(w);
	if (c->closing)
		return;
	if (status)
		connection_close(c);
	else
		connection_written(c);
}

/* The kernel took `sent` of both. */
static bool wait_to_write(struct connection *c, struct slice head, struct buffer *body, size_t sent)
{
	size_t head_sent = sent < head.len ? sent : head.len, head_left = head.len - head_sent;
	struct waiting_write *w = malloc(sizeof(*w) + head_left);
	uv_buf_t parts[2];

	if (!w)
		return false;
	w->connection = c;
	w->head_len = head_left;
	if (head_left)
		memcpy(w->head, head.ptr + head_sent, head_left);
	w->body = *body;
	buffer_init(body, body->ceiling);
	sent -= head_sent;
	parts[0] = uv_buf_init(w->head, (unsigned)head_left);
	parts[1] = uv_buf_init(w->body.ptr + sent, (unsigned)(w->body.len - sent));
	if (uv_write(&w->request, &c->stream, parts, w->body.len > sent ? 2 : 1, on_write)) {
		buffer_release(&w->body);
		free(w);
		return false;
	}
	c->write = w;
	c->unsent = uv_stream_get_write_queue_size(&c->stream);
	c->since_ns = clock_mono_ns();
	return true;
}

/* Adds to *sent what the kernel takes now; false: the connection is broken. */
static bool send_now(const struct connection *c, struct slice bytes, int flags, size_t *sent)
{
	ssize_t n;

	if (bytes.len == 0)
		return true;
	do
		n = send(c->fd, bytes.ptr, bytes.len, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == ENOBUFS;
	*sent += (size_t)n;
	return true;
}

bool connection_send(struct connection *c, struct slice head, struct buffer *body)
{
	bool sound = true;
	size_t sent = 0;

	if (c->closing)
		return false;
	if (!c->write) {
		sound = send_now(c, head, body->len ? MSG_MORE : 0, &sent);
		if (sound && sent == head.len)
			sound = send_now(c, buffer_slice(body), 0, &sent);
	}
	if (sent == head.len + body->len)
		return true;
	if (!sound || c->write || !wait_to_write(c, head, body, sent))
		connection_close(c);
	return false;
}

/* A response the handler could not fit becomes an error that says so. */
static void check_response(struct response *r)
{
	if (r->status < 200 || r->status > STATUS_MAX)
		r->status = 500;
	if (!r->headers.failed && !r->body.failed)
		return;
	buffer_clear(&r->headers);
	clear(&r->body, POOL_BODY_BYTES);
	buffer_append(&r->body, S("{\"error\":\"the response is too large\"}"));
	r->content_type = "application/json";
	r->status = 500;
}

static void compose(struct connection *c, struct exchange *ex)
{
	const struct response *r = &ex->response;
	struct buffer *out = &c->home->out;
	bool no_length = r->status == 204 || r->status == 304;

	start_head(c, r->status);
	if (r->content_type && !no_length) {
		buffer_append(out, S("Content-Type: "));
		buffer_append(out, slice_cstr(r->content_type));
		buffer_append(out, S("\r\n"));
	}
	if (!no_length) {
		buffer_append(out, S("Content-Length: "));
		append_number(out, r->content_type ? r->body.len : 0);
		buffer_append(out, S("\r\n"));
	}
	if (c->close_after)
		buffer_append(out, S("Connection: close\r\n"));
	else if (ex->head->minor == 0)
		buffer_append(out, S("Connection: keep-alive\r\n"));
	buffer_append(out, buffer_slice(&r->headers));
	buffer_append(out, S("\r\n"));
	if (r->content_type && !no_length && ex->head->method != HTTP_HEAD) {
		if (r->body.len > JOINED_MAX)
			return;
		buffer_append(out, buffer_slice(&r->body));
	}
	buffer_clear(&ex->response.body);
}

/* Of a client that pipelines, what it has asked and can be answered at once is answered by one send, when feed() has
 * gone through all that was read. */
static bool gather(struct connection *c, const struct exchange *ex)
{
	struct home *home = c->home;

	if (!c->feeding || c->close_after || ex->response.body.len > 0 || home->out.failed ||
		home->out.len > GATHERED_MAX)
		return false;
	home->gathering = c;
	return true;
}

void connection_flush(struct connection *c)
{
	struct buffer nothing;

	if (c->home->gathering != c)
		return;
	buffer_init(&nothing, 0);
	(void)connection_send(c, buffer_slice(connection_out(c)), &nothing);
}

static void respond(struct home *home, struct exchange *ex)
{
	struct connection *c = ex->connection;
	bool out = false;

	if (!c) { /* the client left */
		exchange_give(home, ex);
		home_check_drained(home);
		return;
	}
	check_response(&ex->response);
	c->close_after =
		ex->response.close || !ex->head->keep_alive || home->draining || (c->half_closed && !c->intake);
	compose(c, ex);
	c->exchange = NULL;
	if (home->out.failed)
		connection_close(c);
	else if (!gather(c, ex))
		out = connection_send(c, buffer_slice(&home->out), &ex->response.body);
	exchange_give(home, ex);
	if (out)
		connection_written(c);
}

static void on_finish(struct loop_task *task)
{
	struct exchange *ex = (struct exchange *)((char *)task - offsetof(struct exchange, task));

	respond(ex->home, ex);
}

void exchange_finish(struct exchange *ex)
{
	if (loop_is_current(ex->loop)) {
		respond(ex->home, ex);
	} else {
		ex->task.run = on_finish;
		loop_post(ex->loop, &ex->task);
	}
}

void connection_refuse(struct connection *c, int status, const char *text)
{
	struct home *home = c->home;
	struct buffer nothing;

	buffer_init(&nothing, 0);
	start_head(c, status);
	/* The texts are constants of ours without quotes or backslashes. */
	buffer_append(&home->out, S("Content-Type: application/json\r\nConnection: close\r\nContent-Length: "));
	append_number(&home->out, strlen(text) + sizeof("{\"error\":\"\"}") - 1);
	buffer_append(&home->out, S("\r\n\r\n{\"error\":\""));
	buffer_append(&home->out, slice_cstr(text));
	buffer_append(&home->out, S("\"}"));
	c->close_after = true;
	if (home->out.failed)
		connection_close(c);
	else if (connection_send(c, buffer_slice(&home->out), &nothing))
		connection_written(c);
}
