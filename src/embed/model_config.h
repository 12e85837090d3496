/* What a model's own files say of it: config.json (required), and of sentence-transformers' files those that are there:
 * 1_Pooling/config.json, sentence_bert_config.json, config_sentence_transformers.json, tokenizer_config.json.
 *
 * Without a pooling file the mean of all tokens is taken. Refused (CS_VALIDATION, naming file and member): values that
 * are missing, of the wrong type or beyond the ceilings below, a width that the heads do not divide, and whatever this
 * encoder does not compute (another architecture, relative positions, an activation but GELU, max pooling): a wrong
 * vector is worse than none.
 *
 * Threads: none of it shares anything. */
#ifndef CS_EMBED_MODEL_CONFIG_H
#define CS_EMBED_MODEL_CONFIG_H

#include "base/arena.h"
#include "base/error.h"

#define MODEL_LAYERS_MAX       64
#define MODEL_HIDDEN_MAX       4096
#define MODEL_INTERMEDIATE_MAX 16384
#define MODEL_VOCABULARY_MAX   1000000
#define MODEL_POSITIONS_MAX    8192
#define MODEL_TYPES_MAX        16
#define MODEL_PREFIX_MAX       1024       /* bytes */
#define MODEL_FILE_MAX         (1u << 20) /* bytes of one configuration file */

enum pooling { POOLING_MEAN, POOLING_CLS };

struct model_config {
	uint32_t layers, hidden, heads, intermediate;
	uint32_t vocabulary, positions, types;
	float norm_epsilon;
	enum pooling pooling;
	uint32_t window; /* tokens, [CLS] and [SEP] counted; at most positions */
	bool lowercase;
	struct slice query_prefix, document_prefix; /* in the arena; empty: none */
};

/* The files' texts; an empty slice stands for a file that is not there. */
struct model_files {
	struct slice config;
	struct slice pooling;
	struct slice sentence;
	struct slice prompts;
	struct slice tokenizer;
};

CS_CHECKED enum cs_status model_config_parse(
	struct arena *, const struct model_files *, struct model_config *ret_config, struct cs_error *);

/* Reads the files of the directory. CS_EMBEDDING_UNAVAILABLE: no such directory, or no config.json in it. */
CS_CHECKED enum cs_status model_config_read(
	struct arena *, struct slice directory, struct model_config *ret_config, struct cs_error *);

/* The text of a file in the directory, in the arena; an empty slice if it is not there and not required. Larger than
 * size_max is CS_LIMIT_EXCEEDED. */
CS_CHECKED enum cs_status model_file_read(struct arena *, struct slice directory, const char *name, bool required,
	size_t size_max, struct slice *ret_text, struct cs_error *);

#endif
