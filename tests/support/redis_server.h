/* A real server for tests: redis-server or valkey-server on a free loopback port and a Unix socket, in a directory of its
 * own below /tmp, stopped with the test program whatever becomes of it (the kernel ends the child with its parent).
 *
 * Nothing is saved to disk unless the arguments say so. A failure to start ends the test program: it is not what is
 * tested. Only a program that is not installed is for the caller to see, who skips and says so. */
#ifndef CS_TESTS_REDIS_SERVER_H
#define CS_TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_server {
	pid_t pid; /* 0: not running */
	uint16_t port;
	char dir[64];
	char socket[96];
	const char *program;
	const char *const *arguments;
};

/* The path, or NULL where it is not installed: CS_REDIS_SERVER or PATH; CS_VALKEY_SERVER, PATH, or what scripts/setup puts below
 * build/sdk. */
const char *redis_server_program(void);
const char *valkey_server_program(void);

/* Returns once it accepts connections. `arguments` (NULL, or ended by NULL) are the server's own and must outlive it. */
void redis_server_start(struct redis_server *, const char *program, const char *const *arguments);
/* Ends it and removes its directory. */
void redis_server_stop(struct redis_server *);
/* As a crash would, and again on the same port and directory. */
void redis_server_kill(struct redis_server *);
void redis_server_start_again(struct redis_server *);

#endif
