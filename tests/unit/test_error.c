/* The error table is whole, and a text too long is cut between characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

static void test_each_status_has_its_words(void **state)
{
	assert_string_equal(cs_status_type(CS_OK), "");
	for (int status = CS_OK + 1; status < CS_STATUS_COUNT; status++) {
		assert_true(cs_status_type((enum cs_status)status)[0] != '\0');
		assert_true(cs_status_text((enum cs_status)status)[0] != '\0');
		assert_in_range(cs_status_http((enum cs_status)status), 400, 599);
	}
	assert_string_equal(cs_status_type(CS_VERSION_CONFLICT), "version_conflict");
	assert_int_equal(cs_status_http(CS_VERSION_CONFLICT), 409);
}

static void test_fail_fills_the_error(void **state)
{
	struct cs_error err = {.version = 9};

	assert_int_equal(cs_fail(&err, CS_VALIDATION, "%s is %d", "x", 3), CS_VALIDATION);
	assert_int_equal(err.status, CS_VALIDATION);
	assert_string_equal(err.text, "x is 3");
	assert_int_equal(err.version, 0);
	assert_int_equal(cs_fail(NULL, CS_STORAGE, "unheard"), CS_STORAGE);
	assert_int_equal(cs_fail_memory(&err), CS_LIMIT_EXCEEDED);
}

/* A text of the given character, behind `shift` bytes, always ends at a whole one and fills what it can. */
static void cut_of(const char *character, size_t size)
{
	for (size_t shift = 0; shift < size; shift++) {
		char text[CS_ERROR_TEXT_MAX + 16];
		struct cs_error err;
		size_t len = shift, kept;

		memset(text, 'x', shift);
		while (len + size < sizeof text) {
			memcpy(text + len, character, size);
			len += size;
		}
		text[len] = '\0';
		assert_int_equal(cs_fail(&err, CS_VALIDATION, "%s", text), CS_VALIDATION);
		kept = strlen(err.text);
		assert_int_equal((kept - shift) % size, 0);
		assert_memory_equal(err.text, text, kept);
		assert_true(kept + 2 * size > CS_ERROR_TEXT_MAX - 1);
	}
}

static void test_long_text_is_cut_at_a_character(void **state)
{
	cut_of("a", 1);
	cut_of("\xC3\xA9", 2);
	cut_of("\xE2\x82\xAC", 3);
	cut_of("\xF0\x9F\x98\x80", 4);
}

/* A reply with half a character in it is no JSON to any client. */
static void test_a_precision_leaves_no_half_of_a_character(void **state)
{
	struct cs_error err;

	assert_int_equal(cs_fail(&err, CS_VALIDATION, "not \"%.2s\"", "a\xC3\xA9"), CS_VALIDATION);
	assert_string_equal(err.text, "not \"a\"");
	assert_int_equal(
		cs_fail(&err, CS_VALIDATION, "%.3s of %.3s.", "\xF0\x9F\x98\x80", "\xE2\x82\xAC"), CS_VALIDATION);
	assert_string_equal(err.text, " of \xE2\x82\xAC.");
	/* A file's name in Latin-1. */
	assert_int_equal(cs_fail(&err, CS_NOT_FOUND, "caf\xE9.json: %s", "missing"), CS_NOT_FOUND);
	assert_string_equal(err.text, "caf.json: missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_status_has_its_words),
		cmocka_unit_test(test_fail_fills_the_error),
		cmocka_unit_test(test_long_text_is_cut_at_a_character),
		cmocka_unit_test(test_a_precision_leaves_no_half_of_a_character),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
