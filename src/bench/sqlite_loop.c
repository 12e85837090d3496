/* Statements are prepared once, as anybody would who measures; nothing else is tuned. */
#include "bench/sqlite_loop.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_FORMAT "ctx-%016lld"

struct sqlite_loop {
	sqlite3 *db;
	sqlite3_stmt *row, *words;
	sqlite3_int64 next;
};

static const char set_up[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
	"CREATE TABLE context(rowid INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, created_at INTEGER, body TEXT);"
	"CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='porter unicode61 remove_diacritics 2');";

static enum cs_status fail(struct sqlite_loop *l, struct cs_error *err)
{
	return cs_fail(err, CS_STORAGE, "raw SQLite: %s", l && l->db ? sqlite3_errmsg(l->db) : "out of memory");
}

enum cs_status sqlite_loop_open(const char *dir, struct sqlite_loop **ret_loop, struct cs_error *err)
{
	struct sqlite_loop *l = calloc(1, sizeof *l);
	char path[PATH_MAX + 16];

	snprintf(path, sizeof path, "%s/raw.db", dir);
	if (!l || sqlite3_open(path, &l->db) != SQLITE_OK ||
		sqlite3_exec(l->db, set_up, NULL, NULL, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(l->db, "INSERT INTO context VALUES(?1,?2,'log',?3,?4)", -1, &l->row, NULL) !=
			SQLITE_OK ||
		sqlite3_prepare_v2(l->db, "INSERT INTO words(rowid,text) VALUES(?1,?2)", -1, &l->words, NULL) !=
			SQLITE_OK) {
		enum cs_status status = fail(l, err);

		sqlite_loop_close(l);
		return status;
	}
	*ret_loop = l;
	return CS_OK;
}

enum cs_status sqlite_loop_store(struct sqlite_loop *l, struct slice body, struct slice words, struct cs_error *err)
{
	sqlite3_int64 rowid = ++l->next;
	char id[40];

	snprintf(id, sizeof id, ID_FORMAT, (long long)rowid);
	if (sqlite3_exec(l->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
		sqlite3_bind_int64(l->row, 1, rowid) != SQLITE_OK ||
		sqlite3_bind_text(l->row, 2, id, -1, SQLITE_STATIC) != SQLITE_OK ||
		sqlite3_bind_int64(l->row, 3, rowid) != SQLITE_OK ||
		sqlite3_bind_text(l->row, 4, body.ptr, (int)body.len, SQLITE_STATIC) != SQLITE_OK ||
		sqlite3_step(l->row) != SQLITE_DONE || sqlite3_reset(l->row) != SQLITE_OK ||
		sqlite3_bind_int64(l->words, 1, rowid) != SQLITE_OK ||
		sqlite3_bind_text(l->words, 2, words.ptr, (int)words.len, SQLITE_STATIC) != SQLITE_OK ||
		sqlite3_step(l->words) != SQLITE_DONE || sqlite3_reset(l->words) != SQLITE_OK ||
		sqlite3_exec(l->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return fail(l, err);
	return CS_OK;
}

void sqlite_loop_close(struct sqlite_loop *l)
{
	if (!l)
		return;
	(void)sqlite3_finalize(l->row);
	(void)sqlite3_finalize(l->words);
	(void)sqlite3_close(l->db);
	free(l);
}
