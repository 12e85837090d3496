/* Slices: each function at its edges: empty, null, no separator, the ends of the number ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

static void test_equality_and_order(void **state)
{
	struct slice null = {NULL, 0};

	assert_true(slice_eq(null, S("")));
	assert_true(slice_eq(S("a\0b"), S("a\0b")));
	assert_false(slice_eq(S("a\0b"), S("a\0c")));
	assert_false(slice_eq(S("ab"), S("a")));
	assert_true(slice_starts(S("abc"), S("ab")));
	assert_true(slice_starts(S("abc"), null));
	assert_false(slice_starts(S("a"), S("ab")));
	assert_true(slice_eq_nocase(S("Content-TYPE"), S("content-type")));
	assert_false(slice_eq_nocase(S("a"), S("ab")));
	/* '[' and '{' differ by the case bit and are no letters. */
	assert_false(slice_eq_nocase(S("["), S("{")));
	assert_false(slice_eq_nocase(S("@"), S("`")));
	assert_int_equal(slice_compare(null, S("")), 0);
	assert_true(slice_compare(S("a"), S("ab")) < 0);
	assert_true(slice_compare(S("b"), S("ab")) > 0);
	/* Bytes, not signed characters. */
	assert_true(slice_compare(S("\x7f"), S("\xc3\xa9")) < 0);
}

static void test_trim_and_from(void **state)
{
	assert_true(slice_eq(slice_trim(S(" \t\r\n a b \n")), S("a b")));
	assert_int_equal(slice_trim(S(" \t ")).len, 0);
	assert_int_equal(slice_trim((struct slice){NULL, 0}).len, 0);
	assert_true(slice_eq(slice_from(S("abc"), 1), S("bc")));
	assert_int_equal(slice_from(S("abc"), 3).len, 0);
	assert_int_equal(slice_from(S("abc"), 9).len, 0);
	assert_int_equal(slice_cstr(NULL).len, 0);
}

static void test_cut(void **state)
{
	struct slice rest = S("a,,b,");

	assert_int_equal(slice_find_byte(rest, ','), 1);
	assert_int_equal(slice_find_byte(rest, 'x'), rest.len);
	assert_int_equal(slice_find_byte((struct slice){NULL, 0}, 'x'), 0);
	assert_true(slice_eq(slice_cut(&rest, ','), S("a")));
	assert_true(slice_eq(slice_cut(&rest, ','), S("")));
	assert_true(slice_eq(slice_cut(&rest, ','), S("b")));
	/* An empty last part is not the end ... */
	assert_int_equal(rest.len, 0);
	assert_non_null(rest.ptr);
	assert_true(slice_eq(slice_cut(&rest, ','), S("")));
	/* ... and this is. */
	assert_null(rest.ptr);
}

static void test_numbers(void **state)
{
	static const char *const refused[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808",
		"-9223372036854775809", "99999999999999999999", "--1", "1-"};
	int64_t i = 7;
	uint64_t u = 7;

	for (size_t n = 0; n < sizeof refused / sizeof refused[0]; n++) {
		assert_false(slice_to_i64(slice_cstr(refused[n]), &i));
		assert_int_equal(i, 7);
	}
	assert_true(slice_to_i64(S("9223372036854775807"), &i));
	assert_true(i == INT64_MAX);
	assert_true(slice_to_i64(S("-9223372036854775808"), &i));
	assert_true(i == INT64_MIN);
	assert_true(slice_to_i64(S("-0"), &i));
	assert_int_equal(i, 0);
	assert_true(slice_to_i64(S("007"), &i));
	assert_int_equal(i, 7);
	assert_false(slice_to_u64(S("18446744073709551616"), &u));
	assert_false(slice_to_u64(S("-1"), &u));
	assert_int_equal(u, 7);
	assert_true(slice_to_u64(S("18446744073709551615"), &u));
	assert_true(u == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equality_and_order),
		cmocka_unit_test(test_trim_and_from),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
