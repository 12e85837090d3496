/* Field tables as JSON Schema 2020-12.
 *
 * A client sends all of this to its model with every request, so it is terse: no $schema (2020-12 is what the protocol
 * assumes), no title of fields, no bound that says nothing. Nothing here uses anyOf, oneOf or $ref at the top: several
 * model interfaces refuse tools whose input schema has them. */
#include "mcp/schema.h"

const char *field_type_name(enum field_kind kind)
{
	static const char *const names[] = {
		[FIELD_STRING] = "string",
		[FIELD_NAME] = "string",
		[FIELD_INTEGER] = "integer",
		[FIELD_NUMBER] = "number",
		[FIELD_BOOLEAN] = "boolean",
		[FIELD_OBJECT] = "object",
		[FIELD_ARRAY] = "array",
	};

	return names[kind];
}

static void write_members(struct json_writer *w, const struct field *fields, bool input, bool open);

static void write_bounds(struct json_writer *w, const struct field *field)
{
	static const struct {
		const char *min, *max;
	} names[] = {
		[FIELD_STRING] = {"minLength", "maxLength"},
		[FIELD_INTEGER] = {"minimum", "maximum"},
		[FIELD_NUMBER] = {"minimum", "maximum"},
		[FIELD_ARRAY] = {"minItems", "maxItems"},
	};
	bool size = field->kind == FIELD_STRING || field->kind == FIELD_ARRAY;

	if (field->max == 0 || field->kind == FIELD_BOOLEAN || field->kind == FIELD_OBJECT || field->kind == FIELD_NAME)
		return;
	if (!size || field->min > 0)
		json_key_i64(w, names[field->kind].min, field->min);
	if (field->max != INT64_MAX)
		json_key_i64(w, names[field->kind].max, field->max);
}

static void write_field(struct json_writer *w, const struct field *field, bool input)
{
	const char *type = field_type_name(field->kind);

	json_begin_object(w);
	if (field->nullable) {
		json_write_name(w, S("type"));
		json_begin_array(w);
		json_write_str(w, slice_cstr(type));
		json_write_str(w, S("null"));
		json_end_array(w);
	} else {
		json_key_str(w, "type", slice_cstr(type));
	}
	if (field->help[0])
		json_key_str(w, "description", slice_cstr(field->help));
	if (field->values) {
		json_write_name(w, S("enum"));
		json_begin_array(w);
		for (const char *const *value = field->values; *value; value++)
			json_write_str(w, slice_cstr(*value));
		if (field->nullable)
			json_write_null(w);
		json_end_array(w);
	}
	if (field->pattern)
		json_key_str(w, "pattern", slice_cstr(field->pattern->regex));
	write_bounds(w, field);
	if (field->fallback)
		json_key_raw(w, "default", slice_cstr(field->fallback));
	if (field->items) {
		json_write_name(w, S("items"));
		if (field->each)
			json_write_raw(w, S("{\"type\":\"object\"}"));
		else
			write_field(w, field->items, input);
	}
	if (field->kind == FIELD_OBJECT && field->fields)
		write_members(w, field->fields, input, field->open);
	json_end_object(w);
}

/* Behind "type": properties, required, additionalProperties. */
static void write_members(struct json_writer *w, const struct field *fields, bool input, bool open)
{
	bool any = false;

	json_write_name(w, S("properties"));
	json_begin_object(w);
	for (const struct field *field = fields; field->name; field++) {
		json_write_key(w, slice_cstr(field->name));
		write_field(w, field, input);
		any |= field->required;
	}
	json_end_object(w);
	if (any) {
		json_write_name(w, S("required"));
		json_begin_array(w);
		for (const struct field *field = fields; field->name; field++)
			if (field->required)
				json_write_str(w, slice_cstr(field->name));
		json_end_array(w);
	}
	if (input && !open)
		json_key_bool(w, "additionalProperties", false);
}

static void write_table(struct json_writer *w, const struct field *fields, bool input)
{
	json_begin_object(w);
	json_key_str(w, "type", S("object"));
	write_members(w, fields, input, false);
	json_end_object(w);
}

void schema_write_input(struct json_writer *w, const struct field *fields)
{
	write_table(w, fields, true);
}

void schema_write_output(struct json_writer *w, const struct field *fields)
{
	write_table(w, fields, false);
}
