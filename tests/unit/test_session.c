/* The session table: bounds, order, ownership, streams, cancelling; and many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "../support/fake_net.h"

#include "base/metrics.h"
#include "mcp/session.h"

#define ID(text) slice_of(text, SESSION_ID_SIZE)

static const struct principal *const me = &principal_anonymous;

static struct sessions *make(unsigned most)
{
	struct sessions *table = NULL;
	struct cs_error err;

	assert_int_equal(sessions_new(most, &table, &err), CS_OK);
	return table;
}

static void open_one(struct sessions *table, char id[SESSION_ID_SIZE])
{
	struct cs_error err;

	assert_int_equal(sessions_open(table, me, &revision_rows[REVISION_2025_06_18], id, &err), CS_OK);
}

static void test_ids(void **state)
{
	struct sessions *table = make(100);
	char ids[100][SESSION_ID_SIZE];

	for (int i = 0; i < 100; i++) {
		open_one(table, ids[i]);
		for (int k = 0; k < SESSION_ID_SIZE; k++)
			assert_non_null(memchr("0123456789abcdef", ids[i][k], 16));
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(ids[i], ids[k], SESSION_ID_SIZE);
	}
	assert_int_equal(sessions_count(table), 100);
	assert_int_equal(metric_value(metric_series(METRIC_SESSIONS, (struct slice){0})), 100);
	metrics_collect();
	assert_in_range(metric_value(metric_series(METRIC_MEMORY, S("sessions"))), 100 * 100, 100 * 1000);
	sessions_free(table);
	assert_int_equal(metric_value(metric_series(METRIC_SESSIONS, (struct slice){0})), 0);
}

static void test_lookup(void **state)
{
	static const struct principal other = {.name = SLICE_INIT("OTHER")};
	struct sessions *table = make(2);
	char id[SESSION_ID_SIZE];

	open_one(table, id);
	assert_ptr_equal(sessions_touch(table, me, ID(id)), &revision_rows[REVISION_2025_06_18]);
	assert_null(sessions_touch(table, &other, ID(id)));
	assert_null(session_ref(table, &other, ID(id)));
	assert_false(sessions_close(table, &other, ID(id)));
	assert_null(sessions_touch(table, me, S("")));
	assert_null(sessions_touch(table, me, slice_of(id, SESSION_ID_SIZE - 1)));
	id[0] = id[0] == 'a' ? 'b' : 'a';
	assert_null(sessions_touch(table, me, ID(id)));
	sessions_free(table);
}

static void test_longest_unused_makes_room(void **state)
{
	struct sessions *table = make(3);
	char ids[4][SESSION_ID_SIZE];

	for (int i = 0; i < 3; i++)
		open_one(table, ids[i]);
	assert_non_null(sessions_touch(table, me, ID(ids[0])));
	open_one(table, ids[3]);
	assert_int_equal(sessions_count(table), 3);
	assert_non_null(sessions_touch(table, me, ID(ids[0])));
	assert_null(sessions_touch(table, me, ID(ids[1])));
	assert_non_null(sessions_touch(table, me, ID(ids[2])));
	assert_non_null(sessions_touch(table, me, ID(ids[3])));
	sessions_free(table);
}

static void test_streams_end_with_their_session(void **state)
{
	struct sessions *table = make(2);
	struct exchange *ex = calloc(1, sizeof *ex);
	struct session *s;
	struct sse *stream;
	char id[SESSION_ID_SIZE], other[SESSION_ID_SIZE];

	open_one(table, id);
	s = session_ref(table, me, ID(id));
	for (int i = 0; i < SESSION_STREAMS_MAX; i++)
		assert_int_equal(session_take_place(s), i);
	assert_int_equal(session_take_place(s), -1);
	session_give_place(s, 2);
	assert_int_equal(session_take_place(s), 2);
	stream = exchange_stream(ex, (struct sse_hooks){0});
	session_attach(s, 2, stream);
	assert_false(stream->ended);
	open_one(table, other);
	open_one(table, other); /* evicts */
	assert_true(stream->ended);
	assert_int_equal(session_take_place(s), -1);
	session_give_place(s, 2);
	sse_unref(stream);
	/* A stream that comes too late ends at once. */
	stream = exchange_stream(ex, (struct sse_hooks){0});
	session_attach(s, 1, stream);
	assert_true(stream->ended);
	session_give_place(s, 1);
	sse_unref(stream);
	session_unref(s);
	sessions_free(table);
	free(ex);
}

static void test_cancelling(void **state)
{
	struct sessions *table = make(1);
	struct inflight a = {.id = SLICE_INIT("1")}, b = {.id = SLICE_INIT("\"1\"")}, c = {.id = SLICE_INIT("2")};
	struct session *s;
	char id[SESSION_ID_SIZE];

	open_one(table, id);
	s = session_ref(table, me, ID(id));
	session_inflight_add(s, &a);
	session_inflight_add(s, &b);
	session_inflight_add(s, &c);
	session_cancel(s, S("\"1\""));
	session_cancel(s, S("3"));
	assert_false(atomic_load(&a.cancelled));
	assert_true(atomic_load(&b.cancelled));
	session_inflight_remove(s, &b);
	session_inflight_remove(s, &c);
	session_cancel(s, S("2"));
	assert_false(atomic_load(&c.cancelled));
	session_cancel(s, S("1"));
	assert_true(atomic_load(&a.cancelled));
	session_inflight_remove(s, &a);
	session_unref(s);
	sessions_free(table);
}

static void *churn(void *table)
{
	char id[SESSION_ID_SIZE];
	struct cs_error err;

	for (int i = 0; i < 2000; i++) {
		struct inflight entry = {.id = S("1")};
		struct session *s;

		if (sessions_open(table, me, &revision_rows[0], id, &err) != CS_OK)
			return NULL;
		s = session_ref(table, me, ID(id)); /* NULL where it was evicted meanwhile */
		if (!s)
			continue;
		session_inflight_add(s, &entry);
		(void)sessions_touch(table, me, ID(id));
		session_cancel(s, S("1"));
		session_inflight_remove(s, &entry);
		if (i % 3 == 0)
			(void)sessions_close(table, me, ID(id));
		session_unref(s);
		if (!atomic_load(&entry.cancelled))
			return NULL;
	}
	return table;
}

static void test_threads(void **state)
{
	struct sessions *table = make(5);
	pthread_t threads[4];
	void *result;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, table), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_non_null(result);
	}
	assert_true(sessions_count(table) <= 5);
	sessions_free(table);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_longest_unused_makes_room),
		cmocka_unit_test(test_streams_end_with_their_session),
		cmocka_unit_test(test_cancelling),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
