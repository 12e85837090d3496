/* Finding BERT's tensors. See bert.h.
 *
 * Each kind of tensor is one row of a table with its place in struct layer; a layer is the table once. */
#include "embed/bert.h"

#include <stdarg.h>
#include <stdio.h>

struct binder {
	struct arena *arena;
	const struct tensors *tensors;
	const struct model_config *config;
	struct cs_error *err;
};

enum size { HIDDEN, INTERMEDIATE };

static const struct {
	const char *name;
	size_t place; /* of a struct linear in struct layer */
	enum size in, out;
} linears[] = {
	{"attention.self.query", offsetof(struct layer, attention[0]), HIDDEN, HIDDEN},
	{"attention.self.key", offsetof(struct layer, attention[1]), HIDDEN, HIDDEN},
	{"attention.self.value", offsetof(struct layer, attention[2]), HIDDEN, HIDDEN},
	{"attention.output.dense", offsetof(struct layer, attention_out), HIDDEN, HIDDEN},
	{"intermediate.dense", offsetof(struct layer, up), HIDDEN, INTERMEDIATE},
	{"output.dense", offsetof(struct layer, down), INTERMEDIATE, HIDDEN},
};

static const struct {
	const char *name;
	size_t place; /* of a struct norm in struct layer */
} norms[] = {
	{"attention.output.LayerNorm", offsetof(struct layer, attention_norm)},
	{"output.LayerNorm", offsetof(struct layer, output_norm)},
};

/* The tensor with this name and shape; rows = 0 asks for a vector. NULL: it is not so, and b->err says how. */
static const struct tensor *find(struct binder *b, const char *name, uint64_t rows, uint64_t columns)
{
	char with_prefix[TENSOR_NAME_MAX];
	const struct tensor *t = tensors_find(b->tensors, slice_cstr(name));
	uint32_t rank = rows ? 2 : 1;

	snprintf(with_prefix, sizeof with_prefix, "bert.%s", name);
	t = t ? t : tensors_find(b->tensors, slice_cstr(with_prefix));
	if (!t) {
		(void)cs_fail(b->err, CS_VALIDATION, "there is no tensor %s: this is no BERT model's file", name);
	} else if (!t->is_f32) {
		(void)cs_fail(b->err, CS_VALIDATION, "tensor %s is " SLICE_FMT ", only F32 is read", name,
			SLICE_ARG(t->type));
		t = NULL;
	} else if (t->rank != rank || tensor_columns(t) != columns || tensor_rows(t) != (rows ? rows : 1)) {
		(void)cs_fail(b->err, CS_VALIDATION,
			"tensor %s has %u dimensions (%llu by %llu) where config.json asks for %u (%llu by %llu)", name,
			t->rank, (unsigned long long)tensor_rows(t), (unsigned long long)tensor_columns(t), rank,
			(unsigned long long)(rows ? rows : 1), (unsigned long long)columns);
		t = NULL;
	} else if (!tensor_is_finite(t)) {
		(void)cs_fail(b->err, CS_VALIDATION,
			"tensor %s holds a weight that is not a finite number: the file is damaged or hostile", name);
		t = NULL;
	}
	return t;
}

/* Values in order and aligned: the file's own, or a copy. */
static enum cs_status bind(
	struct binder *b, const char *name, uint64_t rows, uint64_t columns, const float **ret_values)
{
	const struct tensor *t = find(b, name, rows, columns);
	float *copy;

	if (!t)
		return CS_VALIDATION;
	if (!t->transposed && (uintptr_t)t->data % _Alignof(float) == 0) {
		*ret_values = (const float *)(const void *)t->data;
		return CS_OK;
	}
	copy = arena_alloc(b->arena, t->size);
	if (!copy)
		return cs_fail_memory(b->err);
	for (size_t row = 0; row < tensor_rows(t); row++)
		tensor_copy_row(t, row, copy + row * columns);
	*ret_values = copy;
	return CS_OK;
}

static enum cs_status bind_norm(struct binder *b, const char *name, struct norm *norm)
{
	char full[TENSOR_NAME_MAX];
	enum cs_status status;

	snprintf(full, sizeof full, "%s.weight", name);
	status = bind(b, full, 0, b->config->hidden, &norm->weight);
	snprintf(full, sizeof full, "%s.bias", name);
	return status == CS_OK ? bind(b, full, 0, b->config->hidden, &norm->bias) : status;
}

static enum cs_status bind_linear(
	struct binder *b, const char *name, uint32_t in, uint32_t out, struct linear_f32 *linear)
{
	char full[TENSOR_NAME_MAX];
	enum cs_status status;

	linear->in = in;
	linear->out = out;
	snprintf(full, sizeof full, "%s.weight", name);
	status = bind(b, full, out, in, &linear->values);
	snprintf(full, sizeof full, "%s.bias", name);
	return status == CS_OK ? bind(b, full, 0, out, &linear->bias) : status;
}

static enum cs_status bind_layer(struct binder *b, uint32_t index, struct layer *layer)
{
	const uint32_t sizes[] = {[HIDDEN] = b->config->hidden, [INTERMEDIATE] = b->config->intermediate};
	enum cs_status status = CS_OK;
	char name[TENSOR_NAME_MAX / 2];

	for (size_t i = 0; status == CS_OK && i < sizeof linears / sizeof *linears; i++) {
		struct linear *linear = (struct linear *)(void *)((char *)layer + linears[i].place);

		snprintf(name, sizeof name, "encoder.layer.%u.%s", index, linears[i].name);
		status = bind_linear(b, name, sizes[linears[i].in], sizes[linears[i].out], &linear->f32);
	}
	for (size_t i = 0; status == CS_OK && i < sizeof norms / sizeof *norms; i++) {
		snprintf(name, sizeof name, "encoder.layer.%u.%s", index, norms[i].name);
		status = bind_norm(b, name, (struct norm *)(void *)((char *)layer + norms[i].place));
	}
	return status;
}

static enum cs_status bind_embeddings(struct binder *b, struct model *model)
{
	const struct model_config *c = b->config;
	const struct tensor *words = find(b, "embeddings.word_embeddings.weight", c->vocabulary, c->hidden);
	enum cs_status status = CS_OK;

	if (!words)
		return CS_VALIDATION;
	if (words->transposed)
		status = cs_fail(b->err, CS_VALIDATION, "embeddings.word_embeddings.weight is no table of words");
	if (status == CS_OK)
		status = bind(b, "embeddings.position_embeddings.weight", c->positions, c->hidden, &model->positions);
	if (status == CS_OK)
		status = bind(b, "embeddings.token_type_embeddings.weight", c->types, c->hidden, &model->type);
	if (status == CS_OK)
		status = bind_norm(b, "embeddings.LayerNorm", &model->embedding_norm);
	model->words = words->data;
	return status;
}

enum cs_status bert_bind(struct arena *arena, const struct tensors *tensors, const struct model_config *config,
	struct model *ret_model, struct cs_error *err)
{
	struct binder b = {arena, tensors, config, err};
	struct model model = {.config = *config};
	enum cs_status status;

	model.layers = arena_array(arena, config->layers, sizeof *model.layers);
	if (!model.layers)
		return cs_fail_memory(err);
	status = bind_embeddings(&b, &model);
	for (uint32_t i = 0; status == CS_OK && i < config->layers; i++)
		status = bind_layer(&b, i, &model.layers[i]);
	if (status == CS_OK)
		*ret_model = model;
	return status;
}
