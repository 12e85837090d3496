/* The best of all matches: what each search by words keeps of them, whichever way it found them.
 *
 * Order: score (or date), then the newer row; the same whatever the order of offers.
 * Owner: best_init to best_release. Threads: one at a time. */
#ifndef CS_ENGINE_BEST_H
#define CS_ENGINE_BEST_H

#include "port/text.h"

struct match {
	int64_t row;
	int64_t created_at; /* wall ms; asked for by TEXT_BY_DATE only */
	double score;
	uint32_t doc; /* the word index's number, where it found the match */
};

struct best {
	struct match *items; /* after best_sort: best first, as far as in_order */
	size_t count, room;
	size_t capacity;
	double floor; /* by score: what is below it need not be offered */
	double least; /* the caller's: what is below it is not to be offered */
	enum text_order order;
	size_t in_order; /* how many best_sort puts in order; 0: all */
};

CS_CHECKED enum cs_status best_init(struct best *best, size_t room, enum text_order order, struct cs_error *err);
void best_release(struct best *best); /* takes an all-zero one */
void best_offer(struct best *best, const struct match *match);
/* Once, after the last offer. */
void best_sort(struct best *best);

#endif
