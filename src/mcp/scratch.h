/* A buffer each thread keeps for the object a tool writes, so that a call answered from memory allocates nothing.
 *
 * One at a time a thread: take, use, give back. What grew beyond SCRATCH_KEPT_BYTES is freed when given back, the rest
 * when the thread ends. */
#ifndef CS_MCP_SCRATCH_H
#define CS_MCP_SCRATCH_H

#include "base/buffer.h"

#define SCRATCH_KEPT_BYTES (64u << 10)

struct buffer *scratch_take(size_t ceiling); /* empty */
void scratch_give(struct buffer *);

#endif
