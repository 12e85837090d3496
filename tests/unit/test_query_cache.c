/* The query cache: by itself, and behind retrieve_context, where it may never tell what is no longer so. */
#include "../support/tool_fixture.h"
/* After it. */
#include "../support/fake_meaning.h"

#include "base/metrics.h"
#include "store/query_cache.h"
#include "store/removal.h"

#define WRITERS 3
#define ROUNDS  80

static struct query_cache *open_cache(size_t entries, size_t bytes)
{
	const struct query_cache_options options = {.entries_max = entries, .bytes_max = bytes, .age_s = 300};
	struct query_cache *cache;
	struct cs_error err;

	assert_int_equal(query_cache_new(&options, &cache, &err), CS_OK);
	return cache;
}

static bool knows(struct query_cache *cache, const char *question, uint64_t generation)
{
	struct query_answer answer;

	if (!query_cache_get(cache, slice_cstr(question), generation, &answer))
		return false;
	query_answer_release(&answer);
	return true;
}

static void an_answer_is_of_its_generation_and_age(void **state)
{
	struct query_cache *cache = open_cache(16, 0);
	struct query_answer answer;

	(void)state;
	assert_false(knows(cache, "q", 1));
	query_cache_put(cache, S("q"), 1, S("head"), S("tail"));
	assert_true(query_cache_get(cache, S("q"), 1, &answer));
	query_cache_put(cache, S("q"), 2, S("other"), S("")); /* what was handed out stays as it is */
	assert_true(slice_eq(answer.head, S("head")) && slice_eq(answer.tail, S("tail")));
	query_answer_release(&answer);
	assert_false(knows(cache, "q", 1));
	assert_false(knows(cache, "q", 3));
	assert_false(knows(cache, "Q", 2));
	assert_true(knows(cache, "q", 2));
	clock_shift_ms(299000);
	assert_true(knows(cache, "q", 2));
	clock_shift_ms(301000);
	assert_false(knows(cache, "q", 2));
	clock_shift_ms(0);
	query_cache_free(cache);
}

static void entries_and_bytes_are_bounded(void **state)
{
	struct query_cache *cache = open_cache(1, 64 << 10);
	char *large = calloc(1, 64 << 10);
	char question[32];
	int known = 0;

	(void)state;
	query_cache_put(cache, S("a"), 1, S("x"), S(""));
	query_cache_put(cache, S("b"), 1, S("x"), S(""));
	assert_false(knows(cache, "a", 1));
	assert_true(knows(cache, "b", 1));
	query_cache_put(cache, S("large"), 1, slice_of(large, 60 << 10), S(""));
	assert_false(knows(cache, "large", 1));
	query_cache_free(cache);
	cache = open_cache(1000, 64 << 10);
	for (int i = 0; i < 400; i++) {
		snprintf(question, sizeof question, "q%d", i);
		query_cache_put(cache, slice_cstr(question), 1, slice_of(large, 700), S(""));
	}
	assert_true(knows(cache, "q399", 1));
	for (int i = 0; i < 400; i++) {
		snprintf(question, sizeof question, "q%d", i);
		known += knows(cache, question, 1);
	}
	assert_true(known > 20 && known < 92);
	query_cache_free(cache);
	free(large);
}

/* Behind the tool. */

static int setup(void **state)
{
	fx_setup(state);
	fx.store.queries = open_cache(100, 0);
	return 0;
}

static int teardown(void **state)
{
	query_cache_free(fx.store.queries);
	return fx_teardown(state);
}

static bool was_remembered(void)
{
	return slice_eq(str("backends_used.0"), S("cache"));
}

/* The last reply without what may differ. */
static struct slice rest_of_reply(void)
{
	struct slice reply = arena_copy(&fx.arena, buffer_slice(&fx.out));
	const char *from = memmem(reply.ptr, reply.len, ",\"backend_timings\":", 19);
	const char *to = from ? memchr(from, ']', reply.len - (size_t)(from - reply.ptr)) : NULL;

	assert_non_null(to);
	return arena_printf(&fx.arena, "%.*s" SLICE_FMT, (int)(from - reply.ptr), reply.ptr,
		SLICE_ARG(slice_from(reply, (size_t)(to + 1 - reply.ptr))));
}

static void is_remembered(const char *arguments)
{
	struct slice first;

	accepted("retrieve_context", arguments);
	if (was_remembered())
		fail_msg("%s: nobody asked this yet", arguments);
	first = rest_of_reply();
	accepted("retrieve_context", arguments);
	if (!was_remembered())
		fail_msg("%s: is not remembered", arguments);
	assert_true(at("backend_timings.cache") != JSON_NONE && at("backend_timings.text") == JSON_NONE);
	assert_true(slice_eq(rest_of_reply(), first));
}

static void fill(void)
{
	accepted("store_context",
		"{\"id\":\"a\",\"type\":\"log\",\"content\":{\"text\":\"alpha beta\",\"n\":[1,2.5,null]},"
		"\"metadata\":{\"tags\":[\"t\"]},\"relationships\":[{\"type\":\"cites\",\"target\":\"b\"}]}");
	accepted("store_context", "{\"id\":\"b\",\"type\":\"design\",\"content\":{\"text\":\"alpha \\u00e9\"}}");
}

static void a_remembered_reply_is_the_former_one(void **state)
{
	fill();
	is_remembered("{\"query\":\"alpha\"}");
	is_remembered("{\"query\":\"alpha\",\"limit\":1}");
	is_remembered("{\"query\":\"alpha\",\"search_mode\":\"text\",\"explain\":true,\"include_relationships\":true}");
	is_remembered("{\"query\":\"*\",\"sort_by\":\"timestamp\"}");
	is_remembered("{\"ids\":[\"b\",\"a\",\"none\"]}");
	is_remembered("{\"query\":\"alpha\",\"filters\":{\"tags\":[\"t\"],\"metadata\":{\"x\":{\"gte\":1}}}}");
	is_remembered("{\"query\":\"nowhere\"}");
	is_remembered("{\"query\":\"alpha\",\"max_tokens\":256}");
	is_remembered("{\"query\":\"alpha\",\"exclude_sources\":[\"s\"],\"type\":\"log\",\"score_threshold\":0.5}");
}

static void each_argument_is_part_of_the_question(void **state)
{
	fill();
	accepted("retrieve_context", "{\"query\":\"alpha\",\"limit\":5}");
	accepted("retrieve_context", "{\"limit\":5,\"query\":\"alpha\",\"use_cache\":true}");
	assert_true(was_remembered());
	accepted("retrieve_context", "{\"limit\":5,\"query\":\"alpha\",\"use_cache\":false}");
	assert_false(was_remembered());
	accepted("retrieve_context", "{\"query\":\"alpha beta\",\"limit\":5}");
	assert_false(was_remembered());
	accepted("retrieve_context", "{\"query\":\"alpha\",\"limit\":5,\"type\":\"design\"}");
	assert_false(was_remembered());
	assert_int_equal(num("total_count"), 1);
	accepted("retrieve_context", "{\"query\":\"alpha\",\"limit\":5,\"filters\":{\"tags\":[\"t\"]}}");
	assert_false(was_remembered());
	assert_int_equal(num("total_count"), 1);
}

static void what_was_not_answered_is_not_remembered(void **state)
{
	fill();
	refused("retrieve_context", "{\"query\":\"alpha\",\"search_mode\":\"kv\"}", CS_VALIDATION, "kv");
	refused("retrieve_context", "{\"query\":\"alpha\",\"search_mode\":\"kv\"}", CS_VALIDATION, "kv");
	accepted("retrieve_context", "{\"query\":\"gamma\",\"use_cache\":false}");
	accepted("retrieve_context", "{\"query\":\"gamma\"}");
	assert_false(was_remembered());
}

/* Each call changes what the question is answered with, or could. */
static void any_change_is_seen_at_once(void **state)
{
	static const char question[] = "{\"query\":\"alpha\"}";
	static const struct {
		const char *tool, *arguments;
		int total;
	} changes[] = {
		{"store_context", "{\"id\":\"c\",\"type\":\"log\",\"content\":{\"text\":\"alpha\"}}", 3},
		{"store_context", "{\"id\":\"c\",\"type\":\"log\",\"content\":{\"text\":\"gamma\"}}", 2},
		{"delete_context", "{\"context_id\":\"a\",\"reason\":\"a test\"}", 1},
		{"forget_context", "{\"context_id\":\"b\",\"reason\":\"a test\",\"retention_days\":1}", 0},
		{"store_context", "{\"id\":\"a\",\"type\":\"log\",\"content\":{\"text\":\"alpha\"}}", 1},
		{"delete_context", "{\"context_id\":\"a\",\"reason\":\"a test\",\"hard_delete\":true}", 0},
	};
	struct cs_error err;

	fill();
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		accepted("retrieve_context", question);
		accepted("retrieve_context", question);
		assert_true(was_remembered());
		accepted(changes[i].tool, changes[i].arguments);
		accepted("retrieve_context", question);
		assert_false(was_remembered());
		assert_int_equal(num("total_count"), changes[i].total);
	}
	assert_int_equal(store_restore(&fx.store, &fx.op, S("b"), &err), CS_OK);
	accepted("retrieve_context", question);
	assert_int_equal(num("total_count"), 1);
	accepted("update_scratchpad", "{\"agent_id\":\"x\",\"key\":\"k\",\"content\":\"c\"}");
	accepted("retrieve_context", question);
	assert_true(was_remembered());
}

static void retention_that_ends_changes_no_answer(void **state)
{
	fill();
	accepted("forget_context", "{\"context_id\":\"b\",\"reason\":\"a test\",\"retention_days\":1}");
	accepted("retrieve_context", "{\"query\":\"alpha\"}");
	assert_int_equal(num("total_count"), 1);
	clock_shift_ms(INT64_C(86400) * 1000 + 1000);
	accepted("retrieve_context", "{\"query\":\"alpha\"}");
	assert_false(was_remembered()); /* older than it may be */
	assert_int_equal(num("total_count"), 1);
}

static void an_event_loop_answers_what_is_remembered(void **state)
{
	const struct tool_host host = {NULL, fx_acquire, NULL};
	struct json_doc doc;

	fill();
	assert_int_equal(json_parse(&fx.arena, S("{\"query\":\"alpha\"}"), JSON_LIMITS_DEFAULT, &doc, NULL), CS_OK);
	buffer_clear(&fx.out);
	fx.op.may_wait = false;
	assert_int_equal(tool_run(&host, &fx.op, tool_find(S("retrieve_context")), &doc, 0, &fx.out), CS_WOULD_WAIT);
	assert_int_equal(fx.out.len, 0);
	fx.op.may_wait = true;
	accepted("retrieve_context", "{\"query\":\"alpha\"}");
	fx.op.may_wait = false;
	accepted("retrieve_context", "{\"query\":\"alpha\"}");
	assert_true(was_remembered());
	buffer_clear(&fx.out);
	assert_int_equal(
		json_parse(&fx.arena, S("{\"query\":\"alpha\",\"use_cache\":false}"), JSON_LIMITS_DEFAULT, &doc, NULL),
		CS_OK);
	assert_int_equal(tool_run(&host, &fx.op, tool_find(S("retrieve_context")), &doc, 0, &fx.out), CS_WOULD_WAIT);
}

static int meaning_setup(void **state)
{
	fx_meaning_setup(state);
	fx.store.queries = open_cache(100, 0);
	return 0;
}

static int meaning_teardown(void **state)
{
	query_cache_free(fx.store.queries);
	return fx_meaning_teardown(state);
}

/* The model does not answer, and then it does: no commit lies between. */
static void what_may_pass_by_itself_is_not_remembered(void **state)
{
	fill();
	is_remembered("{\"query\":\"alpha\"}");
	fake_set_status(CS_TIMEOUT, 0);
	for (int i = 0; i < 2; i++) {
		accepted("retrieve_context", "{\"query\":\"beta\"}");
		assert_false(was_remembered());
		assert_says("degraded.0", "answered from text");
	}
	fake_set_status(CS_OK, 0);
	accepted("retrieve_context", "{\"query\":\"beta\"}");
	assert_str("search_mode_used", "hybrid");
	assert_false(was_remembered());
}

/* Under the thread sanitizer, too: what anybody had acknowledged is in the answer to the one question all ask. */

static atomic_int acknowledged;

static enum cs_status call_apart(
	struct op *op, const char *name, const char *arguments, struct buffer *out, struct json_doc *ret_reply)
{
	const struct tool_host host = {NULL, fx_acquire, NULL};
	struct json_doc doc;
	enum cs_status status = json_parse(op->arena, slice_cstr(arguments), JSON_LIMITS_DEFAULT, &doc, NULL);

	buffer_clear(out);
	if (status == CS_OK)
		status = tool_run(&host, op, tool_find(slice_cstr(name)), &doc, 0, out);
	return status == CS_OK ? json_parse(op->arena, buffer_slice(out), JSON_LIMITS_DEFAULT, ret_reply, NULL)
			       : status;
}

static void *store_and_ask(void *number)
{
	struct arena arena;
	struct buffer out;
	struct op op = fx.op;
	intptr_t wrong = 0;

	arena_init(&arena, NULL, 0, 64u << 20);
	buffer_init(&out, 1u << 20);
	op.arena = &arena;
	for (int i = 0; i < ROUNDS; i++) {
		struct json_doc reply;
		char arguments[128];
		int64_t total = -1;
		int least;

		arena_reset(&arena);
		snprintf(arguments, sizeof arguments,
			"{\"id\":\"w%d-%d\",\"type\":\"log\",\"content\":{\"text\":\"shared\"}}", *(int *)number, i);
		wrong += call_apart(&op, "store_context", arguments, &out, &reply) != CS_OK;
		atomic_fetch_add(&acknowledged, 1);
		for (int asked = 0; asked < 3; asked++) {
			least = atomic_load(&acknowledged);
			wrong += call_apart(&op, "retrieve_context", "{\"query\":\"shared\",\"limit\":1}", &out,
					 &reply) != CS_OK;
			wrong += !json_i64(&reply, json_get(&reply, 0, S("total_count")), &total) || total < least;
		}
	}
	buffer_release(&out);
	arena_release(&arena);
	return (void *)wrong;
}

static void what_anybody_had_acknowledged_is_in_the_answer(void **state)
{
	pthread_t threads[WRITERS];
	int numbers[WRITERS];

	atomic_store(&acknowledged, 0);
	for (int i = 0; i < WRITERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, store_and_ask, &numbers[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	accepted("retrieve_context", "{\"query\":\"shared\",\"limit\":1}");
	assert_int_equal(num("total_count"), WRITERS * ROUNDS);
}

#define TOOL_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_of_its_generation_and_age),
		cmocka_unit_test(entries_and_bytes_are_bounded),
		TOOL_TEST(a_remembered_reply_is_the_former_one),
		TOOL_TEST(each_argument_is_part_of_the_question),
		TOOL_TEST(what_was_not_answered_is_not_remembered),
		TOOL_TEST(any_change_is_seen_at_once),
		TOOL_TEST(retention_that_ends_changes_no_answer),
		TOOL_TEST(an_event_loop_answers_what_is_remembered),
		cmocka_unit_test_setup_teardown(
			what_may_pass_by_itself_is_not_remembered, meaning_setup, meaning_teardown),
		TOOL_TEST(what_anybody_had_acknowledged_is_in_the_answer),
	};

	return cmocka_run_group_tests_name("query_cache", tests, NULL, NULL);
}
