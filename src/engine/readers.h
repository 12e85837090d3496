/* The readers: a bounded pool of connections that see the last commit and never wait for the writer.
 *
 * A connection is opened when all others are in use, up to READERS_MAX; then callers wait, until their deadline. Each
 * keeps its prepared statements and a page cache of some hundred KiB. A read that asks more than one statement works in
 * one snapshot, from readers_begin to readers_end. Threads: any. */
#ifndef CS_ENGINE_READERS_H
#define CS_ENGINE_READERS_H

#include "engine/sql.h"

#define READERS_MAX 8

struct readers;

CS_CHECKED enum cs_status readers_new(const char *path, struct readers **ret_readers, struct cs_error *);
/* When no reader is in use. Takes NULL. */
void readers_free(struct readers *);

/* A connection inside a read transaction. The op's deadline and cancellation end its statements with CS_TIMEOUT.
 * Errors: CS_WOULD_WAIT (the op may not wait), CS_TIMEOUT, and whatever opening may give. */
CS_CHECKED enum cs_status readers_begin(struct readers *, const struct op *, struct sql **ret_sql, struct cs_error *);
void readers_end(struct readers *, struct sql *);

struct readers_stats {
	size_t busy, idle; /* connections */
	size_t cache_bytes;
};
void readers_stats(struct readers *, struct readers_stats *ret_stats);

#endif
