/* The buffer: growth, the ceiling to the byte, and a failure that sticks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/alloc_fault.h"
#include "base/buffer.h"

static void test_appends(void **state)
{
	struct buffer b;

	buffer_init(&b, 1u << 20);
	assert_int_equal(buffer_slice(&b).len, 0);
	buffer_append(&b, (struct slice){NULL, 0});
	buffer_append(&b, S("ab"));
	buffer_byte(&b, 'c');
	buffer_printf(&b, "%03d", 7);
	assert_true(slice_eq(buffer_slice(&b), S("abc007")));
	buffer_consume(&b, 2);
	assert_true(slice_eq(buffer_slice(&b), S("c007")));
	buffer_consume(&b, 4);
	assert_int_equal(b.len, 0);
	for (size_t i = 0; i < 5000; i++)
		buffer_byte(&b, (char)('a' + i % 26));
	for (size_t i = 0; i < 5000; i++)
		assert_int_equal(b.ptr[i], 'a' + i % 26);
	assert_int_equal(buffer_status(&b, NULL), CS_OK);
	buffer_release(&b);
	buffer_release(NULL);
}

static void test_ceiling_is_exact_and_failure_sticks(void **state)
{
	struct cs_error err;
	struct buffer b;

	buffer_init(&b, 1000);
	for (size_t i = 0; i < 1000; i++)
		buffer_byte(&b, 'x');
	assert_false(b.failed);
	assert_int_equal(b.len, 1000);
	buffer_append(&b, (struct slice){NULL, 0});
	assert_false(b.failed);
	buffer_byte(&b, 'y');
	assert_true(b.failed);
	assert_int_equal(b.len, 1000);
	buffer_consume(&b, 500);
	buffer_append(&b, S("no"));
	buffer_byte(&b, 'n');
	buffer_printf(&b, "no");
	assert_int_equal(b.len, 500);
	assert_int_equal(buffer_status(&b, &err), CS_LIMIT_EXCEEDED);
	buffer_clear(&b);
	buffer_append(&b, S("yes"));
	assert_true(slice_eq(buffer_slice(&b), S("yes")));
	assert_null(buffer_reserve(&b, SIZE_MAX));
	buffer_release(&b);
	/* In one piece too, all of it and one more. */
	buffer_init(&b, 1000);
	assert_non_null(buffer_reserve(&b, 1000));
	buffer_release(&b);
	buffer_init(&b, 1000);
	assert_null(buffer_reserve(&b, 1001));
	buffer_release(&b);
}

static void test_each_allocation_fails_once(void **state)
{
	ALLOC_FAULT_EACH(n)
	{
		struct buffer b;
		size_t before;

		buffer_init(&b, 1u << 20);
		do {
			before = b.len;
			buffer_append(&b, S("0123456789"));
		} while (!b.failed && b.len < 4000);
		assert_int_equal(b.len, b.failed ? before : before + 10);
		assert_int_equal(buffer_status(&b, NULL), b.failed ? CS_LIMIT_EXCEEDED : CS_OK);
		buffer_release(&b);
	}
	assert_true(n > 3 || !alloc_fault_available());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appends),
		cmocka_unit_test(test_ceiling_is_exact_and_failure_sticks),
		cmocka_unit_test(test_each_allocation_fails_once),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
