/* Adapters for what is asked by words: the engine as it opens, which answers from its full-text index, and the engine
 * with the words, and what filters ask, in memory from the start. */
#ifndef CS_TESTS_CONTRACT_WORDS_ADAPTERS_H
#define CS_TESTS_CONTRACT_WORDS_ADAPTERS_H

#include "adapters.h"

static void load_words(struct ports *ports)
{
	const struct op op = {.principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct cs_error err;

	if (engine_load_words(ports->self, &op, &err) != CS_OK)
		fail_msg("%s", err.text);
}

/* A search by vectors loads what filters ask, whether there are vectors or not. */
static void load_attributes(struct ports *ports)
{
	static const float vector = 1;
	const struct vector_query query = {.vector = &vector, .dimension = 1};
	struct arena arena;
	struct op op = {
		.principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true, .arena = &arena};
	struct vector_result result;
	struct cs_error err;

	arena_init(&arena, NULL, 0, 1u << 20);
	if (ports->vectors.search(ports->vectors.self, &op, &query, &result, &err) != CS_OK)
		fail_msg("%s", err.text);
	arena_release(&arena);
}

static void engine_words_open(const char *dir, struct ports *ports)
{
	engine_adapter_open(dir, ports);
	load_words(ports);
	load_attributes(ports);
}

static const struct adapter words_adapters[] = {
	ENGINE_ADAPTER,
	{.name = "engine, words in memory",
		.open = engine_words_open,
		.close = engine_adapter_close,
		.pass_ms = engine_adapter_pass_ms,
		.remembers = true},
};

static inline int run_for_words_adapters(const char *name, struct CMUnitTest *tests, size_t count)
{
	return run_for_table(name, tests, count, words_adapters, sizeof words_adapters / sizeof *words_adapters);
}

#endif
