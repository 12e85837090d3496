/* It takes for granted that a request arrives in one read and that its reply fits the socket's buffer, which holds for
 * the small requests of a closed loop. */
#include "bench/responder.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS  128
#define BACKLOG 1024

static void accept_one(int poller, int listener)
{
	struct epoll_event event = {.events = EPOLLIN};
	int on = 1;

	event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (event.data.fd < 0)
		return;
	(void)setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event) != 0)
		close(event.data.fd);
}

__attribute__((noreturn)) static void respond(int listener, struct slice reply)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	char request[65536];

	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
		_exit(1);
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(poller, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				accept_one(poller, listener);
			else if (read(fd, request, sizeof request) <= 0 ||
				 send(fd, reply.ptr, reply.len, MSG_NOSIGNAL) < 0)
				close(fd);
		}
	}
}

enum cs_status responder_start(struct responder *r, struct slice reply, struct cs_error *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*r = (struct responder){.address.length = sizeof address};
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
		listen(listener, BACKLOG) != 0 ||
		getsockname(listener, (struct sockaddr *)&r->address.address, &r->address.length) != 0) {
		int failed = errno;

		if (listener >= 0)
			close(listener);
		return cs_fail(err, CS_UNAVAILABLE, "cannot start the bare responder: %s", strerror(failed));
	}
	r->pid = fork();
	if (r->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)signal(SIGINT, SIG_IGN); /* Ctrl-C is for the bench, which then ends us */
		respond(listener, reply);
	}
	close(listener);
	if (r->pid < 0) {
		r->pid = 0;
		return cs_fail(err, CS_UNAVAILABLE, "cannot start the bare responder: %s", strerror(errno));
	}
	return CS_OK;
}

void responder_stop(struct responder *r)
{
	if (r->pid > 0) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, NULL, 0);
	}
	r->pid = 0;
}
