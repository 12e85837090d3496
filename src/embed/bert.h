/* BERT's weights by name: from the tensors of a file to a model that runs in f32.
 *
 * Names are those of PyTorch's modules ("encoder.layer.0.attention.self.query.weight"), with or without "bert." before
 * them. Every tensor must be there, F32, and of the shape that the configuration asks for, with finite
 * numbers only (which reads the whole file: some 17 ms for 90 MB in memory). What lies in the file as it
 * is needed (aligned, [out][in]) is used where it is; other weights are copied (those of an ONNX file: 42 MB for
 * MiniLM), but for the table of words, which is looked up where it is.
 *
 * Errors: CS_VALIDATION (which tensor, what is wrong), CS_LIMIT_EXCEEDED (memory). Threads: as arena. */
#ifndef CS_EMBED_BERT_H
#define CS_EMBED_BERT_H

#include "embed/forward.h"
#include "embed/tensors.h"

/* The model points into the tensors' file and the arena. */
CS_CHECKED enum cs_status bert_bind(struct arena *, const struct tensors *, const struct model_config *,
	struct model *ret_model, struct cs_error *);

#endif
