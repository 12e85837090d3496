/* The tokenizer against ids of the reference, and everything that can be wrong with a vocabulary, a text or memory.
 *
 * The golden table was written by the reference (tests/blackbox/test_tokenizer.py, which also checks it and compares
 * millions of texts); its vocabulary is small enough to read and spells all of its texts but two characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../support/alloc_fault.h"
#include "embed/tokenizer.h"
#include "tokenizer_golden_table.h"

#define SPECIAL "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"
#define CEILING (64u << 20)

static const struct {
	struct slice text, uncased, cased;
} golden[] = {
#define GOLDEN(text, uncased, cased) {SLICE_INIT(text), SLICE_INIT(uncased), SLICE_INIT(cased)},
	GOLDEN_TABLE
#undef GOLDEN
};

static struct tokenizer *load(struct slice vocabulary, bool lowercase)
{
	struct tokenizer *t = NULL;
	struct cs_error err;

	if (tokenizer_new(vocabulary, (struct tokenizer_options){.lowercase = lowercase}, &t, &err) != CS_OK)
		fail_msg("%s", err.text);
	return t;
}

/* `wanted` holds the ids in decimals, with spaces between. */
static void assert_ids(struct tokenizer *t, struct slice text, struct slice wanted)
{
	struct token_ids ids;
	struct arena arena;
	struct cs_error err;
	size_t i = 0;

	arena_init(&arena, NULL, 0, CEILING);
	if (tokenizer_encode(t, &arena, text, &ids, &err) != CS_OK)
		fail_msg("\"" SLICE_FMT "\": %s", SLICE_ARG(text), err.text);
	while (wanted.len > 0) {
		uint64_t id = UINT64_MAX;

		assert_true(slice_to_u64(slice_cut(&wanted, ' '), &id));
		if (i >= ids.count || ids.ids[i] != id)
			fail_msg("\"" SLICE_FMT "\": piece %zu is not %u", SLICE_ARG(text), i, (unsigned)id);
		i++;
	}
	assert_int_equal(ids.count, i);
	arena_release(&arena);
}

static void test_ids_of_the_reference(void **state)
{
	struct tokenizer *uncased = load(S(GOLDEN_VOCABULARY), true), *cased = load(S(GOLDEN_VOCABULARY), false);

	for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
		assert_ids(uncased, golden[i].text, golden[i].uncased);
		assert_ids(cased, golden[i].text, golden[i].cased);
	}
	tokenizer_free(uncased);
	tokenizer_free(cased);
}

static void test_vocabulary_can_be_asked(void **state)
{
	struct tokenizer *t = load(S("##x\n[SEP]\n[UNK]\n[CLS]\nx\n[PAD]\n"), true);

	assert_int_equal(tokenizer_size(t), 6);
	assert_int_equal(tokenizer_sep(t), 1);
	assert_int_equal(tokenizer_cls(t), 3);
	assert_true(slice_eq(tokenizer_token(t, 0), S("##x")));
	assert_true(slice_eq(tokenizer_token(t, 5), S("[PAD]")));
	assert_int_equal(tokenizer_token(t, 6).len, 0);
	assert_int_equal(tokenizer_token(t, UINT32_MAX).len, 0);
	assert_ids(t, S("xxx y"), S("4 0 0 2"));
	tokenizer_free(t);
	tokenizer_free(NULL);
}

static void test_lines_may_end_with_cr_lf_and_the_last_with_nothing(void **state)
{
	struct tokenizer *t = load(S("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nab\r\n##c"), true);

	assert_int_equal(tokenizer_size(t), 6);
	assert_ids(t, S("abc"), S("4 5"));
	tokenizer_free(t);
}

static void refuse(struct slice vocabulary, uint32_t size, const char *why)
{
	struct tokenizer *t = (struct tokenizer *)&vocabulary;
	struct cs_error err;

	assert_int_equal(tokenizer_new(vocabulary, (struct tokenizer_options){.vocabulary_size = size}, &t, &err),
		CS_VALIDATION);
	assert_string_equal(err.text, why);
	assert_ptr_equal(t, &vocabulary);
}

static void test_errors_of_a_vocabulary_name_its_line(void **state)
{
	refuse(S(""), 0, "the vocabulary has no line [UNK]");
	refuse(S("[PAD]\n[CLS]\n[SEP]\n"), 0, "the vocabulary has no line [UNK]");
	refuse(S("[PAD]\n[UNK]\n[SEP]\n"), 0, "the vocabulary has no line [CLS]");
	refuse(S("[PAD]\n[UNK]\n[CLS]\n"), 0, "the vocabulary has no line [SEP]");
	refuse(S(SPECIAL "a\n\nb\n"), 0, "line 6 of the vocabulary is empty");
	refuse(S(SPECIAL "a\n\r\n"), 0, "line 6 of the vocabulary is empty");
	refuse(S(SPECIAL "a\n##a\nb\na\n"), 0, "line 8 of the vocabulary repeats line 5");
	refuse(S(SPECIAL "a\xC3\n"), 0, "line 5 of the vocabulary is not valid UTF-8");
	refuse(S(SPECIAL "a\n"), 6, "the vocabulary has 5 lines, the model's weights are for 6");
	refuse(S(SPECIAL "a\n"), 4, "the vocabulary has 5 lines, the model's weights are for 4");
}

static void test_a_vocabulary_has_a_ceiling(void **state)
{
	size_t size = (32u << 20) + 1;
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, '\n', size);
	refuse(slice_of(text, size), 0, "the vocabulary has 33554433 bytes, at most 33554432 are taken");
	refuse(slice_of(text, size - 1), 0, "the vocabulary has 33554432 lines, at most 1048576 are taken");
	free(text);
}

static void test_invalid_utf8_is_refused_with_its_place(void **state)
{
	static const struct slice invalid[] = {SLICE_INIT("\x80"), SLICE_INIT("\xC3"), SLICE_INIT("\xC3("),
		SLICE_INIT("\xC0\xAF"), SLICE_INIT("\xC1\xBF"), SLICE_INIT("\xE0\x9F\xBF"), SLICE_INIT("\xED\xA0\x80"),
		SLICE_INIT("\xED\xBF\xBF"), SLICE_INIT("\xE2\x82"), SLICE_INIT("\xE2\x82z"),
		SLICE_INIT("\xF0\x8F\xBF\xBF"), SLICE_INIT("\xF4\x90\x80\x80"), SLICE_INIT("\xF5\x80\x80\x80"),
		SLICE_INIT("\xF8\x88\x80\x80\x80"), SLICE_INIT("\xFE"), SLICE_INIT("\xFF")};
	struct tokenizer *t = load(S(SPECIAL "ab\n"), true);
	struct token_ids ids = {.count = 77};
	struct arena arena;
	struct cs_error err;

	arena_init(&arena, NULL, 0, CEILING);
	for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
		struct slice text = arena_printf(&arena, "ab \xC3\xA9" SLICE_FMT, SLICE_ARG(invalid[i]));

		assert_int_equal(tokenizer_encode(t, &arena, text, &ids, &err), CS_VALIDATION);
		assert_non_null(strstr(err.text, "not valid UTF-8 at byte 5"));
		assert_int_equal(ids.count, 77);
	}
	arena_release(&arena);
	tokenizer_free(t);
}

/* What is not kept is not stored: 8 MB of one word, of one run of combining characters, and of marks that are dropped. */
static void test_memory_does_not_depend_on_the_length_of_a_word(void **state)
{
	static const struct slice parts[] = {
		SLICE_INIT("a"), SLICE_INIT("\xE3\x80\xAF\xE3\x80\xAE"), SLICE_INIT("\xCC\x81")};
	static const struct slice wanted[] = {SLICE_INIT("1"), SLICE_INIT("1"), SLICE_INIT("")};
	struct tokenizer *t = load(S(SPECIAL "a\n##a\n"), true);

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		size_t count = (8u << 20) / parts[i].len;
		char *text = malloc(count * parts[i].len);

		assert_non_null(text);
		for (size_t k = 0; k < count; k++)
			memcpy(text + k * parts[i].len, parts[i].ptr, parts[i].len);
		assert_ids(t, slice_of(text, count * parts[i].len), wanted[i]);
		free(text);
	}
	tokenizer_free(t);
}

/* More pieces than the first guess has room for: each byte is one. */
static void test_ids_grow(void **state)
{
	struct tokenizer *t = load(S(SPECIAL "!\n?\n"), true);
	struct token_ids ids;
	struct arena arena;
	struct cs_error err;
	char text[5000];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 3 ? '!' : '?';
	arena_init(&arena, NULL, 0, CEILING);
	assert_int_equal(tokenizer_encode(t, &arena, slice_of(text, sizeof text), &ids, &err), CS_OK);
	assert_int_equal(ids.count, sizeof text);
	for (size_t i = 0; i < sizeof text; i++)
		assert_int_equal(ids.ids[i], i % 3 ? 4 : 5);
	arena_release(&arena);
	tokenizer_free(t);
}

static void test_an_arena_at_its_ceiling(void **state)
{
	struct tokenizer *t = load(S(SPECIAL "!\n"), true);
	unsigned refused = 0, done = 0;
	char text[4096];

	memset(text, '!', sizeof text);
	for (size_t ceiling = 0; ceiling < (64u << 10); ceiling += 1000) {
		struct token_ids ids = {.count = 77};
		struct arena arena;
		struct cs_error err;
		enum cs_status status;

		arena_init(&arena, NULL, 0, ceiling);
		status = tokenizer_encode(t, &arena, slice_of(text, sizeof text), &ids, &err);
		assert_true(status == CS_OK || (status == CS_LIMIT_EXCEEDED && ids.count == 77));
		*(status == CS_OK ? &done : &refused) += 1;
		arena_release(&arena);
	}
	assert_true(refused > 4 && done > 4);
	tokenizer_free(t);
}

static void test_each_allocation_may_fail(void **state)
{
	unsigned failed = 0;

	ALLOC_FAULT_EACH(n)
	{
		struct tokenizer *t = NULL;
		struct cs_error err;
		enum cs_status status =
			tokenizer_new(S(SPECIAL "a\n"), (struct tokenizer_options){.lowercase = true}, &t, &err);

		assert_true(status == CS_OK ? t != NULL : status == CS_LIMIT_EXCEEDED && t == NULL);
		failed += status != CS_OK;
		tokenizer_free(t);
	}
	if (alloc_fault_available())
		assert_int_equal(failed, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_of_the_reference),
		cmocka_unit_test(test_vocabulary_can_be_asked),
		cmocka_unit_test(test_lines_may_end_with_cr_lf_and_the_last_with_nothing),
		cmocka_unit_test(test_errors_of_a_vocabulary_name_its_line),
		cmocka_unit_test(test_a_vocabulary_has_a_ceiling),
		cmocka_unit_test(test_invalid_utf8_is_refused_with_its_place),
		cmocka_unit_test(test_memory_does_not_depend_on_the_length_of_a_word),
		cmocka_unit_test(test_ids_grow),
		cmocka_unit_test(test_an_arena_at_its_ceiling),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
