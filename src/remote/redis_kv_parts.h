/* What the files of the Redis adapter share. Not for others: remote/redis_kv.h is. */
#ifndef CS_REMOTE_REDIS_KV_PARTS_H
#define CS_REMOTE_REDIS_KV_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "remote/redis_kv.h"
#include "remote/redis_script.h"

#define REDIS_KEY_MAX  256 /* bytes of "agent:{id}:{prefix}:{key}": 6 + 64 + 1 + 10 + 1 + 128 */
#define REDIS_MARK_MAX 272 /* with "{" and "}:version" */

struct redis_kv {
	struct redis *redis;
	struct pool *pool;
	void (*looked)(void *self, enum redis_role found);
	void *self;
	atomic_uint moves; /* how often all connections were made anew */
	pthread_mutex_t looking;
	/* All below with `looking`. */
	int64_t next_look_ns;
	enum redis_role found; /* by the last look */
	/* The connection of redis_kv_ping, or NULL. It stays where it was opened, before the pool's: those come and go, and a
	 * new one would hide what the others' server has become. */
	struct redis_connection *watch;
};

/* The two names of a value, in storage of their own: they cost no memory of the op. */
struct redis_names {
	struct slice value, mark;
	char value_bytes[REDIS_KEY_MAX];
	char mark_bytes[REDIS_MARK_MAX];
};

/* Errors: INVALID_AGENT_ID, INVALID_KEY. */
CS_CHECKED enum cs_status redis_names_of(const struct kv_key *, struct redis_names *ret_names, struct cs_error *);
/* Only the agent; key is not looked at. */
CS_CHECKED enum cs_status redis_check_agent(const struct kv_key *, struct cs_error *);

/* One visit to the server: what to do with a connection, and what it needs. */
struct redis_visit {
	enum cs_status (*run)(struct redis_visit *, struct redis_connection *, struct op *, struct cs_error *);
	bool writes; /* not repeated unless refused, and a failure says what is known of its effect */
};

/* Borrows a connection and runs the visit on it. A read is run again on a better connection when the one it had was cut
 * off after lying idle; a write gets one that is known to be quiet. What a replica refused is run again where the name
 * leads to another server by now. */
CS_CHECKED enum cs_status redis_visit(struct redis_kv *, struct op *, struct redis_visit *, struct cs_error *);

/* Asks for a value; one reply, for redis_read_answer. */
void redis_read_ask(struct redis_connection *, const struct redis_names *);

struct redis_read {
	bool there;
	bool foreign; /* written by others since the mark: to be adopted */
	struct kv_entry entry;
};

/* What came. Errors: INVALID_CONTENT_TYPE (no string, no UTF-8), UNAVAILABLE (no such shape). */
CS_CHECKED enum cs_status redis_read_answer(
	struct redis_connection *, const struct redis_reply *, struct redis_read *ret_read, struct cs_error *);
/* Both in one, and adopting. */
CS_CHECKED enum cs_status redis_read_one(struct redis_connection *, struct op *, const struct redis_names *,
	struct redis_read *ret_read, struct cs_error *);
/* INVALID_CONTENT_TYPE, for a value that is there and no text. */
CS_COLD enum cs_status redis_fail_no_text(struct redis_connection *, struct cs_error *);
/* Has the server mark a value from outside and takes what it then says. *ret_read->there may become false. */
CS_CHECKED enum cs_status redis_adopt(
	struct redis_connection *, struct op *, const struct redis_names *, struct redis_read *read, struct cs_error *);

enum cs_status redis_kv_get(
	void *self, struct op *, const struct kv_key *, struct kv_entry *ret_entry, struct cs_error *);
enum cs_status redis_kv_put(
	void *self, struct op *, const struct kv_write *, struct kv_entry *ret_entry, struct cs_error *);
enum cs_status redis_kv_remove(void *self, struct op *, const struct kv_key *, int64_t if_version, struct cs_error *);
enum cs_status redis_kv_list(void *self, struct op *, const struct kv_key *owner, struct slice after, size_t limit,
	struct kv_page *ret_page, struct cs_error *);

#endif
