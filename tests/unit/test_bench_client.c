/* The client against a server that behaves in every way a server can: what is counted, and what ends a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/client.h"

#define PEERS_MAX 16

enum manner { ANSWER, FAIL_ODD, CLOSE_ODD, FOREIGN, SILENT, STALL_FIRST, IN_PIECES };

struct server {
	int listener, quit[2];
	enum manner manner;
	unsigned requests, accepted;
	struct client_address address;
	pthread_t thread;
};

static struct client_series series[2];
static unsigned asked;

static void send_text(int fd, const char *text, size_t length)
{
	assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
}

static void answer(struct server *s, int fd)
{
	static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
			  bad[] = "HTTP/1.1 500 X\r\nContent-Length: 11\r\n\r\n{\"bad\":\"a\"}";
	const struct timespec stall = {0, 60000000}, pause = {0, 1000000};
	unsigned number = s->requests++;

	if (s->manner == SILENT || (s->manner == CLOSE_ODD && number % 2)) {
		if (s->manner == CLOSE_ODD)
			shutdown(fd, SHUT_RDWR);
		return;
	}
	if (s->manner == STALL_FIRST && number == 0)
		nanosleep(&stall, NULL);
	if (s->manner == FOREIGN)
		send_text(fd, "SSH-2.0-x\r\n", 11);
	else if (s->manner == FAIL_ODD && number % 2)
		send_text(fd, bad, sizeof bad - 1);
	else if (s->manner == IN_PIECES) {
		send_text(fd, good, 20);
		nanosleep(&pause, NULL);
		send_text(fd, good + 20, sizeof good - 1 - 20);
	} else
		send_text(fd, good, sizeof good - 1);
}

static void *serve(void *self)
{
	struct server *s = self;
	struct pollfd fds[PEERS_MAX] = {{s->quit[0], POLLIN, 0}, {s->listener, POLLIN, 0}};
	nfds_t count = 2;
	char request[4096];

	while (poll(fds, count, -1) >= 0 && !fds[0].revents) {
		nfds_t known = count;

		if (fds[1].revents && count < PEERS_MAX) {
			fds[count++] = (struct pollfd){accept(s->listener, NULL, NULL), POLLIN, 0};
			s->accepted++;
		}
		for (nfds_t i = 2; i < known; i++) {
			if (!fds[i].revents)
				continue;
			if (read(fds[i].fd, request, sizeof request) > 0) {
				answer(s, fds[i].fd);
				continue;
			}
			close(fds[i].fd);
			fds[i--] = fds[--count];
			known = known < count ? known : count;
		}
	}
	for (nfds_t i = 2; i < count; i++)
		close(fds[i].fd);
	return NULL;
}

static void start(struct server *s, enum manner manner)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	*s = (struct server){.manner = manner, .address.length = sizeof in};
	memset(series, 0, sizeof series);
	asked = 0;
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(s->listener, 64), 0);
	getsockname(s->listener, (struct sockaddr *)&s->address.address, &s->address.length);
	assert_int_equal(pipe(s->quit), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	assert_int_equal(write(s->quit[1], "q", 1), 1);
	pthread_join(s->thread, NULL);
	close(s->listener);
	close(s->quit[0]);
	close(s->quit[1]);
}

static struct slice next_request(void *self, unsigned *ret_series)
{
	*ret_series = asked++ % 2;
	return S("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
}

static struct client_load load_of(const struct server *s, unsigned connections, uint64_t requests)
{
	return (struct client_load){.to = &s->address,
		.connections = connections,
		.requests = requests,
		.timeout_ns = INT64_C(20000000000),
		.frame = frame_http,
		.request = next_request,
		.series = series};
}

static uint64_t successes(void)
{
	assert_int_equal(series[0].success + series[1].success, series[0].latency.count + series[1].latency.count);
	return series[0].success + series[1].success;
}

static uint64_t failures(void)
{
	return series[0].failed + series[1].failed;
}

/* Those counted are as many as were asked for; each connection sends one before and at most one after. */
static void test_counts(enum manner manner)
{
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	start(&s, manner);
	load = load_of(&s, 4, 100);
	series[0].mark = S("Length: 2\r\n\r\n{}");
	series[1].mark = S("Length: 3");
	if (client_run(&load, &result, &err) != CS_OK)
		fail_msg("%s", err.text);
	stop(&s);
	assert_int_equal(result.done, 100);
	assert_int_equal(successes(), 100);
	assert_int_equal(failures(), 0);
	assert_int_equal(series[0].marked, series[0].success);
	assert_int_equal(series[1].marked, 0);
	assert_in_range(s.requests, 104, 108);
	assert_int_equal(s.accepted, 4);
	assert_int_equal(result.reply_bytes, 40);
	assert_true(result.elapsed_ns > 0 && result.cpu_ns > 0 && !result.stopped);
	assert_int_equal(series[0].success, 50);
}

static void test_whole(void **state)
{
	(void)state;
	test_counts(ANSWER);
}

static void test_pieces(void **state)
{
	(void)state;
	test_counts(IN_PIECES);
}

static void test_failed_replies(void **state)
{
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	(void)state;
	start(&s, FAIL_ODD);
	load = load_of(&s, 1, 40);
	assert_int_equal(client_run(&load, &result, &err), CS_OK);
	stop(&s);
	assert_int_equal(successes(), 20);
	assert_int_equal(failures(), 20);
	assert_string_equal(series[0].failed ? series[0].failure : series[1].failure, "{\"bad\":\"a\"}");
}

static void test_lost_connections(void **state)
{
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	(void)state;
	start(&s, CLOSE_ODD);
	load = load_of(&s, 1, 40);
	assert_int_equal(client_run(&load, &result, &err), CS_OK);
	stop(&s);
	assert_int_equal(successes() + failures(), 40);
	assert_int_equal(failures(), 20);
	assert_true(s.accepted > 20);
}

static enum cs_status run_against(enum manner manner, int64_t timeout_ns, struct cs_error *err)
{
	struct client_result result;
	struct client_load load;
	enum cs_status status;
	struct server s;

	start(&s, manner);
	load = load_of(&s, 2, 10);
	load.timeout_ns = timeout_ns;
	status = client_run(&load, &result, err);
	stop(&s);
	assert_int_equal(successes(), 0);
	return status;
}

static void test_what_ends_a_run(void **state)
{
	struct cs_error err;

	(void)state;
	assert_int_equal(run_against(FOREIGN, INT64_C(20000000000), &err), CS_SYNTAX);
	assert_non_null(strstr(err.text, "SSH-2.0"));
	assert_int_equal(run_against(SILENT, INT64_C(300000000), &err), CS_TIMEOUT);
}

static void test_nobody_there(void **state)
{
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	(void)state;
	start(&s, ANSWER);
	stop(&s);
	load = load_of(&s, 1, 10);
	assert_int_equal(client_run(&load, &result, &err), CS_UNAVAILABLE);
	assert_int_equal(result.done, 0);
}

/* Of this process's connections to the server, the one; nothing can be sent on it any more. */
static void cut_own_connection(const struct server *s)
{
	const struct sockaddr_in *at = (const struct sockaddr_in *)&s->address.address;

	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in peer;
		socklen_t size = sizeof peer;

		if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sin_port == at->sin_port)
			assert_int_equal(shutdown(fd, SHUT_WR), 0);
	}
}

static struct slice cut_and_request(void *self, unsigned *ret_series)
{
	if (asked == 5)
		cut_own_connection(self);
	return next_request(self, ret_series);
}

static void test_open_loop_keeps_what_it_lost(void **state)
{
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	(void)state;
	start(&s, ANSWER);
	load = load_of(&s, 1, 20);
	load.rate = 1000;
	load.request = cut_and_request;
	load.self = &s;
	assert_int_equal(client_run(&load, &result, &err), CS_OK);
	stop(&s);
	assert_int_equal(result.dropped, 0);
	assert_int_equal(failures(), 1);
	assert_int_equal(successes(), 19);
}

/* One connection, a request due every millisecond, and a server that stalls at first for 60 of them: those that had to
 * wait are charged for the wait, though each was answered at once when it left. */
static void test_no_coordinated_omission(void **state)
{
	static struct histogram both;
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	(void)state;
	start(&s, STALL_FIRST);
	load = load_of(&s, 1, 100);
	load.rate = 1000;
	assert_int_equal(client_run(&load, &result, &err), CS_OK);
	stop(&s);
	assert_int_equal(result.done, 100);
	assert_int_equal(result.dropped, 0);
	assert_int_equal(s.requests, 100);
	assert_true(result.late >= 50);
	both = series[0].latency;
	histogram_add(&both, &series[1].latency);
	assert_true(histogram_percentile(&both, 60) >= 10e6);
	assert_true(histogram_percentile(&both, 100) >= 60e6);
}

/* Requests that nobody could send within the time-out are told, and not measured. */
static void test_dropped(void **state)
{
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	(void)state;
	start(&s, STALL_FIRST);
	load = load_of(&s, 1, 50);
	load.rate = 2000;
	load.timeout_ns = 20000000; /* a third of the stall; the run is looked at less often */
	assert_int_equal(client_run(&load, &result, &err), CS_OK);
	stop(&s);
	assert_true(result.dropped > 0);
	assert_int_equal(successes() + failures() + result.dropped, 50);
}

static atomic_bool stop_flag;

static void stop_early(void *self, uint64_t done)
{
	atomic_store(&stop_flag, true);
}

static void test_stopped(void **state)
{
	struct client_result result;
	struct client_load load;
	struct cs_error err;
	struct server s;

	(void)state;
	start(&s, ANSWER);
	load = load_of(&s, 2, UINT64_C(1000000000));
	load.progress = stop_early;
	load.stop = &stop_flag;
	assert_int_equal(client_run(&load, &result, &err), CS_OK);
	stop(&s);
	assert_true(result.stopped);
	assert_int_equal(successes(), result.done);
	assert_true(result.done > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_failed_replies),
		cmocka_unit_test(test_lost_connections),
		cmocka_unit_test(test_what_ends_a_run),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_open_loop_keeps_what_it_lost),
		cmocka_unit_test(test_no_coordinated_omission),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
