/* Numbers that look random and are the same for the same seed: splitmix64 (Steele, Lea, Flood 2014) less one round. */
#ifndef CS_TESTS_SUPPORT_RANDOM_H
#define CS_TESTS_SUPPORT_RANDOM_H

#include <stdint.h>

static inline uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	return z ^ (z >> 31);
}

#endif
