/* The one writer: group commit, and what has to be tidied meanwhile.
 *
 * A write is a job: a function that runs inside the writer's transaction, on the writer's thread, while the caller
 * sleeps. The writer takes all jobs that wait, runs each, commits once (fsync), publishes them to the mirrors, and
 * wakes each caller. So one commit is shared by all that came while the former one was on its way: a single client pays
 * one fsync per write, 64 pay a 64th each; there is no timer and no artificial delay.
 *
 * What a job may do. `run` looks first and writes then: it returns an error of the domain (NOT_FOUND, VERSION_CONFLICT
 * ...) only while it has written nothing. A failure of SQLite is different: it spoils the transaction, which is rolled
 * back, and every job of the group is run again alone, or all fail when the disk is to blame. Hence `run` must give the
 * same result when called again. There is no savepoint per job: FTS5 writes out its pending words at each one, which
 * costs more than the row itself.
 *
 * When the disk is full or read-only each write is refused with CS_UNAVAILABLE; nothing is retried by itself, and the
 * next write tries anew, so the engine recovers as soon as space is back.
 *
 * Between groups the thread sweeps what is due (expired keys, purges), folds the log back into the file when it is long
 * or nobody writes, and gives memory back. It sleeps until the next of these is due. Threads: writer_run from any; open
 * and close from one. */
#ifndef CS_ENGINE_WRITER_H
#define CS_ENGINE_WRITER_H

#include "engine/sql.h"

#define WRITER_NEVER INT64_MAX

struct writer;
struct write_job;

/* What a job works with. */
struct write_txn {
	struct sql *sql;
	int64_t now_ms;  /* wall time of the transaction */
	uint64_t number; /* of the transaction: another one for each attempt */
};

struct write_job {
	/* In the transaction. The caller's arena may be used: the caller is asleep. */
	enum cs_status (*run)(struct write_job *, const struct write_txn *, struct cs_error *);
	/* After the commit, before the caller wakes; NULL: nothing to publish. Not called for a job that failed. */
	void (*publish)(struct write_job *);
	const struct op *op;

	/* The writer's. */
	struct write_job *next, *former;
	_Atomic uint32_t state;
	enum cs_status status;
	struct cs_error error;
};

CS_CHECKED enum cs_status writer_open(const char *path, struct writer **ret_writer, struct cs_error *);
/* Commits what is queued, folds the log into the file, ends the thread. Takes NULL. */
void writer_close(struct writer *);

/* Queues the job and waits for its commit. The job lives on the caller's stack. CS_TIMEOUT: the deadline passed before
 * the writer took it; it was withdrawn and nothing is written. Once taken it is waited for whatever the deadline says,
 * because its outcome could not be told otherwise. CS_WOULD_WAIT if the op may not wait. */
CS_CHECKED enum cs_status writer_run(struct writer *, const struct op *, struct write_job *, struct cs_error *);

/* On the writer's thread, once after each commit: all jobs have published and no caller is awake. A mirror that takes a
 * lock does so here, once for all of them. Before the first job. */
void writer_on_settled(struct writer *, void (*settled)(void *self), void *self);

struct writer_stats {
	size_t queued;      /* jobs that wait for the next group */
	size_t cache_bytes; /* of its page cache, when it was last idle or had committed */
};
void writer_stats(struct writer *, struct writer_stats *ret_stats);

/* From inside a job: something is to be swept at this wall time. */
void writer_due(const struct write_txn *, int64_t wall_ms);

#endif
