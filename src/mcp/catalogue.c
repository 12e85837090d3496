/* Made by writing each tool in full, reading that back and leaving members out, so that the table of tools is described
 * in one place only (tools.h) and knows no revisions. */
#include "mcp/catalogue.h"

#include "mcp/tools.h"

#define LIST_BYTES_MAX (1u << 20)

static bool is_listed(enum tool_form form, struct slice member)
{
	if (slice_eq(member, S("title")) || slice_eq(member, S("outputSchema")))
		return form >= TOOL_FORM_FULL;
	if (slice_eq(member, S("annotations")))
		return form >= TOOL_FORM_ANNOTATED;
	return true;
}

static enum cs_status write_form(struct buffer *out, enum tool_form form, struct slice tool, struct cs_error *err)
{
	struct arena arena;
	struct json_doc doc;
	struct json_writer w = json_writer(out);
	enum cs_status status;

	arena_init(&arena, NULL, 0, LIST_BYTES_MAX);
	status = json_parse(&arena, tool, JSON_LIMITS_DEFAULT, &doc, err);
	if (status == CS_OK) {
		json_begin_object(&w);
		for (uint32_t v = json_first(&doc, 0); v != JSON_NONE; v = json_next(&doc, 0, v)) {
			if (!is_listed(form, json_key(&doc, v)))
				continue;
			json_write_key(&w, json_key(&doc, v));
			json_write_node(&w, &doc, v);
		}
		json_end_object(&w);
	}
	arena_release(&arena);
	return status;
}

static enum cs_status add_tool(struct catalogue *catalogue, const struct tool *tool, struct cs_error *err)
{
	struct buffer text;
	struct json_writer w;
	enum cs_status status;

	buffer_init(&text, LIST_BYTES_MAX);
	w = json_writer(&text);
	tool_write(&w, tool);
	status = buffer_status(&text, err);
	for (int form = 0; form < TOOL_FORM_COUNT && status == CS_OK; form++) {
		struct buffer *list = &catalogue->lists[form];

		buffer_byte(list, list->len == 0 ? '[' : ',');
		status = write_form(list, form, buffer_slice(&text), err);
	}
	buffer_release(&text);
	return status;
}

enum cs_status catalogue_init(struct catalogue *catalogue, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (int form = 0; form < TOOL_FORM_COUNT; form++)
		buffer_init(&catalogue->lists[form], LIST_BYTES_MAX);
	for (size_t i = 0; i < tool_row_count && status == CS_OK; i++)
		status = add_tool(catalogue, &tool_rows[i], err);
	for (int form = 0; form < TOOL_FORM_COUNT && status == CS_OK; form++) {
		buffer_append(&catalogue->lists[form], tool_row_count ? S("]") : S("[]"));
		status = buffer_status(&catalogue->lists[form], err);
	}
	if (status)
		catalogue_release(catalogue);
	return status;
}

void catalogue_release(struct catalogue *catalogue)
{
	for (int form = 0; form < TOOL_FORM_COUNT; form++)
		buffer_release(&catalogue->lists[form]);
}
