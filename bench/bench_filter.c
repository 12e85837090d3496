/* Filtered searches: judged in memory against judged by SQL, in the same run, by turns.
 *
 * SQL's turn has the same filter and beside it a predicate on metadata that every context meets, which is how such a
 * search is answered by SQL whatever is loaded; the predicate itself costs part of what is shown. Contexts have some 30
 * words of skewed frequency, a vector of 384, one of two types, one of six tags and one of twenty agents. One thread.
 *
 *     bench_filter [contexts] [searches a turn]
 * CONTEXT_STORE_BENCH_DIR: where the files go (default: TMPDIR or /tmp). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/stats.h"
#include "engine/engine.h"

#define DIMENSION 384
#define BATCH     100
#define WORDS     30
#define ROUNDS    9

static const struct embed_model model = {
	.id = SLICE_INIT("bench"), .hash = SLICE_INIT("0123456789abcdef"), .dimension = DIMENSION};

struct subject {
	struct context_port contexts;
	struct text_port text;
	struct vector_port vectors;
	struct arena arena;
	struct op op;
	size_t searches;
};

static void must(enum cs_status status, const struct cs_error *err)
{
	if (status == CS_OK)
		return;
	fprintf(stderr, "bench_filter: %s\n", err->text);
	exit(1);
}

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	return z ^ (z >> 31);
}

static void make_vector(uint64_t seed, float *vector)
{
	for (size_t i = 0; i < DIMENSION; i++)
		vector[i] = (float)(next(&seed) >> 40) / (1u << 23) - 1;
}

/* Word n of 10,000 is drawn with a frequency of about 1/n. */
static struct slice make_words(struct arena *arena, uint64_t *seed)
{
	char text[WORDS * 12];
	size_t length = 0;

	for (size_t i = 0; i < WORDS; i++) {
		uint64_t below = 1 + next(seed) % 10000;

		length += (size_t)snprintf(
			text + length, sizeof text - length, "word%llu ", (unsigned long long)(next(seed) % below));
	}
	return arena_copy(arena, slice_of(text, length));
}

static void fill(struct subject *s, uint64_t contexts)
{
	static float vectors[BATCH][DIMENSION];
	static struct slice tags[BATCH];
	uint64_t seed = 1;
	struct cs_error err;

	for (uint64_t first = 0; first < contexts; first += BATCH) {
		struct context_put puts[BATCH];
		struct context_put_result results[BATCH];

		arena_reset(&s->arena);
		for (uint64_t i = 0; i < BATCH; i++) {
			make_vector(first + i, vectors[i]);
			tags[i] = arena_printf(&s->arena, "tag%llu", (unsigned long long)(next(&seed) % 6));
			puts[i] = (struct context_put){
				.context = {.id = arena_printf(&s->arena, "c%llu", (unsigned long long)(first + i)),
					.type = next(&seed) % 2 ? S("log") : S("design"),
					.agent_id = arena_printf(
						&s->arena, "agent%llu", (unsigned long long)(next(&seed) % 20)),
					.content = S("{\"text\":\"of no matter here\"}"),
					.metadata = S("{\"always\":true}"),
					.tags = &tags[i],
					.tag_count = 1,
					.words = make_words(&s->arena, &seed)},
				.if_version = CONTEXT_VERSION_ANY,
				.model = &model,
				.vector = vectors[i],
			};
		}
		must(s->contexts.put(s->contexts.self, &s->op, puts, BATCH, results, &err), &err);
	}
}

/* Milliseconds of one search, by words or by vectors; adds its total to *total. */
static double search(struct subject *s, const struct context_filter *filter, bool by_words, size_t n, uint64_t *total)
{
	float vector[DIMENSION];
	struct text_query words = {.limit = 10, .filter = filter};
	struct vector_query query = {.vector = vector,
		.dimension = DIMENSION,
		.limit = 10,
		.filter = filter,
		.least_similarity = VECTOR_NO_LIMIT};
	struct text_result found = {0};
	struct vector_result near = {0};
	struct cs_error err;
	int64_t start;

	arena_reset(&s->arena);
	make_vector(n + 7, vector);
	words.text = arena_printf(&s->arena, "word0 word%zu word%zu word%zu", n % 10, 20 + n % 50, 1000 + n);
	start = clock_mono_ns();
	if (by_words)
		must(s->text.search(s->text.self, &s->op, &words, &found, &err), &err);
	else
		must(s->vectors.search(s->vectors.self, &s->op, &query, &near, &err), &err);
	*total += found.total + near.total;
	return (double)(clock_mono_ns() - start) / 1e6;
}

static void compare(struct subject *s, const char *name, const struct context_filter *filter, bool by_words)
{
	static const struct slice yes = SLICE_INIT("true");
	static const struct context_predicate always = {.key = SLICE_INIT("always"), .values = &yes, .value_count = 1};
	struct context_filter with = *filter;
	double memory[ROUNDS], file[ROUNDS], ratio[ROUNDS];
	uint64_t in_memory = 0, in_file = 0;

	with.predicates = &always;
	with.predicate_count = 1;
	for (size_t round = 0; round < ROUNDS; round++) {
		memory[round] = file[round] = 0;
		for (size_t i = 0; i < s->searches; i++)
			memory[round] += search(s, filter, by_words, i, &in_memory) / (double)s->searches;
		for (size_t i = 0; i < s->searches; i++)
			file[round] += search(s, &with, by_words, i, &in_file) / (double)s->searches;
		ratio[round] = file[round] / memory[round];
	}
	if (in_memory != in_file) {
		fprintf(stderr, "bench_filter: %s: totals differ\n", name);
		exit(1);
	}
	printf("%-18s %-8s %9.3f ms %9.3f ms   %6.1f (%.1f to %.1f)\n", name, by_words ? "words" : "vectors",
		stats_spread(memory, ROUNDS).median, stats_spread(file, ROUNDS).median,
		stats_spread(ratio, ROUNDS).median, stats_spread(ratio, ROUNDS).lowest,
		stats_spread(ratio, ROUNDS).highest);
}

static void compare_all(struct subject *s)
{
	static const struct slice type = SLICE_INIT("log"), tag = SLICE_INIT("tag3"), nobody = SLICE_INIT("nobody");
	static const struct {
		const char *name;
		struct context_filter filter;
	} rows[] = {
		{"one of two types",
			{.types = &type, .type_count = 1, .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE}},
		{"one of six tags",
			{.tags = &tag, .tag_count = 1, .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE}},
		{"one of 20 agents",
			{.agent_id = SLICE_INIT("agent7"), .date_from = CONTEXT_NO_DATE, .date_to = CONTEXT_NO_DATE}},
		{"not one source", {.exclude_sources = &nobody,
					   .exclude_source_count = 1,
					   .date_from = CONTEXT_NO_DATE,
					   .date_to = CONTEXT_NO_DATE}},
		{"since 1970", {.date_from = 0, .date_to = CONTEXT_NO_DATE}},
	};

	printf("%-18s %-8s %12s %12s   times\n", "filter", "by", "in memory", "by SQL");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		compare(s, rows[i].name, &rows[i].filter, true);
		compare(s, rows[i].name, &rows[i].filter, false);
	}
}

int main(int argc, char **argv)
{
	static struct subject s = {.op = {.deadline_ns = OP_NO_DEADLINE, .may_wait = true}};
	static const char *const names[] = {ENGINE_FILE, ENGINE_FILE "-wal", ENGINE_FILE "-shm"};
	const uint64_t contexts = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	const char *base = getenv("CONTEXT_STORE_BENCH_DIR");
	struct engine *engine;
	struct cs_error err;
	char dir[4096], path[4200];

	s.searches = argc > 2 ? strtoull(argv[2], NULL, 10) : 10;
	base = base ? base : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	snprintf(dir, sizeof dir, "%s/bench-filter-XXXXXX", base);
	if (contexts == 0 || s.searches == 0 || !mkdtemp(dir)) {
		fprintf(stderr, "usage: bench_filter [contexts] [searches a turn]\n");
		return 1;
	}
	arena_init(&s.arena, NULL, 0, 256u << 20);
	s.op.arena = &s.arena;
	s.op.principal = &principal_anonymous;
	must(engine_open(slice_cstr(dir), &engine, &err), &err);
	s.contexts = engine_contexts(engine);
	s.text = engine_text(engine);
	s.vectors = engine_vectors(engine);
	fill(&s, contexts);
	must(engine_load_words(engine, &s.op, &err), &err);
	printf("%llu contexts, medians of %d rounds of %zu searches\n", (unsigned long long)contexts, ROUNDS,
		s.searches);
	(void)search(&s, NULL, false, 0, &(uint64_t){0}); /* loads what filters ask */
	compare_all(&s);
	engine_close(engine);
	arena_release(&s.arena);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	return 0;
}
