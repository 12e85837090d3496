/* Soft delete, hard delete, forget, restore, and the audit log.
 *
 * Hiding a context takes its words out of the index at once and leaves everything else, so that restoring puts back the
 * words (and the vector in memory, vectors.h) and nothing more. A forgotten one is past restoring at purge_at,
 * swept or not. */
#include "engine/removal.h"

#include "engine/parts.h"
#include "engine/vector_write.h"

struct found {
	int64_t row;
	int64_t hidden;
	int64_t purge_at; /* WRITER_NEVER */
};

enum cs_status removal_unindex(const struct write_txn *txn, int64_t row, struct cs_error *err)
{
	static const char text[] = "INSERT INTO context_words(context_words, rowid, words)"
				   " SELECT 'delete', row, words FROM documents WHERE row = ?1";

	return sql_run_for(txn->sql, text, row, err);
}

static enum cs_status index_again(const struct write_txn *txn, int64_t row, struct cs_error *err)
{
	static const char text[] =
		"INSERT INTO context_words(rowid, words) SELECT row, words FROM documents WHERE row = ?1";

	return sql_run_for(txn->sql, text, row, err);
}

static enum cs_status find(
	const struct write_txn *txn, struct slice id, bool *ret_found, struct found *ret, struct cs_error *err)
{
	static const char text[] = "SELECT row, hidden, purge_at FROM contexts WHERE id = ?1";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, id);
	status = sql_step(txn->sql, stmt, &row, err);
	if (status == CS_OK && row)
		*ret = (struct found){
			.row = sqlite3_column_int64(stmt, 0),
			.hidden = sqlite3_column_int64(stmt, 1),
			.purge_at = sqlite3_column_type(stmt, 2) == SQLITE_NULL ? WRITER_NEVER
										: sqlite3_column_int64(stmt, 2),
		};
	sql_finish(stmt);
	if (status == CS_OK)
		*ret_found = row;
	return status;
}

static enum cs_status set_hidden(
	const struct write_txn *txn, int64_t row, int64_t hidden, int64_t purge_at, struct cs_error *err)
{
	static const char text[] = "UPDATE contexts SET hidden = ?2, purge_at = ?3 WHERE row = ?1";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sql_bind_i64(stmt, 2, hidden);
	if (purge_at == WRITER_NEVER)
		sql_bind_null(stmt, 3);
	else
		sql_bind_i64(stmt, 3, purge_at);
	return sql_run(txn->sql, stmt, err);
}

enum cs_status removal_erase(const struct write_txn *txn, int64_t row, struct cs_error *err)
{
	static const char *const texts[] = {
		/* The words first: 'delete' needs them, and only a live context has them in the index. */
		("INSERT INTO context_words(context_words, rowid, words) SELECT 'delete', d.row, d.words"
		 " FROM documents d JOIN contexts c ON c.row = d.row WHERE d.row = ?1 AND c.hidden = 0"),
		"DELETE FROM edges WHERE source = ?1",
		"DELETE FROM history WHERE row = ?1",
		"DELETE FROM documents WHERE row = ?1",
		"DELETE FROM vectors WHERE row = ?1",
		"DELETE FROM contexts WHERE row = ?1",
	};
	enum cs_status status = CS_OK;

	for (size_t i = 0; status == CS_OK && i < sizeof texts / sizeof *texts; i++)
		status = sql_run_for(txn->sql, texts[i], row, err);
	return status;
}

enum cs_status removal_purge(const struct write_txn *txn, int64_t row, struct cs_error *err)
{
	static const char text[] = "INSERT INTO audit(at, action, id, reason, principal)"
				   " SELECT ?2, 'purge', id, 'retention is over', '' FROM contexts WHERE row = ?1";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sql_bind_i64(stmt, 2, txn->now_ms);
	status = sql_run(txn->sql, stmt, err);
	return status == CS_OK ? removal_erase(txn, row, err) : status;
}

static enum cs_status audit(const struct write_txn *txn, const struct op *op, const char *action, struct slice id,
	struct slice reason, struct cs_error *err)
{
	static const char text[] = "INSERT INTO audit(at, action, id, reason, principal) VALUES(?1,?2,?3,?4,?5)";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, txn->now_ms);
	sql_bind_text(stmt, 2, slice_cstr(action));
	sql_bind_text(stmt, 3, id);
	sql_bind_text(stmt, 4, reason);
	sql_bind_text(stmt, 5, op->principal ? op->principal->name : (struct slice){0});
	return sql_run(txn->sql, stmt, err);
}

struct removal_job {
	struct write_job job; /* first: the writer's view */
	struct engine *engine;
	const struct context_remove *remove;
	struct slice id;
	struct vector_change change;
	struct word_change words;
};

static enum cs_status missing(struct slice id, const char *what, struct cs_error *err)
{
	return cs_fail(err, CS_NOT_FOUND, "no %s with the id " SLICE_FMT, what, SLICE_ARG(id));
}

static enum cs_status hide(const struct write_txn *txn, const struct context_remove *remove, const struct found *found,
	struct cs_error *err)
{
	bool forget = remove->how == CONTEXT_FORGET;
	int64_t purge_at = forget ? txn->now_ms + remove->retention_s * 1000 : WRITER_NEVER;
	enum cs_status status = CS_OK;

	if (found->hidden == CONTEXT_LIVE)
		status = removal_unindex(txn, found->row, err);
	if (status == CS_OK)
		status = set_hidden(txn, found->row, forget ? CONTEXT_FORGOTTEN : CONTEXT_HIDDEN, purge_at, err);
	if (status == CS_OK && forget)
		writer_due(txn, purge_at);
	return status;
}

static enum cs_status run_remove(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	static const char *const actions[] = {
		[CONTEXT_SOFT_DELETE] = "delete", [CONTEXT_HARD_DELETE] = "hard_delete", [CONTEXT_FORGET] = "forget"};
	struct removal_job *job = (struct removal_job *)base;
	struct found found;
	bool there;
	enum cs_status status = find(txn, job->id, &there, &found, err);

	if (status != CS_OK)
		return status;
	/* What is hidden is not there, but may still be deleted or forgotten for good. */
	if (!there || found.purge_at <= txn->now_ms ||
		(found.hidden != CONTEXT_LIVE && job->remove->how == CONTEXT_SOFT_DELETE))
		return missing(job->id, "context", err);
	if (job->remove->how == CONTEXT_HARD_DELETE)
		status = removal_erase(txn, found.row, err);
	else
		status = hide(txn, job->remove, &found, err);
	job->change = (struct vector_change){.kind = VECTOR_GONE, .row = found.row};
	job->words = (struct word_change){.row = found.row, .gone = true};
	if (status == CS_OK)
		status = audit(txn, base->op, actions[job->remove->how], job->id, job->remove->reason, err);
	return status;
}

/* The words that were taken out of the index when the context was hidden. */
static enum cs_status bring_back_words(const struct write_txn *txn, struct arena *arena, int64_t row, struct slice id,
	struct word_change *ret_change, struct cs_error *err)
{
	static const char text[] = "SELECT words FROM documents WHERE row = ?1";
	struct slice words = {0};
	sqlite3_stmt *stmt = NULL;
	bool found;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	status = sql_step(txn->sql, stmt, &found, err);
	if (status == CS_OK && found && !sql_copy(stmt, 0, arena, &words))
		status = cs_fail_memory(err);
	sql_finish(stmt);
	if (status == CS_OK)
		*ret_change = (struct word_change){.row = row, .id = id, .text = words};
	return status;
}

static enum cs_status run_restore(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	struct removal_job *job = (struct removal_job *)base;
	struct found found;
	bool there;
	enum cs_status status = find(txn, job->id, &there, &found, err);

	if (status != CS_OK)
		return status;
	if (!there || found.hidden == CONTEXT_LIVE || found.purge_at <= txn->now_ms)
		return missing(job->id, "removed context", err);
	status = vector_bring_back(job->engine->vectors, txn, base->op->arena, found.row, job->id, &job->change, err);
	if (status == CS_OK)
		status = bring_back_words(txn, base->op->arena, found.row, job->id, &job->words, err);
	if (status != CS_OK)
		return status;
	status = set_hidden(txn, found.row, CONTEXT_LIVE, WRITER_NEVER, err);
	if (status == CS_OK)
		status = index_again(txn, found.row, err);
	if (status == CS_OK)
		status = audit(txn, base->op, "restore", job->id, (struct slice){0}, err);
	return status;
}

static void publish(struct write_job *base)
{
	struct removal_job *job = (struct removal_job *)base;

	vectors_publish(job->engine->vectors, &job->change);
	words_publish(job->engine->words, &job->words);
}

enum cs_status context_remove(void *self, struct op *op, const struct context_remove *remove, struct cs_error *err)
{
	struct removal_job job = {
		.job = {.run = run_remove, .publish = publish}, .engine = self, .remove = remove, .id = remove->id};

	return writer_run(job.engine->writer, op, &job.job, err);
}

enum cs_status context_restore(void *self, struct op *op, struct slice id, struct cs_error *err)
{
	struct removal_job job = {.job = {.run = run_restore, .publish = publish}, .engine = self, .id = id};

	return writer_run(job.engine->writer, op, &job.job, err);
}
