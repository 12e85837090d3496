/* The adapters that stand behind the ports. Each contract test runs once per row; a new adapter is one more row. Those
 * that stand behind one port only have rows beside its tests (kv_adapters.h).
 *
 * An adapter opens on an empty directory of its own and can be closed and opened again on what it stored. */
#ifndef CS_TESTS_CONTRACT_ADAPTERS_H
#define CS_TESTS_CONTRACT_ADAPTERS_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/engine.h"

struct ports {
	struct context_port contexts;
	struct text_port text;
	struct kv_port kv;
	struct vector_port vectors;
	void *self;
};

struct adapter {
	const char *name;
	void (*open)(const char *dir, struct ports *);
	void (*close)(struct ports *);
	/* Lets so much time pass, as far as what is stored can tell. */
	void (*pass_ms)(struct ports *, int64_t ms);
	/* Why it cannot be tested here, or NULL. NULL: it always can. */
	const char *(*missing)(void);
	bool remembers; /* what was read lately is answered without waiting */
};

static void engine_adapter_open(const char *dir, struct ports *ports)
{
	struct engine *engine;
	struct cs_error err;

	if (engine_open(slice_cstr(dir), &engine, &err) != CS_OK)
		fail_msg("%s", err.text);
	ports->contexts = engine_contexts(engine);
	ports->text = engine_text(engine);
	ports->kv = engine_kv(engine);
	ports->vectors = engine_vectors(engine);
	ports->self = engine;
}

static void engine_adapter_close(struct ports *ports)
{
	engine_close(ports->self);
}

static int64_t engine_shift_ms; /* set back by fixture_close */

static void engine_adapter_pass_ms(struct ports *ports, int64_t ms)
{
	clock_shift_ms(engine_shift_ms += ms);
}

#define ENGINE_ADAPTER                                                                                                 \
	{                                                                                                              \
		.name = "engine", .open = engine_adapter_open, .close = engine_adapter_close,                          \
		.pass_ms = engine_adapter_pass_ms, .remembers = true                                                   \
	}

static const struct adapter adapters[] = {
	ENGINE_ADAPTER,
};

#define ADAPTER_COUNT (sizeof adapters / sizeof *adapters)

/* What a test works with: ports on an empty store, an op that may wait. */
struct fixture {
	const struct adapter *adapter;
	struct ports ports;
	struct arena arena;
	struct op op;
	struct cs_error err;
	char dir[64];
};

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline void fixture_open(struct fixture *f, const struct adapter *adapter)
{
	*f = (struct fixture){.adapter = adapter};
	snprintf(f->dir, sizeof f->dir, "/tmp/context-store-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	arena_init(&f->arena, NULL, 0, 256u << 20);
	f->op = (struct op){
		.arena = &f->arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	adapter->open(f->dir, &f->ports);
}

static inline void fixture_reopen(struct fixture *f)
{
	f->adapter->close(&f->ports);
	f->adapter->open(f->dir, &f->ports);
}

static inline void fixture_pass_ms(struct fixture *f, int64_t ms)
{
	f->adapter->pass_ms(&f->ports, ms);
}

static inline void fixture_close(struct fixture *f)
{
	f->adapter->close(&f->ports);
	arena_release(&f->arena);
	clock_shift_ms(engine_shift_ms = 0);
	nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* cmocka set-up and tear-down: the test's initial state is its adapter. */
static inline int fixture_setup(void **state)
{
	struct fixture *f = malloc(sizeof *f);

	fixture_open(f, *state);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

static inline void assert_text(struct slice text, const char *expected)
{
	if (!slice_eq(text, slice_cstr(expected)))
		fail_msg("\"" SLICE_FMT "\" is not \"%s\"", SLICE_ARG(text), expected);
}

#define assert_ok(f, call)                                                                                             \
	do {                                                                                                           \
		if ((call) != CS_OK)                                                                                   \
			fail_msg("%s: %s", #call, (f)->err.text);                                                      \
	} while (0)

#define PORT_TEST(function)                                                                                            \
	{                                                                                                              \
#function, function, fixture_setup, fixture_teardown, NULL                                             \
	}

static inline int run_for_table(
	const char *name, struct CMUnitTest *tests, size_t count, const struct adapter *table, size_t adapter_count)
{
	int failed = 0;

	for (size_t a = 0; a < adapter_count; a++) {
		char group[64];
		const char *missing = table[a].missing ? table[a].missing() : NULL;

		if (missing) {
			printf("1..0 # SKIP %s (%s): %s\n", name, table[a].name, missing);
			fflush(stdout);
			continue;
		}
		snprintf(group, sizeof group, "%s (%s)", name, table[a].name);
		for (size_t i = 0; i < count; i++)
			tests[i].initial_state = (void *)(uintptr_t)&table[a];
		failed += _cmocka_run_group_tests(group, tests, count, NULL, NULL);
	}
	return failed;
}

/* Runs the tests for each adapter. */
static inline int run_for_adapters(const char *name, struct CMUnitTest *tests, size_t count)
{
	return run_for_table(name, tests, count, adapters, ADAPTER_COUNT);
}

#endif
