/* A BERT encoder: text in, one vector of unit length out. No Python, no runtime, no service.
 *
 * A model is a directory: the weights (model.safetensors, or the initialisers of an ONNX file), vocab.txt, config.json
 * (depth, width, heads, activation, window) and, where there, the sentence-transformers files that say how to pool
 * (1_Pooling/config.json: mean or CLS) and which prefixes queries and documents get. All are checked before use: sizes, offsets, types, names, shapes,
 * and that every weight is a finite number. Weights are mapped, not copied.
 *
 * Precision. F32 is the reference. INT8 multiplies activations of 8 bits (one scale a token, found at run time) with weights of 8
 * bits (one scale a channel), attention with 16 (embed/attention.h), and keeps LayerNorm, exponentials and GELU in f32. The weights are quantised once into a file beside the
 * model, with a checksum and the model's hash, and mapped from then on; a damaged one is made again; a directory that cannot be
 * written to gets an in-memory copy. Kernels are chosen at run time (embed/kernels.h).
 *
 * Windows. A model sees encoder_window(tokens) at a time, [CLS] and [SEP] counted. A longer text is cut into windows, each is
 * encoded, and the vectors are averaged by their number of tokens and made unit length again: nothing is silently cut.
 *
 * Owner: encoder_close. Threads: open and close from one; encode from any, each call uses one thread and scratch memory that is kept for the next.
 * Sources: Vaswani et al. 2017, Devlin et al. 2018, Reimers and Gurevych 2019; safetensors and ONNX file formats. */
#ifndef CS_EMBED_ENCODER_H
#define CS_EMBED_ENCODER_H

#include "base/op.h"

struct encoder;

enum encoder_precision { ENCODER_INT8, ENCODER_F32 };

struct encoder_options {
	enum encoder_precision precision;
	uint32_t window; /* tokens; 0: the model's own (sentence_bert_config.json, else config.json) */
	bool first_window_only; /* [CLS] and the first window-1 pieces, as some published vectors were made; [SEP] only if it fits */
};

/* Errors: CS_EMBEDDING_UNAVAILABLE (no such directory or file, with what to do), CS_VALIDATION (what is wrong in which file). */
CS_CHECKED enum cs_status encoder_open(
	struct slice directory, const struct encoder_options *, struct encoder **ret_encoder, struct cs_error *);
void encoder_close(struct encoder *);

uint32_t encoder_dimension(const struct encoder *);
uint32_t encoder_window(const struct encoder *);
size_t encoder_bytes(const struct encoder *); /* of weights, mapped or in memory, and what stands beside them */
struct slice encoder_model_hash(const struct encoder *); /* hex SHA-256 of the weights file */
const char *encoder_kernel(const struct encoder *);      /* "avx512vnni", "avxvnni", "avx2", "neon", "scalar" */

enum encoder_kind { ENCODER_DOCUMENT, ENCODER_QUERY }; /* which prefix, where the model has one */

struct encoded {
	float *vector;       /* dimension floats of unit length, in op->arena */
	uint32_t tokens;     /* pieces of the text that were used, without special tokens */
	uint32_t tokens_all; /* pieces the text has; more than tokens only with first_window_only */
	uint32_t windows;
};

/* All or nothing. Short texts together take less time than one after the other; a vector is the same either way. Checks
 * op_check between layers. Empty text is encoded as no pieces ([CLS][SEP]). Errors: CS_VALIDATION (UTF-8), CS_TIMEOUT,
 * CS_LIMIT_EXCEEDED. */
CS_CHECKED enum cs_status encoder_encode(const struct encoder *, struct op *, enum encoder_kind,
	const struct slice *texts, size_t count, struct encoded *ret_encoded, struct cs_error *);

#endif
