/* The contract of port/kv.h where several threads want the same key: every increment counts, and of those who name a
 * version one wins. */
#include <pthread.h>

#include "kv_adapters.h"

#define THREADS 8
#define ROUNDS  40

static struct kv_write write_of(const char *content)
{
	return (struct kv_write){
		.key = {S("agent"), KV_SCRATCHPAD, S("k")},
		.content = slice_cstr(content),
		.ttl_s = KV_TTL_NONE,
		.if_version = KV_VERSION_ANY,
	};
}

static void read_back(struct fixture *f, struct kv_entry *entry)
{
	struct kv_key key = write_of("").key;

	assert_ok(f, f->ports.kv.get(f->ports.kv.self, &f->op, &key, entry, &f->err));
}

struct racer {
	pthread_t thread;
	struct fixture *f;
	enum { RACE_INCREMENT, RACE_COMPARE, RACE_CREATE } race;
	size_t won;
	bool failed;
};

/* Reads, and writes what was read plus one if nobody was faster. */
static enum cs_status compare_and_set(struct fixture *f, struct op *op, struct kv_write *w, struct cs_error *err)
{
	struct kv_entry entry = {.content = S("0")};
	enum cs_status status = f->ports.kv.get(f->ports.kv.self, op, &w->key, &entry, err);
	int64_t number;

	if ((status != CS_OK && status != CS_KEY_NOT_FOUND) || !slice_to_i64(entry.content, &number))
		return status == CS_OK ? CS_STORAGE : status;
	w->if_version = (int64_t)entry.version;
	w->content = arena_printf(op->arena, "%lld", (long long)number + 1);
	return f->ports.kv.put(f->ports.kv.self, op, w, &entry, err);
}

static void *race(void *self)
{
	struct racer *r = self;
	struct arena arena;
	struct op op = r->f->op;
	struct cs_error err;

	arena_init(&arena, NULL, 0, 16u << 20);
	op.arena = &arena;
	for (int i = 0; i < ROUNDS; i++) {
		struct kv_write w = write_of("1");
		struct kv_entry entry;
		enum cs_status status;

		if (r->race == RACE_INCREMENT)
			w.mode = KV_INCREMENT;
		if (r->race == RACE_CREATE) {
			w.if_version = 0;
			w.key.key = arena_printf(&arena, "k%d", i);
		}
		status = r->race == RACE_COMPARE ? compare_and_set(r->f, &op, &w, &err)
						 : r->f->ports.kv.put(r->f->ports.kv.self, &op, &w, &entry, &err);
		r->won += status == CS_OK;
		r->failed = r->failed || (status != CS_OK && status != CS_VERSION_CONFLICT);
		arena_reset(&arena);
	}
	arena_release(&arena);
	return NULL;
}

static size_t run_race(struct fixture *f, int kind)
{
	struct racer racers[THREADS];
	size_t won = 0;

	for (int i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){.f = f, .race = kind};
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		assert_false(racers[i].failed);
		won += racers[i].won;
	}
	return won;
}

static void concurrent_increments_all_count(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;

	assert_int_equal(run_race(f, RACE_INCREMENT), THREADS * ROUNDS);
	read_back(f, &entry);
	assert_text(entry.content, "320");
	assert_int_equal(entry.version, THREADS * ROUNDS);
}

static void of_those_who_compare_and_set_one_wins_each_version(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;
	size_t won = run_race(f, RACE_COMPARE);
	int64_t number;

	read_back(f, &entry);
	assert_true(slice_to_i64(entry.content, &number));
	assert_int_equal(number, won);
	assert_int_equal(entry.version, won);
}

static void of_those_who_create_one_wins_each_key(void **state)
{
	assert_int_equal(run_race(*state, RACE_CREATE), ROUNDS);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		PORT_TEST(concurrent_increments_all_count),
		PORT_TEST(of_those_who_compare_and_set_one_wins_each_version),
		PORT_TEST(of_those_who_create_one_wins_each_key),
	};

	return run_for_kv_adapters("kv races", tests, sizeof tests / sizeof *tests);
}
