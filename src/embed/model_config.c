/* Reading a model's configuration. See model_config.h.
 *
 * Each number is one row of a table with its member, range and place, so that all are checked alike. */
#include "embed/model_config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

struct number_row {
	const char *name;
	size_t place; /* of a uint32_t in struct model_config */
	uint32_t min, max;
};

#define PLACE(member) offsetof(struct model_config, member)

static const struct number_row numbers[] = {
	{"num_hidden_layers", PLACE(layers), 1, MODEL_LAYERS_MAX},
	{"hidden_size", PLACE(hidden), 1, MODEL_HIDDEN_MAX},
	{"num_attention_heads", PLACE(heads), 1, MODEL_HIDDEN_MAX},
	{"intermediate_size", PLACE(intermediate), 1, MODEL_INTERMEDIATE_MAX},
	{"vocab_size", PLACE(vocabulary), 1, MODEL_VOCABULARY_MAX},
	{"max_position_embeddings", PLACE(positions), 3, MODEL_POSITIONS_MAX},
	{"type_vocab_size", PLACE(types), 1, MODEL_TYPES_MAX},
};

static enum cs_status parse_object(
	struct arena *arena, const char *file, struct slice text, struct json_doc *ret_doc, struct cs_error *err)
{
	struct cs_error json_err;
	struct json_doc doc;
	enum cs_status status = json_parse(arena, text, JSON_LIMITS_DEFAULT, &doc, &json_err);

	if (status != CS_OK) {
		status = status == CS_LIMIT_EXCEEDED ? status : CS_VALIDATION;
		(void)cs_fail(err, status, "%s: %s", file, json_err.text);
		return status;
	}
	if (json_type_of(&doc, 0) != JSON_OBJECT) {
		(void)cs_fail(err, CS_VALIDATION, "%s holds no object", file);
		return CS_VALIDATION;
	}
	*ret_doc = doc;
	return CS_OK;
}

static enum cs_status read_number(
	const struct json_doc *doc, const struct number_row *row, struct model_config *config, struct cs_error *err)
{
	int64_t value;

	if (!json_i64(doc, json_get(doc, 0, slice_cstr(row->name)), &value) || value < row->min || value > row->max)
		return cs_fail(err, CS_VALIDATION, "config.json: %s must be a whole number from %u to %u", row->name,
			row->min, row->max);
	memcpy((char *)config + row->place, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
	return CS_OK;
}

/* A member that, where there, must be this one: anything else is computed otherwise. */
static enum cs_status expect(const struct json_doc *doc, const char *name, struct slice expected, struct cs_error *err)
{
	uint32_t node = json_get(doc, 0, slice_cstr(name));
	struct slice text;

	if (node == JSON_NONE || (json_str(doc, node, &text) && slice_eq(text, expected)))
		return CS_OK;
	return cs_fail(err, CS_VALIDATION, "config.json: %s must be \"" SLICE_FMT "\", others are not computed here",
		name, SLICE_ARG(expected));
}

static enum cs_status read_config(
	struct arena *arena, struct slice text, struct model_config *config, struct cs_error *err)
{
	struct json_doc doc;
	double epsilon = 1e-12;
	enum cs_status status = parse_object(arena, "config.json", text, &doc, err);

	for (size_t i = 0; status == CS_OK && i < sizeof numbers / sizeof *numbers; i++)
		status = read_number(&doc, &numbers[i], config, err);
	if (status == CS_OK)
		status = expect(&doc, "model_type", S("bert"), err);
	if (status == CS_OK)
		status = expect(&doc, "hidden_act", S("gelu"), err);
	if (status == CS_OK)
		status = expect(&doc, "position_embedding_type", S("absolute"), err);
	if (status != CS_OK)
		return status;
	if (config->hidden % config->heads != 0)
		return cs_fail(err, CS_VALIDATION,
			"config.json: hidden_size %u is no multiple of num_attention_heads %u", config->hidden,
			config->heads);
	(void)json_f64(&doc, json_get(&doc, 0, S("layer_norm_eps")), &epsilon);
	if (!(epsilon > 0 && epsilon <= 1))
		return cs_fail(err, CS_VALIDATION, "config.json: layer_norm_eps must lie between 0 and 1");
	config->norm_epsilon = (float)epsilon;
	config->window = config->positions;
	return CS_OK;
}

static bool is_set(const struct json_doc *doc, const char *name)
{
	bool value = false;

	return json_bool(doc, json_get(doc, 0, slice_cstr(name)), &value) && value;
}

static enum cs_status read_pooling(
	struct arena *arena, struct slice text, struct model_config *config, struct cs_error *err)
{
	static const char *const others[] = {
		"pooling_mode_max_tokens",
		"pooling_mode_mean_sqrt_len_tokens",
		"pooling_mode_weightedmean_tokens",
		"pooling_mode_lasttoken",
	};
	struct json_doc doc;
	enum cs_status status = parse_object(arena, "1_Pooling/config.json", text, &doc, err);
	bool cls, mean;

	if (status != CS_OK)
		return status;
	cls = is_set(&doc, "pooling_mode_cls_token");
	mean = is_set(&doc, "pooling_mode_mean_tokens");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (is_set(&doc, others[i]))
			return cs_fail(err, CS_VALIDATION, "1_Pooling/config.json: %s is not computed here", others[i]);
	if (cls == mean)
		return cs_fail(err, CS_VALIDATION,
			"1_Pooling/config.json: exactly one of pooling_mode_cls_token and pooling_mode_mean_tokens "
			"must be "
			"true");
	config->pooling = cls ? POOLING_CLS : POOLING_MEAN;
	return CS_OK;
}

/* Window and case: the model's own file, which knows better than what the weights could do. */
static enum cs_status read_sentence(
	struct arena *arena, struct slice text, struct model_config *config, struct cs_error *err)
{
	struct json_doc doc;
	enum cs_status status = parse_object(arena, "sentence_bert_config.json", text, &doc, err);
	uint32_t node;
	int64_t window;

	if (status != CS_OK)
		return status;
	node = json_get(&doc, 0, S("max_seq_length"));
	if (node == JSON_NONE || json_type_of(&doc, node) == JSON_NULL)
		return CS_OK;
	if (!json_i64(&doc, node, &window) || window < 3 || window > config->positions)
		return cs_fail(err, CS_VALIDATION,
			"sentence_bert_config.json: max_seq_length must be a whole number from 3 to %u",
			config->positions);
	config->window = (uint32_t)window;
	return CS_OK;
}

static enum cs_status read_prefix(const struct json_doc *doc, uint32_t prompts, const char *const names[2],
	struct arena *arena, struct slice *ret_prefix, struct cs_error *err)
{
	struct slice text = {0};

	for (int i = 0; i < 2 && text.len == 0; i++) {
		uint32_t node = json_get(doc, prompts, slice_cstr(names[i]));

		if (node == JSON_NONE || json_type_of(doc, node) == JSON_NULL)
			continue;
		if (!json_str(doc, node, &text) || text.len > MODEL_PREFIX_MAX)
			return cs_fail(err, CS_VALIDATION,
				"config_sentence_transformers.json: prompt \"%s\" must be a string of at most %d bytes",
				names[i], MODEL_PREFIX_MAX);
	}
	text = arena_copy(arena, text);
	if (!text.ptr)
		return cs_fail_memory(err);
	*ret_prefix = text;
	return CS_OK;
}

static enum cs_status read_prompts(
	struct arena *arena, struct slice text, struct model_config *config, struct cs_error *err)
{
	static const char *const query[2] = {"query", "s2p_query"}, *const document[2] = {"document", "passage"};
	struct json_doc doc;
	enum cs_status status = parse_object(arena, "config_sentence_transformers.json", text, &doc, err);
	uint32_t prompts;

	if (status != CS_OK)
		return status;
	prompts = json_get(&doc, 0, S("prompts"));
	if (prompts == JSON_NONE || json_type_of(&doc, prompts) == JSON_NULL)
		return CS_OK;
	if (json_type_of(&doc, prompts) != JSON_OBJECT)
		return cs_fail(err, CS_VALIDATION, "config_sentence_transformers.json: prompts must be an object");
	status = read_prefix(&doc, prompts, query, arena, &config->query_prefix, err);
	if (status == CS_OK)
		status = read_prefix(&doc, prompts, document, arena, &config->document_prefix, err);
	return status;
}

static enum cs_status read_tokenizer(
	struct arena *arena, struct slice text, struct model_config *config, struct cs_error *err)
{
	struct json_doc doc;
	enum cs_status status = parse_object(arena, "tokenizer_config.json", text, &doc, err);

	if (status == CS_OK)
		(void)json_bool(&doc, json_get(&doc, 0, S("do_lower_case")), &config->lowercase);
	return status;
}

enum cs_status model_config_parse(
	struct arena *arena, const struct model_files *files, struct model_config *ret_config, struct cs_error *err)
{
	struct model_config config = {.pooling = POOLING_MEAN, .lowercase = true};
	enum cs_status status = read_config(arena, files->config, &config, err);

	if (status == CS_OK && files->pooling.len > 0)
		status = read_pooling(arena, files->pooling, &config, err);
	if (status == CS_OK && files->sentence.len > 0)
		status = read_sentence(arena, files->sentence, &config, err);
	if (status == CS_OK && files->prompts.len > 0)
		status = read_prompts(arena, files->prompts, &config, err);
	if (status == CS_OK && files->tokenizer.len > 0)
		status = read_tokenizer(arena, files->tokenizer, &config, err);
	if (status == CS_OK)
		*ret_config = config;
	return status;
}

static enum cs_status read_all(
	int fd, struct arena *arena, const char *path, size_t size_max, struct slice *ret_text, struct cs_error *err)
{
	struct stat st;
	size_t got = 0;
	char *text;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return cs_fail(err, CS_VALIDATION, "%s is no regular file", path);
	if ((uint64_t)st.st_size > size_max)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "%s is larger than %zu bytes", path, size_max);
	text = arena_alloc(arena, (size_t)st.st_size);
	if (!text)
		return cs_fail_memory(err);
	while (got < (size_t)st.st_size) {
		ssize_t n = read(fd, text + got, (size_t)st.st_size - got);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s cannot be read: %s", path, strerror(errno));
		got += n > 0 ? (size_t)n : 0;
	}
	*ret_text = slice_of(text, got);
	return CS_OK;
}

enum cs_status model_file_read(struct arena *arena, struct slice directory, const char *name, bool required,
	size_t size_max, struct slice *ret_text, struct cs_error *err)
{
	struct slice path = arena_printf(arena, SLICE_FMT "/%s", SLICE_ARG(directory), name);
	char *file = path.ptr ? arena_cstr(arena, path) : NULL;
	enum cs_status status;
	int fd;

	if (!file)
		return cs_fail_memory(err);
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && !required && (errno == ENOENT || errno == ENOTDIR)) {
		*ret_text = (struct slice){0};
		return CS_OK;
	}
	if (fd < 0)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE,
			"%s cannot be read: %s; `context-store model pull` fetches a model", file, strerror(errno));
	status = read_all(fd, arena, file, size_max, ret_text, err);
	close(fd);
	return status;
}

enum cs_status model_config_read(
	struct arena *arena, struct slice directory, struct model_config *ret_config, struct cs_error *err)
{
	struct model_files files = {0};
	const struct {
		const char *name;
		struct slice *text;
	} rows[] = {
		{"config.json", &files.config},
		{"1_Pooling/config.json", &files.pooling},
		{"sentence_bert_config.json", &files.sentence},
		{"config_sentence_transformers.json", &files.prompts},
		{"tokenizer_config.json", &files.tokenizer},
	};
	enum cs_status status = CS_OK;

	for (size_t i = 0; status == CS_OK && i < sizeof rows / sizeof *rows; i++)
		status = model_file_read(arena, directory, rows[i].name, i == 0, MODEL_FILE_MAX, rows[i].text, err);
	return status == CS_OK ? model_config_parse(arena, &files, ret_config, err) : status;
}
