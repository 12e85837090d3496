/* The arena: alignment, the caller's own block, the ceiling, and no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/alloc_fault.h"
#include "base/arena.h"

static void test_pieces_are_aligned_and_apart(void **state)
{
	struct arena arena;
	char *last = NULL;

	arena_init(&arena, NULL, 0, 1u << 20);
	for (size_t size = 0; size < 300; size++) {
		char *piece = arena_alloc(&arena, size);

		assert_non_null(piece);
		assert_int_equal((uintptr_t)piece % 16, 0);
		memset(piece, (int)size & 0xFF, size);
		if (last)
			assert_int_equal((unsigned char)last[size - 2], (size - 1) & 0xFF);
		last = size ? piece : NULL;
		assert_non_null(arena_copy(&arena, S("odd")).ptr);
	}
	arena_release(&arena);
	arena_release(NULL);
}

static void test_own_block_comes_first(void **state)
{
	static const char text[49] = "x";
	_Alignas(16) char own[64];
	struct arena arena;

	arena_init(&arena, own, sizeof own, 1u << 20);
	assert_ptr_equal(arena_alloc(&arena, 48), own);
	assert_int_equal(arena.used, 0);
	assert_non_null(arena_alloc(&arena, 17));
	assert_true(arena.used > 0);
	arena_reset(&arena);
	assert_int_equal(arena.used, 0);
	assert_ptr_equal(arena_alloc(&arena, 64), own);
	/* Behind 49 bytes 15 are left, but not after aligning. */
	arena_reset(&arena);
	assert_ptr_equal(arena_copy(&arena, slice_of(text, 49)).ptr, own);
	assert_non_null(arena_alloc(&arena, 15));
	assert_true(arena.used > 0);
	arena_release(&arena);
}

static void test_ceiling(void **state)
{
	struct arena arena;
	volatile size_t huge = SIZE_MAX; /* hidden from the compiler, which knows it cannot be had */
	size_t pieces = 0;

	arena_init(&arena, NULL, 0, 100000);
	assert_null(arena_alloc(&arena, 100001));
	assert_null(arena_alloc(&arena, huge));
	assert_null(arena_array(&arena, huge / 2, 3));
	while (arena_alloc(&arena, 1000))
		pieces++;
	assert_true(arena.used <= 100000);
	/* Blocks that double may waste, but not most of it. */
	assert_in_range(pieces, 80, 100);
	arena_release(&arena);
	arena_init(&arena, NULL, 0, 0);
	assert_null(arena_alloc(&arena, 1));
	arena_release(&arena);
}

static void test_contents(void **state)
{
	struct arena arena;
	unsigned char *zeros;
	struct slice copy;

	arena_init(&arena, NULL, 0, 1u << 20);
	zeros = arena_array(&arena, 100, 7);
	for (size_t i = 0; i < 700; i++)
		assert_int_equal(zeros[i], 0);
	copy = arena_copy(&arena, (struct slice){NULL, 0});
	assert_non_null(copy.ptr);
	assert_int_equal(copy.len, 0);
	assert_string_equal(arena_cstr(&arena, S("text")), "text");
	assert_true(slice_eq(arena_printf(&arena, "%s-%d", "a", 12), S("a-12")));
	arena_release(&arena);
}

static void test_each_allocation_fails_once(void **state)
{
	ALLOC_FAULT_EACH(n)
	{
		struct arena arena;

		arena_init(&arena, NULL, 0, 1u << 20);
		for (size_t i = 0; i < 40; i++) {
			struct slice text = arena_printf(&arena, "%0900zu", i);

			if (text.ptr)
				assert_int_equal(text.len, 900);
		}
		arena_release(&arena);
	}
	assert_true(n > 3 || !alloc_fault_available());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_are_aligned_and_apart),
		cmocka_unit_test(test_own_block_comes_first),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_each_allocation_fails_once),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
