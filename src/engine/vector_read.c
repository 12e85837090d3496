/* What is said about vectors without looking at one: who has none, and how many there are.
 *
 * Both come from contexts.vector_set, which a scan of the narrow rows reads (100,000: some 20 ms). There is no index of
 * the pending ones: each write would pay for it, and who asks is a background worker that goes through them once, each
 * page starting where the former one ended. Counts come from the mirror when it is loaded. */
#include "engine/parts.h"

#define PENDING_MAX       1000
#define PENDING_BYTES_MAX (4u << 20) /* of words in one page; one context is always given */

/* 0, the start, for an id that is not there (any more). */
static enum cs_status row_of(struct sql *sql, struct slice id, int64_t *ret_row, struct cs_error *err)
{
	static const char text[] = "SELECT row FROM contexts WHERE id = ?1";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, id);
	status = sql_step(sql, stmt, &row, err);
	if (status == CS_OK)
		*ret_row = row ? sqlite3_column_int64(stmt, 0) : 0;
	sql_finish(stmt);
	return status;
}

static enum cs_status read_pending(struct sql *sql, struct arena *arena, int64_t after, size_t limit,
	struct vector_pending *pending, size_t *ret_count, struct cs_error *err)
{
	/* The order of rows is that of creation. */
	static const char text[] =
		"SELECT c.id, c.version, d.words FROM embedding_model m CROSS JOIN contexts c NOT INDEXED"
		" CROSS JOIN documents d ON d.row = c.row"
		" WHERE m.one = 1 AND c.row > ?1 AND c.hidden = 0 AND c.vector_set <> m.vector_set"
		" ORDER BY c.row LIMIT ?2";
	size_t count = 0, bytes = 0;
	sqlite3_stmt *stmt = NULL;
	bool row = true;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, after);
	sql_bind_i64(stmt, 2, (int64_t)limit);
	while (status == CS_OK && count < limit) {
		status = sql_step(sql, stmt, &row, err);
		if (status != CS_OK || !row)
			break;
		bytes += sql_text(stmt, 2).len;
		if (count && bytes > PENDING_BYTES_MAX)
			break;
		pending[count].version = (uint64_t)sqlite3_column_int64(stmt, 1);
		if (!sql_copy(stmt, 0, arena, &pending[count].id) || !sql_copy(stmt, 2, arena, &pending[count].words))
			status = cs_fail_memory(err);
		count++;
	}
	sql_finish(stmt);
	*ret_count = count;
	return status;
}

enum cs_status vector_pending(void *self, struct op *op, struct slice after, size_t limit,
	struct vector_pending **ret_pending, size_t *ret_count, struct cs_error *err)
{
	struct engine *engine = self;
	size_t room = limit < PENDING_MAX ? limit : PENDING_MAX, count = 0;
	struct vector_pending *pending = arena_array(op->arena, room, sizeof *pending);
	int64_t row = 0;
	struct sql *sql;
	enum cs_status status;

	if (!pending)
		return cs_fail_memory(err);
	status = readers_begin(engine->readers, op, &sql, err);
	if (status != CS_OK)
		return status;
	if (after.len)
		status = row_of(sql, after, &row, err);
	if (status == CS_OK)
		status = read_pending(sql, op->arena, row, room, pending, &count, err);
	readers_end(engine->readers, sql);
	if (status == CS_OK) {
		*ret_pending = pending;
		*ret_count = count;
	}
	return status;
}

static enum cs_status read_model(
	struct sql *sql, struct arena *arena, struct vector_stats *stats, int64_t *ret_set, struct cs_error *err)
{
	static const char text[] = "SELECT vector_set, dimension, id, hash FROM embedding_model";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	status = sql_step(sql, stmt, &row, err);
	if (status == CS_OK) {
		*ret_set = sqlite3_column_int64(stmt, 0);
		stats->dimension = (uint32_t)sqlite3_column_int64(stmt, 1);
		if (!sql_copy(stmt, 2, arena, &stats->model_id) || !sql_copy(stmt, 3, arena, &stats->model_hash))
			status = cs_fail_memory(err);
	}
	sql_finish(stmt);
	return status;
}

static enum cs_status count_rows(struct sql *sql, int64_t set, struct vector_stats *stats, struct cs_error *err)
{
	static const char text[] = "SELECT count(*), count(CASE WHEN vector_set = ?1 THEN 1 END) FROM contexts NOT "
				   "INDEXED WHERE hidden = 0";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, set);
	status = sql_step(sql, stmt, &row, err);
	if (status == CS_OK) {
		stats->vectors = (uint64_t)sqlite3_column_int64(stmt, 1);
		stats->without = (uint64_t)sqlite3_column_int64(stmt, 0) - stats->vectors;
	}
	sql_finish(stmt);
	return status;
}

enum cs_status vector_stats(void *self, struct op *op, struct vector_stats *ret_stats, struct cs_error *err)
{
	struct engine *engine = self;
	struct vector_stats stats = {0};
	uint64_t contexts = 0;
	int64_t set = 0;
	struct sql *sql;
	enum cs_status status = readers_begin(engine->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = read_model(sql, op->arena, &stats, &set, err);
	if (status == CS_OK && vectors_counts(engine->vectors, &contexts, &stats.vectors))
		stats.without = contexts - stats.vectors;
	else if (status == CS_OK)
		status = count_rows(sql, set, &stats, err);
	readers_end(engine->readers, sql);
	if (status == CS_OK)
		*ret_stats = stats;
	return status;
}
