/* Safetensors: a good file is read as it was written; every hostile header is refused with what is wrong; a file cut at
 * any byte is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buffer.h"
#include "embed/safetensors.h"

/* `data` zero bytes behind the header; the whole is copied to a piece of its exact size. */
static char *make_file(const char *header, size_t data, size_t *ret_size)
{
	uint64_t length = strlen(header);
	char *file = calloc(1, 8 + length + data);

	assert_non_null(file);
	memcpy(file, &length, 8);
	memcpy(file + 8, header, length);
	for (size_t i = 0; i < data; i++)
		file[8 + length + i] = (char)i;
	*ret_size = 8 + length + data;
	return file;
}

static enum cs_status parse(const char *header, size_t data, struct cs_error *err)
{
	struct tensors tensors;
	struct arena arena;
	enum cs_status status;
	size_t size;
	char *file = make_file(header, data, &size);

	arena_init(&arena, NULL, 0, 1u << 20);
	status = safetensors_parse(&arena, slice_of(file, size), &tensors, err);
	arena_release(&arena);
	free(file);
	return status;
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
			   "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
			   "\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
			   "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[32,36]},"
			   "\"none\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[36,36]}}   ";
#define GOOD_DATA 36

static void test_a_good_file(void **state)
{
	size_t size;
	char *file = make_file(good, GOOD_DATA, &size);
	struct tensors tensors;
	struct arena arena;
	const struct tensor *b;
	float row[3];

	arena_init(&arena, NULL, 0, 1u << 20);
	assert_int_equal(safetensors_parse(&arena, slice_of(file, size), &tensors, NULL), CS_OK);
	assert_int_equal(tensors.count, 4);
	b = tensors_find(&tensors, S("b"));
	assert_non_null(b);
	assert_true(b->is_f32);
	assert_false(b->transposed);
	assert_int_equal(tensor_rows(b), 2);
	assert_int_equal(tensor_columns(b), 3);
	tensor_copy_row(b, 1, row);
	assert_memory_equal(row, file + 8 + strlen(good) + 8 + 12, 12);
	assert_false(tensors_find(&tensors, S("a"))->is_f32);
	assert_null(tensors_find(&tensors, S("__metadata__")));
	assert_null(tensors_find(&tensors, S("c")));
	arena_release(&arena);
	free(file);
}

static const struct {
	const char *header;
	size_t data;
	const char *says;
} bad[] = {
	{"", 0, "header"},
	{"[]", 0, "no object"},
	{"{\"a\":1}", 0, "object"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", 4, "header"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
	 "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
		8, "header"},
	{"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "name"},
	{"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type"},
	{"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type"},
	{"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "shape"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", 4, "shape"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "dimensions"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "outside"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 4, "outside"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two places"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "two places"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{\"x\":0,\"y\":4}}}", 4, "two places"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "two places"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "does not fit"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]}}", 0, "does not fit"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,4]}}", 4, "does not fit"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
	 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
		6, "overlaps"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
	 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
		4, "overlaps"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "unused bytes"},
	{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "belong to none"},
};

static void test_hostile_headers(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct cs_error err = {0};

		if (parse(bad[i].header, bad[i].data, &err) != CS_VALIDATION)
			fail_msg("accepted: %s", bad[i].header);
		if (!strstr(err.text, bad[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].header, err.text, bad[i].says);
	}
}

static void test_cut_at_every_byte(void **state)
{
	size_t size;
	char *file = make_file(good, GOOD_DATA, &size);

	for (size_t cut = 0; cut < size; cut++) {
		char *piece = malloc(cut ? cut : 1);
		struct tensors tensors;
		struct arena arena;

		assert_non_null(piece);
		memcpy(piece, file, cut);
		arena_init(&arena, NULL, 0, 1u << 20);
		assert_int_equal(safetensors_parse(&arena, slice_of(piece, cut), &tensors, NULL), CS_VALIDATION);
		arena_release(&arena);
		free(piece);
	}
	free(file);
}

static void test_lengths_that_lie(void **state)
{
	static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, 1ull << 63, 1ull << 32, 17ull << 20, 600};
	size_t size;
	char *file = make_file(good, GOOD_DATA, &size);

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct tensors tensors;
		struct arena arena;

		memcpy(file, &lengths[i], 8);
		arena_init(&arena, NULL, 0, 1u << 20);
		assert_int_equal(safetensors_parse(&arena, slice_of(file, size), &tensors, NULL), CS_VALIDATION);
		arena_release(&arena);
	}
	free(file);
}

static void test_no_memory(void **state)
{
	size_t size;
	char *file = make_file(good, GOOD_DATA, &size);
	enum cs_status status = CS_LIMIT_EXCEEDED;

	for (size_t ceiling = 0; status == CS_LIMIT_EXCEEDED; ceiling += 512) {
		_Alignas(16) char own[16];
		struct tensors tensors;
		struct arena arena;

		assert_true(ceiling < 1u << 20);
		arena_init(&arena, own, sizeof own, ceiling);
		status = safetensors_parse(&arena, slice_of(file, size), &tensors, NULL);
		arena_release(&arena);
	}
	assert_int_equal(status, CS_OK);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_file),
		cmocka_unit_test(test_hostile_headers),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_lengths_that_lie),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
