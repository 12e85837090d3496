/* Group commit. The reasons stand in writer.h; this file has the queue, the groups and the thread's idle time.
 *
 * Waiting. Each job has its own futex word, so that the end of a commit wakes exactly those it has acknowledged; one
 * condition variable for all would wake 64 threads to find one. The writer itself sleeps on a condition variable and is
 * signalled only when it does.
 *
 * The log. SQLite's automatic checkpoint would run inside some client's commit at every 1,000 pages. Here the log is
 * folded back when it has WAL_PAGES_MAX pages (hot pages are then written once instead of many times) or when nobody
 * has written for IDLE_NS.
 *
 * Invariant: a job is in the queue (QUEUED), in the writer's group (TAKEN) or its owner's again (DONE); `lock` guards
 * the first change, the second is an atomic store after which the writer does not touch the job. */
#include "engine/writer.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/wait.h"
#include "engine/sweep.h"

#define GROUP_MAX        512                /* jobs in one commit */
#define WAL_PAGES_MAX    8192               /* 32 MiB */
#define IDLE_NS          INT64_C(300000000) /* without a write, until the log is folded back */
#define SWEEP_OVERDUE_MS 2000               /* sweep between groups when no idle time came for so long */
#define SWEEP_RETRY_MS   5000               /* after a sweep that failed */

enum { QUEUED, TAKEN, DONE };

struct writer {
	struct sql sql;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct write_job *head, *tail; /* under lock, as is what follows up to the next comment */
	size_t queued;
	bool asleep;
	bool stopping;
	void (*settled)(void *self); /* set before the first job */
	void *settled_self;
	uint64_t transactions; /* the thread's own from here on */
	int wal_pages;
	int64_t idle_at_ns;        /* monotonic time of the next idle work; WRITER_NEVER */
	int64_t sweep_at_ms;       /* wall time from which on something is due; WRITER_NEVER */
	atomic_size_t cache_bytes; /* told to others */
	struct metric_series *commit_time, *commit_size, *checkpoint_time;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, const struct timespec *timeout)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout, NULL, 0);
}

/* The owner may have returned already and the word may be gone: the kernel then wakes nobody, which is right. */
static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void enqueue(struct writer *w, struct write_job *job)
{
	pthread_mutex_lock(&w->lock);
	job->next = NULL;
	job->former = w->tail;
	if (w->tail)
		w->tail->next = job;
	else
		w->head = job;
	w->tail = job;
	w->queued++;
	if (w->asleep)
		pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

/* True if the job was still in the queue; it is out of it then. */
static bool withdraw(struct writer *w, struct write_job *job)
{
	bool queued;

	pthread_mutex_lock(&w->lock);
	queued = atomic_load(&job->state) == QUEUED;
	if (queued) {
		w->queued--;
		*(job->former ? &job->former->next : &w->head) = job->next;
		*(job->next ? &job->next->former : &w->tail) = job->former;
	}
	pthread_mutex_unlock(&w->lock);
	return queued;
}

/* False: the deadline passed and the job was withdrawn. */
static bool await(struct writer *w, const struct op *op, struct write_job *job)
{
	bool bounded = op->deadline_ns != OP_NO_DEADLINE;
	uint32_t state;

	while ((state = atomic_load_explicit(&job->state, memory_order_acquire)) != DONE) {
		int64_t left = bounded ? op->deadline_ns - clock_mono_ns() : 0;
		struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};

		if (bounded && left <= 0) {
			if (withdraw(w, job))
				return false;
			bounded = false;
			continue;
		}
		futex_wait(&job->state, state, bounded ? &timeout : NULL);
	}
	return true;
}

enum cs_status writer_run(struct writer *w, const struct op *op, struct write_job *job, struct cs_error *err)
{
	enum cs_status status;

	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "a write waits for its commit");
	status = op_check(op, err);
	if (status != CS_OK)
		return status;
	job->op = op;
	atomic_store_explicit(&job->state, QUEUED, memory_order_relaxed);
	enqueue(w, job);
	if (!await(w, op, job))
		return cs_fail(err, CS_TIMEOUT,
			"the time allowed ran out before the store could take the write; nothing was stored");
	if (job->status != CS_OK && err)
		*err = job->error;
	return job->status;
}

void writer_on_settled(struct writer *w, void (*settled)(void *self), void *self)
{
	w->settled = settled;
	w->settled_self = self;
}

/* The job's connection is the writer's first member. */
void writer_due(const struct write_txn *txn, int64_t wall_ms)
{
	struct writer *w = (struct writer *)txn->sql;

	_Static_assert(offsetof(struct writer, sql) == 0, "a writer begins with its connection");
	if (wall_ms < w->sweep_at_ms)
		w->sweep_at_ms = wall_ms;
}

static int on_commit(void *self, sqlite3 *db, const char *name, int pages)
{
	struct writer *w = self;

	(void)db;
	(void)name;
	w->wal_pages = pages;
	return SQLITE_OK;
}

/* Groups. */

static enum cs_status begin(struct writer *w, struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum cs_status status;

	w->sql.broken = false;
	w->sql.code = SQLITE_OK;
	status = sql_prepare(&w->sql, "BEGIN IMMEDIATE", &stmt, err);
	return status == CS_OK ? sql_run(&w->sql, stmt, err) : status;
}

static enum cs_status commit(struct writer *w, struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(&w->sql, "COMMIT", &stmt, err);

	return status == CS_OK ? sql_run(&w->sql, stmt, err) : status;
}

static void rollback(struct writer *w)
{
	/* A failed statement may have rolled back already. A rollback itself writes nothing and cannot fail otherwise.
	 */
	if (!sqlite3_get_autocommit(w->sql.db))
		sqlite3_exec(w->sql.db, "ROLLBACK", NULL, NULL, NULL);
}

/* Runs the jobs from `first` on, all or nothing. */
static enum cs_status run_transaction(struct writer *w, struct write_job *first, struct cs_error *err)
{
	struct write_txn txn = {.sql = &w->sql, .now_ms = clock_wall_ms(), .number = ++w->transactions};
	enum cs_status status = begin(w, err);

	for (struct write_job *job = first; status == CS_OK && job; job = job->next) {
		job->status = job->run(job, &txn, &job->error);
		if (w->sql.broken) {
			assert(job->status != CS_OK);
			*err = job->error;
			status = job->status;
		}
	}
	if (status == CS_OK)
		status = commit(w, err);
	if (status != CS_OK)
		rollback(w);
	return status;
}

/* Would each job of the group fail for the same reason? */
static bool is_whole_store(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK: /* no SQLite failure: a job ran out of its arena half-way */
	case SQLITE_TOOBIG:
	case SQLITE_NOMEM:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH: return false;
	default: return true;
	}
}

static void settle(struct write_job *job, enum cs_status status, const struct cs_error *err)
{
	if (status != CS_OK) {
		job->status = status;
		job->error = *err;
	} else if (job->status == CS_OK && job->publish) {
		job->publish(job);
	}
}

static void all_settled(struct writer *w)
{
	if (w->settled)
		w->settled(w->settled_self);
}

/* Wakes the owner; the job is gone afterwards. */
static struct write_job *acknowledge(struct write_job *job)
{
	struct write_job *next = job->next;

	atomic_store_explicit(&job->state, DONE, memory_order_release);
	futex_wake(&job->state);
	return next;
}

static void tell_memory(struct writer *w)
{
	sql_measure(&w->sql);
	atomic_store_explicit(&w->cache_bytes, w->sql.cache_bytes, memory_order_relaxed);
}

static void run_alone(struct writer *w, struct write_job *group)
{
	while (group) {
		struct write_job *next = group->next;
		struct cs_error err;

		group->next = NULL;
		settle(group, run_transaction(w, group, &err), &err);
		all_settled(w);
		acknowledge(group);
		group = next;
	}
}

static void run_group(struct writer *w, struct write_job *group, size_t count)
{
	struct cs_error err;
	int64_t start_ns = clock_mono_ns();
	enum cs_status status = run_transaction(w, group, &err);

	if (status != CS_OK && count > 1 && !is_whole_store(w->sql.code)) {
		run_alone(w, group);
	} else {
		for (struct write_job *job = group; job; job = job->next)
			settle(job, status, &err);
		all_settled(w);
		metric_observe_ns(w->commit_time, clock_mono_ns() - start_ns);
		metric_observe(w->commit_size, count);
		while (group)
			group = acknowledge(group);
	}
	tell_memory(w);
	w->idle_at_ns = clock_mono_ns() + IDLE_NS;
}

/* Idle time. */

static void sweep(struct writer *w)
{
	struct write_txn txn = {.sql = &w->sql, .now_ms = clock_wall_ms(), .number = ++w->transactions};
	struct cs_error err;
	bool more = false;
	int64_t next = txn.now_ms;
	enum cs_status status = begin(w, &err);

	if (status == CS_OK)
		status = sweep_batch(&txn, &more, &err);
	if (status == CS_OK && !more)
		status = sweep_next(&w->sql, &next, &err);
	if (status == CS_OK)
		status = commit(w, &err);
	if (status != CS_OK) {
		/* Nobody waits for it: what is due stays invisible, and later is tried again. */
		rollback(w);
		next = txn.now_ms + SWEEP_RETRY_MS;
	}
	w->sweep_at_ms = next;
	w->idle_at_ns = clock_mono_ns() + IDLE_NS;
}

/* A checkpoint that fails (full disk, say) loses nothing: the log stays and is tried again at the next occasion. */
static void checkpoint(struct writer *w)
{
	int in_log = 0, done = 0, code;
	int64_t start_ns = clock_mono_ns();

	if (w->wal_pages == 0)
		return;
	code = sqlite3_wal_checkpoint_v2(w->sql.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &done);
	metric_observe_ns(w->checkpoint_time, clock_mono_ns() - start_ns);
	if (code == SQLITE_OK && done >= in_log)
		w->wal_pages = 0;
}

static void idle_work(struct writer *w)
{
	checkpoint(w);
	sqlite3_db_release_memory(w->sql.db);
	tell_memory(w);
	w->idle_at_ns = WRITER_NEVER;
}

/* Sleeps until there is a job, something is due, or it is time to stop. */
static void sleep_until_due(struct writer *w)
{
	int64_t until = w->idle_at_ns;

	if (w->sweep_at_ms != WRITER_NEVER) {
		int64_t wait_ms = w->sweep_at_ms - clock_wall_ms();
		int64_t sweep_ns = clock_mono_ns() + (wait_ms < 0                 ? 0
							     : wait_ms > 86400000 ? 86400000
										  : wait_ms) *
							     1000000;

		until = sweep_ns < until ? sweep_ns : until;
	}
	w->asleep = true;
	(void)wait_until(&w->wake, &w->lock, until);
	w->asleep = false;
}

static bool is_due(const struct writer *w)
{
	return w->idle_at_ns <= clock_mono_ns() || w->sweep_at_ms <= clock_wall_ms();
}

/* The jobs of the next commit, or NULL: idle work is due, or (*ret_stop) all is done. */
static struct write_job *take_group(struct writer *w, size_t *ret_count, bool *ret_stop)
{
	struct write_job *group, *last = NULL;
	size_t count = 0;

	pthread_mutex_lock(&w->lock);
	while (!w->head && !w->stopping && !is_due(w))
		sleep_until_due(w);
	group = w->head;
	for (struct write_job *job = group; job && count < GROUP_MAX; job = job->next, count++) {
		atomic_store_explicit(&job->state, TAKEN, memory_order_relaxed);
		last = job;
	}
	if (last) {
		w->head = last->next;
		last->next = NULL;
	}
	w->queued -= count;
	if (w->head)
		w->head->former = NULL;
	else
		w->tail = NULL;
	*ret_stop = !group && w->stopping;
	pthread_mutex_unlock(&w->lock);
	*ret_count = count;
	return group;
}

static void *writer_main(void *self)
{
	struct writer *w = self;
	bool stop = false;

	while (!stop) {
		size_t count;
		struct write_job *group = take_group(w, &count, &stop);
		int64_t now_ms = clock_wall_ms();

		if (group)
			run_group(w, group, count);
		if (!stop && w->sweep_at_ms <= now_ms - (group ? SWEEP_OVERDUE_MS : 0))
			sweep(w);
		if (w->wal_pages >= WAL_PAGES_MAX)
			checkpoint(w);
		if (!group && (stop || w->idle_at_ns <= clock_mono_ns()))
			idle_work(w);
	}
	return NULL;
}

static enum cs_status start(struct writer *w, struct cs_error *err)
{
	int code;

	pthread_mutex_init(&w->lock, NULL);
	wait_cond_init(&w->wake);
	code = pthread_create(&w->thread, NULL, writer_main, w);
	if (code == 0) {
		pthread_setname_np(w->thread, "writer");
		return CS_OK;
	}
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	return cs_fail(err, CS_UNAVAILABLE, "no thread for the writer: %s", strerror(code));
}

enum cs_status writer_open(const char *path, struct writer **ret_writer, struct cs_error *err)
{
	struct writer *w = calloc(1, sizeof *w);
	enum cs_status status;

	if (!w)
		return cs_fail_memory(err);
	status = sql_open(&w->sql, path, SQL_WRITER, err);
	if (status == CS_OK)
		status = sweep_next(&w->sql, &w->sweep_at_ms, err);
	if (status != CS_OK) {
		sql_close(&w->sql);
		free(w);
		return status;
	}
	sqlite3_wal_hook(w->sql.db, on_commit, w);
	w->idle_at_ns = WRITER_NEVER;
	w->commit_time = metric_series(METRIC_COMMIT_TIME, (struct slice){0});
	w->commit_size = metric_series(METRIC_COMMIT_SIZE, (struct slice){0});
	w->checkpoint_time = metric_series(METRIC_CHECKPOINT_TIME, (struct slice){0});
	status = start(w, err);
	if (status != CS_OK) {
		sql_close(&w->sql);
		free(w);
		return status;
	}
	*ret_writer = w;
	return CS_OK;
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	sql_close(&w->sql);
	free(w);
}

void writer_stats(struct writer *w, struct writer_stats *ret_stats)
{
	pthread_mutex_lock(&w->lock);
	ret_stats->queued = w->queued;
	pthread_mutex_unlock(&w->lock);
	ret_stats->cache_bytes = atomic_load_explicit(&w->cache_bytes, memory_order_relaxed);
}
