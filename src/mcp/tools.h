/* The tools: one table from which schemas, validation, /tools, help and docs come.
 *
 * A row names the tool, describes its parameters and results as tables (mcp/schema.h), says how it behaves, and points
 * to its handler. A handler is called with arguments that already fit the input schema; it asks the domain and writes
 * its result object. It writes nothing before its last port call has succeeded, so that a call that would have to wait
 * can be run again from the start (base/op.h). Threads: the table is constant; tool_run on a worker, or on an event
 * loop with op->may_wait = false. */
#ifndef CS_MCP_TOOLS_H
#define CS_MCP_TOOLS_H

#include "base/json.h"
#include "base/op.h"
#include "store/store.h"

struct field; /* mcp/schema.h */

struct tool_call {
	struct op *op;
	struct store *store;
	const struct json_doc *doc;
	uint32_t arguments; /* an object in doc, or JSON_NONE for none */
	struct json_writer *out;
	bool answered; /* a handler that fails has written the failure object itself */
};

struct tool {
	const char *name;
	const char *title;
	const char *description;   /* two sentences, written for a model */
	const struct field *input; /* ends with a NULL name */
	const struct field *output;
	bool read_only, destructive, idempotent; /* annotations; openWorldHint is false for all */
	bool from_memory;                        /* may be tried on an event loop */
	enum role least_role;
	bool human_only; /* refused to agent keys when keys are configured */
	enum cs_status (*run)(struct tool_call *, struct cs_error *);
};

extern const struct tool tool_rows[];
extern const size_t tool_row_count;

const struct tool *tool_find(struct slice name); /* NULL: unknown */
/* The known name nearest to a mistyped one, or NULL. */
const char *tool_nearest(struct slice name);

/* Where calls go: the store of this process, opened by the first call that needs it, or the process that owns it. */
struct tool_host {
	void *self;
	/* *ret_store: the open store, or NULL when another process owns the data directory (then forward). May take
	 * long the first time: with op->may_wait = false it gives what is open already, or CS_WOULD_WAIT. */
	enum cs_status (*acquire)(void *self, struct op *, struct store **ret_store, struct cs_error *);
	/* Lets the owner run it; its result object is appended to out; returns the status its error_type stands for. */
	enum cs_status (*forward)(void *self, struct op *, const struct tool *, struct slice arguments,
		struct buffer *out, struct cs_error *);
};

/* Validates, runs (or forwards), measures. Appends exactly one JSON object to out: the result, or
 * {"success":false,"error_type":...,"message":...}; the return value tells which. CS_WOULD_WAIT: nothing was appended.
 */
CS_CHECKED enum cs_status tool_run(const struct tool_host *, struct op *, const struct tool *, const struct json_doc *,
	uint32_t arguments, struct buffer *out);

/* {"name","title","description","inputSchema","outputSchema","annotations"} of one tool. */
void tool_write(struct json_writer *, const struct tool *);
/* The failure object above, with `version` where the status is CS_VERSION_CONFLICT, and with `backend`, `since` and
 * `next_try` where a server is left alone. */
void tool_write_failure(struct json_writer *, const struct cs_error *);

/* docs/reference/tools.md, from the table. */
void tools_write_reference(struct buffer *out);

#endif
