/* A model's weights as bytes: made once from f32, kept in a file beside the model, mapped from then on.
 *
 * Each output channel of a linear layer gets a scale, and each word of the table one, its largest magnitude / 127.
 * Activations are quantised when they come (kernels.h); their trouble is that a few inputs are a hundred times larger
 * than the rest and take the steps with them. So the load is shared before (SmoothQuant, Xiao et al. 2023): input i of a
 * layer is divided by s[i] and its weights are multiplied by it, s[i] = sqrt(largest |x[i]| / largest |w[i]|). How large
 * inputs become is found by running the f32 model once over sequences of random words, which was as good as running it
 * over text, and needs none. The worst cosine between int8 and f32 of 104 texts rose from 0.992 to 0.998.
 *
 * Weights of a chunk of inputs keep limits together, for the sake of AVX2 (kernels.h). So a channel's scale is not simply
 * its largest weight / 127 but the one that gives the least square error, found by trying; what is still over a limit is
 * brought back to it where that costs least. Over 778 documents this took the worst cosine from 0.9987 to 0.998, and a
 * third of the time off AVX2.
 *
 * The file (little endian; every section begins at a multiple of 64 bytes):
 *
 *     header     struct quantized_header, below; with a hash of itself and one of all that follows (XXH3, 64 bits)
 *     words      int8 [vocabulary][hidden]; f32 scale [vocabulary]
 *     f32        positions [positions][hidden], token type 0 [hidden], embedding norm weight and bias [hidden]
 *     a layer    query-key-value (head by head, its queries, keys and values), attention output, up, down: each int8 weights packed as kernels.h says, then f32 scale,
 *                sum, bias (outputs rounded up to 16) and smooth (inputs; 1 / s); then two norms, weight and bias
 *
 * There are no offsets in it: sizes follow from the header's counts, so that nothing in the file can point outside. A
 * file that is not of this version, of these counts, of this source (size and time of change), or whose hashes are
 * wrong, is made anew.
 *
 * Owner: quantized_release. Threads: read-only once made. */
#ifndef CS_EMBED_QUANTIZE_H
#define CS_EMBED_QUANTIZE_H

#include "base/sha256.h"
#include "embed/forward.h"
#include "embed/mapped.h"

#define QUANTIZED_MAGIC   "CSINT8\r\n"
#define QUANTIZED_VERSION 3

struct quantized_header {
	char magic[8];
	uint32_t version;
	uint32_t header_size;
	uint32_t layers, hidden, heads, intermediate, vocabulary, positions;
	uint64_t file_size;
	uint64_t source_size;
	int64_t source_modified_ns;
	char source_sha256[SHA256_HEX_SIZE];
	char unused[7]; /* 0 */
	uint64_t body_hash;
	uint64_t header_hash; /* of all bytes before it */
};

/* What a quantised model is made from. */
struct quantize_source {
	const struct model *model; /* f32 */
	size_t size;               /* of its file */
	int64_t modified_ns;
	const char *sha256; /* hex */
	uint32_t cls, sep;  /* ids, for calibration */
};

struct quantized {
	struct mapped file; /* or, when it could not be written: */
	uint8_t *memory;
	size_t memory_bytes;
	struct layer *layers;
	struct model model;
	char sha256[SHA256_HEX_SIZE];
};

/* Maps the file and checks it. CS_EMBEDDING_UNAVAILABLE: not there; CS_VALIDATION: damaged or not made from a source of
 * this size and time for this configuration. */
CS_CHECKED enum cs_status quantized_open(const char *path, const struct model_config *, size_t source_size,
	int64_t source_modified_ns, struct quantized *ret_quantized, struct cs_error *);
/* Quantises, writes the file under a temporary name, renames and maps it; *ret_saved is false where that failed, and
 * what was made is kept in memory. Errors: CS_VALIDATION (weights that are not finite), CS_LIMIT_EXCEEDED (memory),
 * op_check's. */
CS_CHECKED enum cs_status quantized_make(const char *path, const struct quantize_source *, const struct kernels *,
	const struct op *, struct quantized *ret_quantized, bool *ret_saved, struct cs_error *);
void quantized_release(struct quantized *);

#endif
