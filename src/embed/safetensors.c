/* Reading safetensors. See safetensors.h.
 *
 * The header is read by base/json, which refuses what is ambiguous (a name twice, trailing bytes), so what is left here
 * is arithmetic. Places are checked by sorting them: when each begins where the one before ended, and the last ends
 * with the file, there is neither overlap nor gap. */
#include "embed/safetensors.h"

#include <stdlib.h>

#include "base/json.h"

#define LENGTH_SIZE 8

struct reader {
	const struct json_doc *doc;
	struct slice data;
	struct cs_error *err;
};

static const struct {
	struct slice name;
	uint32_t size;
} types[] = {
	{SLICE_INIT("F32"), 4},
	{SLICE_INIT("F64"), 8},
	{SLICE_INIT("F16"), 2},
	{SLICE_INIT("BF16"), 2},
	{SLICE_INIT("I64"), 8},
	{SLICE_INIT("I32"), 4},
	{SLICE_INIT("I16"), 2},
	{SLICE_INIT("I8"), 1},
	{SLICE_INIT("U64"), 8},
	{SLICE_INIT("U32"), 4},
	{SLICE_INIT("U16"), 2},
	{SLICE_INIT("U8"), 1},
	{SLICE_INIT("BOOL"), 1},
	{SLICE_INIT("F8_E4M3"), 1},
	{SLICE_INIT("F8_E5M2"), 1},
};

/* A name for an error text, cut so that a hostile one does not hide the rest. */
#define SHOWN(name) (int)((name).len < 120 ? (name).len : 120), (name).ptr

static uint32_t type_size(struct slice name)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (slice_eq(types[i].name, name))
			return types[i].size;
	return 0;
}

static bool get_u64(const struct json_doc *doc, uint32_t node, uint64_t *ret_value)
{
	int64_t value;

	if (node == JSON_NONE || json_type_of(doc, node) != JSON_INT || !json_i64(doc, node, &value) || value < 0)
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

static enum cs_status read_shape(struct reader *r, uint32_t node, struct tensor *t)
{
	uint32_t shape = json_get(r->doc, node, S("shape"));

	if (shape == JSON_NONE || json_type_of(r->doc, shape) != JSON_ARRAY)
		return cs_fail(r->err, CS_VALIDATION, "tensor \"%.*s\" has no shape", SHOWN(t->name));
	for (uint32_t v = json_first(r->doc, shape); v != JSON_NONE; v = json_next(r->doc, shape, v)) {
		if (t->rank == TENSOR_RANK_MAX)
			return cs_fail(r->err, CS_VALIDATION, "tensor \"%.*s\" has more than %d dimensions",
				SHOWN(t->name), TENSOR_RANK_MAX);
		if (!get_u64(r->doc, v, &t->shape[t->rank++]))
			return cs_fail(r->err, CS_VALIDATION, "the shape of tensor \"%.*s\" is no list of sizes",
				SHOWN(t->name));
	}
	return CS_OK;
}

static enum cs_status read_place(struct reader *r, uint32_t node, struct tensor *t)
{
	uint32_t offsets = json_get(r->doc, node, S("data_offsets"));
	uint32_t first = offsets == JSON_NONE ? JSON_NONE : json_first(r->doc, offsets);
	uint32_t second = first == JSON_NONE ? JSON_NONE : json_next(r->doc, offsets, first);
	uint64_t begin, end, values;

	if (first == JSON_NONE || json_type_of(r->doc, offsets) != JSON_ARRAY || !get_u64(r->doc, first, &begin) ||
		!get_u64(r->doc, second, &end) || json_next(r->doc, offsets, second) != JSON_NONE)
		return cs_fail(
			r->err, CS_VALIDATION, "data_offsets of tensor \"%.*s\" are not two places", SHOWN(t->name));
	if (begin > end || end > r->data.len)
		return cs_fail(r->err, CS_VALIDATION,
			"tensor \"%.*s\" lies outside the file (bytes %llu to %llu of %zu): the file is cut short or "
			"damaged",
			SHOWN(t->name), (unsigned long long)begin, (unsigned long long)end, r->data.len);
	if (!tensor_values(t->shape, t->rank, &values) || values * type_size(t->type) != end - begin)
		return cs_fail(r->err, CS_VALIDATION, "the shape of tensor \"%.*s\" does not fit its %llu bytes",
			SHOWN(t->name), (unsigned long long)(end - begin));
	t->data = (const uint8_t *)r->data.ptr + begin;
	t->size = (size_t)(end - begin);
	return CS_OK;
}

static enum cs_status read_tensor(struct reader *r, uint32_t node, struct tensor *ret_tensor)
{
	struct tensor t = {.name = json_key(r->doc, node)};
	enum cs_status status;

	if (t.name.len == 0 || t.name.len > TENSOR_NAME_MAX)
		return cs_fail(r->err, CS_VALIDATION, "a tensor's name has %zu bytes, 1 to %d are allowed", t.name.len,
			TENSOR_NAME_MAX);
	if (json_type_of(r->doc, node) != JSON_OBJECT)
		return cs_fail(r->err, CS_VALIDATION, "tensor \"%.*s\" is not described by an object", SHOWN(t.name));
	if (!json_str(r->doc, json_get(r->doc, node, S("dtype")), &t.type) || type_size(t.type) == 0)
		return cs_fail(r->err, CS_VALIDATION, "tensor \"%.*s\" has an unknown type (dtype)", SHOWN(t.name));
	t.is_f32 = slice_eq(t.type, S("F32"));
	status = read_shape(r, node, &t);
	if (status == CS_OK)
		status = read_place(r, node, &t);
	if (status == CS_OK)
		*ret_tensor = t;
	return status;
}

static int by_place(const void *a, const void *b)
{
	const struct tensor *const *x = a, *const *y = b;

	if ((*x)->data != (*y)->data)
		return (*x)->data < (*y)->data ? -1 : 1;
	return ((*x)->size > (*y)->size) - ((*x)->size < (*y)->size);
}

static enum cs_status check_places(
	struct arena *arena, const struct tensors *tensors, struct slice data, struct cs_error *err)
{
	const struct tensor **order = arena_array(arena, tensors->count, sizeof *order);
	const uint8_t *end = (const uint8_t *)data.ptr;

	if (!order)
		return cs_fail_memory(err);
	for (size_t i = 0; i < tensors->count; i++)
		order[i] = &tensors->items[i];
	if (tensors->count > 1)
		qsort(order, tensors->count, sizeof *order, by_place);
	for (size_t i = 0; i < tensors->count; i++) {
		if (order[i]->data != end)
			return cs_fail(err, CS_VALIDATION, "tensor \"%.*s\" %s", SHOWN(order[i]->name),
				order[i]->data < end ? "overlaps another one" : "has unused bytes before it");
		end = order[i]->data + order[i]->size;
	}
	if (end != (const uint8_t *)data.ptr + data.len)
		return cs_fail(err, CS_VALIDATION, "%zu bytes behind the last tensor belong to none",
			(size_t)((const uint8_t *)data.ptr + data.len - end));
	return CS_OK;
}

static enum cs_status read_all(struct arena *arena, const struct json_doc *doc, struct slice data,
	struct tensors *ret_tensors, struct cs_error *err)
{
	struct reader r = {doc, data, err};
	struct tensors list = {0};
	enum cs_status status = CS_OK;

	if (json_type_of(doc, 0) != JSON_OBJECT || doc->nodes[0].count > TENSORS_MAX)
		return cs_fail(err, CS_VALIDATION, "the header is no object of at most %d tensors", TENSORS_MAX);
	list.items = arena_array(arena, doc->nodes[0].count, sizeof *list.items);
	if (!list.items)
		return cs_fail_memory(err);
	for (uint32_t v = json_first(doc, 0); status == CS_OK && v != JSON_NONE; v = json_next(doc, 0, v))
		if (!slice_eq(json_key(doc, v), S("__metadata__")))
			status = read_tensor(&r, v, &list.items[list.count++]);
	if (status == CS_OK)
		status = check_places(arena, &list, data, err);
	if (status == CS_OK)
		*ret_tensors = list;
	return status;
}

enum cs_status safetensors_parse(
	struct arena *arena, struct slice file, struct tensors *ret_tensors, struct cs_error *err)
{
	struct cs_error json_err;
	struct json_doc doc;
	enum cs_status status;
	uint64_t length = 0;

	if (file.len < LENGTH_SIZE)
		return cs_fail(err, CS_VALIDATION, "%zu bytes are no safetensors file", file.len);
	for (int i = LENGTH_SIZE - 1; i >= 0; i--)
		length = length << 8 | (uint8_t)file.ptr[i];
	if (length > file.len - LENGTH_SIZE || length > SAFETENSORS_HEADER_MAX)
		return cs_fail(err, CS_VALIDATION, "a header of %llu bytes is %s", (unsigned long long)length,
			length > SAFETENSORS_HEADER_MAX ? "too large: this is no safetensors file"
							: "longer than the file, which is cut short or none");
	status = json_parse(
		arena, slice_of(file.ptr + LENGTH_SIZE, (size_t)length), JSON_LIMITS_DEFAULT, &doc, &json_err);
	if (status == CS_LIMIT_EXCEEDED)
		return cs_fail(err, status, "the header: %s", json_err.text);
	if (status != CS_OK)
		return cs_fail(err, CS_VALIDATION, "the header is not valid: %s", json_err.text);
	return read_all(arena, &doc, slice_from(file, LENGTH_SIZE + (size_t)length), ret_tensors, err);
}
