/* Replies of RESP2, out of bytes as they come: hiredis' reader with its memory and its trust taken away.
 *
 * Replies are made in an arena. Lengths that a server names are looked at before memory follows them: a string over
 * REDIS_STRING_MAX and an array over REDIS_ELEMENTS_MAX are protocol errors as soon as their length has come, and nesting over
 * seven is one of hiredis' own. So the reader holds at most one string and one read beyond what the arena pays for.
 * Threads: one at a time. Errors: UNAVAILABLE with what was wrong in the bytes, as half a sentence; LIMIT_EXCEEDED. After one the
 * intake is of no further use. */
#ifndef CS_REMOTE_REDIS_REPLY_H
#define CS_REMOTE_REDIS_REPLY_H

#include "base/arena.h"
#include "remote/redis.h"

struct redis_intake {
	struct redisReader *reader;
	struct arena *arena;     /* of the reply that is being read */
	struct redis_reply root; /* it */
	const char *refused;     /* why our part of the reader said no, or NULL */
};

/* false: no memory. The intake must not move: the reader keeps its address. */
bool redis_intake_init(struct redis_intake *);
void redis_intake_release(struct redis_intake *); /* takes what is all zero */

CS_CHECKED enum cs_status redis_intake_feed(struct redis_intake *, struct slice bytes, struct cs_error *);
/* The next reply, into the arena; *ret_came is false when more bytes are needed. The arena must be the same until the
 * reply is whole. */
CS_CHECKED enum cs_status redis_intake_next(
	struct redis_intake *, struct arena *, struct redis_reply *ret_reply, bool *ret_came, struct cs_error *);
/* Nothing fed is left unread, not even a part. */
bool redis_intake_is_empty(const struct redis_intake *);

#endif
