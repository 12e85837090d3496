/* Filters answered in memory: the table against a plain list, and searches against SQL, which judges the same filter when
 * a predicate on metadata stands beside it that all contexts meet. */
#include "../contract/vectors.h"
#include "../contract/words_adapters.h"

#include "../support/alloc_fault.h"
#include "../support/random.h"
#include "engine/context_filter.h"
#include "engine/parts.h"

#define ROWS 3000
#define IDS  150

/* Few, so that filters meet; some that would be mistaken for each other were they not framed or hashed with care. */
static const struct slice names[] = {SLICE_INIT("a"), SLICE_INIT("b"), SLICE_INIT("ab"), SLICE_INIT("A"),
	SLICE_INIT("a\nb"), SLICE_INIT("a\\nb"), SLICE_INIT("a\\"), SLICE_INIT("\xC3\xA9"), SLICE_INIT("e\xCC\x81")};

#define NAMES (sizeof names / sizeof *names)

static struct slice name_of(uint64_t *seed)
{
	return names[next(seed) % NAMES];
}

/* Empty half of the time. */
static struct slice maybe_name(uint64_t *seed)
{
	return next(seed) % 2 ? name_of(seed) : S("");
}

struct drawn {
	struct slice tags[3], types[2], excluded[2];
	struct context_filter filter;
};

static void draw_filter(uint64_t *seed, int64_t date, struct drawn *drawn)
{
	*drawn = (struct drawn){.filter = {.date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE}};
	for (size_t i = 0; i < 2; i++) {
		drawn->tags[i] = name_of(seed);
		drawn->types[i] = name_of(seed);
		drawn->excluded[i] = maybe_name(seed);
	}
	drawn->filter.types = drawn->types;
	drawn->filter.tags = drawn->tags;
	drawn->filter.exclude_sources = drawn->excluded;
	/* One or two conditions, so that something passes. */
	for (int i = 0; i < 2; i++)
		switch (next(seed) % 8) {
		case 0: drawn->filter.type_count = 1 + next(seed) % 2; break;
		case 1: drawn->filter.tag_count = 1 + next(seed) % 2; break;
		case 2: drawn->filter.exclude_source_count = 1 + next(seed) % 2; break;
		case 3: drawn->filter.status = name_of(seed); break;
		case 4: drawn->filter.agent_id = name_of(seed); break;
		case 5: drawn->filter.namespace_ = name_of(seed); break;
		case 6: drawn->filter.date_from = date - (int64_t)(next(seed) % 200); break;
		default: drawn->filter.date_to = date - (int64_t)(next(seed) % 200);
		}
}

/* The table. */

struct plain {
	bool live;
	int64_t created_at;
	struct slice type, namespace_, agent_id, status, source, tags[3];
	size_t tag_count;
};

static struct plain draw_plain(uint64_t *seed)
{
	struct plain p = {.live = true,
		.created_at = (int64_t)(next(seed) % 1000),
		.type = name_of(seed),
		.namespace_ = maybe_name(seed),
		.agent_id = maybe_name(seed),
		.status = maybe_name(seed),
		.source = maybe_name(seed),
		.tag_count = next(seed) % 4};

	for (size_t i = 0; i < p.tag_count; i++)
		p.tags[i] = name_of(seed);
	return p;
}

static bool among(struct slice text, const struct slice *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(texts[i], text))
			return true;
	return false;
}

static bool passes(const struct plain *p, const struct context_filter *f)
{
	for (size_t i = 0; i < f->tag_count; i++)
		if (!among(f->tags[i], p->tags, p->tag_count))
			return false;
	return p->live && (f->type_count == 0 || among(p->type, f->types, f->type_count)) &&
	       !among(p->source, f->exclude_sources, f->exclude_source_count) &&
	       (f->status.len == 0 || slice_eq(f->status, p->status)) &&
	       (f->agent_id.len == 0 || slice_eq(f->agent_id, p->agent_id)) &&
	       (f->namespace_.len == 0 || slice_eq(f->namespace_, p->namespace_)) &&
	       (f->date_from == CONTEXT_NO_DATE || p->created_at >= f->date_from) &&
	       (f->date_to == CONTEXT_NO_DATE || p->created_at <= f->date_to);
}

static bool put_plain(struct attribute_table *table, struct arena *arena, int64_t row, const struct plain *p)
{
	const struct context context = {.type = p->type,
		.namespace_ = p->namespace_,
		.agent_id = p->agent_id,
		.status = p->status,
		.source = p->source};
	struct attributes attributes;

	assert_true(attributes_of_context(
		arena, &context, filter_frame_tags(arena, p->tags, p->tag_count), p->created_at, &attributes));
	return attribute_table_put(table, row, &attributes);
}

static void the_table_lets_pass_what_a_list_does(void **state)
{
	static struct plain plain[ROWS];
	struct attribute_table table = {0};
	uint64_t seed = 3, passed = 0;
	struct arena arena;
	struct cs_error err;

	arena_init(&arena, NULL, 0, 64u << 20);
	for (int step = 0; step < 40000; step++) {
		const size_t row = next(&seed) % ROWS;
		struct drawn drawn;
		struct row_set set;

		if (next(&seed) % 3 == 0) {
			attribute_table_remove(&table, (int64_t)row);
			plain[row].live = false;
		} else {
			plain[row] = draw_plain(&seed);
			assert_true(put_plain(&table, &arena, (int64_t)row, &plain[row]));
		}
		if (step % 40)
			continue;
		draw_filter(&seed, 500, &drawn);
		assert_true(attributes_answer(&drawn.filter));
		assert_int_equal(attribute_table_select(&table, &arena, &drawn.filter, &set, &err), CS_OK);
		for (size_t i = 0; i < ROWS; i++) {
			assert_int_equal(row_set_has(&set, (int64_t)i), passes(&plain[i], &drawn.filter));
			passed += row_set_has(&set, (int64_t)i);
		}
		assert_false(row_set_has(&set, -1));
		assert_false(row_set_has(&set, INT64_MAX));
		arena_reset(&arena);
	}
	assert_true(passed > 100000);
	/* What is gone takes no memory but the list of blocks. */
	for (int64_t row = 0; row < ROWS; row++)
		attribute_table_remove(&table, row);
	assert_int_equal(table.bytes, table.block_count * sizeof(struct attribute_block *));
	attribute_table_release(&table);
	arena_release(&arena);
}

static void rows_may_be_far_apart_but_not_too_far(void **state)
{
	static const int64_t far[] = {0, 1, 1023, 1024, 99999, 5000000};
	static const struct context_filter all = {.date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	struct attribute_table table = {0};
	struct attributes none = {0};
	struct row_set set;
	struct arena arena;
	struct cs_error err;

	arena_init(&arena, NULL, 0, 64u << 20);
	for (size_t i = 0; i < 6; i++)
		assert_true(attribute_table_put(&table, far[i], &none));
	assert_false(attribute_table_put(&table, -1, &none));
	assert_false(attribute_table_put(&table, ATTRIBUTES_ROW_MAX + 1, &none));
	assert_false(attribute_table_put(&table, INT64_MAX, &none));
	attribute_table_remove(&table, INT64_MAX);
	attribute_table_remove(&table, -1);
	attribute_table_remove(&table, 2);
	assert_int_equal(attribute_table_select(&table, &arena, &all, &set, &err), CS_OK);
	assert_int_equal(set.count, 6);
	for (size_t i = 0; i < 6; i++)
		assert_true(row_set_has(&set, far[i]));
	attribute_table_release(&table);
	arena_release(&arena);
}

static void without_memory_nothing_changes(void **state)
{
	ALLOC_FAULT_EACH(n)
	{
		struct attribute_table table = {0};
		uint64_t tags[] = {1, 2};
		struct attributes some = {.created_at = 7, .tags = tags, .tag_count = 2};
		size_t put = 0;

		for (int64_t row = 0; row < 5000; row += 500)
			put += attribute_table_put(&table, row, &some);
		assert_true(put >= 9);
		for (int64_t row = 0; row < 5000; row++)
			attribute_table_remove(&table, row);
		assert_int_equal(table.bytes, table.block_count * sizeof(struct attribute_block *));
		attribute_table_release(&table);
	}
}

/* Searches. */

static const struct slice yes = SLICE_INIT("true");
static const struct context_predicate always = {.key = SLICE_INIT("always"), .values = &yes, .value_count = 1};

static void same_by_vector(struct fixture *f, uint64_t seed, const struct context_filter *filter)
{
	struct context_filter with = *filter;
	float vector[DIMENSION];
	struct vector_query query = {.vector = vector,
		.dimension = DIMENSION,
		.limit = 20,
		.filter = filter,
		.least_similarity = seed % 2 ? VECTOR_NO_LIMIT : 0.0};
	struct vector_result memory, file;

	make_vector(seed, vector);
	memory = ask(f, &query);
	with.predicates = &always;
	with.predicate_count = 1;
	query.filter = &with;
	file = ask(f, &query);
	assert_int_equal(memory.total, file.total);
	assert_int_equal(memory.unsearched, file.unsearched);
	assert_int_equal(memory.count, file.count);
	for (size_t i = 0; i < memory.count; i++) {
		assert_true(slice_eq(memory.hits[i].id, file.hits[i].id));
		assert_true(memory.hits[i].similarity == file.hits[i].similarity);
	}
}

static uint64_t same_by_words(struct fixture *f, const char *text, const struct context_filter *filter)
{
	struct context_filter with = *filter;
	struct text_query query = {.text = slice_cstr(text), .limit = 20, .filter = filter};
	struct text_result memory = {0}, file = {0};

	assert_ok(f, f->ports.text.search(f->ports.text.self, &f->op, &query, &memory, &f->err));
	with.predicates = &always;
	with.predicate_count = 1;
	query.filter = &with;
	assert_ok(f, f->ports.text.search(f->ports.text.self, &f->op, &query, &file, &f->err));
	assert_int_equal(memory.total, file.total);
	assert_true(memory.top_score == file.top_score);
	assert_int_equal(memory.count, file.count);
	for (size_t i = 0; i < memory.count; i++) {
		assert_true(slice_eq(memory.hits[i].id, file.hits[i].id));
		assert_true(memory.hits[i].score == file.hits[i].score);
	}
	return memory.total;
}

static void put_something(struct fixture *f, const char *id, uint64_t *seed)
{
	const struct plain p = draw_plain(seed);
	float vector[DIMENSION];
	char words[64];
	struct context_put put;

	snprintf(words, sizeof words, "word%llu word%llu every", (unsigned long long)(next(seed) % 20),
		(unsigned long long)(next(seed) % 20));
	make_vector(1 + next(seed) % 50, vector);
	put = put_of(id, next(seed) % 4 ? vector : NULL);
	put.context.metadata = S("{\"always\":true}");
	put.context.words = slice_cstr(words);
	put.context.type = p.type;
	put.context.namespace_ = p.namespace_;
	put.context.agent_id = p.agent_id;
	put.context.status = p.status;
	put.context.source = p.source;
	put.context.tags = p.tags;
	put.context.tag_count = p.tag_count;
	store_put(f, &put);
}

static void change_something(struct fixture *f, uint64_t *seed)
{
	static const enum context_removal ways[] = {CONTEXT_SOFT_DELETE, CONTEXT_HARD_DELETE, CONTEXT_FORGET};
	struct context_remove remove = {.reason = S("test"), .retention_s = 3600};
	float vector[DIMENSION];
	char id[16];

	snprintf(id, sizeof id, "c%llu", (unsigned long long)(next(seed) % IDS));
	switch (next(seed) % 10) {
	case 0:
		remove.id = slice_cstr(id);
		remove.how = ways[next(seed) % 3];
		(void)!f->ports.contexts.remove(f->ports.contexts.self, &f->op, &remove, &f->err);
		break;
	case 1: (void)!f->ports.contexts.restore(f->ports.contexts.self, &f->op, slice_cstr(id), &f->err); break;
	case 2: /* a vector that comes late; most are for another version */
		make_vector(next(seed) % 50 + 1, vector);
		(void)!f->ports.vectors.put(f->ports.vectors.self, &f->op, slice_cstr(id), 1 + next(seed) % 3,
			&test_model, vector, &f->err);
		break;
	default: put_something(f, id, seed);
	}
}

static void searches_say_what_sql_says(void **state)
{
	struct fixture *f = *state;
	struct engine *engine;
	uint64_t seed = 29, found = 0;
	struct vectors_view view;

	for (int step = 0; step < 1500; step++) {
		struct drawn drawn;

		arena_reset(&f->arena);
		clock_shift_ms(engine_shift_ms += (int64_t)(next(&seed) % 3));
		change_something(f, &seed);
		if (step == 500)
			fixture_reopen(f); /* what is loaded says the same as what was applied */
		if (step < 200)
			continue;
		if (step == 200 || step == 500)
			load_words(&f->ports);
		if (step == 800)
			assert_ok(f, f->ports.vectors.reset(f->ports.vectors.self, &f->op, &f->err));
		draw_filter(&seed, clock_wall_ms(), &drawn);
		same_by_vector(f, next(&seed), &drawn.filter);
		found += same_by_words(f, step % 2 ? "every word1 word7" : "word3 word9", &drawn.filter);
		engine = f->ports.self;
		assert_true(words_loaded(engine->words) && vectors_try_begin(engine->vectors, &view));
		vectors_end(engine->vectors);
	}
	assert_true(found > 1000);
}

/* It does not wait for the mirror, and is answered by it in the end. */
static void a_search_by_words_brings_the_mirror_into_memory(void **state)
{
	struct fixture *f = *state;
	struct engine *engine = f->ports.self;
	struct drawn drawn = {
		.types = {S("a")},
		.filter = {.type_count = 1, .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE},
	};
	struct vectors_view view;
	uint64_t seed = 5;
	char id[16];

	drawn.filter.types = drawn.types;
	for (int i = 0; i < 600; i++) {
		snprintf(id, sizeof id, "c%d", i);
		put_something(f, id, &seed);
	}
	assert_false(vectors_try_begin(engine->vectors, &view));
	assert_true(same_by_words(f, "every", &drawn.filter) > 10);
	assert_false(vectors_try_begin(engine->vectors, &view)); /* words are not there yet, so it would not help */
	load_words(&f->ports);
	assert_true(same_by_words(f, "every", &drawn.filter) > 10);
	while (!vectors_try_begin(engine->vectors, &view))
		sched_yield();
	vectors_end(engine->vectors);
	assert_true(same_by_words(f, "every", &drawn.filter) > 10);
}

int main(void)
{
	static struct CMUnitTest plain[] = {
		cmocka_unit_test(the_table_lets_pass_what_a_list_does),
		cmocka_unit_test(rows_may_be_far_apart_but_not_too_far),
		cmocka_unit_test(without_memory_nothing_changes),
	};
	static struct CMUnitTest searches[] = {
		PORT_TEST(searches_say_what_sql_says),
		PORT_TEST(a_search_by_words_brings_the_mirror_into_memory),
	};
	int failed = cmocka_run_group_tests_name("attributes", plain, NULL, NULL);

	return run_for_adapters("attributes, searches", searches, sizeof searches / sizeof *searches) || failed;
}
