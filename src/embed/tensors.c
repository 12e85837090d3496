/* Views of tensors. See tensors.h. */
#include "embed/tensors.h"

#include <assert.h>

const struct tensor *tensors_find(const struct tensors *tensors, struct slice name)
{
	for (size_t i = 0; i < tensors->count; i++)
		if (slice_eq(tensors->items[i].name, name))
			return &tensors->items[i];
	return NULL;
}

bool tensor_values(const uint64_t *shape, uint32_t rank, uint64_t *ret_values)
{
	uint64_t values = 1;

	for (uint32_t i = 0; i < rank; i++)
		if (__builtin_mul_overflow(values, shape[i], &values) || values > TENSOR_VALUES_MAX)
			return false;
	*ret_values = values;
	return true;
}

uint64_t tensor_rows(const struct tensor *t)
{
	return t->rank < 2 ? 1 : t->shape[t->transposed ? 1 : 0];
}

uint64_t tensor_columns(const struct tensor *t)
{
	return t->rank < 2 ? (t->rank ? t->shape[0] : 1) : t->shape[t->transposed ? 0 : 1];
}

void tensor_copy_row(const struct tensor *t, size_t row, float *to)
{
	size_t rows = tensor_rows(t), columns = tensor_columns(t);

	assert(t->is_f32 && t->rank <= 2 && row < rows && t->size == rows * columns * sizeof *to);
	if (!t->transposed) {
		memcpy(to, t->data + row * columns * sizeof *to, columns * sizeof *to);
		return;
	}
	for (size_t i = 0; i < columns; i++)
		memcpy(&to[i], t->data + (i * rows + row) * sizeof *to, sizeof *to);
}

bool tensor_is_finite(const struct tensor *t)
{
	const uint32_t exponent = 0x7f800000; /* all ones: infinity or none */
	bool finite = true;

	assert(t->is_f32);
	for (size_t at = 0; at + sizeof(uint32_t) <= t->size; at += sizeof(uint32_t)) {
		uint32_t bits;

		memcpy(&bits, t->data + at, sizeof bits);
		finite &= (bits & exponent) != exponent;
	}
	return finite;
}
