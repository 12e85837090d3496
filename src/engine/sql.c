/* Connections and statements. See sql.h.
 *
 * Pragmas, and why: WAL so that readers never wait for the writer; synchronous=FULL because acknowledged means it
 * survives power loss (NORMAL would lose the last commits); checkpoints are the writer's own business (writer.c), so
 * the automatic one is off; secure_delete=FAST because purged contexts should not linger in the file, and ON would
 * write every page that FTS5's merges free once more; small page caches because the kernel caches the file already and
 * idle memory is promised to stay small. mmap is not used: a bad disk block would be a SIGBUS instead of an error. */
#include "engine/sql.h"

#include <errno.h>
#include <pthread.h>

/* Pages, 4 KiB each: the writer holds a whole group's dirty pages without spilling, a reader some inner pages. */
#define WRITER_CACHE "PRAGMA cache_size=1024"
#define READER_CACHE "PRAGMA cache_size=128"

/* Virtual machine steps between two looks at the deadline. */
#define PROGRESS_STEPS 500

static void setup_once(void)
{
	/* Refused only when SQLite is in use already; then it works as well, a little slower. */
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_initialize();
}

void sql_setup(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, setup_once);
}

static int on_progress(void *self)
{
	const struct sql *sql = self;

	return sql->op && op_check(sql->op, NULL) != CS_OK;
}

enum cs_status sql_open(struct sql *sql, const char *path, enum sql_role role, struct cs_error *err)
{
	static const char *const pragmas[] = {
		"PRAGMA synchronous=FULL",
		"PRAGMA wal_autocheckpoint=0",
		"PRAGMA secure_delete=FAST",
		"PRAGMA temp_store=MEMORY",
		"PRAGMA foreign_keys=OFF",
	};
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	struct sql fresh = {.path = path};
	enum cs_status status;
	int code = sqlite3_open_v2(path, &fresh.db, flags, NULL);

	*sql = fresh;
	status = code == SQLITE_OK ? CS_OK : sql_fail(sql, code, err);
	if (status == CS_OK)
		status = sql_exec(sql, role == SQL_WRITER ? WRITER_CACHE : READER_CACHE, err);
	for (size_t i = 0; status == CS_OK && i < sizeof pragmas / sizeof *pragmas; i++)
		status = sql_exec(sql, pragmas[i], err);
	if (status == CS_OK && role == SQL_READER)
		status = sql_exec(sql, "PRAGMA query_only=ON", err);
	if (status != CS_OK) {
		sql_close(sql);
		return status;
	}
	sqlite3_busy_timeout(sql->db, 2000);
	sqlite3_progress_handler(sql->db, PROGRESS_STEPS, on_progress, sql);
	return CS_OK;
}

void sql_close(struct sql *sql)
{
	for (size_t i = 0; i < sql->count; i++)
		sqlite3_finalize(sql->statements[i].stmt);
	sqlite3_close(sql->db);
	*sql = (struct sql){0};
}

static enum cs_status fail_io(struct sql *sql, int code, struct cs_error *err)
{
	int number = sql->db ? sqlite3_system_errno(sql->db) : 0;

	if (number == ENOSPC || number == EDQUOT)
		code = SQLITE_FULL;
	if (code == SQLITE_FULL)
		return cs_fail(err, CS_UNAVAILABLE,
			"the disk that holds %s is full: nothing was stored; free some space and repeat", sql->path);
	if (number)
		return cs_fail(err, CS_UNAVAILABLE, "%s cannot be read or written: %s (%s)", sql->path,
			strerror(number), sqlite3_errstr(code));
	return cs_fail(err, CS_UNAVAILABLE, "%s cannot be read or written: %s", sql->path, sqlite3_errstr(code));
}

enum cs_status sql_fail(struct sql *sql, int code, struct cs_error *err)
{
	sql->code = code;
	sql->broken = true;
	switch (code & 0xff) {
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH: return fail_io(sql, code, err);
	case SQLITE_READONLY:
		return cs_fail(err, CS_UNAVAILABLE,
			"%s is read-only: nothing was stored; make the file and its directory writable and repeat",
			sql->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return cs_fail(err, CS_UNAVAILABLE, "%s is locked by another program; end it and repeat", sql->path);
	case SQLITE_INTERRUPT:
		if (sql->op && op_check(sql->op, err) != CS_OK)
			return CS_TIMEOUT;
		return cs_fail(err, CS_TIMEOUT, "the time allowed ran out");
	case SQLITE_NOMEM: return cs_fail_memory(err);
	case SQLITE_TOOBIG: return cs_fail(err, CS_LIMIT_EXCEEDED, "a value is larger than the store can hold (1 GB)");
	case SQLITE_NOTADB:
		return cs_fail(err, CS_STORAGE,
			"%s is not a Context Store database; move it away, or name another directory with --data-dir",
			sql->path);
	case SQLITE_CORRUPT:
		return cs_fail(err, CS_STORAGE,
			"%s is damaged (%s); restore a backup, or save what can be read with `sqlite3 %s .recover`",
			sql->path, sqlite3_errstr(code), sql->path);
	default:
		return cs_fail(
			err, CS_STORAGE, "%s: %s", sql->path, sql->db ? sqlite3_errmsg(sql->db) : sqlite3_errstr(code));
	}
}

enum cs_status sql_damaged(struct sql *sql, const char *what, struct cs_error *err)
{
	return cs_fail(err, CS_STORAGE, "%s is damaged: %s cannot be read; restore a backup", sql->path, what);
}

enum cs_status sql_exec(struct sql *sql, const char *text, struct cs_error *err)
{
	int code = sqlite3_exec(sql->db, text, NULL, NULL, NULL);

	return code == SQLITE_OK ? CS_OK : sql_fail(sql, code, err);
}

enum cs_status sql_number(struct sql *sql, const char *text, int64_t *ret_value, struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	bool row = false;
	int64_t value;
	enum cs_status status = sql_prepare_once(sql, slice_cstr(text), &stmt, err);

	if (status != CS_OK)
		return status;
	status = sql_step(sql, stmt, &row, err);
	value = status == CS_OK && row ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_finalize(stmt);
	if (status == CS_OK)
		*ret_value = value;
	return status;
}

enum cs_status sql_prepare(struct sql *sql, const char *constant_text, sqlite3_stmt **ret_stmt, struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int code;

	for (size_t i = 0; i < sql->count; i++) {
		if (sql->statements[i].text == constant_text) {
			*ret_stmt = sql->statements[i].stmt;
			return CS_OK;
		}
	}
	if (sql->count == SQL_STATEMENTS_MAX)
		return cs_fail(err, CS_STORAGE, "more than %d statements on one connection", SQL_STATEMENTS_MAX);
	code = sqlite3_prepare_v3(sql->db, constant_text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (code != SQLITE_OK)
		return sql_fail(sql, code, err);
	sql->statements[sql->count].text = constant_text;
	sql->statements[sql->count++].stmt = stmt;
	*ret_stmt = stmt;
	return CS_OK;
}

enum cs_status sql_prepare_once(struct sql *sql, struct slice text, sqlite3_stmt **ret_stmt, struct cs_error *err)
{
	int code = text.len > INT32_MAX ? SQLITE_TOOBIG
					: sqlite3_prepare_v2(sql->db, text.ptr, (int)text.len, ret_stmt, NULL);

	return code == SQLITE_OK ? CS_OK : sql_fail(sql, code, err);
}

/* A bind fails only for a text past SQLite's limit of 1 GB, far above every ceiling on what comes in, or without
 * memory; NULL is bound then, which the NOT NULL columns refuse. */
void sql_bind_text(sqlite3_stmt *stmt, int index, struct slice text)
{
	sqlite3_bind_text64(stmt, index, text.ptr ? text.ptr : "", text.len, SQLITE_STATIC, SQLITE_UTF8);
}

void sql_bind_optional(sqlite3_stmt *stmt, int index, struct slice text)
{
	if (text.len == 0)
		sqlite3_bind_null(stmt, index);
	else
		sql_bind_text(stmt, index, text);
}

void sql_bind_i64(sqlite3_stmt *stmt, int index, int64_t value)
{
	sqlite3_bind_int64(stmt, index, value);
}

void sql_bind_null(sqlite3_stmt *stmt, int index)
{
	sqlite3_bind_null(stmt, index);
}

enum cs_status sql_step(struct sql *sql, sqlite3_stmt *stmt, bool *ret_row, struct cs_error *err)
{
	int code = sqlite3_step(stmt);

	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return sql_fail(sql, code, err);
	*ret_row = code == SQLITE_ROW;
	return CS_OK;
}

void sql_finish(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

enum cs_status sql_run(struct sql *sql, sqlite3_stmt *stmt, struct cs_error *err)
{
	bool row;
	enum cs_status status = sql_step(sql, stmt, &row, err);

	sql_finish(stmt);
	return status;
}

enum cs_status sql_run_for(struct sql *sql, const char *constant_text, int64_t row, struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = sql_prepare(sql, constant_text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	return sql_run(sql, stmt, err);
}

enum cs_status sql_read_rows(
	struct sql *sql, sqlite3_stmt *stmt, int64_t *rows, size_t room, size_t *ret_count, struct cs_error *err)
{
	enum cs_status status = CS_OK;
	size_t count = 0;
	bool row = true;

	while (status == CS_OK && count < room) {
		status = sql_step(sql, stmt, &row, err);
		if (status != CS_OK || !row)
			break;
		rows[count++] = sqlite3_column_int64(stmt, 0);
	}
	if (status == CS_OK)
		*ret_count = count;
	return status;
}

struct slice sql_text(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return (struct slice){text, text ? (size_t)sqlite3_column_bytes(stmt, column) : 0};
}

bool sql_copy(sqlite3_stmt *stmt, int column, struct arena *arena, struct slice *ret_text)
{
	struct slice copy = arena_copy(arena, sql_text(stmt, column));

	if (!copy.ptr)
		return false;
	*ret_text = copy;
	return true;
}

void sql_measure(struct sql *sql)
{
	int bytes = 0, highest = 0;

	if (sqlite3_db_status(sql->db, SQLITE_DBSTATUS_CACHE_USED, &bytes, &highest, 0) == SQLITE_OK)
		sql->cache_bytes = (size_t)bytes;
}
