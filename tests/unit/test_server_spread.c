/* Which loop serves a connection, and that none is lost between two of them when the server drains. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/server_internal.h"

#define LOOPS   2
#define DIALERS 3
#define ROUNDS  20

static struct {
	struct loop *loops[LOOPS];
	struct server *server;
	struct loop_task stops[LOOPS];
	atomic_int answers[DIALERS], drained;
} rig;

static sem_t reached, go_on;

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) && errno == EINTR)
		;
}

static void on_stream_closed(void *self, struct sse *stream)
{
}

static void on_request(void *self, struct exchange *ex)
{
	if (slice_eq(ex->head->path, S("/stream"))) {
		struct sse *stream = exchange_stream(ex, (struct sse_hooks){.closed = on_stream_closed});

		assert_non_null(stream);
		sse_send(stream, loop_is_current(rig.loops[0]) ? S("loop 0") : S("loop 1"));
		return;
	}
	if (slice_eq(ex->head->path, S("/stay"))) { /* the loop stands still */
		sem_post(&reached);
		wait_for(&go_on);
	}
	for (int i = 0; i < LOOPS; i++)
		if (loop_is_current(rig.loops[i]))
			buffer_printf(&ex->response.body, "loop %d", i);
	ex->response.content_type = "text/plain";
	exchange_finish(ex);
}

static void start(void)
{
	const struct server_options options = {.host = SLICE_INIT("127.0.0.1"),
		.connections_max = 1000,
		.limits = HTTP_LIMITS_DEFAULT,
		.header_timeout_s = 60,
		.body_timeout_s = 60,
		.idle_timeout_s = 60,
		.arena_ceiling = 1u << 20,
		.response_max = 1u << 20};
	struct cs_error err;

	memset(&rig, 0, sizeof rig);
	for (int i = 0; i < LOOPS; i++)
		assert_int_equal(loop_new(&rig.loops[i], &err), CS_OK);
	assert_int_equal(
		server_new(rig.loops, LOOPS, &options, (struct server_handler){NULL, on_request}, &rig.server, &err),
		CS_OK);
	for (int i = 0; i < LOOPS; i++)
		assert_int_equal(loop_start(rig.loops[i], "server", &err), CS_OK);
}

static void stop_own(struct loop_task *task)
{
	loop_stop(rig.loops[task - rig.stops]);
}

static void on_drained(void *self)
{
	atomic_store(&rig.drained, 1);
	for (int i = 0; i < LOOPS; i++) {
		rig.stops[i].run = stop_own;
		loop_post(rig.loops[i], &rig.stops[i]);
	}
}

/* Waits for the end of a drain. */
static void finish(void)
{
	for (int i = 0; i < LOOPS; i++)
		loop_join(rig.loops[i]);
	assert_int_equal(atomic_load(&rig.drained), 1);
	assert_int_equal(metric_value(metric_series(METRIC_CONNECTIONS, S(""))), 0);
	server_free(rig.server);
	for (int i = 0; i < LOOPS; i++)
		loop_free(rig.loops[i]);
}

static void stop(void)
{
	server_drain(rig.server, 5, on_drained, NULL);
	finish();
}

/* -1: nobody listens any more. */
static int dial(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval patience = {.tv_sec = 20}; /* a broken server fails the test instead of hanging it */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		abort();
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	close(fd);
	return -1;
}

static void tell(int fd, const char *path)
{
	char request[64];
	int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);

	(void)!send(fd, request, (size_t)length, MSG_NOSIGNAL);
}

/* The loop that answers or streams, -1 when the connection ends without an answer, -2 when nothing comes. */
static int hear(int fd)
{
	char reply[512];
	size_t have = 0;
	ssize_t n = 1;

	while (n > 0 && have < sizeof reply - 1) {
		const char *at;

		n = recv(fd, reply + have, sizeof reply - 1 - have, 0);
		if (n <= 0)
			break;
		have += (size_t)n;
		reply[have] = '\0';
		at = strstr(reply, "loop ");
		if (at && at[5])
			return at[5] - '0';
	}
	return n < 0 && errno == EAGAIN ? -2 : -1;
}

static int ask(int fd)
{
	tell(fd, "/");
	return hear(fd);
}

static void a_loop_is_filled_before_the_next(void **state)
{
	int fds[LOOPS * SPREAD_FEW + 4];
	size_t count = sizeof fds / sizeof fds[0], on_second = 0;

	start();
	for (size_t i = 0; i < count; i++) {
		int loop;

		fds[i] = dial(server_port(rig.server));
		assert_true(fds[i] >= 0);
		loop = ask(fds[i]);
		if (i < LOOPS * SPREAD_FEW)
			assert_int_equal(loop, i / SPREAD_FEW);
		else
			on_second += loop == 1;
	}
	assert_int_equal(on_second, 2); /* of the last four, when all have their fill */
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	stop();
}

static void a_place_that_was_left_is_taken_again(void **state)
{
	struct metric_series *open = metric_series(METRIC_CONNECTIONS, S(""));
	int fds[SPREAD_FEW + 1], again;

	start();
	for (size_t i = 0; i < SPREAD_FEW + 1; i++) {
		fds[i] = dial(server_port(rig.server));
		assert_int_equal(ask(fds[i]), i / SPREAD_FEW);
	}
	close(fds[0]);
	while (metric_value(open) > (int64_t)SPREAD_FEW)
		sched_yield();
	again = dial(server_port(rig.server));
	assert_int_equal(ask(again), 0);
	close(again);
	for (size_t i = 1; i < SPREAD_FEW + 1; i++)
		close(fds[i]);
	stop();
}

static void streams_take_no_place(void **state)
{
	struct metric_series *open = metric_series(METRIC_CONNECTIONS, S(""));
	int streams[2 * SPREAD_FEW], fds[SPREAD_FEW + 1];

	start();
	for (size_t i = 0; i < 2 * SPREAD_FEW; i++) {
		streams[i] = dial(server_port(rig.server));
		tell(streams[i], "/stream");
		assert_int_equal(hear(streams[i]), 0);
	}
	for (size_t i = 0; i < SPREAD_FEW + 1; i++) {
		fds[i] = dial(server_port(rig.server));
		assert_int_equal(ask(fds[i]), i / SPREAD_FEW);
	}
	for (size_t i = 0; i < 2 * SPREAD_FEW; i++)
		close(streams[i]);
	close(fds[SPREAD_FEW]);
	while (metric_value(open) > (int64_t)SPREAD_FEW)
		sched_yield();
	fds[SPREAD_FEW] = dial(server_port(rig.server)); /* streams that ended have left no place either */
	assert_int_equal(ask(fds[SPREAD_FEW]), 1);
	for (size_t i = 0; i < SPREAD_FEW + 1; i++)
		close(fds[i]);
	stop();
}

static void pass_by(struct loop_task *task)
{
	sem_post(&reached);
}

static void turn(struct loop *loop)
{
	struct loop_task task = {.run = pass_by};

	for (int i = 0; i < 3; i++) { /* what is closed is gone one turn later */
		loop_post(loop, &task);
		wait_for(&reached);
	}
}

/* The first loop stands still with connections in its queue, and the second has nothing left to drain, when they are
 * handed over: the drain lasts until they are gone. */
static void a_drain_waits_for_what_is_handed_over(void **state)
{
	int early[SPREAD_FEW], late[32]; /* the kernel gives some of these to each loop */

	sem_init(&reached, 0, 0);
	sem_init(&go_on, 0, 0);
	start();
	for (size_t i = 0; i < SPREAD_FEW; i++) {
		early[i] = dial(server_port(rig.server));
		assert_int_equal(ask(early[i]), 0);
	}
	tell(early[0], "/stay");
	wait_for(&reached);
	for (size_t i = 0; i < 32; i++) {
		late[i] = dial(server_port(rig.server));
		tell(late[i], "/");
	}
	turn(rig.loops[1]);
	server_drain(rig.server, 60, on_drained, NULL);
	turn(rig.loops[1]);
	sem_post(&go_on);
	for (size_t i = 0; i < 32; i++)
		assert_int_equal(hear(late[i]), 1);
	for (size_t i = 0; i < SPREAD_FEW; i++)
		close(early[i]);
	turn(rig.loops[0]);
	assert_int_equal(atomic_load(&rig.drained), 0);
	for (size_t i = 0; i < 32; i++)
		close(late[i]);
	finish();
}

struct dialer {
	pthread_t thread;
	uint16_t port;
	atomic_int *answers;
	int fds[SPREAD_FEW * LOOPS];
	size_t count;
	bool stuck;
};

/* Connects and asks until nobody listens; keeps its connections until then. */
static void *dial_on(void *arg)
{
	struct dialer *d = arg;

	while (d->count < sizeof d->fds / sizeof d->fds[0]) {
		int fd = dial(d->port), answer;

		if (fd < 0)
			break;
		d->fds[d->count++] = fd;
		answer = ask(fd);
		d->stuck |= answer == -2;
		if (answer < 0)
			break;
		atomic_fetch_add(d->answers, 1);
	}
	while (d->count > 0)
		close(d->fds[--d->count]);
	return NULL;
}

/* Drains while connections come and go over to the second loop. Each is answered or closed, and done is called. */
static void draining_loses_no_connection(void **state)
{
	static struct dialer dialers[DIALERS];

	for (int round = 0; round < ROUNDS; round++) {
		int answered = 0;

		start();
		memset(dialers, 0, sizeof dialers);
		for (int i = 0; i < DIALERS; i++) {
			dialers[i].port = server_port(rig.server);
			dialers[i].answers = &rig.answers[i];
			assert_int_equal(pthread_create(&dialers[i].thread, NULL, dial_on, &dialers[i]), 0);
		}
		while (answered < (int)SPREAD_FEW + round) { /* from here on they are handed over */
			answered = 0;
			for (int i = 0; i < DIALERS; i++)
				answered += atomic_load(&rig.answers[i]);
			sched_yield();
		}
		stop();
		for (int i = 0; i < DIALERS; i++) {
			pthread_join(dialers[i].thread, NULL);
			assert_false(dialers[i].stuck);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_is_filled_before_the_next),
		cmocka_unit_test(a_place_that_was_left_is_taken_again),
		cmocka_unit_test(streams_take_no_place),
		cmocka_unit_test(a_drain_waits_for_what_is_handed_over),
		cmocka_unit_test(draining_loses_no_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
