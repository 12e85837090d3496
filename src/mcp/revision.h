/* What differs between the protocol's revisions, in one table.
 *
 * Two eras. A legacy revision (up to 2025-11-25) opens with `initialize`, which names the revision, and over HTTP lives
 * in a session. The modern one (2026-07-28) has no opening: every request names its revision in params._meta and
 * repeats it in headers. Both are served side by side; code asks for a property of the row, never for a date. Threads:
 * constant. */
#ifndef CS_MCP_REVISION_H
#define CS_MCP_REVISION_H

#include "base/slice.h"

enum revision_id {
	REVISION_2024_11_05,
	REVISION_2025_03_26,
	REVISION_2025_06_18,
	REVISION_2025_11_25,
	REVISION_2026_07_28
};
#define REVISION_COUNT 5

/* How much of a tool a revision's clients know. */
enum tool_form {
	TOOL_FORM_PLAIN,     /* name, description, inputSchema */
	TOOL_FORM_ANNOTATED, /* and annotations */
	TOOL_FORM_FULL,      /* and title, outputSchema */
};
#define TOOL_FORM_COUNT 3

struct revision {
	struct slice name;
	enum tool_form tool_form;
	bool modern;             /* per-request _meta instead of initialize; no sessions; mirrored headers */
	bool batches;            /* a message may be an array of messages */
	bool titles;             /* Implementation.title */
	bool structured_content; /* tools/call results carry the object itself */
	bool complete_results;   /* resultType, and serverInfo (with its title) in each result's _meta */
	bool cache_hints;        /* ttlMs and cacheScope on what may be kept */
	int unknown_method_http;
};

extern const struct revision revision_rows[REVISION_COUNT]; /* oldest first */

/* NULL: not one of ours. */
const struct revision *revision_find(struct slice name);
/* What `initialize` is answered with: the one asked for if it is legacy, else the newest that is. */
const struct revision *revision_negotiate(struct slice asked);

#endif
