/* Which loop serves a connection.
 *
 * A loop answers what comes on all its connections while it is awake, and sleeps when nothing does. Ten busy
 * connections keep one loop awake; five on each of two loops put both to sleep between any two requests, and each
 * sleep is a switch of threads for the request that ends it. So the first loop is filled up to SPREAD_FEW
 * connections, then the next, and only when all have that many do further ones go where there are fewest.
 *
 * What it costs: up to SPREAD_FEW connections have one loop's throughput, some 160,000 calls a second from memory.
 * What is more than that runs on workers whatever loop it came by (mcp/post.c, net/worker.h). The number is twice
 * what a server has at most in its usual life (/status calls that the target). With 16 and 32, fifty connections still
 * slept as often as before; with 100, two hundred cost a third more CPU each, and answered two thirds as many a second.
 *
 * Event streams are not counted: they ask nothing and sleep. Thousands of them counted would put ten busy connections
 * on both loops.
 *
 * The kernel chooses who accepts (listen.c), by a hash of addresses that knows nothing of this; whoever accepts
 * gives the descriptor to the loop it belongs to, once a connection. One listener on one loop was the alternative:
 * it would make that loop's stalls everybody's. Asking the kernel again before each sleep (a poll that does not
 * wait, with or without sched_yield) was tried and saved no switch.
 *
 * Drain: a loop that has closed its listeners hands over nothing more, and tasks run in the order they were posted.
 * So a home that runs the task posted when the last one has closed (server.c) has all that will ever come. */
#include <stdlib.h>
#include <unistd.h>

#include "net/server_internal.h"

struct handed {
	struct loop_task task;
	struct home *home;
	int fd;
};

/* Counts are read while others change them: being off by one puts a connection on the second best loop. */
static struct home *choose(struct home *own)
{
	struct server *server = own->server;
	struct home *best = own;
	unsigned least = atomic_load(&own->load);

	for (size_t i = 0; i < server->home_count; i++) {
		struct home *home = &server->homes[i];
		unsigned load = atomic_load(&home->load);

		if (load < SPREAD_FEW)
			return home;
		if (load < least) {
			least = load;
			best = home;
		}
	}
	return best;
}

static void take_over(struct loop_task *task)
{
	struct handed *handed = (struct handed *)task;
	struct home *home = handed->home;
	int fd = handed->fd;

	free(handed);
	connection_accept(home, fd, false);
	if (home->draining && home->connections)
		home_drain_connection(home, home->connections); /* the one that was put first */
}

void spread_accept(struct home *own, int fd, bool unix_socket)
{
	struct home *home = unix_socket || own->draining ? own : choose(own);
	struct handed *handed = home != own ? malloc(sizeof(*handed)) : NULL;

	if (!handed)
		home = own;
	atomic_fetch_add(&home->load, 1);
	if (!handed) {
		connection_accept(own, fd, unix_socket);
		return;
	}
	*handed = (struct handed){{.run = take_over}, home, fd};
	loop_post(home->loop, &handed->task);
}
