/* Opening and closing the embedded engine.
 *
 * Opening costs a directory, one connection, the schema's version and one look for what is due: a few milliseconds
 * whatever the file holds. There is no scan, no integrity check (engine_check does that when asked) and nothing is
 * loaded; the mirror of keys fills as they are used, that of vectors with the first search, that of words when searches
 * have made it worthwhile. Files are made 0600 in a directory of 0700: what agents store is nobody else's business. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/parts.h"
#include "engine/schema.h"

#define FILE_BYTES_MIN 512

/* A value of HOT_VALUE_MAX is an eighth of a shard: one that is larger would empty it. */
#define HOT_SHARDS      16
#define HOT_ENTRIES_MAX 16384
#define HOT_BYTES_MAX   (8u << 20)
#define HOT_VALUE_MAX   (64u << 10)

static enum cs_status make_path(struct slice dir, char path[SQL_PATH_MAX], struct cs_error *err)
{
	int length = snprintf(path, SQL_PATH_MAX, SLICE_FMT "/" ENGINE_FILE, SLICE_ARG(dir));

	if (dir.len == 0 || memchr(dir.ptr, '\0', dir.len))
		return cs_fail(err, CS_UNAVAILABLE, "the name of the data directory is empty or holds a NUL");
	if (length < 0 || length >= SQL_PATH_MAX)
		return cs_fail(
			err, CS_UNAVAILABLE, "the name of the data directory is longer than %d bytes", SQL_PATH_MAX);
	return CS_OK;
}

/* Makes the directory of path, and those above it that are missing. */
static enum cs_status make_directory(char *path, struct cs_error *err)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int made;

		*slash = '\0';
		made = mkdir(path, 0700);
		if (made != 0 && errno != EEXIST) {
			enum cs_status status = cs_fail(err, CS_UNAVAILABLE,
				"the directory %s cannot be made: %s; make it, or name another one with --data-dir",
				path, strerror(errno));

			*slash = '/';
			return status;
		}
		*slash = '/';
	}
	return CS_OK;
}

/* SQLite takes a file shorter than its smallest page for an empty one, and would write over somebody's note. */
static enum cs_status refuse_short(const char *path, struct cs_error *err)
{
	struct stat info;

	if (stat(path, &info) != 0 || info.st_size == 0 || info.st_size >= FILE_BYTES_MIN)
		return CS_OK; /* what else is wrong with it, opening it tells */
	return cs_fail(err, CS_STORAGE,
		"%s is not a Context Store database; move it away, or name another directory with --data-dir", path);
}

/* So that a file that is missing is made 0600, and one that cannot be written is told in plain words. */
static enum cs_status touch(const char *path, struct cs_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return cs_fail(err, CS_UNAVAILABLE,
			"%s cannot be opened for writing: %s; give this user write permission on the file and its "
			"directory, "
			"free the disk, or name another directory with --data-dir",
			path, strerror(errno));
	close(fd);
	return refuse_short(path, err);
}

static enum cs_status migrate(const char *path, struct cs_error *err)
{
	struct sql sql;
	enum cs_status status = sql_open(&sql, path, SQL_WRITER, err);

	if (status != CS_OK)
		return status;
	status = schema_migrate(&sql, err);
	sql_close(&sql);
	return status;
}

static enum cs_status open_mirror(struct hot_keys **ret_keys, struct cs_error *err)
{
	const struct hot_keys_options options = {.shards = HOT_SHARDS,
		.entries_max = HOT_ENTRIES_MAX,
		.bytes_max = HOT_BYTES_MAX,
		.value_max = HOT_VALUE_MAX};

	return hot_keys_new(&options, ret_keys, err);
}

/* After a commit, when all its jobs have published: on the writer's thread. */
static void on_settled(void *self)
{
	struct engine *engine = self;

	bool changed = vectors_settle(engine->vectors); /* each job that changes a context tells the vectors */

	words_settle(engine->words);
	/* Last: who sees the new number sees everything else. */
	if (changed)
		atomic_fetch_add_explicit(&engine->generation, 1, memory_order_release);
}

static enum cs_status open_mirrors(struct engine *engine, struct cs_error *err)
{
	enum cs_status status = open_mirror(&engine->hot_keys, err);

	if (status == CS_OK)
		status = readers_new(engine->path, &engine->readers, err);
	if (status == CS_OK)
		status = vectors_new(engine->readers, &engine->vectors, err);
	if (status == CS_OK)
		status = tokenizers_new(&engine->tokenizers, err);
	if (status == CS_OK)
		status = words_new(engine->readers, engine->tokenizers, &engine->words, err);
	return status;
}

enum cs_status engine_open(struct slice dir, struct engine **ret_engine, struct cs_error *err)
{
	struct engine *engine = calloc(1, sizeof *engine);
	enum cs_status status;

	if (!engine)
		return cs_fail_memory(err);
	/* Ahead of all numbers of earlier openings as long as they made fewer than a million commits a millisecond. */
	atomic_store(&engine->generation, (uint64_t)clock_wall_ms() << 20);
	sql_setup();
	status = make_path(dir, engine->path, err);
	if (status == CS_OK)
		status = make_directory(engine->path, err);
	if (status == CS_OK)
		status = touch(engine->path, err);
	if (status == CS_OK)
		status = migrate(engine->path, err);
	if (status == CS_OK)
		status = open_mirrors(engine, err);
	if (status == CS_OK)
		status = writer_open(engine->path, &engine->writer, err);
	if (status != CS_OK) {
		engine_close(engine);
		return status;
	}
	writer_on_settled(engine->writer, on_settled, engine);
	engine->key_hits = metric_series(METRIC_KEY_CACHE, S("hit"));
	engine->key_misses = metric_series(METRIC_KEY_CACHE, S("miss"));
	engine->collector = (struct metrics_collector){.collect = engine_collect, .self = engine};
	metrics_collector_add(&engine->collector);
	*ret_engine = engine;
	return CS_OK;
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	metrics_collector_remove(&engine->collector);
	engine_warm_stop(engine);
	words_stop(engine->words);
	/* Readers first: the last connection to close folds the log into the file and removes it, and the writer may do
	 * so. */
	readers_free(engine->readers);
	writer_close(engine->writer);
	words_free(engine->words);
	tokenizers_free(engine->tokenizers);
	vectors_free(engine->vectors);
	hot_keys_free(engine->hot_keys);
	free(engine);
}

uint64_t context_generation(void *self)
{
	struct engine *engine = self;

	return atomic_load_explicit(&engine->generation, memory_order_acquire);
}

struct context_port engine_contexts(struct engine *engine)
{
	return (struct context_port){
		.self = engine,
		.put = context_put,
		.get = context_get,
		.find_equal = context_find_equal,
		.list = context_list,
		.history = context_history,
		.remove = context_remove,
		.restore = context_restore,
		.counts = context_counts,
		.generation = context_generation,
		.probe = context_probe,
	};
}

struct text_port engine_text(struct engine *engine)
{
	return (struct text_port){.self = engine, .search = text_search};
}

struct kv_port engine_kv(struct engine *engine)
{
	return (struct kv_port){.self = engine, .get = kv_get, .put = kv_put, .remove = kv_remove, .list = kv_list};
}

struct vector_port engine_vectors(struct engine *engine)
{
	return (struct vector_port){
		.self = engine,
		.search = vector_search,
		.similarities = vector_similarities,
		.pending = vector_pending,
		.put = vector_put,
		.reset = vector_reset,
		.stats = vector_stats,
	};
}

void engine_set_vector_memory(struct engine *engine, uint64_t bytes_max)
{
	vectors_set_memory(engine->vectors, bytes_max);
}

void engine_set_word_memory(struct engine *engine, uint64_t bytes_max)
{
	words_set_memory(engine->words, bytes_max);
}

enum cs_status engine_load_words(struct engine *engine, const struct op *op, struct cs_error *err)
{
	return words_load(engine->words, op, err);
}

int engine_schema_version(void)
{
	return schema_version();
}

/* The first line that is not "ok" is the finding. */
static enum cs_status check_rows(struct sql *sql, const char *text, struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);
	bool row = false;

	if (status == CS_OK)
		status = sql_step(sql, stmt, &row, err);
	if (status == CS_OK && row && !slice_eq(sql_text(stmt, 0), S("ok")))
		status = cs_fail(err, CS_STORAGE, "%s is damaged: " SLICE_FMT "; restore a backup", sql->path,
			SLICE_ARG(sql_text(stmt, 0)));
	if (row)
		sql_finish(stmt);
	return status;
}

/* A context that is said to have a vector has one, of the model's length. A file of format 1 has none. */
static enum cs_status check_vectors(struct sql *sql, struct cs_error *err)
{
	static const char text[] = "SELECT count(*) FROM embedding_model m CROSS JOIN contexts c"
				   " LEFT JOIN vectors v ON v.row = c.row"
				   " WHERE c.vector_set = m.vector_set AND length(v.vector) IS NOT 4 * m.dimension";
	int64_t bad = 0;
	enum cs_status status = sql_number(sql, text, &bad, err);

	if (status == CS_OK && bad)
		status = cs_fail(err, CS_STORAGE,
			"%s is damaged: the vectors of %lld contexts are missing or have another length; run "
			"context-store reembed",
			sql->path, (long long)bad);
	return status;
}

enum cs_status engine_check(struct slice dir, struct cs_error *err)
{
	char path[SQL_PATH_MAX];
	struct sql sql;
	int64_t version;
	enum cs_status status = make_path(dir, path, err);

	sql_setup();
	if (status == CS_OK && access(path, F_OK) != 0)
		return cs_fail(err, CS_UNAVAILABLE, "%s: %s", path, strerror(errno));
	if (status == CS_OK)
		status = refuse_short(path, err);
	if (status == CS_OK)
		status = sql_open(&sql, path, SQL_READER, err);
	if (status != CS_OK)
		return status;
	status = schema_verify(&sql, &version, err);
	if (status == CS_OK)
		status = check_rows(&sql, "PRAGMA integrity_check(1)", err);
	if (status == CS_OK && version > 1)
		status = check_vectors(&sql, err);
	/* A special insert, which compares the index with itself; it changes nothing, but counts as a write. */
	if (status == CS_OK)
		status = sql_exec(&sql, "PRAGMA query_only=OFF", err);
	if (status == CS_OK && version > 0)
		status = sql_exec(&sql, "INSERT INTO context_words(context_words) VALUES('integrity-check')", err);
	sql_close(&sql);
	return status;
}
