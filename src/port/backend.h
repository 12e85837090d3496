/* A server behind a port, as health pages tell it.
 *
 * Whoever wires a server to a port gives one of these along. Reading the status costs a lock held for a copy and never
 * waits, so an event loop may ask. Errors: none. Threads: any. */
#ifndef CS_PORT_BACKEND_H
#define CS_PORT_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BACKEND_TEXT_MAX CS_ERROR_TEXT_MAX

enum backend_state {
	BACKEND_UP,
	BACKEND_PROBING, /* it did not answer, and one call looks whether it does again */
	BACKEND_DOWN,    /* it did not answer; calls fail at once until next_try_ms */
	BACKEND_STATE_COUNT
};

struct backend_pool {
	unsigned open, in_use, waiting; /* connections, connections, callers; now */
	unsigned min, max;
	int64_t wait_ns_max; /* longest time a caller waited for a connection, so far */
};

struct backend_status {
	enum backend_state state;
	int64_t since_ms;             /* wall; when this state was entered (up: first known) */
	int64_t next_try_ms;          /* wall; while it is down */
	char error[BACKEND_TEXT_MAX]; /* the last failure, or "" */
	int64_t error_ms;             /* wall; when that was */
	int64_t checked_ms;           /* wall; the last health check, 0: none yet */
	int64_t check_ns;             /* what that took */
	bool has_pool;
	struct backend_pool pool;
	bool has_cache;
	bool cache_open; /* false: the server cannot tell changes, so every read asks it */
	size_t cached;   /* entries */
};

struct backend {
	void *self;
	const char *name;     /* "redis" */
	const char *role;     /* what it keeps: "agent state" */
	struct slice address; /* without password; lives as long as self */
	void (*status)(void *self, struct backend_status *ret_status);
};

/* "up", "probing", "down" */
extern const char *const backend_state_names[BACKEND_STATE_COUNT];

#endif
