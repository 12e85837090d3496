/* The encoder against a naive one in double precision, on a tiny random model that the test writes itself: f32 and int8,
 * both poolings, windows and prefixes, and directories in which something is missing, cut short or hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/tiny_model.h"
#include "embed/encoder_internal.h"

#define CLS 2
#define SEP 3

static struct arena arena;

static struct op make_op(void)
{
	return (struct op){.arena = &arena, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
}

/* The reference: what the paper says, one number at a time. */
typedef double matrix[TINY_POSITIONS][TINY_INTERMEDIATE];

static const float *of_layer(size_t layer, const char *name)
{
	char full[128];

	snprintf(full, sizeof full, "encoder.layer.%zu.%s", layer, name);
	return tiny_find(full);
}

static void ref_linear(size_t layer, const char *name, size_t in, size_t out, size_t n, matrix x, matrix to)
{
	char full[96];
	const float *w, *b;

	snprintf(full, sizeof full, "%s.weight", name);
	w = of_layer(layer, full);
	snprintf(full, sizeof full, "%s.bias", name);
	b = of_layer(layer, full);
	for (size_t t = 0; t < n; t++)
		for (size_t o = 0; o < out; o++) {
			to[t][o] = b[o];
			for (size_t i = 0; i < in; i++)
				to[t][o] += x[t][i] * w[o * in + i];
		}
}

static void ref_norm(const float *weight, const float *bias, double *x)
{
	double mean = 0, square = 0;

	for (size_t i = 0; i < TINY_HIDDEN; i++)
		mean += x[i] / TINY_HIDDEN;
	for (size_t i = 0; i < TINY_HIDDEN; i++)
		square += (x[i] - mean) * (x[i] - mean) / TINY_HIDDEN;
	for (size_t i = 0; i < TINY_HIDDEN; i++)
		x[i] = (x[i] - mean) / sqrt(square + 1e-12) * weight[i] + bias[i];
}

static void ref_attention(size_t n, matrix q, matrix k, matrix v, matrix to)
{
	const size_t width = TINY_HIDDEN / TINY_HEADS;

	memset(to, 0, sizeof(matrix));
	for (size_t h = 0; h < TINY_HEADS; h++)
		for (size_t t = 0; t < n; t++) {
			double weights[TINY_POSITIONS], sum = 0;

			for (size_t s = 0; s < n; s++) {
				weights[s] = 0;
				for (size_t i = h * width; i < (h + 1) * width; i++)
					weights[s] += q[t][i] * k[s][i];
				weights[s] = exp(weights[s] / sqrt((double)width));
				sum += weights[s];
			}
			for (size_t s = 0; s < n; s++)
				for (size_t i = h * width; i < (h + 1) * width; i++)
					to[t][i] += weights[s] / sum * v[s][i];
		}
}

static void ref_layer(size_t layer, size_t n, matrix x)
{
	static matrix q, k, v, context, added, inner;

	ref_linear(layer, "attention.self.query", TINY_HIDDEN, TINY_HIDDEN, n, x, q);
	ref_linear(layer, "attention.self.key", TINY_HIDDEN, TINY_HIDDEN, n, x, k);
	ref_linear(layer, "attention.self.value", TINY_HIDDEN, TINY_HIDDEN, n, x, v);
	ref_attention(n, q, k, v, context);
	ref_linear(layer, "attention.output.dense", TINY_HIDDEN, TINY_HIDDEN, n, context, added);
	for (size_t t = 0; t < n; t++) {
		for (size_t i = 0; i < TINY_HIDDEN; i++)
			x[t][i] += added[t][i];
		ref_norm(of_layer(layer, "attention.output.LayerNorm.weight"),
			of_layer(layer, "attention.output.LayerNorm.bias"), x[t]);
	}
	ref_linear(layer, "intermediate.dense", TINY_HIDDEN, TINY_INTERMEDIATE, n, x, inner);
	for (size_t t = 0; t < n; t++)
		for (size_t i = 0; i < TINY_INTERMEDIATE; i++)
			inner[t][i] *= 0.5 * (1 + erf(inner[t][i] / sqrt(2)));
	ref_linear(layer, "output.dense", TINY_INTERMEDIATE, TINY_HIDDEN, n, inner, added);
	for (size_t t = 0; t < n; t++) {
		for (size_t i = 0; i < TINY_HIDDEN; i++)
			x[t][i] += added[t][i];
		ref_norm(of_layer(layer, "output.LayerNorm.weight"), of_layer(layer, "output.LayerNorm.bias"), x[t]);
	}
}

static void to_unit(double *vector)
{
	double square = 0;

	for (size_t i = 0; i < TINY_HIDDEN; i++)
		square += vector[i] * vector[i];
	for (size_t i = 0; i < TINY_HIDDEN; i++)
		vector[i] /= sqrt(square);
}

static void reference(const uint32_t *ids, size_t n, bool cls, double *vector)
{
	static matrix x;

	for (size_t t = 0; t < n; t++) {
		for (size_t i = 0; i < TINY_HIDDEN; i++)
			x[t][i] = (double)tiny_find("embeddings.word_embeddings.weight")[ids[t] * TINY_HIDDEN + i] +
				  tiny_find("embeddings.position_embeddings.weight")[t * TINY_HIDDEN + i] +
				  tiny_find("embeddings.token_type_embeddings.weight")[i];
		ref_norm(tiny_find("embeddings.LayerNorm.weight"), tiny_find("embeddings.LayerNorm.bias"), x[t]);
	}
	for (size_t layer = 0; layer < TINY_LAYERS; layer++)
		ref_layer(layer, n, x);
	for (size_t i = 0; i < TINY_HIDDEN; i++) {
		vector[i] = 0;
		for (size_t t = 0; t < (cls ? 1 : n); t++)
			vector[i] += x[t][i];
	}
	to_unit(vector);
}

static double cosine(const float *a, const double *b)
{
	double sum = 0;

	for (size_t i = 0; i < TINY_HIDDEN; i++)
		sum += a[i] * b[i];
	return sum;
}

static struct encoder *open_with(struct encoder_options options)
{
	struct encoder *e;
	struct cs_error err;

	if (encoder_open(slice_cstr(tiny.directory), &options, &e, &err) != CS_OK)
		fail_msg("%s", err.text);
	return e;
}

static struct encoder *open_f32(void)
{
	return open_with((struct encoder_options){.precision = ENCODER_F32});
}

static enum cs_status encode_one(const struct encoder *e, struct op *op, enum encoder_kind kind, struct slice text,
	struct encoded *ret_encoded, struct cs_error *err)
{
	return encoder_encode(e, op, kind, &text, 1, ret_encoded, err);
}

static struct encoded encode(struct encoder *e, enum encoder_kind kind, const char *text)
{
	struct op op = make_op();
	struct encoded got;
	struct cs_error err;

	if (encode_one(e, &op, kind, slice_cstr(text), &got, &err) != CS_OK)
		fail_msg("%s", err.text);
	return got;
}

static uint32_t id_of(char c)
{
	return c >= 'a' ? (uint32_t)(4 + c - 'a') : (uint32_t)(30 + c - '0');
}

/* "a b c" as ids, between [CLS] and, unless it is cut, [SEP]. */
static size_t ids_of(const char *text, size_t window, uint32_t *ids)
{
	size_t n = 0;

	ids[n++] = CLS;
	for (; *text && n < window; text++)
		if (*text != ' ')
			ids[n++] = id_of(*text);
	if (n < window)
		ids[n++] = SEP;
	return n;
}

static void assert_like(struct encoder *e, const char *text, bool cls, double at_least)
{
	struct encoded got = encode(e, ENCODER_DOCUMENT, text);
	uint32_t ids[TINY_POSITIONS];
	double expected[TINY_HIDDEN];
	size_t n = ids_of(text, TINY_POSITIONS, ids);

	reference(ids, n, cls, expected);
	if (cosine(got.vector, expected) < at_least)
		fail_msg("\"%s\": cosine %.7f", text, cosine(got.vector, expected));
	assert_int_equal(got.tokens, n - 2);
	assert_int_equal(got.tokens_all, n - 2);
	assert_int_equal(got.windows, 1);
}

static const char *const texts[] = {"", "a", "b a b a", "x y z 1 2 3", "h e l l o w o r l d 2 0 2 6 q q q q q q q q"};
#define TEXTS (sizeof texts / sizeof *texts)

static void test_f32(void **state)
{
	struct encoder *e = open_f32();

	assert_int_equal(encoder_dimension(e), TINY_HIDDEN);
	assert_int_equal(encoder_window(e), TINY_POSITIONS);
	assert_int_equal(encoder_model_hash(e).len, 64);
	for (size_t i = 0; i < TEXTS; i++)
		assert_like(e, texts[i], false, 0.999999);
	encoder_close(e);
}

static void test_int8(void **state)
{
	/* Made, and then found. */
	for (int round = 0; round < 2; round++) {
		struct encoder *e = open_with((struct encoder_options){.precision = ENCODER_INT8});

		for (size_t i = 0; i < TEXTS; i++)
			assert_like(e, texts[i], false, 0.998);
		assert_int_equal(access(tiny_path("model.safetensors.int8"), R_OK), 0);
		encoder_close(e);
	}
}

static void test_cls_pooling(void **state)
{
	static const char pooling[] = "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}";
	struct encoder *e;

	assert_int_equal(mkdir(tiny_path("1_Pooling"), 0700), 0);
	tiny_write("1_Pooling/config.json", pooling, strlen(pooling));
	e = open_f32();
	for (size_t i = 0; i < TEXTS; i++)
		assert_like(e, texts[i], true, 0.999999);
	encoder_close(e);
	unlink(tiny_path("1_Pooling/config.json"));
	rmdir(tiny_path("1_Pooling"));
}

/* 17 pieces where 6 fit: three windows of 5, 6 and 6, averaged by their pieces. */
static void test_windows(void **state)
{
	static const char text[] = "a b c d e f g h i j k l m n o p q";
	static const size_t cuts[] = {0, 5, 11, 17};
	struct encoder *e = open_with((struct encoder_options){.precision = ENCODER_F32, .window = 8});
	struct encoded got = encode(e, ENCODER_DOCUMENT, text);
	double expected[TINY_HIDDEN] = {0}, one[TINY_HIDDEN];

	for (int w = 0; w < 3; w++) {
		uint32_t ids[8] = {CLS};
		size_t n = 1;

		for (size_t i = cuts[w]; i < cuts[w + 1]; i++)
			ids[n++] = id_of(text[2 * i]);
		ids[n++] = SEP;
		reference(ids, n, false, one);
		for (int i = 0; i < TINY_HIDDEN; i++)
			expected[i] += (double)(cuts[w + 1] - cuts[w]) * one[i];
	}
	to_unit(expected);
	assert_true(cosine(got.vector, expected) > 0.999999);
	assert_int_equal(got.tokens, 17);
	assert_int_equal(got.tokens_all, 17);
	assert_int_equal(got.windows, 3);
	assert_int_equal(encode(e, ENCODER_DOCUMENT, "a b c d e f").windows, 1);
	assert_int_equal(encode(e, ENCODER_DOCUMENT, "a b c d e f g").windows, 2);
	encoder_close(e);
}

static void test_first_window_only(void **state)
{
	struct encoder *e =
		open_with((struct encoder_options){.precision = ENCODER_F32, .window = 8, .first_window_only = true});
	/* 6 pieces fit with [SEP], 7 without it, the 8th is left out. */
	static const char *const some[] = {"a b c d e f", "a b c d e f g", "a b c d e f g h"};

	for (size_t i = 0; i < 3; i++) {
		struct encoded got = encode(e, ENCODER_DOCUMENT, some[i]);
		uint32_t ids[8];
		double expected[TINY_HIDDEN];

		reference(ids, ids_of(some[i], 8, ids), false, expected);
		assert_true(cosine(got.vector, expected) > 0.999999);
		assert_int_equal(got.tokens, i == 0 ? 6 : 7);
		assert_int_equal(got.tokens_all, 6 + i);
		assert_int_equal(got.windows, 1);
	}
	encoder_close(e);
}

#define COMPANY 150

/* Texts of 0 to 20 words; a window of the tiny model is shorter, and a pass takes fewer than COMPANY. */
static void test_company_changes_nothing(void **state)
{
	struct slice many[COMPANY];
	struct encoded together[COMPANY];
	struct op op = make_op();

	for (size_t i = 0; i < COMPANY; i++) {
		struct buffer text;

		buffer_init(&text, 1000);
		for (size_t w = 0; w < i * 7 % 21; w++)
			buffer_printf(&text, "%c ", (char)('a' + (i + w * w) % 26));
		many[i] = arena_copy(op.arena, buffer_slice(&text));
		buffer_release(&text);
	}
	for (int precision = ENCODER_INT8; precision <= ENCODER_F32; precision++) {
		struct encoder *e = open_with((struct encoder_options){.precision = (enum encoder_precision)precision});

		assert_int_equal(encoder_encode(e, &op, ENCODER_DOCUMENT, many, COMPANY, together, NULL), CS_OK);
		for (size_t i = 0; i < COMPANY; i++) {
			struct encoded alone;

			assert_int_equal(encode_one(e, &op, ENCODER_DOCUMENT, many[i], &alone, NULL), CS_OK);
			assert_int_equal(alone.tokens, together[i].tokens);
			assert_int_equal(alone.windows, together[i].windows);
			for (size_t d = 0; d < TINY_HIDDEN; d++)
				assert_true(precision == ENCODER_INT8
						    ? alone.vector[d] == together[i].vector[d]
						    : fabsf(alone.vector[d] - together[i].vector[d]) < 1e-6F);
		}
		encoder_close(e);
	}
}

static void test_prefixes(void **state)
{
	static const char prompts[] = "{\"prompts\":{\"query\":\"q 1 \",\"document\":\"\"}}";
	struct encoder *e;
	struct encoded with, plain, as_query;

	tiny_write("config_sentence_transformers.json", prompts, strlen(prompts));
	e = open_f32();
	as_query = encode(e, ENCODER_QUERY, "a b");
	with = encode(e, ENCODER_DOCUMENT, "q 1 a b");
	plain = encode(e, ENCODER_DOCUMENT, "a b");
	assert_memory_equal(as_query.vector, with.vector, TINY_HIDDEN * sizeof(float));
	assert_memory_not_equal(as_query.vector, plain.vector, TINY_HIDDEN * sizeof(float));
	assert_int_equal(as_query.tokens, 2);
	encoder_close(e);
	unlink(tiny_path("config_sentence_transformers.json"));
}

static void test_refusals_of_text(void **state)
{
	struct encoder *e = open_f32();
	struct op op = make_op();
	struct encoded got = {.tokens = 77};
	atomic_bool cancelled = true;

	assert_int_equal(encode_one(e, &op, ENCODER_QUERY, S("a\xff"), &got, NULL), CS_VALIDATION);
	op.deadline_ns = 1;
	assert_int_equal(encode_one(e, &op, ENCODER_QUERY, S("a"), &got, NULL), CS_TIMEOUT);
	op.deadline_ns = OP_NO_DEADLINE;
	op.cancelled = &cancelled;
	assert_int_equal(encode_one(e, &op, ENCODER_QUERY, S("a"), &got, NULL), CS_TIMEOUT);
	assert_int_equal(got.tokens, 77);
	encoder_close(e);
}

static void refused(enum encoder_precision precision, uint32_t window, enum cs_status status, const char *says)
{
	const struct encoder_options options = {.precision = precision, .window = window};
	static char nobody;
	struct encoder *e = (struct encoder *)(void *)&nobody;
	struct cs_error err = {0};
	enum cs_status got = encoder_open(slice_cstr(tiny.directory), &options, &e, &err);

	if (got != status || !strstr(err.text, says))
		fail_msg("%s \"%s\" instead of %s \"%s\"", cs_status_type(got), err.text, cs_status_type(status), says);
	assert_ptr_equal(e, &nobody);
}

static void test_what_is_missing(void **state)
{
	static const char *const files[] = {"model.safetensors", "config.json", "vocab.txt"};
	char elsewhere[160];

	for (size_t i = 0; i < 3; i++) {
		snprintf(elsewhere, sizeof elsewhere, "%s", tiny_path("elsewhere"));
		assert_int_equal(rename(tiny_path(files[i]), elsewhere), 0);
		refused(ENCODER_F32, 0, CS_EMBEDDING_UNAVAILABLE, files[i]);
		assert_int_equal(rename(elsewhere, tiny_path(files[i])), 0);
	}
	refused(ENCODER_F32, 2, CS_VALIDATION, "window");
	refused(ENCODER_F32, TINY_POSITIONS + 1, CS_VALIDATION, "window");
}

static void test_configurations_that_are_not_computed(void **state)
{
	static const struct {
		const char *more, *says;
	} rows[] = {
		{",\"position_embedding_type\":\"relative_key\"", "position_embedding_type"},
		{",\"layer_norm_eps\":0", "config.json"},
		{"}", "config.json"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		tiny_write_config(rows[i].more);
		refused(ENCODER_F32, 0, CS_VALIDATION, rows[i].says);
	}
	tiny_write_config("");
	tiny_write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", 26);
	refused(ENCODER_F32, 0, CS_VALIDATION, "vocab.txt");
	tiny_write_vocabulary();
}

static void test_a_wrong_shape(void **state)
{
	size_t columns = tiny.tensors[7].columns;

	tiny.tensors[7].columns = columns - 1;
	tiny_write_weights();
	refused(ENCODER_F32, 0, CS_VALIDATION, tiny.tensors[7].name);
	tiny.tensors[7].columns = columns;
	tiny_write_weights();
}

/* In any tensor, and in the row of word 0, [PAD], which no text holds. */
static void test_nan_weights(void **state)
{
	const float none[] = {NAN, INFINITY, -INFINITY};

	for (size_t i = 0; i < tiny.count; i++) {
		float before = tiny.tensors[i].values[0];

		tiny.tensors[i].values[0] = none[i % 3];
		tiny_write_weights();
		refused(i % 2 ? ENCODER_INT8 : ENCODER_F32, 0, CS_VALIDATION, "finite");
		tiny.tensors[i].values[0] = before;
	}
	tiny_write_weights();
}

/* Finite weights whose products are not. */
static void test_overflow(void **state)
{
	for (size_t i = 0; i < tiny.count; i++) {
		struct op op = make_op();
		struct encoded got;
		struct encoder *e;
		float before[TINY_HIDDEN];

		if (!strstr(tiny.tensors[i].name, "output.LayerNorm.weight"))
			continue;
		memcpy(before, tiny.tensors[i].values, sizeof before);
		for (size_t j = 0; j < TINY_HIDDEN; j++)
			tiny.tensors[i].values[j] = 3e38f;
		tiny_write_weights();
		e = open_f32();
		assert_int_equal(encode_one(e, &op, ENCODER_QUERY, S("a b"), &got, NULL), CS_VALIDATION);
		encoder_close(e);
		memcpy(tiny.tensors[i].values, before, sizeof before);
	}
	tiny_write_weights();
}

static void test_weights_cut_short(void **state)
{
	struct buffer file;

	buffer_init(&file, 16u << 20);
	tiny_safetensors(&file);
	for (size_t cut = 1; cut < file.len; cut += 1 + cut / 7) {
		tiny_write("model.safetensors", file.ptr, file.len - cut);
		refused(ENCODER_INT8, 0, CS_VALIDATION, "model.safetensors");
	}
	tiny_write("model.safetensors", "", 0);
	refused(ENCODER_INT8, 0, CS_VALIDATION, "empty");
	tiny_write_weights();
	buffer_release(&file);
}

static int set_up(void **state)
{
	tiny_make(20261124);
	arena_init(&arena, NULL, 0, 64u << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_release(&arena);
	tiny_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_f32),
		cmocka_unit_test(test_int8),
		cmocka_unit_test(test_cls_pooling),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_first_window_only),
		cmocka_unit_test(test_company_changes_nothing),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_refusals_of_text),
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_configurations_that_are_not_computed),
		cmocka_unit_test(test_a_wrong_shape),
		cmocka_unit_test(test_nan_weights),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_weights_cut_short),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
