/* What time takes away: keys past their time to live and forgotten contexts past their retention.
 *
 * Readers never see either, swept or not; sweeping gives the room back, and for forgotten contexts is the deletion that
 * was promised. It runs on the writer's thread in small transactions of its own. Threads: the writer's. */
#ifndef CS_ENGINE_SWEEP_H
#define CS_ENGINE_SWEEP_H

#include "engine/writer.h"

/* Removes at most a batch of what is due, inside the running transaction; *ret_more: call again. */
CS_CHECKED enum cs_status sweep_batch(const struct write_txn *, bool *ret_more, struct cs_error *);
/* The wall millisecond from which on there is something to do; WRITER_NEVER. */
CS_CHECKED enum cs_status sweep_next(struct sql *, int64_t *ret_wall_ms, struct cs_error *);

#endif
