/* A file mapped for reading.
 *
 * Pages come from the system's cache when they are touched, and are the first to go when memory is short, so a model of
 * 90 MB costs what is used of it. A file that another program cuts short while it is mapped ends this one with SIGBUS;
 * weights are replaced by renaming (as every file of ours is), which leaves the mapping whole.
 *
 * Owner: mapped_close. Threads: read-only once open. Errors: CS_EMBEDDING_UNAVAILABLE (not there, cannot be read),
 * CS_VALIDATION (no regular file, or empty). */
#ifndef CS_EMBED_MAPPED_H
#define CS_EMBED_MAPPED_H

#include "base/error.h"

struct mapped {
	const uint8_t *ptr;
	size_t size;
	int64_t modified_ns; /* since 1970; with the size, what tells a file from its successor */
};

CS_CHECKED enum cs_status mapped_open(const char *path, struct mapped *ret_mapped, struct cs_error *);
void mapped_close(struct mapped *); /* takes one that was never opened, if it is zeroed */

/* Gives the pages back to the system; they are read again when touched. */
void mapped_forget(const struct mapped *);

#endif
