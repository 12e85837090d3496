/* One operation on its way through the program: what every port call takes first.
 *
 * It carries what must not be forgotten on the way down: until when the answer is of use, whether somebody still wants
 * it, where its memory comes from, who asked, and whether the calling thread may wait. A request makes one; nothing
 * below keeps it.
 *
 * may_wait. An event loop answers from memory and must never block. It sets may_wait = false; a call that would have to
 * wait (for a commit, a disk page, a server, a lock held across one) returns CS_WOULD_WAIT at once, without effect, and
 * the same request is run again by a worker with may_wait = true. A handler therefore reads top to bottom in both.
 *
 * Threads: one at a time; only `cancelled` is set from another. */
#ifndef CS_BASE_OP_H
#define CS_BASE_OP_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"

#define OP_NO_DEADLINE INT64_MAX

enum role { ROLE_GUEST, ROLE_READER, ROLE_WRITER, ROLE_ADMIN };

/* Who asked. Without configured keys everybody on the loopback interface is a human admin (`anonymous`). */
struct principal {
	struct slice name; /* the key's name, for the audit log; never the key */
	struct slice user_id;
	enum role role;
	bool is_agent;
};

extern const struct principal principal_anonymous;

struct op {
	struct arena *arena;
	const struct principal *principal;
	int64_t deadline_ns;          /* monotonic; OP_NO_DEADLINE */
	const atomic_bool *cancelled; /* NULL: cannot be cancelled */
	bool may_wait;
	int64_t started_ns; /* monotonic: when the request had come, from which its time is measured; 0: as it is called */
};

/* CS_OK, or CS_TIMEOUT when the deadline is past or nobody waits any more. Long loops ask now and then. */
CS_CHECKED enum cs_status op_check(const struct op *, struct cs_error *);

#endif
