/* Connections: bytes in, one exchange at a time, and what ends one.
 *
 * An idle connection is its struct and nothing else. Bytes arrive in the loop's buffer; a request that is whole there
 * is parsed in place and copied once, into its exchange. Only what is incomplete, or comes while an exchange is under
 * way, is kept in an `intake`, which is freed when it is empty. Its buffers grow by doubling with what has really come,
 * never by what a header promises. Reading is left on while an exchange runs (that is how a client's leaving is seen,
 * and it saves two epoll_ctl per request); it stops only when HELD_MAX bytes wait. What is answered while feed() goes
 * through a pipeline is gathered in home->out and leaves by one send.
 *
 * Ends. A client that shuts down its side still gets the answer to what it has asked whole. After an error, or a
 * response that ends the connection, our side is shut down and what still comes is read and dropped for LINGER_NS:
 * closing with unread bytes would send a reset, and the client would lose the response. Invariant: with exchange, write
 * or sse set nothing is parsed. Freed only in on_closed, so callers need not look twice. */
#include <assert.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/server_internal.h"

static void feed(struct connection *c, struct slice input);

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = (struct connection *)handle;
	struct home *home = c->home;

	if (c->sse)
		sse_on_closed(c->sse);
	else
		atomic_fetch_sub(&home->load, 1);
	if (c->previous)
		c->previous->next = c->next;
	else
		home->connections = c->next;
	if (c->next)
		c->next->previous = c->previous;
	home->connection_count--;
	atomic_fetch_sub(&home->server->open, 1);
	metric_add(home->server->connections_metric, -1);
	free(c);
	home_go_on_accepting(home);
	home_check_drained(home);
}

static void free_intake(struct connection *c)
{
	struct intake *in = c->intake;

	if (!in)
		return;
	c->intake = NULL;
	buffer_release(&in->held);
	buffer_release(&in->head);
	buffer_release(&in->body);
	free(in);
}

void connection_close(struct connection *c)
{
	if (!c->closing)
		connection_flush(c); /* which may close it */
	if (c->closing)
		return;
	c->closing = true;
	if (c->exchange) {
		atomic_store(&c->exchange->cancelled, true);
		c->exchange->connection = NULL;
		c->exchange = NULL;
	}
	if (c->sse)
		sse_on_close(c->sse);
	free_intake(c);
	c->fd = -1; /* libuv closes it now, and the number may be another's at once */
	uv_close(&c->handle, on_closed);
}

void connection_drop_input(struct connection *c)
{
	if (!c->feeding) /* else feed() does, which still looks at it */
		free_intake(c);
}

static bool busy(const struct connection *c)
{
	return c->exchange || c->write || c->sse || c->lingering || c->closing;
}

static struct intake *need_intake(struct connection *c)
{
	const struct http_limits *limits = &c->home->server->options.limits;

	if (c->intake)
		return c->intake;
	c->intake = calloc(1, sizeof(*c->intake));
	if (!c->intake)
		return NULL;
	buffer_init(&c->intake->held, HELD_MAX + INPUT_BYTES + limits->request_line + limits->headers);
	buffer_init(&c->intake->head, HELD_MAX + INPUT_BYTES + limits->request_line + limits->headers);
	buffer_init(&c->intake->body, limits->body);
	return c->intake;
}

/* ---- A request is whole ---- */

/* A copy of the scratch head whose slices point into `to` where they pointed into `from`. */
static struct http_head *copy_head(struct arena *arena, const struct http_head *head, struct slice from, const char *to)
{
	size_t size = offsetof(struct http_head, headers) + head->header_count * sizeof(head->headers[0]);
	struct http_head *copy = arena_alloc(arena, size);
	struct slice *slices[4];

	if (!copy)
		return NULL;
	memcpy(copy, head, size);
	slices[0] = &copy->method_name;
	slices[1] = &copy->target;
	slices[2] = &copy->path;
	slices[3] = &copy->query;
	for (size_t i = 0; i < 4; i++) /* path may be a constant of the parser's */
		if (slices[i]->ptr >= from.ptr && slices[i]->ptr <= from.ptr + from.len)
			slices[i]->ptr = to + (slices[i]->ptr - from.ptr);
	for (uint32_t i = 0; i < copy->header_count; i++) {
		copy->headers[i].name.ptr = to + (copy->headers[i].name.ptr - from.ptr);
		copy->headers[i].value.ptr = to + (copy->headers[i].value.ptr - from.ptr);
	}
	return copy;
}

/* The scratch head of the home was parsed from `head`; `with_body` bytes of body stand right behind it, or else
 * `memory` holds the body and is taken over. */
static void dispatch(struct connection *c, struct slice head, size_t with_body, struct buffer *memory)
{
	struct home *home = c->home;
	struct exchange *ex = exchange_take(home);
	struct slice copy;

	if (!ex) {
		connection_refuse(c, 503, "out of memory; try again in a moment");
		return;
	}
	copy = arena_copy(&ex->arena, slice_of(head.ptr, head.len + with_body));
	ex->head = copy.ptr ? copy_head(&ex->arena, &home->head, head, copy.ptr) : NULL;
	if (!ex->head) {
		exchange_give(home, ex);
		connection_refuse(c, 503, "the request needs more memory than one request may have");
		return;
	}
	ex->body = slice_of(copy.ptr + head.len, with_body);
	if (memory) {
		ex->body = buffer_slice(memory);
		ex->body_memory = memory->ptr;
		buffer_init(memory, memory->ceiling);
	}
	ex->local = c->local;
	ex->connection = c;
	ex->started_ns = c->since_ns = clock_mono_ns();
	c->exchange = ex;
	home->server->handler.request(home->server->handler.self, ex);
}

/* ---- Bytes come in ---- */

/* Takes body bytes into the intake; returns how many it used. */
static size_t take_body(struct connection *c, struct slice input)
{
	struct intake *in = c->intake;
	enum http_result result = HTTP_NEED_MORE;
	struct http_error bad;
	struct slice piece;
	size_t used, all = 0, head_len;

	do {
		result = http_parse_body(&in->framing, slice_from(input, all), &used, &piece, &bad);
		if (result == HTTP_BAD) {
			connection_refuse(c, bad.status, bad.text);
			return input.len;
		}
		all += used;
		buffer_append(&in->body, piece);
	} while (result == HTTP_NEED_MORE && used && all < input.len);
	if (in->body.failed) {
		connection_refuse(c, 503, "out of memory; try again in a moment");
		return input.len;
	}
	if (result != HTTP_DONE) {
		c->since_ns = clock_mono_ns();
		return all;
	}
	in->in_body = false;
	/* The scratch head has served others meanwhile; it parsed once, so it parses again. */
	c->scanned = 0;
	result = http_parse_head(buffer_slice(&in->head), &c->home->server->options.limits, &c->scanned, &c->home->head,
		&head_len, &bad);
	assert(result == HTTP_DONE);
	c->scanned = 0;
	dispatch(c, slice_of(in->head.ptr, head_len), 0, &in->body);
	if (!c->closing && c->intake) {
		buffer_clear(&in->head);
		buffer_clear(&in->body);
	}
	return all;
}

static void send_continue(struct connection *c)
{
	struct buffer nothing;

	buffer_init(&nothing, 0);
	connection_flush(c);
	if (!busy(c)) /* else the client, who does not even read, will send the body without it or not at all */
		(void)connection_send(c, S("HTTP/1.1 100 Continue\r\n\r\n"), &nothing);
}

/* The head is whole, the body is not (or is chunked). Returns the bytes of `rest` used. */
static size_t start_body(struct connection *c, struct slice head, struct slice rest)
{
	bool expects = c->home->head.expect_continue && c->home->head.minor > 0;
	struct intake *in = need_intake(c);
	size_t used;

	if (in)
		buffer_append(&in->head, head);
	if (!in || in->head.failed) {
		connection_refuse(c, 503, "out of memory; try again in a moment");
		return rest.len;
	}
	http_body_init(&in->framing, &c->home->head, &c->home->server->options.limits);
	in->in_body = true;
	used = take_body(c, rest); /* also with nothing there: a length over the limit is refused at once */
	if (expects && rest.len == 0 && !busy(c))
		send_continue(c);
	return used;
}

/* One step in `input`; returns the bytes used, 0: more are needed first. */
static size_t step(struct connection *c, struct slice input)
{
	struct home *home = c->home;
	const struct http_head *head = &home->head;
	struct http_error bad;
	size_t head_len = 0, body_len;

	if (c->intake && c->intake->in_body)
		return take_body(c, input);
	switch (http_parse_head(input, &home->server->options.limits, &c->scanned, &home->head, &head_len, &bad)) {
	case HTTP_NEED_MORE: return 0;
	case HTTP_BAD: connection_refuse(c, bad.status, bad.text); return input.len;
	case HTTP_DONE: break;
	}
	c->scanned = 0;
	body_len = head->has_body ? (size_t)head->content_length : 0;
	if (!head->has_body ||
		(!head->chunked && body_len <= home->server->options.limits.body && body_len <= input.len - head_len)) {
		dispatch(c, slice_of(input.ptr, head_len), body_len, NULL);
		return head_len + body_len;
	}
	return head_len + start_body(c, slice_of(input.ptr, head_len), slice_from(input, head_len));
}

/* Keeps what step could not use yet. `was_held`: it is the tail of intake->held. */
static void keep_rest(struct connection *c, struct slice rest, bool was_held, size_t used)
{
	if (c->lingering || c->closing || c->sse) { /* nothing more will be parsed */
		free_intake(c);
		return;
	}
	if (was_held) {
		buffer_consume(&c->intake->held, used);
	} else if (rest.len) {
		struct intake *in = need_intake(c);

		if (in)
			buffer_append(&in->held, rest);
		if (!in || in->held.failed) {
			connection_close(c);
			return;
		}
	}
	if (rest.len && used && !busy(c) && !c->intake->in_body)
		c->since_ns = clock_mono_ns(); /* a head has begun */
	if (c->intake && !c->intake->in_body && c->intake->held.len == 0)
		free_intake(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct home *home = ((struct connection *)handle)->home;

	*ret_buf = (uv_buf_t){.base = home->input, .len = sizeof(home->input)};
}

static void set_reading(struct connection *c, bool on)
{
	if (c->closing || c->half_closed || c->reading == on)
		return;
	c->reading = on;
	if (!on)
		uv_read_stop(&c->stream);
	else if (uv_read_start(&c->stream, on_alloc, on_read))
		connection_close(c);
}

/* New input, or an empty slice: what is held may go on. Handlers that answer at once come back through
 * connection_written while `feeding`, which leaves the next request to the loop here. */
static void feed(struct connection *c, struct slice input)
{
	bool first = !c->intake; /* bytes that begin a head */
	bool from_held = c->intake && c->intake->held.len;
	struct slice source = input;
	size_t used = 0, n = 1;

	if (from_held) {
		buffer_append(&c->intake->held, input);
		if (c->intake->held.failed) {
			connection_close(c);
			return;
		}
		source = buffer_slice(&c->intake->held);
	}
	c->feeding = true;
	while (used < source.len && n && !busy(c)) {
		n = step(c, slice_from(source, used));
		used += n;
	}
	connection_flush(c);
	c->feeding = false;
	if (first && used == 0 && source.len && !busy(c))
		c->since_ns = clock_mono_ns();
	keep_rest(c, slice_from(source, used), from_held, used);
	if (c->closing)
		return;
	if (c->half_closed && !busy(c)) {
		connection_close(c); /* what is there is not a whole request and never will be */
		return;
	}
	set_reading(c, !c->intake || c->intake->held.len <= HELD_MAX || !busy(c));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = (struct connection *)stream;

	if (n == 0 || c->closing)
		return;
	if (n == UV_EOF) {
		c->half_closed = true;
		c->reading = false;
		if (c->sse || (!c->exchange && !c->write))
			connection_close(c);
	} else if (n < 0) {
		connection_close(c);
	} else if (!c->lingering && !c->sse) {
		feed(c, slice_of(buf->base, (size_t)n));
	}
}

/* ---- Out, and the end ---- */

static void linger(struct connection *c)
{
	free_intake(c);
	if (c->half_closed || shutdown(c->fd, SHUT_WR)) {
		connection_close(c);
		return;
	}
	c->lingering = true;
	c->since_ns = clock_mono_ns();
	set_reading(c, true);
}

void connection_written(struct connection *c)
{
	if (c->sse) {
		sse_on_written(c->sse);
		return;
	}
	if (c->close_after) {
		linger(c);
		return;
	}
	if (c->feeding)
		return;
	c->since_ns = clock_mono_ns();
	if (c->intake || c->half_closed)
		feed(c, S(""));
}

/* A client that has shut down its side and then vanished sends nothing more that reading could tell. */
static bool hung_up(struct connection *c)
{
	struct pollfd state = {.fd = c->fd};

	return poll(&state, 1, 0) > 0 && (state.revents & (POLLERR | POLLHUP));
}

/* since_ns counts from: the end of the last response (idle), the first byte (head), the last byte (body), the last byte
 * taken (response), our shutdown (lingering). */
void connection_tick(struct connection *c, int64_t now_ns)
{
	const struct server_options *o = &c->home->server->options;
	int64_t past_ns = now_ns - c->since_ns;
	size_t unsent;

	if (c->closing) {
		return;
	} else if (c->lingering) {
		if (past_ns >= LINGER_NS)
			connection_close(c);
	} else if (c->write) {
		unsent = uv_stream_get_write_queue_size(&c->stream);
		if (unsent != c->unsent)
			c->since_ns = now_ns;
		else if (past_ns >= o->body_timeout_s * SECOND_NS && (!c->sse || c->close_after))
			connection_close(c);
		c->unsent = unsent;
		if (c->sse && !c->closing)
			sse_tick(c->sse, now_ns);
	} else if (c->sse) {
		sse_tick(c->sse, now_ns);
	} else if (c->exchange) {
		if (c->half_closed && hung_up(c))
			connection_close(c);
	} else if (c->intake && c->intake->in_body) {
		if (past_ns >= o->body_timeout_s * SECOND_NS)
			connection_refuse(c, 408, "the request body did not arrive in time");
	} else if (c->intake) {
		if (past_ns >= o->header_timeout_s * SECOND_NS)
			connection_refuse(c, 408, "the request headers did not arrive in time");
	} else if (past_ns >= o->idle_timeout_s * SECOND_NS) {
		connection_close(c);
	}
}

/* Bytes have arrived that were not read yet. */
static bool has_input(struct connection *c)
{
	char byte;

	return !c->closing && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void connection_drain(struct connection *c)
{
	if (c->sse)
		sse_drain(c->sse);
	else if (!c->exchange && !c->write && !c->intake && !c->lingering && !has_input(c))
		connection_close(c);
}

static bool peer_is_us(struct connection *c)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

/* It has a handle, is accepted and counted. */
static void begin(struct connection *c)
{
	struct server *server = c->home->server;
	unsigned open = atomic_fetch_add(&server->open, 1) + 1;

	metric_add(server->connections_metric, 1);
	c->since_ns = clock_mono_ns();
	if (c->stream.type == UV_TCP)
		uv_tcp_nodelay(&c->tcp, 1);
	else
		c->local = peer_is_us(c);
	if (open > server->options.connections_max + REFUSED_MAX)
		connection_close(c);
	else if (open > server->options.connections_max)
		connection_refuse(c, 503, "too many connections; try again in a moment");
	else
		set_reading(c, true);
}

void connection_accept(struct home *home, int fd, bool unix_socket)
{
	struct connection *c = calloc(1, sizeof(*c));
	int rc;

	if (!c) {
		close(fd);
		atomic_fetch_sub(&home->load, 1);
		return;
	}
	c->home = home;
	c->fd = fd;
	if (unix_socket)
		rc = uv_pipe_init(loop_uv(home->loop), &c->pipe, 0);
	else
		rc = uv_tcp_init(loop_uv(home->loop), &c->tcp);
	assert(rc == 0);
	c->next = home->connections;
	if (c->next)
		c->next->previous = c;
	home->connections = c;
	home->connection_count++;
	rc = unix_socket ? uv_pipe_open(&c->pipe, fd) : uv_tcp_open(&c->tcp, fd);
	if (rc == 0) {
		begin(c);
	} else {
		close(fd);
		atomic_fetch_add(&home->server->open, 1);
		metric_add(home->server->connections_metric, 1);
		connection_close(c);
	}
}
