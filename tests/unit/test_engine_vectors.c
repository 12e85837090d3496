/* The engine's mirror of vectors from the inside: its table of rows against a plain list, its ceiling, loading that is
 * interrupted, and what damaged vectors come to. The port's contract is tests/contract/test_vector. */
#include "../contract/vectors.h"
#include "engine/parts.h"

#include <sched.h>
#include <sqlite3.h>

#include "../support/random.h"

#define ROWS 400

static void rows_are_what_a_plain_list_says(void **state)
{
	struct vector_rows rows = {0};
	uint64_t names[ROWS] = {0}; /* 0: not there */
	uint64_t seed = 7;
	size_t count = 0;

	(void)state;
	for (int step = 0; step < 40000; step++) {
		uint64_t random = next(&seed);
		size_t row = random % ROWS;
		uint64_t former = names[row];
		struct slice id;
		int64_t found;
		char text[24];

		/* Phases that grow and phases that shrink. */
		if (random >> 32 & (step / 4000 % 2 ? 3 : 1)) {
			count -= names[row] != 0;
			names[row] = 0;
			vector_rows_remove(&rows, (int64_t)row);
		} else {
			count += names[row] == 0;
			names[row] = random | 1;
			snprintf(text, sizeof text, "%llu", (unsigned long long)names[row]);
			assert_true(vector_rows_put(&rows, (int64_t)row, slice_cstr(text)));
		}
		snprintf(text, sizeof text, "%llu", (unsigned long long)former);
		assert_false(former && vector_rows_find(&rows, slice_cstr(text), &found));
		if (names[row]) {
			snprintf(text, sizeof text, "%llu", (unsigned long long)names[row]);
			assert_true(vector_rows_find(&rows, slice_cstr(text), &found));
			assert_int_equal(found, row);
		}
		assert_int_equal(rows.count, count);
		row = next(&seed) % ROWS;
		assert_int_equal(vector_rows_get(&rows, (int64_t)row, &id), names[row] != 0);
		if (names[row]) {
			snprintf(text, sizeof text, "%llu", (unsigned long long)names[row]);
			assert_text(id, text);
		}
	}
	for (size_t row = 0; row < ROWS; row++)
		assert_int_equal(vector_rows_get(&rows, (int64_t)row, NULL), names[row] != 0);
	vector_rows_release(&rows);
	assert_false(vector_rows_get(&rows, 1, NULL));
}

static void a_server_loads_before_it_is_asked(void **state)
{
	struct fixture *f = *state;
	uint64_t contexts, vectors;

	engine_warm(f->ports.self); /* nothing to load */
	fixture_reopen(f);
	for (int i = 1; i <= 300; i++) {
		char id[16];

		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	fixture_reopen(f);
	assert_false(vectors_counts(((struct engine *)f->ports.self)->vectors, &contexts, &vectors));
	engine_warm(f->ports.self);
	engine_warm(f->ports.self);
	while (!vectors_counts(((struct engine *)f->ports.self)->vectors, &contexts, &vectors))
		sched_yield();
	assert_int_equal(contexts, 300);
	assert_int_equal(vectors, 300);
	store(f, "plain", 0);
	engine_collect(f->ports.self);
	assert_int_equal(metric_value(metric_series(METRIC_VECTORS, S(""))), 300);
	assert_int_equal(metric_value(metric_series(METRIC_VECTORS_MISSING, S(""))), 1);
	fixture_reopen(f);
	engine_warm(f->ports.self); /* and closing ends it wherever it is */
	fixture_reopen(f);
	engine_warm(f->ports.self);
	assert_true(is_found(f, "c7", 7));
}

static enum cs_status try_store(struct fixture *f, const char *id, uint64_t seed)
{
	float vector[DIMENSION];
	struct context_put put;
	struct context_put_result result;

	make_vector(seed, vector);
	put = put_of(id, vector);
	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, &put, 1, &result, &f->err));
	f->err = result.error;
	return result.status;
}

static enum cs_status try_find(struct fixture *f)
{
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 1, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result result;

	make_vector(1, vector);
	return f->ports.vectors.search(f->ports.vectors.self, &f->op, &query, &result, &f->err);
}

/* Stores c1, c2 ... until one is refused, and gives how many were stored. */
static int fill(struct fixture *f)
{
	char id[16];

	for (int i = 1; i < 1000; i++) {
		snprintf(id, sizeof id, "c%d", i);
		if (try_store(f, id, (uint64_t)i) != CS_OK)
			return i - 1;
	}
	fail_msg("no end");
	return 0;
}

static void memory_has_a_ceiling_that_is_told(void **state)
{
	struct fixture *f = *state;
	int room;

	engine_set_vector_memory(f->ports.self, 20000);
	assert_ok(f, try_find(f));
	room = fill(f);
	assert_true(room > 20 && room < 60);
	assert_int_equal(try_store(f, "more", 500), CS_LIMIT_EXCEEDED);
	assert_non_null(strstr(f->err.text, "memory"));
	assert_int_equal(find(f, 1, 1).total, room);
	assert_true(is_found(f, "c1", 1));
	store(f, "c1", 900); /* one that is there may change */
	assert_true(is_found(f, "c1", 900));
	store(f, "pending", 0);
	assert_ok(f, take_away(f, "c2", CONTEXT_SOFT_DELETE, 1000));
	store(f, "more", 500);
	assert_true(is_found(f, "more", 500));
	assert_int_equal(
		f->ports.contexts.restore(f->ports.contexts.self, &f->op, S("c2"), &f->err), CS_LIMIT_EXCEEDED);
	assert_int_equal(find(f, 1, 1).total, room);
	assert_ok(f, take_away(f, "c3", CONTEXT_HARD_DELETE, 1000));
	assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, S("c2"), &f->err));
	assert_true(is_found(f, "c2", 2));
}

static void more_vectors_than_memory_allows_are_not_loaded(void **state)
{
	struct fixture *f = *state;
	char id[16];

	for (int i = 1; i <= 100; i++) {
		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	fixture_reopen(f);
	engine_set_vector_memory(f->ports.self, 20000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(try_find(f), CS_LIMIT_EXCEEDED);
		assert_non_null(strstr(f->err.text, "memory"));
	}
	store(f, "c101", 101); /* what is not loaded cannot tell; the text index has it */
	for (int i = 1; i <= 90; i++) {
		snprintf(id, sizeof id, "c%d", i);
		assert_ok(f, take_away(f, id, CONTEXT_HARD_DELETE, 1000));
	}
	assert_int_equal(find(f, 1, 1).total, 11);
	assert_true(is_found(f, "c101", 101));
}

/* 64 puts in one transaction near the ceiling: exactly as many get in as there is room for. */
static void one_commit_does_not_pass_the_ceiling(void **state)
{
	struct fixture *f = *state;
	static float vectors[64][DIMENSION];
	static struct context_put puts[64];
	static struct context_put_result results[64];
	static char ids[64][16];
	size_t stored = 0;

	engine_set_vector_memory(f->ports.self, 20000);
	assert_ok(f, try_find(f));
	for (int i = 0; i < 64; i++) {
		snprintf(ids[i], sizeof ids[i], "p%d", i);
		make_vector(100 + (uint64_t)i, vectors[i]);
		puts[i] = put_of(ids[i], vectors[i]);
	}
	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, puts, 64, results, &f->err));
	for (int i = 0; i < 64; i++)
		stored += results[i].status == CS_OK;
	assert_true(stored > 20 && stored < 60);
	assert_int_equal(find(f, 1, 1).total, stored);
	assert_int_equal(try_store(f, "more", 1), CS_LIMIT_EXCEEDED);
}

/* Each call gets as far as its deadline lets it; all together they load. */
static void an_interrupted_load_goes_on_where_it_stopped(void **state)
{
	struct fixture *f = *state;
	enum cs_status status = CS_TIMEOUT;
	char id[16];

	for (int i = 1; i <= 1500; i++) {
		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	fixture_reopen(f);
	for (int64_t allowed_ns = 1000; status != CS_OK; allowed_ns *= 2) {
		f->op.deadline_ns = clock_mono_ns() + allowed_ns;
		status = try_find(f);
		assert_true(status == CS_OK || status == CS_TIMEOUT);
		/* Meanwhile one changes, one goes, one comes back. */
		f->op.deadline_ns = OP_NO_DEADLINE;
		store(f, "c7", 10000 + (uint64_t)allowed_ns);
		assert_ok(f, take_away(f, "c9", CONTEXT_SOFT_DELETE, 1000));
		assert_ok(f, take_away(f, "c1400", CONTEXT_SOFT_DELETE, 1000));
		assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, S("c1400"), &f->err));
		if (status == CS_OK) {
			assert_true(is_found(f, "c7", 10000 + (uint64_t)allowed_ns));
			assert_int_equal(find(f, 1, 1).total, 1499);
			assert_true(is_found(f, "c1400", 1400));
		}
		assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, S("c9"), &f->err));
	}
	assert_int_equal(find(f, 1, 1).total, 1500);
	assert_true(is_found(f, "c9", 9));
}

static void run_sql(struct fixture *f, const char *text)
{
	char path[128];
	sqlite3 *db;

	f->adapter->close(&f->ports);
	snprintf(path, sizeof path, "%s/%s", f->dir, ENGINE_FILE);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	f->adapter->open(f->dir, &f->ports);
}

static int64_t number_of(struct fixture *f, const char *text)
{
	char path[128];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int64_t value;

	snprintf(path, sizeof path, "%s/%s", f->dir, ENGINE_FILE);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

static void the_file_keeps_no_vector_that_is_nobodys(void **state)
{
	static const char blobs[] = "SELECT count(*) FROM vectors";
	struct fixture *f = *state;
	char id[16];

	/* More than one batch of a reset. */
	for (int i = 1; i <= 600; i++) {
		snprintf(id, sizeof id, "c%d", i);
		store(f, id, (uint64_t)i);
	}
	assert_int_equal(number_of(f, blobs), 600);
	store(f, "c1", 0);
	assert_int_equal(number_of(f, blobs), 599);
	assert_ok(f, take_away(f, "c2", CONTEXT_HARD_DELETE, 1000));
	assert_int_equal(number_of(f, blobs), 598);
	assert_ok(f, take_away(f, "c3", CONTEXT_SOFT_DELETE, 1000));
	assert_int_equal(number_of(f, blobs), 598);
	assert_ok(f, take_away(f, "c3", CONTEXT_HARD_DELETE, 1000));
	assert_int_equal(number_of(f, blobs), 597);
	assert_ok(f, take_away(f, "c4", CONTEXT_SOFT_DELETE, 1000));
	assert_ok(f, f->ports.vectors.reset(f->ports.vectors.self, &f->op, &f->err));
	assert_int_equal(number_of(f, blobs), 0);
}

static void a_damaged_vector_is_told_and_reset_mends_it(void **state)
{
	static const char *const damages[] = {
		"UPDATE vectors SET vector = x'0000' WHERE row = 2",
		"DELETE FROM vectors WHERE row = 2",
		"UPDATE vectors SET vector = zeroblob(length(vector)) WHERE row = 2",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		store(f, "a", 1);
		store(f, "b", 2);
		run_sql(f, damages[i]);
		assert_int_equal(try_find(f), CS_STORAGE);
		assert_non_null(strstr(f->err.text, "damaged"));
		assert_non_null(strstr(f->err.text, "reembed"));
		if (i < 2)
			assert_int_equal(engine_check(slice_cstr(f->dir), &f->err), CS_STORAGE);
		assert_ok(f, f->ports.vectors.reset(f->ports.vectors.self, &f->op, &f->err));
		assert_int_equal(find(f, 1, 1).unsearched, 2);
		assert_ok(f, engine_check(slice_cstr(f->dir), &f->err));
	}
}

#define ENGINE_TEST(function)                                                                                          \
	cmocka_unit_test_prestate_setup_teardown(                                                                      \
		function, fixture_setup, fixture_teardown, (void *)(uintptr_t)&adapters[0])

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_what_a_plain_list_says),
		ENGINE_TEST(a_server_loads_before_it_is_asked),
		ENGINE_TEST(memory_has_a_ceiling_that_is_told),
		ENGINE_TEST(more_vectors_than_memory_allows_are_not_loaded),
		ENGINE_TEST(one_commit_does_not_pass_the_ceiling),
		ENGINE_TEST(an_interrupted_load_goes_on_where_it_stopped),
		ENGINE_TEST(the_file_keeps_no_vector_that_is_nobodys),
		ENGINE_TEST(a_damaged_vector_is_told_and_reset_mends_it),
	};

	return cmocka_run_group_tests_name("engine vectors", tests, NULL, NULL);
}
