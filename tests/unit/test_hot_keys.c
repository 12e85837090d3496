/* The mirror of agent state: what is found, what makes room, and that no read fills it with what was changed meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "port/hot_keys.h"

static struct hot_keys *keys;

static int setup(void **state)
{
	struct cs_error err;
	const struct hot_keys_options options = {
		.shards = 1, .entries_max = 4, .bytes_max = 64u << 10, .value_max = 1000};

	return hot_keys_new(&options, &keys, &err);
}

static int teardown(void **state)
{
	hot_keys_free(keys);
	return 0;
}

static struct hot_keys_stats stats_of(void)
{
	struct hot_keys_stats stats;

	hot_keys_stats(keys, &stats);
	return stats;
}

static struct hot_key key_of(const char *name)
{
	const struct kv_key key = {.agent_id = S("agent"), .prefix = KV_STATE, .key = slice_cstr(name)};
	struct hot_key hot;

	assert_true(hot_key_make(keys, &key, &hot));
	return hot;
}

static void publish(const char *name, const char *content)
{
	const struct hot_key key = key_of(name);
	struct hot_value *value = content ? hot_value_new(slice_cstr(content)) : NULL;

	hot_keys_publish(keys, &key, value);
	hot_value_release(value);
}

static uint64_t ticket_of(const char *name)
{
	const struct hot_key key = key_of(name);

	return hot_keys_ticket(keys, &key);
}

static void fill(const char *name, uint64_t ticket, const char *content)
{
	const struct hot_key key = key_of(name);
	struct hot_value *value = hot_value_new(slice_cstr(content));

	hot_keys_fill(keys, &key, ticket, value);
	hot_value_release(value);
}

static void assert_known(const char *name, const char *content)
{
	const struct hot_key key = key_of(name);
	struct hot_value *value = hot_keys_get(keys, &key);

	if (content) {
		assert_non_null(value);
		assert_true(slice_eq(slice_of(value->content, value->length), slice_cstr(content)));
	} else {
		assert_null(value);
	}
	hot_value_release(value);
}

static void what_was_published_is_found(void **state)
{
	publish("a", "one");
	assert_known("a", "one");
	publish("a", "two");
	assert_known("a", "two");
	publish("a", NULL);
	assert_known("a", NULL);
	assert_int_equal(stats_of().keys, 0);
}

static void the_longest_unused_makes_room(void **state)
{
	publish("a", "1");
	publish("b", "2");
	publish("c", "3");
	publish("d", "4");
	assert_known("a", "1");
	publish("e", "5");
	assert_known("b", NULL);
	assert_known("a", "1");
	assert_int_equal(stats_of().keys, 4);
	assert_int_equal(stats_of().evictions, 1);
}

static void a_large_value_is_not_kept(void **state)
{
	char large[1002];

	memset(large, 'x', 1001);
	large[1001] = '\0';
	publish("a", "small");
	publish("a", large);
	assert_known("a", NULL);
}

static void a_fill_is_dropped_when_something_changed_meanwhile(void **state)
{
	uint64_t ticket = ticket_of("a");

	fill("a", ticket, "read");
	assert_known("a", "read");
	ticket = ticket_of("a");
	publish("a", NULL);
	fill("a", ticket, "stale");
	assert_known("a", NULL);
}

static void clearing_forgets_all_and_drops_fills_under_way(void **state)
{
	uint64_t ticket = ticket_of("b");

	publish("a", "1");
	ticket = ticket_of("b");
	hot_keys_clear(keys);
	fill("b", ticket, "stale");
	assert_int_equal(stats_of().keys, 0);
	assert_known("a", NULL);
	fill("b", ticket_of("b"), "fresh");
	assert_known("b", "fresh");
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_was_published_is_found),
		T(the_longest_unused_makes_room),
		T(a_large_value_is_not_kept),
		T(a_fill_is_dropped_when_something_changed_meanwhile),
		T(clearing_forgets_all_and_drops_fills_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
