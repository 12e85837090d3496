/* Reading contexts: by id, by filter, their history, and how many there are.
 *
 * A context comes from its narrow row and its document in one join. Everything is copied to the op's arena. A list asks
 * for row numbers first and loads only its page, so that the filter never touches a document. */
#include "engine/context_filter.h"
#include "engine/parts.h"
#include "engine/removal.h"

#include "base/json.h"
#include "base/utf8.h"

#include <sys/stat.h>

#define PARSE_MAX (256u << 20)

#define COLUMNS                                                                                                        \
	"c.row, c.id, c.version, c.created_at, c.updated_at, c.content_hash, c.type, c.namespace, c.agent_id, "        \
	"c.status,"                                                                                                    \
	" c.source, c.author, c.priority, c.title, c.tags, d.content, d.metadata"

static bool read_context(sqlite3_stmt *stmt, struct arena *arena, struct context *c)
{
	struct slice *const texts[8] = {
		&c->type, &c->namespace_, &c->agent_id, &c->status, &c->source, &c->author, &c->priority, &c->title};

	c->version = (uint64_t)sqlite3_column_int64(stmt, 2);
	c->created_at = sqlite3_column_int64(stmt, 3);
	c->updated_at = sqlite3_column_int64(stmt, 4);
	c->content_hash = (uint64_t)sqlite3_column_int64(stmt, 5);
	for (int i = 0; i < 8; i++)
		if (!sql_copy(stmt, 6 + i, arena, texts[i]))
			return false;
	return sql_copy(stmt, 1, arena, &c->id) &&
	       filter_unframe_tags(arena, sql_text(stmt, 14), &c->tags, &c->tag_count) &&
	       sql_copy(stmt, 15, arena, &c->content) && sql_copy(stmt, 16, arena, &c->metadata);
}

static enum cs_status read_relations(
	struct sql *sql, struct arena *arena, int64_t row, struct context *c, struct cs_error *err)
{
	static const char text[] = "SELECT type, target FROM edges WHERE source = ?1 ORDER BY type, target LIMIT ?2";
	struct context_relation *relations = arena_array(arena, CONTEXT_RELATIONS_MAX, sizeof *relations);
	size_t count = 0;
	sqlite3_stmt *stmt = NULL;
	bool more = true;
	enum cs_status status = relations ? sql_prepare(sql, text, &stmt, err) : cs_fail_memory(err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, row);
	sql_bind_i64(stmt, 2, CONTEXT_RELATIONS_MAX);
	while (status == CS_OK) {
		status = sql_step(sql, stmt, &more, err);
		if (status != CS_OK || !more)
			break;
		if (!sql_copy(stmt, 0, arena, &relations[count].type) ||
			!sql_copy(stmt, 1, arena, &relations[count].target))
			status = cs_fail_memory(err);
		else if (utf8_length(relations[count].type) < 0 || utf8_length(relations[count].target) < 0)
			status = sql_damaged(sql, "a relationship", err);
		else
			count++;
	}
	sql_finish(stmt);
	c->relations = relations;
	c->relation_count = count;
	return status;
}

/* Read as a message is, with room for what is kept around it. Costs a microsecond per 200 bytes. */
static bool is_object(struct slice text)
{
	struct json_doc doc;
	struct arena arena;
	bool good;

	arena_init(&arena, NULL, 0, PARSE_MAX);
	good = json_parse(&arena, text, (struct json_limits){JSON_WRITE_DEPTH_MAX, JSON_NODES_MAX}, &doc, NULL) ==
		       CS_OK &&
	       json_type_of(&doc, 0) == JSON_OBJECT;
	arena_release(&arena);
	return good;
}

static bool is_sound(const struct context *c)
{
	const struct slice texts[] = {c->id, c->type, c->source, c->title};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (utf8_length(texts[i]) < 0)
			return false;
	return is_object(c->content) && is_object(c->metadata);
}

/* The statement has its one parameter bound. *ret_found is false if it has no row. */
static enum cs_status load(struct sql *sql, sqlite3_stmt *stmt, struct arena *arena, bool with_relations,
	struct context *ret_context, bool *ret_found, struct cs_error *err)
{
	int64_t row = 0;
	bool found;
	enum cs_status status = sql_step(sql, stmt, &found, err);

	if (status == CS_OK && found) {
		row = sqlite3_column_int64(stmt, 0);
		status = read_context(stmt, arena, ret_context) ? CS_OK : cs_fail_memory(err);
	}
	if (status == CS_OK && found && !is_sound(ret_context))
		status = sql_damaged(sql, "a context", err);
	sql_finish(stmt);
	if (status == CS_OK && found && with_relations)
		status = read_relations(sql, arena, row, ret_context, err);
	*ret_found = status == CS_OK && found;
	return status;
}

#define GET "SELECT " COLUMNS " FROM contexts c JOIN documents d ON d.row = c.row WHERE c.id = ?1 AND c.hidden = 0"

/* Kept by the connection where there is no filter; else the caller's to finalise. */
static enum cs_status prepare_get(struct sql *sql, struct arena *arena, const struct filter *filter,
	sqlite3_stmt **ret_stmt, struct cs_error *err)
{
	static const char all[] = GET;
	struct slice text;

	if (filter_is_empty(filter))
		return sql_prepare(sql, all, ret_stmt, err);
	text = arena_printf(arena, GET SLICE_FMT, SLICE_ARG(buffer_slice(&filter->sql)));
	return text.ptr ? sql_prepare_once(sql, text, ret_stmt, err) : cs_fail_memory(err);
}

static enum cs_status get(struct sql *sql, struct arena *arena, const struct slice *ids, size_t count,
	const struct filter *filter, bool with_relations, struct context *contexts, size_t *ret_filled,
	struct cs_error *err)
{
	sqlite3_stmt *stmt = NULL;
	size_t filled = 0;
	enum cs_status status = prepare_get(sql, arena, filter, &stmt, err);

	for (size_t i = 0; status == CS_OK && i < count; i++) {
		bool found = false;

		sql_bind_text(stmt, 1, ids[i]);
		status = filter_bind(filter, sql, stmt, err);
		if (status == CS_OK)
			status = load(sql, stmt, arena, with_relations, &contexts[filled], &found, err);
		filled += found;
	}
	if (!filter_is_empty(filter))
		sqlite3_finalize(stmt);
	*ret_filled = filled;
	return status;
}

enum cs_status context_get(void *self, struct op *op, const struct slice *ids, size_t count,
	const struct context_filter *from, bool with_relations, struct context **ret_contexts, size_t *ret_count,
	struct cs_error *err)
{
	struct engine *engine = self;
	struct sql *sql;
	struct filter filter;
	struct context *contexts = arena_array(op->arena, count, sizeof *contexts);
	size_t filled = 0;
	enum cs_status status = contexts ? readers_begin(engine->readers, op, &sql, err) : cs_fail_memory(err);

	if (status != CS_OK)
		return status;
	status = filter_compile(&filter, op->arena, from, 2, err);
	if (status == CS_OK)
		status = get(sql, op->arena, ids, count, &filter, with_relations, contexts, &filled, err);
	filter_release(&filter);
	readers_end(engine->readers, sql);
	if (status == CS_OK) {
		*ret_contexts = contexts;
		*ret_count = filled;
	}
	return status;
}

enum cs_status context_select_equal(
	struct sql *sql, const struct context *c, struct arena *arena, struct slice *ret_id, struct cs_error *err)
{
	static const char text[] = "SELECT id FROM contexts WHERE content_hash = ?1 AND namespace IS ?2 AND id <> ?3"
				   " AND hidden = 0 LIMIT 1";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, (int64_t)c->content_hash);
	sql_bind_optional(stmt, 2, c->namespace_);
	sql_bind_text(stmt, 3, c->id);
	status = sql_step(sql, stmt, &row, err);
	if (status == CS_OK && row && !sql_copy(stmt, 0, arena, ret_id))
		status = cs_fail_memory(err);
	sql_finish(stmt);
	return status;
}

enum cs_status context_find_equal(
	void *self, struct op *op, const struct context *c, struct slice *ret_id, struct cs_error *err)
{
	struct engine *engine = self;
	struct slice id = S("");
	struct sql *sql;
	enum cs_status status = readers_begin(engine->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = context_select_equal(sql, c, op->arena, &id, err);
	readers_end(engine->readers, sql);
	if (status == CS_OK)
		*ret_id = id;
	return status;
}

/* Lists. */

static enum cs_status count_matches(
	struct sql *sql, const struct filter *filter, struct arena *arena, uint64_t *ret_total, struct cs_error *err)
{
	struct slice text = arena_printf(arena, "SELECT count(*) FROM contexts c WHERE c.hidden = 0" SLICE_FMT,
		SLICE_ARG(buffer_slice(&filter->sql)));
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = text.ptr ? sql_prepare_once(sql, text, &stmt, err) : cs_fail_memory(err);

	if (status != CS_OK)
		return status;
	status = filter_bind(filter, sql, stmt, err);
	if (status == CS_OK)
		status = sql_step(sql, stmt, &row, err);
	if (status == CS_OK)
		*ret_total = (uint64_t)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return status;
}

static enum cs_status page_rows(struct sql *sql, const struct filter *filter, struct arena *arena, size_t offset,
	size_t limit, int64_t *rows, size_t *ret_count, struct cs_error *err)
{
	struct slice text = arena_printf(arena,
		"SELECT c.row FROM contexts c WHERE c.hidden = 0" SLICE_FMT
		" ORDER BY c.created_at DESC, c.id LIMIT ?1 OFFSET ?2",
		SLICE_ARG(buffer_slice(&filter->sql)));
	sqlite3_stmt *stmt = NULL;
	enum cs_status status = text.ptr ? sql_prepare_once(sql, text, &stmt, err) : cs_fail_memory(err);

	if (status != CS_OK)
		return status;
	sql_bind_i64(stmt, 1, (int64_t)limit);
	sql_bind_i64(stmt, 2, (int64_t)offset);
	status = filter_bind(filter, sql, stmt, err);
	if (status == CS_OK)
		status = sql_read_rows(sql, stmt, rows, limit, ret_count, err);
	sqlite3_finalize(stmt);
	return status;
}

static enum cs_status load_rows(struct sql *sql, struct arena *arena, const int64_t *rows, size_t count,
	bool with_relations, struct context *contexts, struct cs_error *err)
{
	static const char text[] =
		"SELECT " COLUMNS " FROM contexts c JOIN documents d ON d.row = c.row WHERE c.row = ?1";
	sqlite3_stmt *stmt = NULL;
	bool found;
	enum cs_status status = sql_prepare(sql, text, &stmt, err);

	for (size_t i = 0; status == CS_OK && i < count; i++) {
		sql_bind_i64(stmt, 1, rows[i]);
		status = load(sql, stmt, arena, with_relations, &contexts[i], &found, err);
		if (status == CS_OK && !found)
			status = cs_fail(err, CS_STORAGE,
				"%s is damaged: context %lld has no document; run context-store doctor", sql->path,
				(long long)rows[i]);
	}
	return status;
}

struct list_result {
	struct context *contexts;
	size_t count;
	uint64_t total;
};

static enum cs_status list(struct sql *sql, struct arena *arena, const struct filter *filter, size_t offset,
	size_t limit, bool with_relations, struct list_result *ret_result, struct cs_error *err)
{
	struct list_result result = {0};
	int64_t *rows = NULL;
	enum cs_status status = count_matches(sql, filter, arena, &result.total, err);

	if (status == CS_OK && offset < result.total) {
		uint64_t left = result.total - offset;
		size_t room = left < limit ? (size_t)left : limit;

		rows = arena_array(arena, room, sizeof *rows);
		result.contexts = arena_array(arena, room, sizeof *result.contexts);
		if (!rows || !result.contexts)
			return cs_fail_memory(err);
		status = page_rows(sql, filter, arena, offset, room, rows, &result.count, err);
	}
	if (status == CS_OK)
		status = load_rows(sql, arena, rows, result.count, with_relations, result.contexts, err);
	if (status == CS_OK)
		*ret_result = result;
	return status;
}

enum cs_status context_list(void *self, struct op *op, const struct context_filter *from, size_t offset, size_t limit,
	bool with_relations, struct context **ret_contexts, size_t *ret_count, uint64_t *ret_total,
	struct cs_error *err)
{
	struct engine *engine = self;
	struct sql *sql;
	struct filter filter;
	struct list_result result = {0};
	enum cs_status status = readers_begin(engine->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = filter_compile(&filter, op->arena, from, 3, err);
	if (status == CS_OK)
		status = list(sql, op->arena, &filter, offset, limit, with_relations, &result, err);
	filter_release(&filter);
	readers_end(engine->readers, sql);
	if (status == CS_OK) {
		*ret_contexts = result.contexts;
		*ret_count = result.count;
		*ret_total = result.total;
	}
	return status;
}

/* History. */

struct history {
	struct context_history_entry *entries;
	size_t count, room;
};

static enum cs_status add_entry(struct history *h, struct arena *arena, sqlite3_stmt *stmt, struct cs_error *err)
{
	struct context_history_entry *entry;

	if (h->count == h->room) {
		size_t room = h->room ? h->room * 2 : 16;
		struct context_history_entry *grown = arena_array(arena, room, sizeof *grown);

		if (!grown)
			return cs_fail_memory(err);
		if (h->count)
			memcpy(grown, h->entries, h->count * sizeof *grown);
		h->entries = grown;
		h->room = room;
	}
	entry = &h->entries[h->count];
	entry->version = (uint64_t)sqlite3_column_int64(stmt, 0);
	entry->updated_at = sqlite3_column_int64(stmt, 1);
	if (!sql_copy(stmt, 2, arena, &entry->content) || !sql_copy(stmt, 3, arena, &entry->metadata))
		return cs_fail_memory(err);
	h->count++;
	return CS_OK;
}

enum cs_status context_history(void *self, struct op *op, struct slice id, struct context_history_entry **ret_entries,
	size_t *ret_count, struct cs_error *err)
{
	static const char text[] =
		"SELECT c.version AS v, c.updated_at, d.content, d.metadata FROM contexts c JOIN documents d ON d.row "
		"= c.row"
		" WHERE c.id = ?1 AND c.hidden = 0 UNION ALL"
		" SELECT h.version, h.updated_at, h.content, h.metadata FROM contexts c JOIN history h ON h.row = c.row"
		" WHERE c.id = ?1 AND c.hidden = 0 ORDER BY v DESC";
	struct engine *engine = self;
	struct history history = {0};
	struct sql *sql;
	sqlite3_stmt *stmt = NULL;
	bool row = true;
	enum cs_status status = readers_begin(engine->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = sql_prepare(sql, text, &stmt, err);
	if (status == CS_OK) {
		sql_bind_text(stmt, 1, id);
		while (status == CS_OK) {
			status = sql_step(sql, stmt, &row, err);
			if (status != CS_OK || !row)
				break;
			status = add_entry(&history, op->arena, stmt, err);
		}
		sql_finish(stmt);
	}
	readers_end(engine->readers, sql);
	if (status == CS_OK && history.count == 0)
		return cs_fail(err, CS_NOT_FOUND, "no context with the id " SLICE_FMT, SLICE_ARG(id));
	if (status == CS_OK) {
		*ret_entries = history.entries;
		*ret_count = history.count;
	}
	return status;
}

static uint64_t file_size(const char *path, const char *suffix)
{
	char name[SQL_PATH_MAX + 8];
	struct stat st;

	snprintf(name, sizeof name, "%s%s", path, suffix);
	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

enum cs_status context_counts(void *self, struct op *op, struct context_counts *ret_counts, struct cs_error *err)
{
	static const char text[] =
		"SELECT (SELECT count(*) FROM contexts WHERE hidden = 0),"
		" (SELECT count(*) FROM edges e JOIN contexts c ON c.row = e.source WHERE c.hidden = 0),"
		" (SELECT count(*) FROM kv WHERE expires_at IS NULL OR expires_at > ?1)";
	struct engine *engine = self;
	struct context_counts counts = {0};
	struct sql *sql;
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = readers_begin(engine->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = sql_prepare(sql, text, &stmt, err);
	if (status == CS_OK) {
		sql_bind_i64(stmt, 1, clock_wall_ms());
		status = sql_step(sql, stmt, &row, err);
		counts.contexts = (uint64_t)sqlite3_column_int64(stmt, 0);
		counts.relationships = (uint64_t)sqlite3_column_int64(stmt, 1);
		counts.keys = (uint64_t)sqlite3_column_int64(stmt, 2);
		sql_finish(stmt);
	}
	readers_end(engine->readers, sql);
	counts.file_bytes = file_size(engine->path, "") + file_size(engine->path, "-wal");
	if (status == CS_OK)
		*ret_counts = counts;
	return status;
}
