/* A disk that fails: at each write and each sync in turn, once or for good, as an error or as a full disk.
 *
 * A script of writes runs over the failure. Whatever was acknowledged is there, in this process and after reopening;
 * whatever was refused left nothing behind, so that it can be repeated; reading goes on meanwhile; and the engine
 * writes again as soon as the disk does. */
#include <fcntl.h>
#include <sys/stat.h>

#include "../contract/vectors.h"
#include "faulty_vfs.h"

#define STEPS 10

struct script {
	struct fixture f;
	bool stored[STEPS];
};

static void name_of(char *text, size_t size, int step)
{
	snprintf(text, size, "step%d", step);
}

/* Even steps store a context with words, an edge and a vector, odd ones a key; only if it is not there. */
static enum cs_status run_step(struct fixture *f, int step)
{
	struct context_relation edge = {S("cites"), S("base")};
	float vector[DIMENSION];
	struct context_put put;
	struct context_put_result result;
	struct kv_entry entry;
	char name[16];
	enum cs_status status;

	name_of(name, sizeof name, step);
	if (step % 2) {
		struct kv_write write = {.key = {S("io"), KV_STATE, slice_cstr(name)},
			.content = slice_cstr(name),
			.ttl_s = KV_TTL_NONE,
			.if_version = 0};

		return f->ports.kv.put(f->ports.kv.self, &f->op, &write, &entry, &f->err);
	}
	put = put_of(name, vector);
	put.context.relations = &edge;
	put.context.relation_count = 1;
	put.if_version = 0;
	make_vector((uint64_t)step + 1, vector);
	status = f->ports.contexts.put(f->ports.contexts.self, &f->op, &put, 1, &result, &f->err);
	return status == CS_OK ? result.status : status;
}

static bool is_stored(struct fixture *f, int step)
{
	char name[16];
	struct slice id;
	struct context *found;
	struct kv_entry entry;
	struct text_query query = {.limit = 1};
	struct text_result result;
	size_t count;

	name_of(name, sizeof name, step);
	query.text = id = slice_cstr(name);
	if (step % 2) {
		struct kv_key key = {S("io"), KV_STATE, id};
		enum cs_status status = f->ports.kv.get(f->ports.kv.self, &f->op, &key, &entry, &f->err);

		assert_true(status == CS_OK || status == CS_KEY_NOT_FOUND);
		return status == CS_OK;
	}
	assert_ok(
		f, f->ports.contexts.get(f->ports.contexts.self, &f->op, &id, 1, NULL, true, &found, &count, &f->err));
	assert_ok(f, f->ports.text.search(f->ports.text.self, &f->op, &query, &result, &f->err));
	assert_int_equal(result.total, count);
	assert_int_equal(is_found(f, name, (uint64_t)step + 1), count);
	if (count)
		assert_int_equal(found->relation_count, 1);
	return count == 1;
}

static void check_all(struct script *s)
{
	for (int step = 0; step < STEPS; step++)
		assert_int_equal(is_stored(&s->f, step), s->stored[step]);
}

/* Returns how many calls failed. */
static int run_over_failure(enum faulty_kind kind, int nth, int code, bool lasting)
{
	struct script s = {0};
	int failed;

	fixture_open(&s.f, &adapters[0]);
	assert_ok(&s.f, s.f.ports.contexts.probe(s.f.ports.contexts.self, &s.f.op, &s.f.err));
	faulty_arm(kind, nth, code, lasting);
	for (int step = 0; step < STEPS; step++) {
		enum cs_status status = run_step(&s.f, step);

		s.stored[step] = status == CS_OK;
		if (status != CS_OK) {
			assert_int_equal(status, CS_UNAVAILABLE);
			assert_non_null(strstr(s.f.err.text, code == SQLITE_FULL ? "full" : "cannot be"));
			check_all(&s); /* reading goes on */
		}
	}
	failed = faulty_disarm();
	check_all(&s);
	for (int step = 0; step < STEPS; step++) {
		if (s.stored[step])
			continue;
		assert_ok(&s.f, run_step(&s.f, step));
		s.stored[step] = true;
	}
	fixture_reopen(&s.f);
	check_all(&s);
	assert_ok(&s.f, engine_check(slice_cstr(s.f.dir), &s.f.err));
	fixture_close(&s.f);
	return failed;
}

static void each_write_may_fail(void **state)
{
	int runs = 0;

	(void)state;
	for (int nth = 1; run_over_failure(FAULTY_WRITE, nth, SQLITE_IOERR_WRITE, false) > 0; nth += 7)
		runs++;
	assert_true(runs > 10);
}

static void the_disk_may_be_full_from_each_write_on(void **state)
{
	int runs = 0;

	(void)state;
	for (int nth = 1; run_over_failure(FAULTY_WRITE, nth, SQLITE_FULL, true) > 0; nth += 11)
		runs++;
	assert_true(runs > 7);
}

static void each_sync_may_fail(void **state)
{
	int runs = 0;

	(void)state;
	for (int nth = 1; run_over_failure(FAULTY_SYNC, nth, SQLITE_IOERR_FSYNC, false) > 0; nth++)
		runs++;
	assert_true(runs >= STEPS);
	assert_true(run_over_failure(FAULTY_SYNC, 3, SQLITE_IOERR_FSYNC, true) > 0);
}

/* Files that are not to be touched. */

static enum cs_status open_file(const char *dir, struct cs_error *err)
{
	struct engine *engine;
	enum cs_status status = engine_open(slice_cstr(dir), &engine, err);

	if (status == CS_OK)
		engine_close(engine);
	return status;
}

static void path_of(char path[128], const char *dir)
{
	snprintf(path, 128, "%s/%s", dir, ENGINE_FILE);
}

static void write_file(const char *dir, const void *bytes, size_t length, off_t at)
{
	char path[128];
	int fd;

	path_of(path, dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, length, at), length);
	close(fd);
}

static void run_sql(const char *dir, const char *text)
{
	char path[128];
	sqlite3 *db;

	path_of(path, dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void make_dir(char dir[64])
{
	snprintf(dir, 64, "/tmp/context-store-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static void remove_dir(const char *dir)
{
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_file_that_is_no_database_is_refused_and_kept(void **state)
{
	char dir[64], text[8192], path[128];
	struct cs_error err;
	struct stat before, after;

	(void)state;
	make_dir(dir);
	path_of(path, dir);
	memset(text, 'x', sizeof text);
	write_file(dir, text, sizeof text, 0);
	stat(path, &before);
	assert_int_equal(open_file(dir, &err), CS_STORAGE);
	assert_non_null(strstr(err.text, path));
	stat(path, &after);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtime, after.st_mtime);
	remove_dir(dir);
}

static void another_programs_database_is_refused(void **state)
{
	char dir[64];
	struct cs_error err;

	(void)state;
	make_dir(dir);
	run_sql(dir, "CREATE TABLE theirs(x)");
	assert_int_equal(open_file(dir, &err), CS_STORAGE);
	assert_non_null(strstr(err.text, "another program"));
	run_sql(dir, "INSERT INTO theirs VALUES(1); PRAGMA application_id=7");
	assert_int_equal(open_file(dir, &err), CS_STORAGE);
	remove_dir(dir);
}

static void a_newer_format_is_refused(void **state)
{
	char dir[64], text[64];
	struct cs_error err;

	(void)state;
	make_dir(dir);
	assert_int_equal(open_file(dir, &err), CS_OK);
	assert_int_equal(open_file(dir, &err), CS_OK);
	snprintf(text, sizeof text, "PRAGMA user_version=%d", engine_schema_version() + 1);
	run_sql(dir, text);
	assert_int_equal(open_file(dir, &err), CS_STORAGE);
	assert_non_null(strstr(err.text, "newer version"));
	remove_dir(dir);
}

static void a_damaged_file_is_told(void **state)
{
	char dir[64], garbage[4096];
	struct cs_error err;

	(void)state;
	make_dir(dir);
	assert_int_equal(open_file(dir, &err), CS_OK);
	memset(garbage, 0x5A, sizeof garbage);
	/* Behind the file's header: the schema's first page. */
	write_file(dir, garbage, 3900, 100);
	assert_int_equal(open_file(dir, &err), CS_STORAGE);
	assert_non_null(strstr(err.text, "damaged"));
	assert_int_equal(engine_check(slice_cstr(dir), &err), CS_STORAGE);
	remove_dir(dir);
}

static void a_directory_that_cannot_be_is_unavailable(void **state)
{
	char dir[64], below[128];
	struct cs_error err;

	(void)state;
	make_dir(dir);
	write_file(dir, "x", 1, 0);
	snprintf(below, sizeof below, "%s/%s/sub", dir, ENGINE_FILE);
	assert_int_equal(open_file(below, &err), CS_UNAVAILABLE);
	assert_non_null(strstr(err.text, dir));
	assert_int_equal(open_file("", &err), CS_UNAVAILABLE);
	snprintf(below, sizeof below, "%s/a/b/c", dir);
	assert_int_equal(open_file(below, &err), CS_OK);
	remove_dir(dir);
}

static void a_read_only_directory_is_unavailable(void **state)
{
	bool is_root = geteuid() == 0; /* may write everywhere, so it becomes nobody for a while */
	char dir[64];
	struct cs_error err;

	(void)state;
	if (is_root)
		assert_int_equal(seteuid(65534), 0);
	make_dir(dir);
	assert_int_equal(chmod(dir, 0500), 0);
	assert_int_equal(open_file(dir, &err), CS_UNAVAILABLE);
	assert_non_null(strstr(err.text, dir));
	assert_int_equal(chmod(dir, 0700), 0);
	remove_dir(dir);
	if (is_root)
		assert_int_equal(seteuid(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_write_may_fail),
		cmocka_unit_test(the_disk_may_be_full_from_each_write_on),
		cmocka_unit_test(each_sync_may_fail),
		cmocka_unit_test(a_file_that_is_no_database_is_refused_and_kept),
		cmocka_unit_test(another_programs_database_is_refused),
		cmocka_unit_test(a_newer_format_is_refused),
		cmocka_unit_test(a_damaged_file_is_told),
		cmocka_unit_test(a_directory_that_cannot_be_is_unavailable),
		cmocka_unit_test(a_read_only_directory_is_unavailable),
	};

	faulty_install();
	return cmocka_run_group_tests_name("engine io", tests, NULL, NULL);
}
