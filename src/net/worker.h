/* Threads that may wait, and the gate before those that compute.
 *
 * A request that cannot be answered from memory runs on a worker from top to bottom. A worker blocked on a commit or a
 * server is a sleeping thread, so the pool grows on demand (a job is queued and no worker is idle) to workers_max, and
 * shrinks to workers_min after idle_ms without work. Queries go before bulk work. The queue is bounded: a full one
 * refuses (the client gets limit_exceeded or rate_limit, never silence).
 *
 * Computing is rationed: whoever scans, embeds or evaluates holds the gate, which is as wide as the machine has cores,
 * urgent ones first. Holding it while waiting for I/O is a mistake.
 * Threads: submit and the gate from anywhere; start and stop from the thread that owns the pool. */
#ifndef CS_NET_WORKER_H
#define CS_NET_WORKER_H

#include "base/error.h"
#include "base/op.h"

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
	unsigned gate_width; /* 0: one per core */
	unsigned idle_ms;    /* a thread above workers_min ends after so long without work; 0: WORKERS_IDLE_MS */
};

CS_CHECKED enum cs_status workers_new(const struct workers_options *, struct workers **ret_workers, struct cs_error *);
/* Runs what is queued, waits for what runs, ends the threads. Takes NULL. */
void workers_free(struct workers *);

/* The job belongs to the pool until run is called; run frees it or hands it on. CS_LIMIT_EXCEEDED: queue full, not
 * taken. */
CS_CHECKED enum cs_status workers_submit(struct workers *, struct job *);

/* Waits for a place among those that compute; CS_TIMEOUT at the op's deadline or cancellation. */
CS_CHECKED enum cs_status gate_enter(struct workers *, const struct op *, bool bulk, struct cs_error *);
void gate_leave(struct workers *);

#endif
