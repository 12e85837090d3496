/* The contract of port/vector.h: searching. Models, pending contexts and threads are in test_vector_models. */
#include "vectors.h"

static double similarity_of(struct fixture *f, const char *id, uint64_t seed)
{
	float vector[DIMENSION];
	struct slice wanted = slice_cstr(id);
	double similarity = 7;

	make_vector(seed, vector);
	assert_ok(f, f->ports.vectors.similarities(
			     f->ports.vectors.self, &f->op, vector, DIMENSION, &wanted, 1, &similarity, &f->err));
	return similarity;
}

static void the_nearest_comes_first(void **state)
{
	struct fixture *f = *state;
	struct vector_result result;
	char id[16];

	for (int i = 1; i <= 40; i++) {
		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	result = find(f, 17, 5);
	assert_int_equal(result.total, 40);
	assert_int_equal(result.unsearched, 0);
	assert_int_equal(result.count, 5);
	assert_text(result.hits[0].id, "c17");
	assert_true(fabs(result.hits[0].similarity - 1) < 1e-6);
	for (size_t i = 1; i < result.count; i++)
		assert_true(result.hits[i].similarity <= result.hits[i - 1].similarity);
	assert_true(result.hits[1].similarity < 0.95);
	assert_int_equal(find(f, 17, 0).count, 0);
	assert_int_equal(find(f, 17, 0).total, 40);
}

static void an_empty_store_is_searched_too(void **state)
{
	struct fixture *f = *state;
	struct vector_result result = find(f, 1, 5);
	struct vector_stats stats = stats_of(f);

	assert_int_equal(result.total, 0);
	assert_int_equal(result.count, 0);
	assert_int_equal(stats.vectors, 0);
	assert_int_equal(stats.model_id.len, 0);
	assert_int_equal(stats.dimension, 0);
	store(f, "a", 1);
	assert_true(is_found(f, "a", 1));
}

/* Plain arithmetic over all of them, in double. */
static double cosine(uint64_t a, uint64_t b)
{
	float x[DIMENSION], y[DIMENSION];
	double xy = 0, xx = 0, yy = 0;

	make_vector(a, x);
	make_vector(b, y);
	for (int i = 0; i < DIMENSION; i++) {
		xy += (double)x[i] * (double)y[i];
		xx += (double)x[i] * (double)x[i];
		yy += (double)y[i] * (double)y[i];
	}
	return xy / sqrt(xx * yy);
}

#define ORACLE_COUNT 300

struct expected {
	int number;
	double similarity;
};

static int by_similarity(const void *a, const void *b)
{
	double x = ((const struct expected *)a)->similarity, y = ((const struct expected *)b)->similarity;

	return (x < y) - (x > y);
}

/* Number i: a vector unless it divides by 7; type design if it divides by 3; metadata.half is i / 2. */
static void store_numbered(struct fixture *f, int i)
{
	char id[16], metadata[48];
	float vector[DIMENSION];
	struct context_put put;

	snprintf(id, sizeof id, "n%03d", i);
	snprintf(metadata, sizeof metadata, "{\"half\":%d}", i / 2);
	make_vector((uint64_t)i, vector);
	put = put_of(id, i % 7 ? vector : NULL);
	put.context.metadata = slice_cstr(metadata);
	if (i % 3 == 0)
		put.context.type = S("design");
	store_put(f, &put);
}

static void check_against_oracle(struct fixture *f, uint64_t seed, int half_from, int half_to, double least)
{
	struct expected expected[ORACLE_COUNT];
	size_t count = 0, unsearched = 0;
	char gte[16], lte[16];
	float vector[DIMENSION];
	struct slice type = S("design");
	struct context_predicate predicate = {.key = S("half")};
	struct context_filter filter = {.types = &type,
		.type_count = 1,
		.predicates = &predicate,
		.predicate_count = 1,
		.date_from = CONTEXT_NO_DATE,
		.date_to = CONTEXT_NO_DATE};
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .filter = &filter, .limit = 7, .least_similarity = least};

	snprintf(gte, sizeof gte, "%d", half_from);
	snprintf(lte, sizeof lte, "%d", half_to);
	predicate.gte = slice_cstr(gte);
	predicate.lte = slice_cstr(lte);
	make_vector(seed, vector);
	for (int i = 1; i < ORACLE_COUNT; i++) {
		if (i % 3 || i / 2 < half_from || i / 2 > half_to)
			continue;
		unsearched += i % 7 == 0;
		if (i % 7 && cosine(seed, (uint64_t)i) >= least)
			expected[count++] = (struct expected){i, cosine(seed, (uint64_t)i)};
	}
	qsort(expected, count, sizeof *expected, by_similarity);
	for (query.offset = 0; query.offset < count + 7; query.offset += 7) {
		struct vector_result result = ask(f, &query);
		size_t left = count > query.offset ? count - query.offset : 0;

		assert_int_equal(result.total, count);
		assert_int_equal(result.unsearched, unsearched);
		assert_int_equal(result.count, left < 7 ? left : 7);
		for (size_t i = 0; i < result.count; i++) {
			char id[16];

			snprintf(id, sizeof id, "n%03d", expected[query.offset + i].number);
			assert_text(result.hits[i].id, id);
			assert_true(fabs(result.hits[i].similarity - expected[query.offset + i].similarity) < 1e-5);
		}
	}
}

static void filters_apply_before_the_search(void **state)
{
	struct fixture *f = *state;

	for (int i = 1; i < ORACLE_COUNT; i++)
		store_numbered(f, i);
	for (uint64_t seed = 1000; seed < 1010; seed++) {
		check_against_oracle(f, seed, 0, 1000, VECTOR_NO_LIMIT);
		check_against_oracle(f, seed, 20, 90, VECTOR_NO_LIMIT);
		check_against_oracle(f, seed, 20, 90, 0.1);
		check_against_oracle(f, seed, 21, 21, VECTOR_NO_LIMIT); /* 42 only, which is pending */
		check_against_oracle(f, seed, 500, 600, VECTOR_NO_LIMIT);
		check_against_oracle(f, seed, 0, 1000, 1.5);
	}
}

static void a_filter_that_says_nothing_is_none(void **state)
{
	struct fixture *f = *state;
	float vector[DIMENSION];
	struct context_filter filter = {.date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	struct vector_query query = {.vector = vector,
		.dimension = DIMENSION,
		.filter = &filter,
		.limit = 3,
		.least_similarity = VECTOR_NO_LIMIT};

	make_vector(2, vector);
	store(f, "a", 1);
	store(f, "b", 2);
	store(f, "c", 0);
	assert_int_equal(ask(f, &query).total, 2);
	assert_int_equal(ask(f, &query).unsearched, 1);
}

static void equal_similarities_are_ordered_by_id_on_every_page(void **state)
{
	struct fixture *f = *state;
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 4, .least_similarity = VECTOR_NO_LIMIT};
	char id[16];

	make_vector(5, vector);
	store(f, "first", 5);
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof id, "t%02d", (i * 7) % 30); /* stored in another order than that of ids */
		store(f, id, 6);
	}
	store(f, "other", 7);
	for (size_t offset = 0; offset < 32; offset += 4) {
		struct vector_result result;

		query.offset = offset;
		result = ask(f, &query);
		assert_int_equal(result.total, 32);
		for (size_t i = 0; i < result.count; i++) {
			size_t rank = offset + i;

			snprintf(id, sizeof id, "t%02zu", cosine(5, 7) > cosine(5, 6) ? rank - 2 : rank - 1);
			if (rank > 1 && rank < 31)
				assert_text(result.hits[i].id, id);
		}
	}
}

/* Thousands of log lines with the same words: a duplicate is looked for among them with each further one. */
static void a_rough_search_takes_no_memory_for_each_that_is_equal(void **state)
{
	enum { EQUAL = 3000 };
	struct fixture *f = *state;
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 8, .rough = true, .least_similarity = 0.97};
	struct context_put *puts = calloc(EQUAL, sizeof *puts);
	struct context_put_result *results = calloc(EQUAL, sizeof *results);
	char(*ids)[16] = calloc(EQUAL, sizeof *ids);
	struct arena small, *own = f->op.arena;
	struct vector_result result;

	make_vector(5, vector);
	for (int i = 0; i < EQUAL; i++) {
		snprintf(ids[i], sizeof ids[i], "t%d", i);
		puts[i] = put_of(ids[i], vector);
	}
	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, puts, EQUAL, results, &f->err));
	assert_true(is_found(f, "t0", 5)); /* the vectors are loaded */
	arena_init(&small, NULL, 0, 16384);
	f->op.arena = &small;
	result = ask(f, &query);
	f->op.arena = own;
	assert_int_equal(result.total, EQUAL);
	assert_int_equal(result.count, 8);
	for (size_t i = 0; i < result.count; i++)
		assert_true(fabs(result.hits[i].similarity - 1) < 1e-5);
	arena_release(&small);
	free(ids);
	free(results);
	free(puts);
}

static void the_threshold_is_exact(void **state)
{
	struct fixture *f = *state;
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 50, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result all, some;
	char id[16];

	for (int i = 1; i <= 50; i++) {
		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	make_vector(999, vector);
	all = ask(f, &query);
	for (size_t i = 0; i < all.count; i++) {
		query.least_similarity = all.hits[i].similarity;
		some = ask(f, &query);
		assert_int_equal(some.total, i + 1);
		query.least_similarity = nextafter(all.hits[i].similarity, 2);
		some = ask(f, &query);
		assert_int_equal(some.total, i);
	}
}

static void a_new_version_brings_its_own_vector_or_none(void **state)
{
	struct fixture *f = *state;
	struct vector_result result;

	store(f, "a", 1);
	assert_true(is_found(f, "a", 1));
	store(f, "a", 2);
	assert_true(is_found(f, "a", 2));
	assert_false(is_found(f, "a", 1));
	assert_int_equal(find(f, 1, 5).total, 1);
	store(f, "a", 0);
	result = find(f, 2, 5);
	assert_int_equal(result.total, 0);
	assert_int_equal(result.unsearched, 1);
	assert_true(isnan(similarity_of(f, "a", 2)));
	store(f, "a", 3);
	fixture_reopen(f);
	assert_true(is_found(f, "a", 3));
	store(f, "a", 0);
	fixture_reopen(f);
	assert_int_equal(find(f, 3, 5).total, 0);
	assert_int_equal(find(f, 3, 5).unsearched, 1);
}

static void what_is_removed_is_not_found_until_it_is_restored(void **state)
{
	struct fixture *f = *state;

	for (int loaded = 0; loaded < 2; loaded++) {
		store(f, "a", 1);
		store(f, "b", 2);
		store(f, "c", 0);
		if (loaded)
			assert_true(is_found(f, "a", 1));
		assert_ok(f, take_away(f, "a", CONTEXT_SOFT_DELETE, 0));
		assert_ok(f, take_away(f, "c", CONTEXT_FORGET, 1000));
		assert_int_equal(stats_of(f).vectors, 1);
		assert_int_equal(stats_of(f).without, 0);
		assert_int_equal(find(f, 1, 5).total, 1);
		assert_int_equal(find(f, 1, 5).unsearched, 0);
		assert_true(isnan(similarity_of(f, "a", 1)));
		restore(f, "a");
		restore(f, "c");
		assert_true(is_found(f, "a", 1));
		assert_int_equal(find(f, 1, 5).unsearched, 1);
		assert_ok(f, take_away(f, "a", CONTEXT_HARD_DELETE, 0));
		assert_int_equal(find(f, 1, 5).total, 1);
		store(f, "a", 9);
		assert_true(is_found(f, "a", 9));
		assert_int_equal(find(f, 1, 5).total, 2);
		fixture_reopen(f);
	}
}

static void what_was_hidden_and_put_again_has_its_new_vector(void **state)
{
	struct fixture *f = *state;

	store(f, "a", 1);
	store(f, "b", 2);
	assert_true(is_found(f, "a", 1));
	assert_ok(f, take_away(f, "a", CONTEXT_SOFT_DELETE, 0));
	store(f, "a", 3);
	assert_true(is_found(f, "a", 3));
	assert_ok(f, take_away(f, "b", CONTEXT_FORGET, 1000));
	store(f, "b", 0);
	assert_int_equal(find(f, 2, 5).total, 1);
	assert_int_equal(find(f, 2, 5).unsearched, 1);
	fixture_reopen(f);
	assert_true(is_found(f, "a", 3));
	assert_int_equal(find(f, 2, 5).unsearched, 1);
}

static void what_is_purged_leaves_no_vector(void **state)
{
	struct fixture *f = *state;
	struct slice id = S("a");
	struct context *contexts;
	size_t count;

	store(f, "a", 1);
	assert_true(is_found(f, "a", 1));
	assert_ok(f, take_away(f, "a", CONTEXT_FORGET, 1));
	clock_shift_ms(2000);
	/* Whether or not it has been swept by now. */
	assert_int_equal(f->ports.contexts.restore(f->ports.contexts.self, &f->op, id, &f->err), CS_NOT_FOUND);
	store(f, "b", 2);
	assert_int_equal(find(f, 1, 5).total, 1);
	store(f, "a", 0);
	assert_int_equal(find(f, 1, 5).total, 1);
	assert_int_equal(find(f, 1, 5).unsearched, 1);
	assert_ok(f,
		f->ports.contexts.get(f->ports.contexts.self, &f->op, &id, 1, NULL, false, &contexts, &count, &f->err));
	assert_int_equal(contexts->version, 1);
}

static void similarities_are_those_of_the_search(void **state)
{
	struct fixture *f = *state;
	struct slice ids[] = {S("c3"), S("nobody"), S("c1"), S("pending"), S("c3")};
	double similarities[5];
	float vector[DIMENSION];
	struct vector_result result;
	char id[16];

	for (int i = 1; i <= 9; i++) {
		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	store(f, "pending", 0);
	make_vector(77, vector);
	assert_ok(f, f->ports.vectors.similarities(
			     f->ports.vectors.self, &f->op, vector, DIMENSION, ids, 5, similarities, &f->err));
	assert_true(isnan(similarities[1]) && isnan(similarities[3]));
	result = find(f, 77, 20);
	for (size_t i = 0; i < result.count; i++)
		for (size_t k = 0; k < 5; k++)
			if (slice_eq(result.hits[i].id, ids[k]))
				assert_true(similarities[k] == result.hits[i].similarity);
	assert_true(fabs(similarities[0] - cosine(77, 3)) < 1e-5 && similarities[0] == similarities[4]);
	assert_ok(f, f->ports.vectors.similarities(
			     f->ports.vectors.self, &f->op, vector, DIMENSION, ids, 0, similarities, &f->err));
}

static void limits_deadlines_and_loops_are_told(void **state)
{
	struct fixture *f = *state;
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 2, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result result;
	atomic_bool cancelled = true;

	make_vector(1, vector);
	store(f, "a", 1);
	f->op.cancelled = &cancelled;
	assert_int_equal(f->ports.vectors.search(f->ports.vectors.self, &f->op, &query, &result, &f->err), CS_TIMEOUT);
	cancelled = false;
	f->op.may_wait = false;
	assert_int_equal(
		f->ports.vectors.search(f->ports.vectors.self, &f->op, &query, &result, &f->err), CS_WOULD_WAIT);
	f->op.may_wait = true;
	assert_true(is_found(f, "a", 1));
	query.offset = 1000000;
	assert_int_equal(
		f->ports.vectors.search(f->ports.vectors.self, &f->op, &query, &result, &f->err), CS_LIMIT_EXCEEDED);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		PORT_TEST(the_nearest_comes_first),
		PORT_TEST(an_empty_store_is_searched_too),
		PORT_TEST(filters_apply_before_the_search),
		PORT_TEST(a_filter_that_says_nothing_is_none),
		PORT_TEST(equal_similarities_are_ordered_by_id_on_every_page),
		PORT_TEST(a_rough_search_takes_no_memory_for_each_that_is_equal),
		PORT_TEST(the_threshold_is_exact),
		PORT_TEST(a_new_version_brings_its_own_vector_or_none),
		PORT_TEST(what_is_removed_is_not_found_until_it_is_restored),
		PORT_TEST(what_was_hidden_and_put_again_has_its_new_vector),
		PORT_TEST(what_is_purged_leaves_no_vector),
		PORT_TEST(similarities_are_those_of_the_search),
		PORT_TEST(limits_deadlines_and_loops_are_told),
	};

	return run_for_adapters("vector", tests, sizeof tests / sizeof *tests);
}
