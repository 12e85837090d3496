/* From settings to an embedder. */
#include "cli/embedders.h"

#include <stdio.h>

#include "base/version.h"
#include "cli/models.h"
#include "cli/process.h"

#define REMOTE_BATCH_BYTES (256u << 10)

static const struct slice off_text = SLICE_INIT(
	"embedding-model is off; give --embedding-model a model or --embedding-url a server to turn vectors on");

enum cs_status embedders_precision(
	const struct config *config, enum encoder_precision *ret_precision, struct cs_error *err)
{
	struct slice word = config_str(config, SETTING_EMBEDDING_PRECISION);

	if (!slice_eq(word, S("int8")) && !slice_eq(word, S("f32")))
		return cs_fail(err, CS_VALIDATION, "embedding-precision (" SLICE_FMT ") must be int8 or f32",
			SLICE_ARG(config_origin_text(config, SETTING_EMBEDDING_PRECISION)));
	*ret_precision = slice_eq(word, S("f32")) ? ENCODER_F32 : ENCODER_INT8;
	return CS_OK;
}

unsigned embedders_threads(const struct config *config)
{
	int64_t wanted = config_int(config, SETTING_EMBEDDING_THREADS);

	return wanted > 0 ? (unsigned)wanted : process_cores();
}

static enum cs_status open_remote(
	struct embedders *e, const struct config *config, struct slice model, struct cs_error *err)
{
	const struct embed_http_options options = {
		.url = config_str(config, SETTING_EMBEDDING_URL),
		.model = model,
		.key = config_str(config, SETTING_EMBEDDING_API_KEY),
		.dimensions = (uint32_t)config_int(config, SETTING_EMBEDDING_DIMENSIONS),
		.batch = (unsigned)config_int(config, SETTING_EMBEDDING_BATCH),
		.connections_max = embedders_threads(config) + 1,
	};
	enum cs_status status = embed_http_new(&options, &e->remote, err);

	if (status != CS_OK)
		return status;
	e->port = embed_http_port(e->remote);
	snprintf(e->about, sizeof e->about, SLICE_FMT " at " SLICE_FMT, SLICE_ARG(model),
		SLICE_ARG(embed_http_shown(e->remote)));
	return CS_OK;
}

static enum cs_status open_native(
	struct embedders *e, const struct config *config, struct slice model, struct cs_error *err)
{
	struct embedder_options options = {.name = model_id_of(model)};
	struct arena arena;
	enum cs_status status;

	arena_init(&arena, NULL, 0, 1u << 20);
	status = embedders_precision(config, &options.precision, err);
	if (status == CS_OK)
		status = model_path_of(config, &arena, model, &options.directory, err);
	if (status == CS_OK)
		status = embedder_new(&options, &e->native, err);
	if (status == CS_OK) {
		e->port = embedder_port(e->native);
		e->missing = !model_is_installed(options.directory);
		snprintf(e->about, sizeof e->about, SLICE_FMT " in " SLICE_FMT, SLICE_ARG(options.name),
			SLICE_ARG(options.directory));
	}
	arena_release(&arena);
	return status;
}

enum cs_status embedders_open(struct embedders *ret_embedders, const struct config *config, struct cs_error *err)
{
	struct embedders e = {0};
	struct slice model = config_str(config, SETTING_EMBEDDING_MODEL);
	enum cs_status status = CS_OK;

	if (slice_eq_nocase(model, S("off")))
		snprintf(e.about, sizeof e.about, "off");
	else if (model.len == 0)
		status = cs_fail(err, CS_VALIDATION, "embedding-model must name a model, or be off");
	else if (config_str(config, SETTING_EMBEDDING_URL).len > 0)
		status = open_remote(&e, config, model, err);
	else
		status = open_native(&e, config, model, err);
	if (status == CS_OK)
		*ret_embedders = e;
	return status;
}

void embedders_close(struct embedders *e)
{
	embedder_free(e->native);
	embed_http_free(e->remote);
	*e = (struct embedders){0};
}

struct embedding_options embedders_service(const struct embedders *e, const struct config *config)
{
	struct embedding_options options = {
		.embed = e->port,
		.off = off_text,
		.queue_texts = (size_t)config_int(config, SETTING_EMBEDDING_QUEUE_MAX),
		.batch_texts = (size_t)config_int(config, SETTING_EMBEDDING_BATCH),
		.threads = embedders_threads(config),
	};

	if (e->remote)
		options.batch_bytes = REMOTE_BATCH_BYTES;
	else
		options.queue_wait_ms = config_int(config, SETTING_EMBEDDING_QUEUE_WAIT);
	return options;
}
