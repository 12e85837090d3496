/* Scoring a match, at a cost that a word in every document can bear.
 *
 * FTS5's bm25 asks for the length of each matched row with a statement of its own: a search from the root of a b-tree,
 * more than half of the time of a search whose words stand everywhere. Matches come in the order of their rows, and so
 * do the lengths in their table (context_words_docsize, see sqlite.org/fts5.html, section 9.5), so here a cursor walks
 * beside the matches. Where it would have to step over many rows, because matches are few or a filter drops most, it
 * searches instead. This is how a search with a filter on metadata and one before the words are in memory are scored;
 * the others come from the word index (words.h).
 *
 * A scorer lives as long as its query: FTS5 keeps it (xSetAuxdata) and frees it. */
#include "engine/text_score.h"

#include <stdlib.h>

#define STEP_MAX 16 /* rows stepped over before a search is cheaper */

static const char lengths_text[] = "SELECT id, sz FROM context_words_docsize WHERE id >= ?1 ORDER BY id";

struct scorer {
	sqlite3_stmt *lengths;
	sqlite3_int64 at; /* row the cursor stands on; -1: on none */
	double average;   /* length of all rows */
	int words;
	double weights[]; /* of each word: the rarer, the more */
};

fts5_api *text_api(sqlite3 *db)
{
	/* FTS5 hands it out through a pointer bound to a query (sqlite.org/fts5.html, section 7). */
	fts5_api *api = NULL;
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &stmt, NULL) == SQLITE_OK) {
		sqlite3_bind_pointer(stmt, 1, &api, "fts5_api_ptr", NULL);
		sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	return api;
}

static void scorer_free(void *self)
{
	struct scorer *scorer = self;

	sqlite3_finalize(scorer->lengths);
	free(scorer);
}

static int count_row(const Fts5ExtensionApi *api, Fts5Context *match, void *count)
{
	(void)api;
	(void)match;
	++*(sqlite3_int64 *)count;
	return SQLITE_OK;
}

static int weigh(const Fts5ExtensionApi *api, Fts5Context *match, struct scorer *scorer)
{
	sqlite3_int64 rows = 0, tokens = 0;
	int code = api->xRowCount(match, &rows);

	if (code == SQLITE_OK)
		code = api->xColumnTotalSize(match, -1, &tokens);
	scorer->average = (double)tokens / (double)rows;
	for (int i = 0; code == SQLITE_OK && i < scorer->words; i++) {
		sqlite3_int64 with = 0;

		code = api->xQueryPhrase(match, i, &with, count_row);
		scorer->weights[i] = bm25_weight(rows, with);
	}
	return code;
}

static int scorer_new(
	const Fts5ExtensionApi *api, Fts5Context *match, sqlite3_context *call, struct scorer **ret_scorer)
{
	int words = api->xPhraseCount(match);
	struct scorer *scorer = calloc(1, sizeof *scorer + (size_t)words * sizeof scorer->weights[0]);
	int code;

	if (!scorer)
		return SQLITE_NOMEM;
	scorer->words = words;
	scorer->at = -1;
	code = weigh(api, match, scorer);
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(sqlite3_context_db_handle(call), lengths_text, -1, &scorer->lengths, NULL);
	if (code != SQLITE_OK) {
		scorer_free(scorer);
		return code;
	}
	*ret_scorer = scorer;
	return api->xSetAuxdata(match, scorer, scorer_free); /* frees it if it fails */
}

static int step(struct scorer *scorer)
{
	int code = sqlite3_step(scorer->lengths);

	if (code == SQLITE_ROW)
		scorer->at = sqlite3_column_int64(scorer->lengths, 0);
	return code;
}

/* Brings the cursor to the row. */
static int find(struct scorer *scorer, sqlite3_int64 row)
{
	int code = SQLITE_ROW;

	if (scorer->at >= 0 && scorer->at <= row)
		for (int i = 0; code == SQLITE_ROW && scorer->at < row && i < STEP_MAX; i++)
			code = step(scorer);
	if (code == SQLITE_ROW && scorer->at != row) {
		sqlite3_reset(scorer->lengths);
		sqlite3_bind_int64(scorer->lengths, 1, row);
		code = step(scorer);
	}
	if (code == SQLITE_ROW)
		return scorer->at == row ? SQLITE_OK : SQLITE_CORRUPT_VTAB;
	return code == SQLITE_DONE ? SQLITE_CORRUPT_VTAB : code;
}

/* A length is one varint, as SQLite writes them: seven bits a byte, the highest first; no document has as many words
 * as would need the ninth byte's eight. */
static int find_length(struct scorer *scorer, sqlite3_int64 row, double *ret_tokens)
{
	const unsigned char *bytes;
	uint64_t tokens = 0;
	int count, code = find(scorer, row);

	if (code != SQLITE_OK)
		return code;
	bytes = sqlite3_column_blob(scorer->lengths, 1);
	count = sqlite3_column_bytes(scorer->lengths, 1);
	if (!bytes || count < 1 || count > 8 || bytes[count - 1] & 0x80)
		return SQLITE_CORRUPT_VTAB;
	for (int i = 0; i < count; i++)
		tokens = tokens << 7 | (bytes[i] & 0x7F);
	*ret_tokens = (double)tokens;
	return SQLITE_OK;
}

static int score_row(const Fts5ExtensionApi *api, Fts5Context *match, struct scorer *scorer, double *ret_score)
{
	double length, norm, score = 0;
	int code = find_length(scorer, api->xRowid(match), &length);

	if (code != SQLITE_OK)
		return code;
	norm = bm25_norm(length, scorer->average);
	for (int i = 0; i < scorer->words; i++) {
		Fts5PhraseIter place;
		int column, offset;
		double times = 0;

		code = api->xPhraseFirst(match, i, &place, &column, &offset);
		if (code != SQLITE_OK)
			return code;
		for (; column >= 0; api->xPhraseNext(match, &place, &column, &offset))
			times++;
		score += bm25_part(scorer->weights[i], times, norm);
	}
	*ret_score = score;
	return SQLITE_OK;
}

static void text_score(
	const Fts5ExtensionApi *api, Fts5Context *match, sqlite3_context *call, int count, sqlite3_value **arguments)
{
	struct scorer *scorer = api->xGetAuxdata(match, 0);
	int code = SQLITE_OK;
	double score;

	(void)count;
	(void)arguments;
	if (!scorer)
		code = scorer_new(api, match, call, &scorer);
	if (code == SQLITE_OK)
		code = score_row(api, match, scorer, &score);
	if (code == SQLITE_OK)
		sqlite3_result_double(call, score);
	else
		sqlite3_result_error_code(call, code);
}

enum cs_status text_score_register(struct sql *sql, struct cs_error *err)
{
	fts5_api *api = text_api(sql->db);
	int code = api ? api->xCreateFunction(api, "text_score", NULL, text_score, NULL) : SQLITE_ERROR;

	return code == SQLITE_OK ? CS_OK : sql_fail(sql, code, err);
}
