/* A server under test: on a loop of its own thread, with a handler that does what the path says, and blocking sockets of
 * the test's as clients.
 *
 * Time-outs are reached by moving the clock and asking the loop for a tick (pass); only then may a test say that
 * something did not happen. The handler answers on the loop, or (path /later) on a thread that waits for the test, or
 * turns the exchange into a stream (/stream). One rig a program, made anew for each test. */
#ifndef CS_TESTS_SERVER_RIG_H
#define CS_TESTS_SERVER_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "net/server.h"

#define BIG_BYTES (12u << 20)

struct rig {
	struct loop *loop;
	struct server *server;
	sem_t drained, closed, later_started, later_go, task_ran;
	atomic_int requests, cancelled;
	_Atomic(struct sse *) stream;
	pthread_t later;
	bool has_later;
	bool stopped;
};

static struct rig rig;
static char big[BIG_BYTES];

/* ---- The server's side ---- */

static inline void *answer_later(void *arg)
{
	struct exchange *ex = arg;

	sem_post(&rig.later_started);
	while (sem_wait(&rig.later_go) && errno == EINTR)
		;
	atomic_fetch_add(&rig.cancelled, atomic_load(&ex->cancelled));
	buffer_append(&ex->response.body, S("later"));
	ex->response.content_type = "text/plain";
	exchange_finish(ex);
	return NULL;
}

static inline void on_closed(void *self, struct sse *stream)
{
	atomic_store(&rig.stream, NULL);
	sem_post(&rig.closed);
}

static inline void on_ending(void *self, struct sse *stream)
{
	sse_send(stream, S("last"));
}

static inline void on_request(void *self, struct exchange *ex)
{
	struct response *r = &ex->response;

	atomic_fetch_add(&rig.requests, 1);
	if (slice_eq(ex->head->path, S("/later"))) {
		if (rig.has_later)
			pthread_join(rig.later, NULL);
		rig.has_later = true;
		pthread_create(&rig.later, NULL, answer_later, ex);
		return;
	}
	if (slice_eq(ex->head->path, S("/stream"))) {
		atomic_store(&rig.stream, exchange_stream(ex, (struct sse_hooks){NULL, on_closed, on_ending}));
		return;
	}
	r->content_type = "text/plain";
	if (slice_eq(ex->head->path, S("/big")))
		buffer_append(&r->body, slice_of(big, sizeof(big)));
	else
		buffer_printf(&r->body, SLICE_FMT " " SLICE_FMT " %d:", SLICE_ARG(ex->head->method_name),
			SLICE_ARG(ex->head->path), ex->local);
	buffer_append(&r->body, ex->body);
	exchange_finish(ex);
}

static const struct server_options defaults = {
	.host = SLICE_INIT("127.0.0.1"),
	.connections_max = 1000,
	.stream_buffer_max = 64u << 10,
	.limits = {1000, 4000, 50, 1u << 20},
	.header_timeout_s = 10,
	.body_timeout_s = 30,
	.idle_timeout_s = 75,
	.arena_ceiling = 8u << 20,
	.response_max = 16u << 20,
};

static inline void start_with(const struct server_options *options)
{
	struct cs_error err;

	memset(&rig, 0, sizeof(rig));
	sem_init(&rig.drained, 0, 0);
	sem_init(&rig.closed, 0, 0);
	sem_init(&rig.later_started, 0, 0);
	sem_init(&rig.later_go, 0, 0);
	sem_init(&rig.task_ran, 0, 0);
	assert_int_equal(loop_new(&rig.loop, &err), CS_OK);
	assert_int_equal(
		server_new(&rig.loop, 1, options, (struct server_handler){NULL, on_request}, &rig.server, &err), CS_OK);
	assert_int_equal(loop_start(rig.loop, "server", &err), CS_OK);
}

static inline int set_up(void **state)
{
	start_with(&defaults);
	return 0;
}

static inline void on_drained(void *self)
{
	loop_stop(rig.loop);
	sem_post(&rig.drained);
}

static inline void drain(int64_t timeout_s)
{
	rig.stopped = true;
	server_drain(rig.server, timeout_s, on_drained, NULL);
}

static inline int tear_down(void **state)
{
	if (!rig.stopped)
		drain(0);
	loop_join(rig.loop);
	assert_int_equal(sem_trywait(&rig.drained), 0);
	if (rig.has_later)
		pthread_join(rig.later, NULL);
	server_free(rig.server);
	loop_free(rig.loop);
	clock_shift_ms(0);
	assert_int_equal(metric_value(metric_series(METRIC_CONNECTIONS, S(""))), 0);
	assert_int_equal(metric_value(metric_series(METRIC_STREAMS, S(""))), 0);
	return 0;
}

static inline void run_tick(struct loop_task *task)
{
	loop_tick(rig.loop);
	sem_post(&rig.task_ran);
}

/* The clock is at `shift_s`, and every time-out has been looked at. pass(0) first: what the loop was doing is done. */
static inline void pass(int64_t shift_s)
{
	struct loop_task task = {.run = run_tick};

	clock_shift_ms(shift_s * 1000);
	loop_post(rig.loop, &task);
	while (sem_wait(&rig.task_ran) && errno == EINTR)
		;
}

/* ---- The client's side ---- */

static inline int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server_port(rig.server))};
	struct timeval patience = {.tv_sec = 20}; /* a broken server fails the test instead of hanging it */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline void put(int fd, struct slice text)
{
	while (text.len) {
		ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);

		assert_true(n > 0);
		text = slice_from(text, (size_t)n);
	}
}

/* Reads until `end` has been seen `times` times; the text is NUL-terminated. */
static inline void get_until(int fd, struct buffer *in, const char *end, int times)
{
	for (;;) {
		char *room = buffer_reserve(in, 4097);
		int seen = 0;
		ssize_t n;

		assert_non_null(room);
		in->ptr[in->len] = '\0';
		for (const char *at = in->ptr; (at = strstr(at, end)); at += strlen(end))
			seen++;
		if (seen >= times)
			return;
		n = recv(fd, room, 4096, 0);
		if (n <= 0)
			fail_msg("'%s' did not come %d times, but: %s", end, times, in->ptr);
		in->len += (size_t)n;
	}
}

/* Reads to the end of the connection; an orderly one unless `reset_ok`. */
static inline void get_all(int fd, struct buffer *in, bool reset_ok)
{
	ssize_t n;
	char *room;

	do {
		room = buffer_reserve(in, 65537);
		assert_non_null(room);
		n = recv(fd, room, 65536, 0);
		if (n > 0)
			in->len += (size_t)n;
	} while (n > 0);
	if (n < 0 && !(reset_ok && errno == ECONNRESET))
		fail_msg("reading to the end failed: %s", strerror(errno));
	in->ptr[in->len] = '\0';
}

static inline struct buffer inbox(void)
{
	struct buffer in;

	buffer_init(&in, 64u << 20);
	return in;
}

/* Sends, and expects a response with this in it and then the end. */
static inline void expect_refusal(struct slice request, const char *status)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, request);
	get_all(fd, &in, false);
	assert_non_null(strstr(in.ptr, status));
	assert_non_null(strstr(in.ptr, "{\"error\":\""));
	assert_non_null(strstr(in.ptr, "Connection: close\r\n"));
	buffer_release(&in);
	close(fd);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
