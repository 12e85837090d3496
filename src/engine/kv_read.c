/* Reading agent state: one key from the mirror or the file, all keys of an owner from the file.
 *
 * Time to live is judged here on every read, so a value is gone at its millisecond whether or not it was swept. */
#include "base/utf8.h"
#include "engine/parts.h"

static bool is_live(const struct hot_value *value, int64_t now_ms)
{
	return !value->absent && now_ms < value->expires_at_ms;
}

/* The stored value, expired or not, or an absent one. */
static enum cs_status load(struct engine *engine, struct op *op, const struct kv_key *key, struct hot_value **ret_value,
	struct cs_error *err)
{
	static const char text[] = "SELECT version, expires_at, characters, content FROM kv"
				   " WHERE agent_id = ?1 AND prefix = ?2 AND key = ?3";
	struct hot_value *value = NULL;
	struct sql *sql;
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = readers_begin(engine->readers, op, &sql, err);

	if (status != CS_OK)
		return status;
	status = sql_prepare(sql, text, &stmt, err);
	if (status == CS_OK) {
		sql_bind_text(stmt, 1, key->agent_id);
		sql_bind_i64(stmt, 2, key->prefix);
		sql_bind_text(stmt, 3, key->key);
		status = sql_step(sql, stmt, &row, err);
		if (status == CS_OK) {
			if (row && utf8_length(sql_text(stmt, 3)) < 0)
				status = sql_damaged(sql, "a value", err);
			else
				value = row ? hot_value_new(sql_text(stmt, 3)) : hot_value_new_absent();
			if (status == CS_OK && !value)
				status = cs_fail_memory(err);
		}
		if (value && row) {
			value->version = (uint64_t)sqlite3_column_int64(stmt, 0);
			if (sqlite3_column_type(stmt, 1) != SQLITE_NULL)
				value->expires_at_ms = sqlite3_column_int64(stmt, 1);
			value->characters = sqlite3_column_int64(stmt, 2);
		}
		sql_finish(stmt);
	}
	readers_end(engine->readers, sql);
	if (status == CS_OK)
		*ret_value = value;
	return status;
}

enum cs_status kv_get(
	void *self, struct op *op, const struct kv_key *key, struct kv_entry *ret_entry, struct cs_error *err)
{
	struct engine *engine = self;
	struct hot_key hot;
	struct hot_value *value;
	int64_t now_ms;
	enum cs_status status;

	if (!hot_key_make(engine->hot_keys, key, &hot))
		return cs_fail(err, CS_INVALID_KEY, "agent and key are longer than %d bytes together", HOT_KEY_MAX - 2);
	value = hot_keys_get(engine->hot_keys, &hot);
	if (value) {
		metric_add(engine->key_hits, 1);
	} else {
		uint64_t ticket = hot_keys_ticket(engine->hot_keys, &hot);

		status = load(engine, op, key, &value, err);
		if (status != CS_OK)
			return status;
		metric_add(engine->key_misses, 1);
		hot_keys_fill(engine->hot_keys, &hot, ticket, value);
	}
	/* What does not expire is there whatever the time is. */
	now_ms = value->expires_at_ms == HOT_NO_EXPIRY ? 0 : clock_wall_ms();
	if (is_live(value, now_ms))
		status = hot_value_entry(value, now_ms, op->arena, ret_entry, err);
	else
		status = kv_fail_not_found(key, err);
	hot_value_release(value);
	return status;
}

/* Listing. */

struct listing {
	struct sql *sql;
	struct arena *arena;
	const struct kv_key *owner;
	int64_t now_ms;
};

static enum cs_status count_live(const struct listing *l, uint64_t *ret_total, struct cs_error *err)
{
	static const char text[] = "SELECT count(*) FROM kv WHERE agent_id = ?1 AND prefix = ?2"
				   " AND (expires_at IS NULL OR expires_at > ?3)";
	sqlite3_stmt *stmt = NULL;
	bool row;
	enum cs_status status = sql_prepare(l->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, l->owner->agent_id);
	sql_bind_i64(stmt, 2, l->owner->prefix);
	sql_bind_i64(stmt, 3, l->now_ms);
	status = sql_step(l->sql, stmt, &row, err);
	if (status == CS_OK)
		*ret_total = (uint64_t)sqlite3_column_int64(stmt, 0);
	sql_finish(stmt);
	return status;
}

static bool read_row(const struct listing *l, sqlite3_stmt *stmt, struct slice *key, struct kv_entry *entry)
{
	bool expires = sqlite3_column_type(stmt, 2) != SQLITE_NULL;

	entry->version = (uint64_t)sqlite3_column_int64(stmt, 1);
	kv_entry_set_ttl(entry, expires ? sqlite3_column_int64(stmt, 2) - l->now_ms : KV_TTL_NONE);
	entry->characters = sqlite3_column_int64(stmt, 3);
	return sql_copy(stmt, 0, l->arena, key) && sql_copy(stmt, 4, l->arena, &entry->content);
}

static enum cs_status read_page(
	const struct listing *l, struct slice after, size_t limit, struct kv_page *page, struct cs_error *err)
{
	static const char text[] =
		"SELECT key, version, expires_at, characters, content FROM kv"
		" WHERE agent_id = ?1 AND prefix = ?2 AND key > ?3 AND (expires_at IS NULL OR expires_at > ?4)"
		" ORDER BY key LIMIT ?5";
	sqlite3_stmt *stmt = NULL;
	bool row = true;
	enum cs_status status = sql_prepare(l->sql, text, &stmt, err);

	if (status != CS_OK)
		return status;
	sql_bind_text(stmt, 1, l->owner->agent_id);
	sql_bind_i64(stmt, 2, l->owner->prefix);
	sql_bind_text(stmt, 3, after);
	sql_bind_i64(stmt, 4, l->now_ms);
	sql_bind_i64(stmt, 5, (int64_t)limit + 1);
	while (status == CS_OK && !page->more) {
		status = sql_step(l->sql, stmt, &row, err);
		if (status != CS_OK || !row)
			break;
		if (page->count == limit)
			page->more = true;
		else if (!read_row(l, stmt, &page->keys[page->count], &page->entries[page->count]))
			status = cs_fail_memory(err);
		else if (utf8_length(page->keys[page->count]) < 0 ||
			 utf8_length(page->entries[page->count].content) < 0)
			status = sql_damaged(l->sql, "a value", err);
		else
			page->count++;
	}
	sql_finish(stmt);
	return status;
}

enum cs_status kv_list(void *self, struct op *op, const struct kv_key *owner, struct slice after, size_t limit,
	struct kv_page *ret_page, struct cs_error *err)
{
	struct engine *engine = self;
	struct listing l = {.arena = op->arena, .owner = owner, .now_ms = clock_wall_ms()};
	struct kv_page page = {0};
	enum cs_status status = readers_begin(engine->readers, op, &l.sql, err);

	if (status != CS_OK)
		return status;
	status = count_live(&l, &page.total, err);
	if (status == CS_OK) {
		size_t room = page.total < limit ? (size_t)page.total : limit;

		limit = room;
		page.keys = arena_array(op->arena, room, sizeof *page.keys);
		page.entries = arena_array(op->arena, room, sizeof *page.entries);
		status = page.keys && page.entries ? CS_OK : cs_fail_memory(err);
	}
	if (status == CS_OK && page.entries)
		status = read_page(&l, after, limit, &page, err);
	readers_end(engine->readers, l.sql);
	if (status == CS_OK)
		*ret_page = page;
	return status;
}
