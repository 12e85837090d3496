/* What AVX2 and AVX-VNNI kernels have in common: everything but how bytes are multiplied. Included by kernel_avx2.c and
 * kernel_avxvnni.c between the pragmas that name their instructions.
 *
 * The includer defines TOKENS_MAX (4 or 6: a tile's rows, as registers allow), EACH_TOKEN over them, BYTES_PER_VALUE,
 * store_bytes(to, q), which writes eight quantised activations, WEIGHTS(w, k), which loads a group's weights, and
 * MULTIPLY(low, high, q, k), which adds the products of a group of activations to two sums of 8 outputs each. */

/* Eight values of which `count` are there; the others are 0. */
INLINED __m256 load_some(const float *from, size_t count)
{
	return count >= 8 ? _mm256_loadu_ps(from) : (__m256)vec_load_part(from, count);
}

INLINED void store_some(float *to, __m256 v, size_t count)
{
	if (count >= 8)
		_mm256_storeu_ps(to, v);
	else
		vec_store_part(to, (vec)v, count);
}

static void quantize_256(const float *x, const float *smooth, size_t count, float *scaled, uint8_t *values,
	float *ret_step, float *ret_lowest)
{
	float first = x[0] * smooth[0], lowest, highest, inverse;
	vec low = vec_all(first), high = low;

	for (size_t i = 0; i < count; i += 8) {
		vec v = (vec)_mm256_mul_ps(load_some(x + i, count - i), load_some(smooth + i, count - i));

		store_some(scaled + i, (__m256)v, count - i);
		/* Lanes that are not there must not count as zeros. */
		if (count - i < 8)
			for (size_t j = count - i; j < 8; j++)
				v[j] = first;
		low = vec_min(v, low);
		high = vec_max(v, high);
	}
	lowest = -vec_largest(-low);
	highest = vec_largest(high);
	inverse = highest > lowest ? 255.0f / (highest - lowest) : 0.0f;
	for (size_t i = 0; i < count; i += 8) {
		__m256 v = _mm256_sub_ps(load_some(scaled + i, count - i), _mm256_set1_ps(lowest));
		__m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(v, _mm256_set1_ps(inverse)));
		uint8_t bytes[8 * BYTES_PER_VALUE];
		size_t left = kernel_round_up(count - i, KERNEL_GROUP);

		q = _mm256_min_epi32(_mm256_max_epi32(q, _mm256_setzero_si256()), _mm256_set1_epi32(255));
		store_bytes(bytes, q);
		memcpy(values + i * BYTES_PER_VALUE, bytes, (left < 8 ? left : 8) * BYTES_PER_VALUE);
	}
	*ret_step = (highest - lowest) / 255.0f;
	*ret_lowest = lowest;
}

/* The sums of one token and eight outputs as floats. */
INLINED void finish(const struct linear_i8 *l, const struct rows_u8 *x, __m256i sums, size_t row, size_t output,
	float *to, size_t to_stride)
{
	__m256 factor = _mm256_mul_ps(_mm256_set1_ps(x->step[row]), _mm256_loadu_ps(l->scale + output));
	__m256 offset = _mm256_fmadd_ps(
		_mm256_set1_ps(x->lowest[row]), _mm256_loadu_ps(l->sum + output), _mm256_loadu_ps(l->bias + output));

	if (output < l->out)
		store_some(to + row * to_stride + output, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), factor, offset),
			l->out - output);
}

/* Sums are named one by one: gcc 12 keeps an array of them in memory. What a constant rules out is not compiled. The
 * empty asm ends their life as loop variables: without it gcc converts each to its final type in every round. */
#define DECLARE(t) __m256i a##t = _mm256_setzero_si256(), b##t = a##t;
#define ADD(t)                                                                                                         \
	if (tokens > t)                                                                                                \
		MULTIPLY(a##t, b##t, q + t * x->stride, k);
#define FINISH(t)                                                                                                      \
	if (tokens > t) {                                                                                              \
		__asm__("" : "+x"(a##t), "+x"(b##t));                                                                  \
		finish(l, x, a##t, row + t, output, to, to_stride);                                                    \
		finish(l, x, b##t, row + t, output + 8, to, to_stride);                                                \
	}

INLINED void tile(const struct linear_i8 *l, const struct rows_u8 *x, size_t row, size_t output, float *to,
	size_t to_stride, const int tokens)
{
	size_t groups = kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP;
	const uint8_t *q = x->values + row * x->stride;
	const int8_t *w = l->values + output * groups * KERNEL_GROUP;

	EACH_TOKEN(DECLARE)
	for (size_t k = 0; k < groups; k++) {
		WEIGHTS(w, k);
		EACH_TOKEN(ADD)
	}
	EACH_TOKEN(FINISH)
}

#define TILE_OF(n)                                                                                                     \
	case n: tile(l, x, row, output, to, to_stride, n < TOKENS_MAX ? n : TOKENS_MAX); break

static void linear_i8_256(const struct linear_i8 *l, const struct rows_u8 *x, float *to, size_t to_stride)
{
	size_t count = (x->count + TOKENS_MAX - 1) / TOKENS_MAX;

	for (size_t output = 0; output < l->out; output += KERNEL_BLOCK)
		for (size_t i = 0; i < count; i++) {
			size_t row = x->count * i / count;

			switch (x->count * (i + 1) / count - row) {
				TILE_OF(1);
				TILE_OF(2);
				TILE_OF(3);
				TILE_OF(4);
				TILE_OF(5);
				TILE_OF(6);
			}
		}
}
