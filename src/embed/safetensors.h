/* The safetensors format: eight bytes with a length, that much JSON that names each tensor with type, shape and place,
 * then the data.
 *
 * Refused (CS_VALIDATION, naming the tensor): a length beyond the file or SAFETENSORS_HEADER_MAX, JSON that is none or
 * has a name twice, unknown types, more than TENSOR_RANK_MAX dimensions, a shape that does not fit its place, places
 * that lie outside the file, overlap, or leave a gap (the format allows none, so that nothing can hide in one).
 * Source: the format's description in huggingface/safetensors. Threads: none of it shares anything. */
#ifndef CS_EMBED_SAFETENSORS_H
#define CS_EMBED_SAFETENSORS_H

#include "embed/tensors.h"

#define SAFETENSORS_HEADER_MAX (16u << 20)

/* Views of `file`, which must outlive them; names and the list are in the arena. */
CS_CHECKED enum cs_status safetensors_parse(
	struct arena *, struct slice file, struct tensors *ret_tensors, struct cs_error *);

#endif
