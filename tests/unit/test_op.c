/* An operation ends at its deadline, and when nobody waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/op.h"

static void test_without_deadline(void **state)
{
	struct op op = {.deadline_ns = OP_NO_DEADLINE};

	clock_shift_ms(INT64_C(1000) * 86400 * 365);
	assert_int_equal(op_check(&op, NULL), CS_OK);
	clock_shift_ms(0);
}

static void test_deadline(void **state)
{
	struct op op = {.deadline_ns = clock_mono_ns() + INT64_C(3600000000000)};
	struct cs_error err;

	assert_int_equal(op_check(&op, &err), CS_OK);
	clock_shift_ms(3600001);
	assert_int_equal(op_check(&op, &err), CS_TIMEOUT);
	clock_shift_ms(0);
}

static void test_cancelled(void **state)
{
	atomic_bool cancelled = false;
	struct op op = {.deadline_ns = OP_NO_DEADLINE, .cancelled = &cancelled};
	struct cs_error err;

	assert_int_equal(op_check(&op, &err), CS_OK);
	cancelled = true;
	assert_int_equal(op_check(&op, &err), CS_TIMEOUT);
}

static void test_anonymous_is_a_human_admin(void **state)
{
	assert_int_equal(principal_anonymous.role, ROLE_ADMIN);
	assert_false(principal_anonymous.is_agent);
	assert_true(slice_eq(principal_anonymous.name, S("anonymous")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_deadline),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_anonymous_is_a_human_admin),
	};

	return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
