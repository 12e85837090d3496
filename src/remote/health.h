/* The one thread that looks after servers: asks each on a period whether it answers, and keeps its connections in order.
 *
 * A check stands between guard_enter and guard_leave, so it counts as a call does: a server nobody calls is found dead,
 * and once the breaker's pause is over the check is the probe that finds it alive, unless a call comes first. While a server
 * is left alone it is checked when its pause is over, not on the period. Servers are checked one after another, each within
 * timeout_ms: with few of them that is soon enough, and a thread each would be only more to explain.
 *
 * Threads: new and free from one; poke from any. */
#ifndef CS_REMOTE_HEALTH_H
#define CS_REMOTE_HEALTH_H

#include "remote/guard.h"

#define HEALTH_TARGETS_MAX 8

struct health;

struct health_target {
	struct guard *guard;
	void *self;
	enum cs_status (*ping)(void *self, struct op *, struct cs_error *);
	/* After a ping that was answered: closes and opens connections; NULL: nothing to do. */
	enum cs_status (*maintain)(void *self, struct op *, struct cs_error *);
};

struct health_options {
	int64_t period_ms;
	int64_t timeout_ms; /* of one check */
	const struct health_target *targets;
	size_t count; /* at most HEALTH_TARGETS_MAX; copied */
};

/* Starts the thread, which checks at once. */
CS_CHECKED enum cs_status health_new(const struct health_options *, struct health **ret_health, struct cs_error *);
/* Ends a check under way. Takes NULL. */
void health_free(struct health *);

/* Something about a guard changed: look when its next check is due. */
void health_poke(struct health *);

#endif
