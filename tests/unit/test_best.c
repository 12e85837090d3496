/* The best of many offers against sorting them all, in orders that are kind to it and orders that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/random.h"
#include "engine/best.h"

#define OFFERS 5000

static enum text_order order;

static int first_comes_first(const void *left, const void *right)
{
	const struct match *a = left, *b = right;
	double x = order == TEXT_BY_DATE ? (double)a->created_at : a->score;
	double y = order == TEXT_BY_DATE ? (double)b->created_at : b->score;

	if (x != y)
		return x > y ? -1 : 1;
	return a->row > b->row ? -1 : 1;
}

enum shape { RANDOM, RISING, FALLING, FEW_VALUES, ALL_EQUAL, TEETH, SHAPES };

static void make_offers(struct match *offers, size_t count, enum shape shape)
{
	uint64_t seed = 3 + (uint64_t)shape;

	for (size_t i = 0; i < count; i++) {
		uint64_t random = next(&seed);
		double values[SHAPES] = {(double)(random % 100000), (double)i, (double)(count - i),
			(double)(random % 5), 1, (double)(i % 17 * 1000 + i)};

		offers[i] = (struct match){.row = (int64_t)(shape == TEETH ? count - i : i) + 1,
			.created_at = (int64_t)values[shape],
			.score = values[shape],
			.doc = (uint32_t)i};
	}
}

/* Beyond in_order they may come in any, but the same they are. */
static void check(const struct match *offers, size_t count, size_t room, size_t in_order)
{
	uint64_t found = 0, expected = 0;
	struct match *sorted = malloc((count + 1) * sizeof *sorted);
	size_t wanted = count < room ? count : room;
	struct best best;
	struct cs_error err;

	if (count)
		memcpy(sorted, offers, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, first_comes_first);
	assert_int_equal(best_init(&best, room, order, &err), CS_OK);
	best.in_order = in_order;
	for (size_t i = 0; i < count; i++)
		if (order == TEXT_BY_DATE || offers[i].score >= best.floor)
			best_offer(&best, &offers[i]);
	best_sort(&best);
	assert_int_equal(best.count, wanted);
	for (size_t i = 0; i < wanted; i++) {
		if (in_order == 0 || i < in_order)
			assert_int_equal(best.items[i].doc, sorted[i].doc);
		found += UINT64_C(1) << best.items[i].doc % 61 | best.items[i].doc;
		expected += UINT64_C(1) << sorted[i].doc % 61 | sorted[i].doc;
	}
	assert_true(found == expected);
	best_release(&best);
	free(sorted);
}

static void check_orders(const struct match *offers, size_t count, size_t room)
{
	static const size_t in_order[] = {0, 1, 40, 400};

	for (size_t i = 0; i < sizeof in_order / sizeof *in_order; i++) {
		order = TEXT_BY_SCORE;
		check(offers, count, room, in_order[i]);
		order = TEXT_BY_DATE;
		check(offers, count, room, in_order[i]);
	}
}

static void the_best_are_those_that_sorting_puts_first(void **state)
{
	static const size_t rooms[] = {0, 1, 2, 10, 32, 33, 400, 4999, 5000, 6000}, counts[] = {0, 1, 3, 65, OFFERS};
	struct match *offers = calloc(OFFERS, sizeof *offers);

	(void)state;
	for (enum shape shape = RANDOM; shape < SHAPES; shape++) {
		for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
			make_offers(offers, counts[c], shape);
			for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++)
				check_orders(offers, counts[c], rooms[r]);
		}
	}
	free(offers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_are_those_that_sorting_puts_first),
	};

	return cmocka_run_group_tests_name("best", tests, NULL, NULL);
}
