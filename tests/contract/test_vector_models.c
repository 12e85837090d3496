/* The contract of port/vector.h: whose vectors they are, which contexts have none yet, and what threads see of each
 * other. */
#include "vectors.h"

#include <pthread.h>

/* Models. */

static enum cs_status put_other(struct fixture *f, const char *id, const struct embed_model *model)
{
	float vector[64] = {1};
	struct context_put put = put_of(id, vector);
	struct context_put_result result;

	put.model = model;
	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, &put, 1, &result, &f->err));
	f->err = result.error;
	return result.status;
}

static void another_models_vectors_are_refused_with_the_way_out(void **state)
{
	static const struct embed_model others[] = {
		{SLICE_INIT("other-model"), SLICE_INIT("0123456789abcdef"), DIMENSION},
		{SLICE_INIT("test-model"), SLICE_INIT("fedcba9876543210"), DIMENSION},
		{SLICE_INIT("test-model"), SLICE_INIT("0123456789abcdef"), 64},
	};
	struct fixture *f = *state;
	float vector[64] = {1};
	struct vector_query query = {
		.vector = vector, .dimension = 64, .limit = 4, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result result;
	double similarity;
	struct slice id = S("a");

	assert_int_equal(store(f, "a", 1), 1);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(put_other(f, "a", &others[i]), CS_VALIDATION);
		assert_non_null(strstr(f->err.text, "test-model"));
		assert_non_null(strstr(f->err.text, "context-store reembed"));
		assert_int_equal(put_other(f, "new", &others[i]), CS_VALIDATION);
		assert_int_equal(f->ports.vectors.put(f->ports.vectors.self, &f->op, slice_cstr("a"), 1, &others[i],
					 vector, &f->err),
			CS_VALIDATION);
	}
	assert_int_equal(put_other(f, "a", &others[0]), CS_VALIDATION);
	assert_non_null(strstr(f->err.text, "other-model"));
	assert_true(is_found(f, "a", 1));
	assert_int_equal(find(f, 1, 5).total, 1);
	assert_int_equal(stats_of(f).without, 0); /* nothing was stored of what was refused */
	assert_int_equal(
		f->ports.vectors.search(f->ports.vectors.self, &f->op, &query, &result, &f->err), CS_VALIDATION);
	assert_non_null(strstr(f->err.text, "test-model"));
	assert_non_null(strstr(f->err.text, "context-store reembed"));
	assert_int_equal(
		f->ports.vectors.similarities(f->ports.vectors.self, &f->op, vector, 64, &id, 1, &similarity, &f->err),
		CS_VALIDATION);
}

static void two_models_in_one_call_are_told_apart(void **state)
{
	static const struct embed_model other = {SLICE_INIT("other"), SLICE_INIT("h"), DIMENSION};
	struct fixture *f = *state;
	float vector[DIMENSION];
	struct context_put puts[2];
	struct context_put_result results[2];

	make_vector(1, vector);
	puts[0] = put_of("a", vector);
	puts[1] = put_of("b", vector);
	puts[1].model = &other;
	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, puts, 2, results, &f->err));
	assert_int_equal(results[0].status, CS_OK);
	assert_int_equal(results[1].status, CS_VALIDATION);
	assert_true(is_found(f, "a", 1));
	assert_text(stats_of(f).model_id, "test-model");
}

static void a_vector_without_direction_is_refused(void **state)
{
	struct fixture *f = *state;
	float bad[3][DIMENSION] = {{0}, {1, NAN}, {1, INFINITY}};

	for (size_t i = 0; i < 3; i++) {
		struct context_put put = put_of("a", bad[i]);
		struct context_put_result result;
		struct vector_query query = {.vector = bad[i], .dimension = DIMENSION, .limit = 1};
		struct vector_result found;

		assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, &put, 1, &result, &f->err));
		assert_int_equal(result.status, CS_VALIDATION);
		assert_int_equal(stats_of(f).without, 0);
		store(f, "good", 1);
		assert_int_equal(
			f->ports.vectors.search(f->ports.vectors.self, &f->op, &query, &found, &f->err), CS_VALIDATION);
		assert_ok(f, take_away(f, "good", CONTEXT_HARD_DELETE, 0));
	}
}

static void the_model_is_remembered_until_reset(void **state)
{
	static const struct embed_model other = {SLICE_INIT("other-model"), SLICE_INIT("ff"), 64};
	struct fixture *f = *state;
	struct vector_stats stats;
	char id[16];

	/* More than one batch of old vectors, hidden ones among them. */
	for (int i = 1; i <= 600; i++) {
		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	assert_ok(f, take_away(f, "c5", CONTEXT_SOFT_DELETE, 0));
	fixture_reopen(f);
	stats = stats_of(f);
	assert_text(stats.model_id, "test-model");
	assert_text(stats.model_hash, "0123456789abcdef");
	assert_int_equal(stats.dimension, DIMENSION);
	assert_int_equal(stats.vectors, 599);
	assert_int_equal(find(f, 1, 1).total, 599);
	assert_ok(f, f->ports.vectors.reset(f->ports.vectors.self, &f->op, &f->err));
	stats = stats_of(f);
	assert_int_equal(stats.model_id.len, 0);
	assert_int_equal(stats.vectors, 0);
	assert_int_equal(stats.without, 599);
	assert_int_equal(find(f, 1, 1).total, 0);
	assert_int_equal(find(f, 1, 1).unsearched, 599);
	restore(f, "c5");
	assert_int_equal(find(f, 5, 1).total, 0);
	assert_int_equal(find(f, 5, 1).unsearched, 600);
	assert_int_equal(put_other(f, "new", &other), CS_OK);
	stats = stats_of(f);
	assert_text(stats.model_id, "other-model");
	assert_int_equal(stats.vectors, 1);
	assert_int_equal(stats.without, 600);
	fixture_reopen(f);
	assert_int_equal(stats_of(f).vectors, 1);
	assert_int_equal(add(f, "c1", 1, 1), CS_VALIDATION);
}

/* Pending. */

static size_t pending_of(struct fixture *f, const char *after, size_t limit, struct vector_pending **ret_pending)
{
	size_t count = 0;

	assert_ok(f, f->ports.vectors.pending(
			     f->ports.vectors.self, &f->op, slice_cstr(after), limit, ret_pending, &count, &f->err));
	return count;
}

static void pending_contexts_are_listed_and_filled(void **state)
{
	struct fixture *f = *state;
	struct vector_pending *pending;
	size_t seen = 0;
	char id[16], after[16] = "";

	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof id, "c%02d", i);
		store(f, id, i % 3 ? (uint64_t)i : 0);
	}
	store(f, "hidden", 0);
	assert_ok(f, take_away(f, "hidden", CONTEXT_SOFT_DELETE, 0));
	assert_int_equal(find(f, 1, 1).unsearched, 10);
	fixture_reopen(f);
	for (;;) {
		size_t count = pending_of(f, after, 4, &pending);

		if (count == 0)
			break;
		for (size_t i = 0; i < count; i++, seen++) {
			snprintf(id, sizeof id, "c%02zu", seen * 3);
			assert_text(pending[i].id, id);
			assert_text(pending[i].words, id);
			assert_int_equal(pending[i].version, 1);
		}
		snprintf(after, sizeof after, SLICE_FMT, SLICE_ARG(pending[count - 1].id));
	}
	assert_int_equal(seen, 10);
	assert_int_equal(pending_of(f, "", 100, &pending), 10);
	assert_ok(f, add(f, "c03", 1, 103));
	assert_true(is_found(f, "c03", 103));
	assert_int_equal(pending_of(f, "", 100, &pending), 9);
	assert_int_equal(find(f, 1, 1).unsearched, 9);
	assert_int_equal(stats_of(f).without, 9);
	fixture_reopen(f);
	assert_true(is_found(f, "c03", 103));
	/* A second one of the same version takes the first one's place. */
	assert_ok(f, add(f, "c03", 1, 203));
	assert_true(is_found(f, "c03", 203));
}

static void a_late_vector_is_for_its_version_only(void **state)
{
	struct fixture *f = *state;

	store(f, "a", 0);
	store(f, "a", 0);
	assert_int_equal(add(f, "a", 1, 5), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 2);
	assert_int_equal(find(f, 5, 1).total, 0);
	assert_ok(f, add(f, "a", 2, 5));
	assert_true(is_found(f, "a", 5));
	store(f, "a", 6);
	assert_int_equal(add(f, "a", 2, 5), CS_VERSION_CONFLICT);
	assert_true(is_found(f, "a", 6));
	assert_int_equal(add(f, "nobody", 1, 5), CS_NOT_FOUND);
	assert_ok(f, take_away(f, "a", CONTEXT_SOFT_DELETE, 0));
	assert_int_equal(add(f, "a", 3, 5), CS_NOT_FOUND);
}

/* Many threads: what one had acknowledged, any other's next search finds. */

#define THREADS  8
#define PER_LOOP 60

struct racer {
	struct fixture *f;
	struct racer *others;
	int number;
	_Atomic uint64_t acknowledged; /* the seed of its context's vector; 0: gone */
	const char *failure;
};

static enum cs_status race_put(struct racer *racer, struct op *op, uint64_t seed, struct cs_error *err)
{
	struct context_port port = racer->f->ports.contexts;
	struct context_put_result result;
	float vector[DIMENSION];
	char id[16];
	struct context_put put;
	enum cs_status status;

	snprintf(id, sizeof id, "r%d", racer->number);
	make_vector(seed, vector);
	put = put_of(id, vector);
	status = port.put(port.self, op, &put, 1, &result, err);
	return status == CS_OK ? result.status : status;
}

/* The other's context as of its last acknowledged put or a later one: never an older one. */
static bool sees(struct racer *racer, struct op *op, struct racer *other, struct cs_error *err)
{
	struct vector_port port = racer->f->ports.vectors;
	uint64_t before = atomic_load(&other->acknowledged), after;
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 1, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result result = {0};
	char id[16];

	if (before == 0)
		return true;
	make_vector(before, vector);
	snprintf(id, sizeof id, "r%d", other->number);
	if (port.search(port.self, op, &query, &result, err) != CS_OK)
		return false;
	if (result.count == 1 && slice_eq(result.hits[0].id, slice_cstr(id)) && result.hits[0].similarity > 0.9999)
		return true;
	/* Then it has a newer one by now, or one on its way: the owner acknowledges each before the next. */
	after = atomic_load(&other->acknowledged);
	for (int i = 0; after == before && i < 1000; i++) {
		usleep(1000);
		after = atomic_load(&other->acknowledged);
	}
	return after != before;
}

static void *race(void *self)
{
	struct racer *racer = self;
	struct arena arena;
	struct op op = {
		.arena = &arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct cs_error err = {0};

	arena_init(&arena, NULL, 0, 16u << 20);
	for (int i = 1; i <= PER_LOOP && !racer->failure; i++) {
		uint64_t seed = (uint64_t)racer->number * 100000 + (uint64_t)i;

		if (race_put(racer, &op, seed, &err) != CS_OK)
			racer->failure = "a put failed";
		atomic_store(&racer->acknowledged, seed);
		if (!sees(racer, &op, racer, &err))
			racer->failure = "its own put is not found";
		if (!sees(racer, &op, &racer->others[(racer->number + i) % THREADS], &err))
			racer->failure = "another one's put is not found";
		arena_reset(&arena);
	}
	arena_release(&arena);
	return NULL;
}

static void what_was_acknowledged_is_found_by_every_thread(void **state)
{
	struct fixture *f = *state;
	struct racer racers[THREADS] = {0};
	pthread_t threads[THREADS];
	char id[16];

	/* Enough to load in several steps while the first ones race. */
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof id, "old%d", i);
		store(f, id, 5000000 + (uint64_t)i);
	}
	fixture_reopen(f);
	/* All of them before the first starts: each looks at the others from its first turn on. */
	for (int i = 0; i < THREADS; i++)
		racers[i] = (struct racer){.f = f, .others = racers, .number = i};
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		if (racers[i].failure)
			fail_msg("%s", racers[i].failure);
	assert_int_equal(find(f, 1, 1).total, 1000 + THREADS);
	assert_int_equal(stats_of(f).vectors, 1000 + THREADS);
	fixture_reopen(f);
	assert_int_equal(stats_of(f).vectors, 1000 + THREADS);
	for (int i = 0; i < THREADS; i++) {
		snprintf(id, sizeof id, "r%d", i);
		assert_true(is_found(f, id, atomic_load(&racers[i].acknowledged)));
	}
}

int main(void)
{
	struct CMUnitTest tests[] = {
		PORT_TEST(another_models_vectors_are_refused_with_the_way_out),
		PORT_TEST(two_models_in_one_call_are_told_apart),
		PORT_TEST(a_vector_without_direction_is_refused),
		PORT_TEST(the_model_is_remembered_until_reset),
		PORT_TEST(pending_contexts_are_listed_and_filled),
		PORT_TEST(a_late_vector_is_for_its_version_only),
		PORT_TEST(what_was_acknowledged_is_found_by_every_thread),
	};

	return run_for_adapters("vector models", tests, sizeof tests / sizeof *tests);
}
