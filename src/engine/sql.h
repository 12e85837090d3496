/* The thin layer over SQLite that the engine's files share: connections, statements, values, errors.
 *
 * A struct sql is one connection with the statements prepared on it. Statement texts are constants that stand beside
 * their use; sql_prepare finds the prepared one by the constant's address, so a text is parsed once per connection. A
 * statement handed out is reset and unbound; values bound to it are borrowed and must live until sql_finish. Texts that
 * are put together at run time (filters) go through sql_prepare_once and hold `?` for every value: nothing a user sent
 * is ever part of an SQL text.
 *
 * Errors. sql_fail gives each SQLite code its status and its sentence, and sets `broken`: from there on the transaction
 * that runs on this connection can only be rolled back.
 * Threads: a connection belongs to one thread at a time (opened without SQLite's mutexes). */
#ifndef CS_ENGINE_SQL_H
#define CS_ENGINE_SQL_H

#include <sqlite3.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/op.h"

#define SQL_STATEMENTS_MAX 64
#define SQL_PATH_MAX       4096

struct sql {
	sqlite3 *db;
	const char *path;    /* of the file, for error texts; the engine's */
	const struct op *op; /* whose deadline bounds the statements that run; NULL: none */
	int code;            /* the SQLite code of the last sql_fail */
	bool broken;         /* a statement failed in this transaction */
	size_t cache_bytes;  /* its page cache as of the last sql_measure */
	size_t count;
	struct {
		const char *text;
		sqlite3_stmt *stmt;
	} statements[SQL_STATEMENTS_MAX];
};

enum sql_role { SQL_WRITER, SQL_READER };

/* Once per process, before any connection: no memory statistics (a lock in every malloc), multi-threaded mode. */
void sql_setup(void);

/* Opens and sets the connection's pragmas; the file must exist. `path` must outlive it. */
CS_CHECKED enum cs_status sql_open(struct sql *, const char *path, enum sql_role, struct cs_error *);
void sql_close(struct sql *);

/* On the connection's own thread: brings cache_bytes up to date. There are no statistics of all of SQLite's memory (see
 * sql_setup); page caches are what it has much of. */
void sql_measure(struct sql *);

/* The status and text for `code`, which a call on this connection returned. Sets broken. */
enum cs_status sql_fail(struct sql *, int code, struct cs_error *);

/* Statements without rows or values. */
CS_CHECKED enum cs_status sql_exec(struct sql *, const char *text, struct cs_error *);
/* The first row's first column as a number; 0 if there is no row. */
CS_CHECKED enum cs_status sql_number(struct sql *, const char *text, int64_t *ret_value, struct cs_error *);

CS_CHECKED enum cs_status sql_prepare(
	struct sql *, const char *constant_text, sqlite3_stmt **ret_stmt, struct cs_error *);
/* Not kept: the caller ends with sqlite3_finalize. */
CS_CHECKED enum cs_status sql_prepare_once(struct sql *, struct slice text, sqlite3_stmt **ret_stmt, struct cs_error *);

/* Parameters are numbered from 1. A text of length 0 is bound as '' by sql_bind_text and as NULL by sql_bind_optional.
 */
void sql_bind_text(sqlite3_stmt *, int index, struct slice text);
void sql_bind_optional(sqlite3_stmt *, int index, struct slice text);
void sql_bind_i64(sqlite3_stmt *, int index, int64_t value);
void sql_bind_null(sqlite3_stmt *, int index);

/* *ret_row: there is a row (or no more). */
CS_CHECKED enum cs_status sql_step(struct sql *, sqlite3_stmt *, bool *ret_row, struct cs_error *);
/* Resets and forgets what was bound. */
void sql_finish(sqlite3_stmt *);
/* One step of a statement that gives no row, and sql_finish. */
CS_CHECKED enum cs_status sql_run(struct sql *, sqlite3_stmt *, struct cs_error *);
/* The same for a statement with one parameter, a row's number. */
CS_CHECKED enum cs_status sql_run_for(struct sql *, const char *constant_text, int64_t row, struct cs_error *);
/* The first column of each row, at most `room` of them. The statement is not finished. */
CS_CHECKED enum cs_status sql_read_rows(
	struct sql *, sqlite3_stmt *, int64_t *rows, size_t room, size_t *ret_count, struct cs_error *);

/* The column's text; lives until the next step. NULL is empty. */
struct slice sql_text(sqlite3_stmt *, int column);
/* The same, copied. False: no memory. */
bool sql_copy(sqlite3_stmt *, int column, struct arena *, struct slice *ret_text);
/* For what was read and cannot have been stored, because bytes of the file were changed: such a text would break the
 * reply it is written into. SQLite itself sees damage to its pages' structure only. CS_STORAGE. */
CS_CHECKED enum cs_status sql_damaged(struct sql *, const char *what, struct cs_error *);

#endif
