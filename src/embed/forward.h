/* The transformer: token ids in, one pooled vector out for each text.
 *
 * A struct model is what runs: pointers into mapped weights (f32: the model's file; int8: the quantised one, quantize.h),
 * with the same shape for both. A pass looks up embeddings, runs the layers (attention, then the feed-forward network,
 * each added to its input and normalised), and pools. Activations are f32 throughout; with int8 weights each linear layer
 * first turns its input rows into bytes.
 *
 * Texts go through together: linear layers see the tokens of all as rows of one matrix, attention each text by itself. A
 * pass over few tokens spends much of its time on reading the weights, 10 MB of them: together, texts of four tokens take
 * two thirds of the time, of eight six sevenths, and beyond thirty-two nothing more is gained. A text's vector is the same
 * in any company, bit by bit with int8 weights, and in f32 to the last bits.
 *
 * Cost. Scratch memory, the caller's: some 10 KB a token for 384 dimensions. Time is linear in the tokens but
 * for attention. Threads: a model is read-only; each pass uses the calling thread. */
#ifndef CS_EMBED_FORWARD_H
#define CS_EMBED_FORWARD_H

#include "base/op.h"
#include "embed/kernels.h"
#include "embed/model_config.h"
#include "embed/scratch.h"

struct norm {
	const float *weight, *bias;
};

/* One of the two is set, as the model's precision says. */
struct linear {
	struct linear_f32 f32;
	struct linear_i8 i8;
};

/* Where a layer's activations are multiplied by weights: what calibration looks at, and what is quantised. */
enum site { SITE_ATTENTION, SITE_ATTENTION_OUT, SITE_UP, SITE_DOWN, SITE_COUNT };

struct layer {
	/* Query, key and value: three in f32, as the model's file has them; one with 3 * hidden outputs in int8, head
	 * by head its queries, keys and values. */
	struct linear attention[3];
	struct linear attention_out, up, down;
	struct norm attention_norm, output_norm;
};

struct model {
	struct model_config config;
	bool is_int8;
	const void *words;        /* f32: floats [vocabulary][hidden], at any alignment */
	const int8_t *words_i8;   /* int8 */
	const float *words_scale; /* one a word */
	const float *positions;   /* [positions][hidden] */
	const float *type;        /* [hidden], that of the first kind of text */
	struct norm embedding_norm;
	struct layer *layers;
	/* NULL, or [layers][SITE_COUNT] lists of the largest magnitudes that each input reached: written by forward, for
	 * calibration, which runs on one thread. */
	float **largest;
};

struct tokens {
	const uint32_t *ids; /* less than config.vocabulary (asserted) */
	size_t count;        /* 1 to config.positions (asserted) */
};

/* Each text (one at least) gets config.hidden floats of `vectors`, not of unit length. Errors: op_check's,
 * CS_LIMIT_EXCEEDED (memory), CS_VALIDATION (the weights give no finite numbers). */
CS_CHECKED enum cs_status forward(const struct model *, const struct kernels *, struct scratch *, const struct op *,
	const struct tokens *texts, size_t text_count, float *vectors, struct cs_error *);

#endif
