/* store_context and retrieve_context with vectors: what is stored, duplicates, and every ranking against an oracle. */
#include "../support/tool_fixture.h"

#include "../support/fake_meaning.h"
#include "store/hybrid.h"

#define COUNT 60
#define MANY  700 /* more than is looked at for a first page */

static const char *const vocabulary[] = {"apple", "pear", "plum", "stone", "river", "cloud", "paper", "glass", "wheel",
	"light", "north", "music", "bread", "table", "green", "seven"};

/* m000 and so on, three to seven words each, repeatable; a second apart unless stored together. Every tenth gets extra
 * arguments. */
static void store_these(int count, int together, const char *extra)
{
	static char text[32768];
	uint32_t x = 7;

	for (int i = 0; i < count; i += together) {
		size_t len = (size_t)snprintf(text, sizeof text, "{\"contexts\":[");

		for (int n = i; n < i + together; n++) {
			len += (size_t)snprintf(text + len, sizeof text - len,
				"%s{\"id\":\"m%03d\",\"type\":\"%s\",\"metadata\":{\"n\":%d}%s,\"content\":{\"text\":"
				"\"",
				n == i ? "" : ",", n, n % 3 ? "log" : "design", n, n % 10 == 9 ? extra : "");
			for (int word = 0; word < 3 + n % 5; word++) {
				x = x * 1664525u + 1013904223u;
				len += (size_t)snprintf(text + len, sizeof text - len, "%s ", vocabulary[x >> 28]);
			}
			len += (size_t)snprintf(text + len, sizeof text - len, "\"}}");
		}
		snprintf(text + len, sizeof text - len, "]}");
		accepted("store_context", text);
		clock_shift_ms((i + 1) * 1000);
	}
}

static void store_some(const char *extra)
{
	store_these(COUNT, 1, extra);
}

struct expected {
	struct slice id;
	double score, similarity;
	int64_t created_at;
};

static int best_first(const void *a, const void *b)
{
	const struct expected *left = a, *right = b;

	if (left->score != right->score)
		return left->score < right->score ? 1 : -1;
	if (left->similarity != right->similarity)
		return left->similarity < right->similarity ? 1 : -1;
	return slice_compare(left->id, right->id);
}

static int newest_first(const void *a, const void *b)
{
	const struct expected *left = a, *right = b;

	if (left->created_at != right->created_at)
		return left->created_at < right->created_at ? 1 : -1;
	return slice_compare(left->id, right->id);
}

/* Every context that matches, scored one by one by the definition in store/hybrid.h. */
static size_t oracle(const char *query, bool with_text, double threshold, struct expected *out)
{
	const struct context_filter all = {.date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE};
	const struct text_query words = {.text = slice_cstr(query), .filter = &all, .limit = HYBRID_TEXT_DEPTH};
	float vector[FAKE_DIMENSION];
	struct text_result found;
	struct context *contexts;
	size_t count, kept = 0;
	uint64_t total;

	fake_vector(slice_cstr(query), vector);
	assert_int_equal(fx.store.text.search(fx.store.text.self, &fx.op, &words, &found, NULL), CS_OK);
	assert_int_equal(fx.store.contexts.list(
				 fx.store.contexts.self, &fx.op, &all, 0, MANY, false, &contexts, &count, &total, NULL),
		CS_OK);
	for (size_t i = 0; i < count; i++) {
		const struct fake_row *row = naive_live(&contexts[i]);
		struct expected e = {contexts[i].id, 0, row ? naive_cosine(row, vector) : -2, contexts[i].created_at};
		double text = 0;

		for (size_t j = 0; with_text && j < found.count; j++)
			if (slice_eq(found.hits[j].id, e.id))
				text = found.hits[j].score / fmax(found.top_score, HYBRID_TEXT_FULL);
		e.score = (with_text ? HYBRID_VECTOR_WEIGHT : 1) * (e.similarity > 0 ? e.similarity : 0) +
			  (with_text ? 1 - HYBRID_VECTOR_WEIGHT : 0) * text;
		if ((row || text > 0) && e.score >= threshold)
			out[kept++] = e;
	}
	qsort(out, kept, sizeof *out, best_first);
	return kept;
}

/* All pages of a question, each in turn, are the expected list, and every page knows the total. */
static void follow(const char *arguments, const struct expected *expected, size_t count)
{
	char text[1024];
	size_t at_hit = 0;

	snprintf(text, sizeof text, "{%s}", arguments);
	for (size_t page = 0; page <= MANY; page++) {
		accepted("retrieve_context", text);
		assert_int_equal(num("total_count"), count);
		for (uint32_t hit = json_first(&fx.reply, at("results")); hit != JSON_NONE;
			hit = json_next(&fx.reply, at("results"), hit)) {
			struct slice id = S("");
			double score = -1;

			assert_true(at_hit < count);
			assert_true(json_str(&fx.reply, json_get(&fx.reply, hit, S("id")), &id));
			assert_true(json_f64(&fx.reply, json_get(&fx.reply, hit, S("score")), &score));
			if (!slice_eq(id, expected[at_hit].id) || fabs(score - expected[at_hit].score) > 1e-6)
				fail_msg("%s: hit %zu is " SLICE_FMT " %f, not " SLICE_FMT " %f", arguments, at_hit,
					SLICE_ARG(id), score, SLICE_ARG(expected[at_hit].id), expected[at_hit].score);
			at_hit++;
		}
		if (at("next_cursor") == JSON_NONE)
			break;
		snprintf(text, sizeof text, "{%s,\"cursor\":\"" SLICE_FMT "\"}", arguments,
			SLICE_ARG(str("next_cursor")));
	}
	assert_int_equal(at_hit, count);
}

#define HYBRID "\"query\":\"apple river light\",\"search_mode\":\"hybrid\""
#define VECTOR "\"query\":\"apple river light\",\"search_mode\":\"vector\""

static void pages_are_the_oracles_ranking(void **state)
{
	struct expected expected[COUNT];
	size_t count;

	store_some("");
	count = oracle("apple river light", true, 0, expected);
	assert_int_equal(count, COUNT);
	follow(HYBRID ",\"limit\":7", expected, count);
	follow(HYBRID ",\"limit\":100", expected, count);
	follow(HYBRID ",\"limit\":9,\"max_tokens\":400", expected, count);
	follow("\"query\":\"apple river light\",\"search_mode\":\"auto\",\"limit\":31", expected, count);
	count = oracle("apple river light", false, 0, expected);
	follow(VECTOR ",\"limit\":7", expected, count);
	assert_str("search_mode_used", "vector");
	assert_str("backends_used.0", "vector");
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
	accepted("retrieve_context", "{" HYBRID "}");
	assert_str("search_mode_used", "hybrid");
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
	assert_true(at("backend_timings.embed") != JSON_NONE && at("backend_timings.vector") != JSON_NONE &&
		    at("backend_timings.text") != JSON_NONE && at("backend_timings.contexts") != JSON_NONE);
}

/* Something better is stored after the first page: the next one goes on behind the hit that was the last. */
static void goes_on_amid_changes(const char *arguments, bool with_text, const char *id)
{
	struct expected expected[COUNT + 2];
	size_t count = oracle("apple river light", with_text, 0, expected);
	char text[1024];

	snprintf(text, sizeof text, "{%s,\"limit\":7}", arguments);
	accepted("retrieve_context", text);
	snprintf(text, sizeof text, "{%s,\"limit\":7,\"cursor\":\"" SLICE_FMT "\"}", arguments,
		SLICE_ARG(str("next_cursor")));
	accepted("retrieve_context", text);
	assert_true(slice_eq(str("results.0.id"), expected[7].id));
	assert_int_equal(fx.reply.nodes[at("degraded")].count, 0);
	accepted("store_context", id);
	accepted("retrieve_context", text);
	assert_int_equal(num("total_count"), count + 1);
	assert_true(slice_eq(str("results.0.id"), expected[7].id));
	assert_says("degraded.0", "contexts changed since the former page: this one goes on behind its last hit");
}

static void a_next_page_goes_on_behind_its_hit(void **state)
{
	store_some("");
	goes_on_amid_changes(
		VECTOR, false, "{\"id\":\"n1\",\"type\":\"log\",\"content\":{\"text\":\"apple river light\"}}");
	goes_on_amid_changes(
		HYBRID, true, "{\"id\":\"n2\",\"type\":\"log\",\"content\":{\"text\":\"apple river light\"}}");
}

static void a_threshold_is_exact(void **state)
{
	struct expected expected[COUNT];
	size_t hybrid, vector;

	store_some(",\"embedding\":\"later\"");
	fx_await_repair();
	hybrid = oracle("apple river light", true, 0.35, expected);
	assert_in_range(hybrid, 5, COUNT - 20);
	follow(HYBRID ",\"limit\":4,\"score_threshold\":0.35", expected, hybrid);
	vector = oracle("apple river light", false, 0.35, expected);
	assert_in_range(vector, 5, COUNT - 20);
	follow(VECTOR ",\"limit\":4,\"score_threshold\":0.35", expected, vector);
	follow(VECTOR ",\"limit\":4,\"score_threshold\":1", expected, oracle("apple river light", false, 1, expected));
}

static void dates_order_what_is_good(void **state)
{
	struct expected expected[COUNT];
	size_t count;

	store_some("");
	count = oracle("apple river light", true, 0.3, expected);
	assert_in_range(count, 5, COUNT - 10);
	qsort(expected, count, sizeof *expected, newest_first);
	follow(HYBRID ",\"limit\":4,\"score_threshold\":0.3,\"sort_by\":\"timestamp\"", expected, count);
	/* Without a threshold, half of the best score is one. */
	count = oracle("apple river light", false, 0, expected);
	count = oracle("apple river light", false, expected[0].score * HYBRID_DATE_SHARE, expected);
	assert_in_range(count, 2, COUNT - 10);
	qsort(expected, count, sizeof *expected, newest_first);
	follow(VECTOR ",\"limit\":4,\"sort_by\":\"timestamp\"", expected, count);
}

static void deep_pages_are_exact(void **state)
{
	static struct expected expected[MANY];
	size_t count;

	store_these(MANY, 100, "");
	count = oracle("apple river light", true, 0, expected);
	assert_int_equal(count, MANY);
	follow(HYBRID ",\"limit\":100", expected, count);
	follow(VECTOR ",\"limit\":90", expected, oracle("apple river light", false, 0, expected));
	count = oracle("apple river light", false, 0.01, expected);
	assert_in_range(count, HYBRID_TEXT_DEPTH + 10, MANY - 10);
	follow(VECTOR ",\"limit\":100,\"score_threshold\":0.01", expected, count);
	count = oracle("apple river light", true, 0.01, expected);
	assert_in_range(count, HYBRID_TEXT_DEPTH + 10, MANY - 10);
	follow(HYBRID ",\"limit\":100,\"score_threshold\":0.01", expected, count);
	qsort(expected, count, sizeof *expected, newest_first);
	follow(HYBRID ",\"limit\":100,\"score_threshold\":0.01,\"sort_by\":\"timestamp\"", expected, count);
}

static void what_has_no_vector_is_told(void **state)
{
	struct expected expected[COUNT];
	struct embedding_service *kept;
	size_t count;

	kept = fx.store.embedding;
	store_some("");
	fx.store.embedding = NULL;
	accepted("store_context", "{\"id\":\"m003\",\"content\":{\"text\":\"apple apple light\"},\"type\":\"log\"}");
	accepted("store_context", "{\"id\":\"m004\",\"content\":{\"text\":\"river light\"},\"type\":\"log\"}");
	accepted("store_context", "{\"id\":\"m005\",\"content\":{\"text\":\"nothing of it\"},\"type\":\"log\"}");
	fx.store.embedding = kept;
	count = oracle("apple river light", true, 0, expected);
	assert_int_equal(count, COUNT - 1);
	follow(HYBRID ",\"limit\":7", expected, count);
	assert_says("degraded.0", "vector: 3 contexts without a vector were searched by words only");
	count = oracle("apple river light", false, 0, expected);
	assert_int_equal(count, COUNT - 3);
	follow(VECTOR ",\"limit\":70", expected, count);
	assert_says("degraded.0", "vector: 3 contexts without a vector were not searched");
	count = oracle("apple river light", true, 0.25, expected);
	follow(HYBRID ",\"limit\":7,\"score_threshold\":0.25", expected, count);
}

static void filters_apply_in_both(void **state)
{
	store_some("");
	accepted("retrieve_context", "{" HYBRID ",\"type\":\"design\",\"limit\":100,\"include_relationships\":true}");
	assert_int_equal(num("total_count"), COUNT / 3);
	assert_int_equal(fx.reply.nodes[at("results")].count, COUNT / 3);
	assert_int_equal(fx.reply.nodes[at("results.0.relationships")].count, 0);
	accepted("retrieve_context", "{" VECTOR ",\"filters\":{\"metadata\":{\"n\":{\"gte\":10,\"lte\":19}}}}");
	assert_int_equal(num("total_count"), 10);
	accepted("retrieve_context", "{" HYBRID ",\"filters\":{\"status\":\"none\"}}");
	assert_int_equal(num("total_count"), 0);
}

static void explain_shows_both(void **state)
{
	double vector = 0, text = 0, score = 0;

	store_some("");
	accepted("store_context", "{\"id\":\"best\",\"content\":{\"text\":\"apple river light\"},\"type\":\"log\"}");
	accepted("retrieve_context", "{" HYBRID ",\"explain\":true,\"limit\":100}");
	assert_str("results.0.id", "best");
	assert_int_equal(num("results.0.explain.vector.rank"), 1);
	assert_int_equal(num("results.0.explain.text.rank"), 1);
	assert_true(json_f64(&fx.reply, at("results.0.explain.vector.score"), &vector) && fabs(vector - 1) < 1e-6);
	assert_true(json_f64(&fx.reply, at("results.0.explain.text.score"), &text) && text > 0);
	assert_true(json_f64(&fx.reply, at("results.0.score"), &score) &&
		    fabs(score - HYBRID_VECTOR_WEIGHT - (1 - HYBRID_VECTOR_WEIGHT) * text / HYBRID_TEXT_FULL) < 1e-6);
	assert_int_equal(json_type_of(&fx.reply, at("results.60.explain.text")), JSON_NULL);
	assert_true(num("results.60.explain.vector.rank") > 10);
	assert_int_equal(json_type_of(&fx.reply, at("results.0.explain.graph")), JSON_NULL);
}

static void a_failing_embedder_leaves_the_words(void **state)
{
	store_some("");
	fake_set_status(CS_EMBEDDING_UNAVAILABLE, 0);
	accepted("retrieve_context", "{\"query\":\"apple and wheel\"}");
	assert_str("search_mode_used", "text");
	assert_says("degraded.0", "vector: the fake fails as told; answered from text");
	refused("retrieve_context", "{\"query\":\"apple and wheel\",\"search_mode\":\"vector\"}",
		CS_EMBEDDING_UNAVAILABLE, "the fake fails");
	accepted("store_context", "{\"content\":{\"text\":\"apple now\"},\"type\":\"log\"}");
	assert_str("embedding_status", "failed");
	accepted("retrieve_context", "{\"query\":\"now\"}");
	assert_int_equal(num("total_count"), 1);
}

static void what_is_stored_is_found_by_meaning_at_once(void **state)
{
	accepted("store_context", "{\"id\":\"a\",\"content\":{\"text\":\"the cat sat\"},\"type\":\"log\"}");
	assert_str("embedding_status", "completed");
	assert_str("vector_id", "a");
	assert_str("backend_status.vector", "ok");
	assert_str("message", "stored");
	accepted("retrieve_context", "{\"query\":\"the cat sat\",\"search_mode\":\"vector\"}");
	assert_str("results.0.id", "a");
	accepted("store_context", "{\"id\":\"a\",\"content\":{\"text\":\"dogs bark loudly\"},\"type\":\"log\"}");
	assert_int_equal(num("version"), 2);
	accepted("retrieve_context",
		"{\"query\":\"dogs bark loudly\",\"search_mode\":\"vector\",\"score_threshold\":0.9}");
	assert_int_equal(num("total_count"), 1);
	fake.calls = 0;
	accepted("store_context",
		"{\"contexts\":[{\"id\":\"b\",\"content\":{\"text\":\"one two\"},\"type\":\"log\"},{\"id\":\"c\","
		"\"content\":{\"text\":\"BAD\"},\"type\":\"log\"},{\"id\":\"d\",\"content\":{\"text\":\"later\"},"
		"\"type\":\"log\",\"embedding\":\"later\"}]}");
	assert_int_equal(num("stored"), 3);
	assert_str("results.0.embedding_status", "completed");
	assert_str("results.1.embedding_status", "failed");
	assert_says("results.1.message", "stored; it has no vector: a text the fake cannot read");
	assert_str("results.2.embedding_status", "pending");
	fx_await_repair();
	assert_int_equal(naive_count().without, 1);
}

#define STORE(id, more, text) "{\"id\":\"" id "\",\"type\":\"log\"" more ",\"content\":{\"text\":\"" text "\"}}"
#define SKIP                  ",\"on_duplicate\":\"skip\""

/* More of another type are nearly equal than are looked at. */
static void a_near_duplicate_is_found_among_many_of_another_type(void **state)
{
	char arguments[160];

	for (int i = 0; i < 140; i++) {
		snprintf(arguments, sizeof arguments,
			"{\"id\":\"d%d\",\"type\":\"design\",\"content\":{\"text\":\"one same thing\"}}", i);
		accepted("store_context", arguments);
	}
	accepted("store_context", "{\"id\":\"l\",\"type\":\"log\",\"content\":{\"text\":\"one same thing\"}}");
	accepted("store_context", "{\"id\":\"new\",\"type\":\"log\",\"content\":{\"text\":\"One same thing!\"}}");
	assert_str("duplicate_of", "l");
}

/* More of its own kind, all at similarity 1, stand before it than are looked at. */
static void the_same_content_is_found_among_many_of_other_facts(void **state)
{
	char arguments[160];

	for (int i = 0; i < 140; i++) {
		snprintf(arguments, sizeof arguments,
			"{\"id\":\"d%d\",\"type\":\"log\",\"content\":{\"text\":\"one same thing\",\"value\":%d}}", i,
			i);
		accepted("store_context", arguments);
	}
	accepted("store_context",
		"{\"id\":\"last\",\"type\":\"log\",\"content\":{\"text\":\"one same thing\",\"value\":-1}}");
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	accepted("store_context", "{\"type\":\"log\"" SKIP ",\"content\":{\"text\":\"one same thing\",\"value\":-1}}");
	assert_str("duplicate_of", "last");
	assert_str("vector_id", "last");
	assert_str("embedding_status", "completed");
	assert_int_equal(naive.rough, 141); /* these tie; none need be put in order */
}

static void near_duplicates_are_told(void **state)
{
	accepted("store_context", STORE("x", "", "The server listens on port 8080, always."));
	accepted("store_context", STORE("y", "", "the server LISTENS on port 8080 always"));
	assert_str("duplicate_of", "x");
	assert_int_equal(num("version"), 1);
	accepted("store_context", STORE("z", SKIP, "the server listens on port 8080... always"));
	assert_int_equal(json_type_of(&fx.reply, at("version")), JSON_NULL);
	assert_str("id", "x");
	assert_str("duplicate_of", "x");
	assert_str("vector_id", "x");
	assert_says("message", "nearly the same content");
	/* An exact one goes first. */
	accepted("store_context", STORE("w", SKIP, "the server LISTENS on port 8080 always"));
	assert_str("duplicate_of", "y");
	assert_says("message", "not stored again: the same content");
	/* What replaces itself is no duplicate of itself, and neither are other types, namespaces and other things. */
	accepted("store_context",
		STORE("n", ",\"metadata\":{\"namespace\":\"q\"}", "the server listens on port 8080 always"));
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	accepted("store_context",
		"{\"id\":\"t\",\"type\":\"design\",\"content\":{\"text\":\"the server listens on port 8080 always\"}}");
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	accepted("store_context",
		STORE("n", ",\"metadata\":{\"namespace\":\"q\"}", "the server listens on port 8080, always"));
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	accepted("store_context", STORE("o", "", "bread and music in the north"));
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
}

/* The words are the same to the last one; the number is what the context says. */
static void other_numbers_and_denials_are_other_facts(void **state)
{
	accepted("store_context",
		"{\"id\":\"a\",\"type\":\"log\",\"content\":{\"text\":\"each call to the other side is tried again "
		"after a pause that doubles until the retry limit is reached or the caller has gone\",\"value\":5}}");
	accepted("store_context",
		"{\"id\":\"b\",\"type\":\"log\"" SKIP
		",\"content\":{\"text\":\"each call to the other side is tried again after a pause that doubles until "
		"the retry limit is reached or the caller has gone\",\"value\":6}}");
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	assert_int_equal(num("version"), 1);
	accepted("store_context",
		"{\"type\":\"log\"" SKIP
		",\"content\":{\"text\":\"Each call to the other side is tried again after a pause that doubles until "
		"the retry limit is reached or the caller has gone\",\"value\":5,\"id\":\"c77\"}}");
	assert_str("duplicate_of", "a");
	/* Nor what says the contrary. */
	accepted("store_context",
		"{\"id\":\"d\",\"type\":\"log\"" SKIP
		",\"content\":{\"text\":\"each call to the other side is never tried again after a pause that doubles "
		"until the retry limit is reached or the caller has gone\",\"value\":5}}");
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	assert_int_equal(num("version"), 1);
	accepted("store_context",
		"{\"id\":\"e\",\"type\":\"log\"" SKIP
		",\"content\":{\"text\":\"each call to the other side is often tried again after a pause that doubles "
		"until the retry limit is reached or the caller has gone\",\"value\":5}}");
	assert_str("duplicate_of", "a");
	accepted("store_context",
		"{\"contexts\":[{\"id\":\"p\",\"type\":\"log\",\"content\":{\"text\":\"one more thing\"}},"
		"{\"id\":\"q\",\"type\":\"log\"" SKIP ",\"content\":{\"text\":\"One more thing!\"}}]}");
	assert_str("results.1.duplicate_of", "p");
	assert_int_equal(num("results.1.version"), 1);
}

/* b is near a alone, and a is near what is stored. */
static void what_is_skipped_is_nobodys_duplicate(void **state)
{
	accepted("store_context", STORE("x", "", "apple apple apple apple apple"));
	accepted("store_context", "{\"contexts\":[" STORE("a", SKIP, "apple apple apple apple apple pear") "," STORE(
					  "b", "", "apple apple apple apple apple pear pear") "," STORE("c", "",
					  "apple apple apple apple apple pear pear!") "]}");
	assert_str("results.0.duplicate_of", "x");
	assert_int_equal(json_type_of(&fx.reply, at("results.0.version")), JSON_NULL);
	assert_int_equal(num("results.1.version"), 1);
	assert_int_equal(json_type_of(&fx.reply, at("results.1.duplicate_of")), JSON_NULL);
	assert_str("results.2.duplicate_of", "b");
}

#define T(function) cmocka_unit_test_setup_teardown(function, fx_meaning_setup, fx_meaning_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pages_are_the_oracles_ranking),
		T(a_next_page_goes_on_behind_its_hit),
		T(a_threshold_is_exact),
		T(dates_order_what_is_good),
		T(deep_pages_are_exact),
		T(what_has_no_vector_is_told),
		T(filters_apply_in_both),
		T(explain_shows_both),
		T(a_failing_embedder_leaves_the_words),
		T(what_is_stored_is_found_by_meaning_at_once),
		T(near_duplicates_are_told),
		T(a_near_duplicate_is_found_among_many_of_another_type),
		T(the_same_content_is_found_among_many_of_other_facts),
		T(other_numbers_and_denials_are_other_facts),
		T(what_is_skipped_is_nobodys_duplicate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
