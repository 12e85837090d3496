/* The inner loops of the scan: dot products of signed bytes and of floats, one set for each kind of processor.
 *
 * Rows are `width` elements apart, width is a multiple of VECTOR_WIDTH_STEP (whoever stores vectors pads them with
 * zeros), and both sides are aligned to 64 bytes. So no kernel has a tail, and the widest one reads whole registers.
 *
 * dots_i8 is exact: codes are -127..127 (never -128: the AVX2 kernel negates codes in 8 bits), a sum stays within 32
 * bits up to VECTOR_WIDTH_MAX, and every kernel gives what the scalar one gives, bit by bit. dot_f32 adds in an order
 * of its own: kernels differ in the last bits, one kernel always gives the same for the same two vectors, whichever
 * comes first.
 *
 * Which set: vector_kernels_best asks the processor each time (some 100 ns); keep the answer. Threads: any. */
#ifndef CS_VECTOR_KERNELS_H
#define CS_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define VECTOR_WIDTH_STEP 64
#define VECTOR_WIDTH_MAX  4096
#define VECTOR_ALIGNMENT  64

struct vector_kernels {
	const char *name; /* "avx512vnni", "avxvnni", "avx2", "neon-dotprod", "neon", "scalar" */
	/* ret_dots[i] = query . rows[i], for count rows one behind the other. */
	void (*dots_i8)(const int8_t *query, const int8_t *rows, size_t width, size_t count, int32_t *ret_dots);
	float (*dot_f32)(const float *a, const float *b, size_t width);
};

/* What this processor and system can run, best first, the scalar set last. */
const struct vector_kernels *vector_kernels_best(void);
/* Number `rank` of them, or NULL: for tests and benchmarks of each. */
const struct vector_kernels *vector_kernels_at(size_t rank);

#endif
