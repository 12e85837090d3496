/* Opening a model. See encoder.h; what is done with it stands in encode.c. */
#include "embed/encoder_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "embed/bert.h"
#include "embed/onnx.h"
#include "embed/quantize.h"
#include "embed/safetensors.h"
#include "embed/tokenizer.h"

#define VOCABULARY_SIZE (64u << 20) /* bytes of vocab.txt */
/* Beside the weights, which are copied at most once (a transposed f32 model): names, layers, configuration. */
#define ARENA_BESIDE (128u << 20)

struct weights_file {
	char *path;
	char *quantized_path;
	bool is_onnx;
	struct stat st;
};

static int64_t modified_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static enum cs_status find_weights(
	struct arena *arena, struct slice directory, struct weights_file *ret_file, struct cs_error *err)
{
	static const char *const names[] = {"model.safetensors", "model.onnx", "onnx/model.onnx"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct slice path = arena_printf(arena, SLICE_FMT "/%s", SLICE_ARG(directory), names[i]);
		struct slice quantized = arena_printf(arena, SLICE_FMT "/%s.int8", SLICE_ARG(directory), names[i]);
		struct weights_file file = {.is_onnx = i > 0};

		file.path = path.ptr ? arena_cstr(arena, path) : NULL;
		file.quantized_path = quantized.ptr ? arena_cstr(arena, quantized) : NULL;
		if (!file.path || !file.quantized_path)
			return cs_fail_memory(err);
		if (stat(file.path, &file.st) == 0) {
			*ret_file = file;
			return CS_OK;
		}
	}
	return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
		"there is no %s, nor %s, in " SLICE_FMT "; `context-store model pull` fetches a model", names[0],
		names[1], SLICE_ARG(directory));
}

/* The error of a reader, with the file's name before it. */
static enum cs_status fail_in(const char *path, const struct cs_error *cause, struct cs_error *err)
{
	return cs_fail(err, cause->status, "%s: %.400s", path, cause->text);
}

/* Maps and binds: e->weights, and *ret_model, which points into them and the arena. */
static enum cs_status load_f32(struct encoder *e, struct arena *arena, const struct weights_file *file,
	const struct model_config *config, struct model *ret_model, struct cs_error *err)
{
	struct tensors tensors;
	struct arena parsing;
	struct cs_error cause;
	struct slice bytes;
	enum cs_status status = mapped_open(file->path, &e->weights, err);

	if (status != CS_OK)
		return status;
	bytes = slice_of((const char *)e->weights.ptr, e->weights.size);
	arena_init(&parsing, NULL, 0, ARENA_BESIDE);
	status = file->is_onnx ? onnx_parse(&parsing, bytes, &tensors, &cause)
			       : safetensors_parse(&parsing, bytes, &tensors, &cause);
	if (status == CS_OK)
		status = bert_bind(arena, &tensors, config, ret_model, &cause);
	arena_release(&parsing);
	return status == CS_OK ? CS_OK : fail_in(file->path, &cause, err);
}

static enum cs_status open_f32(
	struct encoder *e, const struct weights_file *file, const struct model_config *config, struct cs_error *err)
{
	struct quantized known;
	enum cs_status status = load_f32(e, &e->arena, file, config, &e->model, err);

	if (status != CS_OK)
		return status;
	if (quantized_open(file->quantized_path, config, (size_t)file->st.st_size, modified_ns(&file->st), &known,
		    NULL) != CS_OK)
		return sha256_file(file->path, e->sha256, err);
	/* The quantised file knows the hash, so that 90 MB need not be read for it. */
	memcpy(e->sha256, known.sha256, sizeof e->sha256);
	quantized_release(&known);
	return CS_OK;
}

static enum cs_status quantize_f32(
	struct encoder *e, const struct weights_file *file, const struct model *f32, struct cs_error *err)
{
	const struct op op = {.deadline_ns = OP_NO_DEADLINE};
	struct quantize_source source = {
		.model = f32,
		.size = e->weights.size,
		.modified_ns = e->weights.modified_ns,
		.sha256 = e->sha256,
		.cls = tokenizer_cls(e->tokenizer),
		.sep = tokenizer_sep(e->tokenizer),
	};
	struct cs_error cause;
	bool saved;
	enum cs_status status = sha256_file(file->path, e->sha256, err);

	if (status != CS_OK)
		return status;
	status = quantized_make(file->quantized_path, &source, e->kernels, &op, &e->quantized, &saved, &cause);
	return status == CS_OK ? CS_OK : fail_in(file->path, &cause, err);
}

/* What was f32 is gone when this returns. */
static enum cs_status make_int8(
	struct encoder *e, const struct weights_file *file, const struct model_config *config, struct cs_error *err)
{
	struct arena copies;
	struct model f32;
	enum cs_status status;

	arena_init(&copies, NULL, 0, e->arena.ceiling);
	status = load_f32(e, &copies, file, config, &f32, err);
	if (status == CS_OK)
		status = quantize_f32(e, file, &f32, err);
	mapped_close(&e->weights);
	arena_release(&copies);
	return status;
}

static enum cs_status open_int8(
	struct encoder *e, const struct weights_file *file, const struct model_config *config, struct cs_error *err)
{
	enum cs_status status = quantized_open(
		file->quantized_path, config, (size_t)file->st.st_size, modified_ns(&file->st), &e->quantized, NULL);

	if (status != CS_OK)
		status = make_int8(e, file, config, err);
	if (status != CS_OK)
		return status;
	memcpy(e->sha256, e->quantized.sha256, sizeof e->sha256);
	e->model = e->quantized.model;
	return CS_OK;
}

static enum cs_status open_tokenizer(
	struct encoder *e, struct slice directory, const struct model_config *config, struct cs_error *err)
{
	const struct tokenizer_options options = {config->lowercase, config->vocabulary};
	struct arena reading;
	struct slice vocabulary;
	struct cs_error cause;
	enum cs_status status;

	arena_init(&reading, NULL, 0, 2 * (size_t)VOCABULARY_SIZE);
	status = model_file_read(&reading, directory, "vocab.txt", true, VOCABULARY_SIZE, &vocabulary, &cause);
	if (status == CS_OK && tokenizer_new(vocabulary, options, &e->tokenizer, &cause) != CS_OK)
		status = fail_in("vocab.txt", &cause, err);
	else if (status != CS_OK)
		status = cs_fail(err, status, "%s", cause.text);
	arena_release(&reading);
	return status;
}

static enum cs_status open_prefix(struct encoder *e, enum encoder_kind kind, struct slice prefix, struct cs_error *err)
{
	enum cs_status status =
		prefix.len > 0 ? tokenizer_encode(e->tokenizer, &e->arena, prefix, &e->prefixes[kind], err) : CS_OK;

	if (status == CS_OK && e->prefixes[kind].count + ENCODER_SPECIAL_TOKENS >= e->window)
		return cs_fail(err, CS_VALIDATION, "a prefix of %zu tokens leaves no room in a window of %u",
			e->prefixes[kind].count, e->window);
	return status;
}

static enum cs_status open_window(struct encoder *e, const struct encoder_options *options,
	const struct model_config *config, struct cs_error *err)
{
	enum cs_status status;

	e->window = options->window ? options->window : config->window;
	e->first_window_only = options->first_window_only;
	if (e->window <= ENCODER_SPECIAL_TOKENS || e->window > config->positions)
		return cs_fail(err, CS_VALIDATION, "a window of %u tokens: this model's may have %d to %u", e->window,
			ENCODER_SPECIAL_TOKENS + 1, config->positions);
	status = open_prefix(e, ENCODER_DOCUMENT, config->document_prefix, err);
	return status == CS_OK ? open_prefix(e, ENCODER_QUERY, config->query_prefix, err) : status;
}

static enum cs_status open_all(
	struct encoder *e, struct slice directory, const struct encoder_options *options, struct cs_error *err)
{
	struct model_config config;
	struct weights_file file = {0};
	enum cs_status status = find_weights(&e->arena, directory, &file, err);

	if (status == CS_OK)
		status = model_config_read(&e->arena, directory, &config, err);
	if (status == CS_OK)
		status = open_tokenizer(e, directory, &config, err);
	if (status == CS_OK)
		status = open_window(e, options, &config, err);
	if (status != CS_OK)
		return status;
	e->arena.ceiling += (size_t)file.st.st_size;
	return options->precision == ENCODER_INT8 ? open_int8(e, &file, &config, err)
						  : open_f32(e, &file, &config, err);
}

enum cs_status encoder_open(struct slice directory, const struct encoder_options *options, struct encoder **ret_encoder,
	struct cs_error *err)
{
	struct encoder *e = calloc(1, sizeof *e);
	struct scratch_pool *scratch = malloc(sizeof *scratch);
	enum cs_status status;

	if (!e || !scratch) {
		free(e);
		free(scratch);
		return cs_fail_memory(err);
	}
	scratch_pool_init(scratch);
	e->scratch = scratch;
	arena_init(&e->arena, NULL, 0, ARENA_BESIDE);
	e->kernels = kernels_best();
	status = open_all(e, directory, options, err);
	if (status != CS_OK) {
		encoder_close(e);
		return status;
	}
	*ret_encoder = e;
	return CS_OK;
}

void encoder_close(struct encoder *e)
{
	if (!e)
		return;
	scratch_pool_release(e->scratch);
	free(e->scratch);
	tokenizer_free(e->tokenizer);
	quantized_release(&e->quantized);
	mapped_close(&e->weights);
	arena_release(&e->arena);
	free(e);
}

uint32_t encoder_dimension(const struct encoder *e)
{
	return e->model.config.hidden;
}

uint32_t encoder_window(const struct encoder *e)
{
	return e->window;
}

struct slice encoder_model_hash(const struct encoder *e)
{
	return slice_cstr(e->sha256);
}

const char *encoder_kernel(const struct encoder *e)
{
	return e->kernels->name;
}

size_t encoder_bytes(const struct encoder *e)
{
	return e->weights.size + e->quantized.file.size + (e->quantized.memory ? e->quantized.memory_bytes : 0) +
	       e->arena.used;
}
