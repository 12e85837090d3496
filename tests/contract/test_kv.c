/* The contract of port/kv.h. */
#include "kv_adapters.h"

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
	fixture_pass_ms(f, 90000);
	assert_ok(f, get(f, &w.key, &entry));
	assert_in_range(entry.ttl_s, 9, 10);
	fixture_pass_ms(f, 10000);
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
	fixture_pass_ms(f, 150000);
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "v");
	w.ttl_s = KV_TTL_NONE;
	assert_ok(f, put(f, &w, &entry));
	fixture_pass_ms(f, 650000);
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
	if (!f->adapter->remembers) {
		assert_int_equal(get(f, &w.key, &entry), CS_WOULD_WAIT);
		return;
	}
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

static void content_is_bytes_of_utf8(void **state)
{
	static const char odd[] = "\n\0a\r\n\0\xF0\x9F\xA6\x86 \xE2\x82\xAC\t\"'{}*$3\r\n";
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "");
	struct kv_entry entry;

	w.content = slice_of(odd, sizeof odd - 1);
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.characters, 19);
	assert_true(slice_eq(entry.content, w.content));
	assert_ok(f, get(f, &w.key, &entry));
	assert_true(slice_eq(entry.content, w.content));
	assert_int_equal(entry.characters, 19);
	w.mode = KV_APPEND;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.characters, 39);
	assert_int_equal(entry.content.len, 2 * w.content.len + 1);
	w.mode = KV_OVERWRITE;
	w.content = S("\xC3\x28");
	assert_int_equal(put(f, &w, &entry), CS_INVALID_CONTENT_TYPE);
}

static void the_longest_value_comes_back_whole(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "");
	struct kv_entry entry;
	char *text = malloc(4 * KV_CONTENT_MAX);

	for (size_t i = 0; i < KV_CONTENT_MAX; i++)
		memcpy(text + 4 * i, "\xF0\x9F\xA6\x86", 4);
	w.content = slice_of(text, 4 * KV_CONTENT_MAX);
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.characters, KV_CONTENT_MAX);
	assert_ok(f, get(f, &w.key, &entry));
	assert_true(slice_eq(entry.content, w.content));
	w.mode = KV_APPEND;
	w.content = S("x");
	assert_int_equal(put(f, &w, &entry), CS_CONTENT_TOO_LARGE);
	free(text);
}

static void increments_are_exact_to_the_last_of_64_bits(void **state)
{
	static const struct {
		const char *stored, *add, *sum; /* sum NULL: refused */
		enum cs_status status;
	} cases[] = {
		{"9007199254740993", "2", "9007199254740995", CS_OK},
		{"9223372036854775806", "1", "9223372036854775807", CS_OK},
		{"-9223372036854775808", "9223372036854775807", "-1", CS_OK},
		{"0", "-9223372036854775808", "-9223372036854775808", CS_OK},
		{"-9223372036854775808", "-1", NULL, CS_LIMIT_EXCEEDED},
		{"9223372036854775808", "-1", NULL, CS_LIMIT_EXCEEDED},
		{"-9223372036854775809", "1", NULL, CS_LIMIT_EXCEEDED},
		{"100000000000000000000", "1", NULL, CS_LIMIT_EXCEEDED},
		{"007", "1", "8", CS_OK},
		{"-007", "1", "-6", CS_OK},
		{"-0", "0", "0", CS_OK},
		{"000", "5", "5", CS_OK},
		{"+1", "1", NULL, CS_INVALID_CONTENT_TYPE},
		{" 1", "1", NULL, CS_INVALID_CONTENT_TYPE},
		{"1\n", "1", NULL, CS_INVALID_CONTENT_TYPE},
		{"-", "1", NULL, CS_INVALID_CONTENT_TYPE},
		{"1e3", "1", NULL, CS_INVALID_CONTENT_TYPE},
		{"0x10", "1", NULL, CS_INVALID_CONTENT_TYPE},
		{"00009223372036854775807", "1", NULL, CS_LIMIT_EXCEEDED},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct kv_write w = write_of("k", cases[i].stored);
		struct kv_entry entry;
		enum cs_status status;

		remove_key(f, &w.key, KV_VERSION_ANY);
		w.ttl_s = 500;
		assert_ok(f, put(f, &w, &entry));
		w.mode = KV_INCREMENT;
		w.content = slice_cstr(cases[i].add);
		w.ttl_s = KV_TTL_NONE;
		status = put(f, &w, &entry);
		if (status != cases[i].status)
			fail_msg("%s + %s: %s", cases[i].stored, cases[i].add, cs_status_type(status));
		assert_ok(f, get(f, &w.key, &entry));
		assert_text(entry.content, cases[i].sum ? cases[i].sum : cases[i].stored);
		assert_int_equal(entry.version, cases[i].sum ? 2 : 1);
		assert_int_equal(entry.ttl_s, cases[i].sum ? KV_TTL_NONE : 500);
	}
}

static void every_write_sets_the_time_to_live_anew(void **state)
{
	static const enum kv_mode modes[] = {KV_OVERWRITE, KV_APPEND, KV_INCREMENT};
	struct fixture *f = *state;
	struct kv_entry entry;

	for (size_t i = 0; i < 3; i++) {
		struct kv_write w = write_of("k", "1");

		remove_key(f, &w.key, KV_VERSION_ANY);
		w.ttl_s = 100;
		assert_ok(f, put(f, &w, &entry));
		fixture_pass_ms(f, 60000);
		w.mode = modes[i];
		assert_ok(f, put(f, &w, &entry));
		assert_int_equal(entry.ttl_s, 100);
		fixture_pass_ms(f, 60000);
		assert_ok(f, get(f, &w.key, &entry));
		assert_int_equal(entry.version, 2);
		assert_in_range(entry.ttl_s, 39, 40);
		fixture_pass_ms(f, 40000);
		assert_int_equal(get(f, &w.key, &entry), CS_KEY_NOT_FOUND);
		w.if_version = 2;
		assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
		assert_int_equal(f->err.version, 0);
	}
}

static void a_version_that_does_not_fit_is_told_before_all_else(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("k", "word");
	struct kv_entry entry;
	char *text = calloc(1, KV_CONTENT_MAX + 1);

	memset(text, 'x', KV_CONTENT_MAX + 1);
	assert_ok(f, put(f, &w, &entry));
	w.if_version = 7;
	w.mode = KV_INCREMENT;
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 1);
	w.mode = KV_OVERWRITE;
	w.content = slice_of(text, KV_CONTENT_MAX + 1);
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	w.key.key = S("none");
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 0);
	assert_int_equal(remove_key(f, &w.key, 7), CS_KEY_NOT_FOUND);
	w.if_version = 0;
	assert_int_equal(put(f, &w, &entry), CS_CONTENT_TOO_LARGE);
	free(text);
}

static size_t listed(struct fixture *f, struct slice agent, enum kv_prefix prefix)
{
	struct kv_key owner = {agent, prefix, {0}};
	struct kv_page page = {0};
	enum cs_status status =
		f->ports.kv.list(f->ports.kv.self, &f->op, &owner, (struct slice){0}, 100, &page, &f->err);

	/* An id that no agent can have may be refused, too. */
	if (status != CS_OK)
		assert_int_equal(status, CS_INVALID_AGENT_ID);
	return page.count;
}

static void no_namespace_leaks_into_another(void **state)
{
	static const char *const agents[] = {"a", "ab", "a-b", "a_b", "A", "state", "agent"};
	struct fixture *f = *state;
	struct kv_entry entry;

	for (size_t i = 0; i < sizeof agents / sizeof *agents; i++)
		for (int prefix = 0; prefix < KV_PREFIX_COUNT; prefix++) {
			struct kv_write w = write_of("k", agents[i]);

			w.key.agent_id = slice_cstr(agents[i]);
			w.key.prefix = (enum kv_prefix)prefix;
			assert_ok(f, put(f, &w, &entry));
		}
	for (size_t i = 0; i < sizeof agents / sizeof *agents; i++) {
		struct kv_write w = write_of("k", "");

		assert_int_equal(listed(f, slice_cstr(agents[i]), KV_STATE), 1);
		w.key.agent_id = slice_cstr(agents[i]);
		assert_ok(f, get(f, &w.key, &entry));
		assert_text(entry.content, agents[i]);
	}
	assert_int_equal(listed(f, S("*"), KV_STATE), 0);
	assert_int_equal(listed(f, S("a*"), KV_STATE), 0);
	assert_int_equal(listed(f, S("?"), KV_STATE), 0);
	assert_int_equal(listed(f, S("[aA]"), KV_STATE), 0);
	assert_int_equal(listed(f, S("a:state"), KV_STATE), 0);
	assert_int_equal(listed(f, S("b"), KV_STATE), 0);
}

static void many_keys_are_paged_without_loss_or_repetition(void **state)
{
	struct fixture *f = *state;
	struct kv_key owner = {S("agent"), KV_SCRATCHPAD, {0}};
	struct kv_entry entry;
	struct kv_page page;
	struct slice after = {0};
	size_t seen = 0;

	for (int i = 0; i < 250; i++) {
		char name[16];
		struct kv_write w;

		snprintf(name, sizeof name, "k%03d", i * 7 % 250);
		w = write_of(name, name);
		w.ttl_s = i % 2 ? 100 : KV_TTL_NONE;
		assert_ok(f, put(f, &w, &entry));
	}
	do {
		assert_ok(f, f->ports.kv.list(f->ports.kv.self, &f->op, &owner, after, 70, &page, &f->err));
		assert_int_equal(page.total, 250);
		for (size_t i = 0; i < page.count; i++) {
			char name[16];

			snprintf(name, sizeof name, "k%03zu", seen++);
			assert_text(page.keys[i], name);
			assert_text(page.entries[i].content, name);
			assert_int_equal(page.entries[i].version, 1);
			assert_int_equal(page.entries[i].characters, 4);
		}
		after = page.keys[page.count - 1];
	} while (page.more);
	assert_int_equal(seen, 250);
	assert_ok(f, f->ports.kv.list(f->ports.kv.self, &f->op, &owner, S("k0995"), 2, &page, &f->err));
	assert_text(page.keys[0], "k100");
	assert_ok(f, f->ports.kv.list(f->ports.kv.self, &f->op, &owner, S("z"), 2, &page, &f->err));
	assert_int_equal(page.count, 0);
	assert_int_equal(page.total, 250);
	assert_false(page.more);
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
		PORT_TEST(content_is_bytes_of_utf8),
		PORT_TEST(the_longest_value_comes_back_whole),
		PORT_TEST(increments_are_exact_to_the_last_of_64_bits),
		PORT_TEST(every_write_sets_the_time_to_live_anew),
		PORT_TEST(a_version_that_does_not_fit_is_told_before_all_else),
		PORT_TEST(no_namespace_leaks_into_another),
		PORT_TEST(many_keys_are_paged_without_loss_or_repetition),
	};

	return run_for_kv_adapters("kv", tests, sizeof tests / sizeof *tests);
}
