/* Durable stores inside the process: 64 threads calling contexts.put with one row each, against a raw SQLite loop that
 * inserts and commits the same rows, text index included, one by one. Same rows, same disk, alternating rounds. A
 * second engine stores the same rows with a vector of 384 each, its mirror loaded as it is once vectors are searched.
 *
 * The rows have about 500 bytes: some 56 words drawn from 20,000 with the skew of natural text, so that the index gets
 * long and short posting lists as it would. Both sides keep their file from round to round, and grow alike.
 *
 *     bench_engine [rows per round] [rounds]
 * CONTEXT_STORE_BENCH_DIR: where the files go (default: TMPDIR or /tmp; a memory file system would measure nothing). */
#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/stats.h"
#include "engine/engine.h"

#define THREADS    64
#define ROUNDS_MAX 99
#define VOCABULARY 20000
#define WORDS      56
#define DIMENSION  384
#define VECTORS    4096

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "benchmark: %s\n", what);
		exit(1);
	}
}

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

struct row {
	char id[40];
	char words[1024];
	char content[1200];
	char metadata[80];
};

/* The same for the same index. Word n is drawn with a frequency of about 1/n. */
static void make_row(uint64_t index, struct row *row)
{
	static const char *const syllables[] = {
		"ka", "ro", "ti", "sem", "lu", "vent", "dor", "mi", "pan", "qu", "ster", "ing"};
	uint64_t state = index * 77 + 5;
	size_t have = 0;

	/* Grows with time, as the ids do that the store gives (UUID version 7). */
	snprintf(row->id, sizeof row->id, "%016llx-%016llx", (unsigned long long)index,
		(unsigned long long)next(&state));
	for (int i = 0; i < WORDS; i++) {
		double u = (double)(next(&state) >> 11) / 9007199254740992.0;
		unsigned rank = (unsigned)(exp(u * log(VOCABULARY)));

		have += (size_t)snprintf(row->words + have, sizeof row->words - have, "%s%s%s%u ", syllables[rank % 12],
			syllables[rank / 12 % 12], rank % 3 ? "" : "ing", rank / 144);
	}
	snprintf(row->content, sizeof row->content, "{\"title\":\"Row %llu\",\"text\":\"%s\"}",
		(unsigned long long)index, row->words);
	snprintf(row->metadata, sizeof row->metadata, "{\"source\":\"bench\",\"tags\":[\"t%llu\"]}",
		(unsigned long long)index % 50);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The engine. */

struct run {
	struct context_port port;
	const struct row *rows;
	uint64_t first;
	atomic_ullong next_index;
	uint64_t end;
	bool with_vectors;
};

/* One per row, of a few thousand, since making one costs as much as storing it. First called by one thread alone. */
static const float *vector_of(uint64_t index)
{
	static float vectors[VECTORS][DIMENSION];
	static bool made;

	for (uint64_t i = 0; !made && i < VECTORS; i++) {
		uint64_t state = i;

		for (int k = 0; k < DIMENSION; k++)
			vectors[i][k] = (float)((double)(next(&state) >> 11) / 4503599627370496.0 - 1.0);
		made = i + 1 == VECTORS;
	}
	return vectors[index % VECTORS];
}

static void *client(void *self)
{
	static const struct embed_model model = {SLICE_INIT("bench"), SLICE_INIT("0"), DIMENSION};
	struct run *run = self;
	struct arena arena;
	struct op op = {
		.arena = &arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	char own[8192];
	uint64_t index;

	arena_init(&arena, own, sizeof own, 1u << 20);
	while ((index = atomic_fetch_add(&run->next_index, 1)) < run->end) {
		const struct row *row = &run->rows[index - run->first];
		struct slice tag = S("bench");
		struct context_put put = {.if_version = CONTEXT_VERSION_ANY};
		struct context_put_result result;
		struct cs_error err;

		put.context = (struct context){
			.id = slice_cstr(row->id),
			.type = S("log"),
			.content = slice_cstr(row->content),
			.metadata = slice_cstr(row->metadata),
			.words = slice_cstr(row->words),
			.source = S("bench"),
			.tags = &tag,
			.tag_count = 1,
			.content_hash = index * 0x9E3779B97F4A7C15u,
		};
		if (run->with_vectors) {
			put.model = &model;
			put.vector = vector_of(index);
		}
		if (run->port.put(run->port.self, &op, &put, 1, &result, &err) != CS_OK || result.status != CS_OK)
			must(false, "a put failed");
		arena_reset(&arena);
	}
	arena_release(&arena);
	return NULL;
}

static double engine_round(
	struct context_port port, const struct row *made, uint64_t first, uint64_t rows, bool with_vectors)
{
	struct run run = {.port = port,
		.rows = made,
		.first = first,
		.next_index = first,
		.end = first + rows,
		.with_vectors = with_vectors};
	pthread_t threads[THREADS];
	double start = now_s();

	for (int i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, client, &run) == 0, "no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return (double)rows / (now_s() - start);
}

/* Milliseconds of one search for the ten nearest; the first one loads the mirror. */
static double search_ms(struct vector_port port)
{
	struct vector_query query = {
		.vector = vector_of(7), .dimension = DIMENSION, .limit = 10, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result result;
	struct arena arena;
	struct op op = {
		.arena = &arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct cs_error err;
	double start = now_s();

	arena_init(&arena, NULL, 0, 64u << 20);
	must(port.search(port.self, &op, &query, &result, &err) == CS_OK, "a search failed");
	arena_release(&arena);
	return (now_s() - start) * 1e3;
}

/* The loop. */

struct loop {
	sqlite3 *db;
	sqlite3_stmt *begin, *insert, *index, *commit;
};

static void loop_open(struct loop *loop, const char *path)
{
	must(sqlite3_open(path, &loop->db) == SQLITE_OK, "no file for the loop");
	must(sqlite3_exec(loop->db,
		     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		     "CREATE TABLE rows(row INTEGER PRIMARY KEY, id TEXT UNIQUE, content TEXT, metadata TEXT, words "
		     "TEXT);"
		     "CREATE VIRTUAL TABLE row_words USING fts5(words, content='rows', content_rowid='row',"
		     " tokenize='porter unicode61 remove_diacritics 2');",
		     NULL, NULL, NULL) == SQLITE_OK,
		"no tables for the loop");
	sqlite3_prepare_v2(loop->db, "BEGIN", -1, &loop->begin, NULL);
	sqlite3_prepare_v2(loop->db, "INSERT INTO rows(id, content, metadata, words) VALUES(?1,?2,?3,?4)", -1,
		&loop->insert, NULL);
	sqlite3_prepare_v2(loop->db, "INSERT INTO row_words(rowid, words) VALUES(last_insert_rowid(), ?1)", -1,
		&loop->index, NULL);
	sqlite3_prepare_v2(loop->db, "COMMIT", -1, &loop->commit, NULL);
}

static void step(sqlite3_stmt *stmt)
{
	must(sqlite3_step(stmt) == SQLITE_DONE, "the loop's statement failed");
	sqlite3_reset(stmt);
}

static double loop_round(struct loop *loop, const struct row *made, uint64_t rows)
{
	double start = now_s();

	for (uint64_t i = 0; i < rows; i++) {
		const struct row *row = &made[i];

		step(loop->begin);
		sqlite3_bind_text(loop->insert, 1, row->id, -1, SQLITE_STATIC);
		sqlite3_bind_text(loop->insert, 2, row->content, -1, SQLITE_STATIC);
		sqlite3_bind_text(loop->insert, 3, row->metadata, -1, SQLITE_STATIC);
		sqlite3_bind_text(loop->insert, 4, row->words, -1, SQLITE_STATIC);
		step(loop->insert);
		sqlite3_bind_text(loop->index, 1, row->words, -1, SQLITE_STATIC);
		step(loop->index);
		step(loop->commit);
	}
	return (double)rows / (now_s() - start);
}

static void loop_close(struct loop *loop)
{
	sqlite3_finalize(loop->begin);
	sqlite3_finalize(loop->insert);
	sqlite3_finalize(loop->index);
	sqlite3_finalize(loop->commit);
	sqlite3_close(loop->db);
}

static void report(const char *name, double *values, size_t count, const char *unit)
{
	struct spread spread = stats_spread(values, count);

	printf("%-28s median %9.2f %s   lowest %9.2f   highest %9.2f\n", name, spread.median, unit, spread.lowest,
		spread.highest);
}

static void remove_files(const char *dir)
{
	static const char *const names[] = {
		ENGINE_FILE, ENGINE_FILE "-wal", ENGINE_FILE "-shm", "loop.db", "loop.db-wal", "loop.db-shm"};
	char path[4200];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

struct rates {
	double engine[ROUNDS_MAX], vectors[ROUNDS_MAX], loop[ROUNDS_MAX], ratio[ROUNDS_MAX], with_vectors[ROUNDS_MAX];
};

static struct engine *open_engine(const char *dir)
{
	struct engine *engine;
	struct cs_error err;

	must(engine_open(slice_cstr(dir), &engine, &err) == CS_OK, "the engine does not open");
	return engine;
}

static void run_rounds(const char *dir, const char *vectors_dir, uint64_t rows, size_t rounds, struct rates *rates)
{
	struct engine *engine = open_engine(dir), *with = open_engine(vectors_dir);
	struct row *made = calloc(rows, sizeof *made);
	char path[4200];
	struct loop loop;

	must(made != NULL, "no memory for the rows");
	snprintf(path, sizeof path, "%s/loop.db", dir);
	loop_open(&loop, path);
	(void)search_ms(engine_vectors(with));
	for (size_t i = 0; i < rounds; i++) {
		/* A tenth as many for the loop, which is slower; all rates are rows a second. */
		uint64_t loop_rows = rows / 10 ? rows / 10 : 1;

		for (uint64_t n = 0; n < rows; n++)
			make_row(i * rows + n, &made[n]);
		rates->loop[i] = loop_round(&loop, made, loop_rows);
		rates->engine[i] = engine_round(engine_contexts(engine), made, i * rows, rows, false);
		rates->vectors[i] = engine_round(engine_contexts(with), made, i * rows, rows, true);
		rates->ratio[i] = rates->engine[i] / rates->loop[i];
		rates->with_vectors[i] = rates->vectors[i] / rates->engine[i];
	}
	engine_close(engine);
	engine_close(with);
	loop_close(&loop);
	free(made);
}

/* On the file that the rounds left. */
static void report_opening(const char *vectors_dir)
{
	double start = now_s(), opened_ms, first_ms, searches[ROUNDS_MAX];
	struct engine *engine = open_engine(vectors_dir);

	opened_ms = (now_s() - start) * 1e3;
	first_ms = search_ms(engine_vectors(engine));
	for (size_t i = 0; i < ROUNDS_MAX; i++)
		searches[i] = search_ms(engine_vectors(engine));
	engine_close(engine);
	printf("opening %.2f ms, first search (loads) %.1f ms\n", opened_ms, first_ms);
	report("search, ten nearest", searches, ROUNDS_MAX, "ms");
}

int main(int argc, char **argv)
{
	static struct rates rates;
	uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
	size_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 5;
	const char *base = getenv("CONTEXT_STORE_BENCH_DIR");
	char dir[4096], vectors_dir[4096];

	must(rows > 0 && rounds > 0 && rounds <= ROUNDS_MAX, "usage: bench_engine [rows per round] [rounds]");
	base = base ? base : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	snprintf(dir, sizeof dir, "%s/bench-engine-XXXXXX", base);
	snprintf(vectors_dir, sizeof vectors_dir, "%s/bench-vectors-XXXXXX", base);
	must(mkdtemp(dir) != NULL && mkdtemp(vectors_dir) != NULL, "no directory");
	printf("%d threads, one row a put, %llu rows a round, %zu rounds\n", THREADS, (unsigned long long)rows, rounds);
	run_rounds(dir, vectors_dir, rows, rounds, &rates);
	report("engine, acknowledged", rates.engine, rounds, "rows/s");
	report("engine with vectors of 384", rates.vectors, rounds, "rows/s");
	report("loop, one commit a row", rates.loop, rounds, "rows/s");
	report("engine to loop", rates.ratio, rounds, "times ");
	report("with vectors to without", rates.with_vectors, rounds, "times ");
	report_opening(vectors_dir);
	remove_files(dir);
	remove_files(vectors_dir);
	return 0;
}
