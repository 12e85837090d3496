/* Reading ONNX's initialisers. See onnx.h.
 *
 * A message is walked field by field (next_field); what is not asked for is skipped by its length. The graph is walked
 * three times: to count initialisers, to list them, and to find the nodes that say what matrices belong to. Nodes are a
 * thousand or so, so looking names up in a map keeps it linear. */
#include "embed/onnx.h"

#include "base/map.h"

#define MODEL_GRAPH          7
#define GRAPH_NODE           1
#define GRAPH_INITIALIZER    5
#define NODE_INPUT           1
#define NODE_NAME            3
#define NODE_OP_TYPE         4
#define TENSOR_DIMS          1
#define TENSOR_DATA_TYPE     2
#define TENSOR_FLOAT_DATA    4
#define TENSOR_NAME          8
#define TENSOR_RAW_DATA      9
#define TENSOR_EXTERNAL_DATA 13
#define TENSOR_DATA_LOCATION 14
#define DATA_TYPE_FLOAT      1

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct field {
	uint32_t number;
	enum wire wire;
	uint64_t value;     /* WIRE_VARINT */
	struct slice bytes; /* WIRE_BYTES, and the bytes of the fixed ones */
};

enum step { STEP_FIELD, STEP_END, STEP_BAD };

/* At most ten bytes, seven bits each, the lowest first. */
static bool read_varint(struct slice *rest, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t i = 0; i < rest->len && i < 10; i++) {
		uint8_t byte = (uint8_t)rest->ptr[i];

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*rest = slice_from(*rest, i + 1);
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool take_bytes(struct slice *rest, uint64_t count, struct slice *ret_bytes)
{
	if (count > rest->len)
		return false;
	*ret_bytes = slice_of(rest->ptr, (size_t)count);
	*rest = slice_from(*rest, (size_t)count);
	return true;
}

static enum step next_field(struct slice *rest, struct field *ret_field)
{
	struct field f = {0};
	uint64_t key = 0, length = 0;
	bool good = false;

	if (rest->len == 0)
		return STEP_END;
	if (!read_varint(rest, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
		return STEP_BAD;
	f.number = (uint32_t)(key >> 3);
	f.wire = (enum wire)(key & 7);
	switch (f.wire) {
	case WIRE_VARINT: good = read_varint(rest, &f.value); break;
	case WIRE_FIXED64: good = take_bytes(rest, 8, &f.bytes); break;
	case WIRE_BYTES: good = read_varint(rest, &length) && take_bytes(rest, length, &f.bytes); break;
	case WIRE_FIXED32: good = take_bytes(rest, 4, &f.bytes); break;
	}
	if (!good)
		return STEP_BAD;
	*ret_field = f;
	return STEP_FIELD;
}

static bool is(const struct field *f, uint32_t number, enum wire wire)
{
	return f->number == number && f->wire == wire;
}

static enum cs_status bad(struct cs_error *err, const char *what)
{
	return cs_fail(err, CS_VALIDATION, "%s is cut short or damaged: this is no ONNX file, or not all of one", what);
}

/* One size, or a packed list of them. */
static bool add_sizes(struct tensor *t, const struct field *f)
{
	struct slice rest = f->bytes;
	uint64_t size = f->value;

	do {
		if (f->wire == WIRE_BYTES && rest.len == 0)
			return true;
		if (f->wire == WIRE_BYTES && !read_varint(&rest, &size))
			return false;
		if (t->rank == TENSOR_RANK_MAX || size > TENSOR_VALUES_MAX)
			return false;
		t->shape[t->rank++] = size;
	} while (f->wire == WIRE_BYTES);
	return true;
}

static void set_data(struct tensor *t, struct slice bytes)
{
	t->data = (const uint8_t *)bytes.ptr;
	t->size = bytes.len;
}

static enum cs_status check_tensor(const struct tensor *t, bool elsewhere, struct cs_error *err)
{
	uint64_t values;

	if (t->name.len == 0 || t->name.len > TENSOR_NAME_MAX)
		return cs_fail(err, CS_VALIDATION, "an initialiser's name has %zu bytes, 1 to %d are allowed",
			t->name.len, TENSOR_NAME_MAX);
	if (elsewhere)
		return cs_fail(err, CS_VALIDATION, "the data of \"%.*s\" is in another file, which is not read",
			SLICE_ARG(t->name));
	if (t->is_f32 && (!tensor_values(t->shape, t->rank, &values) || values * sizeof(float) != t->size))
		return cs_fail(err, CS_VALIDATION, "the shape of \"%.*s\" does not fit its %zu bytes",
			SLICE_ARG(t->name), t->size);
	return CS_OK;
}

static enum cs_status read_tensor(struct slice message, struct tensor *ret_tensor, struct cs_error *err)
{
	struct tensor t = {.type = S("another type than FLOAT")};
	bool elsewhere = false;
	enum step step;
	struct field f;

	while ((step = next_field(&message, &f)) == STEP_FIELD) {
		if ((is(&f, TENSOR_DIMS, WIRE_VARINT) || is(&f, TENSOR_DIMS, WIRE_BYTES)) && !add_sizes(&t, &f))
			return cs_fail(err, CS_VALIDATION,
				"an initialiser has more than %d dimensions, or too large ones", TENSOR_RANK_MAX);
		if (is(&f, TENSOR_DATA_TYPE, WIRE_VARINT))
			t.is_f32 = f.value == DATA_TYPE_FLOAT;
		if (is(&f, TENSOR_NAME, WIRE_BYTES))
			t.name = f.bytes;
		if (is(&f, TENSOR_RAW_DATA, WIRE_BYTES) || is(&f, TENSOR_FLOAT_DATA, WIRE_BYTES))
			set_data(&t, f.bytes);
		elsewhere |= is(&f, TENSOR_EXTERNAL_DATA, WIRE_BYTES) ||
			     (is(&f, TENSOR_DATA_LOCATION, WIRE_VARINT) && f.value != 0);
	}
	if (step == STEP_BAD)
		return bad(err, "an initialiser");
	if (t.is_f32)
		t.type = S("F32");
	*ret_tensor = t;
	return check_tensor(&t, elsewhere, err);
}

static enum cs_status find_graph(struct slice file, struct slice *ret_graph, struct cs_error *err)
{
	struct slice graph = {0};
	enum step step;
	struct field f;

	while ((step = next_field(&file, &f)) == STEP_FIELD)
		if (is(&f, MODEL_GRAPH, WIRE_BYTES))
			graph = f.bytes;
	if (step == STEP_BAD || !graph.ptr)
		return bad(err, "the model");
	*ret_graph = graph;
	return CS_OK;
}

static enum cs_status count_initializers(struct slice graph, size_t *ret_count, struct cs_error *err)
{
	size_t count = 0;
	enum step step;
	struct field f;

	while ((step = next_field(&graph, &f)) == STEP_FIELD)
		count += is(&f, GRAPH_INITIALIZER, WIRE_BYTES);
	if (step == STEP_BAD)
		return bad(err, "the graph");
	if (count > TENSORS_MAX)
		return cs_fail(err, CS_VALIDATION, "%zu initialisers, at most %d are read", count, TENSORS_MAX);
	*ret_count = count;
	return CS_OK;
}

static enum cs_status read_initializers(
	struct slice graph, struct tensors *list, struct map *by_name, struct cs_error *err)
{
	struct field f;

	while (next_field(&graph, &f) == STEP_FIELD) {
		struct tensor *t = &list->items[list->count];
		enum cs_status status = CS_OK;

		if (!is(&f, GRAPH_INITIALIZER, WIRE_BYTES))
			continue;
		status = read_tensor(f.bytes, t, err);
		if (status == CS_OK && map_get(by_name, t->name))
			status = cs_fail(
				err, CS_VALIDATION, "two initialisers are named \"" SLICE_FMT "\"", SLICE_ARG(t->name));
		if (status == CS_OK && map_put(by_name, t->name, t, NULL) != CS_OK)
			status = cs_fail_memory(err);
		if (status != CS_OK)
			return status;
		list->count++;
	}
	return CS_OK;
}

/* "/encoder/layer.0/output/dense/MatMul" -> "encoder.layer.0.output.dense.weight"; empty if it is not of this form. */
static struct slice module_name(struct arena *arena, struct slice node)
{
	static const struct slice end = SLICE_INIT("/MatMul");
	struct slice name, middle;
	char *text;

	if (node.len <= end.len + 1 || node.len > TENSOR_NAME_MAX || node.ptr[0] != '/' ||
		!slice_eq(slice_from(node, node.len - end.len), end))
		return (struct slice){0};
	middle = slice_of(node.ptr + 1, node.len - end.len - 1);
	name = arena_printf(arena, SLICE_FMT ".weight", SLICE_ARG(middle));
	text = name.ptr ? arena_cstr(arena, name) : NULL;
	for (char *c = text; c && *c; c++)
		if (*c == '/')
			*c = '.';
	return slice_cstr(text);
}

/* A node that multiplies with a matrix says whose it is. */
static enum cs_status read_node(
	struct arena *arena, struct slice message, const struct map *by_name, struct cs_error *err)
{
	struct slice name = {0}, op_type = {0}, second = {0};
	struct tensor *matrix;
	size_t inputs = 0;
	enum step step;
	struct field f;

	while ((step = next_field(&message, &f)) == STEP_FIELD) {
		if (is(&f, NODE_INPUT, WIRE_BYTES) && inputs++ == 1)
			second = f.bytes;
		if (is(&f, NODE_NAME, WIRE_BYTES))
			name = f.bytes;
		if (is(&f, NODE_OP_TYPE, WIRE_BYTES))
			op_type = f.bytes;
	}
	if (step == STEP_BAD)
		return bad(err, "a node");
	matrix = slice_eq(op_type, S("MatMul")) ? map_get(by_name, second) : NULL;
	name = matrix && matrix->rank == 2 ? module_name(arena, name) : (struct slice){0};
	if (name.len > 0) {
		matrix->name = name;
		matrix->transposed = true;
	}
	return CS_OK;
}

static enum cs_status read_graph(
	struct arena *arena, struct slice graph, struct tensors *list, struct map *by_name, struct cs_error *err)
{
	enum cs_status status = read_initializers(graph, list, by_name, err);
	struct field f;

	while (status == CS_OK && next_field(&graph, &f) == STEP_FIELD)
		if (is(&f, GRAPH_NODE, WIRE_BYTES))
			status = read_node(arena, f.bytes, by_name, err);
	return status;
}

enum cs_status onnx_parse(struct arena *arena, struct slice file, struct tensors *ret_tensors, struct cs_error *err)
{
	struct tensors list = {0};
	struct map by_name;
	struct slice graph = {0};
	size_t count = 0;
	enum cs_status status = find_graph(file, &graph, err);

	if (status == CS_OK)
		status = count_initializers(graph, &count, err);
	if (status != CS_OK)
		return status;
	list.items = arena_array(arena, count, sizeof *list.items);
	if (!list.items)
		return cs_fail_memory(err);
	map_init(&by_name, count + 1);
	status = read_graph(arena, graph, &list, &by_name, err);
	map_release(&by_name);
	if (status == CS_OK)
		*ret_tensors = list;
	return status;
}
