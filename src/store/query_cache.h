/* Answers of searches, remembered: the same question again, while nothing has changed, costs a look-up.
 *
 * Never stale. An answer belongs to the generation of the contexts (context_port.generation) that was current before it
 * was looked for; it is given only while that is still the current one. Every commit that may change an answer makes a
 * new generation before it is acknowledged, so what one client had acknowledged the next question of any client sees.
 * Nothing is taken out for it: an answer of the past is never asked for again, and makes room in its turn.
 *
 * The whole question is compared, not a hash of it. It has to hold everything the answer depends on; today everybody
 * who may search sees the same contexts, and the day that changes, who asks becomes part of the question.
 * What only lasts for a moment (a model that does not answer just now) is not to be put here: no commit ends it.
 *
 * Bounded in entries and bytes; the longest unused makes room. Nothing is older than age_s, so that a mistake in the
 * above would heal. Counted in /metrics. Threads: any, an event loop too. */
#ifndef CS_STORE_QUERY_CACHE_H
#define CS_STORE_QUERY_CACHE_H

#include "base/error.h"
#include "base/slice.h"

#define QUERY_CACHE_BYTES (16u << 20)

struct query_cache;

struct query_cache_options {
	size_t entries_max; /* at least 1 */
	size_t bytes_max;   /* 0: QUERY_CACHE_BYTES */
	int64_t age_s;
};

CS_CHECKED enum cs_status query_cache_new(
	const struct query_cache_options *options, struct query_cache **ret_cache, struct cs_error *err);
void query_cache_free(struct query_cache *cache); /* takes NULL */

/* An answer in two parts, between which whoever gives it again says that it is remembered. */
struct query_answer {
	struct slice head, tail; /* live until query_answer_release */
	void *held;
};

/* False: not known. */
bool query_cache_get(
	struct query_cache *cache, struct slice question, uint64_t generation, struct query_answer *ret_answer);
void query_answer_release(struct query_answer *answer);

/* Counted by whoever then answers: a look on an event loop may be followed by another one on a worker. */
void query_cache_count_hit(struct query_cache *cache);
void query_cache_count_miss(struct query_cache *cache);

/* Copies. What is too large for its share is not kept. */
void query_cache_put(
	struct query_cache *cache, struct slice question, uint64_t generation, struct slice head, struct slice tail);

#endif
