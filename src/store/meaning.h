/* What storing has to do with meaning: vectors for contexts about to be stored, and others that say the same.
 *
 * A context's vector is made before it is stored and goes in with it, so that what was acknowledged is found by meaning
 * at once. Without one it is stored all the same: PENDING (asked for, or the queue is over its limit, or the time ran
 * short: the repair gives it one), FAILED (the embedder said no, or is another model than the store's), DISABLED (there
 * is no model).
 *
 * Near duplicates. A context of the same type and namespace whose vector is as near as NEAR_DUPLICATE_SIMILARITY and
 * that has the same numbers and denials in its content (its own id aside): sentence vectors hold "port 8080" and "port
 * 8081" for nearly the same, and "we decided to" and "we decided not to" (0.982 with MiniLM), but what contradicts must
 * not be skipped as known. Denials are looked for in English only. An exact duplicate goes before a near one.
 * Threads: any worker. */
#ifndef CS_STORE_MEANING_H
#define CS_STORE_MEANING_H

#include "store/store.h"

/* With MiniLM another case, full stop or order of clauses leaves 0.98 and more, several small edits 0.966, another word
 * for a number 0.968, a paraphrase 0.85 and less; int8 arithmetic moves it by up to 0.003. */
#define NEAR_DUPLICATE_SIMILARITY 0.97

/* MEANING_SOON: without, rather than wait for the texts of many others. MEANING_WAIT: with, as long as there is room in
 * the queue and time. */
enum meaning_when { MEANING_SOON, MEANING_WAIT, MEANING_LATER };

enum meaning_status { MEANING_DISABLED, MEANING_COMPLETED, MEANING_PENDING, MEANING_FAILED };

struct meaning {
	enum meaning_status status;
	struct slice why;  /* unless COMPLETED */
	struct slice near; /* id of a duplicate with a vector, or empty */
	bool exact;        /* that one has the same content */
	bool same_call;    /* that one is stored by the same call */
};

/* Embeds the words of all puts but those for later, in one go, and fills model and vector of each that got one.
 * Errors: LIMIT_EXCEEDED (memory), WOULD_WAIT. */
CS_CHECKED enum cs_status meaning_embed(struct store *, struct op *, struct context_put *puts,
	const enum meaning_when *when, size_t count, struct meaning *meanings, struct cs_error *);

/* Fills near, exact and same_call of those that have a vector. What goes wrong here means only that no duplicate is
 * told. */
void meaning_find_near(
	struct store *, struct op *, const struct context_put *puts, size_t count, struct meaning *meanings);

#endif
