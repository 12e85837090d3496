/* The contract of port/kv.h. */
#include "adapters.h"

static struct kv_write write_of(const char *key, const char *content)
{
	return (struct kv_write){
		.key = {S("agent"), KV_SCRATCHPAD, slice_cstr(key)},
		.mode = KV_OVERWRITE,
		.content = slice_cstr(content),
		.ttl_s = KV_TTL_NONE,
		.if_version = KV_VERSION_ANY,
	};
}

static enum cs_status put(struct fixture *f, const struct kv_write *write, struct kv_entry *entry)
{
	return f->ports.kv.put(f->ports.kv.self, &f->op, write, entry, &f->err);
}

static enum cs_status get(struct fixture *f, const struct kv_key *key, struct kv_entry *entry)
{
	return f->ports.kv.get(f->ports.kv.self, &f->op, key, entry, &f->err);
}

static enum cs_status remove_key(struct fixture *f, const struct kv_key *key, int64_t if_version)
{
	return f->ports.kv.remove(f->ports.kv.self, &f->op, key, if_version, &f->err);
}

static void a_value_is_read_back_and_survives_reopening(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "gr\xC3\xBC\xC3\x9F");
	struct kv_entry entry;

	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 1);
	assert_int_equal(entry.characters, 4);
	for (int round = 0; round < 2; round++) {
		assert_ok(f, get(f, &w.key, &entry));
		assert_text(entry.content, "gr\xC3\xBC\xC3\x9F");
		assert_int_equal(entry.version, 1);
		assert_int_equal(entry.characters, 4);
		assert_int_equal(entry.ttl_s, KV_TTL_NONE);
		fixture_reopen(f);
	}
}

static void a_missing_key_is_key_not_found(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "v");
	struct kv_entry entry = {.version = 77};

	assert_int_equal(get(f, &w.key, &entry), CS_KEY_NOT_FOUND);
	assert_int_equal(get(f, &w.key, &entry), CS_KEY_NOT_FOUND);
	assert_int_equal(remove_key(f, &w.key, KV_VERSION_ANY), CS_KEY_NOT_FOUND);
	assert_int_equal(entry.version, 77);
}

static void prefixes_agents_and_keys_are_separate(void **state)
{
	struct fixture *f = *state;
	struct kv_write a = write_of("k", "scratch"), b = write_of("k", "state"), c = write_of("k", "other");
	struct kv_entry entry;

	b.key.prefix = KV_STATE;
	c.key.agent_id = S("agent2");
	assert_ok(f, put(f, &a, &entry));
	assert_ok(f, put(f, &b, &entry));
	assert_ok(f, put(f, &c, &entry));
	assert_ok(f, get(f, &a.key, &entry));
	assert_text(entry.content, "scratch");
	assert_ok(f, get(f, &b.key, &entry));
	assert_text(entry.content, "state");
	assert_ok(f, get(f, &c.key, &entry));
	assert_text(entry.content, "other");
}

static void versions_grow_and_start_again_after_a_delete(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "v");
	struct kv_entry entry;

	for (uint64_t version = 1; version <= 3; version++) {
		assert_ok(f, put(f, &w, &entry));
		assert_int_equal(entry.version, version);
	}
	assert_ok(f, remove_key(f, &w.key, 3));
	assert_int_equal(get(f, &w.key, &entry), CS_KEY_NOT_FOUND);
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 1);
}

static void a_wrong_version_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "one");
	struct kv_entry entry;

	w.if_version = 4;
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 0);
	w.if_version = 0;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 1);
	assert_int_equal(remove_key(f, &w.key, 2), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 1);
	w.if_version = 1;
	w.content = S("two");
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 2);
	assert_ok(f, get(f, &w.key, &entry));
	assert_text(entry.content, "two");
}

static void append_joins_with_one_newline(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "one");
	struct kv_entry entry;

	w.mode = KV_APPEND;
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "one");
	w.content = S("zw\xC3\xB6lf");
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "one\nzw\xC3\xB6lf");
	assert_int_equal(entry.characters, 9);
	assert_int_equal(entry.version, 2);
	assert_ok(f, get(f, &w.key, &entry));
	assert_text(entry.content, "one\nzw\xC3\xB6lf");
}

static void the_limit_is_of_the_whole_stored_value(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "");
	struct kv_entry entry;
	char *text = malloc(2 * KV_CONTENT_MAX + 2);

	for (size_t i = 0; i < KV_CONTENT_MAX + 1; i++)
		memcpy(text + 2 * i, "\xC3\xA4", 2);
	w.content = slice_of(text, 2 * (KV_CONTENT_MAX + 1));
	assert_int_equal(put(f, &w, &entry), CS_CONTENT_TOO_LARGE);
	assert_int_equal(get(f, &w.key, &entry), CS_KEY_NOT_FOUND);
	w.content.len -= 4;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.characters, KV_CONTENT_MAX - 1);
	w.mode = KV_APPEND;
	w.content = S("x");
	assert_int_equal(put(f, &w, &entry), CS_CONTENT_TOO_LARGE);
	assert_ok(f, get(f, &w.key, &entry));
	assert_int_equal(entry.version, 1);
	assert_int_equal(entry.content.len, 2 * (KV_CONTENT_MAX - 1));
	w.content = S("");
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.characters, KV_CONTENT_MAX);
	free(text);
}

static void increment_keeps_decimal_text(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "5"), big = write_of("big", "9223372036854775807"),
			word = write_of("word", "five");
	struct kv_entry entry;

	w.mode = KV_INCREMENT;
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "5");
	w.content = S("-12");
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "-7");
	assert_int_equal(entry.characters, 2);
	assert_int_equal(entry.version, 2);
	w.content = S("1.5");
	assert_int_equal(put(f, &w, &entry), CS_INVALID_CONTENT_TYPE);
	w.content = S("9223372036854775808");
	assert_int_equal(put(f, &w, &entry), CS_LIMIT_EXCEEDED);
	assert_ok(f, put(f, &big, &entry));
	big.mode = KV_INCREMENT;
	big.content = S("1");
	assert_int_equal(put(f, &big, &entry), CS_LIMIT_EXCEEDED);
	assert_ok(f, get(f, &big.key, &entry));
	assert_text(entry.content, "9223372036854775807");
	assert_int_equal(entry.version, 1);
	assert_ok(f, put(f, &word, &entry));
	word.mode = KV_INCREMENT;
	word.content = S("1");
	assert_int_equal(put(f, &word, &entry), CS_INVALID_CONTENT_TYPE);
	assert_ok(f, get(f, &word.key, &entry));
	assert_text(entry.content, "five");
}

static void a_value_is_gone_at_its_second(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "v"), stays = write_of("stays", "v");
	struct kv_entry entry;
	struct kv_page page;

	w.ttl_s = 100;
	assert_ok(f, put(f, &stays, &entry));
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.ttl_s, 100);
	clock_shift_ms(90000);
	assert_ok(f, get(f, &w.key, &entry));
	assert_in_range(entry.ttl_s, 9, 10);
	clock_shift_ms(100000);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(get(f, &w.key, &entry), CS_KEY_NOT_FOUND);
		assert_ok(f, f->ports.kv.list(f->ports.kv.self, &f->op, &w.key, (struct slice){0}, 10, &page, &f->err));
		assert_int_equal(page.count, 1);
		assert_int_equal(page.total, 1);
		fixture_reopen(f);
	}
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 1);
	w.mode = KV_APPEND;
	clock_shift_ms(250000);
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "v");
	w.ttl_s = KV_TTL_NONE;
	assert_ok(f, put(f, &w, &entry));
	clock_shift_ms(900000);
	assert_ok(f, get(f, &w.key, &entry));
	assert_text(entry.content, "v\nv");
}

static void lists_are_paged_in_byte_order(void **state)
{
	static const char *const keys[] = {"b", "a", "B", "a.1", "a-1"};
	static const char *const sorted[] = {"B", "a", "a-1", "a.1", "b"};
	struct fixture *f = *state;
	struct kv_entry entry;
	struct kv_page page;
	struct slice after = {0};
	size_t seen = 0;

	for (size_t i = 0; i < 5; i++) {
		struct kv_write w = write_of(keys[i], keys[i]), other = write_of(keys[i], "x");

		other.key.prefix = KV_CONFIG;
		assert_ok(f, put(f, &w, &entry));
		assert_ok(f, put(f, &other, &entry));
	}
	do {
		struct kv_key owner = {S("agent"), KV_SCRATCHPAD, {0}};

		assert_ok(f, f->ports.kv.list(f->ports.kv.self, &f->op, &owner, after, 2, &page, &f->err));
		assert_int_equal(page.total, 5);
		for (size_t i = 0; i < page.count; i++) {
			assert_text(page.keys[i], sorted[seen++]);
			assert_true(slice_eq(page.keys[i], page.entries[i].content));
		}
		assert_int_equal(page.more, seen < 5);
		after = page.keys[page.count - 1];
	} while (page.more);
	assert_int_equal(seen, 5);
}

static void an_event_loop_is_answered_from_memory_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "v");
	struct kv_key missing = {S("agent"), KV_STATE, S("none")};
	struct kv_entry entry;
	struct kv_page page;

	f->op.may_wait = false;
	assert_int_equal(put(f, &w, &entry), CS_WOULD_WAIT);
	assert_int_equal(get(f, &w.key, &entry), CS_WOULD_WAIT);
	assert_int_equal(remove_key(f, &w.key, KV_VERSION_ANY), CS_WOULD_WAIT);
	assert_int_equal(f->ports.kv.list(f->ports.kv.self, &f->op, &w.key, (struct slice){0}, 1, &page, &f->err),
		CS_WOULD_WAIT);
	f->op.may_wait = true;
	assert_int_equal(get(f, &missing, &entry), CS_KEY_NOT_FOUND);
	assert_ok(f, put(f, &w, &entry));
	fixture_reopen(f);
	assert_ok(f, get(f, &w.key, &entry));
	f->op.may_wait = false;
	assert_ok(f, get(f, &w.key, &entry));
	assert_text(entry.content, "v");
}

static void a_passed_deadline_is_a_timeout(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "v");
	struct kv_entry entry;

	f->op.deadline_ns = clock_mono_ns() - 1;
	assert_int_equal(put(f, &w, &entry), CS_TIMEOUT);
	f->op.deadline_ns = OP_NO_DEADLINE;
	assert_int_equal(get(f, &w.key, &entry), CS_KEY_NOT_FOUND);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		PORT_TEST(a_value_is_read_back_and_survives_reopening),
		PORT_TEST(a_missing_key_is_key_not_found),
		PORT_TEST(prefixes_agents_and_keys_are_separate),
		PORT_TEST(versions_grow_and_start_again_after_a_delete),
		PORT_TEST(a_wrong_version_changes_nothing),
		PORT_TEST(append_joins_with_one_newline),
		PORT_TEST(the_limit_is_of_the_whole_stored_value),
		PORT_TEST(increment_keeps_decimal_text),
		PORT_TEST(a_value_is_gone_at_its_second),
		PORT_TEST(lists_are_paged_in_byte_order),
		PORT_TEST(an_event_loop_is_answered_from_memory_or_not_at_all),
		PORT_TEST(a_passed_deadline_is_a_timeout),
	};

	return run_for_adapters("kv", tests, sizeof tests / sizeof *tests);
}
