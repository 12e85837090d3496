/* A closed-loop HTTP client: n keep-alive connections, each with one request under way, one thread, epoll.
 *
 * It reads just enough of a reply to know its end (Content-Length) and its status, and takes a time stamp at each end,
 * so that it is not what is measured. A reply with a status other than 200 counts as a failure and its first one is
 * printed. */
#ifndef CS_BENCH_LOAD_H
#define CS_BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct load {
	uint16_t port;
	unsigned connections;
	size_t requests; /* in all */
	/* Writes request `index` into room and returns its length. */
	size_t (*request)(void *self, size_t index, char *room, size_t size);
	void *self;
};

struct load_result {
	double *latency_us; /* sorted, `done` of them; the caller frees */
	size_t done, failed;
	int64_t elapsed_ns;
	size_t reply_bytes; /* of the last reply, head and body */
};

struct load_result load_run(const struct load *);

/* One request, waited for, on a connection of its own; the reply (head and body, NUL-terminated) is the caller's to
 * free. */
char *load_once(uint16_t port, const char *request, size_t length, size_t *ret_length);

/* "POST path" with a JSON body, as a client sends it; `headers` are further lines, each ended by CRLF. Returns the
 * length. */
size_t load_post(char *room, size_t size, const char *path, const char *headers, const char *body);

int load_connect(uint16_t port);

#endif
