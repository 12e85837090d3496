/* What is said to an OpenAI-compatible server of embeddings, and what it answers: POST /v1/embeddings.
 *
 * The request is {"model", "input": [...], "encoding_format": "float", "dimensions"?}. A reply is believed only when all
 * of it holds: as many vectors as texts, each with its own `index` (or none with one: then they stand in order), all of
 * one dimension, each number finite as a float, no vector of zeros. Vectors are made unit length here, because not
 * every server does. What is wrong is said in words for whoever runs that server.
 *
 * Reference: OpenAI API, "Create embeddings". Spoken by Ollama, llama.cpp, Text Embeddings Inference, vLLM.
 * Threads: none of it shares anything. */
#ifndef CS_REMOTE_EMBED_REPLY_H
#define CS_REMOTE_EMBED_REPLY_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* An empty text is sent as one space: servers refuse "". dimensions 0 leaves the member out. Texts are valid UTF-8. */
void embed_request_write(
	struct buffer *out, struct slice model, uint32_t dimensions, const struct slice *texts, size_t count);

struct embed_reply {
	float *vectors; /* count * dimension, in the order of the texts; in the arena */
	uint32_t dimension;
	uint64_t tokens; /* of all texts together; 0: the server does not say */
};

/* `dimension` 0 takes any. Errors: EMBEDDING_UNAVAILABLE (what is wrong with it), LIMIT_EXCEEDED (memory). */
CS_CHECKED enum cs_status embed_reply_parse(struct arena *, struct slice body, size_t count, uint32_t dimension,
	struct embed_reply *ret_reply, struct cs_error *);

/* What a reply of failure says of its reason: {"error": {"message"}}, {"error": ""}, {"message"}, {"detail"}. One line
 * of printable text, cut to `size`; "" where it says nothing, or repeats the secret. */
void embed_reply_reason(struct slice body, struct slice secret, char *text, size_t size);

#endif
