/* A key-value port behind a guard: the same port, whose calls fail at once while the server is left alone.
 *
 * Storage belongs to the caller; it, `inner` and the guard outlive the calls. Threads: as `inner`.
 * Errors: those of `inner`, and UNAVAILABLE (remote/guard.h). */
#ifndef CS_REMOTE_KV_BREAKER_H
#define CS_REMOTE_KV_BREAKER_H

#include "port/kv.h"
#include "remote/guard.h"

struct kv_breaker {
	struct kv_port inner;
	struct guard *guard;
};

struct kv_port kv_breaker_port(struct kv_breaker *);

#endif
