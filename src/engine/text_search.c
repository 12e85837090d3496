/* Search by words: in memory where it can be, else on FTS5.
 *
 * The query is split by the index's own tokenizer, so that it has the words the index has; each distinct word is quoted
 * and they are joined with OR. Nothing of what the user typed is query syntax.
 *
 * A search by score is answered by the mirror of words once that is loaded (words.h), without a visit to the file; with
 * a filter, if the mirror of contexts is loaded as well (vectors.h) and can judge it (attributes.h). What follows is about
 * FTS5, which answers all others, with the same scores and totals.
 *
 * One pass over the matches gives everything: rows that pass the filter are counted and scored, and the best offset + limit
 * of them kept (best.h). FTS5's own ORDER BY rank sorts all matches and cannot count them; a second statement for the
 * count would do the matching twice. Scores are BM25's (text_score.h). Equal scores: the newer row first.
 *
 * Cost: a fifth of a microsecond for each match, and half as much for each further word in it. The deadline is looked
 * at between rows. */
#include "engine/context_filter.h"
#include "engine/parts.h"
#include "engine/text_score.h"

#define TEXT_WORDS_MAX  1024
#define TEXT_WINDOW_MAX 100000 /* offset + limit */

/* Splitting. */

struct word {
	struct slice as_typed;
	struct slice stem;
};

struct words_of_query {
	struct arena *arena;
	struct slice text;
	struct word *items;
	uint32_t *slots; /* open addressing: index + 1 into items */
	size_t count, room, slot_count;
	enum cs_status status;
};

static uint32_t hash_bytes(struct slice text)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.ptr[i]) * 16777619u;
	return hash;
}

/* Called for each token, its bytes and where in the text it came from. */
static int on_token(void *self, int flags, const char *token, int length, int start, int end)
{
	struct words_of_query *w = self;
	struct slice stem = {token, (size_t)length};
	uint32_t at = hash_bytes(stem) & (uint32_t)(w->slot_count - 1);

	(void)flags;
	for (; w->slots[at]; at = (at + 1) & (uint32_t)(w->slot_count - 1))
		if (slice_eq(w->items[w->slots[at] - 1].stem, stem))
			return SQLITE_OK;
	if (w->count == w->room) {
		w->status = CS_LIMIT_EXCEEDED;
		return SQLITE_DONE;
	}
	stem = arena_copy(w->arena, stem);
	if (!stem.ptr)
		return SQLITE_NOMEM;
	w->items[w->count] = (struct word){.as_typed = {w->text.ptr + start, (size_t)(end - start)}, .stem = stem};
	w->slots[at] = (uint32_t)++w->count;
	return SQLITE_OK;
}

/* A word and what parts it from the next take two bytes at least. */
static enum cs_status split(struct tokenizers *tokenizers, struct arena *arena, struct slice text,
	struct words_of_query *ret_words, struct cs_error *err)
{
	struct words_of_query words = {.arena = arena, .text = text, .slot_count = 16};
	int code;

	words.room = text.len / 2 + 1 < TEXT_WORDS_MAX ? text.len / 2 + 1 : TEXT_WORDS_MAX;
	while (words.slot_count < words.room * 2)
		words.slot_count *= 2;
	words.items = arena_alloc(arena, words.room * sizeof *words.items);
	words.slots = arena_array(arena, words.slot_count, sizeof *words.slots);
	if (!words.items || !words.slots || text.len > INT32_MAX)
		return cs_fail_memory(err);
	code = tokenizers_run(tokenizers, text, on_token, &words);
	if (code == SQLITE_NOMEM)
		return cs_fail_memory(err);
	if (code != SQLITE_OK)
		return cs_fail(err, CS_STORAGE, "the query cannot be split into words: %s", sqlite3_errstr(code));
	if (words.status != CS_OK)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "the query has more than %d different words; ask with fewer",
			TEXT_WORDS_MAX);
	*ret_words = words;
	return CS_OK;
}

/* "one" OR "two": words hold letters and digits only, so there is nothing to escape. */
static struct slice match_expression(struct arena *arena, const struct words_of_query *words)
{
	size_t length = 0;
	char *text, *at;

	for (size_t i = 0; i < words->count; i++)
		length += words->items[i].as_typed.len + 6;
	text = at = arena_alloc(arena, length);
	if (!text)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < words->count; i++) {
		struct slice word = words->items[i].as_typed;

		if (i) {
			memcpy(at, " OR ", 4);
			at += 4;
		}
		*at++ = '"';
		memcpy(at, word.ptr, word.len);
		at += word.len;
		*at++ = '"';
	}
	return slice_of(text, (size_t)(at - text));
}

/* Searching. */

static struct slice statement_text(struct arena *arena, const struct filter *filter, enum text_order order)
{
	if (filter_is_empty(filter) && order == TEXT_BY_SCORE)
		return S("SELECT f.rowid, text_score(context_words), 0 FROM context_words f WHERE context_words MATCH "
			 "?1");
	/* CROSS JOIN keeps this order: the index first, then each match's narrow row. */
	return arena_printf(arena,
		"SELECT f.rowid, text_score(context_words), c.created_at FROM context_words f CROSS JOIN contexts c ON "
		"c.row "
		"= f.rowid"
		" WHERE context_words MATCH ?1" SLICE_FMT,
		SLICE_ARG(buffer_slice(&filter->sql)));
}

static enum cs_status walk(struct sql *sql, sqlite3_stmt *stmt, struct best *best, struct text_result *result,
	int64_t *ret_last_row, struct cs_error *err)
{
	bool row = true;
	enum cs_status status = CS_OK;

	*ret_last_row = 0;
	while (status == CS_OK) {
		struct match match = {0};

		status = sql_step(sql, stmt, &row, err);
		if (status != CS_OK || !row)
			break;
		match.row = sqlite3_column_int64(stmt, 0);
		match.score = sqlite3_column_double(stmt, 1);
		match.created_at = sqlite3_column_int64(stmt, 2);
		*ret_last_row = match.row;
		if (match.score > result->top_score)
			result->top_score = match.score;
		if (match.score < best->least)
			continue;
		result->total++;
		best_offer(best, &match);
	}
	return status;
}

static enum cs_status find_matches(struct sql *sql, struct arena *arena, const struct filter *filter,
	struct slice expression, struct best *best, struct text_result *result, int64_t *ret_last_row,
	struct cs_error *err)
{
	struct slice text = statement_text(arena, filter, best->order);
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = text.ptr ? sql_prepare_once(sql, text, &stmt, err) : cs_fail_memory(err);

	if (status == CS_OK) {
		sql_bind_text(stmt, 1, expression);
		status = filter_bind(filter, sql, stmt, err);
	}
	if (status == CS_OK)
		status = walk(sql, stmt, best, result, ret_last_row, err);
	sqlite3_finalize(stmt);
	return status;
}

static enum cs_status name_hits(struct sql *sql, struct arena *arena, const struct best *best, size_t offset,
	struct text_result *result, struct cs_error *err)
{
	static const char text[] = "SELECT id FROM contexts WHERE row = ?1";
	size_t count = best->count > offset ? best->count - offset : 0;
	struct text_hit *hits = arena_array(arena, count, sizeof *hits);
	sqlite3_stmt *stmt = NULL;
	enum cs_status status;

	if (!hits)
		return cs_fail_memory(err);
	status = sql_prepare(sql, text, &stmt, err);
	for (size_t i = 0; status == CS_OK && i < count; i++) {
		const struct match *match = &best->items[offset + i];
		bool row;

		sql_bind_i64(stmt, 1, match->row);
		status = sql_step(sql, stmt, &row, err);
		if (status == CS_OK && !row)
			status = cs_fail(err, CS_STORAGE,
				"%s is damaged: the index names context %lld; run context-store doctor", sql->path,
				(long long)match->row);
		if (status == CS_OK && !sql_copy(stmt, 0, arena, &hits[i].id))
			status = cs_fail_memory(err);
		hits[i].score = match->score;
		sql_finish(stmt);
	}
	result->hits = hits;
	result->count = count;
	return status;
}

static enum cs_status search_file(struct engine *engine, const struct op *op, const struct filter *filter,
	const struct words_of_query *words, const struct text_query *query, struct best *best,
	struct text_result *result, struct cs_error *err)
{
	struct slice expression = match_expression(op->arena, words);
	int64_t last_row = 0;
	struct sql *sql;
	enum cs_status status = expression.ptr ? CS_OK : cs_fail_memory(err);

	if (status == CS_OK)
		status = readers_begin(engine->readers, op, &sql, err);
	if (status != CS_OK)
		return status;
	status = find_matches(sql, op->arena, filter, expression, best, result, &last_row, err);
	if (status == CS_OK) {
		best_sort(best);
		status = name_hits(sql, op->arena, best, query->offset, result, err);
	}
	readers_end(engine->readers, sql);
	if (status == CS_OK && query->order == TEXT_BY_SCORE && attributes_answer(query->filter))
		words_walked(engine->words, result->total, last_row);
	return status;
}

static enum cs_status name_from_memory(const struct word_index *index, struct arena *arena, const struct best *best,
	size_t offset, struct text_result *result, struct cs_error *err)
{
	size_t count = best->count > offset ? best->count - offset : 0;
	struct text_hit *hits = arena_array(arena, count, sizeof *hits);

	if (!hits)
		return cs_fail_memory(err);
	for (size_t i = 0; i < count; i++) {
		const struct match *match = &best->items[offset + i];

		hits[i] = (struct text_hit){arena_copy(arena, word_index_id(index, match->doc)), match->score};
		if (!hits[i].id.ptr)
			return cs_fail_memory(err);
	}
	result->hits = hits;
	result->count = count;
	return CS_OK;
}

/* Holds the mirror of words. */
static enum cs_status search_memory(const struct word_index *index, const struct op *op,
	const struct words_of_query *words, const struct row_set *among, size_t offset, struct best *best,
	struct text_result *result, struct cs_error *err)
{
	struct slice *stems = arena_array(op->arena, words->count, sizeof *stems);
	enum cs_status status;

	if (!stems)
		return cs_fail_memory(err);
	for (size_t i = 0; i < words->count; i++)
		stems[i] = words->items[i].stem;
	status =
		word_index_search(index, op, stems, words->count, among, best, &result->total, &result->top_score, err);
	if (status != CS_OK)
		return status;
	best_sort(best);
	return name_from_memory(index, op->arena, best, offset, result, err);
}

/* What a search in memory may look at. False: the file has to be asked. */
static bool select_in_memory(struct engine *engine, const struct op *op, const struct text_query *query,
	struct row_set *set, enum cs_status *ret_status, struct cs_error *err)
{
	struct vectors_view view;

	if (!attributes_answer(query->filter))
		return false;
	if (!vectors_try_begin(engine->vectors, &view)) {
		engine_warm(engine);
		return false;
	}
	*ret_status = attribute_table_select(view.attributes, op->arena, query->filter, set, err);
	vectors_end(engine->vectors);
	return true;
}

/* False: nothing was done, the file has to be asked. */
static bool try_memory(struct engine *engine, const struct op *op, const struct text_query *query, bool filtered,
	const struct words_of_query *words, struct best *best, struct text_result *result, enum cs_status *ret_status,
	struct cs_error *err)
{
	const struct word_index *index;
	struct row_set set;

	*ret_status = CS_OK;
	if (query->order != TEXT_BY_SCORE || !words_loaded(engine->words))
		return false;
	if (filtered && !select_in_memory(engine, op, query, &set, ret_status, err))
		return false;
	if (*ret_status != CS_OK)
		return true;
	index = words_begin(engine->words);
	if (!index)
		return false;
	*ret_status = search_memory(index, op, words, filtered ? &set : NULL, query->offset, best, result, err);
	words_end(engine->words);
	return true;
}

static enum cs_status search(struct engine *engine, const struct op *op, const struct text_query *query,
	const struct filter *filter, struct text_result *result, struct cs_error *err)
{
	struct words_of_query words = {0};
	struct best best = {0};
	enum cs_status status = split(engine->tokenizers, op->arena, query->text, &words, err);

	if (status != CS_OK)
		return status;
	result->no_words = words.count == 0;
	if (result->no_words)
		return CS_OK;
	status = best_init(&best, query->offset + query->limit, query->order, err);
	if (status != CS_OK)
		return status;
	best.least = query->least_score;
	best.in_order = query->in_order;
	if (!try_memory(engine, op, query, !filter_is_empty(filter), &words, &best, result, &status, err))
		status = search_file(engine, op, filter, &words, query, &best, result, err);
	best_release(&best);
	return status;
}

enum cs_status text_search(
	void *self, struct op *op, const struct text_query *query, struct text_result *ret_result, struct cs_error *err)
{
	struct text_result result = {0};
	struct filter filter;
	enum cs_status status = op_check(op, err);

	if (query->offset > TEXT_WINDOW_MAX || query->limit > TEXT_WINDOW_MAX - query->offset)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "a search gives its best %d matches; narrow it with filters",
			TEXT_WINDOW_MAX);
	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "a search may wait for a commit");
	if (status != CS_OK)
		return status;
	status = filter_compile(&filter, op->arena, query->filter, 2, err);
	if (status == CS_OK)
		status = search(self, op, query, &filter, &result, err);
	filter_release(&filter);
	if (status == CS_OK)
		*ret_result = result;
	return status;
}
