/* Connections to one server, lent to one caller at a time: the one pool every server adapter uses.
 *
 * What a connection is, only the hooks know; the pool counts, lends, waits and closes. A caller borrows with
 * pool_acquire and gives back with pool_release, saying whether the connection may be used again: one that met an I/O or
 * protocol error never is.
 *
 * Lending. The connection used last is lent first, so that a quiet server keeps few warm ones and the rest grow old. With
 * none idle and fewer than `max` open, the borrower opens one itself, outside the lock. Otherwise it queues: first come,
 * first served, and nobody overtakes a waiter. Each waiter has a condition variable of its own and what is given back is
 * handed to the first of them directly, so no wake-up is lost on a thread that then finds nothing.
 *
 * Age. A connection idle for check_after_idle_ms is asked whether it lives (hooks.check) before it is lent; a dead one is
 * closed and the next taken, which the borrower does not see. One older than lifetime_ms (shortened for each by a random
 * part, at most POOL_JITTER_PERCENT, so that connections opened together are not closed together) is closed instead of
 * lent or kept, and so is one opened before the last pool_renew. pool_maintain, called now and then, closes what has been idle for max_idle_ms down to `min` and opens up to
 * `min`. The pool has no thread of its own: borrowing needs none, and whoever looks after the server's health on a period
 * can call pool_maintain in the same breath. So a pool that nobody uses costs nothing.
 *
 * Waiting ends with a connection, at the op's deadline or cancellation (TIMEOUT), after acquire_timeout_ms (UNAVAILABLE), or
 * when the pool drains (UNAVAILABLE). An op that may not wait is told WOULD_WAIT at once.
 *
 * Threads: any. The hooks are called without the lock, from the thread that borrows, gives back, maintains or drains. */
#ifndef CS_REMOTE_POOL_H
#define CS_REMOTE_POOL_H

#include "base/metrics.h"
#include "base/op.h"

#define POOL_MAX            1024
#define POOL_JITTER_PERCENT 10

struct pool;

struct pool_hooks {
	void *self;
	/* Opens a connection that is ready for use, within the op's deadline. On failure nothing stays open. */
	enum cs_status (*connect)(void *self, struct op *, void **ret_connection, struct cs_error *);
	/* Is this idle connection alive? Cheap where it can be; must end by the op's deadline. NULL: always. */
	bool (*check)(void *self, struct op *, void *connection);
	void (*close)(void *self, void *connection);
};

struct pool_options {
	struct slice name;               /* what it leads to, for messages: "Redis at 127.0.0.1:6379"; copied */
	unsigned min;                    /* kept open by pool_maintain; nothing is opened before the first call */
	unsigned max;                    /* 1 to POOL_MAX */
	int64_t max_idle_ms;             /* 0: idle connections stay */
	int64_t lifetime_ms;             /* 0: no end */
	int64_t acquire_timeout_ms;      /* 0: only the op's deadline */
	int64_t check_after_idle_ms;     /* 0: checked on every borrow */
	struct metric_series *wait_time; /* a histogram of the time that borrows queued; NULL: nobody asks */
};

/* A borrowed connection. */
struct pool_lease {
	void *connection;
	struct pool_slot *slot; /* the pool's */
	bool fresh;             /* opened for this borrower: a failure on it is no leftover of the past */
};

struct pool_stats {
	unsigned size;                  /* idle and in_use */
	unsigned idle, in_use, waiting; /* in_use: lent or being opened */
	uint64_t created, closed;       /* connections, since pool_new */
	uint64_t connect_failures;      /* hooks.connect that failed */
	uint64_t acquisitions;          /* borrows that got a connection */
	uint64_t timeouts;     /* borrows that ended without one because time ran out or nobody waited any more */
	uint64_t waits;        /* borrows that had to queue */
	int64_t wait_ns_total; /* of those, ended either way */
	int64_t wait_ns_max;
};

/* Connects to nothing. Errors: VALIDATION (min over max, max out of range), LIMIT_EXCEEDED (memory). */
CS_CHECKED enum cs_status pool_new(
	const struct pool_options *, const struct pool_hooks *, struct pool **ret_pool, struct cs_error *);
/* Nothing may be lent and nobody waiting (pool_drain). Takes NULL. */
void pool_free(struct pool *);

/* Errors: what hooks.connect said; TIMEOUT, UNAVAILABLE, WOULD_WAIT as above. */
CS_CHECKED enum cs_status pool_acquire(struct pool *, struct op *, struct pool_lease *ret_lease, struct cs_error *);
void pool_release(struct pool *, struct pool_lease, bool reusable);

/* Brings idle connections to what they should be. Opening stops at the first failure, which is returned: the caller
 * knows best whether it is news. The op bounds the time it may take. */
CS_CHECKED enum cs_status pool_maintain(struct pool *, struct op *, struct cs_error *);

/* The connections there are lead to the wrong server: each is closed instead of lent or kept, and others are opened. */
void pool_renew(struct pool *);

/* From now on nobody gets a connection: waiters are sent away, idle connections closed, those in use closed when they
 * come back. Waits for that until the op's deadline; TIMEOUT says some are still out. May be called again. */
CS_CHECKED enum cs_status pool_drain(struct pool *, struct op *, struct cs_error *);

void pool_stats(struct pool *, struct pool_stats *ret_stats);

#endif
