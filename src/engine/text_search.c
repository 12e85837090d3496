/* Search by words, on FTS5.
 *
 * The query is split by the index's own tokenizer, so that it has the words the index has; each distinct word is quoted
 * and they are joined with OR. Nothing of what the user typed is query syntax.
 *
 * One pass over the matches gives everything: rows that pass the filter are counted, scored and offered to a heap of
 * offset + limit entries. FTS5's own ORDER BY rank sorts all matches and cannot count them; a second statement for the
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

struct words {
	struct arena *arena;
	struct slice text;
	struct word *items;
	uint32_t *slots; /* open addressing: index + 1 into items */
	size_t count;
	enum cs_status status;
};

#define WORD_SLOTS (TEXT_WORDS_MAX * 4)

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
	struct words *w = self;
	struct slice stem = {token, (size_t)length};
	uint32_t at = hash_bytes(stem) % WORD_SLOTS;

	(void)flags;
	for (; w->slots[at]; at = (at + 1) % WORD_SLOTS)
		if (slice_eq(w->items[w->slots[at] - 1].stem, stem))
			return SQLITE_OK;
	if (w->count == TEXT_WORDS_MAX) {
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

static int tokenize(struct sql *sql, struct words *words)
{
	static const char *arguments[] = {"unicode61", "remove_diacritics", "2"};
	fts5_api *api = text_api(sql);
	fts5_tokenizer module;
	Fts5Tokenizer *tokenizer;
	void *user;
	int code = api ? api->xFindTokenizer(api, "porter", &user, &module) : SQLITE_ERROR;

	if (code == SQLITE_OK)
		code = module.xCreate(user, arguments, 3, &tokenizer);
	if (code != SQLITE_OK)
		return code;
	code = module.xTokenize(tokenizer, words, FTS5_TOKENIZE_QUERY, words->text.ptr, (int)words->text.len, on_token);
	module.xDelete(tokenizer);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static enum cs_status split(
	struct sql *sql, struct arena *arena, struct slice text, struct words *ret_words, struct cs_error *err)
{
	struct words words = {.arena = arena, .text = text};
	int code;

	words.items = arena_array(arena, TEXT_WORDS_MAX, sizeof *words.items);
	words.slots = arena_array(arena, WORD_SLOTS, sizeof *words.slots);
	if (!words.items || !words.slots || text.len > INT32_MAX)
		return cs_fail_memory(err);
	code = text.len ? tokenize(sql, &words) : SQLITE_OK;
	if (code != SQLITE_OK)
		return sql_fail(sql, code, err);
	if (words.status != CS_OK)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "the query has more than %d different words; ask with fewer",
			TEXT_WORDS_MAX);
	*ret_words = words;
	return CS_OK;
}

/* "one" OR "two": words hold letters and digits only, so there is nothing to escape. */
static struct slice match_expression(struct arena *arena, const struct words *words)
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

/* The best of all: a heap with the worst of those kept on top. */

struct match {
	int64_t row;
	int64_t created_at;
	double score;
};

struct best {
	struct match *heap;
	size_t count, room;
	enum text_order order;
};

/* Does a come before b in the result? */
static bool before(enum text_order order, const struct match *a, const struct match *b)
{
	if (order == TEXT_BY_DATE && a->created_at != b->created_at)
		return a->created_at > b->created_at;
	if (order == TEXT_BY_SCORE && a->score != b->score)
		return a->score > b->score;
	return a->row > b->row;
}

static void sift_down(struct best *best, size_t at)
{
	struct match moved = best->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= best->count)
			break;
		if (child + 1 < best->count && before(best->order, &best->heap[child], &best->heap[child + 1]))
			child++;
		if (!before(best->order, &moved, &best->heap[child]))
			break;
		best->heap[at] = best->heap[child];
		at = child;
	}
	best->heap[at] = moved;
}

static void sift_up(struct best *best, size_t at)
{
	struct match moved = best->heap[at];

	while (at > 0 && before(best->order, &best->heap[(at - 1) / 2], &moved)) {
		best->heap[at] = best->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	best->heap[at] = moved;
}

static void offer(struct best *best, const struct match *match)
{
	if (best->count < best->room) {
		best->heap[best->count++] = *match;
		sift_up(best, best->count - 1);
	} else if (best->room && before(best->order, match, &best->heap[0])) {
		best->heap[0] = *match;
		sift_down(best, 0);
	}
}

/* Best first. Afterwards the heap is a sorted array. */
static void sort(struct best *best)
{
	size_t count = best->count;

	while (best->count > 1) {
		struct match worst = best->heap[0];

		best->heap[0] = best->heap[--best->count];
		sift_down(best, 0);
		best->heap[best->count] = worst;
	}
	best->count = count;
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

static enum cs_status walk(
	struct sql *sql, sqlite3_stmt *stmt, struct best *best, struct text_result *result, struct cs_error *err)
{
	bool row = true;
	enum cs_status status = CS_OK;

	while (status == CS_OK) {
		struct match match;

		status = sql_step(sql, stmt, &row, err);
		if (status != CS_OK || !row)
			break;
		match.row = sqlite3_column_int64(stmt, 0);
		match.score = sqlite3_column_double(stmt, 1);
		match.created_at = sqlite3_column_int64(stmt, 2);
		result->total++;
		if (match.score > result->top_score)
			result->top_score = match.score;
		offer(best, &match);
	}
	return status;
}

static enum cs_status find_matches(struct sql *sql, struct arena *arena, const struct text_query *query,
	struct slice expression, struct best *best, struct text_result *result, struct cs_error *err)
{
	struct filter filter;
	struct slice text = {0};
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = filter_compile(&filter, arena, query->filter, 2, err);

	if (status == CS_OK) {
		text = statement_text(arena, &filter, query->order);
		status = text.ptr ? sql_prepare_once(sql, text, &stmt, err) : cs_fail_memory(err);
	}
	if (status == CS_OK) {
		sql_bind_text(stmt, 1, expression);
		status = filter_bind(&filter, sql, stmt, err);
	}
	if (status == CS_OK)
		status = walk(sql, stmt, best, result, err);
	sqlite3_finalize(stmt);
	filter_release(&filter);
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
		const struct match *match = &best->heap[offset + i];
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

static enum cs_status search(struct sql *sql, struct arena *arena, const struct text_query *query,
	struct text_result *result, struct cs_error *err)
{
	struct words words = {0};
	struct slice expression;
	struct best best = {.room = query->offset + query->limit, .order = query->order};
	enum cs_status status = split(sql, arena, query->text, &words, err);

	if (status != CS_OK)
		return status;
	result->no_words = words.count == 0;
	if (result->no_words)
		return CS_OK;
	expression = match_expression(arena, &words);
	best.heap = malloc((best.room ? best.room : 1) * sizeof *best.heap);
	if (!expression.ptr || !best.heap)
		status = cs_fail_memory(err);
	if (status == CS_OK)
		status = find_matches(sql, arena, query, expression, &best, result, err);
	if (status == CS_OK) {
		sort(&best);
		status = name_hits(sql, arena, &best, query->offset, result, err);
	}
	free(best.heap);
	return status;
}

enum cs_status text_search(
	void *self, struct op *op, const struct text_query *query, struct text_result *ret_result, struct cs_error *err)
{
	struct engine *engine = self;
	struct text_result result = {0};
	struct sql *sql;
	enum cs_status status;

	if (query->offset > TEXT_WINDOW_MAX || query->limit > TEXT_WINDOW_MAX - query->offset)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "a search gives its best %d matches; narrow it with filters",
			TEXT_WINDOW_MAX);
	status = readers_begin(engine->readers, op, &sql, err);
	if (status != CS_OK)
		return status;
	status = search(sql, op->arena, query, &result, err);
	readers_end(engine->readers, sql);
	if (status == CS_OK)
		*ret_result = result;
	return status;
}
