/* Thresholds over a result that is longer than any page a search gives: hits and totals are those of looking at each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/random.h"
#include "store/score.h"

#define HITS   500
#define WINDOW 60 /* offset + limit, as the port's own is */

/* Best first; `newest` has them in another order. */
static double scores[HITS];
static size_t newest[HITS];
static char names[HITS][8];
static unsigned searches;

static void make_ranking(uint64_t *seed)
{
	double score = 20;

	for (size_t i = 0; i < HITS; i++) {
		size_t other = next(seed) % (i + 1);

		/* Now and then the same again. */
		score -= next(seed) % 4 ? 0.03 * (double)(next(seed) % 1000) / 1000 : 0;
		scores[i] = score;
		snprintf(names[i], sizeof names[i], "%zu", i);
		newest[i] = newest[other];
		newest[other] = i;
	}
}

static size_t nth(const struct text_query *query, size_t place)
{
	return query->order == TEXT_BY_DATE ? newest[place] : place;
}

static enum cs_status search(
	void *self, struct op *op, const struct text_query *query, struct text_result *ret_result, struct cs_error *err)
{
	struct text_result result = {.top_score = scores[0]};

	(void)self;
	searches++;
	if (query->offset + query->limit > WINDOW)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "too deep");
	result.hits = arena_array(op->arena, query->limit, sizeof *result.hits);
	for (size_t place = 0; place < HITS; place++) {
		size_t hit = nth(query, place);

		if (scores[hit] < query->least_score)
			continue;
		if (result.total++ >= query->offset && result.count < query->limit)
			result.hits[result.count++] = (struct text_hit){slice_cstr(names[hit]), scores[hit]};
	}
	*ret_result = result;
	return CS_OK;
}

static void compare(const struct text_query *query, double threshold, const struct text_result *found)
{
	size_t total = 0, count = 0;

	for (size_t place = 0; place < HITS; place++) {
		size_t hit = nth(query, place);

		if (score_normalise(scores[hit], scores[0]) < threshold)
			continue;
		if (total++ < query->offset || count == query->limit)
			continue;
		assert_true(count < found->count);
		assert_string_equal(found->hits[count++].id.ptr, names[hit]);
	}
	assert_int_equal(found->count, count);
	assert_int_equal(found->total, total);
}

static void hits_and_totals_are_those_of_looking_at_each(void **state)
{
	const struct text_port port = {.search = search};
	struct arena arena;
	struct op op = {.arena = &arena};
	uint64_t seed = 3;

	arena_init(&arena, NULL, 0, 16u << 20);
	for (int round = 0; round < 2000; round++) {
		struct text_query query = {.text = S("a"), .order = next(&seed) % 2 ? TEXT_BY_DATE : TEXT_BY_SCORE};
		struct text_result found;
		double threshold;

		if (round % 50 == 0)
			make_ranking(&seed);
		arena_reset(&arena);
		query.offset = next(&seed) % 40;
		query.limit = 1 + next(&seed) % 20;
		/* Any, and those that a hit has exactly. */
		threshold = next(&seed) % 2 ? (double)(next(&seed) % 1001) / 1000
					    : score_normalise(scores[next(&seed) % HITS], scores[0]);
		searches = 0;
		assert_int_equal(score_search(&port, &op, &query, threshold, &found, NULL), CS_OK);
		assert_in_range(searches, 1, 2);
		compare(&query, threshold, &found);
	}
	arena_release(&arena);
}

static enum cs_status search_nothing(
	void *self, struct op *op, const struct text_query *query, struct text_result *ret_result, struct cs_error *err)
{
	*ret_result = (struct text_result){.no_words = true};
	return CS_OK;
}

static void nothing_is_found_where_nothing_matches(void **state)
{
	const struct text_port port = {.search = search_nothing};
	struct op op = {.arena = NULL};

	for (int order = TEXT_BY_SCORE; order <= TEXT_BY_DATE; order++) {
		struct text_query query = {.text = S("?"), .order = (enum text_order)order, .limit = 10};
		struct text_result found = {.total = 1};

		assert_int_equal(score_search(&port, &op, &query, 0.5, &found, NULL), CS_OK);
		assert_int_equal(found.total, 0);
		assert_true(found.no_words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_and_totals_are_those_of_looking_at_each),
		cmocka_unit_test(nothing_is_found_where_nothing_matches),
	};

	return cmocka_run_group_tests_name("score", tests, NULL, NULL);
}
