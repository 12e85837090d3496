/* Where the store of this user is.
 *
 * The setting data-dir, else $XDG_DATA_HOME/context-store, else ~/.local/share/context-store, where ~ is HOME or, in an
 * environment without it (clients start stdio servers with a filtered one), the home of the user database.
 * Threads: the main one. */
#ifndef CS_CLI_DATA_DIR_H
#define CS_CLI_DATA_DIR_H

#include "base/arena.h"
#include "base/config.h"

/* An absolute path, in the arena, NUL-terminated behind its end. Errors: CS_VALIDATION when nothing names a place. */
CS_CHECKED enum cs_status data_dir_resolve(
	const struct config *, struct arena *, struct slice *ret_dir, struct cs_error *);

/* The same for any directory: `named`, or $XDG_DATA_HOME/context-store and what stands below it; `flag` names it in
 * errors. */
CS_CHECKED enum cs_status data_dir_named(struct slice named, const char *below, const char *flag, struct arena *,
	struct slice *ret_dir, struct cs_error *);

/* Does it hold a store (a database file)? */
bool data_dir_has_store(struct slice dir);

#endif
