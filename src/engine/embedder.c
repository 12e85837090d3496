/* Loads lazily, fails patiently.
 *
 * The encoder is published once and read with one atomic load. Whether to try again after a failure is asked under the
 * mutex by looking at the files that make a model (size, time, inode of each and of the directory): six calls of stat,
 * some microseconds, and only while there is no model. */
#include "engine/embedder.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/metrics.h"

#define PATH_SIZE 4096

static const char *const model_files[] = {
	"", "config.json", "vocab.txt", "model.safetensors", "model.onnx", "1_Pooling/config.json"};
#define FILE_COUNT (sizeof model_files / sizeof *model_files)

/* What tells a file from its successor; all zero: not there. */
struct file_mark {
	uint64_t size, inode;
	int64_t modified_ns;
};

struct embedder {
	struct arena arena;
	struct slice name, directory;
	enum encoder_precision precision;
	pthread_mutex_t lock;
	_Atomic(struct encoder *) encoder; /* NULL until loaded */
	bool failed;                       /* these under the lock */
	int64_t failed_ns;
	struct cs_error failure;
	struct file_mark marks[FILE_COUNT];
	struct metrics_collector collector;
};

static void collect(void *self)
{
	struct embedder *e = self;
	const struct encoder *encoder = atomic_load_explicit(&e->encoder, memory_order_acquire);

	metric_set(metric_series(METRIC_MEMORY, S("model")), encoder ? (int64_t)encoder_bytes(encoder) : 0);
}

enum cs_status embedder_new(
	const struct embedder_options *options, struct embedder **ret_embedder, struct cs_error *err)
{
	struct embedder *e = calloc(1, sizeof *e);

	if (!e)
		return cs_fail_memory(err);
	arena_init(&e->arena, NULL, 0, 1u << 20);
	e->name = arena_copy(&e->arena, options->name);
	e->directory = slice_cstr(arena_cstr(&e->arena, options->directory));
	e->precision = options->precision;
	if (!e->name.ptr || !e->directory.ptr) {
		arena_release(&e->arena);
		free(e);
		return cs_fail_memory(err);
	}
	pthread_mutex_init(&e->lock, NULL);
	e->collector = (struct metrics_collector){.collect = collect, .self = e};
	metrics_collector_add(&e->collector);
	*ret_embedder = e;
	return CS_OK;
}

void embedder_free(struct embedder *e)
{
	struct encoder *encoder;

	if (!e)
		return;
	metrics_collector_remove(&e->collector);
	encoder = atomic_load_explicit(&e->encoder, memory_order_acquire);
	if (encoder)
		encoder_close(encoder);
	pthread_mutex_destroy(&e->lock);
	arena_release(&e->arena);
	free(e);
}

static void look_at_files(const struct embedder *e, struct file_mark marks[FILE_COUNT])
{
	char path[PATH_SIZE];
	struct stat st;

	memset(marks, 0, FILE_COUNT * sizeof *marks);
	for (size_t i = 0; i < FILE_COUNT; i++) {
		int length = snprintf(path, sizeof path, SLICE_FMT "/%s", SLICE_ARG(e->directory), model_files[i]);

		if (length < 0 || (size_t)length >= sizeof path || stat(path, &st) != 0)
			continue;
		marks[i].size = (uint64_t)st.st_size;
		marks[i].inode = st.st_ino;
		marks[i].modified_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
	}
}

/* Under the lock, without a model. */
static enum cs_status load(struct embedder *e, struct cs_error *err)
{
	const struct encoder_options options = {.precision = e->precision};
	struct file_mark marks[FILE_COUNT];
	struct encoder *encoder;
	struct cs_error why = {.status = CS_OK};
	bool same;

	look_at_files(e, marks);
	same = memcmp(marks, e->marks, sizeof marks) == 0;
	if (e->failed && same && clock_mono_ns() < e->failed_ns + EMBEDDER_RETRY_MS * INT64_C(1000000))
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s", e->failure.text);
	if (encoder_open(e->directory, &options, &encoder, &why) == CS_OK) {
		e->failed = false;
		atomic_store_explicit(&e->encoder, encoder, memory_order_release);
		return CS_OK;
	}
	e->failed = true;
	e->failed_ns = clock_mono_ns();
	/* As the files were before it looked, so that a change during the attempt is a change. */
	memcpy(e->marks, marks, sizeof marks);
	(void)cs_fail(&e->failure, CS_EMBEDDING_UNAVAILABLE, "the model " SLICE_FMT " cannot be loaded: %.400s",
		SLICE_ARG(e->name), why.text);
	return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s", e->failure.text);
}

static enum cs_status get_encoder(
	struct embedder *e, const struct op *op, struct encoder **ret_encoder, struct cs_error *err)
{
	struct encoder *encoder = atomic_load_explicit(&e->encoder, memory_order_acquire);
	enum cs_status status = CS_OK;

	if (!encoder) {
		if (!op->may_wait)
			return cs_fail(err, CS_WOULD_WAIT, "the model is not loaded yet");
		pthread_mutex_lock(&e->lock);
		encoder = atomic_load_explicit(&e->encoder, memory_order_acquire);
		if (!encoder)
			status = load(e, err);
		pthread_mutex_unlock(&e->lock);
		encoder = atomic_load_explicit(&e->encoder, memory_order_acquire);
	}
	if (status == CS_OK)
		*ret_encoder = encoder;
	return status;
}

static enum cs_status native_model(void *self, struct op *op, struct embed_model *ret_model, struct cs_error *err)
{
	struct embedder *e = self;
	struct encoder *encoder;
	enum cs_status status = get_encoder(e, op, &encoder, err);

	if (status == CS_OK)
		*ret_model = (struct embed_model){
			.id = e->name,
			.hash = encoder_model_hash(encoder),
			.dimension = encoder_dimension(encoder),
		};
	return status;
}

static enum cs_status native_embed(void *self, struct op *op, enum embed_kind kind, const struct slice *texts,
	size_t count, struct embedding *ret_embeddings, struct cs_error *err)
{
	struct embedder *e = self;
	struct encoder *encoder;
	struct encoded *made;
	enum cs_status status = get_encoder(e, op, &encoder, err);

	if (status != CS_OK)
		return status;
	made = arena_array(op->arena, count, sizeof *made);
	if (!made)
		return cs_fail_memory(err);
	status = encoder_encode(
		encoder, op, kind == EMBED_QUERY ? ENCODER_QUERY : ENCODER_DOCUMENT, texts, count, made, err);
	for (size_t i = 0; i < count && status == CS_OK; i++)
		ret_embeddings[i] = (struct embedding){.vector = made[i].vector, .tokens = made[i].tokens};
	return status;
}

struct embed_port embedder_port(struct embedder *e)
{
	return (struct embed_port){.self = e, .model = native_model, .embed = native_embed};
}
