/* Named arrays of numbers in a file of weights, as the two readers (safetensors.h, onnx.h) find them.
 *
 * A tensor is a view: its data lies in the file's bytes, at any alignment, and dies with them. Readers check what is
 * said of it (shape against size, size against file), so whoever has a tensor may read all of it. Only F32 is read on;
 * other types are listed so that an error can name them. A weight of a linear layer is [out][in] in PyTorch and
 * [in][out] in an ONNX graph: `transposed` says the latter.
 *
 * Threads: read-only. */
#ifndef CS_EMBED_TENSORS_H
#define CS_EMBED_TENSORS_H

#include "base/arena.h"
#include "base/error.h"

#define TENSOR_RANK_MAX   8
#define TENSORS_MAX       65536
#define TENSOR_NAME_MAX   512
#define TENSOR_VALUES_MAX ((uint64_t)1 << 40)

struct tensor {
	struct slice name; /* of PyTorch's module, "encoder.layer.0.output.dense.weight", in both formats */
	struct slice type; /* "F32", "I64", ... */
	bool is_f32;
	bool transposed;
	uint32_t rank;
	uint64_t shape[TENSOR_RANK_MAX];
	const uint8_t *data;
	size_t size; /* bytes */
};

struct tensors {
	struct tensor *items;
	size_t count;
};

/* The tensor with this name, or NULL. Linear. */
const struct tensor *tensors_find(const struct tensors *, struct slice name);

/* Values that shape stands for; false if they are more than TENSOR_VALUES_MAX. */
bool tensor_values(const uint64_t *shape, uint32_t rank, uint64_t *ret_values);

/* A matrix is seen as PyTorch has it: [rows][columns], whatever the file's order; a vector is one row. */
uint64_t tensor_rows(const struct tensor *);
uint64_t tensor_columns(const struct tensor *);
void tensor_copy_row(const struct tensor *, size_t row, float *to);
/* Of an F32 tensor: no infinity in it, and nothing that is no number. Reads all of it. */
bool tensor_is_finite(const struct tensor *);

#endif
