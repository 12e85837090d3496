/* Stream sockets with deadlines.
 *
 * The receive and send time-outs are set once, when the socket is made, and are the rhythm at which a waiting thread
 * looks up; a wait shorter than that is made with poll() first. Connecting is non-blocking with poll() in the same
 * rhythm. */
#include "remote/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_NS     (WIRE_LOOK_MS * INT64_C(1000000))
#define AWAIT_NS    (WIRE_AWAIT_MS * INT64_C(1000000))
#define KEEPALIVE_S 60 /* a silent peer is asked after so long, and then every third of it */

static struct wire_result ended(enum wire_end end)
{
	return (struct wire_result){.end = end};
}

static struct wire_result failed(int error)
{
	return (struct wire_result){.end = WIRE_FAILED, .error = error};
}

/* WIRE_OK while there is time and somebody waits; *ret_left_ns: how much. */
static struct wire_result look(struct wire_wait wait, int64_t *ret_left_ns)
{
	int64_t left_ns = wait.until_ns == OP_NO_DEADLINE ? INT64_MAX : wait.until_ns - clock_mono_ns();

	if (op_check(wait.op, NULL) != CS_OK)
		return ended(WIRE_UNWANTED);
	if (left_ns <= 0)
		return ended(WIRE_LATE);
	if (wait.op->deadline_ns != OP_NO_DEADLINE && wait.op->deadline_ns < wait.until_ns)
		left_ns = wait.op->deadline_ns - clock_mono_ns();
	*ret_left_ns = left_ns > 0 ? left_ns : 0;
	return ended(WIRE_OK);
}

/* Until the socket is ready for `events`, or `most_ns` or `left_ns` have gone by. */
static void doze_for(int fd, short events, int64_t left_ns, int64_t most_ns)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t ns = left_ns < most_ns ? left_ns : most_ns;
	struct timespec ts = {.tv_nsec = (long)ns};

	/* What it says is found out by the call that follows. */
	(void)ppoll(&p, 1, &ts, NULL);
}

static void doze(int fd, short events, int64_t left_ns)
{
	doze_for(fd, events, left_ns, LOOK_NS);
}

static void set_options(int fd, bool tcp)
{
	struct timeval rhythm = {.tv_usec = WIRE_LOOK_MS * 1000};
	int on = 1, idle_s = KEEPALIVE_S, every_s = KEEPALIVE_S / 3;

	/* None of these can fail on a fresh socket, and without them it works too, but the time-outs. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &rhythm, sizeof rhythm);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &rhythm, sizeof rhythm);
	if (!tcp)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
}

static struct wire_result wait_connected(int fd, struct wire_wait wait)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t size = sizeof error;
	int64_t left_ns;

	for (;;) {
		struct wire_result r = look(wait, &left_ns);

		if (r.end != WIRE_OK)
			return r;
		doze(fd, POLLOUT, left_ns);
		if (poll(&p, 1, 0) > 0)
			break;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return failed(errno);
	return error ? failed(error) : ended(WIRE_OK);
}

static struct wire_result connect_to(const struct sockaddr *address, socklen_t size, struct wire_wait wait, int *ret_fd)
{
	struct wire_result r = ended(WIRE_OK);
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return failed(errno);
	set_options(fd, address->sa_family != AF_UNIX);
	if (connect(fd, address, size))
		r = errno == EINPROGRESS ? wait_connected(fd, wait) : failed(errno);
	if (r.end == WIRE_OK && fcntl(fd, F_SETFL, 0))
		r = failed(errno);
	if (r.end != WIRE_OK) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return r;
}

static struct wire_result connect_unix(const char *path, struct wire_wait wait, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof address.sun_path)
		return failed(ENAMETOOLONG);
	memcpy(address.sun_path, path, strlen(path) + 1);
	return connect_to((const struct sockaddr *)&address, sizeof address, wait, ret_fd);
}

struct wire_result wire_connect(const struct wire_address *address, struct wire_wait wait, int *ret_fd)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
	struct wire_result r;
	char port[8];
	int error;
	int64_t left_ns;

	r = look(wait, &left_ns);
	if (r.end != WIRE_OK)
		return r;
	if (!address->host)
		return connect_unix(address->path, wait, ret_fd);
	snprintf(port, sizeof port, "%u", address->port);
	error = getaddrinfo(address->host, port, &hints, &found);
	if (error)
		return error == EAI_SYSTEM ? failed(errno) : (struct wire_result){WIRE_UNKNOWN, error};
	for (const struct addrinfo *at = found; at; at = at->ai_next) {
		r = connect_to(at->ai_addr, at->ai_addrlen, wait, ret_fd);
		if (r.end != WIRE_FAILED)
			break;
	}
	freeaddrinfo(found);
	return r;
}

struct wire_result wire_send(int fd, struct slice bytes, struct wire_wait wait, size_t *ret_sent)
{
	size_t sent = 0;
	struct wire_result r = ended(WIRE_OK);

	while (sent < bytes.len) {
		int64_t left_ns;
		ssize_t n;

		r = look(wait, &left_ns);
		if (r.end != WIRE_OK)
			break;
		if (left_ns < LOOK_NS)
			doze(fd, POLLOUT, left_ns);
		n = send(fd, bytes.ptr + sent, bytes.len - sent, MSG_NOSIGNAL | (left_ns < LOOK_NS ? MSG_DONTWAIT : 0));
		if (n >= 0) {
			sent += (size_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			r = failed(errno);
			break;
		}
	}
	*ret_sent = sent;
	return r;
}

struct wire_result wire_receive(int fd, char *room, size_t size, struct wire_wait wait, size_t *ret_received)
{
	for (;;) {
		int64_t left_ns;
		ssize_t n;
		struct wire_result r = look(wait, &left_ns);

		if (r.end != WIRE_OK)
			return r;
		if (left_ns < LOOK_NS)
			doze(fd, POLLIN, left_ns);
		n = recv(fd, room, size, left_ns < LOOK_NS ? MSG_DONTWAIT : 0);
		if (n > 0) {
			*ret_received = (size_t)n;
			return r;
		}
		if (n == 0)
			return ended(WIRE_CLOSED);
		if (errno != EAGAIN && errno != EINTR)
			return failed(errno);
	}
}

struct wire_result wire_await(int fd, struct wire_wait wait)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left_ns;

	for (;;) {
		struct wire_result r = look(wait, &left_ns);

		if (r.end != WIRE_OK || poll(&p, 1, 0) > 0)
			return r;
		doze_for(fd, POLLIN, left_ns, AWAIT_NS);
	}
}

struct wire_result wire_take(int fd, char *room, size_t size, size_t *ret_received)
{
	ssize_t n;

	do
		n = recv(fd, room, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		*ret_received = (size_t)n;
	if (n < 0)
		return errno == EAGAIN ? ended(WIRE_LATE) : failed(errno);
	return ended(n ? WIRE_OK : WIRE_CLOSED);
}

bool wire_is_quiet(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

const char *wire_reason(struct wire_result r)
{
	switch (r.end) {
	case WIRE_OK: return "done";
	case WIRE_CLOSED: return "the other end closed the connection";
	case WIRE_UNKNOWN: return gai_strerror(r.error);
	case WIRE_LATE: return "no answer in time";
	case WIRE_UNWANTED: return "nobody waits for the answer any more";
	case WIRE_FAILED: return strerror(r.error);
	}
	return "";
}
