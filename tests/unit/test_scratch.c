/* Kept memory: what was given back is taken again, and no more than the ceiling is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "embed/kernels.h"
#include "embed/scratch.h"

static void test_grows_and_keeps(void **state)
{
	struct scratch s = {0};
	char *block;

	assert_true(scratch_need(&s, 1000));
	assert_true(s.size >= 1000);
	assert_int_equal((uintptr_t)s.block % KERNEL_ALIGN, 0);
	block = s.block;
	assert_true(scratch_need(&s, 10));
	assert_ptr_equal(s.block, block);
	assert_true(scratch_need(&s, s.size + 1));
	memset(s.block, 7, s.size);
	scratch_release(&s);
	assert_null(s.block);
	assert_int_equal(s.size, 0);
}

static void test_given_is_taken_again(void **state)
{
	struct scratch_pool pool;
	struct scratch s, other;
	char *block;

	scratch_pool_init(&pool);
	s = scratch_pool_take(&pool);
	assert_null(s.block);
	assert_true(scratch_need(&s, 100));
	block = s.block;
	other = scratch_pool_take(&pool);
	assert_null(other.block);
	scratch_pool_give(&pool, other);
	scratch_pool_give(&pool, s);
	assert_ptr_equal(scratch_pool_take(&pool).block, block);
	scratch_pool_give(&pool, s);
	scratch_pool_release(&pool);
}

/* What is over the ceiling is freed: a leak checker sees it if not. */
static void test_ceiling(void **state)
{
	struct scratch_pool pool;

	scratch_pool_init(&pool);
	for (size_t i = 0; i < SCRATCH_KEPT + 3; i++) {
		struct scratch s = {0};

		assert_true(scratch_need(&s, 100));
		scratch_pool_give(&pool, s);
	}
	assert_int_equal(pool.count, SCRATCH_KEPT);
	scratch_pool_release(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_and_keeps),
		cmocka_unit_test(test_given_is_taken_again),
		cmocka_unit_test(test_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
