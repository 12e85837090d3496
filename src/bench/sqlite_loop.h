/* What a program does that opens SQLite and stores each row as it comes: one insert into a table, one into an FTS5
 * index, one commit in WAL mode with synchronous=FULL. The baseline of durable stores.
 *
 * Threads: one at a time. */
#ifndef CS_BENCH_SQLITE_LOOP_H
#define CS_BENCH_SQLITE_LOOP_H

#include "base/error.h"

struct sqlite_loop;

/* A new database in the directory. Errors: CS_STORAGE. */
CS_CHECKED enum cs_status sqlite_loop_open(const char *dir, struct sqlite_loop **ret_loop, struct cs_error *);
/* Commits one row: `body` goes into the table, `words` into the index. Errors: CS_STORAGE. */
CS_CHECKED enum cs_status sqlite_loop_store(
	struct sqlite_loop *, struct slice body, struct slice words, struct cs_error *);
/* Takes NULL. */
void sqlite_loop_close(struct sqlite_loop *);

#endif
