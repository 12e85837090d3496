/* Compiling filters, and the SQL function that judges metadata.
 *
 * metadata_matches parses the metadata of each row that passed all cheaper conditions: about a microsecond for 200
 * bytes. An index over arbitrary metadata keys would cost every write several page writes for a filter most reads do
 * not have. */
#include "engine/context_filter.h"

#include "base/json.h"

#define PREDICATE_POINTER  "context_predicate"
#define METADATA_ARENA_MAX (64u << 20)

enum value_kind { VALUE_TEXT, VALUE_I64, VALUE_PREDICATE };

/* A predicate, its values parsed once. */
struct predicate {
	struct slice key;
	size_t value_count;
	struct json_doc *values;
	struct json_doc gte, lte; /* nodes is NULL where there is none */
};

struct filter_value {
	enum value_kind kind;
	struct slice text;
	int64_t i64;
	struct predicate *predicate;
};

/* Tags. */

static size_t escaped_length(struct slice tag)
{
	size_t length = tag.len;

	for (size_t i = 0; i < tag.len; i++)
		length += tag.ptr[i] == '\n' || tag.ptr[i] == '\\';
	return length;
}

static char *escape(char *at, struct slice tag)
{
	for (size_t i = 0; i < tag.len; i++) {
		if (tag.ptr[i] == '\n' || tag.ptr[i] == '\\')
			*at++ = '\\';
		*at++ = tag.ptr[i] == '\n' ? 'n' : tag.ptr[i];
	}
	return at;
}

struct slice filter_frame_tags(struct arena *arena, const struct slice *tags, size_t count)
{
	size_t length = 1;
	char *framed, *at;

	if (count == 0)
		return (struct slice){"", 0};
	for (size_t i = 0; i < count; i++)
		length += escaped_length(tags[i]) + 1;
	framed = at = arena_alloc(arena, length);
	if (!framed)
		return (struct slice){NULL, 0};
	*at++ = '\n';
	for (size_t i = 0; i < count; i++) {
		at = escape(at, tags[i]);
		*at++ = '\n';
	}
	return slice_of(framed, length);
}

static struct slice unescape(struct arena *arena, struct slice text)
{
	char *plain = arena_alloc(arena, text.len), *at = plain;

	if (!plain)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < text.len; i++) {
		bool escaped = text.ptr[i] == '\\' && i + 1 < text.len;

		i += escaped;
		*at++ = escaped && text.ptr[i] == 'n' ? '\n' : text.ptr[i];
	}
	return slice_of(plain, (size_t)(at - plain));
}

bool filter_unframe_tags(struct arena *arena, struct slice framed, const struct slice **ret_tags, size_t *ret_count)
{
	size_t count = 0, n = 0;
	struct slice *tags;
	struct slice rest = slice_from(framed, 1);

	for (size_t i = 0; i < rest.len; i++)
		count += rest.ptr[i] == '\n';
	tags = arena_array(arena, count, sizeof *tags);
	if (!tags)
		return false;
	while (n < count) {
		tags[n] = unescape(arena, slice_cut(&rest, '\n'));
		if (!tags[n++].ptr)
			return false;
	}
	*ret_tags = tags;
	*ret_count = count;
	return true;
}

/* Compiling. */

struct compiler {
	struct filter *filter;
	struct arena *arena;
	int room;
};

static enum cs_status add_value(struct compiler *c, struct filter_value value, struct cs_error *err)
{
	struct filter *f = c->filter;

	if (f->count == c->room)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "the filter has more than %d values", FILTER_VALUES_MAX);
	buffer_printf(&f->sql, "?%d", f->first + f->count);
	f->values[f->count++] = value;
	return CS_OK;
}

static enum cs_status add_text(
	struct compiler *c, const char *before, struct slice text, const char *after, struct cs_error *err)
{
	enum cs_status status;

	buffer_append(&c->filter->sql, slice_cstr(before));
	status = add_value(c, (struct filter_value){.kind = VALUE_TEXT, .text = text}, err);
	buffer_append(&c->filter->sql, slice_cstr(after));
	return status;
}

static enum cs_status add_list(
	struct compiler *c, const char *before, const struct slice *texts, size_t count, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	if (count == 0)
		return CS_OK;
	buffer_append(&c->filter->sql, slice_cstr(before));
	for (size_t i = 0; status == CS_OK && i < count; i++)
		status = add_text(c, i ? "," : "", texts[i], "", err);
	buffer_append(&c->filter->sql, S(")"));
	return status;
}

static enum cs_status add_date(struct compiler *c, const char *before, int64_t date, struct cs_error *err)
{
	if (date == CONTEXT_NO_DATE)
		return CS_OK;
	buffer_append(&c->filter->sql, slice_cstr(before));
	return add_value(c, (struct filter_value){.kind = VALUE_I64, .i64 = date}, err);
}

static enum cs_status parse_scalar(
	struct arena *arena, struct slice key, struct slice text, struct json_doc *ret, struct cs_error *err)
{
	if (json_parse(arena, text, JSON_LIMITS_DEFAULT, ret, NULL) != CS_OK || json_type_of(ret, 0) >= JSON_ARRAY)
		return cs_fail(err, CS_VALIDATION,
			"the filter on metadata." SLICE_FMT " needs a string, number, boolean or null", SLICE_ARG(key));
	return CS_OK;
}

static enum cs_status add_predicate(struct compiler *c, const struct context_predicate *from, struct cs_error *err)
{
	struct predicate *p = arena_zalloc(c->arena, sizeof *p);
	enum cs_status status = CS_OK;

	if (!p)
		return cs_fail_memory(err);
	if (from->value_count > FILTER_VALUES_MAX)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "the filter has more than %d values", FILTER_VALUES_MAX);
	p->key = from->key;
	p->value_count = from->value_count;
	p->values = arena_array(c->arena, from->value_count, sizeof *p->values);
	if (!p->values)
		return cs_fail_memory(err);
	for (size_t i = 0; status == CS_OK && i < from->value_count; i++)
		status = parse_scalar(c->arena, from->key, from->values[i], &p->values[i], err);
	if (status == CS_OK && from->gte.len)
		status = parse_scalar(c->arena, from->key, from->gte, &p->gte, err);
	if (status == CS_OK && from->lte.len)
		status = parse_scalar(c->arena, from->key, from->lte, &p->lte, err);
	if (status != CS_OK)
		return status;
	buffer_append(
		&c->filter->sql, S(" AND metadata_matches((SELECT d.metadata FROM documents d WHERE d.row = c.row), "));
	status = add_value(c, (struct filter_value){.kind = VALUE_PREDICATE, .predicate = p}, err);
	buffer_append(&c->filter->sql, S(")"));
	return status;
}

static enum cs_status add_tags(struct compiler *c, const struct context_filter *from, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (size_t i = 0; status == CS_OK && i < from->tag_count; i++) {
		struct slice framed = filter_frame_tags(c->arena, &from->tags[i], 1);

		status = framed.ptr ? add_text(c, " AND instr(c.tags, ", framed, ") > 0", err) : cs_fail_memory(err);
	}
	return status;
}

enum cs_status filter_compile(struct filter *filter, struct arena *arena, const struct context_filter *from,
	int first_parameter, struct cs_error *err)
{
	struct compiler c = {.filter = filter, .arena = arena};
	size_t values = 8;
	enum cs_status status = CS_OK;

	*filter = (struct filter){.first = first_parameter};
	buffer_init(&filter->sql, FILTER_SQL_MAX);
	if (!from)
		return CS_OK;
	values += from->type_count + from->tag_count + from->exclude_source_count + from->predicate_count;
	c.room = values > FILTER_VALUES_MAX ? FILTER_VALUES_MAX : (int)values;
	filter->values = arena_array(arena, (size_t)c.room, sizeof *filter->values);
	if (!filter->values)
		return cs_fail_memory(err);
	status = add_list(&c, " AND c.type IN (", from->types, from->type_count, err);
	if (status == CS_OK && from->status.len)
		status = add_text(&c, " AND c.status = ", from->status, "", err);
	if (status == CS_OK && from->agent_id.len)
		status = add_text(&c, " AND c.agent_id = ", from->agent_id, "", err);
	if (status == CS_OK && from->namespace_.len)
		status = add_text(&c, " AND c.namespace = ", from->namespace_, "", err);
	if (status == CS_OK)
		status = add_date(&c, " AND c.created_at >= ", from->date_from, err);
	if (status == CS_OK)
		status = add_date(&c, " AND c.created_at <= ", from->date_to, err);
	if (status == CS_OK)
		status = add_list(&c, " AND ifnull(c.source, '') NOT IN (", from->exclude_sources,
			from->exclude_source_count, err);
	if (status == CS_OK)
		status = add_tags(&c, from, err);
	for (size_t i = 0; status == CS_OK && i < from->predicate_count; i++)
		status = add_predicate(&c, &from->predicates[i], err);
	return status == CS_OK ? buffer_status(&filter->sql, err) : status;
}

void filter_release(struct filter *filter)
{
	buffer_release(&filter->sql);
}

bool filter_is_empty(const struct filter *filter)
{
	return filter->count == 0;
}

enum cs_status filter_bind(const struct filter *filter, struct sql *sql, sqlite3_stmt *stmt, struct cs_error *err)
{
	int code = SQLITE_OK;

	for (int i = 0; code == SQLITE_OK && i < filter->count; i++) {
		const struct filter_value *value = &filter->values[i];
		int at = filter->first + i;

		switch (value->kind) {
		case VALUE_TEXT: sql_bind_text(stmt, at, value->text); break;
		case VALUE_I64: sql_bind_i64(stmt, at, value->i64); break;
		case VALUE_PREDICATE:
			code = sqlite3_bind_pointer(stmt, at, value->predicate, PREDICATE_POINTER, NULL);
			break;
		}
	}
	return code == SQLITE_OK ? CS_OK : sql_fail(sql, code, err);
}

/* Judging. */

/* The order of two scalars of the same kind; false where they have none (a number and a string, a null). */
static bool order(const struct json_doc *a, uint32_t at, const struct json_doc *b, int *ret_order)
{
	struct slice ta, tb;

	if (!json_str(a, at, &ta) || !json_str(b, 0, &tb))
		return json_number_order(a, at, b, 0, ret_order);
	*ret_order = slice_compare(ta, tb);
	return true;
}

static bool equals(const struct json_doc *doc, uint32_t at, const struct json_doc *wanted)
{
	enum json_type a = json_type_of(doc, at), b = json_type_of(wanted, 0);
	int by;

	if (order(doc, at, wanted, &by))
		return by == 0;
	return a == b && (a == JSON_NULL || a == JSON_FALSE || a == JSON_TRUE);
}

static bool scalar_matches(const struct predicate *p, const struct json_doc *doc, uint32_t at)
{
	bool among = p->value_count == 0;
	int by;

	for (size_t i = 0; !among && i < p->value_count; i++)
		among = equals(doc, at, &p->values[i]);
	if (among && p->gte.nodes)
		among = order(doc, at, &p->gte, &by) && by >= 0;
	if (among && p->lte.nodes)
		among = order(doc, at, &p->lte, &by) && by <= 0;
	return among;
}

/* The value at a.b.c; a member whose name has the dots itself goes first. */
static uint32_t descend(const struct json_doc *doc, struct slice key)
{
	uint32_t at = 0;

	while (key.len && at != JSON_NONE) {
		uint32_t whole = json_get(doc, at, key);

		if (whole != JSON_NONE)
			return whole;
		if (slice_find_byte(key, '.') == key.len)
			return JSON_NONE;
		at = json_get(doc, at, slice_cut(&key, '.'));
	}
	return at;
}

static bool matches(const struct predicate *p, const struct json_doc *doc)
{
	uint32_t at = descend(doc, p->key);

	if (at == JSON_NONE)
		return false;
	if (json_type_of(doc, at) != JSON_ARRAY)
		return scalar_matches(p, doc, at);
	for (uint32_t v = json_first(doc, at); v != JSON_NONE; v = json_next(doc, at, v))
		if (scalar_matches(p, doc, v))
			return true;
	return false;
}

static void metadata_matches(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const struct predicate *p = sqlite3_value_pointer(argv[1], PREDICATE_POINTER);
	struct slice text = {(const char *)sqlite3_value_text(argv[0]), (size_t)sqlite3_value_bytes(argv[0])};
	char own[8192];
	struct arena arena;
	struct json_doc doc;
	struct cs_error err;

	arena_init(&arena, own, sizeof own, METADATA_ARENA_MAX);
	if (!p || !text.ptr)
		sqlite3_result_int(context, 0);
	else if (json_parse(&arena, text, JSON_LIMITS_DEFAULT, &doc, &err) != CS_OK)
		sqlite3_result_error(context, err.text, -1);
	else
		sqlite3_result_int(context, matches(p, &doc));
	arena_release(&arena);
}

enum cs_status filter_register(struct sql *sql, struct cs_error *err)
{
	int code = sqlite3_create_function(sql->db, "metadata_matches", 2,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, metadata_matches, NULL, NULL);

	return code == SQLITE_OK ? CS_OK : sql_fail(sql, code, err);
}
