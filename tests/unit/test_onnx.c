/* ONNX: the tiny model exported as an exporter would (matrices transposed and renamed, one bias as float_data) binds to
 * the same weights as its safetensors; cut at any byte or hostile, it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/tiny_model.h"
#include "embed/bert.h"
#include "embed/onnx.h"
#include "embed/safetensors.h"

#define FILE_MAX (16u << 20)

/* Protobuf, as much of it as this takes. */
static void put_varint(struct buffer *out, uint64_t value)
{
	for (; value > 127; value >>= 7)
		buffer_byte(out, (char)(value | 128));
	buffer_byte(out, (char)value);
}

static void put_number(struct buffer *out, uint32_t field, uint64_t value)
{
	put_varint(out, field << 3);
	put_varint(out, value);
}

static void put_bytes(struct buffer *out, uint32_t field, struct slice bytes)
{
	put_varint(out, field << 3 | 2);
	put_varint(out, bytes.len);
	buffer_append(out, bytes);
}

static bool is_matrix(const struct tiny_tensor *t)
{
	return t->rows > 0 && strstr(t->name, "encoder.layer") != NULL;
}

static void put_initializer(struct buffer *graph, const struct tiny_tensor *t, size_t index)
{
	size_t count = tiny_values(t), rows = t->rows, columns = t->columns;
	float *values = malloc(count * sizeof *values);
	struct buffer message;
	char name[96];

	assert_non_null(values);
	buffer_init(&message, FILE_MAX);
	snprintf(name, sizeof name, "%s", t->name);
	memcpy(values, t->values, count * sizeof *values);
	if (is_matrix(t)) {
		snprintf(name, sizeof name, "onnx::MatMul_%zu", index);
		for (size_t i = 0; i < count; i++)
			values[i % columns * rows + i / columns] = t->values[i];
		put_number(&message, 1, columns);
		put_number(&message, 1, rows);
	} else {
		if (rows)
			put_number(&message, 1, rows);
		put_number(&message, 1, columns);
	}
	put_number(&message, 2, 1);
	put_bytes(&message, 8, slice_cstr(name));
	put_bytes(&message, strstr(name, "intermediate.dense.bias") ? 4 : 9,
		slice_of((const char *)values, count * sizeof *values));
	put_bytes(graph, 5, buffer_slice(&message));
	buffer_release(&message);
	free(values);
}

/* "/encoder/layer.0/output/dense/MatMul" multiplies with the matrix of "encoder.layer.0.output.dense". */
static void put_node(struct buffer *graph, const struct tiny_tensor *t, size_t index)
{
	struct buffer message;
	char name[96], module[160] = "/";
	size_t n = 1, length = strlen(t->name) - strlen(".weight");

	for (size_t i = 0; i < length; i++) {
		bool digit_follows = t->name[i + 1] >= '0' && t->name[i + 1] <= '9';

		module[n++] = t->name[i] == '.' && !digit_follows ? '/' : t->name[i];
	}
	snprintf(module + n, sizeof module - n, "/MatMul");
	snprintf(name, sizeof name, "onnx::MatMul_%zu", index);
	buffer_init(&message, FILE_MAX);
	put_bytes(&message, 1, S("before"));
	put_bytes(&message, 1, slice_cstr(name));
	put_bytes(&message, 2, S("after"));
	put_bytes(&message, 3, slice_cstr(module));
	put_bytes(&message, 4, S("MatMul"));
	put_bytes(graph, 1, buffer_slice(&message));
	buffer_release(&message);
}

static void export_model(struct buffer *out)
{
	struct buffer graph;

	buffer_init(&graph, FILE_MAX);
	for (size_t i = 0; i < tiny.count; i++)
		if (is_matrix(&tiny.tensors[i]))
			put_node(&graph, &tiny.tensors[i], i);
	put_bytes(&graph, 2, S("main_graph"));
	for (size_t i = 0; i < tiny.count; i++)
		put_initializer(&graph, &tiny.tensors[i], i);
	put_number(out, 1, 8);
	put_bytes(out, 2, S("pytorch"));
	put_bytes(out, 7, buffer_slice(&graph));
	assert_false(out->failed || graph.failed);
	buffer_release(&graph);
}

static void bind(struct arena *arena, const struct tensors *tensors, struct model *ret_model)
{
	struct model_config config;
	struct cs_error err;

	if (model_config_read(arena, slice_cstr(tiny.directory), &config, &err) != CS_OK ||
		bert_bind(arena, tensors, &config, ret_model, &err) != CS_OK)
		fail_msg("%s", err.text);
}

static void test_binds_to_the_same_weights(void **state)
{
	static const uint32_t ids[] = {2, 9, 17, 30, 9, 3};
	const struct tokens text = {ids, 6};
	const struct op op = {.deadline_ns = OP_NO_DEADLINE};
	float ours[TINY_HIDDEN], theirs[TINY_HIDDEN];
	struct buffer onnx, safe;
	struct scratch scratch = {0};
	struct tensors tensors;
	struct arena arena;
	struct model model;
	struct cs_error err;

	arena_init(&arena, NULL, 0, FILE_MAX);
	buffer_init(&onnx, FILE_MAX);
	buffer_init(&safe, FILE_MAX);
	export_model(&onnx);
	tiny_safetensors(&safe);
	if (onnx_parse(&arena, buffer_slice(&onnx), &tensors, &err) != CS_OK)
		fail_msg("%s", err.text);
	assert_int_equal(tensors.count, tiny.count);
	bind(&arena, &tensors, &model);
	assert_int_equal(forward(&model, kernels_best(), &scratch, &op, &text, 1, ours, NULL), CS_OK);
	assert_int_equal(safetensors_parse(&arena, buffer_slice(&safe), &tensors, NULL), CS_OK);
	bind(&arena, &tensors, &model);
	assert_int_equal(forward(&model, kernels_best(), &scratch, &op, &text, 1, theirs, NULL), CS_OK);
	assert_memory_equal(ours, theirs, sizeof ours);
	scratch_release(&scratch);
	buffer_release(&safe);
	buffer_release(&onnx);
	arena_release(&arena);
}

static enum cs_status parse(struct slice bytes, struct cs_error *err)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);
	struct tensors tensors;
	struct arena arena;
	enum cs_status status;

	assert_non_null(copy);
	if (bytes.len)
		memcpy(copy, bytes.ptr, bytes.len);
	arena_init(&arena, NULL, 0, FILE_MAX);
	status = onnx_parse(&arena, slice_of(copy, bytes.len), &tensors, err);
	arena_release(&arena);
	free(copy);
	return status;
}

static void test_cut_short(void **state)
{
	struct buffer onnx;

	buffer_init(&onnx, FILE_MAX);
	export_model(&onnx);
	for (size_t cut = 1; cut <= onnx.len; cut += 1 + cut / 20)
		assert_int_equal(parse(slice_of(onnx.ptr, onnx.len - cut), NULL), CS_VALIDATION);
	buffer_release(&onnx);
}

/* A graph with this one initialiser, twice if asked. */
static void refused(struct slice initializer, int times, const char *says)
{
	struct buffer file, graph;
	struct cs_error err = {0};

	buffer_init(&file, FILE_MAX);
	buffer_init(&graph, FILE_MAX);
	for (int i = 0; i < times; i++)
		put_bytes(&graph, 5, initializer);
	put_bytes(&file, 7, buffer_slice(&graph));
	assert_int_equal(parse(buffer_slice(&file), &err), CS_VALIDATION);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	buffer_release(&graph);
	buffer_release(&file);
}

static void test_hostile_initializers(void **state)
{
	/* dims 1, type FLOAT, name "a", then what each case adds; raw_data is field 9. */
	refused(S("\x08\x01\x10\x01\x42\x01"
		  "a\x4a\x04"
		  "1234"),
		2, "two initialisers");
	refused(S("\x08\x02\x10\x01\x42\x01"
		  "a\x4a\x04"
		  "1234"),
		1, "does not fit");
	refused(S("\x08\x01\x10\x01\x42\x01"
		  "a\x70\x01"),
		1, "another file");
	refused(S("\x08\x01\x10\x01\x4a\x04"
		  "1234"),
		1, "name");
	refused(S("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01\x42\x01"
		  "a"),
		1, "dimensions");
	refused(S("\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01\x08\x01"), 1, "dimensions");
	refused(S("\x4a\x7f"
		  "1234"),
		1, "initialiser");
	refused(S("\x0b"), 1, "initialiser");
	assert_int_equal(parse(S(""), NULL), CS_VALIDATION);
}

static int set_up(void **state)
{
	tiny_make(99);
	return 0;
}

static int tear_down(void **state)
{
	tiny_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binds_to_the_same_weights),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_hostile_initializers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
