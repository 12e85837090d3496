/* Makes one allocation of the calling thread fail, so that a test can walk through all of them:
 *
 *     ALLOC_FAULT_EACH(n) {            n = 0, 1, 2 ... until a round asks for fewer allocations than n + 1
 *             ...the code under test, which must fail cleanly or succeed without the memory...
 *     }
 *
 * malloc, calloc, realloc and aligned_alloc are interposed in front of glibc's. Under sanitizers, which interpose them
 * themselves, alloc_fault_available() is false and the loop body runs once with nothing failing. Each thread has its
 * own count. */
#ifndef CS_TESTS_ALLOC_FAULT_H
#define CS_TESTS_ALLOC_FAULT_H

#include <stdbool.h>
#include <stddef.h>

bool alloc_fault_available(void);

/* Of this thread's next allocations number n (from 0) returns NULL; all others are served. */
void alloc_fault_arm(size_t n);
/* No further failures. True if one was served since alloc_fault_arm. */
bool alloc_fault_disarm(void);

static inline bool alloc_fault_round(bool *begun, size_t *n)
{
	if (*begun) {
		if (!alloc_fault_disarm())
			return false;
		++*n;
	}
	*begun = true;
	alloc_fault_arm(*n);
	return true;
}

/* The body must not leave the loop early but by a failed assertion: the last round must find nothing failing. */
#define ALLOC_FAULT_EACH(n)                                                                                            \
	size_t n = 0;                                                                                                  \
	for (bool alloc_fault_begun_ = false; alloc_fault_round(&alloc_fault_begun_, &n);)

#endif
