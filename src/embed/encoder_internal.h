/* What encoder.c opens and encode.c runs; and, for tests and benchmarks, a pass over given token ids. */
#ifndef CS_EMBED_ENCODER_INTERNAL_H
#define CS_EMBED_ENCODER_INTERNAL_H

#include "embed/encoder.h"
#include "embed/mapped.h"
#include "embed/quantize.h"
#include "embed/tokenizer.h"

#define ENCODER_SPECIAL_TOKENS 2 /* [CLS] and [SEP] */

struct encoder {
	struct arena arena;
	struct mapped weights; /* f32 */
	struct quantized quantized;
	struct model model;
	const struct kernels *kernels;
	struct scratch_pool *scratch; /* apart from what is read-only once open */
	struct tokenizer *tokenizer;
	struct token_ids prefixes[2]; /* by enum encoder_kind */
	uint32_t window;
	bool first_window_only;
	char sha256[SHA256_HEX_SIZE];
};

/* One window, [CLS] and [SEP] included, to a vector of unit length; `vector` is room for the dimension's floats. */
CS_CHECKED enum cs_status encoder_run_ids(
	const struct encoder *, const struct op *, const uint32_t *ids, size_t count, float *vector, struct cs_error *);

#endif
