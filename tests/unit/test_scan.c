/* The scan's promises one by one: what is refused and leaves no trace, replacing and removing, blocks that grow and go,
 * ties, totals, selections, time running out, memory running out at each allocation, and searches side by side. That
 * results are exact in general is the property test's part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "../support/alloc_fault.h"
#include "vector/scan_parts.h"

#define DIMENSION 70
#define MANY      9000 /* more than two blocks of this dimension */
#define THREADS   4

struct fixture {
	struct scan *scan;
	struct arena arena;
	struct op op;
	struct cs_error err;
	struct scan_hit *hits;
	size_t count;
	uint64_t total;
};

static struct fixture fx;

static int set_up(void **state)
{
	memset(&fx, 0, sizeof fx);
	arena_init(&fx.arena, NULL, 0, 64u << 20);
	fx.op = (struct op){.arena = &fx.arena, .deadline_ns = OP_NO_DEADLINE};
	return scan_new(DIMENSION, MANY, &fx.scan, &fx.err) == CS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	scan_free(fx.scan);
	arena_release(&fx.arena);
	return 0;
}

/* A direction for each number, in the plane of the first two axes: number degrees. */
static const float *at_angle(double degrees, float length)
{
	static _Thread_local float vector[DIMENSION];

	memset(vector, 0, sizeof vector);
	vector[0] = length * (float)cos(degrees * M_PI / 180);
	vector[1] = length * (float)sin(degrees * M_PI / 180);
	return vector;
}

static void put(int64_t number, double degrees)
{
	assert_int_equal(scan_put(fx.scan, number, at_angle(degrees, 1), &fx.err), CS_OK);
}

static void search(double degrees, size_t limit, float at_least, const struct scan_selection *selection)
{
	const struct scan_query query = {
		.vector = at_angle(degrees, 3), .limit = limit, .at_least = at_least, .selection = selection};

	assert_int_equal(scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_OK);
}

static void test_bad_shapes(void **state)
{
	struct scan *scan = NULL;

	assert_int_equal(scan_new(0, 1, &scan, &fx.err), CS_VALIDATION);
	assert_int_equal(scan_new(SCAN_DIMENSION_MAX + 1, 1, &scan, &fx.err), CS_VALIDATION);
	assert_int_equal(scan_new(8, 0, &scan, &fx.err), CS_VALIDATION);
	assert_int_equal(scan_new(8, SIZE_MAX, &scan, &fx.err), CS_VALIDATION);
	assert_null(scan);
	assert_int_equal(scan_new(SCAN_DIMENSION_MAX, 1, &scan, &fx.err), CS_OK);
	assert_int_equal(scan_dimension(scan), SCAN_DIMENSION_MAX);
	scan_free(scan);
	scan_free(NULL);
}

static void test_bad_vectors(void **state)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY, 0};
	float vector[DIMENSION] = {0};
	const struct scan_query query = {.vector = vector, .limit = 1, .at_least = -2};

	put(1, 30);
	for (size_t i = 0; i < 4; i++) {
		vector[DIMENSION - 1] = bad[i];
		assert_int_equal(scan_put(fx.scan, 2, vector, &fx.err), CS_VALIDATION);
		assert_int_equal(scan_put(fx.scan, 1, vector, &fx.err), CS_VALIDATION);
		fx.count = 77;
		assert_int_equal(
			scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_VALIDATION);
		assert_int_equal(fx.count, 77);
	}
	assert_int_equal(scan_count(fx.scan), 1);
	assert_false(scan_has(fx.scan, 2));
	search(30, 1, -2, NULL);
	assert_true(fx.hits[0].similarity > 0.999999f);
}

static void test_any_length(void **state)
{
	static const float lengths[] = {1e-44f, 1e-38f, 1e-3f, 1, 1e20f, 3e38f};

	for (int i = 0; i < 6; i++)
		assert_int_equal(scan_put(fx.scan, i, at_angle(90, lengths[i]), &fx.err), CS_OK);
	search(90, 10, 0.99999f, NULL);
	assert_int_equal(fx.total, 6);
	for (size_t i = 0; i < fx.count; i++)
		assert_true(fx.hits[i].similarity <= 1);
}

static void test_nothing_to_find(void **state)
{
	search(10, 5, -2, NULL);
	assert_int_equal(fx.count, 0);
	assert_int_equal(fx.total, 0);
	assert_false(scan_remove(fx.scan, 1));
	assert_null(scan_vector(fx.scan, 1));
	put(1, 0);
	search(0, 0, -2, NULL);
	assert_int_equal(fx.count, 0);
	assert_int_equal(fx.total, 1);
	search(0, 0, 0.5f, NULL);
	assert_int_equal(fx.total, 1);
	search(180, 5, -0.5f, NULL);
	assert_int_equal(fx.count, 0);
	assert_int_equal(fx.total, 0);
}

static void test_order_ties_and_total(void **state)
{
	for (int64_t n = 0; n < 80; n++)
		put(1000 - n, n < 40 ? 20 : (double)n); /* forty that are equal, the later the smaller number */
	search(20, 45, -2, NULL);
	assert_int_equal(fx.count, 45);
	assert_int_equal(fx.total, 80);
	for (int64_t i = 0; i < 40; i++)
		assert_int_equal(fx.hits[i].number, 961 + i);
	for (int64_t i = 40; i < 45; i++)
		assert_int_equal(fx.hits[i].number, 1000 - i);
	search(20, 3, (float)cos(30 * M_PI / 180) - 1e-5f, NULL); /* up to 50 degrees */
	assert_int_equal(fx.count, 3);
	assert_int_equal(fx.total, 40 + 11);
	search(20, 1000, 1.5f, NULL);
	assert_int_equal(fx.total, 0);
}

/* What is better than its neighbours by more than codes can hide comes first; the many cost no memory each. */
static void test_rough(void **state)
{
	struct scan_query query = {
		.vector = at_angle(45, 3), .limit = 10, .at_least = (float)cos(30 * M_PI / 180), .rough = true};

	for (int64_t n = 0; n < 4000; n++)
		put(n, n == 1234 ? 45 : n == 7 ? 40 : n == 8 ? 80 : 20);
	search(45, 10, query.at_least, NULL);
	assert_int_equal(fx.hits[9].number, 9);
	arena_release(&fx.arena);
	arena_init(&fx.arena, NULL, 0, 10000);
	query.vector = at_angle(45, 3);
	assert_int_equal(scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_OK);
	assert_int_equal(fx.count, 10);
	assert_int_equal(fx.total, 3999);
	assert_int_equal(fx.hits[0].number, 1234);
	assert_int_equal(fx.hits[1].number, 7);
	for (size_t i = 2; i < 10; i++)
		assert_float_equal(fx.hits[i].similarity, cos(25 * M_PI / 180), 1e-6);
	query.rough = false;
	query.vector = at_angle(45, 3);
	assert_int_equal(
		scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_LIMIT_EXCEEDED);
}

static void test_replacing(void **state)
{
	put(5, 10);
	put(6, 80);
	put(5, 81);
	assert_int_equal(scan_count(fx.scan), 2);
	search(10, 1, -2, NULL);
	assert_int_equal(fx.hits[0].number, 6);
	/* With its own stored vector: the same again. */
	assert_int_equal(scan_put(fx.scan, 6, scan_vector(fx.scan, 6), &fx.err), CS_OK);
	search(80, 1, -2, NULL);
	assert_int_equal(fx.hits[0].number, 6);
	assert_true(fx.hits[0].similarity > 0.999999f);
}

static void test_ceiling(void **state)
{
	struct scan *scan;

	assert_int_equal(scan_new(DIMENSION, 2, &scan, &fx.err), CS_OK);
	assert_int_equal(scan_put(scan, INT64_MIN, at_angle(1, 1), &fx.err), CS_OK);
	assert_int_equal(scan_put(scan, INT64_MAX, at_angle(2, 1), &fx.err), CS_OK);
	assert_int_equal(scan_put(scan, 0, at_angle(3, 1), &fx.err), CS_LIMIT_EXCEEDED);
	assert_false(scan_has(scan, 0));
	assert_int_equal(scan_put(scan, INT64_MAX, at_angle(4, 1), &fx.err), CS_OK);
	assert_true(scan_remove(scan, INT64_MIN));
	assert_int_equal(scan_put(scan, 0, at_angle(3, 1), &fx.err), CS_OK);
	scan_free(scan);
}

/* Entries keep their vectors while blocks come, and go again but for a spare one. */
static void test_blocks_grow_and_go(void **state)
{
	for (int64_t n = 0; n < MANY; n++)
		put(n * n, (double)n * 360 / MANY);
	assert_true(fx.scan->block_count > 2);
	for (int64_t n = 0; n < MANY; n += 501) {
		search((double)n * 360 / MANY, 1, -2, NULL);
		assert_int_equal(fx.hits[0].number, n * n);
	}
	for (int64_t n = 0; n < MANY; n++) {
		if (n % 1000 == 7)
			continue;
		assert_true(scan_remove(fx.scan, n * n));
		assert_false(scan_has(fx.scan, n * n));
	}
	assert_int_equal(scan_count(fx.scan), MANY / 1000);
	assert_true(fx.scan->block_count <= 2);
	search(0, 100, -2, NULL);
	assert_int_equal(fx.count, MANY / 1000);
	for (size_t i = 0; i < fx.count; i++)
		assert_int_equal((int64_t)sqrt((double)fx.hits[i].number) % 1000, 7);
}

static void test_selection(void **state)
{
	static int64_t numbers[] = {3, 140, 140, 64, 777777, 63, -1};
	const struct scan_selection *selection;

	for (int64_t n = 0; n < 150; n++)
		put(n, (double)n);
	assert_int_equal(scan_select(fx.scan, &fx.arena, numbers, 7, &selection, &fx.err), CS_OK);
	search(0, 10, -2, selection);
	assert_int_equal(fx.total, 4);
	assert_int_equal(fx.count, 4);
	assert_int_equal(fx.hits[0].number, 3);
	assert_int_equal(fx.hits[1].number, 63);
	assert_int_equal(fx.hits[2].number, 64);
	assert_int_equal(fx.hits[3].number, 140);
	search(0, 2, 0.4f, selection); /* 66 degrees */
	assert_int_equal(fx.total, 3);
	assert_int_equal(fx.count, 2);
	assert_int_equal(scan_select(fx.scan, &fx.arena, NULL, 0, &selection, &fx.err), CS_OK);
	search(0, 2, -2, selection);
	assert_int_equal(fx.total, 0);
}

static void test_not_a_number_as_threshold(void **state)
{
	const struct scan_query query = {.vector = at_angle(0, 1), .limit = 1, .at_least = NAN};

	assert_int_equal(scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_VALIDATION);
}

static void test_nobody_waits(void **state)
{
	const struct scan_query query = {.vector = at_angle(0, 1), .limit = 1, .at_least = -2};
	const atomic_bool cancelled = true;

	put(1, 1);
	fx.op.cancelled = &cancelled;
	assert_int_equal(scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_TIMEOUT);
	fx.op.cancelled = NULL;
	fx.op.deadline_ns = clock_mono_ns() - 1;
	assert_int_equal(scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_TIMEOUT);
}

static void test_memory_runs_out_while_filling(void **state)
{
	ALLOC_FAULT_EACH(n)
	{
		struct scan *scan;
		int64_t stored = 0;

		if (scan_new(DIMENSION, MANY, &scan, &fx.err) != CS_OK)
			continue;
		for (int64_t i = 0; i < 4500; i++) {
			if (scan_put(scan, i, at_angle((double)i / 20, 1), &fx.err) == CS_OK) {
				stored++;
				continue;
			}
			assert_int_equal(fx.err.status, CS_LIMIT_EXCEEDED);
			assert_false(scan_has(scan, i));
			assert_int_equal(scan_put(scan, i, at_angle((double)i / 20, 1), &fx.err), CS_OK);
			stored++;
		}
		assert_int_equal(scan_count(scan), stored);
		for (int64_t i = 0; i < 4500; i += 83)
			assert_true(scan_has(scan, i));
		scan_free(scan);
	}
	if (alloc_fault_available())
		assert_true(n > 5);
}

static void test_memory_runs_out_while_searching(void **state)
{
	static int64_t numbers[4000];
	const struct scan_query query = {.vector = at_angle(45, 1), .limit = SIZE_MAX, .at_least = -2};

	for (int64_t n = 0; n < 4000; n++) {
		numbers[n] = n;
		put(n, (double)n / 100);
	}
	ALLOC_FAULT_EACH(n)
	{
		struct scan_query selected = query;
		enum cs_status status;

		arena_reset(&fx.arena);
		fx.count = 77;
		status = scan_select(fx.scan, &fx.arena, numbers, 4000, &selected.selection, &fx.err);
		if (status == CS_OK)
			status = scan_search(fx.scan, &fx.op, &selected, &fx.hits, &fx.count, &fx.total, &fx.err);
		assert_true(status == CS_OK ? fx.count == 4000 : status == CS_LIMIT_EXCEEDED && fx.count == 77);
	}
	if (alloc_fault_available())
		assert_true(n > 2);
	/* And an arena at its ceiling. */
	arena_release(&fx.arena);
	arena_init(&fx.arena, NULL, 0, 10000);
	assert_int_equal(
		scan_search(fx.scan, &fx.op, &query, &fx.hits, &fx.count, &fx.total, &fx.err), CS_LIMIT_EXCEEDED);
}

static void *search_many(void *failures)
{
	struct arena arena;
	struct op op = {.arena = &arena, .deadline_ns = OP_NO_DEADLINE};
	static const int64_t numbers[] = {100, 200, 300};

	arena_init(&arena, NULL, 0, 1u << 20);
	for (int i = 0; i < 50; i++) {
		struct scan_query query = {.vector = at_angle(i + 0.2, 1), .limit = 3, .at_least = 0.5f};
		const int64_t selected = i < 15 ? 100 : i < 25 ? 200 : 300; /* nearest */
		struct scan_hit *hits;
		uint64_t total;
		size_t count;

		if (i % 2 && scan_select(fx.scan, &arena, numbers, 3, &query.selection, NULL) != CS_OK)
			++*(int *)failures;
		if (scan_search(fx.scan, &op, &query, &hits, &count, &total, NULL) != CS_OK || count != 3 ||
			hits[0].number != (i % 2 ? selected : i * 10 + 2))
			++*(int *)failures;
		arena_reset(&arena);
	}
	arena_release(&arena);
	return NULL;
}

static void test_searches_side_by_side(void **state)
{
	pthread_t threads[THREADS];
	int failures[THREADS] = {0};

	for (int64_t n = 0; n < 600; n++)
		put(n, (double)n / 10);
	assert_true(scan_remove(fx.scan, 599));
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, search_many, &failures[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(failures[i], 0);
	}
}

#define SCAN_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCAN_TEST(test_bad_shapes),
		SCAN_TEST(test_bad_vectors),
		SCAN_TEST(test_any_length),
		SCAN_TEST(test_nothing_to_find),
		SCAN_TEST(test_order_ties_and_total),
		SCAN_TEST(test_rough),
		SCAN_TEST(test_replacing),
		SCAN_TEST(test_ceiling),
		SCAN_TEST(test_blocks_grow_and_go),
		SCAN_TEST(test_selection),
		SCAN_TEST(test_not_a_number_as_threshold),
		SCAN_TEST(test_nobody_waits),
		SCAN_TEST(test_memory_runs_out_while_filling),
		SCAN_TEST(test_memory_runs_out_while_searching),
		SCAN_TEST(test_searches_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
