/* The file: what stands in it, which versions of it there are, and which files are refused. schema.c explains the
 * tables. Threads: the one that opens the engine. */
#ifndef CS_ENGINE_SCHEMA_H
#define CS_ENGINE_SCHEMA_H

#include "engine/sql.h"

/* "CTXS", at byte 68 of the file: tells our files from any other SQLite database. */
#define SCHEMA_APPLICATION_ID 0x43545853

int schema_version(void);

/* Is the file ours (or empty), and not newer than this program? *ret_version: its migrations so far. Errors: as below.
 */
CS_CHECKED enum cs_status schema_verify(struct sql *, int64_t *ret_version, struct cs_error *);

/* Creates the tables in an empty file, or brings an older file to this version, one transaction per step. On the
 * writer's connection. CS_STORAGE: not ours, newer than this program, or damaged; CS_UNAVAILABLE: the disk. */
CS_CHECKED enum cs_status schema_migrate(struct sql *, struct cs_error *);

#endif
