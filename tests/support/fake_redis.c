/* The scripted server. */
#include "fake_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void give_up(const char *what)
{
	fprintf(stderr, "fake_redis: %s: %s\n", what, strerror(errno));
	abort();
}

static void *serve_all(void *self)
{
	struct fake_redis *f = self;
	int fd;

	while ((fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		f->serve(f, fd, f->connections++);
		close(fd);
	}
	return NULL;
}

void fake_redis_start(struct fake_redis *f, void (*serve)(struct fake_redis *, int fd, int number), void *self)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(f, 0, sizeof *f);
	f->serve = serve;
	f->self = self;
	snprintf(f->dir, sizeof f->dir, "/tmp/context-store-fake-XXXXXX");
	if (!mkdtemp(f->dir))
		give_up("mkdtemp");
	snprintf(f->path, sizeof f->path, "%s/socket", f->dir);
	snprintf(f->url, sizeof f->url, "unix://%s", f->path);
	memcpy(address.sun_path, f->path, strlen(f->path) + 1);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->listener < 0 || bind(f->listener, (struct sockaddr *)&address, sizeof address) ||
		listen(f->listener, 64) || pthread_create(&f->thread, NULL, serve_all, f))
		give_up("start");
}

void fake_redis_stop(struct fake_redis *f)
{
	/* Wakes accept, which close would not. */
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
	unlink(f->path);
	rmdir(f->dir);
}

/* Where the first whole command ends, or NULL. */
static const char *command_end(const char *at, const char *end)
{
	const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	long words = line ? strtol(at + 1, NULL, 10) : 0;

	if (!line)
		return NULL;
	at = line + 1;
	for (long i = 0; i < words; i++) {
		line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		if (!line)
			return NULL;
		at = line + 1 + strtol(at + 1, NULL, 10) + 2;
		if (at > end)
			return NULL;
	}
	return at;
}

static bool has_commands(const struct fake_redis *f, int commands)
{
	const char *at = f->request;

	while (commands > 0 && at) {
		at = command_end(at, f->request + f->request_length);
		commands -= at != NULL;
	}
	return commands == 0;
}

bool fake_redis_hear(struct fake_redis *f, int fd, int commands)
{
	f->request_length = 0;
	while (!has_commands(f, commands)) {
		ssize_t n = recv(fd, f->request + f->request_length, sizeof f->request - 1 - f->request_length, 0);

		if (n <= 0)
			return false;
		f->request_length += (size_t)n;
		f->request[f->request_length] = '\0';
	}
	return true;
}

void fake_redis_say(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes += n;
		length -= (size_t)n;
	}
}

void fake_redis_await_read(int fd)
{
	struct pollfd gone = {.fd = fd};
	int unread = 1;

	while (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0 && poll(&gone, 1, 0) == 0)
		sched_yield();
}

bool fake_redis_greet(struct fake_redis *f, int fd)
{
	if (!fake_redis_hear(f, fd, 1))
		return false;
	fake_redis_say(fd, "+OK\r\n", 5);
	return true;
}
