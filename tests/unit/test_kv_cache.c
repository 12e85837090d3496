/* The cache in front of a server: what is served from memory, and above all what is not. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/fake_kv.h"
#include "remote/kv_cache.h"

#define AGE_MS 60000
#define HOUR   INT64_C(3600000000000)

static struct fake_kv fake;
static struct kv_cache *cache;
static struct kv_port port;
static struct arena arena;
static struct op op;
static struct cs_error err;
static struct kv_entry entry;
static const struct kv_key key = {.agent_id = SLICE_INIT("a"), .prefix = KV_STATE, .key = SLICE_INIT("k")};

static int setup(void **state)
{
	const struct kv_cache_options options = {.inner = fake_kv_port(&fake), .entries_max = 10, .age_max_ms = AGE_MS};

	fake = (struct fake_kv){.content = "one", .version = 7, .ttl_ms = KV_TTL_NONE};
	arena_init(&arena, NULL, 0, 1u << 20);
	op = (struct op){
		.arena = &arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	assert_int_equal(kv_cache_new(&options, &cache, &err), CS_OK);
	port = kv_cache_port(cache);
	kv_cache_open(cache, clock_mono_ns() + HOUR);
	return 0;
}

static int teardown(void **state)
{
	kv_cache_free(cache);
	arena_release(&arena);
	clock_shift_ms(0);
	return 0;
}

static enum cs_status get(void)
{
	op.may_wait = true;
	return port.get(port.self, &op, &key, &entry, &err);
}

/* What an event loop reads. */
static enum cs_status get_from_memory(void)
{
	op.may_wait = false;
	return port.get(port.self, &op, &key, &entry, &err);
}

static void a_value_is_answered_from_memory(void **state)
{
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(get(), CS_OK);
	entry = (struct kv_entry){0};
	assert_int_equal(get_from_memory(), CS_OK);
	assert_true(slice_eq(entry.content, S("one")));
	assert_int_equal(entry.version, 7);
	assert_int_equal(entry.characters, 3);
	assert_int_equal(entry.ttl_s, KV_TTL_NONE);
	assert_int_equal(fake.reads, 1);
}

static void so_is_a_missing_key(void **state)
{
	fake.content = NULL;
	assert_int_equal(get(), CS_KEY_NOT_FOUND);
	err.text[0] = '\0';
	assert_int_equal(get_from_memory(), CS_KEY_NOT_FOUND);
	assert_string_equal(err.text, "no value under agent:a:state:k");
	assert_int_equal(fake.reads, 1);
}

static void an_error_is_not_kept(void **state)
{
	fake.fails = CS_UNAVAILABLE;
	assert_int_equal(get(), CS_UNAVAILABLE);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	fake.fails = CS_OK;
	assert_int_equal(get(), CS_OK);
}

static void a_write_forgets_whatever_came_of_it(void **state)
{
	const struct kv_write write = {.key = key, .content = S("two"), .ttl_s = KV_TTL_NONE};
	struct kv_entry now;

	assert_int_equal(get(), CS_OK);
	assert_int_equal(port.put(port.self, &op, &write, &now, &err), CS_OK);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(get(), CS_OK);
	assert_true(slice_eq(entry.content, S("two")));
	fake.fails = CS_UNAVAILABLE; /* it may have been done all the same */
	op.may_wait = true;
	assert_int_equal(port.put(port.self, &op, &write, &now, &err), CS_UNAVAILABLE);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	fake.fails = CS_OK;
	assert_int_equal(get(), CS_OK);
	assert_int_equal(port.remove(port.self, &op, &key, KV_VERSION_ANY, &err), CS_OK);
	assert_int_equal(get(), CS_KEY_NOT_FOUND);
}

static void what_the_server_tells_is_forgotten(void **state)
{
	assert_int_equal(get(), CS_OK);
	kv_cache_forget(cache, &(struct kv_key){.agent_id = S("a"), .prefix = KV_MEMORY, .key = S("k")});
	assert_int_equal(get_from_memory(), CS_OK);
	kv_cache_forget(cache, &key);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(get(), CS_OK);
	kv_cache_forget_all(cache);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
}

static void told_while_reading(void *self)
{
	fake.content = "two";
	kv_cache_forget(cache, &key);
}

static void lost_while_reading(void *self)
{
	kv_cache_close(cache);
	kv_cache_open(cache, clock_mono_ns() + HOUR);
}

static void a_read_that_was_overtaken_fills_nothing(void **state)
{
	fake.meanwhile = told_while_reading;
	assert_int_equal(get(), CS_OK);
	assert_true(slice_eq(entry.content, S("one"))); /* was true when the server was asked */
	fake.meanwhile = NULL;
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(get(), CS_OK);
	assert_true(slice_eq(entry.content, S("two")));
	kv_cache_forget(cache, &key);
	fake.meanwhile = lost_while_reading;
	assert_int_equal(get(), CS_OK);
	fake.meanwhile = NULL;
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
}

static void while_nobody_tells_everything_is_asked(void **state)
{
	assert_int_equal(get(), CS_OK);
	kv_cache_close(cache);
	assert_false(kv_cache_is_open(cache));
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(get(), CS_OK);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(kv_cache_count(cache), 0);
	kv_cache_open(cache, clock_mono_ns() + HOUR);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(get(), CS_OK);
	assert_int_equal(get_from_memory(), CS_OK);
}

static void trust_ends_by_itself_and_can_be_renewed(void **state)
{
	kv_cache_trust(cache, clock_mono_ns() + 1000000000);
	assert_int_equal(get(), CS_OK);
	clock_shift_ms(1000);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	/* All that changed meanwhile was told, says whoever renews it. */
	kv_cache_trust(cache, clock_mono_ns() + HOUR);
	assert_int_equal(get_from_memory(), CS_OK);
}

static void nothing_is_older_than_it_may_be(void **state)
{
	assert_int_equal(get(), CS_OK);
	clock_shift_ms(AGE_MS - 1000);
	assert_int_equal(get_from_memory(), CS_OK);
	clock_shift_ms(AGE_MS + 1);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
	assert_int_equal(get(), CS_OK);
	assert_int_equal(get_from_memory(), CS_OK);
}

static void a_value_is_gone_at_its_second(void **state)
{
	fake.ttl_ms = 5500;
	assert_int_equal(get(), CS_OK);
	assert_int_equal(get_from_memory(), CS_OK);
	assert_int_equal(entry.ttl_s, 6);
	clock_shift_ms(3000);
	assert_int_equal(get_from_memory(), CS_OK);
	assert_int_equal(entry.ttl_s, 3);
	clock_shift_ms(5500);
	assert_int_equal(get_from_memory(), CS_WOULD_WAIT);
}

/* One thread changes the value, as another process would, and tells; others read. What is served from memory is never
 * older than what was told before the read began. */
static _Atomic uint64_t told_version;
static atomic_bool done;

static void *read_on(void *unused)
{
	struct arena own;
	struct op reading;
	struct kv_entry found;
	struct cs_error ignored;
	intptr_t wrong = 0;

	arena_init(&own, NULL, 0, 1u << 20);
	reading = (struct op){
		.arena = &own, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	while (!atomic_load(&done)) {
		uint64_t least = atomic_load(&told_version);

		if (port.get(port.self, &reading, &key, &found, &ignored) == CS_OK && found.version < least)
			wrong++;
		arena_reset(&own);
	}
	arena_release(&own);
	return (void *)wrong;
}

static _Atomic uint64_t server_version;

static enum cs_status versioned_get(void *self, struct op *reading, const struct kv_key *asked,
	struct kv_entry *ret_entry, struct cs_error *ret_err)
{
	*ret_entry = (struct kv_entry){.content = S("v"), .version = atomic_load(&server_version)};
	kv_entry_set_ttl(ret_entry, KV_TTL_NONE);
	return CS_OK;
}

static void readers_and_a_teller_never_disagree(void **state)
{
	struct kv_cache_options options = {.inner = fake_kv_port(&fake), .entries_max = 10, .age_max_ms = AGE_MS};
	pthread_t readers[3];
	void *wrong;

	options.inner.get = versioned_get;
	kv_cache_free(cache);
	assert_int_equal(kv_cache_new(&options, &cache, &err), CS_OK);
	port = kv_cache_port(cache);
	kv_cache_open(cache, clock_mono_ns() + HOUR);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, NULL), 0);
	for (uint64_t version = 1; version <= 20000; version++) {
		atomic_store(&server_version, version);
		kv_cache_forget(cache, &key);
		atomic_store(&told_version, version);
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < 3; i++) {
		pthread_join(readers[i], &wrong);
		assert_int_equal((intptr_t)wrong, 0);
	}
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_value_is_answered_from_memory),
		T(so_is_a_missing_key),
		T(an_error_is_not_kept),
		T(a_write_forgets_whatever_came_of_it),
		T(what_the_server_tells_is_forgotten),
		T(a_read_that_was_overtaken_fills_nothing),
		T(while_nobody_tells_everything_is_asked),
		T(trust_ends_by_itself_and_can_be_renewed),
		T(nothing_is_older_than_it_may_be),
		T(a_value_is_gone_at_its_second),
		T(readers_and_a_teller_never_disagree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
