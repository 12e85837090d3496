/* What tests and benchmarks see of an encoder besides encoder.h: a pass over given token ids. */
#ifndef CS_EMBED_ENCODER_INTERNAL_H
#define CS_EMBED_ENCODER_INTERNAL_H

#include "embed/encoder.h"

/* One window, [CLS] and [SEP] included, to a vector of unit length; `vector` is room for the dimension's floats. */
CS_CHECKED enum cs_status encoder_run_ids(
	const struct encoder *, const struct op *, const uint32_t *ids, size_t count, float *vector, struct cs_error *);

#endif
