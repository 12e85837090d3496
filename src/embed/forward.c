/* The forward pass. See forward.h.
 *
 * Order of work. Linear layers run over all tokens at once, so that a weight is read once a pass; but the feed-forward
 * network goes by blocks of BLOCK_ROWS tokens, because its inner rows (1536 floats each) would leave the second cache.
 * Attention goes head by head, from the linear layer on where that can be cut: queries, keys and values of one head are
 * a tenth of a megabyte with 256 tokens and stay in the second cache, of all heads they would leave it. */
#include "embed/forward.h"

#include <assert.h>
#include <math.h>

#include "embed/attention.h"

#define BLOCK_ROWS 64

struct pass {
	const struct model *model;
	const struct kernels *kernels;
	const struct tokens *texts;
	size_t text_count;
	size_t count, hidden; /* tokens of all texts */
	size_t heads_at_once;
	struct attention attention;
	float *x;       /* [count][hidden] */
	float *qkv;     /* [count][heads_at_once][3][head width] */
	float *context; /* [count][hidden], what attention gives */
	float *added;   /* [count][hidden], what is added to x */
	float *inner;   /* [BLOCK_ROWS][intermediate] */
	float *scaled;  /* one row before it becomes bytes */
	float *step, *lowest;
	uint8_t *bytes; /* rows as bytes */
};

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t lay_out(struct pass *p, char *block)
{
	size_t used = 0, n = p->count, f = sizeof(float);
	size_t inner = p->model->config.intermediate, widest = larger(p->hidden, inner);
	size_t rows = n < BLOCK_ROWS ? n : BLOCK_ROWS;

	p->x = scratch_piece(block, &used, n * p->hidden, f);
	p->qkv = scratch_piece(block, &used, n * 3 * p->heads_at_once * p->attention.width, f);
	p->context = scratch_piece(block, &used, n * p->hidden, f);
	p->added = scratch_piece(block, &used, n * p->hidden, f);
	p->inner = scratch_piece(block, &used, rows * inner, f);
	attention_lay_out(&p->attention, block, &used);
	p->scaled = scratch_piece(block, &used, widest, f);
	p->step = scratch_piece(block, &used, n, f);
	p->lowest = scratch_piece(block, &used, n, f);
	p->bytes = scratch_piece(block, &used,
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

static void embed(struct pass *p, const struct tokens *text, size_t first)
{
	const struct model *m = p->model;

	for (size_t t = 0; t < text->count; t++) {
		float *x = p->x + (first + t) * p->hidden;

		assert(text->ids[t] < m->config.vocabulary);
		look_up(m, text->ids[t], p->hidden, x);
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

/* The outputs from `first` on of a layer. */
static struct linear_f32 some_f32(const struct linear_f32 *l, size_t first, size_t count)
{
	return (struct linear_f32){l->in, (uint32_t)count, l->values + first * l->in, l->bias + first};
}

static struct linear_i8 some_i8(const struct linear_i8 *l, size_t first, size_t count)
{
	return (struct linear_i8){l->in, (uint32_t)count, l->values + kernel_packed_place(l->in, first, 0),
		l->scale + first, l->sum + first, l->bias + first, l->smooth};
}

/* Queries, keys and values of some heads. */
static void project_heads(
	struct pass *p, const struct layer *l, const struct rows_f32 *x, const struct rows_u8 *bytes, size_t first)
{
	size_t width = p->attention.width, stride = 3 * p->heads_at_once * width;

	if (p->model->is_int8) {
		struct linear_i8 some = some_i8(&l->attention[0].i8, 3 * first * width, stride);

		p->kernels->linear_i8(&some, bytes, p->qkv, stride);
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		struct linear_f32 some = some_f32(&l->attention[i].f32, first * width, width);

		p->kernels->linear_f32(&some, x, p->qkv + i * width, stride);
	}
}

/* Each text by itself. */
static void attend(struct pass *p, size_t head)
{
	size_t width = p->attention.width, stride = 3 * p->heads_at_once * width, first = 0;

	for (size_t i = 0; i < p->text_count; i++) {
		const float *at = p->qkv + first * stride + head % p->heads_at_once * 3 * width;
		const struct head h = {at, at + width, at + 2 * width, stride};

		attention_of(&p->attention, p->texts[i].count);
		attention_run(&p->attention, &h, p->context + first * p->hidden + head * width, p->hidden);
		first += p->texts[i].count;
	}
}

static void attention(struct pass *p, const struct layer *l, const struct rows_f32 *x)
{
	struct rows_u8 bytes = {0};

	if (p->model->is_int8)
		bytes = quantize_rows(p, &l->attention[0].i8, x);
	for (size_t head = 0; head < p->model->config.heads; head++) {
		if (head % p->heads_at_once == 0)
			project_heads(p, l, x, &bytes, head);
		attend(p, head);
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
	attention(p, l, &x);
	note_largest(p->model, index, SITE_ATTENTION_OUT, &context, p->hidden);
	linear(p, &l->attention_out, &context, p->added, p->hidden);
	add_norm(p, &l->attention_norm, 0, p->count);
	for (size_t first = 0; first < p->count; first += BLOCK_ROWS)
		feed_forward(p, index, first, p->count - first < BLOCK_ROWS ? p->count - first : BLOCK_ROWS);
}

static enum cs_status pool(struct pass *p, size_t first, size_t count, float *vector, struct cs_error *err)
{
	size_t rows = p->model->config.pooling == POOLING_CLS ? 1 : count;

	memset(vector, 0, p->hidden * sizeof *vector);
	for (size_t t = first; t < first + rows; t++)
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

static enum cs_status run(struct pass *p, const struct op *op, float *vectors, struct cs_error *err)
{
	enum cs_status status = op_check(op, err);
	size_t first = 0;

	for (size_t i = 0; i < p->text_count; first += p->texts[i++].count)
		embed(p, &p->texts[i], first);
	for (size_t i = 0; status == CS_OK && i < p->model->config.layers; i++) {
		run_layer(p, i);
		status = op_check(op, err);
	}
	first = 0;
	for (size_t i = 0; status == CS_OK && i < p->text_count; first += p->texts[i++].count)
		status = pool(p, first, p->texts[i].count, vectors + i * p->hidden, err);
	return status;
}

enum cs_status forward(const struct model *model, const struct kernels *kernels, struct scratch *scratch,
	const struct op *op, const struct tokens *texts, size_t text_count, float *vectors, struct cs_error *err)
{
	struct pass p = {.model = model,
		.kernels = kernels,
		.texts = texts,
		.text_count = text_count,
		.hidden = model->config.hidden};
	size_t longest = 0;

	for (size_t i = 0; i < text_count; i++) {
		assert(texts[i].count > 0 && texts[i].count <= model->config.positions);
		longest = larger(longest, texts[i].count);
		p.count += texts[i].count;
	}
	assert(p.count > 0);
	attention_init(&p.attention, kernels, longest, p.hidden / model->config.heads, model->is_int8);
	/* A slice of packed weights begins at a block. */
	p.heads_at_once = model->is_int8 && 3 * p.attention.width % KERNEL_BLOCK != 0 ? model->config.heads : 1;
	if (!scratch_need(scratch, lay_out(&p, NULL)))
		return cs_fail_memory(err);
	(void)lay_out(&p, scratch->block);
	return run(&p, op, vectors, err);
}
