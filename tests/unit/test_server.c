/* The server on real sockets: framing, order, pipelines, limits. */
#include <netinet/tcp.h>
#include <poll.h>

#include "../support/server_rig.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
