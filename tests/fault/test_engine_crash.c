/* kill -9 in the middle of 64 writers: every acknowledged write is there afterwards.
 *
 * A child opens the store, and 64 threads put contexts (each other one with a vector) and keys; each writes the number
 * of an acknowledged write to a pipe. The parent kills the child after some hundred acknowledgements, opens the
 * store, and looks for each.
 * CS_CRASH_ROUNDS: how often (5). */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "../contract/vectors.h"

#define WRITERS      64
#define ACKNOWLEDGED 600
#define PER_WRITER   1000000u

struct writer_thread {
	struct engine *engine;
	unsigned number;
	unsigned round;
	int pipe;
};

static void name_of(char *text, size_t size, unsigned round, uint32_t n)
{
	snprintf(text, size, "w%u-%u", round, n);
}

static uint64_t seed_of(unsigned round, uint32_t n)
{
	return ((uint64_t)round << 32 | n) + 1;
}

/* By its vector, before all others. */
static bool is_found_by_vector(struct engine *engine, struct op *op, struct slice id, uint64_t seed)
{
	struct vector_port vectors = engine_vectors(engine);
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 1, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result result;
	struct cs_error err;

	make_vector(seed, vector);
	return vectors.search(vectors.self, op, &query, &result, &err) == CS_OK && result.count == 1 &&
	       slice_eq(result.hits[0].id, id) && result.hits[0].similarity > 0.9999;
}

static void put_one(struct writer_thread *w, struct op *op, uint32_t n)
{
	struct context_port contexts = engine_contexts(w->engine);
	struct kv_port kv = engine_kv(w->engine);
	struct context_put_result result;
	struct cs_error err;
	struct kv_entry entry;
	char name[32];

	name_of(name, sizeof name, w->round, n);
	if (n % 2) {
		struct kv_write write = {.key = {S("crash"), KV_STATE, slice_cstr(name)},
			.content = slice_cstr(name),
			.ttl_s = KV_TTL_NONE,
			.if_version = 0};

		if (kv.put(kv.self, op, &write, &entry, &err) != CS_OK)
			_exit(3);
	} else {
		float vector[DIMENSION];
		struct context_put put = put_of(name, n % 4 ? NULL : vector);

		put.if_version = 0;
		make_vector(seed_of(w->round, n), vector);
		if (contexts.put(contexts.self, op, &put, 1, &result, &err) != CS_OK || result.status != CS_OK)
			_exit(3);
	}
}

static void *write_on(void *self)
{
	struct writer_thread *w = self;
	struct arena arena;
	struct op op = {
		.arena = &arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};

	arena_init(&arena, NULL, 0, 1u << 20);
	for (uint32_t n = w->number * PER_WRITER;; n++) {
		put_one(w, &op, n);
		if (write(w->pipe, &n, sizeof n) != sizeof n)
			_exit(4);
		arena_reset(&arena);
	}
	return NULL;
}

static void child(const char *dir, unsigned round, int pipe)
{
	static struct writer_thread threads[WRITERS];
	struct engine *engine;
	struct cs_error err;

	if (engine_open(slice_cstr(dir), &engine, &err) != CS_OK)
		_exit(2);
	for (unsigned i = 0; i < WRITERS; i++) {
		pthread_t thread;

		threads[i] = (struct writer_thread){.engine = engine, .number = i, .round = round, .pipe = pipe};
		if (pthread_create(&thread, NULL, write_on, &threads[i]) != 0)
			_exit(5);
	}
	for (;;)
		pause();
}

/* Kills the child after ACKNOWLEDGED of them; what was still in the pipe was acknowledged too. */
static size_t collect(pid_t pid, int pipe, uint32_t *numbers, size_t room)
{
	size_t count = 0;
	int status;

	while (count < room && read(pipe, &numbers[count], sizeof *numbers) == sizeof *numbers)
		if (++count == ACKNOWLEDGED)
			kill(pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return count;
}

static bool is_there(struct engine *engine, struct op *op, unsigned round, uint32_t n)
{
	struct context_port contexts = engine_contexts(engine);
	struct text_port text = engine_text(engine);
	struct kv_port kv = engine_kv(engine);
	char name[32];
	struct slice id = {name, 0};
	struct context *found;
	struct kv_entry entry;
	struct cs_error err;
	struct text_query query = {.limit = 1};
	struct text_result result;
	size_t count;

	name_of(name, sizeof name, round, n);
	query.text = id = slice_cstr(name);
	if (n % 2) {
		struct kv_key key = {S("crash"), KV_STATE, id};

		return kv.get(kv.self, op, &key, &entry, &err) == CS_OK && slice_eq(entry.content, id);
	}
	if (n % 4 == 0 && !is_found_by_vector(engine, op, id, seed_of(round, n)))
		return false;
	return contexts.get(contexts.self, op, &id, 1, NULL, false, &found, &count, &err) == CS_OK && count == 1 &&
	       text.search(text.self, op, &query, &result, &err) == CS_OK && result.total > 0;
}

static void every_acknowledged_write_survives_kill(void **state)
{
	const char *wanted = getenv("CS_CRASH_ROUNDS");
	unsigned rounds = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 5;
	size_t acknowledged = 0, found = 0, room = 100000;
	uint32_t *numbers = malloc(room * sizeof *numbers);
	char dir[] = "/tmp/context-store-test-XXXXXX";
	struct arena arena;
	struct op op = {
		.arena = &arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};

	(void)state;
	assert_non_null(mkdtemp(dir));
	arena_init(&arena, NULL, 0, 1u << 20);
	for (unsigned round = 0; round < rounds; round++) {
		struct engine *engine;
		struct cs_error err;
		int ends[2];
		pid_t pid;
		size_t count;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			child(dir, round, ends[1]);
		close(ends[1]);
		count = collect(pid, ends[0], numbers, room);
		close(ends[0]);
		assert_true(count >= ACKNOWLEDGED);
		if (engine_open(slice_cstr(dir), &engine, &err) != CS_OK)
			fail_msg("%s", err.text);
		for (size_t i = 0; i < count; i++) {
			found += is_there(engine, &op, round, numbers[i]);
			arena_reset(&arena);
		}
		acknowledged += count;
		engine_close(engine);
		if (engine_check(slice_cstr(dir), &err) != CS_OK)
			fail_msg("%s", err.text);
	}
	printf("# %u rounds: %zu acknowledged, %zu found\n", rounds, acknowledged, found);
	assert_int_equal(acknowledged, found);
	arena_release(&arena);
	free(numbers);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_acknowledged_write_survives_kill)};

	return cmocka_run_group_tests_name("engine crash", tests, NULL, NULL);
}
