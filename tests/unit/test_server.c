/* The server on real sockets: framing, order, limits, time-outs, leaving clients, streams, drain.
 *
 * The server runs on a loop of its own thread, clients are blocking sockets of the test's. Time-outs are reached by
 * moving the clock and asking the loop for a tick; only then may a test say that something did not happen. The handler
 * answers on the loop, or (path /later) on a thread that waits for the test, or turns the exchange into a stream
 * (/stream). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

static void *answer_later(void *arg)
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

static void on_closed(void *self, struct sse *stream)
{
	atomic_store(&rig.stream, NULL);
	sem_post(&rig.closed);
}

static void on_ending(void *self, struct sse *stream)
{
	sse_send(stream, S("last"));
}

static void on_request(void *self, struct exchange *ex)
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

static void start_with(const struct server_options *options)
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

static int set_up(void **state)
{
	start_with(&defaults);
	return 0;
}

static void on_drained(void *self)
{
	loop_stop(rig.loop);
	sem_post(&rig.drained);
}

static void drain(int64_t timeout_s)
{
	rig.stopped = true;
	server_drain(rig.server, timeout_s, on_drained, NULL);
}

static int tear_down(void **state)
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

static void run_tick(struct loop_task *task)
{
	loop_tick(rig.loop);
	sem_post(&rig.task_ran);
}

/* The clock is at `shift_s`, and every time-out has been looked at. pass(0) first: what the loop was doing is done. */
static void pass(int64_t shift_s)
{
	struct loop_task task = {.run = run_tick};

	clock_shift_ms(shift_s * 1000);
	loop_post(rig.loop, &task);
	while (sem_wait(&rig.task_ran) && errno == EINTR)
		;
}

/* ---- The client's side ---- */

static int dial(void)
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

static void put(int fd, struct slice text)
{
	while (text.len) {
		ssize_t n = send(fd, text.ptr, text.len, MSG_NOSIGNAL);

		assert_true(n > 0);
		text = slice_from(text, (size_t)n);
	}
}

/* Reads until `end` has been seen `times` times; the text is NUL-terminated. */
static void get_until(int fd, struct buffer *in, const char *end, int times)
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
static void get_all(int fd, struct buffer *in, bool reset_ok)
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

static struct buffer inbox(void)
{
	struct buffer in;

	buffer_init(&in, 64u << 20);
	return in;
}

/* Sends, and expects a response with this in it and then the end. */
static void expect_refusal(struct slice request, const char *status)
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

/* ---- Requests ---- */

#define THREE                                                                                                          \
	"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst"                                                \
	"GET /b?q=1 HTTP/1.1\r\nHost: x\r\n\r\n"                                                                       \
	"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nthi\r\n2\r\nrd\r\n0\r\n\r\n"

static void assert_three(const char *text)
{
	const char *a = strstr(text, "POST /a 0:first"), *b = strstr(text, "GET /b 0:"),
		   *c = strstr(text, "POST /c 0:third");

	assert_true(a && b && c && a < b && b < c);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S(THREE));
	get_until(fd, &in, "POST /c 0:third", 1);
	assert_three(in.ptr);
	assert_int_equal(rig.requests, 3);
	buffer_release(&in);
	close(fd);
}

/* The kernel's struct goes on where glibc's ends (linux/tcp.h, which cannot be included beside it). */
struct tcp_info_more {
	struct tcp_info known;
	uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
	uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in;
};

/* A pipeline that can be answered at once costs one send; what must wait holds nothing up that is before it. */
static void answers_leave_together(void **state)
{
	struct buffer in = inbox();
	struct tcp_info_more info = {0};
	socklen_t size = sizeof(info);
	int fd = dial();

	put(fd, S(THREE "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
	get_until(fd, &in, "POST /c 0:third", 1);
	assert_three(in.ptr);
	sem_wait(&rig.later_started);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	sem_post(&rig.later_go);
	get_until(fd, &in, "later", 1);
	assert_int_equal(size, sizeof(info));
	assert_int_equal(info.data_segs_in, 1);
	buffer_release(&in);
	close(fd);
}

/* Answers that were gathered are sent before the connection ends for what comes behind them. */
static void gathered_answers_precede_a_refusal(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.1\r\n\r\n"));
	get_all(fd, &in, false);
	assert_true(strstr(in.ptr, "GET /a 0:") < strstr(in.ptr, "GET /b 0:"));
	assert_true(strstr(in.ptr, "GET /b 0:") < strstr(in.ptr, "HTTP/1.1 400 "));
	assert_non_null(strstr(in.ptr, "GET /a 0:"));
	buffer_release(&in);
	close(fd);
}

/* The interim reply to the last request of a pipeline stands behind the answers to the others. */
static void gathered_answers_precede_continue(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
		  "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"));
	get_until(fd, &in, "HTTP/1.1 100 Continue\r\n\r\n", 1);
	assert_non_null(strstr(in.ptr, "GET /a 0:"));
	assert_true(strstr(in.ptr, "GET /a 0:") < strstr(in.ptr, "HTTP/1.1 100 "));
	put(fd, S("body"));
	get_until(fd, &in, "POST /b 0:body", 1);
	buffer_release(&in);
	close(fd);
}

static void requests_split_at_every_byte(void **state)
{
	struct slice all = S(THREE);

	for (size_t cut = 1; cut < all.len; cut++) {
		struct buffer in = inbox();
		int fd = dial(), on = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		put(fd, slice_of(all.ptr, cut));
		pass(0); /* the loop has seen the first part, or will see both at once: either must do */
		put(fd, slice_from(all, cut));
		get_until(fd, &in, "POST /c 0:third", 1);
		assert_three(in.ptr);
		buffer_release(&in);
		close(fd);
	}
}

static void what_comes_during_an_exchange_waits(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
	sem_wait(&rig.later_started);
	pass(0);
	assert_int_equal(rig.requests, 1);
	sem_post(&rig.later_go);
	get_until(fd, &in, "GET /next", 1);
	assert_true(strstr(in.ptr, "later") < strstr(in.ptr, "GET /next"));
	buffer_release(&in);
	close(fd);
}

/* More is pipelined than may be held: reading stops, and everything is answered in the end. */
static void a_long_pipeline_is_bounded_and_answered(void **state)
{
	static const char one[] = "GET /p HTTP/1.1\r\nHost: x\r\n\r\n";
	enum { COUNT = 20000 };
	struct buffer out = inbox();
	struct pollfd fds;
	size_t sent = 0;
	int fd = dial();

	buffer_append(&out, S("GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
	for (int i = 0; i < COUNT; i++)
		buffer_append(&out, slice_of(one, sizeof(one) - 1));
	sem_post(&rig.later_go);
	fds = (struct pollfd){.fd = fd};
	while (rig.requests < COUNT + 1) {
		char bytes[65536];

		fds.events = POLLIN | (sent < out.len ? POLLOUT : 0);
		assert_true(poll(&fds, 1, 20000) > 0);
		if (fds.revents & POLLOUT) {
			ssize_t n = send(fd, out.ptr + sent, out.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n > 0)
				sent += (size_t)n;
		}
		if (fds.revents & POLLIN)
			assert_true(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
	}
	assert_int_equal(rig.requests, COUNT + 1);
	buffer_release(&out);
	close(fd);
}

static void a_body_larger_than_a_read(void **state)
{
	struct buffer in = inbox(), out = inbox();
	int fd = dial();

	memset(big, 'b', 1u << 20);
	buffer_printf(&out, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\n", 1u << 20);
	buffer_append(&out, slice_of(big, 1u << 20));
	buffer_append(&out, S("GET /after HTTP/1.1\r\nHost: x\r\n\r\n"));
	put(fd, buffer_slice(&out));
	get_until(fd, &in, "GET /after", 1);
	assert_non_null(strstr(in.ptr, "Content-Length: 1048586\r\n"));
	buffer_release(&in);
	buffer_release(&out);
	close(fd);
}

static void continue_is_said_when_asked_for(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
	get_until(fd, &in, "HTTP/1.1 100 Continue\r\n\r\n", 1);
	put(fd, S("ok"));
	get_until(fd, &in, "POST /e 0:ok", 1);
	buffer_release(&in);
	close(fd);
	expect_refusal(S("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n"),
		"HTTP/1.1 413 ");
}

static void head_has_the_length_and_no_body(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	get_all(fd, &in, false);
	assert_non_null(strstr(in.ptr, "Content-Length: 10\r\n"));
	assert_string_equal(in.ptr + in.len - 4, "\r\n\r\n");
	buffer_release(&in);
	close(fd);
}

static void old_clients_get_what_they_understand(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /o HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /o HTTP/1.0\r\n\r\n"));
	get_all(fd, &in, false);
	assert_non_null(strstr(in.ptr, "Connection: keep-alive\r\n"));
	assert_non_null(strstr(in.ptr, "Connection: close\r\n"));
	buffer_release(&in);
	close(fd);
}

static void bad_requests_get_their_status(void **state)
{
	struct buffer flood = inbox();

	expect_refusal(S("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 ");
	expect_refusal(S("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
		"HTTP/1.1 400 ");
	expect_refusal(S("GET / HTTP/3.0\r\nHost: x\r\n\r\n"), "HTTP/1.1 505 ");
	expect_refusal(S("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "HTTP/1.1 400 ");
	buffer_append(&flood, S("GET / HTTP/1.1\r\nHost: x\r\n"));
	for (int i = 0; i < 20000; i++) /* far more than is read: the rest must not turn the answer into a reset */
		buffer_append(&flood, S("X-Flood: aaaaaaaaaaaaaaaaaa\r\n"));
	expect_refusal(buffer_slice(&flood), "HTTP/1.1 431 ");
	buffer_release(&flood);
}

/* ---- Clients that are slow, silent or gone ---- */

/* Sends the beginning of a request behind a whole one; when this returns, the server has read both. */
static void put_begun(int fd, struct slice begun, struct buffer *in)
{
	char text[200];
	int n = snprintf(text, sizeof(text), "GET /whole HTTP/1.1\r\nHost: x\r\n\r\n" SLICE_FMT, SLICE_ARG(begun));

	put(fd, slice_of(text, (size_t)n));
	get_until(fd, in, "GET /whole", 1);
	pass(0);
}

static void a_slow_head_is_408(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put_begun(fd, S("GET / HTTP/1.1\r\n"), &in);
	pass(9);
	put(fd, S("Host: x\r\n")); /* one more byte does not start the time anew */
	pass(9);
	pass(11);
	get_all(fd, &in, false);
	assert_non_null(strstr(in.ptr, "HTTP/1.1 408 "));
	buffer_release(&in);
	close(fd);
}

static void a_pause_in_a_body_is_408(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put_begun(fd, S("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"), &in);
	pass(29);
	pass(32);
	get_all(fd, &in, false);
	assert_non_null(strstr(in.ptr, "HTTP/1.1 408 "));
	buffer_release(&in);
	close(fd);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /x HTTP/1.1\r\nHost: x\r\n\r\n"));
	get_until(fd, &in, "GET /x", 1);
	buffer_clear(&in);
	pass(0);
	pass(70);
	put(fd, S("GET /y HTTP/1.1\r\nHost: x\r\n\r\n"));
	get_until(fd, &in, "GET /y", 1);
	buffer_clear(&in);
	pass(70);
	pass(140);
	pass(146);
	get_all(fd, &in, false);
	assert_int_equal(in.len, 0);
	buffer_release(&in);
	close(fd);
}

static void half_closed_clients_get_their_answers(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\nGET /thr"));
	shutdown(fd, SHUT_WR);
	sem_wait(&rig.later_started);
	pass(0);
	sem_post(&rig.later_go);
	get_all(fd, &in, false);
	assert_non_null(strstr(in.ptr, "later"));
	assert_non_null(strstr(in.ptr, "GET /two"));
	assert_int_equal(rig.requests, 2);
	assert_int_equal(rig.cancelled, 0);
	buffer_release(&in);
	close(fd);
}

static void a_client_that_resets_cancels(void **state)
{
	struct linger now = {.l_onoff = 1};
	int fd = dial();

	put(fd, S("GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
	sem_wait(&rig.later_started);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	while (metric_value(metric_series(METRIC_CONNECTIONS, S(""))))
		sched_yield();
	sem_post(&rig.later_go);
	pthread_join(rig.later, NULL);
	rig.has_later = false;
	assert_int_equal(rig.cancelled, 1);
}

static void a_client_that_never_reads_is_closed(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"));
	while (rig.requests == 0)
		sched_yield();
	pass(0);
	pass(29);
	assert_int_equal(metric_value(metric_series(METRIC_CONNECTIONS, S(""))), 1);
	pass(70);
	while (metric_value(metric_series(METRIC_CONNECTIONS, S(""))))
		sched_yield();
	get_all(fd, &in, true);
	assert_true(in.len < sizeof(big));
	buffer_release(&in);
	close(fd);
}

static void a_client_that_reads_slowly_gets_all(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	while (rig.requests == 0)
		sched_yield();
	get_all(fd, &in, false);
	assert_true(in.len > sizeof(big));
	buffer_release(&in);
	close(fd);
}

static void connections_over_the_limit_are_told(void **state)
{
	struct server_options few = defaults;
	struct buffer in = inbox();
	int fds[3];

	few.connections_max = 2;
	start_with(&few);
	for (int i = 0; i < 3; i++)
		fds[i] = dial();
	get_all(fds[2], &in, false);
	assert_non_null(strstr(in.ptr, "HTTP/1.1 503 "));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	while (metric_value(metric_series(METRIC_CONNECTIONS, S(""))))
		sched_yield();
	buffer_clear(&in);
	fds[0] = dial();
	put(fds[0], S("GET /x HTTP/1.1\r\nHost: x\r\n\r\n"));
	get_until(fds[0], &in, "GET /x", 1);
	close(fds[0]);
	buffer_release(&in);
	tear_down(state);
}

static void five_hundred_connections(void **state)
{
	static int fds[500];
	struct buffer in = inbox();

	for (int i = 0; i < 500; i++)
		fds[i] = dial();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 500; i++)
			put(fds[i], S("POST /n HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\ny"));
		for (int i = 0; i < 500; i++) {
			buffer_clear(&in);
			get_until(fds[i], &in, "POST /n 0:y", 1);
		}
	}
	for (int i = 0; i < 500; i++)
		close(fds[i]);
	buffer_release(&in);
}

/* ---- Streams ---- */

static int open_stream(struct buffer *in)
{
	int fd = dial();

	put(fd, S("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
	get_until(fd, in, "\r\n\r\n", 1);
	while (!atomic_load(&rig.stream))
		sched_yield();
	return fd;
}

static void a_stream_carries_messages_and_heartbeats(void **state)
{
	struct buffer in = inbox();
	int fd = open_stream(&in);

	assert_non_null(strstr(in.ptr, "Content-Type: text/event-stream\r\n"));
	assert_non_null(strstr(in.ptr, "Cache-Control: no-cache\r\n"));
	assert_non_null(strstr(in.ptr, "X-Accel-Buffering: no\r\n"));
	buffer_clear(&in);
	assert_true(sse_send(rig.stream, S("{\"n\":1}")));
	assert_true(sse_send(rig.stream, S("{\"n\":2}")));
	get_until(fd, &in, "\n\n", 2);
	assert_string_equal(in.ptr, "data: {\"n\":1}\n\ndata: {\"n\":2}\n\n");
	buffer_clear(&in);
	pass(0);
	pass(16);
	get_until(fd, &in, ":\n\n", 1);
	assert_string_equal(in.ptr, ":\n\n");
	sse_end(rig.stream);
	buffer_clear(&in);
	get_all(fd, &in, false);
	assert_int_equal(in.len, 0);
	close(fd);
	sem_wait(&rig.closed);
	buffer_release(&in);
}

static void a_client_that_leaves_closes_its_stream(void **state)
{
	struct buffer in = inbox();
	int fd = open_stream(&in);

	close(fd);
	sem_wait(&rig.closed);
	buffer_release(&in);
}

static void a_stream_nobody_reads_is_cut(void **state)
{
	struct buffer in = inbox();
	int fd = open_stream(&in);
	struct sse *stream = rig.stream;

	sse_ref(stream);
	while (sse_send(stream, slice_of(big, 4096)))
		sched_yield();
	sem_wait(&rig.closed);
	assert_false(sse_send(stream, S("x")));
	sse_unref(stream);
	close(fd);
	buffer_release(&in);
}

static void *send_many(void *arg)
{
	struct sse *stream = arg;

	for (int i = 0; i < 500; i++)
		while (!sse_send(stream, S("m")))
			;
	sse_unref(stream);
	return NULL;
}

static void many_threads_send_into_one_stream(void **state)
{
	struct buffer in = inbox();
	int fd = open_stream(&in);
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		sse_ref(rig.stream);
		pthread_create(&threads[i], NULL, send_many, rig.stream);
	}
	get_until(fd, &in, "data: m\n\n", 2000);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	close(fd);
	sem_wait(&rig.closed);
	buffer_release(&in);
}

/* ---- The end ---- */

static void drain_lets_exchanges_finish_and_streams_say_goodbye(void **state)
{
	struct buffer in = inbox();
	int idle = dial(), working = dial(), stream = open_stream(&in);

	put(working, S("GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
	sem_wait(&rig.later_started);
	drain(60);
	buffer_clear(&in);
	get_all(idle, &in, true);
	assert_int_equal(in.len, 0);
	get_all(stream, &in, false);
	assert_string_equal(in.ptr, "data: last\n\n");
	close(stream);
	assert_int_equal(sem_trywait(&rig.drained), -1);
	sem_post(&rig.later_go);
	buffer_clear(&in);
	get_all(working, &in, false);
	assert_non_null(strstr(in.ptr, "Connection: close\r\n"));
	assert_non_null(strstr(in.ptr, "later"));
	close(idle);
	close(working);
	loop_join(rig.loop);
	buffer_release(&in);
}

static void drain_ends_at_its_time(void **state)
{
	struct buffer in = inbox();
	int fd = dial();

	put(fd, S("GET /later HTTP/1.1\r\nHost: x\r\n\r\n"));
	sem_wait(&rig.later_started);
	drain(5);
	pass(0);
	pass(6);
	get_all(fd, &in, true);
	assert_int_equal(in.len, 0);
	sem_post(&rig.later_go);
	loop_join(rig.loop);
	pthread_join(rig.later, NULL);
	rig.has_later = false;
	assert_int_equal(rig.cancelled, 1);
	close(fd);
	buffer_release(&in);
}

static void a_port_in_use_is_an_error(void **state)
{
	struct server_options same = defaults;
	struct server *second = NULL;
	struct loop *loops[2];
	struct cs_error err;

	same.port = server_port(rig.server);
	assert_int_equal(loop_new(&loops[0], NULL), CS_OK);
	assert_int_equal(loop_new(&loops[1], NULL), CS_OK);
	assert_int_equal(
		server_new(loops, 2, &same, (struct server_handler){NULL, on_request}, &second, &err), CS_UNAVAILABLE);
	assert_non_null(strstr(err.text, "Address already in use"));
	same.port = 0;
	assert_int_equal(server_new(loops, 2, &same, (struct server_handler){NULL, on_request}, &second, &err), CS_OK);
	server_free(second);
	loop_free(loops[0]);
	loop_free(loops[1]);
}

/* A path no sockaddr_un could hold, a file left by a crash, and the mode. */
static void a_unix_socket_with_a_long_path(void **state)
{
	struct server_options local = defaults;
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct buffer in = inbox();
	char dir[] = "/tmp/test_server_XXXXXX", deep[400], path[420];
	struct stat st;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(deep, sizeof(deep), "%s/%0150d", dir, 7);
	assert_int_equal(mkdir(deep, 0700), 0);
	snprintf(path, sizeof(path), "%s/owner.sock", deep);
	assert_int_equal(chdir(deep), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(to.sun_path, "owner.sock", sizeof("owner.sock"));
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0); /* never listened on: stale */
	close(fd);
	local.host = S("");
	local.unix_path = slice_cstr(path);
	start_with(&local);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	put(fd, S("GET /u HTTP/1.1\r\nHost: x\r\n\r\n"));
	get_until(fd, &in, "GET /u 1:", 1);
	close(fd);
	buffer_release(&in);
	tear_down(state);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(chdir("/"), 0);
	rmdir(deep);
	rmdir(dir);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(pipelined_requests_are_answered_in_order),
		SERVER_TEST(answers_leave_together),
		SERVER_TEST(gathered_answers_precede_a_refusal),
		SERVER_TEST(gathered_answers_precede_continue),
		SERVER_TEST(requests_split_at_every_byte),
		SERVER_TEST(what_comes_during_an_exchange_waits),
		SERVER_TEST(a_long_pipeline_is_bounded_and_answered),
		SERVER_TEST(a_body_larger_than_a_read),
		SERVER_TEST(continue_is_said_when_asked_for),
		SERVER_TEST(head_has_the_length_and_no_body),
		SERVER_TEST(old_clients_get_what_they_understand),
		SERVER_TEST(bad_requests_get_their_status),
		SERVER_TEST(a_slow_head_is_408),
		SERVER_TEST(a_pause_in_a_body_is_408),
		SERVER_TEST(an_idle_connection_is_closed_without_a_word),
		SERVER_TEST(half_closed_clients_get_their_answers),
		SERVER_TEST(a_client_that_resets_cancels),
		SERVER_TEST(a_client_that_never_reads_is_closed),
		SERVER_TEST(a_client_that_reads_slowly_gets_all),
		cmocka_unit_test(connections_over_the_limit_are_told),
		SERVER_TEST(five_hundred_connections),
		SERVER_TEST(a_stream_carries_messages_and_heartbeats),
		SERVER_TEST(a_client_that_leaves_closes_its_stream),
		SERVER_TEST(a_stream_nobody_reads_is_cut),
		SERVER_TEST(many_threads_send_into_one_stream),
		SERVER_TEST(drain_lets_exchanges_finish_and_streams_say_goodbye),
		SERVER_TEST(drain_ends_at_its_time),
		SERVER_TEST(a_port_in_use_is_an_error),
		cmocka_unit_test(a_unix_socket_with_a_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
