/* One owner per data directory.
 *
 * The owner holds an exclusive flock(2) on DIR/owner.lock for as long as it lives; the kernel lets go of it however the
 * process ends, so a lock is never stale. The file tells who holds it: process, since when, command. It is never
 * removed (two processes could then lock two files of one name). Who does not get the lock asks the owner over
 * DIR/owner.sock.
 *
 * Threads: any; one struct owner belongs to one. */
#ifndef CS_CLI_OWNER_H
#define CS_CLI_OWNER_H

#include <sys/types.h>

#include "base/error.h"
#include "base/slice.h"

#define OWNER_LOCK     "owner.lock"
#define OWNER_SOCKET   "owner.sock"
#define OWNER_TEXT_MAX 128

struct owner;

/* What the lock's file says; pid 0 and empty texts where it says nothing yet. */
struct owner_info {
	pid_t pid;
	char since[OWNER_TEXT_MAX];
	char command[OWNER_TEXT_MAX];
	char address[OWNER_TEXT_MAX]; /* of a serve that listens */
};

/* Creates the directory (0700) where it is missing. *ret_owner is NULL when another process holds it; *ret_holder (may
 * be NULL) then says which. Errors: CS_UNAVAILABLE that names the path and how to mend it. */
CS_CHECKED enum cs_status owner_take(struct slice dir, const char *command, struct owner **ret_owner,
	struct owner_info *ret_holder, struct cs_error *);
/* Takes NULL. */
void owner_release(struct owner *);

/* Adds where the owner listens to what others are told; they are not told when it cannot be written. */
void owner_tell_address(struct owner *, const char *address);

/* Does somebody hold it now? Takes and creates nothing; false also where there is no lock file. */
bool owner_held(struct slice dir, struct owner_info *ret_holder);

/* "process 123 (context-store serve at http://127.0.0.1:8000, since ...)" */
void owner_describe(const struct owner_info *, char *text, size_t size);

#endif
