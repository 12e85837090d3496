/* The cheapest server there can be: a process that answers each read with the same bytes, with epoll and nothing else.
 *
 * What the kernel charges for a request and a reply of these sizes; no server can be cheaper, and what the client does
 * against it is what the client can do at all. It is a process and not a thread, so that nothing of ours is shared.
 * Call responder_start before there are other threads: it forks and does not exec. Threads: one. */
#ifndef CS_BENCH_RESPONDER_H
#define CS_BENCH_RESPONDER_H

#include <sys/types.h>

#include "bench/client.h"

struct responder {
	pid_t pid;
	struct client_address address;
};

/* On a free loopback port. Errors: CS_UNAVAILABLE. */
CS_CHECKED enum cs_status responder_start(struct responder *, struct slice reply, struct cs_error *);
/* Takes one that was not started (all zero). */
void responder_stop(struct responder *);

#endif
