/* The Lua scripts that make each access to agent state one atomic step (src/remote/redis_script.c has their text).
 *
 * KEYS of each: the value's key, its mark's key (remote/redis_kv.h). Each but the
 * first answers an array of strings whose first tells what came of it.
 * Threads: any. */
#ifndef CS_REMOTE_REDIS_SCRIPT_H
#define CS_REMOTE_REDIS_SCRIPT_H

#include "remote/redis.h"

#define REDIS_SHA1_HEX_SIZE 41 /* with its NUL */

enum redis_script {
	/* Value or nil, mark or nil, time to live in ms as PTTL says it. */
	REDIS_SCRIPT_READ,
	/* ARGV: mode (set, append, add), content, time to live in ms or -1, version that must be there or -1, characters of
	 * content, most characters of a value, SHA-1 of content (set only).
	 * ok VERSION CHARACTERS [CONTENT, unless set] | conflict VERSION | large CHARACTERS | word | range | overflow SUMMAND */
	REDIS_SCRIPT_PUT,
	/* ARGV: version that must be there or -1. ok | missing | conflict VERSION */
	REDIS_SCRIPT_REMOVE,
	/* Marks the value as the version it is told to be. ok VERSION TTL_MS CONTENT | missing */
	REDIS_SCRIPT_ADOPT,
	REDIS_SCRIPT_COUNT
};

void redis_sha1(struct slice bytes, char ret_hex[REDIS_SHA1_HEX_SIZE]);

/* As redis_ask, with words[0..2] filled in; the reply may be NOSCRIPT. */
void redis_script_ask(struct redis_connection *, enum redis_script, struct slice *words, size_t count);

/* Runs the script on a connection: EVALSHA, and EVAL where the server has not got it (a script that is not there has
 * not run). `words` has room for three words in front of keys and arguments: words[0..2] are filled in. A reply that
 * is an error, or not as above, is an error here. */
CS_CHECKED enum cs_status redis_script_run(struct redis_connection *, struct op *, enum redis_script,
	struct slice *words, size_t count, struct redis_reply *ret_reply, struct cs_error *);

#endif
