/* retrieve_context, over the engine: ranking, filters, thresholds, pages, budgets. */
#include "../support/tool_fixture.h"

#include "store/cursor.h"

#define COUNT 40

/* c00 to c39: each says "apple" once, and the later ones amid more other words, so that scores fall. */
static void store_many(void)
{
	static char text[4096];

	for (int i = 0; i < COUNT; i++) {
		int len = snprintf(text, sizeof text,
			"{\"id\":\"c%02d\",\"type\":\"%s\",\"metadata\":{\"source\":\"%s\",\"tags\":[\"all\",\"t%d\"],"
			"\"n\":%d,\"status\":\"open\"},"
			"\"content\":{\"text\":\"apple",
			i, i % 2 ? "log" : "design", i % 5 ? "code" : "test_data", i % 4, i);

		for (int word = 0; word < i; word++)
			len += snprintf(text + len, sizeof text - (size_t)len, " w%dx%d", i, word);
		snprintf(text + len, sizeof text - (size_t)len, "\"}}");
		accepted("store_context", text);
		clock_shift_ms((i + 1) * 1000);
	}
}

static void the_best_hit_has_score_one(void **state)
{
	double first, second;

	store_many();
	accepted("retrieve_context", "{\"query\":\"apple\",\"explain\":true}");
	assert_int_equal(num("total_count"), COUNT);
	assert_int_equal(fx.reply.nodes[at("results")].count, 10);
	assert_str("results.0.id", "c00");
	assert_true(json_f64(&fx.reply, at("results.0.score"), &first) &&
		    json_f64(&fx.reply, at("results.1.score"), &second));
	assert_true(first == 1 && second < 1 && second > 0);
	assert_str("search_mode_used", "text");
	assert_str("backends_used.0", "text");
	assert_says("degraded.0", "vector: no embedding model is set up; `context-store model pull`");
	assert_str("results.0.source", "test_data");
	assert_str("results.0.type", "design");
	assert_int_equal(num("results.3.explain.text.rank"), 4);
	assert_false(is_true("truncated"));
	assert_int_equal(at("results.0.relationships"), JSON_NONE);
	accepted("retrieve_context", "{\"query\":\"apple\",\"search_mode\":\"text\"}");
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
}

/* Follows cursors to the end; true if every id came once, `expected` in all. */
static void follow(const char *arguments, int expected)
{
	bool seen[COUNT] = {false};
	char text[2048];
	int count = 0;

	snprintf(text, sizeof text, "{%s}", arguments);
	for (int page = 0; page <= COUNT; page++) {
		accepted("retrieve_context", text);
		assert_int_equal(num("total_count"), expected);
		for (uint32_t hit = json_first(&fx.reply, at("results")); hit != JSON_NONE;
			hit = json_next(&fx.reply, at("results"), hit)) {
			struct slice id = S("");
			int n;

			assert_true(json_str(&fx.reply, json_get(&fx.reply, hit, S("id")), &id));
			n = (id.ptr[1] - '0') * 10 + id.ptr[2] - '0';
			assert_false(seen[n]);
			seen[n] = true;
			count++;
		}
		if (at("next_cursor") == JSON_NONE)
			break;
		snprintf(text, sizeof text, "{%s,\"cursor\":\"" SLICE_FMT "\"}", arguments,
			SLICE_ARG(str("next_cursor")));
	}
	assert_int_equal(count, expected);
}

static void pages_are_full_and_whole(void **state)
{
	store_many();
	follow("\"query\":\"apple\",\"limit\":7", COUNT);
	follow("\"query\":\"apple\",\"limit\":7,\"sort_by\":\"timestamp\"", COUNT);
	follow("\"query\":\"*\",\"limit\":9", COUNT);
	follow("\"query\":\"*\",\"limit\":9,\"type\":\"log\"", COUNT / 2);
	follow("\"query\":\"apple\",\"max_tokens\":400,\"limit\":30", COUNT);
	follow("\"query\":\"apple\",\"exclude_sources\":[\"test_data\"],\"limit\":3", COUNT - 8);
}

static void a_threshold_counts(void **state)
{
	int expected = 0;
	char text[64];

	store_many();
	accepted("retrieve_context", "{\"query\":\"apple\",\"limit\":100}");
	for (int i = 0; i < COUNT; i++) {
		double score;

		snprintf(text, sizeof text, "results.%d.score", i);
		assert_true(json_f64(&fx.reply, at(text), &score));
		expected += score >= 0.6;
	}
	assert_in_range(expected, 8, COUNT - 4);
	follow("\"query\":\"apple\",\"score_threshold\":0.6,\"limit\":3", expected);
	follow("\"query\":\"apple\",\"score_threshold\":0.6,\"limit\":100", expected);
	follow("\"query\":\"apple\",\"score_threshold\":0.6,\"limit\":3,\"sort_by\":\"timestamp\"", expected);
	follow("\"query\":\"apple\",\"score_threshold\":1", 1);
	follow("\"query\":\"apple\",\"score_threshold\":0", COUNT);
}

static void filters_apply_before_the_search(void **state)
{
	store_many();
	follow("\"query\":\"apple\",\"filters\":{\"tags\":[\"all\",\"t3\"]},\"limit\":4", COUNT / 4);
	follow("\"query\":\"apple\",\"filters\":{\"metadata\":{\"n\":{\"gte\":10,\"lte\":19}}},\"limit\":4", 10);
	follow("\"query\":\"apple\",\"filters\":{\"metadata\":{\"n\":[1,2.0,3,400]}}", 3);
	follow("\"query\":\"apple\",\"filters\":{\"metadata\":{\"source\":\"test_data\"},\"status\":\"open\"}", 8);
	follow("\"query\":\"apple\",\"filters\":{\"status\":\"closed\"}", 0);
	follow("\"query\":\"apple\",\"filters\":{\"date_from\":\"2020-01-01\",\"date_to\":\"2020-12-31\"}", 0);
	follow("\"query\":\"apple\",\"filters\":{\"date_from\":\"2020-01-01T00:00:00Z\"},\"limit\":100", COUNT);
	refused("retrieve_context", "{\"query\":\"a\",\"filters\":{\"date_from\":\"soon\"}}", CS_VALIDATION,
		"filters.date_from");
	refused("retrieve_context", "{\"query\":\"a\",\"filters\":{\"metadata\":{\"n\":{\"gt\":1}}}}", CS_VALIDATION,
		"filters.metadata.n must be");
	refused("retrieve_context", "{\"query\":\"a\",\"filters\":{\"metadata\":{\"n\":[]}}}", CS_VALIDATION,
		"filters.metadata.n must be");
	refused("retrieve_context", "{\"query\":\"a\",\"filters\":{\"tag\":[\"x\"]}}", CS_VALIDATION,
		"filters.tag is not known; did you mean tags?");
}

/* Between ranking and loading the best hit is closed, or whichever there is, as often as `closings` says. */
static struct context_port real_contexts;
static int closings, closed;

static enum cs_status get_after_a_change(void *self, struct op *op, const struct slice *ids, size_t count,
	const struct context_filter *filter, bool with_relations, struct context **ret_contexts, size_t *ret_count,
	struct cs_error *err)
{
	struct context_put put = {.context = {.id = ids[0],
					  .type = S("log"),
					  .content = S("{}"),
					  .metadata = S("{\"status\":\"done\"}"),
					  .status = S("done"),
					  .words = S("apple")},
		.if_version = CONTEXT_VERSION_ANY};
	struct context_put_result result;

	if (closed < closings && count > 0) {
		assert_int_equal(real_contexts.put(self, op, &put, 1, &result, err), CS_OK);
		closed++;
	}
	return real_contexts.get(self, op, ids, count, filter, with_relations, ret_contexts, ret_count, err);
}

static void what_changes_under_a_search_is_ranked_again(void **state)
{
	store_many();
	real_contexts = fx.store.contexts;
	fx.store.contexts.get = get_after_a_change;
	closed = 0;
	closings = 2;
	accepted("retrieve_context",
		"{\"query\":\"apple\",\"search_mode\":\"text\",\"filters\":{\"status\":\"open\"},\"limit\":10}");
	assert_int_equal(fx.reply.nodes[at("results")].count, 10);
	assert_str("results.0.id", "c02");
	assert_int_equal(num("total_count"), COUNT - 2);
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
	closings = 100;
	accepted("retrieve_context",
		"{\"query\":\"apple\",\"search_mode\":\"text\",\"filters\":{\"status\":\"open\"},\"limit\":10}");
	assert_int_equal(fx.reply.nodes[at("results")].count, 9);
	assert_says("degraded.0", "contexts changed while they were read: 1");
	fx.store.contexts = real_contexts;
}

static void newest_first_when_asked(void **state)
{
	store_many();
	accepted("retrieve_context", "{\"query\":\"apple\",\"sort_by\":\"timestamp\",\"explain\":true}");
	assert_str("results.0.id", "c39");
	assert_int_equal(num("results.1.explain.recency.rank"), 2);
	accepted("retrieve_context", "{\"query\":\"*\",\"type\":\"design\"}");
	assert_str("results.0.id", "c38");
	assert_str("search_mode_used", "list");
}

static void ids_are_read_in_their_order(void **state)
{
	store_many();
	accepted("retrieve_context", "{\"ids\":[\"c07\",\"missing\",\"c03\",\"c07\"]}");
	assert_int_equal(num("total_count"), 2);
	assert_str("results.0.id", "c07");
	assert_str("results.1.id", "c03");
	assert_str("search_mode_used", "ids");
	assert_str("message", "2 shown, 2 of 3 ids found");
	assert_int_equal(at("next_cursor"), JSON_NONE);
	assert_int_equal(fx.reply.nodes[at("not_found")].count, 1);
	assert_str("not_found.0", "missing");
	accepted("retrieve_context", "{\"ids\":[\"c07\"]}");
	assert_int_equal(at("not_found"), JSON_NONE);
}

static void a_limit_pages_ids(void **state)
{
	char text[4096];
	int len = snprintf(text, sizeof text, "\"ids\":[\"none\"");

	store_many();
	for (int i = 0; i < 30; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, ",\"c%02d\",\"none%d\"", i, i);
	snprintf(text + len, sizeof text - (size_t)len, "],\"limit\":7");
	follow(text, 30);
	snprintf(text + len, sizeof text - (size_t)len, "],\"limit\":30");
	follow(text, 30);
	assert_int_equal(at("next_cursor"), JSON_NONE);
	/* All at once where no limit is named, however many. */
	snprintf(text + len, sizeof text - (size_t)len, "]");
	follow(text, 30);
	assert_int_equal(fx.reply.nodes[at("results")].count, 30);
	assert_int_equal(fx.reply.nodes[at("not_found")].count, 31);
}

static void ids_exclude_what_searches(void **state)
{
	static const struct {
		const char *argument, *name;
	} cases[] = {
		{"\"type\":\"log\"", "type"},
		{"\"filters\":{\"tags\":[\"all\"]}", "filters"},
		{"\"filters\":{\"status\":\"open\"}", "filters"},
		{"\"filters\":{\"agent_id\":\"a\"}", "filters"},
		{"\"filters\":{\"namespace\":\"n\"}", "filters"},
		{"\"filters\":{\"date_from\":\"2020-01-01\"}", "filters"},
		{"\"filters\":{\"date_to\":\"2020-01-01\"}", "filters"},
		{"\"filters\":{\"metadata\":{\"n\":1}}", "filters"},
		{"\"score_threshold\":0.1", "score_threshold"},
		{"\"exclude_sources\":[\"code\"]", "exclude_sources"},
	};
	char text[256], expected[256];

	store_many();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(text, sizeof text, "{\"ids\":[\"c07\"],%s}", cases[i].argument);
		snprintf(expected, sizeof expected, "%s cannot be combined with ids", cases[i].name);
		refused("retrieve_context", text, CS_VALIDATION, expected);
	}
	refused("retrieve_context", "{\"ids\":[\"c07\"],\"type\":\"log\",\"filters\":{\"tags\":[\"all\"]}}",
		CS_VALIDATION, "type, filters cannot be combined with ids");
	accepted("retrieve_context",
		"{\"ids\":[\"c07\"],\"query\":\"apple\",\"search_mode\":\"kv\",\"sort_by\":\"timestamp\"}");
	assert_str("results.0.id", "c07");
	assert_says("message", "1 of 1 ids found; not used beside ids: query, search_mode, sort_by");
	/* Clients that spell out every default, or fill what they were not given with something empty. */
	accepted("retrieve_context",
		"{\"ids\":[\"c07\",\"c03\"],\"query\":\"\",\"type\":\"all\",\"search_mode\":\"hybrid\",\"limit\":10,"
		"\"filters\":{\"tags\":[],\"metadata\":{},\"status\":null},\"score_threshold\":0,"
		"\"include_relationships\":false,\"sort_by\":\"relevance\",\"exclude_sources\":[],\"cursor\":null,"
		"\"use_cache\":true,\"explain\":false}");
	assert_int_equal(fx.reply.nodes[at("results")].count, 2);
	accepted("retrieve_context", "{\"ids\":[\"c07\"],\"search_mode\":\"auto\",\"filters\":{},\"explain\":true}");
}

static void unknown_ids_keep_to_the_budget(void **state)
{
	static char text[32000];
	int len = snprintf(text, sizeof text, "{\"max_tokens\":256,\"ids\":[\"c00\"");

	store_many();
	for (int i = 0; i < 99; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, ",\"%0200d\"", i);
	snprintf(text + len, sizeof text - (size_t)len, "]}");
	accepted("retrieve_context", text);
	assert_true(is_true("truncated"));
	assert_in_range(fx.out.len, 300, 1024);
	assert_str("results.0.id", "c00");
	assert_says("message", "1 of 100 ids found");
}

static void a_budget_is_kept(void **state)
{
	static char text[20000];
	int head = snprintf(text, sizeof text, "{\"type\":\"log\",\"id\":\"big\",\"content\":{\"text\":\"pear \\\"");

	store_many();
	accepted("retrieve_context", "{\"query\":\"apple\",\"limit\":30,\"max_tokens\":1000}");
	assert_true(is_true("truncated"));
	assert_in_range(fx.out.len, 2500, 4000);
	assert_true(at("next_cursor") != JSON_NONE);
	for (int i = 0; i < 5000; i++)
		head += snprintf(text + head, sizeof text - (size_t)head, "%s", i % 2 ? "\xC3\xBC" : "x");
	snprintf(text + head, sizeof text - (size_t)head, "\"}}");
	accepted("store_context", text);
	accepted("retrieve_context", "{\"query\":\"pear\",\"max_tokens\":300}");
	assert_true(is_true("results.0.content_truncated"));
	assert_says("results.0.content.excerpt", "pear");
	assert_in_range(fx.out.len, 500, 1200);
	assert_int_equal(at("next_cursor"), JSON_NONE);
	assert_true(is_true("truncated"));
}

static void cursors_belong_to_their_question(void **state)
{
	char text[1024], cursor[512];

	store_many();
	accepted("retrieve_context", "{\"query\":\"apple\",\"limit\":5}");
	snprintf(cursor, sizeof cursor, SLICE_FMT, SLICE_ARG(str("next_cursor")));
	snprintf(text, sizeof text, "{\"query\":\"apple\",\"limit\":8,\"explain\":true,\"cursor\":\"%s\"}", cursor);
	accepted("retrieve_context", text);
	assert_int_equal(num("results.0.explain.text.rank"), 6);
	snprintf(text, sizeof text, "{\"query\":\"apples\",\"cursor\":\"%s\"}", cursor);
	refused("retrieve_context", text, CS_VALIDATION, "another question");
	snprintf(text, sizeof text, "{\"query\":\"apple\",\"type\":\"log\",\"cursor\":\"%s\"}", cursor);
	refused("retrieve_context", text, CS_VALIDATION, "another question");
	snprintf(
		text, sizeof text, "{\"query\":\"apple\",\"filters\":{\"status\":\"open\"},\"cursor\":\"%s\"}", cursor);
	refused("retrieve_context", text, CS_VALIDATION, "another question");
	cursor[3] = cursor[3] == 'A' ? 'B' : 'A';
	snprintf(text, sizeof text, "{\"query\":\"apple\",\"cursor\":\"%s\"}", cursor);
	refused("retrieve_context", text, CS_VALIDATION, "damaged");
}

/* What stands on a page: each of the COUNT ids at most once over all pages. */
static void see(bool seen[COUNT])
{
	for (uint32_t hit = json_first(&fx.reply, at("results")); hit != JSON_NONE;
		hit = json_next(&fx.reply, at("results"), hit)) {
		struct slice id = S("");
		int n;

		assert_true(json_str(&fx.reply, json_get(&fx.reply, hit, S("id")), &id));
		if (id.ptr[0] != 'c')
			continue; /* stored on the way */
		n = (id.ptr[1] - '0') * 10 + id.ptr[2] - '0';
		if (seen[n])
			fail_msg("c%02d stands on two pages", n);
		seen[n] = true;
	}
}

static char kept_cursor[CURSOR_SIZE_MAX + 1];

/* Of the last reply; false: there is none. */
static bool keep_cursor(void)
{
	if (at("next_cursor") == JSON_NONE)
		return false;
	snprintf(kept_cursor, sizeof kept_cursor, SLICE_FMT, SLICE_ARG(str("next_cursor")));
	return true;
}

static void next_page(const char *arguments)
{
	char text[1024];

	snprintf(text, sizeof text, "{%s,\"cursor\":\"%s\"}", arguments, kept_cursor);
	accepted("retrieve_context", text);
}

static void first_page(const char *arguments)
{
	char text[1024];

	snprintf(text, sizeof text, "{%s}", arguments);
	accepted("retrieve_context", text);
	assert_true(keep_cursor());
}

static void remove_one(struct slice id)
{
	char text[512];

	snprintf(text, sizeof text, "{\"context_id\":\"" SLICE_FMT "\",\"reason\":\"no longer true\"}", SLICE_ARG(id));
	accepted("delete_context", text);
}

static void store_apple(int number, int others)
{
	static char text[8192];
	int len =
		snprintf(text, sizeof text, "{\"id\":\"new%d\",\"type\":\"log\",\"content\":{\"text\":\"apple", number);

	for (int i = 0; i < others; i++)
		len += snprintf(text + len, sizeof text - (size_t)len, " n%dx%d", number, i);
	snprintf(text + len, sizeof text - (size_t)len, "\"}}");
	accepted("store_context", text);
}

/* Between any two pages contexts are stored ahead of the place and one that was seen is removed. */
static void pages_amid_changes(const char *arguments, int ahead, bool lasting)
{
	bool seen[COUNT] = {false};
	int stored = 0, removed = 0;

	store_many();
	first_page(arguments);
	see(seen);
	while (keep_cursor()) {
		struct slice first = arena_copy(&fx.arena, str("results.0.id"));

		for (int i = 0; i < ahead; i++)
			store_apple(stored++, 0);
		remove_one(first);
		removed++;
		next_page(arguments);
		see(seen);
		assert_int_equal(num("total_count"), COUNT + stored - removed);
		if (lasting)
			assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
		else
			assert_says("degraded.0", "contexts changed since the former page: this one goes on");
	}
	for (int i = 0; i < COUNT; i++)
		if (!seen[i])
			fail_msg("c%02d stands on no page", i);
}

static void a_list_goes_on_where_it_was(void **state)
{
	pages_amid_changes("\"query\":\"*\",\"limit\":7", 3, true);
}

static void a_search_by_date_goes_on_where_it_was(void **state)
{
	pages_amid_changes(
		"\"query\":\"apple\",\"search_mode\":\"text\",\"sort_by\":\"timestamp\",\"limit\":4", 2, true);
}

static void a_search_by_words_goes_on_and_tells(void **state)
{
	pages_amid_changes("\"query\":\"apple\",\"search_mode\":\"text\",\"limit\":7", 2, false);
}

static void unchanged_contexts_are_not_said_to_have_changed(void **state)
{
	static const char arguments[] = "\"query\":\"apple\",\"search_mode\":\"text\",\"limit\":7";

	store_many();
	first_page(arguments);
	accepted("update_scratchpad", "{\"agent_id\":\"a\",\"key\":\"k\",\"content\":\"x\"}");
	next_page(arguments);
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
	assert_str("results.0.id", "c07");
}

/* Before a list is read a context is stored that stands before all, as often as `closings` says. */
static enum cs_status list_after_a_change(void *self, struct op *op, const struct context_filter *filter, size_t offset,
	size_t limit, bool with_relations, struct context **ret_contexts, size_t *ret_count, uint64_t *ret_total,
	struct cs_error *err)
{
	struct context_put put = {.context = {.type = S("log"), .content = S("{}"), .metadata = S("{}")},
		.if_version = CONTEXT_VERSION_ANY};
	struct context_put_result result;
	char id[24];

	if (closed < closings) {
		snprintf(id, sizeof id, "during%d", closed++);
		put.context.id = slice_cstr(id);
		assert_int_equal(real_contexts.put(self, op, &put, 1, &result, err), CS_OK);
	}
	return real_contexts.list(
		self, op, filter, offset, limit, with_relations, ret_contexts, ret_count, ret_total, err);
}

/* As long as a commit that readers see already has no number. */
static uint64_t same_generation(void *self)
{
	return 7;
}

static void what_comes_while_a_page_is_read_shifts_nothing(void **state)
{
	static const char arguments[] = "\"query\":\"*\",\"limit\":5";

	store_many();
	real_contexts = fx.store.contexts;
	fx.store.contexts.list = list_after_a_change;
	fx.store.contexts.generation = same_generation;
	closed = closings = 0;
	first_page(arguments);
	assert_str("results.4.id", "c35");
	closings = 3; /* before the page, before its place is looked for again, and before the page there */
	next_page(arguments);
	assert_int_equal(closed, closings);
	assert_str("results.0.id", "c34");
	assert_str("results.4.id", "c30");
	assert_int_equal(fx.reply.nodes[at("results")].count, 5);
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
	closings = 100;
	next_page(arguments);
	assert_says("degraded.0", "contexts changed while this page was read");
	fx.store.contexts = real_contexts;
}

static void a_place_that_is_gone_is_told(void **state)
{
	static const char arguments[] = "\"query\":\"*\",\"limit\":7";

	store_many();
	first_page(arguments);
	assert_str("results.6.id", "c33");
	remove_one(S("c33"));
	next_page(arguments);
	assert_says("degraded.0", "its last hit is not near its place any more");
	assert_int_equal(fx.reply.nodes[at("results")].count, 7);
	/* Farther than is looked. */
	first_page(arguments);
	for (int i = 0; i < 100; i++)
		store_apple(i, 0);
	next_page(arguments);
	assert_says("degraded.0", "its last hit is not near its place any more");
}

/* Another process, or this one after a restart, counts from elsewhere. */
static void a_cursor_outlives_a_restart(void **state)
{
	static const char arguments[] = "\"query\":\"*\",\"limit\":7";
	struct cs_error err;

	store_many();
	first_page(arguments);
	store_apple(0, 0);
	engine_close(fx.engine);
	assert_int_equal(engine_open(slice_cstr(fx.dir), &fx.engine, &err), CS_OK);
	fx.store.contexts = engine_contexts(fx.engine);
	fx.store.text = engine_text(fx.engine);
	fx.store.kv = engine_kv(fx.engine);
	for (int i = 0; i < COUNT; i++) /* as many commits as there were at the first page */
		store_apple(i % 5, i);
	next_page(arguments);
	assert_str("results.0.id", "c32");
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
}

static void what_cannot_be_asked_is_refused(void **state)
{
	refused("retrieve_context", "{\"query\":\"a\",\"search_mode\":\"vector\"}", CS_EMBEDDING_UNAVAILABLE,
		"context-store model pull");
	refused("retrieve_context", "{\"query\":\"a\",\"search_mode\":\"graph\"}", CS_VALIDATION,
		"graph does not exist yet; modes that do: text, vector, hybrid, auto");
	refused("retrieve_context", "{\"query\":\"a\",\"search_mode\":\"kv\"}", CS_VALIDATION, "get_agent_state");
	refused("retrieve_context", "{\"query\":\"a\",\"search_mode\":\"magic\"}", CS_VALIDATION,
		"search_mode must be one of");
	refused("retrieve_context", "{}", CS_MISSING_PARAMETER, "query");
	refused("retrieve_context", "{\"query\":\"a\",\"type\":\"idea\"}", CS_VALIDATION, "type must be one of");
	refused("retrieve_context", "{\"query\":\"a\",\"limit\":0,\"score_threshold\":1.5}", CS_VALIDATION,
		"limit must be a whole number from 1 to 100, not 0; score_threshold must be a number from 0 to 1, not "
		"1.5");
	refused("retrieve_context", "{\"query\":\"a\",\"ids\":[]}", CS_VALIDATION, "ids");
	refused("retrieve_context", "{\"query\":\"\"}", CS_VALIDATION, "query is required and may not be empty");
	accepted("retrieve_context", "{\"query\":\"!?\"}");
	assert_int_equal(num("total_count"), 0);
	assert_says("message", "no word");
}

#define T(function) cmocka_unit_test_setup_teardown(function, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_best_hit_has_score_one),
		T(pages_are_full_and_whole),
		T(a_threshold_counts),
		T(filters_apply_before_the_search),
		T(what_changes_under_a_search_is_ranked_again),
		T(newest_first_when_asked),
		T(ids_are_read_in_their_order),
		T(a_limit_pages_ids),
		T(ids_exclude_what_searches),
		T(unknown_ids_keep_to_the_budget),
		T(a_budget_is_kept),
		T(cursors_belong_to_their_question),
		T(a_list_goes_on_where_it_was),
		T(a_search_by_date_goes_on_where_it_was),
		T(a_search_by_words_goes_on_and_tells),
		T(unchanged_contexts_are_not_said_to_have_changed),
		T(what_comes_while_a_page_is_read_shifts_nothing),
		T(a_place_that_is_gone_is_told),
		T(a_cursor_outlives_a_restart),
		T(what_cannot_be_asked_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
