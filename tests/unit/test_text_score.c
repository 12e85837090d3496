/* text_score against FTS5's own bm25, which is what it must agree with to the last bit, and against damaged lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "engine/text_score.h"

#define ROWS 3000

static void must(sqlite3 *db, const char *text)
{
	char *message = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", text, message);
}

static unsigned next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

/* Lengths of one to some hundred words (two bytes of a varint), frequent words and rare ones, and gaps in the rows. */
static void fill(sqlite3 *db)
{
	sqlite3_stmt *stmt;
	unsigned state = 11;

	must(db, "CREATE VIRTUAL TABLE context_words USING fts5(words, tokenize='porter unicode61 remove_diacritics "
		 "2')");
	must(db, "BEGIN");
	assert_int_equal(
		sqlite3_prepare_v2(db, "INSERT INTO context_words(rowid, words) VALUES(?1, ?2)", -1, &stmt, NULL),
		SQLITE_OK);
	for (int row = 1; row <= ROWS; row++) {
		char words[4096];
		size_t length = (size_t)snprintf(words, sizeof words, "everywhere");
		unsigned count = next_random(&state) % (row % 10 ? 30 : 400);

		for (unsigned i = 0; i < count; i++)
			length += (size_t)snprintf(words + length, sizeof words - length, " w%u",
				next_random(&state) % (1 + next_random(&state) % 200));
		sqlite3_bind_int64(stmt, 1, row + row / 100 * 500LL + (row > ROWS / 2 ? 1LL << 40 : 0));
		sqlite3_bind_text(stmt, 2, words, (int)length, SQLITE_TRANSIENT);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	must(db, "COMMIT");
}

static int open_filled(void **state)
{
	struct sql *sql = calloc(1, sizeof *sql);
	struct cs_error err;

	assert_non_null(sql);
	sql->path = "memory";
	assert_int_equal(sqlite3_open(":memory:", &sql->db), SQLITE_OK);
	assert_int_equal(text_score_register(sql, &err), CS_OK);
	fill(sql->db);
	*state = sql;
	return 0;
}

static int close_filled(void **state)
{
	struct sql *sql = *state;

	assert_int_equal(sqlite3_close(sql->db), SQLITE_OK); /* SQLITE_BUSY if a scorer were left */
	free(sql);
	return 0;
}

static int agree(sqlite3 *db, const char *expression, const char *rest)
{
	char text[512];
	sqlite3_stmt *stmt;
	int rows = 0;

	snprintf(text, sizeof text,
		"SELECT text_score(context_words), -bm25(context_words) FROM context_words WHERE context_words MATCH "
		"?1 %s",
		rest);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_text(stmt, 1, expression, -1, SQLITE_STATIC);
	for (; sqlite3_step(stmt) == SQLITE_ROW; rows++) {
		double ours = sqlite3_column_double(stmt, 0), theirs = sqlite3_column_double(stmt, 1);

		assert_memory_equal(&ours, &theirs, sizeof ours);
	}
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	return rows;
}

static void agrees_with_bm25(void **state)
{
	struct sql *sql = *state;

	assert_int_equal(agree(sql->db, "\"everywhere\"", ""), ROWS);
	assert_int_equal(agree(sql->db, "\"everywhere\" OR \"w1\" OR \"w150\"", ""), ROWS);
	assert_in_range(agree(sql->db, "\"w199\"", ""), 1, ROWS / 10); /* few: the cursor searches */
	assert_int_equal(agree(sql->db, "\"nowhere\"", ""), 0);
	assert_in_range(agree(sql->db, "\"everywhere\" OR \"w0\"", "AND rowid % 97 = 1"), 5, ROWS / 10);
}

/* An order the walk is not made for costs time and nothing else. */
static void any_order_of_rows(void **state)
{
	struct sql *sql = *state;

	assert_int_equal(agree(sql->db, "\"everywhere\" OR \"w3\"", "ORDER BY rowid DESC"), ROWS);
	assert_int_equal(agree(sql->db, "\"everywhere\" OR \"w3\"", "ORDER BY rank"), ROWS);
}

static void damaged_lengths_are_an_error(void **state)
{
	static const char *const damages[] = {
		"UPDATE context_words_docsize SET sz = x'' WHERE id = (SELECT max(id) FROM context_words_docsize)",
		"UPDATE context_words_docsize SET sz = x'80' WHERE id = (SELECT max(id) FROM context_words_docsize)",
		("UPDATE context_words_docsize SET sz = x'808080808080808001' WHERE id = "
		 "(SELECT max(id) FROM context_words_docsize)"),
		"DELETE FROM context_words_docsize WHERE id = (SELECT min(id) FROM context_words_docsize)",
	};
	struct sql *sql = *state;

	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		sqlite3_stmt *stmt;

		must(sql->db, "SAVEPOINT before");
		must(sql->db, damages[i]);
		assert_int_equal(sqlite3_prepare_v2(sql->db,
					 "SELECT max(s) FROM (SELECT text_score(context_words) AS s FROM context_words "
					 "WHERE context_words MATCH 'everywhere' LIMIT -1 OFFSET 0)",
					 -1, &stmt, NULL),
			SQLITE_OK);
		assert_int_not_equal(sqlite3_step(stmt), SQLITE_ROW);
		assert_int_equal(sqlite3_finalize(stmt) & 0xFF, SQLITE_CORRUPT);
		must(sql->db, "ROLLBACK TO before; RELEASE before");
	}
	assert_int_equal(agree(sql->db, "\"everywhere\"", ""), ROWS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(agrees_with_bm25, open_filled, close_filled),
		cmocka_unit_test_setup_teardown(any_order_of_rows, open_filled, close_filled),
		cmocka_unit_test_setup_teardown(damaged_lengths_are_an_error, open_filled, close_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
