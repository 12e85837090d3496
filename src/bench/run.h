/* A whole run: starts or finds the server, stores what the requests need, measures, runs the baselines, cleans up.
 *
 * What is measured follows from the options: each tool at each number of connections (kind closed), or with a mix the
 * mixture at each number (mix), or with a rate the mixture at that rate (open). Then each tool called directly in this
 * process (direct; only beside a server of our own), and the baselines. Rounds are interleaved: one round of
 * everything, then the next, so that what else the machine does falls on all alike.
 *
 * Nothing is printed here; `progress` tells whoever does. Threads: the main one, before others are started (baselines
 * fork); `stop` may be set from a signal handler. */
#ifndef CS_BENCH_RUN_H
#define CS_BENCH_RUN_H

#include <stdatomic.h>

#include "bench/result.h"
#include "bench/workload.h"
#include "mcp/tools.h"

#define BENCH_LEVELS_MAX     32
#define BENCH_ITERATIONS_MAX 10000000
#define BENCH_RATE_MAX       1000000
#define BENCH_DURATION_MAX   86400
#define BENCH_TIMEOUT_S      30

struct bench_options {
	struct slice url; /* empty: a server of our own */
	struct slice api_key;
	uint64_t iterations; /* of each tool at each level, from 1 on */
	unsigned rounds;     /* 1..RESULT_ROUNDS_MAX; fewer when there are fewer iterations */
	unsigned levels[BENCH_LEVELS_MAX];
	unsigned level_count;
	bool tools[WORKLOAD_MAX]; /* by row of the workload */
	bool mixed;               /* the mix, instead of one tool after another */
	struct mix mix;
	double rate;        /* open loop at the largest level's connections; 0: closed */
	int64_t duration_s; /* of the open loop */
	bool mcp;           /* POST /mcp, else POST /tools/NAME */
	double target_ms;
	bool baselines;
	bool keep;          /* leave what was stored on the server of the URL */
	bool lasting;       /* agent state of the server of our own outlives it: it is asked for elsewhere */
	char *const *flags; /* settings for the server of our own */
	int flag_count;
};

struct bench_progress {
	const char *what; /* "retrieve_context, 50 connections" */
	double fraction;  /* of the whole run */
	double per_second;
};

struct bench_hooks {
	void *self;
	void (*progress)(void *self, const struct bench_progress *);
	/* Opens a store in the directory, for calls in this process; close_direct closes it again. */
	enum cs_status (*open_direct)(void *self, const char *dir, struct tool_host *ret_host, struct cs_error *);
	void (*close_direct)(void *self);
	const atomic_bool *stop;
};

/* The result holds what was measured, on errors too (then it is partial and says why). *ret_stopped: `stop` was set;
 * that is partial too, and CS_OK. Errors: of the target, the client, the store. */
CS_CHECKED enum cs_status bench_run(const struct bench_options *, const struct bench_hooks *, struct result *,
	bool *ret_stopped, struct cs_error *);

#endif
