/* Taking contexts away: delete, forget, restore.
 *
 * Every removal has a reason, kept in the audit log beside who did it. Removing is for people: where API keys exist, a
 * key that belongs to an agent is refused. Threads: any worker; waits for a commit.
 * Errors: VALIDATION (reason), FORBIDDEN, NOT_FOUND, and the port's. */
#ifndef CS_STORE_REMOVAL_H
#define CS_STORE_REMOVAL_H

#include "store/store.h"

#define REMOVAL_REASON_MIN         5 /* characters that are not space at the ends */
#define REMOVAL_RETENTION_DAYS     30
#define REMOVAL_RETENTION_DAYS_MAX 3650

/* Hidden and kept, or with `hard` gone at once with history, words and edges. */
CS_CHECKED enum cs_status store_delete(
	struct store *, struct op *, struct slice id, struct slice reason, bool hard, struct cs_error *);
/* Hidden, and purged when the retention is over. */
CS_CHECKED enum cs_status store_forget(
	struct store *, struct op *, struct slice id, struct slice reason, int64_t retention_days, struct cs_error *);
/* Undoes a delete that was not hard, or a forget before its purge. */
CS_CHECKED enum cs_status store_restore(struct store *, struct op *, struct slice id, struct cs_error *);

#endif
