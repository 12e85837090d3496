/* The quantised file: found again, made again when it is damaged at any byte that counts or its source has changed, kept
 * in memory where it cannot be written; and what is in it stands for the weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/alloc_fault.h"
#include "../support/tiny_bound.h"
#include "embed/encoder_internal.h"
#include "embed/quantize.h"

static const struct op op = {.deadline_ns = OP_NO_DEADLINE};
static const char hash[SHA256_HEX_SIZE] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static struct quantize_source source(void)
{
	return (struct quantize_source){&f32, 1000, 2000, hash, 2, 3};
}

static char path[160];

static enum cs_status open_again(struct quantized *ret_quantized)
{
	return quantized_open(path, &f32.config, 1000, 2000, ret_quantized, NULL);
}

static void make(struct quantized *ret_quantized, bool *ret_saved)
{
	struct quantize_source from = source();
	struct cs_error err;

	if (quantized_make(path, &from, kernels_best(), &op, ret_quantized, ret_saved, &err) != CS_OK)
		fail_msg("%s", err.text);
}

/* What kernels.h promises of packed weights. */
static void assert_limits(const struct linear_i8 *l, size_t channel)
{
	for (size_t lane = 0; lane < l->in / KERNEL_CHUNK * 2; lane++) {
		size_t first = lane / 2 * KERNEL_CHUNK + lane % 2 * 2;
		int all = 0;

		for (size_t group = 0; group < KERNEL_CHUNK; group += KERNEL_GROUP) {
			int a = l->values[kernel_packed_place(l->in, channel, first + group)];
			int b = l->values[kernel_packed_place(l->in, channel, first + group + 1)];

			assert_true((a ^ b) < 0 || abs(a) + abs(b) <= KERNEL_PAIR_MAX);
			all += abs(a) + abs(b);
		}
		assert_true(all <= KERNEL_LANE_MAX);
	}
}

/* Of an f32 layer's outputs `turn` each are followed by `skipped` of others. */
static void assert_linear(
	const struct linear_i8 *l, const float *w, const float *bias, size_t first, size_t turn, size_t skipped)
{
	for (size_t o = 0; bias && o < f32.config.hidden; o++, first += o % turn == 0 ? skipped : 0) {
		double error = 0, square = 0;

		for (size_t i = 0; i < l->in; i++) {
			int8_t v = l->values[kernel_packed_place(l->in, first + o, i)];
			/* As large as it is when activations are multiplied with it. */
			double wanted = w[o * l->in + i] / l->smooth[i];

			error += pow((double)l->scale[first + o] * v - wanted, 2);
			square += wanted * wanted;
		}
		/* Evenly spread weights, as here, are the hardest to keep within limits. */
		assert_true(error < 0.005 * square);
		assert_limits(l, first + o);
		assert_float_equal(l->bias[first + o], bias[o], 0);
	}
}

static void test_stands_for_the_weights(void **state)
{
	const size_t width = TINY_HIDDEN / TINY_HEADS;
	struct quantized q;
	bool saved = false;

	make(&q, &saved);
	assert_true(saved);
	assert_null(q.memory);
	for (size_t layer = 0; layer < TINY_LAYERS; layer++) {
		for (size_t i = 0; i < 3; i++)
			assert_linear(&q.model.layers[layer].attention[0].i8, f32.layers[layer].attention[i].f32.values,
				f32.layers[layer].attention[i].f32.bias, i * width, width, 2 * width);
		assert_linear(&q.model.layers[layer].down.i8, f32.layers[layer].down.f32.values,
			f32.layers[layer].down.f32.bias, 0, TINY_HIDDEN, 0);
	}
	quantized_release(&q);
	assert_int_equal(open_again(&q), CS_OK);
	assert_string_equal(q.sha256, hash);
	quantized_release(&q);
}

static void test_another_source(void **state)
{
	struct model_config config = f32.config;
	struct quantized q;
	bool saved;

	make(&q, &saved);
	quantized_release(&q);
	assert_int_equal(quantized_open(path, &config, 1001, 2000, &q, NULL), CS_VALIDATION);
	assert_int_equal(quantized_open(path, &config, 1000, 2001, &q, NULL), CS_VALIDATION);
	config.vocabulary--;
	assert_int_equal(quantized_open(path, &config, 1000, 2000, &q, NULL), CS_VALIDATION);
	unlink(path);
	assert_int_equal(open_again(&q), CS_EMBEDDING_UNAVAILABLE);
}

static void write_file(const char *bytes, size_t size)
{
	FILE *to = fopen(path, "wb");

	assert_non_null(to);
	assert_int_equal(fwrite(bytes, 1, size, to), size);
	assert_int_equal(fclose(to), 0);
}

static void test_every_damage_is_seen(void **state)
{
	struct quantized q;
	struct slice bytes;
	struct buffer copy;
	bool saved;

	make(&q, &saved);
	bytes = slice_of((const char *)q.file.ptr, q.file.size);
	buffer_init(&copy, 16u << 20);
	buffer_append(&copy, bytes);
	for (size_t i = 0; i < bytes.len; i += i < 256 ? 1 : 1 + i / 50) {
		/* Between header and body there is nothing to damage. */
		if (i >= sizeof(struct quantized_header) &&
			i < kernel_round_up(sizeof(struct quantized_header), KERNEL_ALIGN))
			continue;
		copy.ptr[i] ^= 1;
		quantized_release(&q);
		write_file(copy.ptr, copy.len);
		if (open_again(&q) != CS_VALIDATION)
			fail_msg("byte %zu of %zu", i, copy.len);
		copy.ptr[i] ^= 1;
		q = (struct quantized){0};
	}
	for (size_t cut = 1; cut < copy.len; cut += 1 + cut / 9) {
		write_file(copy.ptr, copy.len - cut);
		assert_int_equal(open_again(&q), CS_VALIDATION);
	}
	write_file(copy.ptr, copy.len);
	assert_int_equal(open_again(&q), CS_OK);
	quantized_release(&q);
	buffer_release(&copy);
}

static void test_where_nothing_can_be_written(void **state)
{
	struct quantized q;
	bool saved = true;
	char before[sizeof path];

	memcpy(before, path, sizeof path);
	snprintf(path, sizeof path, "%s/nowhere/model.int8", tiny.directory);
	make(&q, &saved);
	memcpy(path, before, sizeof path);
	assert_false(saved);
	assert_non_null(q.memory);
	assert_string_equal(q.sha256, hash);
	quantized_release(&q);
}

static void test_no_memory(void **state)
{
	struct quantize_source from = source();

	if (!alloc_fault_available()) {
		print_message("allocations cannot be made to fail under a sanitizer\n");
		skip();
	}
	ALLOC_FAULT_EACH(n)
	{
		struct quantized q;
		bool saved;
		enum cs_status status = quantized_make(path, &from, kernels_best(), &op, &q, &saved, NULL);

		if (status == CS_OK)
			quantized_release(&q);
		else
			assert_int_equal(status, CS_LIMIT_EXCEEDED);
	}
}

/* Through the encoder: a damaged file is replaced, and gives the same vectors. */
static void test_is_made_again(void **state)
{
	const struct encoder_options options = {.precision = ENCODER_INT8};
	const uint32_t ids[] = {2, 5, 6, 7, 3};
	float first[TINY_HIDDEN], second[TINY_HIDDEN];
	struct encoder *e;
	struct stat st;

	assert_int_equal(encoder_open(slice_cstr(tiny.directory), &options, &e, NULL), CS_OK);
	assert_int_equal(encoder_run_ids(e, &op, ids, 5, first, NULL), CS_OK);
	encoder_close(e);
	assert_int_equal(stat(tiny_path("model.safetensors.int8"), &st), 0);
	tiny_write("model.safetensors.int8", "damaged", 7);
	assert_int_equal(encoder_open(slice_cstr(tiny.directory), &options, &e, NULL), CS_OK);
	assert_int_equal(encoder_run_ids(e, &op, ids, 5, second, NULL), CS_OK);
	encoder_close(e);
	assert_memory_equal(first, second, sizeof first);
	assert_int_equal(access(tiny_path("model.safetensors.int8"), R_OK), 0);
}

static void test_sha256(void **state)
{
	char hex[SHA256_HEX_SIZE];

	sha256_bytes(S("abc"), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	tiny_write("abc", "abc", 3);
	assert_int_equal(sha256_file(tiny_path("abc"), hex, NULL), CS_OK);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(sha256_file(tiny_path("nothing"), hex, NULL), CS_EMBEDDING_UNAVAILABLE);
	assert_int_equal(sha256_file(tiny.directory, hex, NULL), CS_EMBEDDING_UNAVAILABLE);
}

static int set_up(void **state)
{
	int status = tiny_bind(7);

	snprintf(path, sizeof path, "%s", tiny_path("made.int8"));
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stands_for_the_weights),
		cmocka_unit_test(test_another_source),
		cmocka_unit_test(test_every_damage_is_seen),
		cmocka_unit_test(test_where_nothing_can_be_written),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_is_made_again),
		cmocka_unit_test(test_sha256),
	};

	return cmocka_run_group_tests(tests, set_up, tiny_release);
}
