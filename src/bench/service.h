/* Somebody else's server as a baseline: started on a free loopback port in a directory of its own, stopped afterwards.
 *
 * Threads: one. */
#ifndef CS_BENCH_SERVICE_H
#define CS_BENCH_SERVICE_H

#include <limits.h>
#include <sys/types.h>

#include "bench/client.h"
#include "bench/scratch_dir.h"

struct service {
	pid_t pid;
	unsigned port;
	struct scratch_dir dir;
	struct client_address address;
};

/* The program's path, looked for in PATH and where Debian puts servers; NULL: not installed. */
const char *service_find(const char *program, char path[PATH_MAX]);

/* Makes the directory and picks a port. Errors: CS_UNAVAILABLE. */
CS_CHECKED enum cs_status service_prepare(struct service *, struct cs_error *);
/* Starts it (words end with NULL; the first is the program's path) and waits until the port takes connections. Errors:
 * CS_UNAVAILABLE when it does not. */
CS_CHECKED enum cs_status service_start(struct service *, char *const *words, struct cs_error *);
/* Takes one that was not started (all zero). */
void service_stop(struct service *);

#endif
