/* What the engine shows of itself: each gauge follows what was done to the store. The vector mirror's sizes are those of
 * a scan and a table of rows that grew. */
#include "../contract/vectors.h"
#include "base/metrics.h"
#include "engine/vector_rows.h"
#include "vector/scan.h"

static int64_t gauge(enum metric_id id, const char *label)
{
	metrics_collect();
	return metric_value(metric_series(id, slice_cstr(label)));
}

static void put_key(struct fixture *f, int number, struct slice content)
{
	char name[16];
	struct kv_write write = {
		.key = {S("agent"), KV_MEMORY, slice_of(name, (size_t)snprintf(name, sizeof name, "k%d", number))},
		.content = content,
		.ttl_s = KV_TTL_NONE,
		.if_version = KV_VERSION_ANY,
	};
	struct kv_entry entry;

	assert_ok(f, f->ports.kv.put(f->ports.kv.self, &f->op, &write, &entry, &f->err));
}

static void keys_in_memory(void **state)
{
	struct fixture *f = *state;
	static char large[60000];
	int64_t empty = gauge(METRIC_MEMORY, "hot_keys"), evictions;
	int written = 0;

	assert_int_equal(gauge(METRIC_KEYS_CACHED, ""), 0);
	assert_true(empty > 0); /* its tables */
	put_key(f, written++, S("one"));
	assert_int_equal(gauge(METRIC_KEYS_CACHED, ""), 1);
	assert_true(gauge(METRIC_MEMORY, "hot_keys") > empty);
	assert_int_equal(gauge(METRIC_KEY_EVICTIONS, ""), 0);
	memset(large, 'x', sizeof large);
	/* 8 MB are 140 of them; one shard fills before. */
	while ((evictions = gauge(METRIC_KEY_EVICTIONS, "")) == 0 && written < 400)
		put_key(f, written++, slice_of(large, sizeof large));
	assert_int_equal(evictions, 1 + written - 1 - gauge(METRIC_KEYS_CACHED, ""));
	assert_true(gauge(METRIC_MEMORY, "hot_keys") > (int64_t)sizeof large);
}

static void files_readers_and_sqlite(void **state)
{
	struct fixture *f = *state;
	struct kv_key key = {S("agent"), KV_MEMORY, S("")};
	struct kv_page page;

	assert_true(gauge(METRIC_STORAGE, "database") >= 4096);
	put_key(f, 1, S("one"));
	assert_true(gauge(METRIC_STORAGE, "wal") > 0);
	assert_int_equal(gauge(METRIC_READERS, "idle"), 0);
	assert_ok(f, f->ports.kv.list(f->ports.kv.self, &f->op, &key, S(""), 10, &page, &f->err));
	assert_int_equal(gauge(METRIC_READERS, "idle"), 1);
	assert_int_equal(gauge(METRIC_READERS, "busy"), 0);
	assert_true(gauge(METRIC_MEMORY, "sqlite") >= 4096);
	assert_int_equal(gauge(METRIC_WRITE_QUEUE, ""), 0);
}

static void vectors_in_memory(void **state)
{
	struct fixture *f = *state;
	float vector[DIMENSION];
	struct vector_query query = {
		.vector = vector, .dimension = DIMENSION, .limit = 1, .least_similarity = VECTOR_NO_LIMIT};
	struct vector_result result;

	store(f, "a", 1);
	store(f, "b", 2);
	assert_int_equal(gauge(METRIC_VECTORS, ""), 0); /* nothing was searched */
	assert_int_equal(gauge(METRIC_MEMORY, "vector_index"), 0);
	make_vector(1, vector);
	assert_ok(f, f->ports.vectors.search(f->ports.vectors.self, &f->op, &query, &result, &f->err));
	assert_int_equal(gauge(METRIC_VECTORS, ""), 2);
	assert_true(gauge(METRIC_MEMORY, "vector_index") > 2 * 5 * DIMENSION);
}

static void rows_tell_their_bytes(void **state)
{
	struct vector_rows rows = {0};
	size_t one, two;

	assert_int_equal(vector_rows_bytes(&rows), 0);
	assert_true(vector_rows_put(&rows, 1, S("one")));
	one = vector_rows_bytes(&rows);
	assert_true(vector_rows_put(&rows, 2, S("a longer name")));
	two = vector_rows_bytes(&rows);
	assert_true(two >= one + sizeof "a longer name" - 1);
	assert_true(vector_rows_put(&rows, 2, S("short")));
	assert_int_equal(vector_rows_bytes(&rows), two - (sizeof "a longer name" - sizeof "short"));
	vector_rows_remove(&rows, 2);
	assert_int_equal(vector_rows_bytes(&rows), one);
	for (int64_t row = 10; row < 200; row++) /* the table grows */
		assert_true(vector_rows_put(&rows, row, S("x")));
	assert_int_equal(rows.name_bytes, 3 + 190);
	vector_rows_release(&rows);
	assert_int_equal(vector_rows_bytes(&rows), 0);
}

static void a_scan_tells_its_bytes(void **state)
{
	float vector[DIMENSION];
	struct scan *scan;
	size_t empty, some;

	assert_int_equal(scan_bytes(NULL), 0);
	assert_int_equal(scan_new(DIMENSION, 100000, &scan, NULL), CS_OK);
	empty = scan_bytes(scan);
	for (int i = 0; i < 5000; i++) {
		make_vector((uint64_t)i + 1, vector);
		assert_int_equal(scan_put(scan, i, vector, NULL), CS_OK);
		if (i == 0)
			some = scan_bytes(scan);
	}
	assert_true(some > empty);
	assert_true(scan_bytes(scan) > some);
	assert_true(scan_bytes(scan) >= 5000u * 5 * DIMENSION);
	scan_free(scan);
}

int main(void)
{
	struct CMUnitTest ports[] = {
		PORT_TEST(keys_in_memory), PORT_TEST(files_readers_and_sqlite), PORT_TEST(vectors_in_memory)};
	const struct CMUnitTest parts[] = {
		cmocka_unit_test(rows_tell_their_bytes), cmocka_unit_test(a_scan_tells_its_bytes)};

	return run_for_adapters("engine metrics", ports, sizeof ports / sizeof *ports) +
	       cmocka_run_group_tests_name("sizes", parts, NULL, NULL);
}
