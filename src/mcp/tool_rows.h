/* What each tool's file gives to the table in tools.c, and what handlers share.
 *
 * A new tool is a file tool_<name>.c with its two field tables and its handler, three lines here, and a row in tools.c.
 */
#ifndef CS_MCP_TOOL_ROWS_H
#define CS_MCP_TOOL_ROWS_H

#include "mcp/schema.h"
#include "mcp/tools.h"

/* The members every result has: success first, those of a failure last. */
#define OUTPUT_SUCCESS                                                                                                 \
	{                                                                                                              \
		.name = "success", .help = "", .kind = FIELD_BOOLEAN, .required = true                                 \
	}
#define OUTPUT_FAILURE                                                                                                 \
	{.name = "message", .help = "", .kind = FIELD_STRING},                                                         \
		{.name = "error_type", .help = "", .kind = FIELD_STRING},                                              \
		{.name = "backend", .help = "The server that does not answer", .kind = FIELD_STRING},                  \
		{.name = "since", .help = "When it last stopped answering", .kind = FIELD_STRING},                     \
	{                                                                                                              \
		.name = "next_try", .help = "When it is asked again", .kind = FIELD_STRING                             \
	}

extern const struct field store_context_input[], store_context_output[];
enum cs_status store_context_run(struct tool_call *, struct cs_error *);

extern const struct field retrieve_context_input[], retrieve_context_output[];
enum cs_status retrieve_context_run(struct tool_call *, struct cs_error *);

extern const struct field update_scratchpad_input[], update_scratchpad_output[];
enum cs_status update_scratchpad_run(struct tool_call *, struct cs_error *);

extern const struct field get_agent_state_input[], get_agent_state_output[];
enum cs_status get_agent_state_run(struct tool_call *, struct cs_error *);

extern const struct field delete_context_input[], delete_context_output[];
enum cs_status delete_context_run(struct tool_call *, struct cs_error *);

extern const struct field forget_context_input[], forget_context_output[];
enum cs_status forget_context_run(struct tool_call *, struct cs_error *);

extern const char *const prefix_names[]; /* by enum kv_prefix; ends with NULL */
/* (agent_id, prefix, key) of checked arguments. */
struct kv_key tool_kv_key(const struct tool_call *, enum kv_prefix fallback);
/* "agent:{agent_id}:{prefix}:{key}" as a JSON string. */
void tool_write_namespaced(struct json_writer *, const struct kv_key *, struct slice key);

/* Opens the failure object and writes its known members; the handler adds its own, ends it, and sets call->answered. */
void tool_begin_failure(struct json_writer *, enum cs_status, const struct cs_error *);

#endif
