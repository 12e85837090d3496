/* The scan against comparing everything: random puts, removals, selections and searches.
 *
 * Two oracles. The exact one takes every selected entry's stored f32 vector, the same f32 kernel, and sorts: hits, their
 * order, ties and the total must be equal, bit by bit. The independent one computes cosines in f64 from the vectors as
 * they were handed in: similarities must agree within f32's rounding, and no entry left out may be better by more.
 *
 * Vectors come in clusters whose members are closer together than 8-bit codes can tell, with exact duplicates among
 * them, so that ties and the error bound are met all the time. Each set of kernels of this machine takes its turn. The
 * seed is fixed and can be set with CS_SEED; it is printed with a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/scan_parts.h"

#define NUMBERS       1500 /* numbers in use: 0 .. NUMBERS-1, spread by NUMBER_STEP */
#define NUMBER_STEP   INT64_C(-7919000000007)
#define DIMENSION_MAX 130
#define STEPS         3000
#define SEARCHES      8 /* one search every so many steps, on average */
#define TOLERANCE     1e-5

static uint64_t seed, random_state;

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014) */
static uint64_t random_u64(void)
{
	uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return (size_t)(random_u64() % n);
}

/* About normal, by the sum of uniforms. */
static float random_normal(void)
{
	double sum = 0;

	for (int i = 0; i < 6; i++)
		sum += (double)(int64_t)random_u64() / 0x1p63;
	return (float)(sum / 1.4142);
}

/* What the index should hold. */
struct model {
	uint32_t dimension;
	bool there[NUMBERS];
	float vectors[NUMBERS][DIMENSION_MAX];
	float centres[4][DIMENSION_MAX];
	size_t count;
};

struct expected {
	int64_t number;
	float similarity;
	double cosine;
};

static struct model model;
static struct expected expected[NUMBERS];

static int64_t number_of(size_t i)
{
	return (int64_t)i * NUMBER_STEP;
}

static void random_direction(float *vector, uint32_t dimension)
{
	for (uint32_t i = 0; i < dimension; i++)
		vector[i] = random_normal();
	vector[below(dimension)] += 1; /* never zero */
}

/* Anywhere, close to a centre (from well within the codes' error to well beyond it), or a copy of an entry. */
static void random_vector(float *vector)
{
	const float *near = model.centres[below(4)];
	size_t copied = below(NUMBERS);

	switch (below(4)) {
	case 0: random_direction(vector, model.dimension); return;
	case 1:
		if (model.there[copied]) {
			memmove(vector, model.vectors[copied], model.dimension * sizeof *vector);
			return;
		}
		break;
	default: break;
	}
	random_direction(vector, model.dimension);
	for (uint32_t i = 0; i < model.dimension; i++)
		vector[i] = near[i] + vector[i] * powf(10, -(float)below(8));
}

static double cosine(const float *a, const float *b, uint32_t dimension)
{
	double ab = 0, aa = 0, bb = 0;

	for (uint32_t i = 0; i < dimension; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	return ab / sqrt(aa * bb);
}

static int best_first(const void *a, const void *b)
{
	const struct expected *x = a, *y = b;

	if (x->similarity != y->similarity)
		return x->similarity < y->similarity ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

static void put_or_remove(struct scan *scan, bool grow)
{
	size_t i = below(NUMBERS);
	struct cs_error err;

	if (below(100) < (grow ? 80 : 35)) {
		random_vector(model.vectors[i]);
		assert_int_equal(scan_put(scan, number_of(i), model.vectors[i], &err), CS_OK);
		model.count += !model.there[i];
		model.there[i] = true;
	} else {
		assert_int_equal(scan_remove(scan, number_of(i)), model.there[i]);
		model.count -= model.there[i];
		model.there[i] = false;
	}
	assert_int_equal(scan_count(scan), model.count);
}

/* All selected entries, best first, those that reach at_least at the front; returns how many those are. */
static size_t ask_oracle(const struct scan *scan, const float *query, float at_least, const bool *selected)
{
	_Alignas(VECTOR_ALIGNMENT) float unit[VECTOR_WIDTH_MAX];
	int8_t codes[VECTOR_WIDTH_MAX];
	struct scan_codes asked = {.vector = unit, .codes = codes};
	struct cs_error err;
	size_t count = 0;

	assert_int_equal(scan_encode(scan, query, &asked, &err), CS_OK);
	for (size_t i = 0; i < NUMBERS; i++) {
		const float *stored = scan_vector(scan, number_of(i));
		float similarity;

		assert_int_equal(stored != NULL, model.there[i]);
		if (!stored || (selected && !selected[i]))
			continue;
		similarity = fminf(fmaxf(scan->kernels->dot_f32(unit, stored, scan->width), -1), 1);
		if (!(similarity >= at_least))
			continue;
		expected[count++] =
			(struct expected){number_of(i), similarity, cosine(query, model.vectors[i], model.dimension)};
	}
	qsort(expected, count, sizeof *expected, best_first);
	return count;
}

static void compare(const struct scan_hit *hits, size_t count, uint64_t total, size_t limit, size_t reaching)
{
	if (total != reaching)
		fail_msg("total %llu, not %zu (seed %llu)", (unsigned long long)total, reaching,
			(unsigned long long)seed);
	if (count != (limit < reaching ? limit : reaching))
		fail_msg("%zu hits of %zu, limit %zu (seed %llu)", count, reaching, limit, (unsigned long long)seed);
	for (size_t i = 0; i < count; i++) {
		if (hits[i].number != expected[i].number || hits[i].similarity != expected[i].similarity)
			fail_msg("hit %zu is %lld with %.9g, not %lld with %.9g (seed %llu)", i,
				(long long)hits[i].number, (double)hits[i].similarity, (long long)expected[i].number,
				(double)expected[i].similarity, (unsigned long long)seed);
		if (fabs((double)hits[i].similarity - expected[i].cosine) > TOLERANCE)
			fail_msg("hit %zu: %.9g is not the cosine %.9g (seed %llu)", i, (double)hits[i].similarity,
				expected[i].cosine, (unsigned long long)seed);
	}
	for (size_t i = count; count && i < reaching; i++)
		assert_true(expected[i].cosine <= (double)hits[count - 1].similarity + TOLERANCE);
}

static const struct scan_selection *select_some(const struct scan *scan, struct arena *arena, bool *selected)
{
	static int64_t numbers[2 * NUMBERS];
	const size_t one_in = 1 + below(below(2) ? 3 : 200);
	const struct scan_selection *selection;
	struct cs_error err;
	size_t count = 0;

	for (size_t i = 0; i < NUMBERS; i++) {
		selected[i] = below(one_in) == 0;
		if (selected[i])
			numbers[count++] = number_of(i); /* of those that are not there, too */
		if (selected[i] && below(10) == 0)
			numbers[count++] = number_of(i);
	}
	assert_int_equal(scan_select(scan, arena, numbers, count, &selection, &err), CS_OK);
	return selection;
}

/* Asked for one by one, each is what it is in a search. `reaching` are in `expected`. */
static void ask_each(const struct scan *scan, struct op *op, const float *vector, size_t reaching)
{
	static int64_t numbers[NUMBERS];
	static float similarities[NUMBERS];
	struct cs_error err;
	size_t there = 0;

	for (size_t i = 0; i < NUMBERS; i++)
		numbers[i] = number_of(i);
	assert_int_equal(scan_similarities(scan, op, vector, numbers, NUMBERS, similarities, &err), CS_OK);
	for (size_t i = 0; i < NUMBERS; i++) {
		assert_int_equal(!isnan(similarities[i]), model.there[i]);
		there += model.there[i];
	}
	for (size_t i = 0; i < reaching; i++) {
		size_t at = 0;

		while (numbers[at] != expected[i].number)
			at++;
		assert_true(similarities[at] == expected[i].similarity);
	}
	assert_int_equal(there, model.count);
}

static void search(const struct scan *scan, struct op *op)
{
	static const size_t limits[] = {0, 1, 2, 10, 10, 50, 1000, SIZE_MAX};
	static bool selected[NUMBERS];
	float vector[DIMENSION_MAX];
	struct scan_query query = {.vector = vector, .limit = limits[below(8)], .at_least = -2};
	struct scan_hit *hits;
	struct cs_error err;
	uint64_t total;
	size_t count, reaching;

	random_vector(vector);
	if (below(2))
		query.selection = select_some(scan, op->arena, selected);
	if (below(2))
		query.at_least = (float)((double)(int64_t)random_u64() / 0x1p63);
	reaching = ask_oracle(scan, vector, query.at_least, query.selection ? selected : NULL);
	if (reaching && below(3) == 0) {
		/* Exactly at an entry's similarity, where codes cannot decide. */
		query.at_least = expected[below(reaching)].similarity;
		reaching = ask_oracle(scan, vector, query.at_least, query.selection ? selected : NULL);
	}
	assert_int_equal(scan_search(scan, op, &query, &hits, &count, &total, &err), CS_OK);
	compare(hits, count, total, query.limit, reaching);
	if (below(10) == 0)
		ask_each(scan, op, vector, reaching);
}

static void play(uint32_t dimension, const struct vector_kernels *kernels)
{
	struct arena arena;
	struct op op = {.arena = &arena, .deadline_ns = OP_NO_DEADLINE};
	struct cs_error err;
	struct scan *scan;

	memset(&model, 0, sizeof model);
	model.dimension = dimension;
	for (size_t i = 0; i < 4; i++)
		random_direction(model.centres[i], dimension);
	assert_int_equal(scan_new(dimension, NUMBERS, &scan, &err), CS_OK);
	scan->kernels = kernels;
	scan->block_shift = 6; /* small blocks: many edges */
	arena_init(&arena, NULL, 0, 64u << 20);
	for (size_t step = 0; step < STEPS; step++) {
		put_or_remove(scan, step / 1000 % 2 == 0);
		if (below(SEARCHES) == 0) {
			search(scan, &op);
			arena_reset(&arena);
		}
	}
	arena_release(&arena);
	scan_free(scan);
}

static void test_against_comparing_everything(void **state)
{
	static const uint32_t dimensions[] = {1, 2, 3, 63, 64, 65, DIMENSION_MAX};
	const struct vector_kernels *kernels;

	for (size_t rank = 0; (kernels = vector_kernels_at(rank)) != NULL; rank++)
		for (size_t i = 0; i < sizeof dimensions / sizeof *dimensions; i++)
			play(dimensions[i], kernels);
}

/* The bound itself, where it is tight: codes of adversarial vectors, whose every element lies half way between two
 * codes, with the query's and the entry's errors pointing the same way. */
static void test_errors_that_add_up(void **state)
{
	enum { DIMENSION = 128, ENTRIES = 600 };
	struct arena arena;
	struct op op = {.arena = &arena, .deadline_ns = OP_NO_DEADLINE};
	struct cs_error err;
	struct scan *scan;

	memset(&model, 0, sizeof model);
	model.dimension = DIMENSION;
	assert_int_equal(scan_new(DIMENSION, ENTRIES, &scan, &err), CS_OK);
	arena_init(&arena, NULL, 0, 64u << 20);
	for (size_t n = 0; n < ENTRIES; n++) {
		float *v = model.vectors[n];

		v[0] = 127;
		for (size_t i = 1; i < DIMENSION; i++)
			v[i] = (n & 1 ? 40.4999f : 40.5001f) + (float)below(3) * (n % 3 ? 0.0001f : 1e-6f);
		assert_int_equal(scan_put(scan, number_of(n), v, &err), CS_OK);
		model.there[n] = true;
	}
	model.count = ENTRIES;
	for (size_t n = 0; n < 40; n++) {
		struct scan_query query = {.vector = model.vectors[n], .limit = 10, .at_least = -2};
		size_t count, reaching = ask_oracle(scan, query.vector, -2, NULL);
		struct scan_hit *hits;
		uint64_t total;

		if (n % 2) {
			query.at_least = expected[reaching / 2].similarity;
			reaching = ask_oracle(scan, query.vector, query.at_least, NULL);
		}
		assert_int_equal(scan_search(scan, &op, &query, &hits, &count, &total, &err), CS_OK);
		compare(hits, count, total, query.limit, reaching);
	}
	arena_release(&arena);
	scan_free(scan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_comparing_everything),
		cmocka_unit_test(test_errors_that_add_up),
	};
	const char *text = getenv("CS_SEED");

	seed = random_state = text ? strtoull(text, NULL, 10) : 20261124;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
