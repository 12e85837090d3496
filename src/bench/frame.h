/* Where a reply ends and whether it is a good one: as little reading of a reply as a client can do.
 *
 * Three protocols: plain HTTP (good is status 200), a tool call over /mcp (200, and a result that is no error), and the
 * Redis protocol's simple and bulk strings (RESP2), for the baseline. HTTP replies need a Content-Length; a stream or a
 * chunked reply is FRAME_FOREIGN, as is anything that is not of the protocol at all.
 * Threads: plain functions. */
#ifndef CS_BENCH_FRAME_H
#define CS_BENCH_FRAME_H

#include <stddef.h>

enum frame_state { FRAME_PARTIAL, FRAME_GOOD, FRAME_FAILED, FRAME_FOREIGN };

/* *ret_length is the reply's whole length for GOOD and FAILED. */
enum frame_state frame_http(const char *bytes, size_t length, size_t *ret_length);
enum frame_state frame_mcp(const char *bytes, size_t length, size_t *ret_length);
enum frame_state frame_redis(const char *bytes, size_t length, size_t *ret_length);

/* Bytes of the head of a whole HTTP reply, the empty line included. */
size_t frame_head_length(const char *bytes, size_t length);

#endif
