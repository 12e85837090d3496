/* "Did you mean": the known name closest to a mistyped one.
 *
 * Closeness is the optimal string alignment distance (insert, delete, replace, swap of neighbours), letters compared
 * without case. A name further away than a third of its length is no suggestion: a wrong hint costs more than none.
 * Threads: any. */
#ifndef CS_BASE_NEAREST_H
#define CS_BASE_NEAREST_H

#include "base/slice.h"

#define NEAREST_LENGTH_MAX 64 /* bytes; longer names have no neighbours */

struct nearest {
	struct slice wanted;
	struct slice best; /* empty: none yet */
	size_t distance;
};

struct nearest nearest_to(struct slice wanted);
void nearest_offer(struct nearest *, struct slice candidate);

#endif
