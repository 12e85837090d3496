/* The map against a plain array as oracle, at its ceiling, and without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../support/alloc_fault.h"
#include "base/map.h"

#define KEYS 700

static struct slice key_of(size_t i, char text[16])
{
	return slice_of(text, (size_t)snprintf(text, 16, "key-%zu", i));
}

static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Every key, there or not, is answered as the oracle does. */
static void compare(const struct map *map, void *const oracle[KEYS])
{
	size_t expected = 0;
	char text[16];

	for (size_t i = 0; i < KEYS; i++) {
		expected += oracle[i] != NULL;
		assert_ptr_equal(map_get(map, key_of(i, text)), oracle[i]);
	}
	assert_int_equal(map->count, expected);
}

static void test_random_puts_and_removals(void **state)
{
	static int values[KEYS];
	void *oracle[KEYS] = {0};
	struct map map;
	uint32_t random = 20261123;

	map_init(&map, KEYS);
	for (size_t step = 0; step < 30000; step++) {
		size_t i = next_random(&random) % KEYS;
		/* Phases of growing and of shrinking, so that runs get long and are broken up. */
		bool put = next_random(&random) % 100 < (step / 5000 % 2 ? 25 : 75);
		char text[16];
		struct slice key = key_of(i, text);
		void *old = &random;

		if (put) {
			assert_int_equal(map_put(&map, key, &values[step % KEYS], &old), CS_OK);
			assert_ptr_equal(old, oracle[i]);
			oracle[i] = &values[step % KEYS];
		} else {
			assert_ptr_equal(map_remove(&map, key), oracle[i]);
			oracle[i] = NULL;
		}
		if (step % 1000 == 0)
			compare(&map, oracle);
	}
	compare(&map, oracle);
	map_release(&map);
	map_release(NULL);
}

static void test_keys_are_bytes_and_are_copied(void **state)
{
	char key[] = "abc";
	int one, two;
	struct map map;

	map_init(&map, 10);
	assert_null(map_get(&map, S("")));
	assert_null(map_remove(&map, S("")));
	assert_int_equal(map_put(&map, (struct slice){NULL, 0}, &one, NULL), CS_OK);
	assert_ptr_equal(map_get(&map, S("")), &one);
	assert_int_equal(map_put(&map, S("a\0b"), &two, NULL), CS_OK);
	assert_null(map_get(&map, S("a")));
	assert_ptr_equal(map_get(&map, S("a\0b")), &two);
	assert_int_equal(map_put(&map, slice_cstr(key), &one, NULL), CS_OK);
	key[0] = 'x';
	assert_ptr_equal(map_get(&map, S("abc")), &one);
	assert_null(map_get(&map, S("xbc")));
	map_release(&map);
	assert_null(map_get(&map, S("abc")));
}

static void test_ceiling(void **state)
{
	struct map map;
	int value, other;
	void *old = &value;
	char text[16];

	map_init(&map, 13);
	for (size_t i = 0; i < 13; i++)
		assert_int_equal(map_put(&map, key_of(i, text), &value, NULL), CS_OK);
	assert_int_equal(map_put(&map, S("one more"), &value, &old), CS_LIMIT_EXCEEDED);
	assert_ptr_equal(old, &value);
	/* A full map still replaces. */
	assert_int_equal(map_put(&map, key_of(3, text), &other, &old), CS_OK);
	assert_ptr_equal(old, &value);
	assert_non_null(map_remove(&map, key_of(4, text)));
	assert_int_equal(map_put(&map, S("one more"), &value, &old), CS_OK);
	assert_null(old);
	map_release(&map);
}

static void test_each_allocation_fails_once(void **state)
{
	ALLOC_FAULT_EACH(n)
	{
		void *oracle[KEYS] = {0};
		struct map map;
		size_t refused = 0;
		int value;
		char text[16];

		map_init(&map, KEYS);
		for (size_t i = 0; i < 60; i++) {
			if (map_put(&map, key_of(i, text), &value, NULL) == CS_OK)
				oracle[i] = &value;
			else
				refused++;
		}
		assert_true(refused <= 1);
		compare(&map, oracle);
		map_release(&map);
	}
	assert_true(n > 60 || !alloc_fault_available());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_puts_and_removals),
		cmocka_unit_test(test_keys_are_bytes_and_are_copied),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_each_allocation_fails_once),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
