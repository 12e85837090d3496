/* Threads that may wait.
 *
 * A request that cannot be answered from memory runs on a worker from top to bottom. A worker blocked on a commit or a
 * server is a sleeping thread, so the pool grows on demand (a job is queued and no worker is idle) to workers_max, and
 * shrinks to workers_min after idle_ms without work. Queries go before bulk work. The queue is bounded: a full one
 * refuses (the client gets limit_exceeded or rate_limit, never silence).
 * Threads: submit from anywhere; start and stop from the thread that owns the pool. */
#ifndef CS_NET_WORKER_H
#define CS_NET_WORKER_H

#include "base/error.h"

#define WORKERS_IDLE_MS 10000u

struct workers;

struct job {
	void (*run)(struct job *);
	struct job *next;  /* the pool's */
	bool bulk;         /* goes behind jobs that are not */
	int64_t queued_ns; /* the pool's */
};

struct workers_options {
	unsigned workers_min;
	unsigned workers_max;
	unsigned queue_max;
	unsigned idle_ms; /* a thread above workers_min ends after so long without work; 0: WORKERS_IDLE_MS */
};

CS_CHECKED enum cs_status workers_new(const struct workers_options *, struct workers **ret_workers, struct cs_error *);
/* Runs what is queued, waits for what runs, ends the threads. Takes NULL. */
void workers_free(struct workers *);

/* The job belongs to the pool until run is called; run frees it or hands it on. CS_LIMIT_EXCEEDED: queue full, not
 * taken. */
CS_CHECKED enum cs_status workers_submit(struct workers *, struct job *);

#endif
