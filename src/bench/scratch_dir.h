/* Directories that a bench makes for what it measures, and that the next one removes if this one cannot.
 *
 * A bench that is killed leaves its directories, a store of some hundred megabytes each. Every one therefore is locked
 * (flock, on the directory itself) for as long as the bench or a server it started there lives, and holds an empty file
 * that says whose it is. scratch_dirs_sweep removes those that have the name, the file and the user of ours, and no
 * lock. Process ids were rejected: they come again, and are others in another container.
 *
 * Threads: any; a directory belongs to one. */
#ifndef CS_BENCH_SCRATCH_DIR_H
#define CS_BENCH_SCRATCH_DIR_H

#include <limits.h>

#include "base/error.h"

struct scratch_dir {
	char path[PATH_MAX]; /* "": there is none */
	int lock;            /* a descriptor that the processes started later inherit */
};

/* Below TMPDIR or /var/tmp: not /tmp first, which may be memory, where a commit costs nothing. Errors: CS_UNAVAILABLE. */
CS_CHECKED enum cs_status scratch_dir_make(struct scratch_dir *, struct cs_error *);
/* With all that is in it. Takes one that was never made (all zero). */
void scratch_dir_remove(struct scratch_dir *);

/* Removes what benches that ended without it left where scratch_dir_make would make one. How many; what cannot be
 * removed stays without a word. */
unsigned scratch_dirs_sweep(void);

#endif
