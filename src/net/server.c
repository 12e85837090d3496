/* Server: one home per loop, and the life of the whole.
 *
 * Homes share nothing but two counters: no lock is taken between accept and reply. Each walks its connections once a
 * second for every time-out there is; at 10,000 connections that is a millisecond, against a timer heap touched by
 * every request. The walk is also where a drain ends that has run out of time.
 *
 * Too many open files: accepting rests until a connection of this loop closes, or the next tick, and who comes
 * meanwhile waits in the kernel's queue. That is why listeners are polled and accepted from here and not by uv_listen:
 * libuv gives a spare descriptor up for such moments, and once another thread has taken that it calls accept in a loop
 * that nothing ends.
 *
 * Drain is over for a home when no listener is open on any, so that none hands a connection over any more, and its
 * connections and the exchanges that workers still hold are all back: after `done` no thread can reach the server, and
 * server_free needs no care. */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/server_internal.h"

#define BACKLOG     1024
#define ACCEPTS_MAX 64 /* before what is connected gets its turn */

static void make_date(struct home *home)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;
	int n;

	gmtime_r(&now, &tm);
	n = snprintf(home->date, sizeof(home->date), "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
		tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	home->date_len = n > 0 && (size_t)n < sizeof(home->date) ? (size_t)n : 0;
}

static void accept_waiting(struct listener *listener, int max)
{
	for (int i = 0; i < max; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			spread_accept(listener->home, fd, listener == &listener->home->listeners[LISTENER_LOCAL]);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			listener->resting = true;
			uv_poll_stop(&listener->poll);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	accept_waiting((struct listener *)poll, ACCEPTS_MAX);
}

/* Fails only for a handle that is closing. */
static void watch(struct listener *listener)
{
	int rc = uv_poll_start(&listener->poll, UV_READABLE, on_readable);

	assert(rc == 0);
	listener->resting = false;
}

void home_go_on_accepting(struct home *home)
{
	for (size_t i = 0; i < LISTENERS; i++)
		if (home->listeners[i].resting)
			watch(&home->listeners[i]);
}

static void on_tick(void *self, int64_t now_ns)
{
	struct home *home = self;
	bool over = home->draining && now_ns >= home->drain_until_ns;
	struct connection *next;

	make_date(home);
	home_go_on_accepting(home);
	for (struct connection *c = home->connections; c; c = next) {
		next = c->next;
		if (over)
			connection_close(c);
		else
			connection_tick(c, now_ns);
	}
}

static void on_done(struct loop_task *task)
{
	struct server *server = (struct server *)((char *)task - offsetof(struct server, done_task));

	if (server->done)
		server->done(server->done_self);
}

void home_check_drained(struct home *home)
{
	struct server *server = home->server;

	if (!home->complete || home->drained || home->listener_count || home->connection_count || home->exchanges_out)
		return;
	home->drained = true;
	loop_off_tick(home->loop, home);
	if (atomic_fetch_sub(&server->homes_left, 1) == 1)
		loop_post(server->homes[0].loop, &server->done_task);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *listener = (struct listener *)handle;
	struct home *home = listener->home;

	close(listener->fd);
	listener->home = NULL;
	home->listener_count--;
	home_check_drained(home);
}

static void close_listeners(struct home *home)
{
	if (home == home->server->homes && home->server->unix_path)
		unlink(home->server->unix_path);
	for (size_t i = 0; i < LISTENERS; i++) {
		struct listener *listener = &home->listeners[i];

		listener->resting = false;
		if (listener->home && !uv_is_closing((uv_handle_t *)&listener->poll))
			uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
	}
}

void home_drain_connection(struct home *home, struct connection *c)
{
	if (home->server->drain_timeout_s == 0 && !c->sse)
		connection_close(c);
	else
		connection_drain(c);
}

static void on_complete(struct loop_task *task)
{
	struct home *home = (struct home *)((char *)task - offsetof(struct home, complete_task));

	home->complete = true;
	home_check_drained(home);
}

static void on_drain(struct loop_task *task)
{
	struct home *home = (struct home *)((char *)task - offsetof(struct home, drain_task));
	struct server *server = home->server;
	struct connection *next;

	home->draining = true;
	home->drain_until_ns = clock_mono_ns() + server->drain_timeout_s * SECOND_NS;
	/* Whoever is connected and has asked, accepted or not, is answered. */
	for (size_t i = 0; i < LISTENERS; i++)
		if (home->listeners[i].home)
			accept_waiting(&home->listeners[i], BACKLOG);
	close_listeners(home);
	for (struct connection *c = home->connections; c; c = next) {
		next = c->next;
		home_drain_connection(home, c);
	}
	if (atomic_fetch_sub(&server->homes_open, 1) > 1)
		return;
	for (size_t i = 0; i < server->home_count; i++)
		loop_post(server->homes[i].loop, &server->homes[i].complete_task);
}

void server_drain(struct server *server, int64_t timeout_s, void (*done)(void *self), void *self)
{
	if (atomic_exchange(&server->drain_called, true))
		return;
	server->done = done;
	server->done_self = self;
	server->drain_timeout_s = timeout_s;
	for (size_t i = 0; i < server->home_count; i++)
		loop_post(server->homes[i].loop, &server->homes[i].drain_task);
}

/* Takes the descriptor over. */
static enum cs_status start_listening(struct home *home, enum listener_kind kind, int fd, struct cs_error *err)
{
	struct listener *listener = &home->listeners[kind];
	int rc = listen(fd, BACKLOG) ? -errno : uv_poll_init(loop_uv(home->loop), &listener->poll, fd);

	if (rc) {
		close(fd);
		return cs_fail(err, CS_UNAVAILABLE, "cannot listen: %s", uv_strerror(rc));
	}
	listener->fd = fd;
	listener->home = home; /* from here on server_free closes it */
	home->listener_count++;
	watch(listener);
	return CS_OK;
}

static enum cs_status open_tcp(struct server *server, struct cs_error *err)
{
	int *fds = calloc(server->home_count, sizeof(*fds));
	enum cs_status status;

	if (!fds)
		return cs_fail_memory(err);
	status = listen_tcp(&server->options, fds, server->home_count, &server->port, err);
	if (status) {
		free(fds);
		return status;
	}
	for (size_t i = 0; i < server->home_count; i++) {
		struct home *home = &server->homes[i];

		if (status) {
			close(fds[i]);
			continue;
		}
		status = start_listening(home, LISTENER_TCP, fds[i], err);
	}
	free(fds);
	return status;
}

/* On the first loop: this way in is for processes on the machine that forward to the owner, a handful. */
static enum cs_status open_unix(struct server *server, struct cs_error *err)
{
	struct home *home = &server->homes[0];
	enum cs_status status;
	int fd = -1;

	status = listen_unix(server->options.unix_path, &fd, err);
	if (status)
		return status;
	server->unix_path = strndup(server->options.unix_path.ptr, server->options.unix_path.len);
	if (!server->unix_path) {
		close(fd);
		return cs_fail_memory(err);
	}
	return start_listening(home, LISTENER_LOCAL, fd, err);
}

enum cs_status server_new(struct loop *const *loops, size_t loop_count, const struct server_options *options,
	struct server_handler handler, struct server **ret_server, struct cs_error *err)
{
	struct server *server = calloc(1, sizeof(*server) + loop_count * sizeof(struct home));
	enum cs_status status = CS_OK;

	assert(loop_count > 0);
	if (!server)
		return cs_fail_memory(err);
	server->options = *options;
	if (!server->options.stream_buffer_max)
		server->options.stream_buffer_max = SSE_BUFFER_MAX;
	server->handler = handler;
	server->home_count = loop_count;
	atomic_init(&server->homes_left, loop_count);
	atomic_init(&server->homes_open, loop_count);
	server->done_task.run = on_done;
	server->connections_metric = metric_series(METRIC_CONNECTIONS, S(""));
	server->streams_metric = metric_series(METRIC_STREAMS, S(""));
	for (size_t i = 0; i < loop_count; i++) {
		struct home *home = &server->homes[i];

		home->server = server;
		home->loop = loops[i];
		home->drain_task.run = on_drain;
		home->complete_task.run = on_complete;
		buffer_init(&home->out, options->response_max + (1u << 20));
		make_date(home);
		loop_on_tick(home->loop, on_tick, home);
	}
	if (options->host.len)
		status = open_tcp(server, err);
	if (status == CS_OK && options->unix_path.len)
		status = open_unix(server, err);
	server->options.host = server->options.unix_path = S(""); /* the caller's bytes may go */
	if (status) {
		server_free(server);
		return status;
	}
	*ret_server = server;
	return CS_OK;
}

uint16_t server_port(const struct server *server)
{
	return server->port;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < server->home_count; i++) {
		struct home *home = &server->homes[i];

		/* Never drained: the loops have not run, or the set-up failed. Their handles must be gone before the
		 * memory. */
		close_listeners(home);
		while (home->listener_count)
			uv_run(loop_uv(home->loop), UV_RUN_NOWAIT);
		assert(home->connection_count == 0 && home->exchanges_out == 0);
		loop_off_tick(home->loop, home);
		exchange_pool_free(home);
		buffer_release(&home->out);
	}
	free(server->unix_path);
	free(server);
}
