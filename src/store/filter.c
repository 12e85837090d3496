/* Metadata values are handed to the port as compact JSON scalars: the port compares, it does not parse requests. */
#include "store/filter.h"

struct context_filter filter_none(void)
{
	return (struct context_filter){.date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
}

enum cs_status filter_read_strings(struct op *op, const struct json_doc *doc, uint32_t array,
	const struct slice **ret_items, size_t *ret_count, struct cs_error *err)
{
	struct slice *items;
	size_t count = 0;

	if (array == JSON_NONE || json_type_of(doc, array) != JSON_ARRAY || doc->nodes[array].count == 0) {
		*ret_items = NULL;
		*ret_count = 0;
		return CS_OK;
	}
	items = arena_array(op->arena, doc->nodes[array].count, sizeof *items);
	if (!items)
		return cs_fail_memory(err);
	for (uint32_t item = json_first(doc, array); item != JSON_NONE; item = json_next(doc, array, item))
		if (json_str(doc, item, &items[count]))
			count++;
	*ret_items = items;
	*ret_count = count;
	return CS_OK;
}

static bool is_scalar(enum json_type type)
{
	return type != JSON_ARRAY && type != JSON_OBJECT && type != JSON_HUGE;
}

static enum cs_status scalar_text(
	struct op *op, const struct json_doc *doc, uint32_t node, struct slice *ret_text, struct cs_error *err)
{
	struct buffer text;
	struct json_writer w = json_writer(&text);
	struct slice kept;

	buffer_init(&text, SIZE_MAX / 2);
	json_write_node(&w, doc, node);
	kept = text.failed ? slice_of(NULL, 0) : arena_copy(op->arena, buffer_slice(&text));
	buffer_release(&text);
	if (!kept.ptr)
		return cs_fail_memory(err);
	*ret_text = kept;
	return CS_OK;
}

static enum cs_status fail_predicate(struct slice key, struct cs_error *err)
{
	return cs_fail(err, CS_VALIDATION,
		"filters.metadata.%.*s must be a string, number, boolean or null, an array of 1 to %d of these, or an "
		"object with "
		"gte and lte (numbers or strings, one may be left out)",
		(int)(key.len < 64 ? key.len : 64), key.ptr, FILTER_VALUES_MAX);
}

static enum cs_status read_values(struct op *op, const struct json_doc *doc, uint32_t node,
	struct context_predicate *predicate, struct cs_error *err)
{
	bool list = json_type_of(doc, node) == JSON_ARRAY;
	uint32_t count = list ? doc->nodes[node].count : 1;
	struct slice *values;
	size_t i = 0;

	if (count == 0 || count > FILTER_VALUES_MAX)
		return fail_predicate(predicate->key, err);
	values = arena_array(op->arena, count, sizeof *values);
	if (!values)
		return cs_fail_memory(err);
	for (uint32_t value = list ? json_first(doc, node) : node; value != JSON_NONE;
		value = list ? json_next(doc, node, value) : JSON_NONE) {
		enum cs_status status;

		if (!is_scalar(json_type_of(doc, value)))
			return fail_predicate(predicate->key, err);
		status = scalar_text(op, doc, value, &values[i++], err);
		if (status != CS_OK)
			return status;
	}
	predicate->values = values;
	predicate->value_count = count;
	return CS_OK;
}

static enum cs_status read_range(struct op *op, const struct json_doc *doc, uint32_t node,
	struct context_predicate *predicate, struct cs_error *err)
{
	if (doc->nodes[node].count == 0)
		return fail_predicate(predicate->key, err);
	for (uint32_t bound = json_first(doc, node); bound != JSON_NONE; bound = json_next(doc, node, bound)) {
		struct slice name = json_key(doc, bound);
		enum json_type type = json_type_of(doc, bound);
		bool lower = slice_eq(name, S("gte"));
		enum cs_status status;

		if (!lower && !slice_eq(name, S("lte")))
			return fail_predicate(predicate->key, err);
		if (type != JSON_INT && type != JSON_UINT && type != JSON_DOUBLE && type != JSON_STRING)
			return fail_predicate(predicate->key, err);
		status = scalar_text(op, doc, bound, lower ? &predicate->gte : &predicate->lte, err);
		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

static enum cs_status read_metadata(
	struct op *op, const struct json_doc *doc, uint32_t object, struct context_filter *filter, struct cs_error *err)
{
	struct context_predicate *predicates;
	size_t count = 0;

	if (object == JSON_NONE || json_type_of(doc, object) != JSON_OBJECT || doc->nodes[object].count == 0)
		return CS_OK;
	if (doc->nodes[object].count > FILTER_PREDICATES_MAX)
		return cs_fail(err, CS_VALIDATION, "filters.metadata may have at most %d members, not %u",
			FILTER_PREDICATES_MAX, doc->nodes[object].count);
	predicates = arena_array(op->arena, doc->nodes[object].count, sizeof *predicates);
	if (!predicates)
		return cs_fail_memory(err);
	for (uint32_t value = json_first(doc, object); value != JSON_NONE; value = json_next(doc, object, value)) {
		struct context_predicate *predicate = &predicates[count++];
		enum cs_status status;

		predicate->key = json_key(doc, value);
		if (predicate->key.len == 0 || memchr(predicate->key.ptr, 0, predicate->key.len))
			return cs_fail(err, CS_VALIDATION,
				"filters.metadata has a member whose name is empty or holds U+0000");
		if (json_type_of(doc, value) == JSON_OBJECT)
			status = read_range(op, doc, value, predicate, err);
		else
			status = read_values(op, doc, value, predicate, err);
		if (status != CS_OK)
			return status;
	}
	filter->predicates = predicates;
	filter->predicate_count = count;
	return CS_OK;
}

static enum cs_status read_date(const struct json_doc *doc, uint32_t object, const char *name, bool end_of_day,
	int64_t *ret_date, struct cs_error *err)
{
	struct cs_error why;
	struct slice text;

	if (!json_str(doc, json_get(doc, object, slice_cstr(name)), &text))
		return CS_OK;
	if (clock_parse(text, end_of_day, ret_date, &why) != CS_OK)
		return cs_fail(err, CS_VALIDATION, "filters.%s: %s", name, why.text);
	return CS_OK;
}

enum cs_status filter_read(
	struct op *op, const struct json_doc *doc, uint32_t object, struct context_filter *filter, struct cs_error *err)
{
	enum cs_status status = read_date(doc, object, "date_from", false, &filter->date_from, err);

	if (status == CS_OK)
		status = read_date(doc, object, "date_to", true, &filter->date_to, err);
	if (status == CS_OK)
		status = filter_read_strings(
			op, doc, json_get(doc, object, S("tags")), &filter->tags, &filter->tag_count, err);
	if (status == CS_OK)
		status = read_metadata(op, doc, json_get(doc, object, S("metadata")), filter, err);
	(void)json_str(doc, json_get(doc, object, S("status")), &filter->status);
	(void)json_str(doc, json_get(doc, object, S("agent_id")), &filter->agent_id);
	(void)json_str(doc, json_get(doc, object, S("namespace")), &filter->namespace_);
	return status;
}
