/* The forward pass. See forward.h.
 *
 * Order of work. Linear layers run over all tokens at once, so that a weight is read once a pass; but the feed-forward
 * network goes by blocks of BLOCK_ROWS tokens, because its inner rows (1536 floats each) would leave the second cache.
 * Attention goes by head and by blocks of queries: scores of one block against all keys stay in the first cache from
 * the product that makes them to the one that uses them. Keys are transposed once a head, so that both products read
 * their right side along rows.
 *
 * The sums of exponentials divide the result of a query and not each weight, which is the same and cheaper. */
#include "embed/forward.h"

#include <assert.h>
#include <math.h>

#define BLOCK_ROWS 64
/* Queries whose scores are made at once. */
#define QUERY_ROWS 24
/* Of the widest kernel set. */
#define VECTOR_FLOATS 16

struct pass {
	const struct model *model;
	const struct kernels *kernels;
	size_t count, hidden;
	size_t columns;    /* keys, to whole vectors */
	size_t key_stride; /* no power of two, or transposed keys would share few sets of the first cache */
	float *x;          /* [count][hidden] */
	float *qkv;        /* [count][3 * hidden] */
	float *context;    /* [count][hidden], what attention gives */
	float *added;      /* [count][hidden], what is added to x */
	float *inner;      /* [BLOCK_ROWS][intermediate] */
	float *keys;       /* [head width][key_stride], transposed */
	float *scores;     /* [QUERY_ROWS][key_stride] */
	float *scaled;     /* one row before it becomes bytes */
	float *step, *lowest;
	uint8_t *bytes; /* rows as bytes */
};

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Gives out pieces of one block, or measures it while there is none. */
static void *piece(char *block, size_t *used, size_t count, size_t size)
{
	size_t at = *used;

	*used += kernel_round_up(count * size, KERNEL_ALIGN);
	return block ? block + at : NULL;
}

static size_t lay_out(struct pass *p, char *block)
{
	size_t used = 0, n = p->count, f = sizeof(float);
	size_t inner = p->model->config.intermediate, widest = larger(p->hidden, inner);
	size_t rows = n < BLOCK_ROWS ? n : BLOCK_ROWS;

	p->x = piece(block, &used, n * p->hidden, f);
	p->qkv = piece(block, &used, n * 3 * p->hidden, f);
	p->context = piece(block, &used, n * p->hidden, f);
	p->added = piece(block, &used, n * p->hidden, f);
	p->inner = piece(block, &used, rows * inner, f);
	p->keys = piece(block, &used, p->hidden / p->model->config.heads * p->key_stride, f);
	p->scores = piece(block, &used, QUERY_ROWS * p->key_stride, f);
	p->scaled = piece(block, &used, widest, f);
	p->step = piece(block, &used, n, f);
	p->lowest = piece(block, &used, n, f);
	p->bytes = piece(block, &used,
		larger(n * kernel_round_up(p->hidden, KERNEL_GROUP), rows * kernel_round_up(inner, KERNEL_GROUP)), 1);
	return used;
}

static void look_up(const struct model *m, size_t word, size_t hidden, float *x)
{
	if (!m->is_int8) {
		memcpy(x, (const char *)m->words + word * hidden * sizeof *x, hidden * sizeof *x);
		return;
	}
	for (size_t i = 0; i < hidden; i++)
		x[i] = m->words_scale[word] * m->words_i8[word * hidden + i];
}

static void embed(struct pass *p, const uint32_t *ids)
{
	const struct model *m = p->model;

	for (size_t t = 0; t < p->count; t++) {
		float *x = p->x + t * p->hidden;

		assert(ids[t] < m->config.vocabulary);
		look_up(m, ids[t], p->hidden, x);
		for (size_t i = 0; i < p->hidden; i++)
			x[i] += m->type[i];
		p->kernels->add_norm(x, m->positions + t * p->hidden, m->embedding_norm.weight, m->embedding_norm.bias,
			p->hidden, m->config.norm_epsilon);
	}
}

static void note_largest(const struct model *m, size_t layer, enum site site, const struct rows_f32 *x, size_t in)
{
	float *largest = m->largest ? m->largest[layer * SITE_COUNT + site] : NULL;

	for (size_t row = 0; largest && row < x->count; row++)
		for (size_t i = 0; i < in; i++)
			largest[i] = fmaxf(largest[i], fabsf(x->values[row * x->stride + i]));
}

static struct rows_u8 quantize_rows(struct pass *p, const struct linear_i8 *l, const struct rows_f32 *x)
{
	size_t stride = kernel_round_up(l->in, KERNEL_GROUP);

	for (size_t row = 0; row < x->count; row++)
		p->kernels->quantize(x->values + row * x->stride, l->smooth, l->in, p->scaled, p->bytes + row * stride,
			&p->step[row], &p->lowest[row]);
	return (struct rows_u8){p->bytes, stride, x->count, p->step, p->lowest};
}

static void linear(struct pass *p, const struct linear *l, const struct rows_f32 *x, float *to, size_t to_stride)
{
	if (p->model->is_int8) {
		struct rows_u8 bytes = quantize_rows(p, &l->i8, x);

		p->kernels->linear_i8(&l->i8, &bytes, to, to_stride);
	} else {
		p->kernels->linear_f32(&l->f32, x, to, to_stride);
	}
}

/* One head for one block of queries. */
static void attend(struct pass *p, size_t head, size_t query, size_t queries)
{
	size_t width = p->hidden / p->model->config.heads, stride = 3 * p->hidden;
	const struct product scores = {
		.left = p->qkv + query * stride + head * width,
		.right = p->keys,
		.left_stride = stride,
		.right_stride = p->key_stride,
		.rows = queries,
		.inner = width,
		.columns = p->columns,
	};
	const struct product context = {
		.left = p->scores,
		.right = p->qkv + 2 * p->hidden + head * width,
		.left_stride = p->key_stride,
		.right_stride = stride,
		.rows = queries,
		.inner = p->count,
		.columns = width,
	};
	float *to = p->context + query * p->hidden + head * width;
	float scale = 1.0f / sqrtf((float)width), sums[QUERY_ROWS];

	p->kernels->product(&scores, p->scores, p->key_stride);
	for (size_t i = 0; i < queries; i++)
		sums[i] = p->kernels->exponentials(p->scores + i * p->key_stride, p->count, scale);
	p->kernels->product(&context, to, p->hidden);
	for (size_t i = 0; i < queries; i++) {
		float inverse = 1.0f / sums[i];

		for (size_t j = 0; j < width; j++)
			to[i * p->hidden + j] *= inverse;
	}
}

static void attention(struct pass *p)
{
	size_t heads = p->model->config.heads, width = p->hidden / heads;

	for (size_t head = 0; head < heads; head++) {
		const float *key = p->qkv + p->hidden + head * width;

		for (size_t t = 0; t < p->count; t++)
			for (size_t i = 0; i < width; i++)
				p->keys[i * p->key_stride + t] = key[t * 3 * p->hidden + i];
		for (size_t query = 0; query < p->count; query += QUERY_ROWS)
			attend(p, head, query, p->count - query < QUERY_ROWS ? p->count - query : QUERY_ROWS);
	}
}

static void add_norm(struct pass *p, const struct norm *norm, size_t first, size_t count)
{
	for (size_t t = first; t < first + count; t++)
		p->kernels->add_norm(p->x + t * p->hidden, p->added + t * p->hidden, norm->weight, norm->bias,
			p->hidden, p->model->config.norm_epsilon);
}

static void feed_forward(struct pass *p, size_t index, size_t first, size_t count)
{
	const struct layer *l = &p->model->layers[index];
	size_t inner = p->model->config.intermediate;
	const struct rows_f32 x = {p->x + first * p->hidden, p->hidden, count}, middle = {p->inner, inner, count};

	note_largest(p->model, index, SITE_UP, &x, p->hidden);
	linear(p, &l->up, &x, p->inner, inner);
	p->kernels->gelu(p->inner, count * inner);
	note_largest(p->model, index, SITE_DOWN, &middle, inner);
	linear(p, &l->down, &middle, p->added + first * p->hidden, p->hidden);
	add_norm(p, &l->output_norm, first, count);
}

static void run_layer(struct pass *p, size_t index)
{
	const struct layer *l = &p->model->layers[index];
	const struct rows_f32 x = {p->x, p->hidden, p->count}, context = {p->context, p->hidden, p->count};

	note_largest(p->model, index, SITE_ATTENTION, &x, p->hidden);
	for (size_t i = 0; i < (p->model->is_int8 ? 1 : 3); i++)
		linear(p, &l->attention[i], &x, p->qkv + i * p->hidden, 3 * p->hidden);
	attention(p);
	note_largest(p->model, index, SITE_ATTENTION_OUT, &context, p->hidden);
	linear(p, &l->attention_out, &context, p->added, p->hidden);
	add_norm(p, &l->attention_norm, 0, p->count);
	for (size_t first = 0; first < p->count; first += BLOCK_ROWS)
		feed_forward(p, index, first, p->count - first < BLOCK_ROWS ? p->count - first : BLOCK_ROWS);
}

static enum cs_status pool(struct pass *p, float *vector, struct cs_error *err)
{
	size_t rows = p->model->config.pooling == POOLING_CLS ? 1 : p->count;

	memset(vector, 0, p->hidden * sizeof *vector);
	for (size_t t = 0; t < rows; t++)
		for (size_t i = 0; i < p->hidden; i++)
			vector[i] += p->x[t * p->hidden + i];
	for (size_t i = 0; i < p->hidden; i++) {
		if (!isfinite(vector[i]))
			return cs_fail(err, CS_VALIDATION,
				"the model's weights give no finite numbers: the file is damaged or hostile");
		vector[i] /= (float)rows;
	}
	return CS_OK;
}

static enum cs_status run(struct pass *p, const struct op *op, const uint32_t *ids, float *vector, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);

	/* Columns of keys behind the last one take part in products, and nobody reads what comes of them. */
	memset(p->keys, 0, p->hidden / p->model->config.heads * p->key_stride * sizeof *p->keys);
	embed(p, ids);
	for (size_t i = 0; status == CS_OK && i < p->model->config.layers; i++) {
		run_layer(p, i);
		status = op_check(op, err);
	}
	return status == CS_OK ? pool(p, vector, err) : status;
}

enum cs_status forward(const struct model *model, const struct kernels *kernels, struct scratch *scratch,
	const struct op *op, const uint32_t *ids, size_t count, float *vector, struct cs_error *err)
{
	struct pass p = {.model = model, .kernels = kernels, .count = count, .hidden = model->config.hidden};

	assert(count > 0 && count <= model->config.positions);
	/* Whole vectors of every kernel set. */
	p.columns = kernel_round_up(count, VECTOR_FLOATS);
	p.key_stride = kernel_round_up(count, 2 * VECTOR_FLOATS) + VECTOR_FLOATS;
	if (!scratch_need(scratch, lay_out(&p, NULL)))
		return cs_fail_memory(err);
	(void)lay_out(&p, scratch->block);
	return run(&p, op, ids, vector, err);
}
