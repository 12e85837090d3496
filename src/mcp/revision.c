/* The rows, after the change log of each revision.
 *
 * 2024-11-05 knows batches by way of JSON-RPC itself; 2025-03-26 requires them and 2025-06-18 takes them away again. It
 * also has no Streamable HTTP, but clients of that age that were given a newer transport do ask for it there, and are
 * served. -32601 answers an id, so its status is 200 where the transport page names none; 2026-07-28 names 404. */
#include "mcp/revision.h"

const struct revision revision_rows[REVISION_COUNT] = {
	[REVISION_2024_11_05] = {.name = SLICE_INIT("2024-11-05"),
		.tool_form = TOOL_FORM_PLAIN,
		.batches = true,
		.unknown_method_http = 200},
	[REVISION_2025_03_26] = {.name = SLICE_INIT("2025-03-26"),
		.tool_form = TOOL_FORM_ANNOTATED,
		.batches = true,
		.unknown_method_http = 200},
	[REVISION_2025_06_18] = {.name = SLICE_INIT("2025-06-18"),
		.tool_form = TOOL_FORM_FULL,
		.titles = true,
		.structured_content = true,
		.unknown_method_http = 200},
	[REVISION_2025_11_25] = {.name = SLICE_INIT("2025-11-25"),
		.tool_form = TOOL_FORM_FULL,
		.titles = true,
		.structured_content = true,
		.unknown_method_http = 200},
	[REVISION_2026_07_28] = {.name = SLICE_INIT("2026-07-28"),
		.tool_form = TOOL_FORM_FULL,
		.modern = true,
		.titles = true,
		.structured_content = true,
		.complete_results = true,
		.cache_hints = true,
		.unknown_method_http = 404},
};

const struct revision *revision_find(struct slice name)
{
	for (int i = REVISION_COUNT - 1; i >= 0; i--)
		if (slice_eq(revision_rows[i].name, name))
			return &revision_rows[i];
	return NULL;
}

const struct revision *revision_negotiate(struct slice asked)
{
	const struct revision *found = revision_find(asked);

	return found && !found->modern ? found : &revision_rows[REVISION_2025_11_25];
}
