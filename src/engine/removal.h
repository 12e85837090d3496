/* Taking contexts away: the pieces that writing, removing and sweeping share. Threads: the writer's, inside a
 * transaction. */
#ifndef CS_ENGINE_REMOVAL_H
#define CS_ENGINE_REMOVAL_H

#include "engine/writer.h"

enum { CONTEXT_LIVE, CONTEXT_HIDDEN, CONTEXT_FORGOTTEN }; /* contexts.hidden */

/* Takes a live document's words out of the index. Before its words change. */
CS_CHECKED enum cs_status removal_unindex(const struct write_txn *, int64_t row, struct cs_error *);
/* Document, history, edges, vector and (if it is live) words: all gone. The mirror of vectors is the caller's to tell.
 */
CS_CHECKED enum cs_status removal_erase(const struct write_txn *, int64_t row, struct cs_error *);
/* removal_erase of a forgotten context whose time has come, with its line in the audit log. */
CS_CHECKED enum cs_status removal_purge(const struct write_txn *, int64_t row, struct cs_error *);

#endif
