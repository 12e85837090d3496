/* `context-store eval FILE`: how well are answers found from questions, by words, by meaning, and by both?
 *
 * FILE holds JSON lines {"id", "question", "answer"}. The answers are stored in a store of their own that is gone
 * afterwards, and each question is asked in each mode through the same tools clients use, so what is measured is what
 * clients get. recall@K: the part of the questions whose answer is among the first K; MRR@K: the mean of 1/rank. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/process.h"
#include "cli/read_file.h"
#include "cli/table.h"

#define FILE_MAX    (64u << 20)
#define PAIRS_MAX   20000
#define STORE_BATCH 50
#define CALL_NS     INT64_C(300000000000)

struct pair {
	struct slice id, question, answer;
};

struct score {
	size_t found;
	double reciprocal; /* sum of 1/rank */
};

struct eval {
	struct caller caller;
	struct arena arena; /* the questions and answers */
	struct pair *pairs;
	size_t count;
	int64_t at; /* K */
};

static const char *const mode_names[] = {"text", "vector", "hybrid"};
#define MODES (sizeof mode_names / sizeof *mode_names)

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)remove(path);
	return 0;
}

static enum cs_status parse_pair(
	struct eval *e, struct slice line, const char *path, size_t number, struct cs_error *err)
{
	struct pair *pair = &e->pairs[e->count];
	struct json_doc doc;
	struct cs_error why;

	if (e->count == PAIRS_MAX)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "%.200s holds more than %d questions", path, PAIRS_MAX);
	if (json_parse(&e->arena, line, JSON_LIMITS_DEFAULT, &doc, &why) != CS_OK)
		return cs_fail(err, CS_VALIDATION, "%.200s line %zu: %.200s", path, number, why.text);
	if (!json_str(&doc, json_get(&doc, 0, S("id")), &pair->id) ||
		!json_str(&doc, json_get(&doc, 0, S("question")), &pair->question) ||
		!json_str(&doc, json_get(&doc, 0, S("answer")), &pair->answer))
		return cs_fail(err, CS_VALIDATION,
			"%.200s line %zu: {\"id\": \"...\", \"question\": \"...\", \"answer\": \"...\"} is needed",
			path, number);
	e->count++;
	return CS_OK;
}

/* `text` outlives the pairs. */
static enum cs_status parse_pairs(struct eval *e, struct slice text, const char *path, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	e->pairs = arena_array(&e->arena, PAIRS_MAX, sizeof *e->pairs);
	if (!e->pairs)
		return cs_fail_memory(err);
	for (size_t number = 1; text.len > 0 && status == CS_OK; number++) {
		struct slice line = slice_cut(&text, '\n');

		if (slice_trim(line).len > 0)
			status = parse_pair(e, line, path, number, err);
	}
	if (status == CS_OK && e->count == 0)
		status = cs_fail(err, CS_VALIDATION, "%.200s holds no questions", path);
	return status;
}

/* One tool call with what stands in the arguments. */
static enum cs_status call(struct eval *e, const char *tool, struct cs_error *err)
{
	e->caller.op.deadline_ns = clock_mono_ns() + CALL_NS;
	return caller_run(&e->caller, slice_cstr(tool), err);
}

/* An answer without a vector would count as a fault of the search. */
static enum cs_status check_stored(struct eval *e, struct cs_error *err)
{
	const struct json_doc *doc = &e->caller.doc;
	uint32_t results = json_get(doc, 0, S("results"));

	for (uint32_t r = json_first(doc, results); r != JSON_NONE; r = json_next(doc, results, r)) {
		struct slice state = caller_str(&e->caller, r, "embedding_status");

		if (!slice_eq(state, S("completed")))
			return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, SLICE_FMT,
				SLICE_ARG(caller_str(&e->caller, r, "message")));
	}
	return CS_OK;
}

static enum cs_status store_answers(struct eval *e, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (size_t first = 0; first < e->count && status == CS_OK; first += STORE_BATCH) {
		struct json_writer w = json_writer(&e->caller.arguments);

		buffer_clear(&e->caller.arguments);
		json_begin_object(&w);
		json_write_name(&w, S("contexts"));
		json_begin_array(&w);
		for (size_t i = first; i < e->count && i < first + STORE_BATCH; i++) {
			json_begin_object(&w);
			json_key_str(&w, "id", e->pairs[i].id);
			json_key_str(&w, "type", S("log"));
			json_write_name(&w, S("content"));
			json_begin_object(&w);
			json_key_str(&w, "text", e->pairs[i].answer);
			json_end_object(&w);
			json_end_object(&w);
		}
		json_end_array(&w);
		json_end_object(&w);
		status = call(e, "store_context", err);
		if (status == CS_OK)
			status = check_stored(e, err);
	}
	return status;
}

static enum cs_status ask(
	struct eval *e, const struct pair *pair, const char *mode, struct score *score, struct cs_error *err)
{
	const struct json_doc *doc = &e->caller.doc;
	struct json_writer w = json_writer(&e->caller.arguments);
	enum cs_status status;
	uint32_t results;
	int rank = 1;

	buffer_clear(&e->caller.arguments);
	json_begin_object(&w);
	json_key_str(&w, "query", pair->question);
	json_key_str(&w, "search_mode", slice_cstr(mode));
	json_key_i64(&w, "limit", e->at);
	json_end_object(&w);
	status = call(e, "retrieve_context", err);
	if (status != CS_OK)
		return status;
	results = json_get(doc, 0, S("results"));
	for (uint32_t r = json_first(doc, results); r != JSON_NONE; r = json_next(doc, results, r), rank++)
		if (slice_eq(caller_str(&e->caller, r, "id"), pair->id)) {
			score->found++;
			score->reciprocal += 1.0 / rank;
			break;
		}
	return CS_OK;
}

static enum cs_status measure(struct eval *e, struct score scores[MODES], struct cs_error *err)
{
	enum cs_status status = store_answers(e, err);

	for (size_t m = 0; m < MODES; m++)
		for (size_t i = 0; i < e->count && status == CS_OK; i++)
			status = ask(e, &e->pairs[i], mode_names[m], &scores[m], err);
	return status;
}

static void print_json(const struct eval *e, const struct score scores[MODES])
{
	struct json_writer w;
	struct buffer out;

	buffer_init(&out, 1u << 16);
	w = json_writer(&out);
	json_begin_object(&w);
	json_key_u64(&w, "questions", e->count);
	json_key_i64(&w, "at", e->at);
	for (size_t m = 0; m < MODES; m++) {
		json_write_name(&w, slice_cstr(mode_names[m]));
		json_begin_object(&w);
		json_key_f64(&w, "recall", (double)scores[m].found / (double)e->count);
		json_key_f64(&w, "mrr", scores[m].reciprocal / (double)e->count);
		json_end_object(&w);
	}
	json_end_object(&w);
	printf(SLICE_FMT "\n", SLICE_ARG(buffer_slice(&out)));
	buffer_release(&out);
}

static void print_table(struct eval *e, const struct score scores[MODES])
{
	char recall[32], mrr[32];
	const char *const headings[] = {"search", recall, mrr, "found", NULL};
	struct table table;

	snprintf(recall, sizeof recall, "recall@%lld", (long long)e->at);
	snprintf(mrr, sizeof mrr, "MRR@%lld", (long long)e->at);
	table_init(&table, &e->arena, headings);
	for (size_t m = 0; m < MODES; m++) {
		const struct slice cells[] = {slice_cstr(mode_names[m]),
			arena_printf(&e->arena, "%.3f", (double)scores[m].found / (double)e->count),
			arena_printf(&e->arena, "%.3f", scores[m].reciprocal / (double)e->count),
			arena_printf(&e->arena, "%zu of %zu", scores[m].found, e->count)};

		if (!table_add(&table, cells))
			return;
	}
	table_print(&table);
}

static enum cs_status run(struct eval *e, const struct invocation *inv, const char *dir, struct cs_error *err)
{
	struct score scores[MODES] = {0};
	struct buffer text;
	enum cs_status status;

	buffer_init(&text, FILE_MAX);
	status = read_file(inv->operands[0], &text, err);
	if (status == CS_OK)
		status = parse_pairs(e, buffer_slice(&text), inv->operands[0], err);
	if (status == CS_OK)
		status = caller_open_in(&e->caller, inv, slice_cstr(dir), err);
	if (status == CS_OK) {
		status = measure(e, scores, err);
		caller_close(&e->caller);
	}
	if (status == CS_OK && invocation_option(inv, "json"))
		print_json(e, scores);
	else if (status == CS_OK)
		print_table(e, scores);
	buffer_release(&text);
	return status;
}

enum cli_exit eval_command(struct invocation *inv)
{
	const char *at = invocation_option(inv, "at"), *base = getenv("TMPDIR");
	struct eval e = {.at = 5};
	struct cs_error err;
	enum cs_status status;
	char dir[4096];

	if (at && (!slice_to_i64(slice_cstr(at), &e.at) || e.at < 1 || e.at > 100))
		return cli_usage(inv, "--at is a whole number from 1 to 100");
	process_prepare();
	snprintf(dir, sizeof dir, "%s/context-store-eval-XXXXXX", base && *base == '/' ? base : "/tmp");
	if (!mkdtemp(dir)) {
		(void)cs_fail(&err, CS_UNAVAILABLE, "cannot make %.300s: %s", dir, strerror(errno));
		return cli_fail(&err);
	}
	arena_init(&e.arena, NULL, 0, 16ull * FILE_MAX);
	status = run(&e, inv, dir, &err);
	arena_release(&e.arena);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}
