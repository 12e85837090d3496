/* Any bytes as an ONNX file: refused with a known error, or every F32 initialiser can be read whole, row by row.
 *
 * The input is copied to a piece of its exact size, so that AddressSanitizer sees a byte read behind it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "embed/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz_onnx: %s\n", what);
	abort();
}

static void read_rows(const struct tensor *t)
{
	uint64_t columns = tensor_columns(t);
	float *row;

	if (t->rank > 2 || t->size == 0)
		return;
	row = malloc(columns * sizeof *row);
	check(row != NULL, "no memory");
	for (uint64_t i = 0; i < tensor_rows(t); i++)
		tensor_copy_row(t, i, row);
	free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tensors tensors;
	struct arena arena;
	struct cs_error err;
	char *file = malloc(size ? size : 1);

	check(file != NULL, "no memory");
	if (size)
		memcpy(file, data, size);
	arena_init(&arena, NULL, 0, 64u << 20);
	if (onnx_parse(&arena, slice_of(file, size), &tensors, &err) == CS_OK) {
		for (size_t i = 0; i < tensors.count; i++)
			if (tensors.items[i].is_f32)
				read_rows(&tensors.items[i]);
	} else {
		check(err.status == CS_VALIDATION || err.status == CS_LIMIT_EXCEEDED, "an unknown error");
	}
	arena_release(&arena);
	free(file);
	return 0;
}
