/* docs/reference/tools.md, from the same tables clients get their schemas from. A test compares it with the file. */
#include "mcp/tool_rows.h"

static void write_cell(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buffer_byte(out, '\\');
		buffer_byte(out, *text);
	}
}

static void write_bounds(struct buffer *out, const struct field *field)
{
	const char *unit = field->kind == FIELD_STRING ? " characters" : field->kind == FIELD_ARRAY ? " elements" : "";

	if (field->pattern) {
		buffer_printf(out, " `%s`", field->pattern->regex);
	} else if (field->values) {
		for (const char *const *value = field->values; *value; value++)
			buffer_printf(out, "%s`%s`", value == field->values ? " " : ", ", *value);
	} else if (field->kind == FIELD_NAME) {
		buffer_printf(out, " 1 to %d bytes", SCHEMA_NAME_MAX);
	} else if (field->max == INT64_MAX) {
		buffer_printf(out, " from %lld", (long long)field->min);
	} else if (field->max) {
		buffer_printf(out, " %lld to %lld%s", (long long)field->min, (long long)field->max, unit);
	}
}

/* Members of members are rows of their own, with their path. */
static void write_rows(struct buffer *out, const struct field *fields, const char *path)
{
	char inner[128];

	for (const struct field *field = fields; field->name; field++) {
		const struct field *members = field->items ? field->items->fields : field->fields;

		buffer_printf(out, "| `%s%s` | %s%s%s", path, field->name, field_type_name(field->kind),
			field->nullable ? " or null" : "", field->required ? ", required" : "");
		write_bounds(out, field);
		buffer_append(out, S(" | "));
		if (field->fallback)
			buffer_printf(out, "`%s`", field->fallback);
		buffer_append(out, S(" | "));
		write_cell(out, field->help);
		buffer_append(out, S(" |\n"));
		if (!members || field->each)
			continue;
		snprintf(inner, sizeof inner, "%s%s%s.", path, field->name, field->kind == FIELD_ARRAY ? "[]" : "");
		write_rows(out, members, inner);
	}
}

static void write_tool(struct buffer *out, const struct tool *tool)
{
	static const char *const roles[] = {
		[ROLE_GUEST] = "guest", [ROLE_READER] = "reader", [ROLE_WRITER] = "writer", [ROLE_ADMIN] = "admin"};

	buffer_printf(out, "\n## %s\n\n%s\n\nRole: %s%s. %s%s%s\n", tool->name, tool->description,
		roles[tool->least_role], tool->human_only ? ", people only" : "",
		tool->read_only ? "Reads only." : "Writes.", tool->destructive ? " May destroy data." : "",
		tool->idempotent ? " Calling it again changes nothing more." : "");
	buffer_append(out, S("\n| Argument | Type | Default | Meaning |\n| --- | --- | --- | --- |\n"));
	write_rows(out, tool->input, "");
	buffer_append(out, S("\n| Result | Type | Default | Meaning |\n| --- | --- | --- | --- |\n"));
	write_rows(out, tool->output, "");
}

void tools_write_reference(struct buffer *out)
{
	buffer_append(out,
		S("# Tools\n\nGenerated from the tool table; do not edit.\n\n"
		  "A call that fails has `success: false`, an `error_type` and a `message` that says what would be "
		  "right; "
		  "`version_conflict` adds the stored `version`.\n`null` for an optional argument counts as not given. "
		  "Lengths are in Unicode characters.\n"));
	for (size_t i = 0; i < tool_row_count; i++)
		write_tool(out, &tool_rows[i]);
	buffer_append(out, S("\n## error_type\n\n| error_type | HTTP status of POST /tools/{name} | Meaning |\n| --- | "
			     "--- | --- |\n"));
	for (int status = CS_OK + 1; status < CS_WOULD_WAIT; status++)
		buffer_printf(out, "| `%s` | %d | %s |\n", cs_status_type((enum cs_status)status),
			cs_status_http((enum cs_status)status), cs_status_text((enum cs_status)status));
}
