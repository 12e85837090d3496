/* One server and what is known of its health: a circuit breaker with a name, texts, times and metrics.
 *
 * Calls to the server stand between guard_enter and guard_leave; so do the periodic health checks (remote/health.h), so
 * that a server nobody calls is known to be down, and a server that is back is found without a client's call paying for
 * the look. While the breaker is open a call fails at once with UNAVAILABLE, whose text names the server, since when it
 * has not answered, why, and when it is asked again; the same stands in err->backend, since_ms and next_try_ms. The calls
 * that find it silent before the breaker opens get these fields too.
 *
 * What counts: UNAVAILABLE (which adapters give when a reply does not come in time), and TIMEOUT if the server had
 * GUARD_FAIR_MS and somebody still waited. Everything else is an answer, except WOULD_WAIT, a caller that went away and
 * one that came with no time left, which say nothing.
 *
 * `changed` is told each change between up and down once, by the thread that found it, with no lock held; it logs.
 * Threads: new and free from one, the rest from any. */
#ifndef CS_REMOTE_GUARD_H
#define CS_REMOTE_GUARD_H

#include "base/op.h"
#include "port/backend.h"
#include "remote/breaker.h"

#define GUARD_FAIR_MS 1000

struct guard;

struct guard_change {
	const char *name;
	struct slice address;
	bool up;
	const char *why; /* down: the failure */
	int64_t down_ms; /* up: how long it was down */
};

struct guard_options {
	const char *name;     /* "redis": the label of its metrics; static */
	const char *role;     /* "agent state"; static */
	struct slice address; /* without secrets; copied */
	struct breaker_options breaker;
	void (*changed)(void *self, const struct guard_change *); /* NULL: nobody is told */
	void *self;
	/* Adds pool and cache to a status; NULL: there are none. Called with no lock held. */
	void (*more)(void *more_self, struct backend_status *);
	void *more_self;
};

CS_CHECKED enum cs_status guard_new(const struct guard_options *, struct guard **ret_guard, struct cs_error *);
void guard_free(struct guard *); /* takes NULL; no call may be running */

/* CS_OK: the call may go on, and guard_leave must follow. UNAVAILABLE: the server is left alone. */
CS_CHECKED enum cs_status guard_enter(struct guard *, struct breaker_pass *ret_pass, struct cs_error *);
/* What came of it. `err` is the call's, as it filled it (may be NULL); where the server did not answer it gets the fields
 * that tell of the server. */
void guard_leave(struct guard *, struct breaker_pass, const struct op *, enum cs_status, struct cs_error *err);

/* Of a health check that entered and left: when it was and how long it took. */
void guard_checked(struct guard *, int64_t took_ns);

/* Monotonic time at which a probe may pass, or INT64_MAX while it is up. */
int64_t guard_due_ns(struct guard *);

struct backend guard_backend(struct guard *);

#endif
