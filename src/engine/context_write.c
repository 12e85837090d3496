/* Storing contexts: one job for all of a call.
 *
 * Each context is looked up, judged (version, duplicate, limits) and then written; judging writes nothing, so one that
 * is refused leaves the others of the call and of the commit alone (writer.h). A new context costs one row in contexts,
 * one in documents, its words and its edges, and its vector if it has one; replacing also keeps the former version and
 * takes its words out of the index. */
#include "engine/context_filter.h"
#include "engine/parts.h"
#include "engine/removal.h"
#include "engine/vector_write.h"

struct put_job {
	struct write_job job; /* first: the writer's view */
	struct engine *engine;
	const struct context_put *puts;
	size_t count;
	struct slice *tags;                 /* framed, one a put */
	struct vector_change *changes;      /* one a put; a row of 0: nothing was stored */
	struct word_change *words;          /* the same */
	struct context_put_result *results; /* the job's own, so that a failed commit touches none of the caller's */
};

/* What is stored under the id now. */
struct stored {
	bool row_exists;
	int64_t row;
	int64_t hidden;
	uint64_t row_version;
	uint64_t version;   /* as a client sees it: 0 if hidden or absent */
	int64_t vector_set; /* 0: no vector */
	int64_t created_at;
};

/* One put, judged. */
struct judged {
	const struct context *context;
	struct slice tags;
	struct stored stored;
	struct vector_set set; /* its vector's; all zero: it has none */
};

static enum cs_status look(
	const struct write_txn *txn, struct slice id, struct stored *ret_stored, struct cs_error *err)
{
	static const char text[] = "SELECT row, hidden, version, vector_set, created_at FROM contexts WHERE id = ?1";
	struct stored stored = {0};
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, id);
	status = sql_step(txn->sql, stmt, &stored.row_exists, err);
	if (status == CS_OK && stored.row_exists) {
		stored.row = sqlite3_column_int64(stmt, 0);
		stored.hidden = sqlite3_column_int64(stmt, 1);
		stored.row_version = (uint64_t)sqlite3_column_int64(stmt, 2);
		stored.version = stored.hidden == CONTEXT_LIVE ? stored.row_version : 0;
		stored.vector_set = sqlite3_column_int64(stmt, 3);
		stored.created_at = sqlite3_column_int64(stmt, 4);
	}
	sql_finish(stmt);
	if (status == CS_OK)
		*ret_stored = stored;
	return status;
}

static enum cs_status check_version(const struct context_put *put, const struct stored *stored, struct cs_error *err)
{
	if (put->if_version == CONTEXT_VERSION_ANY || (uint64_t)put->if_version == stored->version)
		return CS_OK;
	if (stored->version == 0)
		(void)cs_fail(err, CS_VERSION_CONFLICT,
			"if_version is %lld, but there is no context with the id " SLICE_FMT,
			(long long)put->if_version, SLICE_ARG(put->context.id));
	else
		(void)cs_fail(err, CS_VERSION_CONFLICT,
			"if_version is %lld, but version %llu of " SLICE_FMT " is stored", (long long)put->if_version,
			(unsigned long long)stored->version, SLICE_ARG(put->context.id));
	if (err)
		err->version = stored->version;
	return CS_VERSION_CONFLICT;
}

static enum cs_status check_limits(const struct context *c, struct cs_error *err)
{
	if (c->id.len == 0 || c->id.len > CONTEXT_ID_MAX)
		return cs_fail(
			err, CS_LIMIT_EXCEEDED, "an id has 1 to %d bytes; this one has %zu", CONTEXT_ID_MAX, c->id.len);
	if (c->tag_count > CONTEXT_TAGS_MAX)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "%zu tags; at most %d are kept", c->tag_count, CONTEXT_TAGS_MAX);
	if (c->relation_count > CONTEXT_RELATIONS_MAX)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "%zu relationships; at most %d leave one context",
			c->relation_count, CONTEXT_RELATIONS_MAX);
	for (size_t i = 0; i < c->relation_count; i++)
		if (c->relations[i].target.len == 0 || c->relations[i].target.len > CONTEXT_ID_MAX)
			return cs_fail(
				err, CS_LIMIT_EXCEEDED, "a relationship's target has 1 to %d bytes", CONTEXT_ID_MAX);
	return CS_OK;
}

/* Parameters 1 to 13 of both statements below. */
static void bind_narrow(sqlite3_stmt *stmt, const struct judged *judged, int64_t now_ms, uint64_t version)
{
	const struct context *c = judged->context;

	sql_bind_i64(stmt, 1, (int64_t)version);
	sql_bind_i64(stmt, 2, now_ms);
	sql_bind_i64(stmt, 3, (int64_t)c->content_hash);
	sql_bind_text(stmt, 4, c->type);
	sql_bind_optional(stmt, 5, c->namespace_);
	sql_bind_optional(stmt, 6, c->agent_id);
	sql_bind_optional(stmt, 7, c->status);
	sql_bind_optional(stmt, 8, c->source);
	sql_bind_optional(stmt, 9, c->author);
	sql_bind_optional(stmt, 10, c->priority);
	sql_bind_optional(stmt, 11, c->title);
	sql_bind_optional(stmt, 12, judged->tags);
	sql_bind_i64(stmt, 13, judged->set.number);
}

static enum cs_status run_with_document(
	const struct write_txn *txn, const char *text, int64_t row, const struct context *c, struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sql_bind_text(stmt, 2, c->content);
	sql_bind_text(stmt, 3, c->metadata);
	sql_bind_text(stmt, 4, c->words);
	return sql_run(txn->sql, stmt, err);
}

static enum cs_status index_words(
	const struct write_txn *txn, int64_t row, const struct context *c, struct cs_error *err)
{
	static const char text[] = "INSERT INTO context_words(rowid, words) VALUES(?1, ?2)";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sql_bind_text(stmt, 2, c->words);
	return sql_run(txn->sql, stmt, err);
}

static enum cs_status insert_new(
	const struct write_txn *txn, const struct judged *judged, int64_t *ret_row, struct cs_error *err)
{
	static const char narrow[] =
		"INSERT INTO contexts(version, created_at, updated_at, content_hash, type, namespace, agent_id, "
		"status, source,"
		" author, priority, title, tags, vector_set, id)"
		" VALUES(?1,?2,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)";
	static const char wide[] = "INSERT INTO documents(row, content, metadata, words) VALUES(?1,?2,?3,?4)";
	sqlite3_stmt *stmt = NULL;
	int64_t row;
	enum cs_status status = sql_prepare(txn->sql, narrow, &stmt, err);

	if (status != CS_OK)
		return status;
	bind_narrow(stmt, judged, txn->now_ms, 1);
	sql_bind_text(stmt, 14, judged->context->id);
	status = sql_run(txn->sql, stmt, err);
	if (status != CS_OK)
		return status;
	row = sqlite3_last_insert_rowid(txn->sql->db);
	status = run_with_document(txn, wide, row, judged->context, err);
	if (status == CS_OK)
		status = index_words(txn, row, judged->context, err);
	if (status == CS_OK)
		*ret_row = row;
	return status;
}

static enum cs_status keep_version(const struct write_txn *txn, int64_t row, struct cs_error *err)
{
	static const char text[] = "INSERT INTO history(row, version, updated_at, content, metadata)"
				   " SELECT c.row, c.version, c.updated_at, d.content, d.metadata"
				   " FROM contexts c JOIN documents d ON d.row = c.row WHERE c.row = ?1";

	return sql_run_for(txn->sql, text, row, err);
}

static enum cs_status replace(const struct write_txn *txn, const struct judged *judged, struct cs_error *err)
{
	static const char narrow[] =
		"UPDATE contexts SET version=?1, updated_at=?2, hidden=0, purge_at=NULL, content_hash=?3, type=?4, "
		"namespace=?5,"
		" agent_id=?6, status=?7, source=?8, author=?9, priority=?10, title=?11, tags=?12, vector_set=?13"
		" WHERE row=?14";
	static const char wide[] = "UPDATE documents SET content=?2, metadata=?3, words=?4 WHERE row=?1";
	const struct context *c = judged->context;
	const struct stored *stored = &judged->stored;
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = keep_version(txn, stored->row, err);

	if (status == CS_OK && stored->hidden == CONTEXT_LIVE)
		status = removal_unindex(txn, stored->row, err);
	if (status == CS_OK)
		status = sql_prepare(txn->sql, narrow, &stmt, err);
	if (status != CS_OK)
		return status;
	bind_narrow(stmt, judged, txn->now_ms, stored->row_version + 1);
	sql_bind_i64(stmt, 14, stored->row);
	status = sql_run(txn->sql, stmt, err);
	if (status == CS_OK)
		status = run_with_document(txn, wide, stored->row, c, err);
	return status == CS_OK ? index_words(txn, stored->row, c, err) : status;
}

/* Edges that stay are not written again; *ret_created counts those that were not there. */
static enum cs_status add_edges(
	const struct write_txn *txn, int64_t row, const struct context *c, size_t *ret_created, struct cs_error *err)
{
	static const char text[] = "INSERT INTO edges(source, type, target) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
	size_t created = 0;
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	for (size_t i = 0; status == CS_OK && i < c->relation_count; i++) {
		sql_bind_i64(stmt, 1, row);
		sql_bind_text(stmt, 2, c->relations[i].type);
		sql_bind_text(stmt, 3, c->relations[i].target);
		status = sql_run(txn->sql, stmt, err);
		created += (size_t)sqlite3_changes(txn->sql->db);
	}
	if (status == CS_OK)
		*ret_created = created;
	return status;
}

static bool leaves(const struct context *c, struct slice type, struct slice target)
{
	for (size_t i = 0; i < c->relation_count; i++)
		if (slice_eq(c->relations[i].type, type) && slice_eq(c->relations[i].target, target))
			return true;
	return false;
}

static enum cs_status remove_edge(
	const struct write_txn *txn, int64_t row, const struct context_relation *edge, struct cs_error *err)
{
	static const char text[] = "DELETE FROM edges WHERE source = ?1 AND type = ?2 AND target = ?3";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sql_bind_text(stmt, 2, edge->type);
	sql_bind_text(stmt, 3, edge->target);
	return sql_run(txn->sql, stmt, err);
}

/* Removes the edges that the new version no longer has. */
static enum cs_status drop_edges(
	const struct write_txn *txn, struct arena *arena, int64_t row, const struct context *c, struct cs_error *err)
{
	static const char text[] = "SELECT type, target FROM edges WHERE source = ?1";
	struct context_relation *gone = arena_array(arena, CONTEXT_RELATIONS_MAX, sizeof *gone);
	size_t count = 0;
	sqlite3_stmt *stmt = NULL;
	bool more = true;
	enum cs_status status;

	if (!gone)
		return cs_fail_memory(err);
	status = sql_prepare(txn->sql, text, &stmt, err);
	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	while (status == CS_OK && count < CONTEXT_RELATIONS_MAX) {
		status = sql_step(txn->sql, stmt, &more, err);
		if (status != CS_OK || !more)
			break;
		if (leaves(c, sql_text(stmt, 0), sql_text(stmt, 1)))
			continue;
		if (!sql_copy(stmt, 0, arena, &gone[count].type) || !sql_copy(stmt, 1, arena, &gone[count].target))
			status = cs_fail_memory(err);
		count++;
	}
	sql_finish(stmt);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		status = remove_edge(txn, row, &gone[i], err);
	return status;
}

/* Its vector, or none: a former version's does not speak for this one. */
static enum cs_status store_vector(const struct write_txn *txn, struct arena *arena, const struct context_put *put,
	const struct judged *judged, int64_t row, struct vector_change *change, struct cs_error *err)
{
	const int64_t created_at = judged->stored.row_exists ? judged->stored.created_at : txn->now_ms;

	*change = (struct vector_change){.kind = VECTOR_PENDING, .row = row, .id = put->context.id};
	if (!attributes_of_context(arena, &put->context, judged->tags, created_at, &change->attributes))
		return cs_fail_memory(err);
	if (put->vector) {
		change->kind = VECTOR_SET;
		change->vector = put->vector;
		change->dimension = put->model->dimension;
		return vector_store(txn, &judged->set, row, put->model, put->vector, err);
	}
	return judged->stored.vector_set ? vector_erase(txn, row, err) : CS_OK;
}

/* All judged; from here on only storage can fail, and whatever fails spoils the transaction. */
static enum cs_status store(
	const struct write_txn *txn, struct put_job *job, size_t i, struct judged *judged, struct cs_error *err)
{
	const struct context *c = judged->context;
	struct context_put_result *result = &job->results[i];
	int64_t row = judged->stored.row;
	enum cs_status status = CS_OK;

	/* Whoever forgot it wanted its past gone; a new context under the id does not bring it back. */
	if (judged->stored.row_exists && judged->stored.hidden == CONTEXT_FORGOTTEN) {
		status = removal_purge(txn, row, err);
		judged->stored = (struct stored){0};
	}
	if (status == CS_OK && judged->stored.row_exists) {
		status = drop_edges(txn, job->job.op->arena, row, c, err);
		if (status == CS_OK)
			status = replace(txn, judged, err);
	} else if (status == CS_OK) {
		status = insert_new(txn, judged, &row, err);
	}
	if (status == CS_OK && c->relation_count)
		status = add_edges(txn, row, c, &result->relationships_created, err);
	if (status == CS_OK)
		status = store_vector(txn, job->job.op->arena, &job->puts[i], judged, row, &job->changes[i], err);
	job->words[i].row = row;
	result->version = judged->stored.row_version + 1;
	if (status != CS_OK)
		txn->sql->broken = true;
	return status;
}

static enum cs_status put_one(const struct write_txn *txn, struct put_job *job, size_t i, struct cs_error *err)
{
	const struct context_put *put = &job->puts[i];
	struct slice *duplicate_of = &job->results[i].duplicate_of;
	struct judged judged = {.context = &put->context, .tags = job->tags[i]};
	enum cs_status status = check_limits(&put->context, err);

	if (status == CS_OK)
		status = look(txn, put->context.id, &judged.stored, err);
	if (status == CS_OK)
		status = check_version(put, &judged.stored, err);
	if (status == CS_OK)
		status = context_select_equal(txn->sql, &put->context, job->job.op->arena, duplicate_of, err);
	if (status != CS_OK || (put->skip_duplicate && duplicate_of->len))
		return status;
	if (put->vector)
		status = vector_judge(
			job->engine->vectors, txn, judged.stored.row, put->model, put->vector, &judged.set, err);
	return status == CS_OK ? store(txn, job, i, &judged, err) : status;
}

static enum cs_status run_put(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	struct put_job *job = (struct put_job *)base;

	for (size_t i = 0; i < job->count; i++) {
		struct context_put_result *result = &job->results[i];

		*result = (struct context_put_result){0};
		job->changes[i] = (struct vector_change){0};
		job->words[i].row = 0;
		result->status = put_one(txn, job, i, &result->error);
		if (txn->sql->broken) {
			*err = result->error;
			return result->status;
		}
	}
	return CS_OK;
}

static void publish(struct write_job *base)
{
	struct put_job *job = (struct put_job *)base;

	for (size_t i = 0; i < job->count; i++)
		if (job->changes[i].row) {
			vectors_publish(job->engine->vectors, &job->changes[i]);
			words_publish(job->engine->words, &job->words[i]);
		}
}

static enum cs_status prepare(struct put_job *job, struct arena *arena, struct cs_error *err)
{
	job->tags = arena_array(arena, job->count, sizeof *job->tags);
	job->results = arena_array(arena, job->count, sizeof *job->results);
	job->changes = arena_array(arena, job->count, sizeof *job->changes);
	job->words = arena_array(arena, job->count, sizeof *job->words);
	if (!job->tags || !job->results || !job->changes || !job->words)
		return cs_fail_memory(err);
	for (size_t i = 0; i < job->count; i++) {
		const struct context *c = &job->puts[i].context;

		job->tags[i] = filter_frame_tags(arena, c->tags, c->tag_count);
		if (!job->tags[i].ptr)
			return cs_fail_memory(err);
	}
	for (size_t i = 0; i < job->count; i++) {
		const struct context *c = &job->puts[i].context;

		job->words[i] = (struct word_change){.id = c->id, .text = c->words};
		words_prepare(job->engine->words, &job->words[i]);
	}
	return CS_OK;
}

enum cs_status context_put(void *self, struct op *op, const struct context_put *puts, size_t count,
	struct context_put_result *results, struct cs_error *err)
{
	struct put_job job = {
		.job = {.run = run_put, .publish = publish}, .engine = self, .puts = puts, .count = count};
	enum cs_status status = prepare(&job, op->arena, err);

	if (status != CS_OK)
		return status;
	status = writer_run(job.engine->writer, op, &job.job, err);
	for (size_t i = 0; i < count; i++)
		word_change_release(&job.words[i]);
	if (status == CS_OK && count)
		memcpy(results, job.results, count * sizeof *results);
	return status;
}

static enum cs_status run_probe(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	static const char text[] = "UPDATE meta SET value = value + 1 WHERE name = 'probe'";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	return status == CS_OK ? sql_run(txn->sql, stmt, err) : status;
}

enum cs_status context_probe(void *self, struct op *op, struct cs_error *err)
{
	static const char text[] = "SELECT value FROM meta WHERE name = 'probe'";
	struct engine *engine = self;
	struct write_job job = {.run = run_probe};
	struct sql *sql;
	int64_t value;
	enum cs_status status = writer_run(engine->writer, op, &job, err);

	if (status == CS_OK)
		status = readers_begin(engine->readers, op, &sql, err);
	if (status != CS_OK)
		return status;
	status = sql_number(sql, text, &value, err);
	readers_end(engine->readers, sql);
	return status;
}
