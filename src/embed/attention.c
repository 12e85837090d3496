/* Attention. See attention.h.
 *
 * It goes by blocks of queries: scores of one block against all keys stay in the first cache from the product that makes
 * them to the one that uses them. Keys are transposed once, so that both products read their right side along rows. The
 * sums of weights divide the result of a query and not each weight, which is the same and cheaper.
 *
 * Pairs. A query's pair is of number i and number i + width / 2, and so is a key's; a pair of values or weights is of
 * token t and of the one half a text further. What belongs together was free to choose, and so making pairs shuffles
 * nothing. Queries, keys and values share one step each, largest magnitude / limit, where the limit is such that sums of
 * `width` products, or of products with weights of KERNEL_WEIGHTS_MAX together, fit in 32 bits: 8191 for a width of 32.
 *
 * Accuracy. An exponent is off by at most 1 / 8191 of the largest that such numbers could give, sqrt(width) max|q| max|k|:
 * by 0.012 were that 100, and usually by a tenth of it or less, since 64 roundings cancel and few numbers are the largest.
 * A weight is off by half a unit where all of them sum up to 2^18 or the
 * largest is 32767, so all of a row's by at most count / 2^19: 0.0005 of the sum with 256 tokens. Weights are divided by
 * the sum of what they were rounded to, so they still sum up to 1. Bytes instead were not tried: they would be off
 * by as much as all the rest of the model. */
#include "embed/attention.h"

#include <math.h>

#include "embed/scratch.h"

/* Queries whose scores are made at once. */
#define QUERY_ROWS 24
/* Of the widest kernel set. */
#define VECTOR_FLOATS 16

void attention_init(struct attention *a, const struct kernels *kernels, size_t count, size_t width, bool in_pairs)
{
	*a = (struct attention){.kernels = kernels, .width = width, .in_pairs = in_pairs && width % 2 == 0};
	attention_of(a, count);
}

void attention_of(struct attention *a, size_t count)
{
	a->count = count;
	a->columns = kernel_round_up(count, VECTOR_FLOATS);
	a->key_stride = kernel_round_up(count, 2 * VECTOR_FLOATS) + VECTOR_FLOATS;
}

void attention_lay_out(struct attention *a, char *block, size_t *used)
{
	const size_t f = sizeof(float), half = (a->count + 1) / 2;

	a->scores = scratch_piece(block, used, QUERY_ROWS * a->key_stride, f);
	if (!a->in_pairs) {
		a->keys = scratch_piece(block, used, a->width * a->key_stride, f);
		return;
	}
	a->pair_queries = scratch_piece(block, used, a->count * a->width / 2, f);
	a->pair_keys = scratch_piece(block, used, a->width / 2 * a->key_stride, f);
	a->pair_values = scratch_piece(block, used, half * a->width, f);
	a->pair_weights = scratch_piece(block, used, QUERY_ROWS * a->key_stride, f);
}

/* Columns behind the last key are 0: they take part in products, and nobody reads what comes of them. */
static void transpose_f32(struct attention *a, const struct head *h)
{
	for (size_t i = 0; i < a->width; i++) {
		float *to = a->keys + i * a->key_stride;

		for (size_t t = 0; t < a->count; t++)
			to[t] = h->key[t * h->stride + i];
		memset(to + a->count, 0, (a->columns - a->count) * sizeof *to);
	}
}

static void attend_f32(
	struct attention *a, const struct head *h, size_t query, size_t queries, float *to, size_t to_stride)
{
	float factors[QUERY_ROWS], scale = 1 / sqrtf((float)a->width);
	const struct product scores = {
		.left = h->query + query * h->stride,
		.right = a->keys,
		.left_stride = h->stride,
		.right_stride = a->key_stride,
		.rows = queries,
		.inner = a->width,
		.columns = a->columns,
	};
	const struct product context = {
		.left = a->scores,
		.right = h->value,
		.left_stride = a->key_stride,
		.right_stride = h->stride,
		.rows = queries,
		.inner = a->count,
		.columns = a->width,
		.factors = factors,
	};

	a->kernels->product(&scores, a->scores, a->key_stride);
	for (size_t i = 0; i < queries; i++)
		factors[i] = 1 / a->kernels->exponentials(a->scores + i * a->key_stride, a->count, scale);
	a->kernels->product(&context, to + query * to_stride, to_stride);
}

static float factor_to(float limit, float largest)
{
	return largest > 0 ? limit / largest : 0;
}

static void pair_keys(struct attention *a, const struct rows_f32 *key, float factor)
{
	size_t inner = a->width / 2;
	/* In the place of the queries, which come later. */
	int32_t *rows = a->pair_queries;

	a->kernels->pairs(key, key->values + inner, inner, factor, rows);
	for (size_t i = 0; i < inner; i++) {
		int32_t *to = a->pair_keys + i * a->key_stride;

		for (size_t t = 0; t < a->count; t++)
			to[t] = rows[t * inner + i];
		memset(to + a->count, 0, (a->columns - a->count) * sizeof *to);
	}
}

/* The last of an odd number has no second: it stands there itself, and its weight is 0. */
static void pair_values(struct attention *a, const struct rows_f32 *value, float factor)
{
	size_t half = (a->count + 1) / 2;
	struct rows_f32 first = {value->values, value->stride, a->count / 2};

	a->kernels->pairs(&first, first.values + half * first.stride, a->width, factor, a->pair_values);
	if (a->count % 2 == 0)
		return;
	first = (struct rows_f32){value->values + (half - 1) * value->stride, value->stride, 1};
	a->kernels->pairs(&first, first.values, a->width, factor, a->pair_values + (half - 1) * a->width);
}

static void make_pairs(struct attention *a, const struct head *h)
{
	const struct kernels *k = a->kernels;
	const struct rows_f32 query = {h->query, h->stride, a->count}, key = {h->key, h->stride, a->count};
	const struct rows_f32 value = {h->value, h->stride, a->count};
	float query_max = k->largest(&query, a->width), key_max = k->largest(&key, a->width);
	float value_max = k->largest(&value, a->width);
	float limit = (float)fmin(INT16_MAX, floor(sqrt((double)INT32_MAX / (double)a->width)));

	pair_keys(a, &key, factor_to(limit, key_max));
	k->pairs(&query, h->query + a->width / 2, a->width / 2, factor_to(limit, query_max), a->pair_queries);
	pair_values(a, &value, factor_to(KERNEL_VALUE_MAX, value_max));
	a->score_step = query_max / limit * (key_max / limit) / sqrtf((float)a->width);
	a->value_step = value_max / KERNEL_VALUE_MAX;
}

static void attend_pairs(struct attention *a, size_t query, size_t queries, float *to, size_t to_stride)
{
	size_t inner = a->width / 2;
	float factors[QUERY_ROWS];
	const struct product_pairs scores = {
		.left = a->pair_queries + query * inner,
		.right = a->pair_keys,
		.left_stride = inner,
		.right_stride = a->key_stride,
		.rows = queries,
		.inner = inner,
		.columns = a->columns,
	};
	const struct product_pairs context = {
		.left = a->pair_weights,
		.right = a->pair_values,
		.left_stride = a->key_stride,
		.right_stride = a->width,
		.rows = queries,
		.inner = (a->count + 1) / 2,
		.columns = a->width,
		.factors = factors,
	};
	const struct weights weights = {a->scores, a->key_stride, queries, a->count, a->score_step};

	a->kernels->product_pairs(&scores, a->scores, a->key_stride);
	a->kernels->weights(&weights, a->pair_weights, a->key_stride, factors);
	for (size_t i = 0; i < queries; i++)
		factors[i] = a->value_step / factors[i];
	a->kernels->product_pairs(&context, to + query * to_stride, to_stride);
}

void attention_run(struct attention *a, const struct head *h, float *to, size_t to_stride)
{
	if (a->in_pairs)
		make_pairs(a, h);
	else
		transpose_f32(a, h);
	for (size_t query = 0; query < a->count; query += QUERY_ROWS) {
		size_t queries = a->count - query < QUERY_ROWS ? a->count - query : QUERY_ROWS;

		if (a->in_pairs)
			attend_pairs(a, query, queries, to, to_stride);
		else
			attend_f32(a, h, query, queries, to, to_stride);
	}
}
