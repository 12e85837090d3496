/* What AVX2 and AVX-VNNI kernels have in common: everything but how bytes are multiplied. Included by kernel_avx2.c and
 * kernel_avxvnni.c between the pragmas that name their instructions.
 *
 * The includer defines TOKENS_MAX (3 or 6: a tile's rows, as registers allow), EACH_TOKEN over them, and the function
 * `tile`: the products of `tokens` rows from `row` on and the block of outputs from `output` on; `prepared` is what it
 * wants to know of the block's weights. */

INLINED void tile(const struct linear_i8 *, const struct rows_u8 *, const void *prepared, size_t row, size_t output,
	float *to, size_t to_stride, const int tokens);

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

/* Four times eight bytes, saturated. */
INLINED void store_bytes_32(uint8_t *to, __m256i a, __m256i b, __m256i c, __m256i d)
{
	/* Packing works within each half of a register, so fours of bytes come out in the order a b c d a b c d. */
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	__m256i q = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));

	_mm256_storeu_si256((__m256i *)to, _mm256_permutevar8x32_epi32(q, order));
}

/* Eight bytes, saturated. */
INLINED void store_bytes(uint8_t *to, __m256i q)
{
	__m128i words = _mm_packus_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));

	_mm_storel_epi64((__m128i *)to, _mm_packus_epi16(words, words));
}

INLINED __m256i to_steps(__m256 v, __m256 lowest, __m256 inverse)
{
	return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_sub_ps(v, lowest), inverse));
}

static void quantize_256(const float *x, const float *smooth, size_t count, float *scaled, uint8_t *values,
	float *ret_step, float *ret_lowest)
{
	size_t i = 0, whole = count / 8 * 8;
	vec low = vec_all(x[0] * smooth[0]), high = low, low_2 = low, high_2 = low;
	float lowest, highest, inverse;

	for (; i + 16 <= whole; i += 16) {
		__m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(smooth + i));
		__m256 w = _mm256_mul_ps(_mm256_loadu_ps(x + i + 8), _mm256_loadu_ps(smooth + i + 8));

		_mm256_storeu_ps(scaled + i, v);
		_mm256_storeu_ps(scaled + i + 8, w);
		low = vec_min((vec)v, low);
		high = vec_max((vec)v, high);
		low_2 = vec_min((vec)w, low_2);
		high_2 = vec_max((vec)w, high_2);
	}
	low = vec_min(low_2, low);
	high = vec_max(high_2, high);
	for (; i < whole; i += 8) {
		__m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(smooth + i));

		_mm256_storeu_ps(scaled + i, v);
		low = vec_min((vec)v, low);
		high = vec_max((vec)v, high);
	}
	lowest = -vec_largest(-low);
	highest = vec_largest(high);
	for (; i < count; i++) {
		scaled[i] = x[i] * smooth[i];
		lowest = scaled[i] < lowest ? scaled[i] : lowest;
		highest = scaled[i] > highest ? scaled[i] : highest;
	}
	inverse = highest > lowest ? 255.0f / (highest - lowest) : 0.0f;
	for (i = 0; i + 32 <= whole; i += 32)
		store_bytes_32(values + i,
			to_steps(_mm256_loadu_ps(scaled + i), _mm256_set1_ps(lowest), _mm256_set1_ps(inverse)),
			to_steps(_mm256_loadu_ps(scaled + i + 8), _mm256_set1_ps(lowest), _mm256_set1_ps(inverse)),
			to_steps(_mm256_loadu_ps(scaled + i + 16), _mm256_set1_ps(lowest), _mm256_set1_ps(inverse)),
			to_steps(_mm256_loadu_ps(scaled + i + 24), _mm256_set1_ps(lowest), _mm256_set1_ps(inverse)));
	for (; i < whole; i += 8)
		store_bytes(values + i,
			to_steps(_mm256_loadu_ps(scaled + i), _mm256_set1_ps(lowest), _mm256_set1_ps(inverse)));
	if (i < count) {
		uint8_t rest[8];

		store_bytes(rest,
			to_steps(load_some(scaled + i, count - i), _mm256_set1_ps(lowest), _mm256_set1_ps(inverse)));
		memcpy(values + i, rest, count - i);
	}
	*ret_step = (highest - lowest) / 255.0f;
	*ret_lowest = lowest;
}

/* Four activations in each lane. */
INLINED __m256i group_of(const uint8_t *q)
{
	int32_t group;

	memcpy(&group, q, sizeof group);
	return _mm256_set1_epi32(group);
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

/* Sums (a and b, of a token) are named one by one: gcc 12 keeps an array of them in memory. What a constant rules out is
 * not compiled. The empty asm ends their life as loop variables: without it gcc converts each to its final type in every
 * round. */
#define FINISH(t)                                                                                                      \
	if (tokens > t) {                                                                                              \
		__asm__("" : "+x"(a##t), "+x"(b##t));                                                                  \
		finish(l, x, a##t, row + t, output, to, to_stride);                                                    \
		finish(l, x, b##t, row + t, output + 8, to, to_stride);                                                \
	}

#define TILE_OF(n)                                                                                                     \
	case n: tile(l, x, prepared, row, output, to, to_stride, n < TOKENS_MAX ? n : TOKENS_MAX); break

/* All rows of one block; they are dealt out evenly over tiles. Each tile asks for its share of the next block's weights, so
 * that they arrive one after another; behind the last block is nothing to want, and no harm in asking. */
INLINED void tiles(const struct linear_i8 *l, const struct rows_u8 *x, const void *prepared, size_t output, float *to,
	size_t to_stride)
{
	size_t count = (x->count + TOKENS_MAX - 1) / TOKENS_MAX;
	size_t groups = kernel_round_up(l->in, KERNEL_GROUP) / KERNEL_GROUP, share = (groups + count - 1) / count;
	const int8_t *next = l->values + (output + KERNEL_BLOCK) * groups * KERNEL_GROUP;

	for (size_t i = 0; i < count; i++) {
		size_t row = x->count * i / count;

		for (size_t line = 0; line < share; line++, next += 64)
			_mm_prefetch((const char *)next, _MM_HINT_T0);

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
