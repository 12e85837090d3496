/* The server on real sockets: time-outs, clients that leave, do not read or are too many, streams, drain. */
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../support/server_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
