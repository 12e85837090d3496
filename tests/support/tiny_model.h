/* A BERT model of random weights, small enough to compute by hand, as a directory of its own.
 *
 * Sizes are chosen so that nothing fits a vector or a block: 20 dimensions in 2 heads, 37 inner ones, 3 layers. The
 * tensors stay in memory for a reference to compute with. Included once a program. */
#ifndef CS_TESTS_TINY_MODEL_H
#define CS_TESTS_TINY_MODEL_H

#include <assert.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"

#define TINY_LAYERS       3
#define TINY_HIDDEN       20
#define TINY_HEADS        2
#define TINY_INTERMEDIATE 37
#define TINY_VOCABULARY   40
#define TINY_POSITIONS    24
#define TINY_TENSORS      (5 + TINY_LAYERS * 16)

struct tiny_tensor {
	char name[96];
	size_t rows, columns; /* rows = 0: a vector */
	float *values;
};

static struct {
	char directory[64];
	struct tiny_tensor tensors[TINY_TENSORS];
	size_t count;
	uint64_t random;
} tiny;

static inline size_t tiny_values(const struct tiny_tensor *t)
{
	return (t->rows ? t->rows : 1) * t->columns;
}

/* -1 to 1. */
static inline float tiny_random(void)
{
	tiny.random = tiny.random * 6364136223846793005u + 1442695040888963407u;
	return (float)((double)(int32_t)(tiny.random >> 32) / 2147483648.0);
}

static inline const float *tiny_find(const char *name)
{
	for (size_t i = 0; i < tiny.count; i++)
		if (strcmp(tiny.tensors[i].name, name) == 0)
			return tiny.tensors[i].values;
	fprintf(stderr, "no tensor %s\n", name);
	abort();
}

static inline void tiny_add(const char *name, size_t rows, size_t columns, float centre, float spread)
{
	struct tiny_tensor *t = &tiny.tensors[tiny.count++];

	assert(tiny.count <= TINY_TENSORS);
	snprintf(t->name, sizeof t->name, "%s", name);
	t->rows = rows;
	t->columns = columns;
	t->values = malloc(tiny_values(t) * sizeof *t->values);
	assert(t->values);
	for (size_t i = 0; i < tiny_values(t); i++)
		t->values[i] = centre + spread * tiny_random();
}

static inline void tiny_add_layer(size_t layer)
{
	static const struct {
		const char *name;
		size_t in, out;
	} linears[] = {
		{"attention.self.query", TINY_HIDDEN, TINY_HIDDEN},
		{"attention.self.key", TINY_HIDDEN, TINY_HIDDEN},
		{"attention.self.value", TINY_HIDDEN, TINY_HIDDEN},
		{"attention.output.dense", TINY_HIDDEN, TINY_HIDDEN},
		{"intermediate.dense", TINY_HIDDEN, TINY_INTERMEDIATE},
		{"output.dense", TINY_INTERMEDIATE, TINY_HIDDEN},
	};
	static const char *const norms[] = {"attention.output.LayerNorm", "output.LayerNorm"};
	char name[96];

	for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
		snprintf(name, sizeof name, "encoder.layer.%zu.%s.weight", layer, linears[i].name);
		tiny_add(name, linears[i].out, linears[i].in, 0, 0.4f);
		snprintf(name, sizeof name, "encoder.layer.%zu.%s.bias", layer, linears[i].name);
		tiny_add(name, 0, linears[i].out, 0, 0.2f);
	}
	for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
		snprintf(name, sizeof name, "encoder.layer.%zu.%s.weight", layer, norms[i]);
		tiny_add(name, 0, TINY_HIDDEN, 1, 0.3f);
		snprintf(name, sizeof name, "encoder.layer.%zu.%s.bias", layer, norms[i]);
		tiny_add(name, 0, TINY_HIDDEN, 0, 0.3f);
	}
}

static inline char *tiny_path(const char *name)
{
	static char path[160];

	snprintf(path, sizeof path, "%s/%s", tiny.directory, name);
	return path;
}

static inline void tiny_write(const char *name, const void *bytes, size_t size)
{
	FILE *file = fopen(tiny_path(name), "wb");

	assert(file && fwrite(bytes, 1, size, file) == size);
	assert(fclose(file) == 0);
}

/* The tensors as safetensors: header and data. */
static inline void tiny_safetensors(struct buffer *out)
{
	struct buffer header;
	size_t offset = 0;
	uint64_t length;

	buffer_init(&header, 1u << 20);
	buffer_append(&header, S("{\"__metadata__\":{\"format\":\"pt\"}"));
	for (size_t i = 0; i < tiny.count; i++) {
		const struct tiny_tensor *t = &tiny.tensors[i];
		size_t size = tiny_values(t) * sizeof(float);

		buffer_printf(&header, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", t->name);
		if (t->rows)
			buffer_printf(&header, "%zu,", t->rows);
		buffer_printf(&header, "%zu],\"data_offsets\":[%zu,%zu]}", t->columns, offset, offset + size);
		offset += size;
	}
	buffer_byte(&header, '}');
	while (header.len % 8)
		buffer_byte(&header, ' ');
	length = header.len;
	buffer_append(out, slice_of((const char *)&length, sizeof length));
	buffer_append(out, buffer_slice(&header));
	for (size_t i = 0; i < tiny.count; i++)
		buffer_append(out,
			slice_of((const char *)tiny.tensors[i].values, tiny_values(&tiny.tensors[i]) * sizeof(float)));
	assert(!out->failed && !header.failed);
	buffer_release(&header);
}

static inline void tiny_write_weights(void)
{
	struct buffer file;

	buffer_init(&file, 16u << 20);
	tiny_safetensors(&file);
	tiny_write("model.safetensors", file.ptr, file.len);
	buffer_release(&file);
}

static inline void tiny_write_config(const char *more)
{
	char text[1024];
	int n = snprintf(text, sizeof text,
		"{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":%d,\"intermediate_size\":%d,"
		"\"layer_norm_eps\":1e-12,\"max_position_embeddings\":%d,\"num_attention_heads\":%d,"
		"\"num_hidden_layers\":%d,\"type_vocab_size\":2,\"vocab_size\":%d%s}",
		TINY_HIDDEN, TINY_INTERMEDIATE, TINY_POSITIONS, TINY_HEADS, TINY_LAYERS, TINY_VOCABULARY, more);

	tiny_write("config.json", text, (size_t)n);
}

/* Ids 0 to 3 are the special tokens, 4 to 29 the letters, 30 to 39 the digits. */
static inline void tiny_write_vocabulary(void)
{
	struct buffer text;

	buffer_init(&text, 4096);
	buffer_append(&text, S("[PAD]\n[UNK]\n[CLS]\n[SEP]\n"));
	for (char c = 'a'; c <= 'z'; c++)
		buffer_printf(&text, "%c\n", c);
	for (char c = '0'; c <= '9'; c++)
		buffer_printf(&text, "%c\n", c);
	tiny_write("vocab.txt", text.ptr, text.len);
	buffer_release(&text);
}

static inline void tiny_make(uint64_t seed)
{
	char name[] = "/tmp/tiny-model-XXXXXX";

	tiny.random = seed;
	tiny.count = 0;
	assert(mkdtemp(name));
	snprintf(tiny.directory, sizeof tiny.directory, "%s", name);
	tiny_add("embeddings.word_embeddings.weight", TINY_VOCABULARY, TINY_HIDDEN, 0, 1);
	tiny_add("embeddings.position_embeddings.weight", TINY_POSITIONS, TINY_HIDDEN, 0, 0.5f);
	tiny_add("embeddings.token_type_embeddings.weight", 2, TINY_HIDDEN, 0, 0.5f);
	tiny_add("embeddings.LayerNorm.weight", 0, TINY_HIDDEN, 1, 0.3f);
	tiny_add("embeddings.LayerNorm.bias", 0, TINY_HIDDEN, 0, 0.3f);
	for (size_t i = 0; i < TINY_LAYERS; i++)
		tiny_add_layer(i);
	tiny_write_weights();
	tiny_write_config("");
	tiny_write_vocabulary();
}

static inline int tiny_remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline void tiny_remove(void)
{
	for (size_t i = 0; i < tiny.count; i++)
		free(tiny.tensors[i].values);
	tiny.count = 0;
	nftw(tiny.directory, tiny_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
