/* Any texts as a model's configuration: refused with a known error, or all that is said lies within its ceilings.
 *
 * The input is cut at zero bytes into the five files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "embed/model_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz_model_config: %s\n", what);
	abort();
}

static void check_config(const struct model_config *c)
{
	check(c->layers >= 1 && c->layers <= MODEL_LAYERS_MAX, "layers");
	check(c->hidden >= 1 && c->hidden <= MODEL_HIDDEN_MAX && c->hidden % c->heads == 0, "hidden");
	check(c->intermediate >= 1 && c->intermediate <= MODEL_INTERMEDIATE_MAX, "intermediate");
	check(c->vocabulary >= 1 && c->vocabulary <= MODEL_VOCABULARY_MAX, "vocabulary");
	check(c->positions <= MODEL_POSITIONS_MAX && c->window >= 3 && c->window <= c->positions, "window");
	check(c->norm_epsilon >= 0 && c->norm_epsilon <= 1, "epsilon");
	check(c->query_prefix.len <= MODEL_PREFIX_MAX && c->document_prefix.len <= MODEL_PREFIX_MAX, "prefix");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size);
	struct model_files files;
	struct model_config config;
	struct arena arena;
	struct cs_error err;

	files.config = slice_cut(&rest, '\0');
	files.pooling = slice_cut(&rest, '\0');
	files.sentence = slice_cut(&rest, '\0');
	files.prompts = slice_cut(&rest, '\0');
	files.tokenizer = slice_cut(&rest, '\0');
	arena_init(&arena, NULL, 0, 64u << 20);
	if (model_config_parse(&arena, &files, &config, &err) == CS_OK)
		check_config(&config);
	else
		check(err.status == CS_VALIDATION || err.status == CS_LIMIT_EXCEEDED, "an unknown error");
	arena_release(&arena);
	return 0;
}
