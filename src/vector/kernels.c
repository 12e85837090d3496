/* The scalar kernels, which define what the others must give, and the choice between the sets.
 *
 * A choice at run time, not at build time, because one binary is handed out: the distribution's baseline is x86-64 of
 * 2003. ifunc resolvers were rejected (they run before sanitizers are ready, and a test could not call each set). */
#include "vector/kernels.h"

#include "vector/kernels_parts.h"

static void dots_i8(const int8_t *query, const int8_t *rows, size_t width, size_t count, int32_t *ret_dots)
{
	for (size_t i = 0; i < count; i++, rows += width) {
		int32_t sum = 0;

		for (size_t j = 0; j < width; j++)
			sum += query[j] * rows[j];
		ret_dots[i] = sum;
	}
}

/* Eight sums side by side: a better error than one long sum, and a compiler may keep them in registers. */
static float dot_f32(const float *a, const float *b, size_t width)
{
	float sums[8] = {0};

	for (size_t j = 0; j < width; j += 8)
		for (size_t lane = 0; lane < 8; lane++)
			sums[lane] += a[j + lane] * b[j + lane];
	return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

static const struct vector_kernels scalar = {"scalar", dots_i8, dot_f32};

/* Counts *rank down over the sets that run here. */
static const struct vector_kernels *nth(const struct vector_kernels_choice *choices, size_t *rank)
{
	for (; choices->kernels.name; choices++)
		if (choices->runs() && (*rank)-- == 0)
			return &choices->kernels;
	return NULL;
}

const struct vector_kernels *vector_kernels_at(size_t rank)
{
	const struct vector_kernels *found = nth(vector_kernels_x86, &rank);

	if (!found)
		found = nth(vector_kernels_arm, &rank);
	if (!found && rank == 0)
		found = &scalar;
	return found;
}

const struct vector_kernels *vector_kernels_best(void)
{
	return vector_kernels_at(0);
}
