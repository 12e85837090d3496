/* HTTP load for the benchmark programs: the client of `context-store bench` (src/bench/client.h), with the manners of a
 * benchmark program: what fails ends it with a message.
 *
 * There is one load generator in this repository, so that all figures are taken by the same client. */
#ifndef CS_BENCH_LOAD_H
#define CS_BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "bench/histogram.h"

struct load {
	uint16_t port;
	unsigned connections;
	size_t requests; /* that count; up to two a connection are sent besides (src/bench/client.h) */
	/* Writes request `index` into room and returns its length. */
	size_t (*request)(void *self, size_t index, char *room, size_t size);
	void *self;
};

struct load_result {
	struct histogram latency;
	size_t done, failed; /* a reply with a status other than 200 is a failure; the first one is printed */
	size_t sent;         /* those that are not counted too: what CPU time is divided by */
	int64_t elapsed_ns;
};

struct load_result load_run(const struct load *);
double load_percentile_us(const struct load_result *, double p);

/* One request, waited for, on a connection of its own; the reply (head and body, NUL-terminated) is the caller's to
 * free. */
char *load_once(uint16_t port, const char *request, size_t length, size_t *ret_length);

/* "POST path" with a JSON body, as a client sends it; `headers` are further lines, each ended by CRLF. Returns the
 * length. */
size_t load_post(char *room, size_t size, const char *path, const char *headers, const char *body);

/* The same request again and again: load_same is a load's `request` with one of these as its self. */
struct load_fixed {
	char bytes[4096];
	size_t length;
};
size_t load_same(void *self, size_t index, char *room, size_t size);

/* Stores what get_agent_state of agent "bench" finds under "current". */
void load_plant_state(uint16_t port);

/* A connected socket that blocks. */
int load_connect(uint16_t port);

#endif
