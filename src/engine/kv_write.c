/* Writing agent state: one job that looks, decides, writes, and leaves the new value for the mirror.
 *
 * The job is computed as far as possible by its caller: an overwriting value and its length are made before the writer
 * sees them. Appending and adding need what is stored, so they compute in the transaction. */
#include <assert.h>

#include "base/utf8.h"
#include "engine/parts.h"

struct kv_job {
	struct write_job job; /* first: the writer's view */
	struct engine *engine;
	const struct kv_write *write;
	const struct kv_key *key;
	int64_t if_version;
	struct hot_key hot;
	struct hot_value *value; /* the new one */
	bool removes;
};

struct stored {
	uint64_t version;     /* 0: absent or expired */
	struct slice content; /* in the job's arena; only where the mode needs it */
	int64_t characters;
	bool row; /* there is one, maybe expired */
};

static enum cs_status look(struct kv_job *job, const struct write_txn *txn, bool with_content,
	struct stored *ret_stored, struct cs_error *err)
{
	static const char text[] = "SELECT version, expires_at, characters, content FROM kv"
				   " WHERE agent_id = ?1 AND prefix = ?2 AND key = ?3";
	struct stored stored = {0};
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, job->key->agent_id);
	sql_bind_i64(stmt, 2, job->key->prefix);
	sql_bind_text(stmt, 3, job->key->key);
	status = sql_step(txn->sql, stmt, &row, err);
	if (status == CS_OK && row) {
		bool live = sqlite3_column_type(stmt, 1) == SQLITE_NULL || sqlite3_column_int64(stmt, 1) > txn->now_ms;

		stored.row = true;
		if (live) {
			stored.version = (uint64_t)sqlite3_column_int64(stmt, 0);
			stored.characters = sqlite3_column_int64(stmt, 2);
		}
		if (live && with_content && !sql_copy(stmt, 3, job->job.op->arena, &stored.content))
			status = cs_fail_memory(err);
	}
	sql_finish(stmt);
	if (status == CS_OK)
		*ret_stored = stored;
	return status;
}

static enum cs_status check_version(const struct kv_job *job, const struct stored *stored, struct cs_error *err)
{
	enum cs_status status;

	if (job->if_version == KV_VERSION_ANY || (uint64_t)job->if_version == stored->version)
		return CS_OK;
	if (stored->version == 0)
		status = cs_fail(err, CS_VERSION_CONFLICT, "if_version is %lld, but nothing is stored under this key",
			(long long)job->if_version);
	else
		status = cs_fail(err, CS_VERSION_CONFLICT, "if_version is %lld, but version %llu is stored",
			(long long)job->if_version, (unsigned long long)stored->version);
	if (err)
		err->version = stored->version;
	return status;
}

static enum cs_status too_large(int64_t characters, struct cs_error *err)
{
	return cs_fail(err, CS_CONTENT_TOO_LARGE,
		"the stored value would have %lld characters; at most %d are kept under one key", (long long)characters,
		KV_CONTENT_MAX);
}

static enum cs_status new_value(
	struct slice content, int64_t characters, struct hot_value **ret_value, struct cs_error *err)
{
	struct hot_value *value;

	if (characters > KV_CONTENT_MAX)
		return too_large(characters, err);
	value = hot_value_new(content);
	if (!value)
		return cs_fail_memory(err);
	value->characters = characters;
	*ret_value = value;
	return CS_OK;
}

static enum cs_status overwritten(struct slice content, struct hot_value **ret_value, struct cs_error *err)
{
	int64_t characters = utf8_length(content);

	if (characters < 0)
		return cs_fail(err, CS_INVALID_CONTENT_TYPE, "content is not valid UTF-8");
	return new_value(content, characters, ret_value, err);
}

static enum cs_status appended(
	struct kv_job *job, const struct stored *stored, struct hot_value **ret_value, struct cs_error *err)
{
	struct slice more = job->write->content;
	int64_t characters = utf8_length(more);
	struct hot_value *value;
	enum cs_status status;

	if (stored->version == 0)
		return overwritten(more, ret_value, err);
	if (characters < 0)
		return cs_fail(err, CS_INVALID_CONTENT_TYPE, "content is not valid UTF-8");
	characters += stored->characters + 1;
	if (characters > KV_CONTENT_MAX)
		return too_large(characters, err);
	value = malloc(sizeof *value + stored->content.len + 1 + more.len);
	if (!value)
		return cs_fail_memory(err);
	*value = (struct hot_value){
		.refs = 1, .expires_at_ms = HOT_NO_EXPIRY, .good_until_ms = HOT_NO_EXPIRY, .characters = characters};
	memcpy(value->content, stored->content.ptr, stored->content.len);
	value->content[stored->content.len] = '\n';
	if (more.len)
		memcpy(value->content + stored->content.len + 1, more.ptr, more.len);
	value->length = stored->content.len + 1 + more.len;
	status = CS_OK;
	*ret_value = value;
	return status;
}

static enum cs_status incremented(
	struct kv_job *job, const struct stored *stored, struct hot_value **ret_value, struct cs_error *err)
{
	int64_t base = 0, step, sum;
	char digits[24];
	int length;
	enum cs_status status = kv_whole_number(job->write->content, "content", &step, err);

	if (status == CS_OK && stored->version > 0)
		status = kv_whole_number(stored->content, "the stored value", &base, err);
	if (status != CS_OK)
		return status;
	if (__builtin_add_overflow(base, step, &sum))
		return cs_fail(err, CS_LIMIT_EXCEEDED,
			"the sum of %lld and %lld is past 64 bits; the value is unchanged", (long long)base,
			(long long)step);
	length = snprintf(digits, sizeof digits, "%lld", (long long)sum);
	return new_value(slice_of(digits, (size_t)length), length, ret_value, err);
}

static enum cs_status upsert(
	struct kv_job *job, const struct write_txn *txn, const struct hot_value *value, struct cs_error *err)
{
	static const char text[] = "INSERT INTO kv(agent_id, prefix, key, version, expires_at, characters, content) "
				   "VALUES(?1,?2,?3,?4,?5,?6,?7)"
				   " ON CONFLICT DO UPDATE SET version=?4, expires_at=?5, characters=?6, content=?7";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, job->key->agent_id);
	sql_bind_i64(stmt, 2, job->key->prefix);
	sql_bind_text(stmt, 3, job->key->key);
	sql_bind_i64(stmt, 4, (int64_t)value->version);
	if (value->expires_at_ms == HOT_NO_EXPIRY)
		sql_bind_null(stmt, 5);
	else
		sql_bind_i64(stmt, 5, value->expires_at_ms);
	sql_bind_i64(stmt, 6, value->characters);
	sql_bind_text(stmt, 7, slice_of(value->content, value->length));
	return sql_run(txn->sql, stmt, err);
}

static enum cs_status next_value(
	struct kv_job *job, const struct stored *stored, struct hot_value **ret_value, struct cs_error *err)
{
	switch (job->write->mode) {
	case KV_APPEND: return appended(job, stored, ret_value, err);
	case KV_INCREMENT: return incremented(job, stored, ret_value, err);
	default: return overwritten(job->write->content, ret_value, err);
	}
}

static enum cs_status run_put(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	struct kv_job *job = (struct kv_job *)base;
	const struct kv_write *write = job->write;
	struct stored stored;
	struct hot_value *value = NULL;
	enum cs_status status = look(job, txn, write->mode != KV_OVERWRITE, &stored, err);

	hot_value_release(job->value); /* of a former run */
	job->value = NULL;
	if (status == CS_OK)
		status = check_version(job, &stored, err);
	if (status == CS_OK)
		status = next_value(job, &stored, &value, err);
	if (status != CS_OK)
		return status;
	assert(value);
	job->value = value;
	value->version = stored.version + 1;
	if (write->ttl_s != KV_TTL_NONE) {
		value->expires_at_ms = txn->now_ms + write->ttl_s * 1000;
		writer_due(txn, value->expires_at_ms);
	}
	return upsert(job, txn, value, err);
}

static enum cs_status run_remove(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	static const char text[] = "DELETE FROM kv WHERE agent_id = ?1 AND prefix = ?2 AND key = ?3";
	struct kv_job *job = (struct kv_job *)base;
	struct stored stored;
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = look(job, txn, false, &stored, err);

	if (status == CS_OK && stored.version == 0)
		return kv_fail_not_found(job->key, err);
	if (status == CS_OK)
		status = check_version(job, &stored, err);
	if (status == CS_OK)
		status = sql_prepare(txn->sql, text, &stmt, err);
	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, job->key->agent_id);
	sql_bind_i64(stmt, 2, job->key->prefix);
	sql_bind_text(stmt, 3, job->key->key);
	return sql_run(txn->sql, stmt, err);
}

static void publish(struct write_job *base)
{
	struct kv_job *job = (struct kv_job *)base;

	hot_keys_publish(job->engine->hot_keys, &job->hot, job->value);
}

static enum cs_status check_write(
	const struct engine *engine, const struct kv_key *key, struct hot_key *hot, struct cs_error *err)
{
	if (key->agent_id.len == 0 || memchr(key->agent_id.ptr, '\0', key->agent_id.len))
		return cs_fail(err, CS_INVALID_AGENT_ID, "%s", cs_status_text(CS_INVALID_AGENT_ID));
	if (key->key.len == 0 || !hot_key_make(engine->hot_keys, key, hot))
		return cs_fail(err, CS_INVALID_KEY, "%s", cs_status_text(CS_INVALID_KEY));
	return CS_OK;
}

enum cs_status kv_put(
	void *self, struct op *op, const struct kv_write *write, struct kv_entry *ret_entry, struct cs_error *err)
{
	struct kv_job job = {
		.job = {.run = run_put, .publish = publish},
		.engine = self,
		.write = write,
		.key = &write->key,
		.if_version = write->if_version,
	};
	struct kv_entry entry;
	enum cs_status status = check_write(job.engine, &write->key, &job.hot, err);

	if (status == CS_OK)
		status = writer_run(job.engine->writer, op, &job.job, err);
	if (status == CS_OK)
		status = hot_value_entry(job.value, clock_wall_ms(), op->arena, &entry, err);
	hot_value_release(job.value);
	if (status == CS_OK)
		*ret_entry = entry;
	return status;
}

enum cs_status kv_remove(void *self, struct op *op, const struct kv_key *key, int64_t if_version, struct cs_error *err)
{
	struct kv_job job = {
		.job = {.run = run_remove, .publish = publish},
		.engine = self,
		.key = key,
		.if_version = if_version,
		.removes = true,
	};
	enum cs_status status = check_write(job.engine, key, &job.hot, err);

	if (status != CS_OK)
		return status;
	job.value = hot_value_new_absent(); /* without memory nothing is known, which is right too */
	status = writer_run(job.engine->writer, op, &job.job, err);
	hot_value_release(job.value);
	return status;
}
