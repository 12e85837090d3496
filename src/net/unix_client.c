/* Blocking calls over a Unix socket.
 *
 * Every wait is a poll of at most WAIT_MS, after which the op is asked whether anybody still wants the answer: a
 * cancelled flag wakes nobody. Connecting to a Unix socket whose backlog is full has no event to wait for, so that one
 * wait is left to the kernel (SO_SNDTIMEO). A path longer than sun_path is reached through the folder's descriptor in
 * /proc/self/fd. The library's HTTP client was rejected for this: it brings TLS and threads of its own to a 200-byte
 * exchange. Threads: the pool of idle connections is the only shared thing, under one mutex, never held over a system
 * call but close. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/http_reply.h"
#include "net/unix_client.h"

#define WAIT_MS 100

struct unix_client {
	pthread_mutex_t lock;
	int idle[UNIX_CLIENT_IDLE_MAX];
	unsigned idle_count;
	char path[]; /* NUL-terminated */
};

/* One try: a connection and what has been read of its reply. */
struct exchange {
	int fd;
	bool sent;     /* the peer may have read the whole request */
	bool answered; /* at least one byte of the reply came */
	size_t have;
	struct http_reply reply;
	char in[HTTP_REPLY_HEAD_MAX];
};

enum cs_status unix_client_new(struct slice socket_path, struct unix_client **ret_client, struct cs_error *err)
{
	if (socket_path.len == 0 || socket_path.len >= 4096 || memchr(socket_path.ptr, 0, socket_path.len))
		return cs_fail(err, CS_VALIDATION, "the socket path must have 1 to 4095 bytes and no NUL");
	struct unix_client *c = calloc(1, sizeof(*c) + socket_path.len + 1);
	if (!c)
		return cs_fail_memory(err);
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c);
		return cs_fail_memory(err);
	}
	memcpy(c->path, socket_path.ptr, socket_path.len);
	*ret_client = c;
	return CS_OK;
}

void unix_client_free(struct unix_client *c)
{
	if (!c)
		return;
	while (c->idle_count > 0)
		close(c->idle[--c->idle_count]);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int take_idle(struct unix_client *c)
{
	pthread_mutex_lock(&c->lock);
	int fd = c->idle_count > 0 ? c->idle[--c->idle_count] : -1;
	pthread_mutex_unlock(&c->lock);
	return fd;
}

static void give_back(struct unix_client *c, int fd)
{
	pthread_mutex_lock(&c->lock);
	bool kept = c->idle_count < UNIX_CLIENT_IDLE_MAX;
	if (kept)
		c->idle[c->idle_count++] = fd;
	pthread_mutex_unlock(&c->lock);
	if (!kept)
		close(fd);
}

/* Milliseconds to wait before the op is asked again, at least 1. */
static int wait_ms(const struct op *op)
{
	if (op->deadline_ns == OP_NO_DEADLINE)
		return WAIT_MS;
	int64_t left_ms = (op->deadline_ns - clock_mono_ns()) / 1000000 + 1;
	return left_ms < 1 ? 1 : left_ms > WAIT_MS ? WAIT_MS : (int)left_ms;
}

static enum cs_status wait_for(const struct exchange *e, const struct op *op, short events, struct cs_error *err)
{
	struct pollfd poll_fd = {.fd = e->fd, .events = events};
	for (;;) {
		enum cs_status status = op_check(op, err);
		if (status != CS_OK)
			return status;
		int ready = poll(&poll_fd, 1, wait_ms(op));
		if (ready > 0)
			return CS_OK;
		if (ready < 0 && errno != EINTR)
			return cs_fail(err, CS_UNAVAILABLE, "waiting for the owner failed: %s", strerrordesc_np(errno));
	}
}

/* Fills the address; *ret_folder is a descriptor to close after connecting, or -1. */
static enum cs_status make_address(const char *path, struct sockaddr_un *address, int *ret_folder, struct cs_error *err)
{
	char folder[4096];
	const char *slash = strrchr(path, '/');
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) < sizeof(address->sun_path)) {
		memcpy(address->sun_path, path, strlen(path) + 1);
		*ret_folder = -1;
		return CS_OK;
	}
	if (!slash)
		return cs_fail(err, CS_VALIDATION, "the socket's name is too long");
	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return cs_fail(err, CS_UNAVAILABLE, "cannot open %s: %s", folder, strerrordesc_np(errno));
	int len = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", fd, slash + 1);
	if (len < 0 || (size_t)len >= sizeof(address->sun_path)) {
		close(fd);
		return cs_fail(err, CS_VALIDATION, "the socket's name is too long");
	}
	*ret_folder = fd;
	return CS_OK;
}

static enum cs_status connect_until(
	int fd, const struct sockaddr_un *address, const struct op *op, const char *path, struct cs_error *err)
{
	for (;;) {
		enum cs_status status = op_check(op, err);
		if (status != CS_OK)
			return status;
		struct timeval wait = {.tv_usec = wait_ms(op) * 1000};
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0 &&
			connect(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) == 0)
			return CS_OK;
		if (errno != EAGAIN && errno != EINTR)
			return cs_fail(err, CS_UNAVAILABLE, "nobody answers at %s: %s", path, strerrordesc_np(errno));
	}
}

static enum cs_status open_connection(
	const struct unix_client *c, const struct op *op, int *ret_fd, struct cs_error *err)
{
	struct sockaddr_un address;
	int folder = -1;
	enum cs_status status = make_address(c->path, &address, &folder, err);
	if (status != CS_OK)
		return status;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		status = cs_fail(err, CS_UNAVAILABLE, "no socket: %s", strerrordesc_np(errno));
	else
		status = connect_until(fd, &address, op, c->path, err);
	if (folder >= 0)
		close(folder);
	if (status == CS_OK)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return status;
}

/* A peer that closed may have answered before it did, so a broken pipe is no error here: reading tells. *ret_whole: all
 * bytes are on their way. */
static enum cs_status send_all(
	struct exchange *e, const struct op *op, struct slice bytes, bool *ret_whole, struct cs_error *err)
{
	*ret_whole = false;
	while (bytes.len > 0) {
		ssize_t sent = send(e->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent >= 0) {
			bytes = slice_from(bytes, (size_t)sent);
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return CS_OK;
		if (errno != EAGAIN && errno != EINTR)
			return cs_fail(err, CS_UNAVAILABLE, "sending failed: %s", strerrordesc_np(errno));
		enum cs_status status = wait_for(e, op, POLLOUT, err);
		if (status != CS_OK)
			return status;
	}
	*ret_whole = true;
	return CS_OK;
}

/* Reads what is there, behind what `in` holds. *ret_end: the peer closed. A Unix socket that is closed, by its owner's
 * death too, with bytes in it that nobody read resets the connection (unix(7)): then the request was not read whole. */
static enum cs_status receive(struct exchange *e, const struct op *op, bool *ret_end, struct cs_error *err)
{
	for (;;) {
		enum cs_status status = wait_for(e, op, POLLIN, err);
		if (status != CS_OK)
			return status;
		ssize_t got = recv(e->fd, e->in + e->have, sizeof(e->in) - e->have, MSG_DONTWAIT);
		if (got > 0) {
			e->have += (size_t)got;
			e->answered = true;
		}
		if (got >= 0 || errno == ECONNRESET) {
			*ret_end = got <= 0;
			e->sent = e->sent && got >= 0;
			return CS_OK;
		}
		if (errno != EAGAIN && errno != EINTR)
			return cs_fail(err, CS_UNAVAILABLE, "receiving failed: %s", strerrordesc_np(errno));
	}
}

static void drop_front(struct exchange *e, size_t len)
{
	e->have -= len;
	memmove(e->in, e->in + len, e->have);
}

static enum cs_status read_head(struct exchange *e, const struct op *op, struct cs_error *err)
{
	struct http_error bad;
	size_t length;
	bool end = false;
	for (;;) {
		enum http_result result = http_parse_reply(slice_of(e->in, e->have), &e->reply, &length, &bad);
		if (result == HTTP_BAD)
			return cs_fail(err, CS_UNAVAILABLE, "the owner's reply is not understood: %s", bad.text);
		if (result == HTTP_DONE) {
			drop_front(e, length);
			if (e->reply.status >= 200)
				return CS_OK;
			continue; /* 100 Continue and its kind come before the reply */
		}
		if (end)
			return cs_fail(err, CS_UNAVAILABLE, "the owner closed the connection before its reply");
		enum cs_status status = receive(e, op, &end, err);
		if (status != CS_OK)
			return status;
	}
}

static enum cs_status too_long(const struct buffer *out, struct cs_error *err)
{
	return cs_fail(err, CS_LIMIT_EXCEEDED, "the reply is longer than %zu bytes", out->ceiling);
}

/* Moves body bytes from `in` to *out; *ret_done when the framing says that was the last. */
static enum cs_status take_body(
	struct exchange *e, struct http_body *body, struct buffer *out, bool *ret_done, struct cs_error *err)
{
	struct http_error bad;
	struct slice piece;
	size_t used, at = 0;
	enum http_result result = HTTP_NEED_MORE;
	if (e->reply.until_close) {
		buffer_append(out, slice_of(e->in, e->have));
		e->have = 0;
		return out->failed ? too_long(out, err) : CS_OK;
	}
	do {
		result = http_parse_body(body, slice_of(e->in + at, e->have - at), &used, &piece, &bad);
		if (result == HTTP_BAD && bad.status == 413)
			return too_long(out, err);
		if (result == HTTP_BAD)
			return cs_fail(err, CS_UNAVAILABLE, "the owner's reply is not understood: %s", bad.text);
		buffer_append(out, piece);
		at += used;
	} while (result == HTTP_NEED_MORE && used > 0);
	drop_front(e, at);
	*ret_done = result == HTTP_DONE;
	return out->failed ? too_long(out, err) : CS_OK;
}

static enum cs_status read_body(struct exchange *e, const struct op *op, struct buffer *out, struct cs_error *err)
{
	struct http_head framing = {.chunked = e->reply.chunked,
		.has_body = e->reply.chunked || e->reply.content_length > 0,
		.content_length = e->reply.content_length};
	struct http_limits limits = {.body = out->ceiling};
	struct http_body body;
	bool done = false, end = false;
	http_body_init(&body, &framing, &limits);
	for (;;) {
		enum cs_status status = take_body(e, &body, out, &done, err);
		if (status != CS_OK || done || (end && e->reply.until_close))
			return status;
		if (end)
			return cs_fail(err, CS_UNAVAILABLE, "the owner closed the connection within its reply");
		status = receive(e, op, &end, err);
		if (status != CS_OK)
			return status;
	}
}

/* One request on e->fd; the connection goes to the pool or is closed. */
static enum cs_status talk(struct unix_client *c, struct exchange *e, const struct op *op, struct slice head,
	struct slice body, struct buffer *out, struct cs_error *err)
{
	bool whole = false;
	buffer_clear(out);
	enum cs_status status = send_all(e, op, head, &whole, err);
	if (status == CS_OK && whole)
		status = send_all(e, op, body, &whole, err);
	e->sent = whole;
	if (status == CS_OK)
		status = read_head(e, op, err);
	if (status == CS_OK)
		status = read_body(e, op, out, err);
	/* Bytes behind the reply belong to no request: such a connection is not used again. */
	if (status == CS_OK && e->reply.keep_alive && e->have == 0)
		give_back(c, e->fd);
	else
		close(e->fd);
	return status;
}

static enum cs_status make_head(
	struct op *op, struct slice path, size_t body_len, struct slice *ret_head, struct cs_error *err)
{
	if (path.len == 0 || path.ptr[0] != '/')
		return cs_fail(err, CS_VALIDATION, "the path must start with /");
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] <= 0x20 || path.ptr[i] == 0x7f)
			return cs_fail(err, CS_VALIDATION, "the path may hold visible ASCII only");
	struct slice head;
	if (body_len == 0)
		head = arena_printf(
			op->arena, "GET " SLICE_FMT " HTTP/1.1\r\nHost: localhost\r\n\r\n", SLICE_ARG(path));
	else
		head = arena_printf(op->arena,
			"POST " SLICE_FMT " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
			"Content-Length: %zu\r\n\r\n",
			SLICE_ARG(path), body_len);
	if (!head.ptr)
		return cs_fail_memory(err);
	*ret_head = head;
	return CS_OK;
}

enum cs_status unix_client_call(struct unix_client *c, struct op *op, struct slice path, struct slice body,
	int *ret_status, struct buffer *out, bool *sent, struct cs_error *err)
{
	struct slice head;
	struct exchange e;
	bool unused;
	sent = sent ? sent : &unused;
	*sent = false;
	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "asking the owner waits");
	enum cs_status status = make_head(op, path, body.len, &head, err);
	if (status != CS_OK)
		return status;
	e.fd = take_idle(c);
	bool reused = e.fd >= 0;
	for (;;) {
		if (!reused)
			status = open_connection(c, op, &e.fd, err);
		if (status != CS_OK)
			return status;
		e.have = 0;
		e.answered = e.sent = false;
		status = talk(c, &e, op, head, body, out, err);
		*sent = e.sent;
		if (status == CS_OK)
			*ret_status = e.reply.status;
		if (status != CS_UNAVAILABLE || !reused || e.answered || e.sent)
			return status;
		reused = false;
		status = CS_OK;
	}
}
