/* A tool call as bytes on the wire: POST /mcp in the newest revision of the protocol, or POST /tools/NAME.
 *
 * Threads: plain functions. */
#ifndef CS_BENCH_REQUEST_H
#define CS_BENCH_REQUEST_H

#include "base/buffer.h"
#include "bench/frame.h"

struct request_form {
	bool mcp;
	struct slice host;    /* as the Host header has it */
	struct slice api_key; /* empty: none is sent */
};

/* Appends the request. `arguments` is a JSON object. */
void request_write(struct buffer *out, const struct request_form *, const char *tool, struct slice arguments);
/* A GET of the path. */
void request_write_get(struct buffer *out, const struct request_form *, const char *path);

/* What tells the end and the outcome of its replies. */
enum frame_state (*request_frame(const struct request_form *))(const char *, size_t, size_t *);

#endif
