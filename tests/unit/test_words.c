/* The engine's mirror of words: what it answers is what the full-text index answers, to the last bit, whatever was
 * stored, replaced, hidden and brought back before, while and after it is loaded. */
#include "../contract/words_adapters.h"

#include <pthread.h>
#include <sched.h>

#include "../support/random.h"
#include "engine/parts.h"

#define IDS     60
#define WORDS   40
#define TEXT    8192
#define WRITERS 3
#define ROUNDS  60

static void put(struct fixture *f, const char *id, const char *words)
{
	struct context_put put = {
		.context = {.id = slice_cstr(id),
			.type = S("log"),
			.content = S("{}"),
			.metadata = S("{\"always\":true}"),
			.words = slice_cstr(words)},
		.if_version = CONTEXT_VERSION_ANY,
	};
	struct context_put_result result;

	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, &put, 1, &result, &f->err));
	assert_int_equal(result.status, CS_OK);
}

static void take_away(struct fixture *f, const char *id, enum context_removal how)
{
	struct context_remove remove = {.id = slice_cstr(id), .how = how, .reason = S("test"), .retention_s = 3600};
	enum cs_status status = f->ports.contexts.remove(f->ports.contexts.self, &f->op, &remove, &f->err);

	assert_true(status == CS_OK || status == CS_NOT_FOUND);
}

static void bring_back(struct fixture *f, const char *id)
{
	enum cs_status status = f->ports.contexts.restore(f->ports.contexts.self, &f->op, slice_cstr(id), &f->err);

	assert_true(status == CS_OK || status == CS_NOT_FOUND);
}

static struct text_result find(struct fixture *f, const char *text, bool filtered, size_t offset, size_t limit)
{
	/* A filter on metadata that lets everything pass is answered by the full-text index. */
	static const struct slice yes = SLICE_INIT("true");
	static const struct context_predicate always = {.key = SLICE_INIT("always"), .values = &yes, .value_count = 1};
	static const struct context_filter everything = {
		.predicates = &always, .predicate_count = 1, .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	struct text_query query = {
		.text = slice_cstr(text), .filter = filtered ? &everything : NULL, .offset = offset, .limit = limit};
	struct text_result result = {0};

	assert_ok(f, f->ports.text.search(f->ports.text.self, &f->op, &query, &result, &f->err));
	return result;
}

static bool in_memory(struct fixture *f)
{
	struct engine *engine = f->ports.self;
	bool ready = words_begin(engine->words) != NULL;

	if (ready)
		words_end(engine->words);
	return ready;
}

static void both_answer_the_same(struct fixture *f, const char *text, size_t offset, size_t limit)
{
	struct text_result memory = find(f, text, false, offset, limit), file = find(f, text, true, offset, limit);

	assert_int_equal(memory.total, file.total);
	assert_true(memory.top_score == file.top_score);
	assert_int_equal(memory.count, file.count);
	assert_int_equal(memory.no_words, file.no_words);
	for (size_t i = 0; i < memory.count; i++) {
		assert_true(memory.hits[i].score == file.hits[i].score);
		if (!slice_eq(memory.hits[i].id, file.hits[i].id))
			fail_msg("\"%s\", hit %zu: " SLICE_FMT " is not " SLICE_FMT, text, offset + i,
				SLICE_ARG(memory.hits[i].id), SLICE_ARG(file.hits[i].id));
	}
}

/* Words of falling frequency, now and then one that stands there hundreds of times. */
static void make_text(uint64_t *seed, char text[TEXT])
{
	uint64_t count = next(seed) % 30;
	size_t length = 0;

	text[0] = '\0';
	for (uint64_t i = 0; i < count; i++) {
		uint64_t a = next(seed) % WORDS, b = next(seed) % WORDS, repeat = next(seed) % 60 ? 1 : 200 + a * 5;

		for (uint64_t n = 0; n < repeat && length + 16 < TEXT; n++)
			length += (size_t)snprintf(
				text + length, TEXT - length, "word%llu ", (unsigned long long)(a < b ? a : b));
	}
}

static void change_something(struct fixture *f, uint64_t *seed)
{
	char id[16], text[TEXT];

	snprintf(id, sizeof id, "c%llu", (unsigned long long)(next(seed) % IDS));
	switch (next(seed) % 8) {
	case 0: take_away(f, id, CONTEXT_HARD_DELETE); break;
	case 1: take_away(f, id, CONTEXT_SOFT_DELETE); break;
	case 2: take_away(f, id, CONTEXT_FORGET); break;
	case 3: bring_back(f, id); break;
	default: make_text(seed, text); put(f, id, text);
	}
}

static void answers_are_those_of_the_full_text_index(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 11;

	for (int step = 0; step < 1500; step++) {
		char query[128];

		arena_reset(&f->arena);
		change_something(f, &seed);
		if (step == 300)
			load_words(&f->ports);
		if (step < 300 || step % 3)
			continue;
		assert_true(in_memory(f));
		snprintf(query, sizeof query, "word%llu, word%llu Word%llu unknown word0",
			(unsigned long long)(next(&seed) % WORDS), (unsigned long long)(next(&seed) % WORDS),
			(unsigned long long)(next(&seed) % WORDS));
		both_answer_the_same(f, query, 0, 10);
		both_answer_the_same(f, query, next(&seed) % 20, 7);
		both_answer_the_same(f, "word1", 0, 100);
		both_answer_the_same(f, "nowhere", 0, 5);
	}
}

/* More documents than a block has, and words that most of them lack. */
static void blocks_follow_each_other(void **state)
{
	enum { COUNT = 9000 };
	struct fixture *f = *state;
	struct context_put *puts = calloc(COUNT, sizeof *puts);
	struct context_put_result *results = calloc(COUNT, sizeof *results);

	for (size_t i = 0; i < COUNT; i++)
		puts[i] = (struct context_put){.context = {.id = arena_printf(&f->arena, "%zu", i),
						       .type = S("log"),
						       .content = S("{}"),
						       .metadata = S("{\"always\":true}"),
						       .words = arena_printf(&f->arena, "every%s third%zu rare%zu",
							       i % 2 ? " odd odd" : "", i % 3, i / 100)},
			.if_version = CONTEXT_VERSION_ANY};
	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, puts, COUNT, results, &f->err));
	load_words(&f->ports);
	assert_true(in_memory(f));
	assert_int_equal(find(f, "every", false, 0, 1).total, COUNT);
	assert_int_equal(find(f, "rare0 rare89", false, 0, 1).total, 200);
	both_answer_the_same(f, "every odd", 0, 20);
	both_answer_the_same(f, "every", COUNT - 5, 20);
	both_answer_the_same(f, "rare0 rare45 rare89", 95, 10);
	both_answer_the_same(f, "odd third2 rare44", 0, 50);
	free(puts);
	free(results);
}

static void searches_bring_the_words_into_memory(void **state)
{
	struct fixture *f = *state;
	char id[16];

	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof id, "c%d", i);
		put(f, id, i ? "plenty" : "plenty rare");
	}
	for (int i = 0; i < WORDS_WALKED_MIN - 1; i++)
		assert_int_equal(find(f, "rare", false, 0, 1).total, 1);
	assert_false(in_memory(f));
	for (int i = 0; i < 10; i++) /* these walk, but do not count: a filtered search would stay where it is */
		find(f, "plenty", true, 0, 1);
	assert_false(in_memory(f));
	assert_int_equal(find(f, "plenty", false, 0, 1).total, 20);
	while (!in_memory(f))
		sched_yield();
	both_answer_the_same(f, "plenty rare", 0, 30);
}

static void a_ceiling_leaves_the_full_text_index(void **state)
{
	struct fixture *f = *state;
	char id[16], text[64];

	engine_set_word_memory(f->ports.self, 64 << 10);
	load_words(&f->ports);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof id, "c%d", i);
		snprintf(text, sizeof text, "common own%d", i);
		put(f, id, text);
	}
	assert_false(in_memory(f));
	assert_int_equal(find(f, "common", false, 0, 1).total, 2000);
	assert_int_equal(engine_load_words(f->ports.self, &f->op, &f->err), CS_LIMIT_EXCEEDED);
	assert_non_null(strstr(f->err.text, "memory"));
	assert_int_equal(find(f, "own7", false, 0, 1).total, 1);
}

static void what_is_replaced_again_and_again_wears_nothing_out(void **state)
{
	struct fixture *f = *state;
	uint64_t documents, bytes, first;
	struct engine *engine = f->ports.self;
	char text[64];
	bool dropped = false;

	put(f, "same", "first");
	load_words(&f->ports);
	assert_true(words_try_memory(engine->words, &documents, &first));
	for (int i = 0; i < 4000; i++) {
		snprintf(text, sizeof text, "version own%d", i);
		put(f, "same", text);
		dropped |= !in_memory(f);
		load_words(&f->ports);
		if (i % 500 == 0)
			both_answer_the_same(f, "version own7 own500", 0, 10);
	}
	assert_true(dropped);
	assert_true(words_try_memory(engine->words, &documents, &bytes));
	assert_int_equal(documents, 1);
	assert_true(bytes < first + (1 << 20));
}

/* Under the thread sanitizer, too: writers store, replace and remove words of their own and look for them at once, while
 * the mirror is loaded, dropped and loaded. */

struct writer_thread {
	struct fixture *f;
	pthread_t thread;
	int number;
	int wrong;
};

static uint64_t count_of(struct writer_thread *w, struct op *op, const char *word, const struct context_filter *filter)
{
	struct text_query query = {.text = slice_cstr(word), .limit = 5, .filter = filter};
	struct text_result result = {0};
	struct cs_error err;

	if (w->f->ports.text.search(w->f->ports.text.self, op, &query, &result, &err) != CS_OK)
		return UINT64_MAX;
	return result.total;
}

static void *write_and_look(void *self)
{
	struct writer_thread *w = self;
	struct context_port *contexts = &w->f->ports.contexts;
	const struct slice log = S("log");
	const struct context_filter logs = {
		.types = &log, .type_count = 1, .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	struct arena arena;
	struct op op = w->f->op;
	struct cs_error err;

	arena_init(&arena, NULL, 0, 16u << 20);
	op.arena = &arena;
	for (int i = 0; i < ROUNDS; i++) {
		char id[24], words[64], own[24];
		struct context_put put;
		struct context_put_result result;
		struct context_remove remove = {.how = CONTEXT_HARD_DELETE, .reason = S("test")};

		arena_reset(&arena);
		snprintf(id, sizeof id, "w%d-%d", w->number, i % 7);
		snprintf(own, sizeof own, "own%dx%d", w->number, i);
		snprintf(words, sizeof words, "shared %s", own);
		put = (struct context_put){.context = {.id = slice_cstr(id),
						   .type = S("log"),
						   .content = S("{}"),
						   .metadata = S("{\"always\":true}"),
						   .words = slice_cstr(words)},
			.if_version = CONTEXT_VERSION_ANY};
		w->wrong += contexts->put(contexts->self, &op, &put, 1, &result, &err) != CS_OK;
		w->wrong += count_of(w, &op, own, NULL) != 1;
		w->wrong += count_of(w, &op, own, &logs) != 1;
		w->wrong += count_of(w, &op, "shared", i % 2 ? &logs : NULL) < 1;
		if (i % 3)
			continue;
		remove.id = slice_cstr(id);
		w->wrong += contexts->remove(contexts->self, &op, &remove, &err) != CS_OK;
		w->wrong += count_of(w, &op, own, i % 2 ? &logs : NULL) != 0;
	}
	arena_release(&arena);
	return NULL;
}

static void what_was_acknowledged_is_found_at_once(void **state)
{
	struct fixture *f = *state;
	struct writer_thread writers[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer_thread){.f = f, .number = i};
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_and_look, &writers[i]), 0);
	}
	load_words(&f->ports);
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		assert_int_equal(writers[i].wrong, 0);
	}
	assert_true(in_memory(f));
	both_answer_the_same(f, "shared own0x59 own1x58", 0, 50);
}

static void closing_ends_a_load_under_way(void **state)
{
	struct fixture *f = *state;
	struct engine *engine;
	struct words *words;
	struct op op = f->op;

	for (int i = 0; i < 300; i++) {
		char id[16];

		snprintf(id, sizeof id, "c%d", i);
		put(f, id, "word");
	}
	engine = f->ports.self;
	words = engine->words;
	words_walked(words, WORDS_WALKED_MIN, 1);
	fixture_reopen(f);
	assert_int_equal(find(f, "word", false, 0, 1).total, 300);
	op.deadline_ns = 1;
	assert_int_equal(engine_load_words(f->ports.self, &op, &f->err), CS_TIMEOUT);
}

int main(void)
{
	static struct CMUnitTest tests[] = {
		PORT_TEST(answers_are_those_of_the_full_text_index),
		PORT_TEST(blocks_follow_each_other),
		PORT_TEST(searches_bring_the_words_into_memory),
		PORT_TEST(a_ceiling_leaves_the_full_text_index),
		PORT_TEST(what_is_replaced_again_and_again_wears_nothing_out),
		PORT_TEST(what_was_acknowledged_is_found_at_once),
		PORT_TEST(closing_ends_a_load_under_way),
	};

	return run_for_adapters("words", tests, sizeof tests / sizeof *tests);
}
