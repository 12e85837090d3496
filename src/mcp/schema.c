/* Arguments against a field table.
 *
 * The walk goes over the table first (what is missing or wrong, in the order a reader of the schema expects) and then
 * over the members that the table does not name. The path of the value in hand is a list of stack frames and becomes
 * text only when there is something to complain about: a call that fits costs comparisons and nothing else.
 *
 * Free objects (content, metadata) are not described, but a number that neither 64 bits nor a double hold cannot be
 * kept exactly, so it is refused wherever it stands, with its path. */
#include "mcp/schema.h"

#include <assert.h>

#include "base/nearest.h"
#include "base/utf8.h"

#define FIELDS_MAX 32 /* of one object */
#define GIVEN_MAX  48 /* bytes of a value repeated in an error */

/* One step of a path: a member or, with a null pointer in name, an element. */
struct step {
	const struct step *up;
	struct slice name;
	uint32_t index;
};

struct check {
	const struct json_doc *doc;
	struct slice at;
	struct schema_problems *problems;
};

#define ID    1u /* letters, digits, '_' and '-' */
#define DOT   2u
#define WORD  4u /* letters, digits and '_' */
#define START 8u /* letters and '_' */

static const uint8_t classes[256] = {
	['A' ... 'Z'] = ID | WORD | START,
	['a' ... 'z'] = ID | WORD | START,
	['0' ... '9'] = ID | WORD,
	['_'] = ID | WORD | START,
	['-'] = ID,
	['.'] = DOT,
};

const struct field_pattern pattern_agent_id = {"^[a-zA-Z0-9_-]{1,64}$", ID, ID, 64};
const struct field_pattern pattern_key = {"^[a-zA-Z0-9_.-]{1,128}$", ID | DOT, ID | DOT, 128};
const struct field_pattern pattern_relation_type = {"^[A-Za-z_][A-Za-z0-9_]{0,63}$", START, WORD, 64};

static bool pattern_fits(const struct field_pattern *pattern, struct slice text)
{
	if (text.len == 0 || text.len > pattern->length_max || !(classes[(unsigned char)text.ptr[0]] & pattern->first))
		return false;
	for (size_t i = 1; i < text.len; i++)
		if (!(classes[(unsigned char)text.ptr[i]] & pattern->rest))
			return false;
	return true;
}

static void write_path(struct buffer *out, struct slice at, const struct step *step)
{
	if (!step) {
		buffer_append(out, at);
		return;
	}
	write_path(out, at, step->up);
	if (!step->name.ptr)
		buffer_printf(out, "[%u]", step->index);
	else
		buffer_printf(out, "%s" SLICE_FMT, out->len ? "." : "", SLICE_ARG(step->name));
}

static void write_range(struct buffer *out, const struct field *field, const char *unit)
{
	if (field->max == 0)
		return;
	if (field->kind == FIELD_INTEGER || field->kind == FIELD_NUMBER)
		buffer_printf(out, " from %lld to %lld", (long long)field->min, (long long)field->max);
	else
		buffer_printf(out, " of %lld to %lld%s", (long long)field->min, (long long)field->max, unit);
}

/* What would be right. */
static void write_wanted(struct buffer *out, const struct field *field)
{
	switch (field->kind) {
	case FIELD_STRING:
		if (field->values) {
			buffer_append(out, S("one of "));
			for (const char *const *value = field->values; *value; value++)
				buffer_printf(out, "%s%s", value == field->values ? "" : ", ", *value);
		} else if (field->pattern) {
			buffer_printf(out, "a string that matches %s", field->pattern->regex);
		} else {
			buffer_append(out, S("a string"));
			write_range(out, field, " characters");
		}
		break;
	case FIELD_NAME:
		buffer_printf(out, "a string of 1 to %d bytes without control characters", SCHEMA_NAME_MAX);
		break;
	case FIELD_INTEGER:
		buffer_append(out, S("a whole number"));
		write_range(out, field, "");
		break;
	case FIELD_NUMBER:
		buffer_append(out, S("a number"));
		write_range(out, field, "");
		break;
	case FIELD_BOOLEAN: buffer_append(out, S("true or false")); break;
	case FIELD_OBJECT: buffer_append(out, S("an object")); break;
	case FIELD_ARRAY:
		buffer_append(out, S("an array"));
		write_range(out, field, " elements");
		break;
	}
}

static struct slice cut_text(struct slice text)
{
	size_t len = text.len < GIVEN_MAX ? text.len : GIVEN_MAX;

	while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
		len--;
	return slice_of(text.ptr, len);
}

static void write_given(struct buffer *out, const struct json_doc *doc, uint32_t node)
{
	const struct json_node *given = &doc->nodes[node];
	struct json_writer w = json_writer(out);

	switch (given->type) {
	case JSON_STRING:
		if (given->text.len <= GIVEN_MAX) {
			json_quote(out, given->text);
			break;
		}
		json_quote(out, cut_text(given->text));
		buffer_printf(out, "... (%lld characters)", (long long)utf8_length(given->text));
		break;
	case JSON_HUGE: buffer_append(out, cut_text(given->text)); break;
	case JSON_ARRAY: buffer_printf(out, "an array of %u", given->count); break;
	case JSON_OBJECT: buffer_append(out, S("an object")); break;
	default: json_write_node(&w, doc, node); break;
	}
}

/* Keeps the text in the arena; past the limit a problem is only not shown, never forgotten. */
static void add_problem(struct check *check, enum cs_status status, struct buffer *text)
{
	struct schema_problems *problems = check->problems;

	if (problems->status == CS_OK)
		problems->status = status == CS_OK ? CS_VALIDATION : status;
	if (problems->count < SCHEMA_PROBLEMS_MAX && !text->failed) {
		struct slice kept = arena_copy(problems->arena, buffer_slice(text));

		if (kept.ptr)
			problems->texts[problems->count++] = kept;
	}
	buffer_release(text);
}

static void complain(
	struct check *check, const struct step *step, const struct field *field, uint32_t node, enum cs_status status)
{
	struct buffer text;

	buffer_init(&text, CS_ERROR_TEXT_MAX * 2);
	write_path(&text, check->at, step);
	buffer_append(&text, S(" must be "));
	write_wanted(&text, field);
	buffer_append(&text, S(", not "));
	write_given(&text, check->doc, node);
	add_problem(check, status == CS_OK ? field->wrong : status, &text);
}

static void complain_missing(struct check *check, const struct step *step, const struct field *field)
{
	struct buffer text;

	buffer_init(&text, CS_ERROR_TEXT_MAX * 2);
	write_path(&text, check->at, step);
	buffer_append(&text, S(" is required: "));
	write_wanted(&text, field);
	add_problem(check, CS_MISSING_PARAMETER, &text);
}

static void complain_unknown(struct check *check, const struct step *step, const struct field *fields)
{
	struct nearest nearest = nearest_to(step->name);
	struct buffer text;

	buffer_init(&text, CS_ERROR_TEXT_MAX * 2);
	for (const struct field *field = fields; field->name; field++)
		nearest_offer(&nearest, slice_cstr(field->name));
	write_path(&text, check->at, &(struct step){step->up, cut_text(step->name), 0});
	buffer_append(&text, S(" is not known; "));
	if (nearest.best.len > 0)
		buffer_printf(&text, "did you mean " SLICE_FMT "?", SLICE_ARG(nearest.best));
	else
		buffer_append(&text, S("known are "));
	for (const struct field *field = fields; nearest.best.len == 0 && field->name; field++)
		buffer_printf(&text, "%s%s", field == fields ? "" : ", ", field->name);
	add_problem(check, CS_VALIDATION, &text);
}

/* The path of a node somewhere below: down through the subtree that holds its index. */
static void complain_huge(struct check *check, const struct step *up, uint32_t at, uint32_t huge)
{
	const struct json_node *nodes = check->doc->nodes;
	struct step step = {up, {NULL, 0}, 0};
	struct buffer text;

	if (at != huge) {
		for (uint32_t child = json_first(check->doc, at); child != JSON_NONE;
			child = json_next(check->doc, at, child)) {
			if (huge < nodes[child].next) {
				if (nodes[at].type == JSON_OBJECT)
					step.name = cut_text(json_key(check->doc, child));
				complain_huge(check, &step, child, huge);
				return;
			}
			step.index++;
		}
		assert(!"a node below another is in one of its children");
	}
	buffer_init(&text, CS_ERROR_TEXT_MAX * 2);
	write_path(&text, check->at, up);
	buffer_append(&text, S(" must be a number that 64 bits or a double can hold, not "));
	write_given(&text, check->doc, huge);
	add_problem(check, CS_VALIDATION, &text);
}

static void check_free(struct check *check, const struct step *step, uint32_t node)
{
	uint32_t huge = json_find_huge(check->doc, node);

	if (huge != JSON_NONE)
		complain_huge(check, step, node, huge);
}

static bool name_fits(struct slice text)
{
	return text.len > 0 && text.len <= SCHEMA_NAME_MAX && !slice_has_control(text);
}

static bool value_listed(const char *const *values, struct slice text)
{
	for (; *values; values++)
		if (slice_eq(slice_cstr(*values), text))
			return true;
	return false;
}

static void check_string(struct check *check, const struct step *step, const struct field *field, uint32_t node)
{
	struct slice text = check->doc->nodes[node].text;
	int64_t length;
	bool fits = true;

	if (field->kind == FIELD_NAME)
		fits = name_fits(text);
	else if (field->values)
		fits = value_listed(field->values, text);
	else if (field->pattern)
		fits = pattern_fits(field->pattern, text);
	if (!fits) {
		complain(check, step, field, node, CS_OK);
		return;
	}
	/* A character is one to four bytes: counting is needed only between the two. */
	if (field->max == 0 || ((int64_t)text.len <= field->max && (int64_t)(text.len / 4) >= field->min))
		return;
	length = utf8_length(text);
	if (length > field->max)
		complain(check, step, field, node, field->too_long);
	else if (length < field->min)
		complain(check, step, field, node, CS_OK);
}

static void check_value(struct check *, const struct step *, const struct field *, uint32_t node);

static void check_array(struct check *check, const struct step *up, const struct field *field, uint32_t node)
{
	struct step step = {up, {NULL, 0}, 0};
	uint32_t count = check->doc->nodes[node].count;

	if (field->max && (count < field->min || count > field->max)) {
		complain(check, up, field, node, field->too_long);
		return;
	}
	if (field->each)
		return;
	if (!field->items) {
		check_free(check, up, node);
		return;
	}
	for (uint32_t child = json_first(check->doc, node); child != JSON_NONE;
		child = json_next(check->doc, node, child)) {
		check_value(check, &step, field->items, child);
		step.index++;
	}
}

static const struct field *find_field(const struct field *fields, struct slice name)
{
	for (; fields->name; fields++)
		if (slice_is(name, fields->name))
			return fields;
	return NULL;
}

/* Where each field's member is. Members are fewer than fields, so it is they that are looked up. Returns how many are
 * none of the fields. */
static uint32_t place_members(
	const struct json_doc *doc, uint32_t object, const struct field *fields, uint32_t members[FIELDS_MAX])
{
	uint32_t unknown = 0;

	for (size_t i = 0; fields[i].name; i++) {
		assert(i < FIELDS_MAX);
		members[i] = JSON_NONE;
	}
	for (uint32_t child = json_first(doc, object); child != JSON_NONE; child = json_next(doc, object, child)) {
		const struct field *field = find_field(fields, json_key(doc, child));

		if (field)
			members[field - fields] = child;
		else
			unknown++;
	}
	return unknown;
}

static void check_members(
	struct check *check, const struct step *up, const struct field *fields, uint32_t object, bool open)
{
	uint32_t members[FIELDS_MAX], unknown = place_members(check->doc, object, fields, members);

	for (const struct field *field = fields; field->name; field++) {
		uint32_t child = members[field - fields];
		struct step step = {.up = up};

		if (child == JSON_NONE && !field->required)
			continue;
		step.name = slice_cstr(field->name);
		if (child == JSON_NONE)
			complain_missing(check, &step, field);
		else if (field->required || json_type_of(check->doc, child) != JSON_NULL)
			check_value(check, &step, field, child);
	}
	for (uint32_t child = unknown ? json_first(check->doc, object) : JSON_NONE; child != JSON_NONE;
		child = json_next(check->doc, object, child)) {
		struct step step = {up, json_key(check->doc, child), 0};

		if (find_field(fields, step.name))
			continue;
		if (open)
			check_free(check, &step, child);
		else
			complain_unknown(check, &step, fields);
	}
}

static bool integer_fits(const struct field *field, const struct json_doc *doc, uint32_t node)
{
	int64_t value;

	return json_i64(doc, node, &value) && (field->max == 0 || (value >= field->min && value <= field->max));
}

static bool number_fits(const struct field *field, const struct json_doc *doc, uint32_t node)
{
	double value;

	return json_f64(doc, node, &value) &&
	       (field->max == 0 || (value >= (double)field->min && value <= (double)field->max));
}

static bool kind_fits(enum field_kind kind, enum json_type type)
{
	switch (kind) {
	case FIELD_STRING:
	case FIELD_NAME: return type == JSON_STRING;
	case FIELD_INTEGER:
	case FIELD_NUMBER: return type == JSON_INT || type == JSON_UINT || type == JSON_DOUBLE || type == JSON_HUGE;
	case FIELD_BOOLEAN: return type == JSON_TRUE || type == JSON_FALSE;
	case FIELD_OBJECT: return type == JSON_OBJECT;
	case FIELD_ARRAY: return type == JSON_ARRAY;
	}
	return false;
}

static void check_value(struct check *check, const struct step *step, const struct field *field, uint32_t node)
{
	if (!kind_fits(field->kind, json_type_of(check->doc, node))) {
		complain(check, step, field, node, field->wrong_type);
		return;
	}
	switch (field->kind) {
	case FIELD_STRING:
	case FIELD_NAME: check_string(check, step, field, node); break;
	case FIELD_INTEGER:
		if (!integer_fits(field, check->doc, node))
			complain(check, step, field, node, CS_OK);
		break;
	case FIELD_NUMBER:
		if (!number_fits(field, check->doc, node))
			complain(check, step, field, node, CS_OK);
		break;
	case FIELD_BOOLEAN: break;
	case FIELD_OBJECT:
		if (field->fields)
			check_members(check, step, field->fields, node, field->open);
		else
			check_free(check, step, node);
		break;
	case FIELD_ARRAY: check_array(check, step, field, node); break;
	}
}

bool schema_check(const struct field *fields, const struct json_doc *doc, uint32_t object, struct slice at,
	struct schema_problems *problems)
{
	struct check check = {doc, at, problems};
	static const struct field whole = {.name = "arguments", .help = "", .kind = FIELD_OBJECT};

	if (object != JSON_NONE && json_type_of(doc, object) != JSON_OBJECT) {
		struct step step = {NULL, SLICE_INIT("arguments"), 0};

		complain(&check, at.len ? NULL : &step, &whole, object, CS_OK);
		return false;
	}
	check_members(&check, NULL, fields, object, false);
	return problems->status == CS_OK;
}

enum cs_status schema_fail(const struct schema_problems *problems, struct cs_error *err)
{
	struct buffer text;
	enum cs_status status;

	assert(problems->status != CS_OK);
	buffer_init(&text, SCHEMA_PROBLEMS_MAX * CS_ERROR_TEXT_MAX * 2 + 16);
	for (size_t i = 0; i < problems->count; i++)
		buffer_printf(&text, "%s" SLICE_FMT, i ? "; " : "", SLICE_ARG(problems->texts[i]));
	if (problems->count == 0 || text.failed)
		status = cs_fail_memory(err);
	else
		status = cs_fail(err, problems->status, SLICE_FMT, SLICE_ARG(buffer_slice(&text)));
	buffer_release(&text);
	return status;
}
