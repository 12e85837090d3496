/* The encoder with the real default model: the first components of vectors that ONNX Runtime gave for its f32 export
 * (tokenizer and all), int8 beside f32, and that a long text is used to its end.
 *
 * The model is in CONTEXT_STORE_TEST_MODEL, else build/models/all-MiniLM-L6-v2; without it the tests are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "embed/encoder.h"

#define DIMENSION 384

static struct arena arena;

static const struct {
	const char *text;
	uint32_t tokens;
	float head[6];
} known[] = {
	{"", 0, {-0.118838f, 0.048299f, -0.002548f, -0.011011f, 0.051951f, 0.010292f}},
	{"hello world", 2, {-0.034477f, 0.031023f, 0.006735f, 0.026109f, -0.039362f, -0.160303f}},
	{"Der Äpfel kostet 3,50 €; naïve café 東京", 16,
		{0.022269f, 0.042299f, 0.030230f, -0.021695f, -0.023953f, 0.010012f}},
	{"int main(void) { return 0; }", 10, {0.060021f, 0.071941f, -0.043801f, 0.009961f, -0.090129f, -0.044183f}},
	{"The deployment failed because the database was locked by another process.", 12,
		{0.049475f, -0.089554f, -0.034073f, -0.062628f, -0.022395f, -0.022679f}},
};
#define KNOWN (sizeof known / sizeof *known)

static struct encoder *open_model(enum encoder_precision precision)
{
	const char *named = getenv("CONTEXT_STORE_TEST_MODEL");
	const char *directory = named ? named : "build/models/all-MiniLM-L6-v2";
	const struct encoder_options options = {.precision = precision};
	struct encoder *e;
	struct cs_error err;

	if (access(directory, R_OK) != 0) {
		print_message("# no model in %s; CONTEXT_STORE_TEST_MODEL names another directory\n", directory);
		skip();
	}
	if (encoder_open(slice_cstr(directory), &options, &e, &err) != CS_OK)
		fail_msg("%s", err.text);
	return e;
}

static struct encoded encode(struct encoder *e, struct slice text)
{
	struct op op = {.arena = &arena, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct encoded got;
	struct cs_error err;

	if (encoder_encode(e, &op, ENCODER_DOCUMENT, &text, 1, &got, &err) != CS_OK)
		fail_msg("%s", err.text);
	return got;
}

static double cosine(const float *a, const float *b)
{
	double sum = 0;

	for (size_t i = 0; i < DIMENSION; i++)
		sum += (double)a[i] * b[i];
	return sum;
}

static void test_known_vectors(void **state)
{
	struct encoder *e = open_model(ENCODER_F32);

	assert_int_equal(encoder_dimension(e), DIMENSION);
	assert_int_equal(encoder_window(e), 256);
	assert_string_equal(
		encoder_model_hash(e).ptr, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db");
	for (size_t i = 0; i < KNOWN; i++) {
		struct encoded got = encode(e, slice_cstr(known[i].text));

		assert_int_equal(got.tokens, known[i].tokens);
		for (size_t j = 0; j < 6; j++)
			assert_float_equal(got.vector[j], known[i].head[j], 2e-6);
		assert_float_equal(cosine(got.vector, got.vector), 1, 1e-6);
	}
	encoder_close(e);
}

static void test_int8_beside_f32(void **state)
{
	struct encoder *f32 = open_model(ENCODER_F32), *int8 = open_model(ENCODER_INT8);

	assert_string_equal(encoder_model_hash(f32).ptr, encoder_model_hash(int8).ptr);
	for (size_t i = 0; i < KNOWN; i++) {
		struct slice text = slice_cstr(known[i].text);
		double like = cosine(encode(f32, text).vector, encode(int8, text).vector);

		if (like < 0.997)
			fail_msg("\"%s\": %.5f", known[i].text, like);
	}
	encoder_close(int8);
	encoder_close(f32);
}

/* Its last words, far behind the first window, still turn the vector. */
static void test_a_long_text(void **state)
{
	struct encoder *e = open_model(ENCODER_INT8);
	struct encoded once, again;
	struct buffer text;

	buffer_init(&text, 1u << 20);
	for (int i = 0; i < 100; i++)
		buffer_append(&text, S("The train to the coast leaves at noon. "));
	once = encode(e, buffer_slice(&text));
	assert_int_equal(once.tokens, 900);
	assert_int_equal(once.tokens_all, 900);
	assert_int_equal(once.windows, 4);
	for (int i = 0; i < 20; i++)
		buffer_append(&text, S("A database stores rows in pages. "));
	again = encode(e, buffer_slice(&text));
	assert_true(cosine(once.vector, again.vector) < 0.99);
	buffer_release(&text);
	encoder_close(e);
}

static int set_up(void **state)
{
	arena_init(&arena, NULL, 0, 64u << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_release(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_vectors),
		cmocka_unit_test(test_int8_beside_f32),
		cmocka_unit_test(test_a_long_text),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
