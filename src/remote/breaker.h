/* Circuit breaker: after some failures in a row a server is left alone, and asked again by one call at a time.
 *
 *   closed     every call passes; `failures_max` failures in a row open it
 *   open       no call passes until the pause is over; the first call behind it is the probe
 *   half-open  the probe is under way and nobody else passes; its success closes, its failure opens for a pause twice
 *              as long, up to `pause_max_ms`
 *
 * A pause is cut by up to half at random, so that many processes do not ask a server that just came back at the same
 * moment. A probe that never reports is given up after `probe_max_ms`. Calls that entered before the last change say
 * nothing about the state after it: what they report is ignored. The state machine is M. Nygard's (Release It!, 2007).
 *
 * Of a server that has never answered yet one failure is enough: it is known to be down as soon as it was asked.
 *
 * Only what the server failed to do counts: no answer. An answer that is an error of the caller, or a call
 * that ended for a reason of its own (BREAKER_NEUTRAL), neither counts nor ends a row of failures.
 *
 * Pure: the caller gives the time (monotonic nanoseconds) and, at the start, the seed of the jitter.
 * Threads: any. While it is closed and nothing fails, entering and leaving are one atomic load each. */
#ifndef CS_REMOTE_BREAKER_H
#define CS_REMOTE_BREAKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct breaker_options {
	unsigned failures_max; /* at least 1 */
	int64_t pause_min_ms, pause_max_ms;
	int64_t probe_max_ms;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

enum breaker_report { BREAKER_ANSWERED, BREAKER_FAILED, BREAKER_NEUTRAL };

/* What a call carries from entering to leaving. */
struct breaker_pass {
	bool allowed;
	uint32_t turn; /* of the state it entered in */
	int64_t entered_ns;
};

struct breaker {
	struct breaker_options options;
	atomic_uint state;    /* enum breaker_state */
	atomic_uint failures; /* in a row; while closed */
	atomic_uint turn;     /* grows with each change of state */
	pthread_mutex_t lock; /* all below */
	uint64_t random;      /* xorshift64 */
	int64_t pause_ns;     /* the next one, before jitter */
	int64_t due_ns;       /* open: when the pause is over; half-open: when the probe is given up */
	int64_t opened_ns;    /* since when it is not closed */
};

void breaker_init(struct breaker *, const struct breaker_options *, uint64_t seed);
void breaker_release(struct breaker *);

struct breaker_pass breaker_enter(struct breaker *, int64_t now_ns);
/* Of an allowed pass, exactly once. True: this report changed the state, which *ret_state then is. */
bool breaker_leave(
	struct breaker *, struct breaker_pass, enum breaker_report, int64_t now_ns, enum breaker_state *ret_state);

/* *ret_opened_ns, *ret_due_ns (both may be NULL): since when it is not closed, and when a call may pass next. Untouched
 * while it is closed. */
enum breaker_state breaker_look(struct breaker *, int64_t *ret_opened_ns, int64_t *ret_due_ns);

#endif
