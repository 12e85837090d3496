/* The answer to tools/list, made once: the array of tools in each form that a revision's clients know.
 *
 * Tools do not change while the program runs, so listing them is copying bytes. 2024-11-05 gets name, description and
 * inputSchema; 2025-03-26 annotations too; later ones all that tool_write gives.
 * Owner: catalogue_release. Threads: read-only once made. */
#ifndef CS_MCP_CATALOGUE_H
#define CS_MCP_CATALOGUE_H

#include "base/buffer.h"
#include "mcp/revision.h"

struct catalogue {
	struct buffer lists[TOOL_FORM_COUNT]; /* JSON arrays */
};

CS_CHECKED enum cs_status catalogue_init(struct catalogue *, struct cs_error *);
void catalogue_release(struct catalogue *);

#endif
