/* A stack of idle connections under one lock: the last used is taken first, because its cache is warm and those at the
 * bottom stay unopened. The lock is held for a pointer's exchange; opening happens outside of it. */
#include "engine/readers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/wait.h"
#include "engine/context_filter.h"
#include "engine/text_score.h"

struct readers {
	const char *path;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	size_t idle_count;
	size_t open_count;  /* idle, in use, or being opened */
	size_t cache_bytes; /* of page caches, when each was last given back */
	struct sql *idle[READERS_MAX];
};

enum cs_status readers_new(const char *path, struct readers **ret_readers, struct cs_error *err)
{
	struct readers *r = calloc(1, sizeof *r);

	if (!r)
		return cs_fail_memory(err);
	r->path = path;
	pthread_mutex_init(&r->lock, NULL);
	wait_cond_init(&r->freed);
	*ret_readers = r;
	return CS_OK;
}

void readers_free(struct readers *r)
{
	if (!r)
		return;
	assert(r->idle_count == r->open_count);
	for (size_t i = 0; i < r->idle_count; i++) {
		sql_close(r->idle[i]);
		free(r->idle[i]);
	}
	pthread_cond_destroy(&r->freed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* Under the lock, until another reader is given back or the deadline passes. */
static enum cs_status wait_for_one(struct readers *r, const struct op *op, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);

	if (status == CS_OK)
		(void)wait_until(&r->freed, &r->lock, op->deadline_ns);
	return status;
}

/* *ret_sql is NULL when the caller is to open a new one; its place is counted already. */
static enum cs_status take(struct readers *r, const struct op *op, struct sql **ret_sql, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	pthread_mutex_lock(&r->lock);
	while (status == CS_OK && r->idle_count == 0 && r->open_count == READERS_MAX)
		status = wait_for_one(r, op, err);
	if (status == CS_OK && r->idle_count > 0) {
		*ret_sql = r->idle[--r->idle_count];
	} else if (status == CS_OK) {
		*ret_sql = NULL;
		r->open_count++;
	}
	pthread_mutex_unlock(&r->lock);
	return status;
}

static void give_up_place(struct readers *r)
{
	pthread_mutex_lock(&r->lock);
	r->open_count--;
	pthread_cond_signal(&r->freed);
	pthread_mutex_unlock(&r->lock);
}

static enum cs_status open_one(struct readers *r, struct sql **ret_sql, struct cs_error *err)
{
	struct sql *sql = malloc(sizeof *sql);
	enum cs_status status = sql ? sql_open(sql, r->path, SQL_READER, err) : cs_fail_memory(err);

	if (status == CS_OK) {
		status = filter_register(sql, err);
		if (status == CS_OK)
			status = text_score_register(sql, err);
		if (status != CS_OK)
			sql_close(sql);
	}
	if (status != CS_OK) {
		free(sql);
		give_up_place(r);
		return status;
	}
	*ret_sql = sql;
	return CS_OK;
}

enum cs_status readers_begin(struct readers *r, const struct op *op, struct sql **ret_sql, struct cs_error *err)
{
	struct sql *sql = NULL;
	sqlite3_stmt *stmt = NULL;
	enum cs_status status;

	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "the answer is not in memory");
	status = op_check(op, err);
	if (status == CS_OK)
		status = take(r, op, &sql, err);
	if (status == CS_OK && !sql)
		status = open_one(r, &sql, err);
	if (status != CS_OK)
		return status;
	sql->broken = false;
	sql->op = op;
	status = sql_prepare(sql, "BEGIN", &stmt, err);
	if (status == CS_OK)
		status = sql_run(sql, stmt, err);
	if (status != CS_OK) {
		readers_end(r, sql);
		return status;
	}
	*ret_sql = sql;
	return CS_OK;
}

void readers_end(struct readers *r, struct sql *sql)
{
	size_t before;

	sql->op = NULL;
	if (!sqlite3_get_autocommit(sql->db))
		sqlite3_exec(sql->db, "COMMIT", NULL, NULL, NULL);
	before = sql->cache_bytes;
	sql_measure(sql);
	pthread_mutex_lock(&r->lock);
	r->cache_bytes += sql->cache_bytes - before;
	r->idle[r->idle_count++] = sql;
	pthread_cond_signal(&r->freed);
	pthread_mutex_unlock(&r->lock);
}

void readers_stats(struct readers *r, struct readers_stats *ret_stats)
{
	pthread_mutex_lock(&r->lock);
	*ret_stats = (struct readers_stats){r->open_count - r->idle_count, r->idle_count, r->cache_bytes};
	pthread_mutex_unlock(&r->lock);
}
