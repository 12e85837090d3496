/* `context-store embed`: JSON lines {"id", "text"} in, {"id", "embedding", "tokens"} out, in the same order.
 *
 * The lines that one read of standard input brings are a block: its texts are embedded by all threads, its results
 * written, then the next is read. So a pipe is answered as it goes, a line typed by hand at once, and a file keeps all
 * cores busy. The built-in encoder is called directly and not through the port, whose texts have no window or precision of
 * their own; a server (--embedding-url) gets its texts in batches by its port. */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/embedders.h"
#include "cli/models.h"
#include "cli/process.h"

#define LINE_MAX_BYTES (64u << 20)
#define READ_BYTES     (1u << 20)
#define BLOCK_LINES    1024
#define THREADS_MAX    256
#define LINE_MEMORY    (8ull * LINE_MAX_BYTES)
#define NUMBER_SIZE    24
#define TOGETHER_MAX   EMBED_HTTP_BATCH_MAX
/* Lines that a thread takes at once: of short texts the encoder makes one pass (embed/encode.c). */
#define ENCODED_TOGETHER 8

struct line {
	struct slice id; /* JSON, to be written as it is */
	struct slice text;
	struct buffer reply; /* of nothing: there was no memory for it */
	bool failed;
};

struct embed_run {
	struct encoder *encoder; /* or a server's port */
	struct embedders embedders;
	enum encoder_kind kind;
	unsigned threads, batch;
	struct line lines[BLOCK_LINES];
	size_t count;
	_Atomic size_t next;     /* the next lines to be taken by a thread */
	uint64_t number, failed; /* lines so far */
};

/* Of one text, whoever made it. */
struct made {
	const float *vector;
	uint32_t dimension, tokens, tokens_all;
};

static void end_reply(struct line *line, struct json_writer *w)
{
	json_end_object(w);
	buffer_byte(&line->reply, '\n');
	if (!line->reply.failed)
		return;
	buffer_release(&line->reply);
	line->failed = true;
}

static void refuse(struct line *line, const char *why)
{
	struct json_writer w = json_writer(&line->reply);

	line->failed = true;
	json_begin_object(&w);
	json_key_raw(&w, "id", line->id);
	json_key_str(&w, "error", slice_cstr(why));
	end_reply(line, &w);
}

static void answer(struct line *line, const struct made *made)
{
	struct json_writer w = json_writer(&line->reply);
	char number[NUMBER_SIZE];

	json_begin_object(&w);
	json_key_raw(&w, "id", line->id);
	json_write_name(&w, S("embedding"));
	json_begin_array(&w);
	for (uint32_t i = 0; i < made->dimension; i++) {
		/* Nine digits give each float back exactly. */
		int length = snprintf(number, sizeof number, "%.9g", (double)made->vector[i]);

		json_write_raw(&w, slice_of(number, (size_t)length));
	}
	json_end_array(&w);
	json_key_u64(&w, "tokens", made->tokens);
	if (made->tokens_all > made->tokens)
		json_key_u64(&w, "tokens_all", made->tokens_all);
	end_reply(line, &w);
}

static enum cs_status encode_texts(struct embed_run *run, struct op *op, const struct slice *texts, size_t count,
	struct made *ret_made, struct cs_error *err)
{
	struct encoded encoded[TOGETHER_MAX];
	enum cs_status status = encoder_encode(run->encoder, op, run->kind, texts, count, encoded, err);

	for (size_t i = 0; status == CS_OK && i < count; i++)
		ret_made[i] = (struct made){
			encoded[i].vector, encoder_dimension(run->encoder), encoded[i].tokens, encoded[i].tokens_all};
	return status;
}

static enum cs_status ask_server(struct embed_run *run, struct op *op, const struct slice *texts, size_t count,
	struct made *ret_made, struct cs_error *err)
{
	struct embed_port *port = &run->embedders.port;
	struct embedding embedded[TOGETHER_MAX];
	struct embed_model model;
	enum cs_status status = port->embed(
		port->self, op, run->kind == ENCODER_QUERY ? EMBED_QUERY : EMBED_DOCUMENT, texts, count, embedded, err);

	if (status == CS_OK)
		status = port->model(port->self, op, &model, err);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		ret_made[i] =
			(struct made){embedded[i].vector, model.dimension, embedded[i].tokens, embedded[i].tokens};
	return status;
}

/* A text that is refused does not take the others with it. */
static void embed_lines(struct embed_run *run, struct op *op, struct line **lines, size_t count)
{
	struct slice texts[TOGETHER_MAX];
	struct made made[TOGETHER_MAX];
	struct cs_error err;
	enum cs_status status;

	assert(count > 0);
	for (size_t i = 0; i < count; i++)
		texts[i] = lines[i]->text;
	status = run->encoder ? encode_texts(run, op, texts, count, made, &err)
			      : ask_server(run, op, texts, count, made, &err);
	for (size_t i = 0; i < count; i++) {
		if (status == CS_OK) {
			answer(lines[i], &made[i]);
		} else if ((run->encoder || status == CS_VALIDATION) && count > 1) {
			arena_reset(op->arena);
			embed_lines(run, op, &lines[i], 1);
		} else {
			refuse(lines[i], err.text);
		}
	}
}

static size_t together(const struct embed_run *run)
{
	return run->encoder ? ENCODED_TOGETHER : run->batch;
}

static void *work(void *self)
{
	struct embed_run *run = self;
	size_t step = together(run);
	struct arena arena;
	struct op op = {
		.arena = &arena,
		.principal = &principal_anonymous,
		.deadline_ns = OP_NO_DEADLINE,
		.may_wait = true,
	};

	arena_init(&arena, NULL, 0, LINE_MEMORY);
	for (;;) {
		size_t first = atomic_fetch_add_explicit(&run->next, step, memory_order_relaxed), count = 0;
		struct line *wanted[TOGETHER_MAX];

		if (first >= run->count)
			break;
		for (size_t i = first; i < first + step && i < run->count; i++)
			if (!run->lines[i].failed)
				wanted[count++] = &run->lines[i];
		if (count > 0)
			embed_lines(run, &op, wanted, count);
		arena_reset(&arena);
	}
	arena_release(&arena);
	return NULL;
}

/* All lines of the block, by as many threads as there is work for; this one is one of them. */
static void embed_block(struct embed_run *run)
{
	size_t parts = (run->count + together(run) - 1) / together(run);
	pthread_t threads[THREADS_MAX];
	size_t started = 0;

	atomic_store_explicit(&run->next, 0, memory_order_relaxed);
	while (started + 1 < run->threads && started + 1 < parts &&
		pthread_create(&threads[started], NULL, work, run) == 0)
		started++;
	work(run);
	while (started > 0)
		pthread_join(threads[--started], NULL);
}

static enum cs_status write_block(struct embed_run *run, struct cs_error *err)
{
	bool no_memory = false;

	for (size_t i = 0; i < run->count; i++) {
		struct line *line = &run->lines[i];

		run->failed += line->failed;
		no_memory |= line->reply.len == 0;
		fwrite(line->reply.ptr, 1, line->reply.len, stdout);
		buffer_release(&line->reply);
	}
	run->count = 0;
	/* What does not fit its buffer goes out with fwrite, and fflush knows nothing of how that went. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return cs_fail(err, CS_UNAVAILABLE, "standard output: %s", strerror(errno));
	return no_memory ? cs_fail_memory(err) : CS_OK;
}

/* Line `number` of the input, as a line of the block. The document lives in the arena of the block. */
static void parse_line(struct embed_run *run, struct arena *arena, struct slice input)
{
	struct line *line = &run->lines[run->count++];
	char where[CS_ERROR_TEXT_MAX + 64];
	struct buffer id;
	struct json_doc doc;
	struct cs_error why;
	uint32_t node;

	*line = (struct line){.id = S("null")};
	buffer_init(&line->reply, LINE_MAX_BYTES);
	if (json_parse(arena, input, JSON_LIMITS_DEFAULT, &doc, &why) != CS_OK) {
		snprintf(where, sizeof where, "line %llu: %s", (unsigned long long)run->number, why.text);
		refuse(line, where);
		return;
	}
	node = json_get(&doc, 0, S("id"));
	if (node != JSON_NONE) {
		struct json_writer w = json_writer(&id);

		buffer_init(&id, LINE_MAX_BYTES);
		json_write_node(&w, &doc, node);
		line->id = arena_copy(arena, buffer_slice(&id));
		buffer_release(&id);
	}
	if (!line->id.ptr || !json_str(&doc, json_get(&doc, 0, S("text")), &line->text)) {
		snprintf(where, sizeof where, "line %llu: {\"id\": ..., \"text\": \"...\"} is needed",
			(unsigned long long)run->number);
		refuse(line, where);
	}
}

/* The whole lines of the input so far; the last one too, where it ended without a newline. */
static enum cs_status take_lines(struct embed_run *run, struct buffer *input, bool ended, struct cs_error *err)
{
	struct slice rest = buffer_slice(input);
	enum cs_status status = CS_OK;
	struct arena arena;

	arena_init(&arena, NULL, 0, LINE_MEMORY);
	while (rest.len > 0 && status == CS_OK) {
		size_t length = slice_find_byte(rest, '\n');

		if (length == rest.len && !ended)
			break;
		run->number++;
		if (slice_trim(slice_of(rest.ptr, length)).len > 0)
			parse_line(run, &arena, slice_of(rest.ptr, length));
		rest = slice_from(rest, length + 1);
		if (run->count == BLOCK_LINES) {
			embed_block(run);
			status = write_block(run, err);
			arena_reset(&arena);
		}
	}
	embed_block(run);
	if (status == CS_OK)
		status = write_block(run, err);
	arena_release(&arena);
	buffer_consume(input, input->len - rest.len);
	return status;
}

static enum cs_status embed_input(struct embed_run *run, struct cs_error *err)
{
	struct buffer input;
	enum cs_status status = CS_OK;
	ssize_t got = 1;

	buffer_init(&input, LINE_MAX_BYTES);
	while (got != 0 && status == CS_OK) {
		char *room = buffer_reserve(&input, READ_BYTES);

		if (!room) {
			status = cs_fail(err, CS_LIMIT_EXCEEDED, "line %llu is longer than %u bytes",
				(unsigned long long)run->number + 1, LINE_MAX_BYTES - READ_BYTES);
			break;
		}
		got = read(STDIN_FILENO, room, READ_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			status = cs_fail(err, CS_UNAVAILABLE, "standard input: %s", strerror(errno));
			break;
		}
		input.len += (size_t)got;
		/* A long line is looked through once, when its end is there. */
		if (got == 0 || memchr(room, '\n', (size_t)got))
			status = take_lines(run, &input, got == 0, err);
	}
	buffer_release(&input);
	return status;
}

/* The number of an option; false: it is none from 1 to most. */
static bool number_option(const struct invocation *inv, const char *name, int64_t most, int64_t *number)
{
	const char *text = invocation_option(inv, name);

	return !text || (slice_to_i64(slice_cstr(text), number) && *number >= 1 && *number <= most);
}

static enum cs_status open_encoder(
	struct embed_run *run, const struct invocation *inv, int64_t window, struct cs_error *err)
{
	struct encoder_options options = {
		.window = (uint32_t)window,
		.first_window_only = invocation_option(inv, "first-window") != NULL,
	};
	const char *precision = invocation_option(inv, "precision");
	struct slice directory;
	struct arena arena;
	enum cs_status status = embedders_precision(inv->config, &options.precision, err);

	if (precision)
		options.precision = strcmp(precision, "f32") == 0 ? ENCODER_F32 : ENCODER_INT8;
	arena_init(&arena, NULL, 0, 1u << 20);
	if (status == CS_OK)
		status = model_path_of(
			inv->config, &arena, config_str(inv->config, SETTING_EMBEDDING_MODEL), &directory, err);
	if (status == CS_OK)
		status = encoder_open(directory, &options, &run->encoder, err);
	arena_release(&arena);
	return status;
}

static enum cs_status open_embedder(
	struct embed_run *run, const struct invocation *inv, int64_t window, struct cs_error *err)
{
	bool server = config_str(inv->config, SETTING_EMBEDDING_URL).len > 0;

	if (slice_eq_nocase(config_str(inv->config, SETTING_EMBEDDING_MODEL), S("off")))
		return cs_fail(
			err, CS_EMBEDDING_UNAVAILABLE, "embedding-model is off; name one with --embedding-model");
	if (!server)
		return open_encoder(run, inv, window, err);
	if (window || invocation_option(inv, "first-window") || invocation_option(inv, "precision"))
		return cs_fail(err, CS_VALIDATION,
			"--precision, --max-tokens and --first-window are the built-in encoder's, and --embedding-url "
			"names a server");
	return embedders_open(&run->embedders, inv->config, err);
}

enum cli_exit embed_command(struct invocation *inv)
{
	const char *precision = invocation_option(inv, "precision");
	int64_t threads = embedders_threads(inv->config), window = 0;
	struct embed_run *run;
	struct cs_error err;
	enum cs_status status;
	uint64_t failed;

	if (precision && strcmp(precision, "int8") != 0 && strcmp(precision, "f32") != 0)
		return cli_usage(inv, "--precision is int8 or f32, '%.60s' is neither", precision);
	if (!number_option(inv, "threads", THREADS_MAX, &threads))
		return cli_usage(inv, "--threads is a whole number from 1 to %d", THREADS_MAX);
	if (!number_option(inv, "max-tokens", 1 << 20, &window))
		return cli_usage(inv, "--max-tokens is a whole number of at least 1");
	process_prepare();
	run = calloc(1, sizeof *run);
	if (!run) {
		(void)cs_fail_memory(&err);
		return cli_fail(&err);
	}
	run->threads = (unsigned)threads;
	run->batch = (unsigned)config_int(inv->config, SETTING_EMBEDDING_BATCH);
	run->kind = invocation_option(inv, "query") ? ENCODER_QUERY : ENCODER_DOCUMENT;
	status = open_embedder(run, inv, window, &err);
	if (status == CS_OK)
		status = embed_input(run, &err);
	failed = run->failed;
	encoder_close(run->encoder);
	embedders_close(&run->embedders);
	free(run);
	if (status == CS_OK && failed > 0)
		status = cs_fail(&err, CS_VALIDATION, "%llu %s no embedding; the error stands in its place",
			(unsigned long long)failed, failed == 1 ? "line got" : "lines got");
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}
