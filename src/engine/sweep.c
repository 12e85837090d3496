/* Sweeping in batches, so that a write that comes meanwhile waits for some milliseconds and not for all that is due. */
#include "engine/sweep.h"

#include "engine/removal.h"

#define BATCH 200

static enum cs_status sweep_keys(const struct write_txn *txn, size_t *ret_swept, struct cs_error *err)
{
	static const char text[] =
		"DELETE FROM kv WHERE (agent_id, prefix, key) IN"
		" (SELECT agent_id, prefix, key FROM kv WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, txn->now_ms);
	sql_bind_i64(stmt, 2, BATCH);
	status = sql_run(txn->sql, stmt, err);
	if (status == CS_OK)
		*ret_swept = (size_t)sqlite3_changes(txn->sql->db);
	return status;
}

static enum cs_status sweep_contexts(const struct write_txn *txn, size_t *ret_swept, struct cs_error *err)
{
	static const char text[] = "SELECT row FROM contexts WHERE purge_at <= ?1 ORDER BY purge_at LIMIT ?2";
	int64_t rows[BATCH];
	size_t count = 0;
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, txn->now_ms);
	sql_bind_i64(stmt, 2, BATCH);
	status = sql_read_rows(txn->sql, stmt, rows, BATCH, &count, err);
	sql_finish(stmt);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		status = removal_purge(txn, rows[i], err);
	if (status == CS_OK)
		*ret_swept = count;
	return status;
}

enum cs_status sweep_batch(const struct write_txn *txn, bool *ret_more, struct cs_error *err)
{
	size_t keys = 0, contexts = 0;
	enum cs_status status = sweep_keys(txn, &keys, err);

	if (status == CS_OK)
		status = sweep_contexts(txn, &contexts, err);
	if (status == CS_OK)
		*ret_more = keys == BATCH || contexts == BATCH;
	return status;
}

enum cs_status sweep_next(struct sql *sql, int64_t *ret_wall_ms, struct cs_error *err)
{
	static const char text[] = "SELECT (SELECT min(expires_at) FROM kv WHERE expires_at IS NOT NULL),"
				   " (SELECT min(purge_at) FROM contexts WHERE purge_at IS NOT NULL)";
	int64_t next = WRITER_NEVER;
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	status = sql_step(sql, stmt, &row, err);
	for (int i = 0; status == CS_OK && i < 2; i++)
		if (sqlite3_column_type(stmt, i) != SQLITE_NULL && sqlite3_column_int64(stmt, i) < next)
			next = sqlite3_column_int64(stmt, i);
	sql_finish(stmt);
	if (status == CS_OK)
		*ret_wall_ms = next;
	return status;
}
