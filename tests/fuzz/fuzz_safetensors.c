/* Any bytes as a file of weights: refused with a known error, or every tensor can be read whole.
 *
 * The input is copied to a piece of its exact size, so that AddressSanitizer sees a byte read behind it. The header's
 * length is set to what is there when the first byte is odd, since a fuzzer rarely guesses eight bytes. */
#include <stdio.h>
#include <stdlib.h>

#include "embed/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz_safetensors: %s\n", what);
	abort();
}

static void read_all(const struct tensors *tensors, const char *file, size_t size)
{
	for (size_t i = 0; i < tensors->count; i++) {
		const struct tensor *t = &tensors->items[i];
		uint64_t values, sum = 0;

		check((const char *)t->data >= file && t->size <= (size_t)(file + size - (const char *)t->data),
			"a tensor outside the file");
		check(tensor_values(t->shape, t->rank, &values), "a shape beyond its ceiling");
		check(!t->is_f32 || values * 4 == t->size, "a size that does not fit");
		for (size_t j = 0; j < t->size; j++)
			sum += t->data[j];
		check(sum <= 255 * (uint64_t)t->size, "arithmetic");
		check(tensors_find(tensors, t->name) == t, "a name twice");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tensors tensors;
	struct arena arena;
	struct cs_error err;
	char *file;

	if (size < 1)
		return 0;
	file = malloc(size);
	check(file != NULL, "no memory");
	memcpy(file, data + 1, size - 1);
	if ((data[0] & 1) && size > 9) {
		uint64_t length = strnlen(file + 8, size - 9);

		memcpy(file, &length, sizeof length);
	}
	arena_init(&arena, NULL, 0, 64u << 20);
	if (safetensors_parse(&arena, slice_of(file, size - 1), &tensors, &err) == CS_OK)
		read_all(&tensors, file, size - 1);
	else
		check(err.status == CS_VALIDATION || err.status == CS_LIMIT_EXCEEDED, "an unknown error");
	arena_release(&arena);
	free(file);
	return 0;
}
