/* A server that speaks as the test wants: a thread that accepts on a Unix socket and hands each connection to the test's
 * function, one after the other.
 *
 * A Unix socket, because there SIOCOUTQ falls to zero only when the client has read: fake_redis_say can so be told to
 * wait until the first part of a reply was taken by itself. */
#ifndef CS_TESTS_FAKE_REDIS_H
#define CS_TESTS_FAKE_REDIS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define FAKE_REQUEST_MAX (1u << 20)

struct fake_redis {
	/* Serves one connection, which is closed behind it; `number` counts from 0. */
	void (*serve)(struct fake_redis *, int fd, int number);
	void *self; /* the test's */
	atomic_int connections;
	char request[FAKE_REQUEST_MAX]; /* the last that fake_redis_hear read, NUL-terminated */
	size_t request_length;
	int listener;
	pthread_t thread;
	char dir[64], path[96];
	char url[128];
};

void fake_redis_start(struct fake_redis *, void (*serve)(struct fake_redis *, int fd, int number), void *self);
/* The thread must come to accept again by itself: the client closes first, or serve returns. */
void fake_redis_stop(struct fake_redis *);

/* Reads until `commands` whole commands have come. False: the client hung up first. */
bool fake_redis_hear(struct fake_redis *, int fd, int commands);
void fake_redis_say(int fd, const char *bytes, size_t length);
/* Until the client has read all that was said, or is gone. */
void fake_redis_await_read(int fd);
/* Hears the greeting (one command) and says +OK. */
bool fake_redis_greet(struct fake_redis *, int fd);

#endif
