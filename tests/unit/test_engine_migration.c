/* Files of former formats: opened, brought up to date, and nothing in them lost. */
#include "../contract/vectors.h"
#include "version_1.h"

#include <sqlite3.h>

static void path_of(char path[128], const char *dir)
{
	snprintf(path, 128, "%s/%s", dir, ENGINE_FILE);
}

static void run_sql(const char *dir, const char *text)
{
	char path[128], *message = NULL;
	sqlite3 *db;

	path_of(path, dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	sqlite3_close(db);
}

static int64_t number_of(const char *dir, const char *text)
{
	char path[128];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int64_t value;

	path_of(path, dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

static void make_version_1(char dir[64])
{
	snprintf(dir, 64, "/tmp/context-store-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	run_sql(dir, version_1_tables);
	run_sql(dir, version_1_rows);
}

static void open_fixture(struct fixture *f, const char *dir)
{
	*f = (struct fixture){.adapter = &adapters[0]};
	snprintf(f->dir, sizeof f->dir, "%s", dir);
	arena_init(&f->arena, NULL, 0, 64u << 20);
	f->op = (struct op){
		.arena = &f->arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	f->adapter->open(f->dir, &f->ports);
}

static void check_contexts(struct fixture *f)
{
	struct slice ids[] = {S("plain"), S("replaced"), S("hidden"), S("forgotten")};
	struct context *contexts;
	struct context_history_entry *entries;
	size_t count;

	assert_ok(f,
		f->ports.contexts.get(f->ports.contexts.self, &f->op, ids, 4, NULL, true, &contexts, &count, &f->err));
	assert_int_equal(count, 2);
	assert_text(contexts[0].content, "{\"n\":1}");
	assert_text(contexts[0].metadata, "{\"k\":\"v\"}");
	assert_text(contexts[0].title, "Plain");
	assert_int_equal(contexts[0].tag_count, 1);
	assert_int_equal(contexts[0].created_at, 1000);
	assert_int_equal(contexts[0].relation_count, 1);
	assert_int_equal(contexts[1].version, 2);
	assert_ok(f, f->ports.contexts.history(f->ports.contexts.self, &f->op, ids[1], &entries, &count, &f->err));
	assert_int_equal(count, 2);
	assert_text(entries[1].content, "{\"n\":0}");
	assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, ids[2], &f->err));
	assert_ok(f, f->ports.contexts.restore(f->ports.contexts.self, &f->op, ids[3], &f->err));
}

static void check_words_and_keys(struct fixture *f)
{
	struct text_query query = {.text = S("words"), .limit = 5};
	struct text_result result;
	struct kv_key key = {S("agent"), KV_STATE, S("key")};
	struct kv_entry entry;

	assert_ok(f, f->ports.text.search(f->ports.text.self, &f->op, &query, &result, &f->err));
	assert_int_equal(result.total, 4);
	assert_ok(f, f->ports.kv.get(f->ports.kv.self, &f->op, &key, &entry, &f->err));
	assert_text(entry.content, "value");
	assert_int_equal(entry.version, 7);
}

static void a_file_from_before_vectors_is_brought_up_to_date(void **state)
{
	struct fixture f;
	struct vector_pending *pending;
	float vector[DIMENSION];
	size_t count;
	char dir[64];

	(void)state;
	make_version_1(dir);
	open_fixture(&f, dir);
	check_contexts(&f);
	check_words_and_keys(&f);
	assert_int_equal(find(&f, 1, 5).total, 0);
	assert_int_equal(find(&f, 1, 5).unsearched, 4);
	assert_ok(&f,
		f.ports.vectors.pending(f.ports.vectors.self, &f.op, (struct slice){0}, 10, &pending, &count, &f.err));
	assert_int_equal(count, 4);
	assert_text(pending[1].id, "replaced");
	assert_int_equal(pending[1].version, 2);
	assert_text(pending[1].words, "replaced words");
	make_vector(8, vector);
	assert_ok(&f, f.ports.vectors.put(f.ports.vectors.self, &f.op, S("replaced"), 2, &test_model, vector, &f.err));
	store(&f, "new", 9);
	fixture_reopen(&f);
	assert_true(is_found(&f, "replaced", 8));
	assert_true(is_found(&f, "new", 9));
	assert_int_equal(find(&f, 1, 5).unsearched, 3);
	assert_ok(&f, engine_check(slice_cstr(dir), &f.err));
	assert_int_equal(number_of(dir, "PRAGMA user_version"), engine_schema_version());
	fixture_close(&f);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
	struct engine *engine;
	struct cs_error err;
	struct fixture f;
	char dir[64];

	(void)state;
	make_version_1(dir);
	/* Makes the last statements fail, when the first have been run. */
	run_sql(dir, "CREATE TABLE embedding_model(x)");
	assert_int_equal(engine_open(slice_cstr(dir), &engine, &err), CS_STORAGE);
	assert_int_equal(number_of(dir, "PRAGMA user_version"), 1);
	assert_int_equal(
		number_of(dir, "SELECT count(*) FROM pragma_table_info('contexts') WHERE name = 'vector_set'"), 0);
	assert_int_equal(number_of(dir, "SELECT count(*) FROM contexts"), 4);
	run_sql(dir, "DROP TABLE embedding_model");
	open_fixture(&f, dir);
	check_contexts(&f);
	check_words_and_keys(&f);
	fixture_close(&f);
}

/* The first line of what SQLite is going to do. */
static void assert_plan(const char *dir, const char *text, const char *part)
{
	char path[128];
	sqlite3 *db;
	sqlite3_stmt *stmt;

	path_of(path, dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	if (!strstr((const char *)sqlite3_column_text(stmt, 3), part))
		fail_msg("the plan is: %s", (const char *)sqlite3_column_text(stmt, 3));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

/* As context_read.c asks. What other namespaces hold, and what was deleted, is not walked past. */
static void duplicates_are_looked_for_in_their_namespace(void **state)
{
	struct fixture f;
	char dir[64];

	(void)state;
	make_version_1(dir);
	open_fixture(&f, dir);
	assert_plan(dir,
		"EXPLAIN QUERY PLAN SELECT id FROM contexts WHERE content_hash = ?1 AND namespace IS ?2 AND id <> ?3"
		" AND hidden = 0 LIMIT 1",
		"USING INDEX contexts_content (content_hash=? AND namespace=?)");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_from_before_vectors_is_brought_up_to_date),
		cmocka_unit_test(a_migration_that_fails_changes_nothing),
		cmocka_unit_test(duplicates_are_looked_for_in_their_namespace),
	};

	return cmocka_run_group_tests_name("engine migration", tests, NULL, NULL);
}
