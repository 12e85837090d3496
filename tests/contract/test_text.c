/* The contract of port/text.h. */
#include "words_adapters.h"

static void store(struct fixture *f, const char *id, const char *words, const char *type)
{
	struct context_put put = {
		.context = {.id = slice_cstr(id),
			.type = slice_cstr(type),
			.content = S("{}"),
			.metadata = S("{}"),
			.words = slice_cstr(words)},
		.if_version = CONTEXT_VERSION_ANY,
	};
	struct context_put_result result;

	assert_ok(f, f->ports.contexts.put(f->ports.contexts.self, &f->op, &put, 1, &result, &f->err));
	assert_int_equal(result.status, CS_OK);
}

static struct text_result ask(struct fixture *f, const struct text_query *query)
{
	struct text_result result = {0};

	assert_ok(f, f->ports.text.search(f->ports.text.self, &f->op, query, &result, &f->err));
	return result;
}

static struct text_result find(struct fixture *f, const char *text)
{
	struct text_query query = {.text = slice_cstr(text), .limit = 10};

	return ask(f, &query);
}

static void words_are_folded_and_stemmed(void **state)
{
	struct fixture *f = *state;

	store(f, "a", "Running caf\xC3\xA9s \xE6\x9D\xB1\xE4\xBA\xAC \xD0\x9C\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD0\xB0",
		"log");
	assert_int_equal(find(f, "run").total, 1);
	assert_int_equal(find(f, "CAFE").total, 1);
	assert_int_equal(find(f, "\xD0\xBC\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD0\xB0").total, 1);
	assert_int_equal(find(f, "\xE6\x9D\xB1\xE4\xBA\xAC").total, 1);
	assert_int_equal(find(f, "walk").total, 0);
	assert_int_equal(find(f, "walk").count, 0);
	assert_false(find(f, "walk").no_words);
}

static void no_text_is_query_syntax(void **state)
{
	static const char *const texts[] = {"alpha AND", "\"alpha", "alpha*", "NEAR(alpha", "words:alpha", "^alpha",
		"-alpha", "alpha OR", "NOT alpha", "alpha\"\"'); DROP TABLE contexts;--", "{alpha} + (",
		"alpha \xE2\x80\x9C"};
	static const char *const nothing[] = {"", "   ", "\"", "*", "(((", "\xE2\x82\xAC", "- + :"};
	struct fixture *f = *state;

	store(f, "a", "alpha beta", "log");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(find(f, texts[i]).total, 1);
	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
		assert_true(find(f, nothing[i]).no_words);
		assert_int_equal(find(f, nothing[i]).total, 0);
	}
	assert_int_equal(find(f, "contexts").total, 0);
}

static void more_and_rarer_words_score_higher(void **state)
{
	struct fixture *f = *state;
	struct text_result result;
	char id[32];

	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof id, "common%d", i);
		store(f, id, i % 2 ? "common filler text" : "unrelated filler text", "log");
	}
	store(f, "both", "common rare text", "log");
	store(f, "rare", "rare filler text", "log");
	result = find(f, "common rare");
	assert_int_equal(result.total, 12);
	assert_int_equal(result.count, 10);
	assert_text(result.hits[0].id, "both");
	assert_text(result.hits[1].id, "rare");
	assert_true(result.top_score == result.hits[0].score);
	for (size_t i = 0; i < result.count; i++)
		assert_true(result.hits[i].score > 0 && (i == 0 || result.hits[i].score <= result.hits[i - 1].score));
}

static void pages_follow_each_other_and_totals_are_exact(void **state)
{
	struct fixture *f = *state;
	struct text_query query = {.text = S("word"), .limit = 7};
	bool seen[30] = {false};
	char id[16], words[64];
	size_t count = 0;

	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof id, "%d", i);
		snprintf(words, sizeof words, "word %.*s", i, "x x x x x x x x x x x x x x x x x x x x");
		store(f, id, words, "log");
	}
	for (; query.offset < 35; query.offset += 7) {
		struct text_result result = ask(f, &query);

		assert_int_equal(result.total, 30);
		for (size_t i = 0; i < result.count; i++) {
			int64_t n = -1;

			assert_true(slice_to_i64(result.hits[i].id, &n));
			assert_false(seen[n]);
			seen[n] = true;
			count++;
		}
	}
	assert_int_equal(count, 30);
}

/* In either order, with and without a filter; the best score is told all the same. */
static void what_scores_too_little_is_no_match(void **state)
{
	static const struct context_filter everything = {.date_from = 0, .date_to = CONTEXT_NO_DATE};
	struct fixture *f = *state;
	struct text_query query = {.text = S("word"), .limit = 30};
	struct text_result all, some;
	char id[16], words[64];

	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof id, "%d", i);
		snprintf(words, sizeof words, "word %.*s", i * 7 % 20, "x x x x x x x x x x x x x x x x x x x x");
		store(f, id, words, "log");
	}
	all = ask(f, &query);
	assert_int_equal(all.count, 20);
	for (int variant = 0; variant < 4; variant++) {
		query.order = variant % 2 ? TEXT_BY_DATE : TEXT_BY_SCORE;
		query.filter = variant / 2 ? &everything : NULL;
		query.least_score = all.hits[7].score;
		some = ask(f, &query);
		assert_int_equal(some.total, 8 + (all.hits[8].score == all.hits[7].score));
		assert_int_equal(some.count, some.total);
		assert_true(some.top_score == all.top_score);
		for (size_t i = 0; i < some.count; i++)
			assert_true(some.hits[i].score >= query.least_score);
		query.least_score = all.top_score * 2;
		some = ask(f, &query);
		assert_int_equal(some.total, 0);
		assert_int_equal(some.count, 0);
		assert_true(some.top_score == all.top_score);
	}
}

static void filters_apply_before_the_search(void **state)
{
	struct fixture *f = *state;
	struct slice type = S("design");
	struct context_filter filter = {
		.types = &type, .type_count = 1, .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	struct text_query query = {.text = S("needle"), .filter = &filter, .limit = 2};
	struct text_result result;
	char id[16];

	for (int i = 0; i < 40; i++) {
		snprintf(id, sizeof id, "%d", i);
		store(f, id, i % 10 == 0 ? "needle among many other words of the hay" : "needle",
			i % 10 == 0 ? "design" : "log");
	}
	result = ask(f, &query);
	assert_int_equal(result.total, 4);
	assert_int_equal(result.count, 2);
	query.offset = 2;
	assert_int_equal(ask(f, &query).count, 2);
	type = S("none");
	assert_int_equal(ask(f, &query).total, 0);
}

static void by_date_is_newest_first(void **state)
{
	struct fixture *f = *state;
	struct text_query query = {.text = S("word"), .order = TEXT_BY_DATE, .limit = 2};
	struct text_result result;

	store(f, "old", "word word word", "log");
	clock_shift_ms(1000);
	store(f, "middle", "word and more", "log");
	clock_shift_ms(2000);
	store(f, "new", "a word among a great many others", "log");
	result = ask(f, &query);
	assert_int_equal(result.total, 3);
	assert_text(result.hits[0].id, "new");
	assert_text(result.hits[1].id, "middle");
	assert_true(result.top_score >= result.hits[0].score);
}

static void long_queries_are_answered_up_to_a_limit_that_is_told(void **state)
{
	struct fixture *f = *state;
	struct text_query query = {.limit = 1};
	struct text_result result;
	char *text = malloc(40000);
	size_t length = 0;

	store(f, "a", "w999", "log");
	for (int i = 0; i < 1000; i++)
		length += (size_t)snprintf(text + length, 40000 - length, "w%d W%d ", i, i);
	query.text = slice_of(text, length);
	result = ask(f, &query);
	assert_int_equal(result.total, 1);
	for (int i = 1000; i < 3000; i++)
		length += (size_t)snprintf(text + length, 40000 - length, "w%d ", i);
	query.text = slice_of(text, length);
	assert_int_equal(f->ports.text.search(f->ports.text.self, &f->op, &query, &result, &f->err), CS_LIMIT_EXCEEDED);
	free(text);
}

static void a_cancelled_search_is_a_timeout(void **state)
{
	struct fixture *f = *state;
	atomic_bool cancelled = true;
	struct text_query query = {.text = S("word"), .limit = 1};
	struct text_result result;

	store(f, "a", "word", "log");
	f->op.cancelled = &cancelled;
	assert_int_equal(f->ports.text.search(f->ports.text.self, &f->op, &query, &result, &f->err), CS_TIMEOUT);
	cancelled = false;
	assert_int_equal(ask(f, &query).total, 1);
	f->op.may_wait = false;
	assert_int_equal(f->ports.text.search(f->ports.text.self, &f->op, &query, &result, &f->err), CS_WOULD_WAIT);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		PORT_TEST(words_are_folded_and_stemmed),
		PORT_TEST(no_text_is_query_syntax),
		PORT_TEST(more_and_rarer_words_score_higher),
		PORT_TEST(pages_follow_each_other_and_totals_are_exact),
		PORT_TEST(what_scores_too_little_is_no_match),
		PORT_TEST(filters_apply_before_the_search),
		PORT_TEST(by_date_is_newest_first),
		PORT_TEST(long_queries_are_answered_up_to_a_limit_that_is_told),
		PORT_TEST(a_cancelled_search_is_a_timeout),
	};

	return run_for_words_adapters("text", tests, sizeof tests / sizeof *tests);
}
