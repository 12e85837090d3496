/* Servers behind the store's ports, as the settings say: Redis for agent state where REDIS_URL is set. Whatever has no
 * server stays embedded.
 *
 * The path of a call: cache, breaker, adapter with its pool (remote/kv_cache.h, kv_breaker.h, redis_kv.h). Nothing is
 * connected or started by backends_open, so a wrong setting is told at once and a dead server never keeps the program
 * from starting; its state is told by health pages, by `storage_unavailable` and by one log line for each change.
 *
 * Threads: all from one, but the ports from any. The struct must not move once it is open. */
#ifndef CS_CLI_BACKENDS_H
#define CS_CLI_BACKENDS_H

#include "base/config.h"
#include "base/metrics.h"
#include "remote/health.h"
#include "remote/kv_breaker.h"
#include "remote/kv_cache.h"
#include "remote/redis_kv.h"
#include "remote/tracking.h"
#include "store/store.h"

struct backends {
	struct redis_kv *redis; /* NULL: agent state is embedded */
	struct guard *guard;
	struct kv_breaker breaker;
	struct kv_cache *cache;    /* NULL: off, or this process ends too soon to need one */
	struct tracking *tracking; /* as the cache */
	_Atomic(struct health *) health;
	bool people;
	unsigned pool_min, pool_max;
	struct metrics_collector collector; /* of the pool's gauges */
};

/* Errors: VALIDATION (a setting, which is named). */
CS_CHECKED enum cs_status backends_open(struct backends *, const struct config *, struct cs_error *);
/* Starts what long-running processes have: health checks, and the cache with its listener. `people`: somebody reads the
 * log, and not an editor that shows each line as an error. */
CS_CHECKED enum cs_status backends_start(struct backends *, const struct config *, bool people, struct cs_error *);
/* Puts the servers' ports where the embedded ones stand. Before the first call. */
void backends_attach(struct backends *, struct store *);
/* No call may be running. Takes one that is all zero. */
void backends_close(struct backends *);

/* The options of redis_kv as the settings say. */
struct redis_kv_options backends_redis_options(const struct config *);

#endif
