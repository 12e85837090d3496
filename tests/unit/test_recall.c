/* Questions that share few words with their answers (tests/data/paraphrases.jsonl), over the real engine and the real
 * model: the answer is among the first five more often by both ways of searching than by either alone.
 *
 * The model lies in the directory CONTEXT_STORE_TEST_MODEL names (default build/models/all-MiniLM-L6-v2); without it the
 * test is skipped. CONTEXT_STORE_RECALL_REPORT=1 prints the rank of each answer that is not first. */
#include "../support/tool_fixture.h"

#include "engine/embedder.h"
#include "store/embedding.h"

#define PAIRS_FILE    "tests/data/paraphrases.jsonl"
#define PAIRS_MAX     200
#define PAIRS_MIN     60
#define TOP           5
#define RECALL_FLOOR  0.9 /* of hybrid: far below what is measured, far above what a mixed-up index gives */
#define DEFAULT_MODEL "build/models/all-MiniLM-L6-v2"

static struct embedder *embedder;
static struct json_doc pairs[PAIRS_MAX];
static size_t pair_count;

static bool there_is_a_model(char *path, size_t size)
{
	const char *directory = getenv("CONTEXT_STORE_TEST_MODEL");
	char weights[4096 + 32], *absolute;
	bool there;

	absolute = realpath(directory ? directory : DEFAULT_MODEL, NULL);
	if (!absolute)
		return false;
	snprintf(path, size, "%s", absolute);
	free(absolute);
	snprintf(weights, sizeof weights, "%s/model.safetensors", path);
	there = access(weights, R_OK) == 0;
	return there;
}

static int setup(void **state)
{
	static char directory[4096];
	struct embedding_options options = {0};
	struct embedder_options model = {.name = S("all-MiniLM-L6-v2"), .precision = ENCODER_INT8};
	struct cs_error err;

	fx_setup(state);
	if (!there_is_a_model(directory, sizeof directory))
		return 0;
	model.directory = slice_cstr(directory);
	assert_int_equal(embedder_new(&model, &embedder, &err), CS_OK);
	fx.store.vectors = engine_vectors(fx.engine);
	options.embed = embedder_port(embedder);
	options.vectors = fx.store.vectors;
	assert_int_equal(embedding_new(&options, &fx.store.embedding, &err), CS_OK);
	return 0;
}

static int teardown(void **state)
{
	embedding_free(fx.store.embedding);
	embedder_free(embedder);
	return fx_teardown(state);
}

static void read_pairs(FILE *file)
{
	char line[4096];

	while (fgets(line, sizeof line, file) && pair_count < PAIRS_MAX) {
		struct slice text = arena_copy(&fx.arena, slice_trim(slice_cstr(line)));

		assert_int_equal(json_parse(&fx.arena, text, JSON_LIMITS_DEFAULT, &pairs[pair_count++], NULL), CS_OK);
	}
	fclose(file);
}

static struct slice member(size_t pair, struct slice name)
{
	struct slice text = S("");

	assert_true(json_str(&pairs[pair], json_get(&pairs[pair], 0, name), &text));
	return text;
}

static void store_answers(void)
{
	for (size_t i = 0; i < pair_count; i++) {
		struct buffer text;
		struct json_writer w = json_writer(&text);

		buffer_init(&text, 65536);
		json_begin_object(&w);
		json_key_str(&w, "type", S("decision"));
		json_key_str(&w, "id", member(i, S("id")));
		json_write_key(&w, S("content"));
		json_begin_object(&w);
		json_key_str(&w, "text", member(i, S("answer")));
		json_end_object(&w);
		json_end_object(&w);
		buffer_byte(&text, '\0');
		accepted("store_context", text.ptr);
		assert_str("embedding_status", "completed");
		buffer_release(&text);
	}
}

/* From 1; 0: not among the first ones asked for. */
static unsigned rank_of(size_t pair, const char *mode, unsigned limit)
{
	struct buffer text;
	struct json_writer w = json_writer(&text);
	unsigned rank = 0, at_hit = 0;

	buffer_init(&text, 65536);
	json_begin_object(&w);
	json_key_str(&w, "query", member(pair, S("question")));
	json_key_str(&w, "search_mode", slice_cstr(mode));
	json_key_i64(&w, "limit", limit);
	json_end_object(&w);
	buffer_byte(&text, '\0');
	accepted("retrieve_context", text.ptr);
	buffer_release(&text);
	for (uint32_t hit = json_first(&fx.reply, at("results")); hit != JSON_NONE;
		hit = json_next(&fx.reply, at("results"), hit)) {
		struct slice id = S("");

		assert_true(json_str(&fx.reply, json_get(&fx.reply, hit, S("id")), &id));
		at_hit++;
		if (slice_eq(id, member(pair, S("id"))))
			rank = at_hit;
	}
	return rank;
}

static double recall(const char *mode)
{
	unsigned found = 0, first = 0;

	for (size_t i = 0; i < pair_count; i++) {
		unsigned rank = rank_of(i, mode, TOP);

		found += rank > 0;
		first += rank == 1;
		if (rank != 1 && getenv("CONTEXT_STORE_RECALL_REPORT"))
			print_message("%s: rank %u " SLICE_FMT "\n", mode, rank_of(i, mode, 100),
				SLICE_ARG(member(i, S("question"))));
	}
	print_message(
		"# %s: %u of %zu answers among the first %d, %u of them first\n", mode, found, pair_count, TOP, first);
	return (double)found / (double)pair_count;
}

static void both_find_more_than_either(void **state)
{
	FILE *file = fopen(PAIRS_FILE, "r");
	double hybrid, vector, text;

	if (!embedder || !file) {
		print_message("# no model in $CONTEXT_STORE_TEST_MODEL or " DEFAULT_MODEL ", or no " PAIRS_FILE "\n");
		if (file)
			fclose(file);
		skip();
	}
	read_pairs(file);
	assert_true(pair_count >= PAIRS_MIN);
	store_answers();
	text = recall("text");
	vector = recall("vector");
	hybrid = recall("hybrid");
	assert_true(hybrid >= vector);
	assert_true(hybrid >= text);
	assert_true(hybrid >= RECALL_FLOOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_find_more_than_either, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
