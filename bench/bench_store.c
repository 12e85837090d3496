/* Durable stores: 64 clients over HTTP against a raw SQLite loop that commits the same rows one by one.
 *
 * The loop is what a program does that opens SQLite and stores each row as it comes: one prepared insert into a table,
 * one into an FTS5 index, one commit with synchronous=FULL in WAL mode. The server does the same durable work, protocol
 * and HTTP included, for clients that each wait for their acknowledgement. Same rows, same disk, alternating rounds. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stats.h"
#include "support/load.h"
#include "support/process.h"

#define ROUNDS      5
#define CONNECTIONS 64

static const char *const words[] = {"commit", "writer", "vector", "session", "decision", "latency", "index", "agent",
	"replay", "snapshot", "bounded", "queue", "protocol", "schema", "relation", "memory", "cursor", "deadline",
	"worker", "budget", "encoder", "retry", "backend", "design", "trace", "sprint", "review", "release", "token",
	"graph", "merge", "window"};

/* About 60 words that differ from row to row, the same for the same index. */
static void row_text(size_t index, char *room, size_t size)
{
	uint64_t state = index * 0x9E3779B97F4A7C15u + 1;
	size_t have = (size_t)snprintf(room, size, "row %zu:", index);

	for (int i = 0; i < 60 && have + 16 < size; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		have += (size_t)snprintf(room + have, size - have, " %s", words[state >> 59]);
	}
}

static size_t row_body(size_t index, char *room, size_t size)
{
	char text[1024];

	row_text(index, text, sizeof text);
	return (size_t)snprintf(room, size,
		"{\"type\":\"log\",\"content\":{\"title\":\"Event %zu\",\"text\":\"%s\"},"
		"\"metadata\":{\"source\":\"bench\",\"tags\":[\"t%zu\"]}}",
		index, text, index % 50);
}

static size_t store_request(void *self, size_t index, char *room, size_t size)
{
	char body[2048];

	row_body(*(size_t *)self + index, body, sizeof body);
	return load_post(room, size, "/tools/store_context", "", body);
}

static void must(sqlite3 *db, int code)
{
	if (code != SQLITE_OK && code != SQLITE_DONE) {
		fprintf(stderr, "benchmark: sqlite: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
}

static double raw_loop(size_t first, size_t rows)
{
	char *directory = process_make_directory();
	char path[256], text[1024], body[2048];
	sqlite3_stmt *row, *index_row;
	int64_t start;
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/raw.db", directory);
	must(NULL, sqlite3_open(path, &db));
	must(db, sqlite3_exec(db,
			 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			 "CREATE TABLE context(rowid INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, created_at "
			 "INTEGER, body TEXT);"
			 "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='porter unicode61 "
			 "remove_diacritics 2');",
			 NULL, NULL, NULL));
	must(db, sqlite3_prepare_v2(db, "INSERT INTO context VALUES(?1,?2,'log',?3,?4)", -1, &row, NULL));
	must(db, sqlite3_prepare_v2(db, "INSERT INTO words(rowid,text) VALUES(?1,?2)", -1, &index_row, NULL));
	start = now_ns();
	for (size_t i = first; i < first + rows; i++) {
		char id[40];

		snprintf(id, sizeof id, "ctx-%016zu", i);
		row_text(i, text, sizeof text);
		row_body(i, body, sizeof body);
		must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
		sqlite3_bind_int64(row, 1, (sqlite3_int64)i + 1);
		sqlite3_bind_text(row, 2, id, -1, SQLITE_STATIC);
		sqlite3_bind_int64(row, 3, (sqlite3_int64)i);
		sqlite3_bind_text(row, 4, body, -1, SQLITE_STATIC);
		must(db, sqlite3_step(row));
		sqlite3_reset(row);
		sqlite3_bind_int64(index_row, 1, (sqlite3_int64)i + 1);
		sqlite3_bind_text(index_row, 2, text, -1, SQLITE_STATIC);
		must(db, sqlite3_step(index_row));
		sqlite3_reset(index_row);
		must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
	}
	start = now_ns() - start;
	sqlite3_finalize(row);
	sqlite3_finalize(index_row);
	sqlite3_close(db);
	process_remove_directory(directory);
	return (double)rows * 1e9 / (double)start;
}

int main(int argc, char **argv)
{
	size_t rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	char *directory = process_make_directory();
	struct server_process server = process_serve(directory);
	double ours[ROUNDS], raw[ROUNDS], ratios[ROUNDS];
	struct spread rate, base, ratio;

	printf("%zu rows of about 550 bytes a round, %d connections, %d rounds\n", rows, CONNECTIONS, ROUNDS);
	printf("round  context-store/s  raw SQLite/s  ratio   p50 ms   p99 ms  server CPU us/row  failed\n");
	for (size_t i = 0; i < ROUNDS; i++) {
		size_t first = i * rows;
		struct load load = {server.port, CONNECTIONS, rows, store_request, &first};
		int64_t cpu = process_cpu_ns(server.pid);
		struct load_result result;

		raw[i] = raw_loop(first, rows / 4);
		result = load_run(&load);
		cpu = process_cpu_ns(server.pid) - cpu;
		ours[i] = (double)result.done * 1e9 / (double)result.elapsed_ns;
		ratios[i] = ours[i] / raw[i];
		printf("%5zu  %15.0f  %12.0f  %5.2f  %7.2f  %7.2f  %17.1f  %6zu\n", i + 1, ours[i], raw[i], ratios[i],
			load_percentile_us(&result, 50) / 1e3, load_percentile_us(&result, 99) / 1e3,
			(double)cpu / 1e3 / (double)rows, result.failed);
	}
	rate = stats_spread(ours, ROUNDS);
	base = stats_spread(raw, ROUNDS);
	ratio = stats_spread(ratios, ROUNDS);
	printf("median context-store %.0f/s (%.0f to %.0f), raw %.0f/s, ratio %.2f (%.2f to %.2f)\n", rate.median,
		rate.lowest, rate.highest, base.median, ratio.median, ratio.lowest, ratio.highest);
	process_stop(server.pid);
	process_remove_directory(directory);
	return 0;
}
