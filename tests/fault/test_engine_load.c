/* Writes in the middle of loading vectors: at each page the loader reads, in turn, contexts change, come and go.
 * Whatever it had read by then, the mirror ends up with what was acknowledged.
 *
 * The loader's own thread makes these writes from inside its read, so each run is the same. */
#include "../contract/vectors.h"
#include "faulty_vfs.h"

#define STORED 600 /* some chunks */

static struct {
	struct fixture *f;
	int left; /* reads until the writes are made */
	bool made;
	bool resets;
} meddler;

static void store_many(struct fixture *f)
{
	static float vectors[100][DIMENSION];
	static struct context_put puts[100];
	static struct context_put_result results[100];
	static char ids[100][16];

	for (int at = 1; at <= STORED; at += 100) {
		for (int i = 0; i < 100; i++) {
			snprintf(ids[i], sizeof ids[i], "c%d", at + i);
			make_vector((uint64_t)(at + i), vectors[i]);
			puts[i] = put_of(ids[i], vectors[i]);
		}
		assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, puts, 100, results, &f->err));
	}
}

/* In the first chunk and in the last. */
static void meddle(struct fixture *f)
{
	store(f, "c10", 10010);
	store(f, "c11", 0);
	assert_ok(f, take_away(f, "c12", CONTEXT_SOFT_DELETE, 1000));
	assert_ok(f, take_away(f, "c13", CONTEXT_HARD_DELETE, 1000));
	store(f, "c590", 10590);
	assert_ok(f, take_away(f, "c591", CONTEXT_SOFT_DELETE, 1000));
	store(f, "c592", 0);
	assert_ok(f, take_away(f, "c593", CONTEXT_HARD_DELETE, 1000));
	store(f, "new", 10700);
	assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, S("c20"), &f->err));
	assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, S("c580"), &f->err));
	if (meddler.resets)
		assert_ok(f, f->ports.vectors.reset(f->ports.vectors.self, &f->op, &f->err));
}

static void on_read(void)
{
	if (meddler.made || --meddler.left > 0)
		return;
	meddler.made = true;
	meddle(meddler.f);
}

static void check(struct fixture *f)
{
	static const char *const gone[] = {"c12", "c13", "c591", "c593"};
	struct vector_result result = find(f, 1, STORED + 10);

	if (meddler.resets) {
		assert_int_equal(result.total, 0);
		assert_int_equal(result.unsearched, STORED - 4 + 1);
		return;
	}
	assert_int_equal(result.total, STORED - 4 - 2 + 1);
	assert_int_equal(result.unsearched, 2);
	for (size_t i = 0; i < result.count; i++)
		for (size_t k = 0; k < 4; k++)
			assert_false(slice_eq(result.hits[i].id, slice_cstr(gone[k])));
	assert_true(is_found(f, "c10", 10010));
	assert_true(is_found(f, "c590", 10590));
	assert_true(is_found(f, "new", 10700));
	assert_true(is_found(f, "c20", 20));
	assert_true(is_found(f, "c580", 580));
	assert_true(is_found(f, "c1", 1));
}

/* False: there was no such read, loading was over before. */
static bool load_with_writes_at(int nth, bool resets)
{
	struct fixture f;
	bool made;

	fixture_open(&f, &adapters[0]);
	store_many(&f);
	assert_ok(&f, take_away(&f, "c20", CONTEXT_SOFT_DELETE, 1000));
	assert_ok(&f, take_away(&f, "c580", CONTEXT_FORGET, 1000));
	fixture_reopen(&f);
	meddler.f = &f;
	meddler.left = nth;
	meddler.made = false;
	meddler.resets = resets;
	faulty_on_read = on_read;
	(void)find(&f, 1, 1);
	faulty_on_read = NULL;
	made = meddler.made;
	if (made)
		check(&f);
	fixture_close(&f);
	return made;
}

static void writes_at_each_read_of_the_loader_are_kept(void **state)
{
	int runs = 0;

	(void)state;
	for (int nth = 1; load_with_writes_at(nth, false); nth += nth < 12 ? 1 : 5)
		runs++;
	assert_true(runs > 12);
}

static void a_reset_at_each_read_of_the_loader_holds(void **state)
{
	int runs = 0;

	(void)state;
	for (int nth = 1; load_with_writes_at(nth, true); nth += nth < 12 ? 2 : 13)
		runs++;
	assert_true(runs > 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_at_each_read_of_the_loader_are_kept),
		cmocka_unit_test(a_reset_at_each_read_of_the_loader_holds),
	};

	faulty_install();
	return cmocka_run_group_tests_name("engine load", tests, NULL, NULL);
}
