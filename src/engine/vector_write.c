/* Vectors and their model in the file: judging, storing, and the port's put and reset.
 *
 * A vector is a blob of f32 as the machine has them (little-endian; the assertion below), as the model gave it. The
 * model stands in a table of one row with the number of the current set; resetting makes the number one larger, and
 * with that single row all vectors are void, at once and safe from a crash. The blobs of former sets are removed
 * afterwards in batches; what a crash or a deadline leaves of them is no vector to anybody, is overwritten when its
 * context gets a new one, and goes with the next reset. */
#include "engine/vector_write.h"

#include <assert.h>
#include <math.h>

#include "engine/parts.h"

#define RESET_BATCH 256 /* blobs removed in one transaction */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vectors are stored as little-endian floats");

struct pinned {
	struct vector_set set;
	char id[128], hash[80]; /* cut for the error's text */
};

static void copy_text(char *to, size_t size, struct slice text)
{
	snprintf(to, size, SLICE_FMT, SLICE_ARG(text));
}

/* *ret_same: it is the model's, or there is none yet. */
static enum cs_status read_pinned(const struct write_txn *txn, const struct embed_model *model,
	struct pinned *ret_pinned, bool *ret_same, struct cs_error *err)
{
	static const char text[] = "SELECT vector_set, dimension, id, hash FROM embedding_model";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	status = sql_step(txn->sql, stmt, &row, err);
	if (status == CS_OK && row) {
		ret_pinned->set.number = sqlite3_column_int64(stmt, 0);
		ret_pinned->set.dimension = (uint32_t)sqlite3_column_int64(stmt, 1);
		copy_text(ret_pinned->id, sizeof ret_pinned->id, sql_text(stmt, 2));
		copy_text(ret_pinned->hash, sizeof ret_pinned->hash, sql_text(stmt, 3));
		*ret_same = ret_pinned->set.dimension == 0 ||
			    (ret_pinned->set.dimension == model->dimension && slice_eq(sql_text(stmt, 2), model->id) &&
				    slice_eq(sql_text(stmt, 3), model->hash));
	} else if (status == CS_OK) {
		status = cs_fail(err, CS_STORAGE, "%s is damaged: its embedding_model is empty; restore a backup",
			txn->sql->path);
	}
	sql_finish(stmt);
	return status;
}

static enum cs_status refuse_model(const struct pinned *pinned, const struct embed_model *model, struct cs_error *err)
{
	return cs_fail(err, CS_VALIDATION,
		"this vector comes from the model %.*s (%u dimensions, %.12s), the stored ones from %s (%u dimensions, "
		"%.12s); go back to that model, or run `context-store reembed` to embed everything with the new one",
		(int)(model->id.len < 120 ? model->id.len : 120), model->id.ptr, (unsigned)model->dimension,
		model->hash.len >= 12 ? model->hash.ptr : "no hash", pinned->id, (unsigned)pinned->set.dimension,
		pinned->hash);
}

/* What the scan takes, so that what was committed can always be published. */
static bool has_direction(const float *vector, uint32_t dimension)
{
	double sum = 0;

	for (uint32_t i = 0; i < dimension; i++)
		sum += (double)vector[i] * (double)vector[i];
	return isfinite(sum) && sum > 0;
}

enum cs_status vector_judge(struct vectors *vectors, const struct write_txn *txn, int64_t row,
	const struct embed_model *model, const float *vector, struct vector_set *ret_set, struct cs_error *err)
{
	struct pinned pinned = {0};
	bool same = false;
	enum cs_status status;

	if (model->dimension == 0 || model->dimension > EMBED_DIMENSION_MAX)
		return cs_fail(err, CS_VALIDATION, "a vector has 1 to %d dimensions; this one has %u",
			EMBED_DIMENSION_MAX, (unsigned)model->dimension);
	if (!has_direction(vector, model->dimension))
		return cs_fail(err, CS_VALIDATION,
			"the vector has no direction: it is all zero, or holds an infinity or what is no number");
	status = read_pinned(txn, model, &pinned, &same, err);
	if (status == CS_OK && !same)
		status = refuse_model(&pinned, model, err);
	if (status == CS_OK)
		status = vectors_reserve(vectors, txn, row, model->dimension, err);
	if (status == CS_OK)
		*ret_set = pinned.set;
	return status;
}

/* The first vector of a set says whose it is. A second one of the same commit says the same again, which changes
 * nothing: it was judged after the first was stored. */
static enum cs_status pin(const struct write_txn *txn, const struct embed_model *model, struct cs_error *err)
{
	static const char text[] = "UPDATE embedding_model SET id = ?1, hash = ?2, dimension = ?3";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, model->id);
	sql_bind_text(stmt, 2, model->hash);
	sql_bind_i64(stmt, 3, model->dimension);
	return sql_run(txn->sql, stmt, err);
}

enum cs_status vector_store(const struct write_txn *txn, const struct vector_set *set, int64_t row,
	const struct embed_model *model, const float *vector, struct cs_error *err)
{
	static const char text[] = "INSERT OR REPLACE INTO vectors(row, vector) VALUES(?1, ?2)";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = set->dimension ? CS_OK : pin(txn, model, err);

	if (status == CS_OK)
		status = sql_prepare(txn->sql, text, &stmt, err);
	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sqlite3_bind_blob64(stmt, 2, vector, (uint64_t)model->dimension * sizeof *vector, SQLITE_STATIC);
	return sql_run(txn->sql, stmt, err);
}

enum cs_status vector_erase(const struct write_txn *txn, int64_t row, struct cs_error *err)
{
	static const char text[] = "DELETE FROM vectors WHERE row = ?1";

	return sql_run_for(txn->sql, text, row, err);
}

enum cs_status vector_bring_back(struct vectors *vectors, const struct write_txn *txn, struct arena *arena, int64_t row,
	struct slice id, struct vector_change *ret_change, struct cs_error *err)
{
	static const char text[] =
		"SELECT v.vector, " ATTRIBUTE_COLUMNS " FROM embedding_model m CROSS JOIN contexts c"
		" LEFT JOIN vectors v ON v.row = c.row AND c.vector_set = m.vector_set WHERE c.row = ?1";
	struct vector_change change = {.kind = VECTOR_PENDING, .row = row, .id = id};
	sqlite3_stmt *stmt = NULL;
	bool there;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	status = sql_step(txn->sql, stmt, &there, err);
	if (status == CS_OK && there && !attributes_of_row(arena, stmt, 1, &change.attributes))
		status = cs_fail_memory(err);
	if (status == CS_OK && there && sqlite3_column_type(stmt, 0) != SQLITE_NULL) {
		size_t size = (size_t)sqlite3_column_bytes(stmt, 0);
		float *vector = arena_alloc(arena, size);

		if (vector && size)
			memcpy(vector, sqlite3_column_blob(stmt, 0), size);
		change.kind = VECTOR_SET;
		change.vector = vector;
		change.dimension = (uint32_t)(size / sizeof *vector);
		status = vector ? vectors_reserve(vectors, txn, row, change.dimension, err) : cs_fail_memory(err);
	}
	sql_finish(stmt);
	if (status == CS_OK)
		*ret_change = change;
	return status;
}

/* The port's put. */

struct vector_job {
	struct write_job job; /* first: the writer's view */
	struct engine *engine;
	struct slice id;
	uint64_t version;
	const struct embed_model *model;
	const float *vector;
	struct vector_change change;
};

static enum cs_status find_live(const struct write_txn *txn, const struct vector_job *job, int64_t *ret_row,
	uint64_t *ret_version, struct attributes *ret_attributes, struct cs_error *err)
{
	static const char text[] =
		"SELECT c.row, c.version, " ATTRIBUTE_COLUMNS " FROM contexts c WHERE c.id = ?1 AND c.hidden = 0";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, job->id);
	status = sql_step(txn->sql, stmt, &row, err);
	if (status == CS_OK && row) {
		*ret_row = sqlite3_column_int64(stmt, 0);
		*ret_version = (uint64_t)sqlite3_column_int64(stmt, 1);
		if (!attributes_of_row(job->job.op->arena, stmt, 2, ret_attributes))
			status = cs_fail_memory(err);
	} else if (status == CS_OK) {
		status = cs_fail(err, CS_NOT_FOUND, "no context with the id " SLICE_FMT, SLICE_ARG(job->id));
	}
	sql_finish(stmt);
	return status;
}

static enum cs_status set_number(const struct write_txn *txn, int64_t row, int64_t number, struct cs_error *err)
{
	static const char text[] = "UPDATE contexts SET vector_set = ?2 WHERE row = ?1";
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sql_bind_i64(stmt, 2, number);
	return sql_run(txn->sql, stmt, err);
}

static enum cs_status run_put(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	struct vector_job *job = (struct vector_job *)base;
	struct vector_set set = {0};
	struct attributes attributes = {0};
	uint64_t version = 0;
	int64_t row = 0;
	enum cs_status status = find_live(txn, job, &row, &version, &attributes, err);

	if (status != CS_OK)
		return status;
	if (version != job->version) {
		status = cs_fail(err, CS_VERSION_CONFLICT,
			"the vector is of version %llu, but version %llu of " SLICE_FMT " is stored",
			(unsigned long long)job->version, (unsigned long long)version, SLICE_ARG(job->id));
		if (err)
			err->version = version;
		return status;
	}
	status = vector_judge(job->engine->vectors, txn, row, job->model, job->vector, &set, err);
	if (status != CS_OK)
		return status;
	status = vector_store(txn, &set, row, job->model, job->vector, err);
	if (status == CS_OK)
		status = set_number(txn, row, set.number, err);
	job->change = (struct vector_change){.kind = VECTOR_SET,
		.row = row,
		.id = job->id,
		.attributes = attributes,
		.vector = job->vector,
		.dimension = job->model->dimension};
	return status;
}

static void publish(struct write_job *base)
{
	struct vector_job *job = (struct vector_job *)base;

	vectors_publish(job->engine->vectors, &job->change);
}

enum cs_status vector_put(void *self, struct op *op, struct slice id, uint64_t version, const struct embed_model *model,
	const float *vector, struct cs_error *err)
{
	struct vector_job job = {
		.job = {.run = run_put, .publish = publish},
		.engine = self,
		.id = id,
		.version = version,
		.model = model,
		.vector = vector,
	};

	return writer_run(job.engine->writer, op, &job.job, err);
}

/* The port's reset. */

static enum cs_status run_reset(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	static const char text[] =
		"UPDATE embedding_model SET vector_set = vector_set + 1, id = '', hash = '', dimension = 0";
	struct vector_job *job = (struct vector_job *)base;
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	job->change = (struct vector_change){.kind = VECTOR_RESET};
	return status == CS_OK ? sql_run(txn->sql, stmt, err) : status;
}

struct void_job {
	struct write_job job; /* first: the writer's view */
	int64_t after;        /* rows up to here are done */
	int64_t last;         /* of the batch */
	size_t count;
};

/* The next blobs that are nobody's vector. */
static enum cs_status run_remove_void(struct write_job *base, const struct write_txn *txn, struct cs_error *err)
{
	static const char text[] =
		"SELECT v.row FROM embedding_model m CROSS JOIN vectors v LEFT JOIN contexts c ON c.row = v.row"
		" WHERE m.one = 1 AND v.row > ?1 AND c.vector_set IS NOT m.vector_set ORDER BY v.row LIMIT ?2";
	struct void_job *job = (struct void_job *)base;
	int64_t rows[RESET_BATCH];
	size_t count = 0;
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(txn->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, job->after);
	sql_bind_i64(stmt, 2, RESET_BATCH);
	status = sql_read_rows(txn->sql, stmt, rows, RESET_BATCH, &count, err);
	sql_finish(stmt);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		status = vector_erase(txn, rows[i], err);
	job->count = count;
	job->last = count ? rows[count - 1] : job->after;
	return status;
}

static void remove_void(struct engine *engine, const struct op *op)
{
	struct void_job job = {.job = {.run = run_remove_void}, .count = RESET_BATCH};

	while (job.count == RESET_BATCH) {
		if (writer_run(engine->writer, op, &job.job, NULL) != CS_OK)
			return;
		job.after = job.last;
	}
}

enum cs_status vector_reset(void *self, struct op *op, struct cs_error *err)
{
	struct vector_job job = {.job = {.run = run_reset, .publish = publish}, .engine = self};
	enum cs_status status = writer_run(job.engine->writer, op, &job.job, err);

	/* From here on it is done, whatever becomes of the old blobs. */
	if (status == CS_OK)
		remove_void(job.engine, op);
	return status;
}
