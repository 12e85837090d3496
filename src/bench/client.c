/* The client's loop.
 *
 * It must cost less than what it measures. A reply usually arrives whole, so the common path is one recv into one
 * buffer shared by all connections, a look at the head, one time stamp, one send; only the rest of a reply that came in
 * pieces is copied to memory of its connection. Requests are the caller's bytes and are not copied at all. io_uring
 * would save system calls, but containers often forbid it, and a benchmark that runs differently there compares
 * nothing. A second thread would help on machines with cores to spare and hurts where client and server share two.
 *
 * A timer descriptor with the arrivals' period wakes the open loop: epoll's own time-out counts in milliseconds. */
#include "bench/client.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define SHARED_SIZE  (256u << 10)
#define EVENTS       128
#define LOOK_NS      INT64_C(100000000) /* progress, and requests that take too long */
#define LATE_NS      INT64_C(1000000)
#define PERIOD_MIN   INT64_C(50000) /* of the timer; arrivals closer together leave in groups */
#define NS_PER_S     INT64_C(1000000000)
#define REQUEST_LOST "the server closed the connection before it answered"

struct connection {
	int fd;
	bool busy, counted;
	unsigned series;
	int64_t sent_ns; /* when it left; in an open loop, when it was due */
	int64_t left_ns;
	char *rest; /* of a reply that came in pieces */
	size_t have, room;
};

struct run {
	const struct client_load *load;
	struct client_result *result;
	struct connection *connections;
	struct connection **idle; /* open loop: free ones, a stack */
	unsigned idle_count;
	int poller, timer;
	char *shared;
	uint64_t sent;     /* requests taken from the caller, not counted ones included */
	uint64_t arrivals; /* open loop: due, sent or dropped */
	int64_t start_ns, first_ns, last_ns, heard_ns, looked_ns;
	unsigned busy;
};

enum cs_status client_connect(const struct client_address *to, int64_t timeout_ns, int *ret_fd, struct cs_error *err)
{
	int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, failed = 0;
	socklen_t size = sizeof failed;
	struct pollfd ready = {.fd = fd, .events = POLLOUT};

	if (fd < 0)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "cannot open a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&to->address, to->length) != 0) {
		failed = errno;
		if (failed == EINPROGRESS || failed == EINTR) {
			int n = poll(&ready, 1, (int)(timeout_ns / 1000000));

			failed = n == 0 ? ETIMEDOUT : n < 0 ? errno : 0;
			if (n > 0)
				(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
		}
	}
	if (failed) {
		close(fd);
		return cs_fail(err, CS_UNAVAILABLE, "cannot connect: %s", strerror(failed));
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	*ret_fd = fd;
	return CS_OK;
}

/* All of it, waiting where the kernel takes no more; false: the connection is gone. */
static bool send_all(int fd, struct slice bytes, int64_t timeout_ns)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		struct pollfd ready = {.fd = fd, .events = POLLOUT};

		if (n > 0)
			bytes = slice_from(bytes, (size_t)n);
		else if (n < 0 && errno == EAGAIN) {
			if (poll(&ready, 1, (int)(timeout_ns / 1000000)) == 0)
				return false;
		} else if (n < 0 && errno != EINTR)
			return false;
	}
	return true;
}

static enum cs_status connection_open(struct run *r, struct connection *c, struct cs_error *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	enum cs_status status = client_connect(r->load->to, r->load->timeout_ns, &c->fd, err);

	c->have = 0;
	if (status != CS_OK) {
		c->fd = -1;
		return status;
	}
	if (epoll_ctl(r->poller, EPOLL_CTL_ADD, c->fd, &event) != 0)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "epoll_ctl: %s", strerror(errno));
	return CS_OK;
}

/* What a failed reply says, for people: the body's first bytes, or the status line where there is no body. */
static void note_failure(struct client_series *series, struct slice text)
{
	size_t head = frame_head_length(text.ptr, text.len);

	if (series->failure[0])
		return;
	if (head > 0 && head < text.len)
		text = slice_from(text, head);
	text.len = text.len < CLIENT_FAILURE_MAX - 1 ? text.len : CLIENT_FAILURE_MAX - 1;
	for (size_t i = 0; i < text.len; i++)
		series->failure[i] = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7F ? text.ptr[i] : ' ';
	series->failure[text.len] = '\0';
}

static void count(struct run *r, struct connection *c, bool good, struct slice reply)
{
	struct client_series *series = &r->load->series[c->series];
	int64_t now_ns = clock_mono_ns();

	c->busy = false;
	r->busy--;
	r->heard_ns = now_ns;
	if (!c->counted)
		return;
	r->last_ns = now_ns;
	r->result->done++;
	if (!good) {
		series->failed++;
		note_failure(series, reply);
		return;
	}
	series->success++;
	if (series->mark.len > 0 && memmem(reply.ptr, reply.len, series->mark.ptr, series->mark.len))
		series->marked++;
	r->result->reply_bytes = reply.len;
	histogram_record(&series->latency, now_ns - c->sent_ns);
}

static enum cs_status connection_lost(struct run *r, struct connection *c, const char *why, struct cs_error *err)
{
	int64_t heard_ns = r->heard_ns;

	close(c->fd);
	c->fd = -1;
	if (c->busy)
		count(r, c, false, slice_cstr(why));
	r->heard_ns = heard_ns; /* that was no reply */
	return connection_open(r, c, err);
}

static enum cs_status send_request(
	struct run *r, struct connection *c, bool counted, int64_t due_ns, struct cs_error *err)
{
	struct slice bytes = r->load->request(r->load->self, &c->series);

	c->busy = true;
	c->counted = counted;
	r->busy++;
	r->sent++;
	c->left_ns = clock_mono_ns();
	c->sent_ns = due_ns ? due_ns : c->left_ns;
	if (r->busy == 1)
		r->heard_ns = c->left_ns; /* nothing was waited for until now */
	if (counted && !r->first_ns)
		r->first_ns = c->sent_ns;
	if (send_all(c->fd, bytes, r->load->timeout_ns))
		return CS_OK;
	return connection_lost(r, c, REQUEST_LOST, err);
}

/* Closed loop: what this connection sends next, if anything. */
static enum cs_status send_next(struct run *r, struct connection *c, struct cs_error *err)
{
	uint64_t warm = r->load->connections, total = r->load->requests;

	while (!c->busy && r->sent < warm + total + warm && r->result->done < total) {
		bool counted = r->sent >= warm && r->sent < warm + total;
		enum cs_status status = send_request(r, c, counted, 0, err);

		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

/* Open loop: what is due and finds a connection leaves; what waited too long is dropped. */
static enum cs_status send_due(struct run *r, struct cs_error *err)
{
	const struct client_load *load = r->load;
	int64_t now_ns = clock_mono_ns();

	while (r->arrivals < load->requests) {
		int64_t due_ns = r->start_ns + (int64_t)((double)r->arrivals / load->rate * 1e9);
		struct connection *c;
		enum cs_status status;

		if (due_ns > now_ns)
			break;
		if (now_ns - due_ns > load->timeout_ns) {
			r->arrivals++;
			r->result->dropped++;
			continue;
		}
		if (r->idle_count == 0)
			break;
		r->arrivals++;
		r->result->late += now_ns - due_ns > LATE_NS;
		c = r->idle[--r->idle_count];
		status = send_request(r, c, true, due_ns, err);
		if (status != CS_OK)
			return status;
		if (!c->busy) /* it was lost in sending, and opened anew */
			r->idle[r->idle_count++] = c;
	}
	return CS_OK;
}

static enum cs_status go_on(struct run *r, struct connection *c, struct cs_error *err)
{
	if (c->busy)
		return CS_OK;
	if (r->load->rate > 0) {
		r->idle[r->idle_count++] = c;
		return send_due(r, err);
	}
	return send_next(r, c, err);
}

static enum cs_status keep_rest(struct connection *c, struct slice bytes, struct cs_error *err)
{
	if (c->have + bytes.len > c->room) {
		size_t room = 2 * (c->have + bytes.len);
		char *more = realloc(c->rest, room);

		if (!more)
			return cs_fail_memory(err);
		c->rest = more;
		c->room = room;
	}
	memcpy(c->rest + c->have, bytes.ptr, bytes.len);
	c->have += bytes.len;
	return CS_OK;
}

static enum cs_status fail_foreign(struct slice reply, struct cs_error *err)
{
	char shown[61];
	size_t n = reply.len < sizeof shown - 1 ? reply.len : sizeof shown - 1;

	for (size_t i = 0; i < n; i++)
		shown[i] = reply.ptr[i] >= 0x20 && reply.ptr[i] < 0x7F ? reply.ptr[i] : '.';
	shown[n] = '\0';
	return cs_fail(
		err, CS_SYNTAX, "what answers there does not speak the protocol: its reply begins with \"%s\"", shown);
}

static enum cs_status on_readable(struct run *r, struct connection *c, struct cs_error *err)
{
	ssize_t n = recv(c->fd, r->shared, SHARED_SIZE, 0);
	struct slice reply = slice_of(r->shared, n > 0 ? (size_t)n : 0);
	enum frame_state state;
	enum cs_status status = CS_OK;
	size_t length;
	bool was_busy = c->busy;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CS_OK;
	if (n <= 0) {
		status = connection_lost(r, c, REQUEST_LOST, err);
		return status == CS_OK && was_busy ? go_on(r, c, err) : status;
	}
	if (c->have > 0) {
		status = keep_rest(c, reply, err);
		if (status != CS_OK)
			return status;
		reply = slice_of(c->rest, c->have);
	}
	state = r->load->frame(reply.ptr, reply.len, &length);
	if (state == FRAME_PARTIAL)
		return c->have > 0 ? CS_OK : keep_rest(c, reply, err);
	if (state == FRAME_FOREIGN || !c->busy || length != reply.len)
		return fail_foreign(reply, err);
	c->have = 0;
	count(r, c, state == FRAME_GOOD, reply);
	return go_on(r, c, err);
}

/* Ten times a second: tells of progress, gives up requests that take too long, and the run when nothing answers. */
static enum cs_status look(struct run *r, int64_t now_ns, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	r->looked_ns = now_ns;
	if (r->load->progress)
		r->load->progress(r->load->self, r->result->done);
	if (r->busy > 0 && now_ns - r->heard_ns > r->load->timeout_ns)
		return cs_fail(err, CS_TIMEOUT, "no reply within %lld s", (long long)(r->load->timeout_ns / NS_PER_S));
	for (unsigned i = 0; i < r->load->connections && status == CS_OK; i++) {
		struct connection *c = &r->connections[i];

		if (!c->busy || now_ns - c->left_ns <= r->load->timeout_ns)
			continue;
		status = connection_lost(r, c, "no reply within the time-out", err);
		if (status == CS_OK)
			status = go_on(r, c, err);
	}
	return status;
}

static bool is_over(const struct run *r)
{
	if (r->load->stop && atomic_load_explicit(r->load->stop, memory_order_relaxed))
		return true;
	if (r->load->rate > 0)
		return r->arrivals == r->load->requests && r->busy == 0;
	return r->result->done == r->load->requests && r->busy == 0;
}

static enum cs_status loop(struct run *r, struct cs_error *err)
{
	struct epoll_event events[EVENTS];
	enum cs_status status = CS_OK;

	while (status == CS_OK && !is_over(r)) {
		int n = epoll_wait(r->poller, events, EVENTS, (int)(LOOK_NS / 1000000));
		int64_t now_ns = clock_mono_ns();

		for (int i = 0; i < n && status == CS_OK; i++) {
			struct connection *c = events[i].data.ptr;
			uint64_t ticks;

			if (c)
				status = on_readable(r, c, err);
			else if (read(r->timer, &ticks, sizeof ticks) == sizeof ticks)
				status = send_due(r, err);
		}
		if (status == CS_OK && now_ns - r->looked_ns > LOOK_NS)
			status = look(r, now_ns, err);
	}
	return status;
}

static enum cs_status start_timer(struct run *r, struct cs_error *err)
{
	int64_t period_ns = (int64_t)(1e9 / r->load->rate);
	struct epoll_event event = {.events = EPOLLIN};
	struct itimerspec when;

	period_ns = period_ns < PERIOD_MIN ? PERIOD_MIN : period_ns;
	when.it_interval = (struct timespec){period_ns / NS_PER_S, period_ns % NS_PER_S};
	when.it_value = when.it_interval;
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->timer < 0 || timerfd_settime(r->timer, 0, &when, NULL) != 0 ||
		epoll_ctl(r->poller, EPOLL_CTL_ADD, r->timer, &event) != 0)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "cannot make a timer: %s", strerror(errno));
	return CS_OK;
}

static enum cs_status start(struct run *r, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	r->poller = epoll_create1(EPOLL_CLOEXEC);
	r->connections = calloc(r->load->connections, sizeof *r->connections);
	r->idle = calloc(r->load->connections, sizeof *r->idle);
	r->shared = malloc(SHARED_SIZE);
	if (!r->connections || !r->idle || !r->shared || r->poller < 0)
		return cs_fail_memory(err);
	for (unsigned i = 0; i < r->load->connections; i++)
		r->connections[i].fd = -1;
	for (unsigned i = 0; i < r->load->connections && status == CS_OK; i++)
		status = connection_open(r, &r->connections[i], err);
	if (status == CS_OK && r->load->rate > 0)
		status = start_timer(r, err);
	r->start_ns = r->heard_ns = r->looked_ns = clock_mono_ns();
	for (unsigned i = 0; i < r->load->connections && status == CS_OK; i++)
		status = go_on(r, &r->connections[i], err);
	return status;
}

static void finish(struct run *r)
{
	for (unsigned i = 0; r->connections && i < r->load->connections; i++) {
		if (r->connections[i].fd >= 0)
			close(r->connections[i].fd);
		free(r->connections[i].rest);
	}
	free(r->connections);
	free(r->idle);
	free(r->shared);
	if (r->timer >= 0)
		close(r->timer);
	if (r->poller >= 0)
		close(r->poller);
}

static int64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

enum cs_status client_run(const struct client_load *load, struct client_result *ret_result, struct cs_error *err)
{
	struct run r = {.load = load, .result = ret_result, .poller = -1, .timer = -1};
	int64_t cpu_ns = thread_cpu_ns();
	enum cs_status status;

	assert(load->connections > 0 && load->connections <= CLIENT_CONNECTIONS_MAX);
	*ret_result = (struct client_result){0};
	status = start(&r, err);
	if (status == CS_OK)
		status = loop(&r, err);
	ret_result->stopped = load->stop && atomic_load(load->stop);
	ret_result->elapsed_ns = r.last_ns > r.first_ns ? r.last_ns - r.first_ns : 0;
	finish(&r);
	ret_result->cpu_ns = thread_cpu_ns() - cpu_ns;
	return status;
}

struct single {
	struct slice request;
	enum frame_state (*frame)(const char *, size_t, size_t *);
};

static enum cs_status read_reply(
	int fd, const struct single *s, int64_t until_ns, struct connection *c, bool *ret_good, struct cs_error *err)
{
	char part[16384];
	size_t length;

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left_ms = (until_ns - clock_mono_ns()) / 1000000;
		enum frame_state state;
		ssize_t n;

		if (left_ms <= 0 || poll(&ready, 1, (int)left_ms) == 0)
			return cs_fail(err, CS_TIMEOUT, "no reply in time");
		n = recv(fd, part, sizeof part, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return cs_fail(err, CS_UNAVAILABLE, REQUEST_LOST);
		if (keep_rest(c, slice_of(part, (size_t)n), err) != CS_OK)
			return CS_LIMIT_EXCEEDED;
		state = s->frame(c->rest, c->have, &length);
		if (state == FRAME_FOREIGN)
			return fail_foreign(slice_of(c->rest, c->have), err);
		if (state != FRAME_PARTIAL) {
			*ret_good = state == FRAME_GOOD;
			c->have = length;
			return CS_OK;
		}
	}
}

enum cs_status client_ask(const struct client_address *to, struct slice request, int64_t timeout_ns,
	enum frame_state (*frame)(const char *, size_t, size_t *), char **ret_reply, size_t *ret_length, bool *ret_good,
	struct cs_error *err)
{
	const struct single s = {request, frame};
	struct connection c = {0};
	int64_t until_ns = clock_mono_ns() + timeout_ns;
	enum cs_status status;
	int fd;

	status = client_connect(to, timeout_ns, &fd, err);
	if (status != CS_OK)
		return status;
	status = send_all(fd, request, timeout_ns) ? CS_OK : cs_fail(err, CS_UNAVAILABLE, REQUEST_LOST);
	if (status == CS_OK)
		status = read_reply(fd, &s, until_ns, &c, ret_good, err);
	if (status == CS_OK)
		status = keep_rest(&c, S("\0"), err);
	close(fd);
	if (status != CS_OK) {
		free(c.rest);
		return status;
	}
	*ret_reply = c.rest;
	*ret_length = c.have - 1;
	return CS_OK;
}
