/* The exact scan against a loop that compares every f32 vector, in the same run, by turns.
 *
 * Vectors are unit vectors in CLUSTERS directions with noise, so that there are near neighbours as among texts; queries
 * are drawn the same way. The baseline is the plain loop over one contiguous array, with the scalar kernel's eight sums
 * and a small array of the best ten, compiled by the same compiler with the same flags. Rounds of ours and of the
 * baseline follow each other, so that a change of the machine's mood meets both. Shown: p50 and p99 of single searches,
 * the ratio of medians over rounds with its spread, and recall@10 against f64, which must be 1: the program fails
 * otherwise. Then each set of kernels, at_least, a filter, and filling. One thread. Arguments: entries dimension. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench/stats.h"
#include "vector/scan_parts.h"

#define TOP_K     10
#define QUERIES   25 /* a round */
#define ROUNDS    15
#define CLUSTERS  50
#define DIMENSION 384

struct subject {
	struct scan *scan;
	uint32_t dimension;
	size_t entries;
	float *vectors; /* [entries][dimension], as the baseline reads them */
	float *queries; /* [QUERIES][dimension] */
	float at_least;
	const int64_t *selected;
	size_t selected_count;
};

static uint64_t random_state = 20261124;

static void die(const char *why)
{
	fprintf(stderr, "bench_scan: %s\n", why);
	exit(1);
}

static void *must(void *memory)
{
	if (!memory)
		die("no memory");
	return memory;
}

static uint64_t random_u64(void)
{
	uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static float random_normal(void)
{
	double sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (double)(int64_t)random_u64() / 0x1p63;
	return (float)(sum * 0.866);
}

static void unit(float *vector, uint32_t dimension)
{
	double sum = 0;

	for (uint32_t i = 0; i < dimension; i++)
		sum += (double)vector[i] * (double)vector[i];
	for (uint32_t i = 0; i < dimension; i++)
		vector[i] = (float)((double)vector[i] / sqrt(sum));
}

/* Half of the length is the cluster's, half the vector's own: cosines of 0.5 within a cluster. */
static void draw(float *vectors, size_t count, uint32_t dimension, const float *centres)
{
	for (size_t n = 0; n < count; n++) {
		const float *centre = centres + (random_u64() % CLUSTERS) * dimension;

		for (uint32_t i = 0; i < dimension; i++)
			vectors[n * dimension + i] = centre[i] + random_normal();
		unit(vectors + n * dimension, dimension);
	}
}

static size_t search_ours(const struct subject *s, const float *query, struct scan_hit hits[TOP_K])
{
	static _Alignas(64) char own[1 << 20];
	struct arena arena;
	struct op op = {.arena = &arena, .deadline_ns = clock_mono_ns() + INT64_C(60000000000)};
	struct scan_query asked = {.vector = query, .limit = TOP_K, .at_least = s->at_least};
	struct scan_hit *found;
	struct cs_error err;
	uint64_t total;
	size_t count;

	arena_init(&arena, own, sizeof own, 64u << 20);
	if (s->selected && scan_select(s->scan, &arena, s->selected, s->selected_count, &asked.selection, &err))
		die(err.text);
	if (scan_search(s->scan, &op, &asked, &found, &count, &total, &err) != CS_OK)
		die(err.text);
	memcpy(hits, found, count * sizeof *found);
	arena_release(&arena);
	return count;
}

/* Insertion into a sorted array of ten: what one writes without thinking, and not slow. */
static void insert(struct scan_hit hits[TOP_K], size_t *count, struct scan_hit hit)
{
	size_t at = *count;

	if (*count == TOP_K && hits[TOP_K - 1].similarity >= hit.similarity)
		return;
	if (*count < TOP_K)
		++*count;
	else
		at--;
	for (; at && hits[at - 1].similarity < hit.similarity; at--)
		hits[at] = hits[at - 1];
	hits[at] = hit;
}

static size_t search_naive(const struct subject *s, const float *query, struct scan_hit hits[TOP_K])
{
	size_t count = 0;

	for (size_t n = 0; n < s->entries; n++) {
		const float *vector = s->vectors + n * s->dimension;
		float sums[8] = {0};

		for (size_t i = 0; i + 8 <= s->dimension; i += 8)
			for (size_t lane = 0; lane < 8; lane++)
				sums[lane] += query[i + lane] * vector[i + lane];
		for (size_t i = s->dimension / 8 * 8; i < s->dimension; i++)
			sums[0] += query[i] * vector[i];
		insert(hits, &count,
			(struct scan_hit){(int64_t)n,
				sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7]});
	}
	return count;
}

/* The share of hits that are among the ten best by f64; one as good as the tenth is as right as it. */
static double recall(const struct subject *s)
{
	double *cosines = must(malloc(s->entries * sizeof *cosines));
	double *sorted = must(malloc(s->entries * sizeof *sorted));
	size_t right = 0, all = 0;

	for (size_t q = 0; q < QUERIES; q++) {
		const float *query = s->queries + q * s->dimension;
		struct scan_hit hits[TOP_K];
		size_t count = search_ours(s, query, hits);

		for (size_t n = 0; n < s->entries; n++) {
			cosines[n] = 0;
			for (uint32_t i = 0; i < s->dimension; i++)
				cosines[n] += (double)query[i] * (double)s->vectors[n * s->dimension + i];
		}
		memcpy(sorted, cosines, s->entries * sizeof *sorted);
		stats_sort(sorted, s->entries);
		for (size_t i = 0; i < count; i++)
			right += cosines[hits[i].number] >= sorted[s->entries - count] - 1e-6;
		all += s->entries < TOP_K ? s->entries : TOP_K;
	}
	free(cosines);
	free(sorted);
	return (double)right / (double)all;
}

/* Microseconds of each query of a round into `times`; returns the round's median. */
static double round_of(size_t (*search)(const struct subject *, const float *, struct scan_hit *),
	const struct subject *s, double times[QUERIES])
{
	double sorted[QUERIES];

	for (size_t q = 0; q < QUERIES; q++) {
		struct scan_hit hits[TOP_K];
		int64_t start = clock_mono_ns();

		(void)search(s, s->queries + q * s->dimension, hits);
		sorted[q] = times[q] = (double)(clock_mono_ns() - start) / 1e3;
	}
	return stats_spread(sorted, QUERIES).median;
}

static void compare(const char *what, const struct subject *s)
{
	static double ours[ROUNDS * QUERIES], naive[ROUNDS * QUERIES];
	double ratios[ROUNDS];
	struct spread spread;

	for (size_t i = 0; i < ROUNDS; i++)
		ratios[i] = 1 / round_of(search_ours, s, ours + i * QUERIES) *
			    round_of(search_naive, s, naive + i * QUERIES);
	spread = stats_spread(ratios, ROUNDS);
	stats_sort(ours, ROUNDS * QUERIES);
	stats_sort(naive, ROUNDS * QUERIES);
	printf("%-24s ours p50 %8.1f us p99 %8.1f us   naive f32 p50 %8.1f us p99 %8.1f us   ratio %.1f (%.1f to "
	       "%.1f)\n",
		what, stats_percentile(ours, ROUNDS * QUERIES, 50), stats_percentile(ours, ROUNDS * QUERIES, 99),
		stats_percentile(naive, ROUNDS * QUERIES, 50), stats_percentile(naive, ROUNDS * QUERIES, 99),
		spread.median, spread.lowest, spread.highest);
}

static void fill(struct subject *s, const float *centres)
{
	struct cs_error err;
	int64_t start;

	s->vectors = must(malloc(s->entries * s->dimension * sizeof *s->vectors));
	s->queries = must(malloc((size_t)QUERIES * s->dimension * sizeof *s->queries));
	draw(s->vectors, s->entries, s->dimension, centres);
	draw(s->queries, QUERIES, s->dimension, centres);
	if (scan_new(s->dimension, s->entries, &s->scan, &err) != CS_OK)
		die(err.text);
	start = clock_mono_ns();
	for (size_t n = 0; n < s->entries; n++)
		if (scan_put(s->scan, (int64_t)n, s->vectors + n * s->dimension, &err) != CS_OK)
			die(err.text);
	printf("\n%zu vectors of %u, filled at %.2f us a vector, kernels %s\n", s->entries, (unsigned)s->dimension,
		(double)(clock_mono_ns() - start) / 1e3 / (double)s->entries, s->scan->kernels->name);
}

static double measure(size_t entries, uint32_t dimension, const float *centres)
{
	struct subject s = {.entries = entries, .dimension = dimension, .at_least = -2};
	const struct vector_kernels *kernels;
	int64_t *tenth = must(malloc((entries / 10 + 1) * sizeof *tenth));
	double found;
	char name[40];

	fill(&s, centres);
	found = recall(&s);
	printf("recall@10 %.4f\n", found);
	compare("best ten", &s);
	s.at_least = 0.4f;
	compare("at_least 0.4, total", &s);
	s.at_least = -2;
	for (size_t n = 0; n < entries / 10; n++)
		tenth[s.selected_count++] = (int64_t)(n * 10 + random_u64() % 10);
	s.selected = tenth;
	compare("a tenth, chosen here", &s);
	s.selected = NULL;
	for (size_t rank = 1; (kernels = vector_kernels_at(rank)) != NULL; rank++) {
		s.scan->kernels = kernels;
		snprintf(name, sizeof name, "best ten, %s", kernels->name);
		compare(name, &s);
	}
	scan_free(s.scan);
	free(s.vectors);
	free(s.queries);
	free(tenth);
	return found;
}

int main(int argc, char **argv)
{
	const uint32_t dimension = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : DIMENSION;
	float *centres = must(malloc((size_t)CLUSTERS * SCAN_DIMENSION_MAX * sizeof *centres));
	double worst;

	for (size_t i = 0; i < (size_t)CLUSTERS * SCAN_DIMENSION_MAX; i++)
		centres[i] = random_normal();
	if (argc > 1) {
		worst = measure(strtoull(argv[1], NULL, 10), dimension, centres);
	} else {
		worst = measure(10000, dimension, centres);
		worst = fmin(worst, measure(100000, dimension, centres));
	}
	free(centres);
	if (worst < 1) {
		fprintf(stderr, "bench_scan: a recall@10 of %.4f is a defect: the scan is exact\n", worst);
		return 1;
	}
	return 0;
}
