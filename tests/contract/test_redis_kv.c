/* What the Redis adapter owes besides the port's contract: values that others read and wrote, what the server may refuse,
 * and what becomes of its connections. On a real Redis and a real Valkey. */
#include "kv_adapters.h"

#include "base/utf8.h"

static struct kv_server *server_of(const struct fixture *f)
{
	return strcmp(f->adapter->name, "valkey") == 0 ? &the_valkey : &the_redis;
}

/* As the default user, in the adapter's database. */
#define say(f, ...)                                                                                                    \
	({                                                                                                             \
		kv_server_say(server_of(f), "SELECT", strstr((f)->adapter->name, "database 3") ? "3" : "0");           \
		kv_server_say(server_of(f), __VA_ARGS__);                                                              \
	})

static struct kv_write write_of(const char *content)
{
	return (struct kv_write){
		.key = {S("a"), KV_STATE, S("k")},
		.content = slice_cstr(content),
		.ttl_s = KV_TTL_NONE,
		.if_version = KV_VERSION_ANY,
	};
}

static enum cs_status put(struct fixture *f, const struct kv_write *write, struct kv_entry *entry)
{
	return f->ports.kv.put(f->ports.kv.self, &f->op, write, entry, &f->err);
}

static enum cs_status get(struct fixture *f, struct kv_entry *entry)
{
	struct kv_key key = write_of("").key;

	return f->ports.kv.get(f->ports.kv.self, &f->op, &key, entry, &f->err);
}

static enum cs_status list(struct fixture *f, struct kv_page *page)
{
	struct kv_key owner = {S("a"), KV_STATE, {0}};

	return f->ports.kv.list(f->ports.kv.self, &f->op, &owner, (struct slice){0}, 100, page, &f->err);
}

static void anybody_reads_the_content_with_get(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("plain \xE2\x82\xAC");
	struct kv_entry entry;
	struct redis_reply reply;

	w.ttl_s = 100;
	assert_ok(f, put(f, &w, &entry));
	assert_text(say(f, "GET", "agent:a:state:k").text, "plain \xE2\x82\xAC");
	assert_in_range(say(f, "TTL", "agent:a:state:k").integer, 99, 100);
	assert_int_equal(say(f, "PEXPIRETIME", "agent:a:state:k").integer,
		say(f, "PEXPIRETIME", "{agent:a:state:k}:version").integer);
	reply = say(f, "KEYS", "agent:*");
	assert_int_equal(reply.count, 1);
	assert_text(reply.elements[0].text, "agent:a:state:k");
	assert_ok(f, f->ports.kv.remove(f->ports.kv.self, &f->op, &w.key, 1, &f->err));
	assert_int_equal(say(f, "DBSIZE").integer, 0);
}

static void what_was_there_before_is_version_1(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("new");
	struct kv_entry entry;
	struct kv_page page;

	say(f, "SET", "agent:a:state:k", "old \xE2\x82\xAC", "EX", "100");
	assert_ok(f, get(f, &entry));
	assert_text(entry.content, "old \xE2\x82\xAC");
	assert_int_equal(entry.version, 1);
	assert_int_equal(entry.characters, 5);
	assert_in_range(entry.ttl_s, 99, 100);
	assert_int_equal(say(f, "PEXPIRETIME", "agent:a:state:k").integer,
		say(f, "PEXPIRETIME", "{agent:a:state:k}:version").integer);
	say(f, "SET", "agent:a:state:m", "listed");
	assert_ok(f, list(f, &page));
	assert_int_equal(page.total, 2);
	assert_int_equal(page.entries[1].version, 1);
	w.if_version = 2;
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	w.if_version = 1;
	w.mode = KV_APPEND;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 2);
	assert_int_equal(entry.characters, 9);
	say(f, "SET", "agent:a:state:k", "41");
	say(f, "DEL", "{agent:a:state:k}:version");
	w.mode = KV_INCREMENT;
	w.content = S("1");
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "42");
	assert_int_equal(entry.version, 2);
}

static void a_change_from_outside_is_another_version_each_time_it_is_told(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("ours");
	struct kv_entry entry;
	struct kv_page page;

	assert_ok(f, put(f, &w, &entry));
	say(f, "SET", "agent:a:state:k", "theirs");
	w.if_version = 1;
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 2);
	say(f, "SET", "agent:a:state:k", "theirs again");
	w.if_version = 2;
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 3);
	say(f, "SET", "agent:a:state:k", "and again");
	assert_ok(f, get(f, &entry));
	assert_int_equal(entry.version, 4);
	assert_ok(f, get(f, &entry));
	assert_int_equal(entry.version, 4);
	say(f, "SET", "agent:a:state:k", "once more");
	assert_ok(f, list(f, &page));
	assert_int_equal(page.entries[0].version, 5);
	say(f, "SET", "agent:a:state:k", "once more");
	w.if_version = 5;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 6);
	say(f, "SET", "agent:a:state:k", "from outside");
	w.if_version = KV_VERSION_ANY;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 8);
}

static void a_mark_without_value_or_sense_counts_for_nothing(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("v");
	struct kv_entry entry;

	say(f, "SET", "{agent:a:state:k}:version", "9 1 aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
	assert_int_equal(get(f, &entry), CS_KEY_NOT_FOUND);
	w.if_version = 0;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 1);
	say(f, "SET", "{agent:a:state:k}:version", "nonsense");
	assert_ok(f, get(f, &entry));
	assert_int_equal(entry.version, 1);
}

static void what_is_no_string_or_no_text_is_told_and_left_alone(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("v");
	struct kv_entry entry;
	struct kv_page page;

	say(f, "HSET", "agent:a:state:k", "field", "value");
	assert_int_equal(get(f, &entry), CS_INVALID_CONTENT_TYPE);
	assert_int_equal(put(f, &w, &entry), CS_INVALID_CONTENT_TYPE);
	assert_int_equal(
		f->ports.kv.remove(f->ports.kv.self, &f->op, &w.key, KV_VERSION_ANY, &f->err), CS_INVALID_CONTENT_TYPE);
	assert_text(say(f, "HGET", "agent:a:state:k", "field").text, "value");
	say(f, "SET", "agent:a:state:other:key", "no tool can name it");
	say(f, "SET", "agent:a:state:", "nor this");
	say(f, "SET", "agent:a:state:a b", "nor this");
	say(f, "SET", "agent:a:state:m", "fine");
	assert_ok(f, list(f, &page));
	assert_int_equal(page.total, 1);
	assert_text(page.keys[0], "m");
	say(f, "DEL", "agent:a:state:k");
	say(f, "SET", "agent:a:state:k", "\xFF\xFE");
	assert_int_equal(get(f, &entry), CS_INVALID_CONTENT_TYPE);
	assert_ok(f, list(f, &page));
	assert_int_equal(page.total, 1);
	assert_text(page.keys[0], "m");
	assert_ok(f, put(f, &w, &entry));
	assert_ok(f, get(f, &entry));
}

/* The server judges appends in Lua, the client judges reads in C: they must agree on every string. */
static void what_cannot_be_read_cannot_be_appended_to(void **state)
{
	static const unsigned char edges[] = {'a', '0', '\n', 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1,
		0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
	/* First and last of each row of the table, and what stands right beside them. */
	static const char *const whole[] = {"\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xE0\xBF\xBF", "\xE1\x80\x80",
		"\xEC\xBF\xBF", "\xED\x80\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
		"\xF0\xBF\xBF\xBF", "\xF1\x80\x80\x80", "\xF3\xBF\xBF\xBF", "\xF4\x80\x80\x80", "\xF4\x8F\xBF\xBF"};
	static const char *const beside[] = {"\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
		"\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC2", "\xE1\x80", "\xF1\x80\x80", "\xDF\xC0", "\xE1\x80\x7F"};
	struct fixture *f = *state;
	unsigned texts = 0, others = 0, seed = 20, pick;
	struct kv_entry entry, read;

	for (int round = 0; round < 1500; round++) {
		struct kv_write w = write_of("+");
		char value[32] = "", expected[40];
		size_t length = 0;
		bool is_text;

		for (int part = 0; part < 1 + round % 4; part++) {
			seed = seed * 1103515245u + 12345u;
			pick = seed >> 20;
			if ((seed >> 16) % 8 == 0)
				value[length++] = (char)edges[pick % sizeof edges];
			else
				length += (size_t)snprintf(value + length, sizeof value - length, "%s",
					(seed >> 16) % 8 == 1 ? beside[pick % (sizeof beside / sizeof *beside)]
							      : whole[pick % (sizeof whole / sizeof *whole)]);
		}
		value[length] = '\0';
		say(f, "DEL", "agent:a:state:k", "{agent:a:state:k}:version");
		say(f, "SET", "agent:a:state:k", value);
		is_text = utf8_length(slice_cstr(value)) >= 0;
		texts += is_text;
		others += !is_text;
		w.mode = KV_APPEND;
		/* Unmarked, and marked as no text. */
		for (int times = 0; times < 2 && !is_text; times++) {
			assert_int_equal(put(f, &w, &entry), CS_INVALID_CONTENT_TYPE);
			assert_non_null(strstr(f->err.text, "is not UTF-8 text: another program left it there"));
			assert_int_equal(get(f, &read), CS_INVALID_CONTENT_TYPE);
			assert_text(say(f, "GET", "agent:a:state:k").text, value);
		}
		if (!is_text)
			continue;
		assert_ok(f, put(f, &w, &entry));
		snprintf(expected, sizeof expected, "%s\n+", value);
		assert_text(entry.content, expected);
		assert_int_equal(entry.characters, utf8_length(slice_cstr(expected)));
	}
	assert_true(texts > 300 && others > 300);
}

static void what_is_no_text_is_no_number_and_can_be_replaced(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("1");
	struct kv_entry entry;

	w.ttl_s = 100;
	assert_ok(f, put(f, &w, &entry));
	say(f, "SET", "agent:a:state:k", "1\xFF", "KEEPTTL");
	w.mode = KV_INCREMENT;
	assert_int_equal(put(f, &w, &entry), CS_INVALID_CONTENT_TYPE);
	assert_non_null(strstr(f->err.text, "is not UTF-8 text"));
	w.if_version = 1;
	assert_int_equal(put(f, &w, &entry), CS_VERSION_CONFLICT);
	assert_int_equal(f->err.version, 2);
	assert_text(say(f, "GET", "agent:a:state:k").text, "1\xFF");
	w.mode = KV_OVERWRITE;
	w.if_version = 2;
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 3);
	w.mode = KV_APPEND;
	w.if_version = KV_VERSION_ANY;
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "1\n1");
	/* An empty value is text. */
	say(f, "SET", "agent:a:state:k", "");
	assert_ok(f, put(f, &w, &entry));
	assert_text(entry.content, "\n1");
}

static void a_value_longer_than_ours_may_be_is_still_read(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("x");
	struct kv_entry entry;

	say(f, "SETRANGE", "agent:a:state:k", "300000", "x");
	assert_ok(f, get(f, &entry));
	assert_int_equal(entry.characters, 300001);
	w.mode = KV_APPEND;
	assert_int_equal(put(f, &w, &entry), CS_CONTENT_TOO_LARGE);
	say(f, "SETRANGE", "agent:a:state:k", "5000000", "x");
	assert_int_equal(get(f, &entry), CS_UNAVAILABLE);
	w.mode = KV_OVERWRITE;
	assert_ok(f, put(f, &w, &entry));
	assert_ok(f, get(f, &entry));
	assert_text(entry.content, "x");
}

static void a_server_that_forgot_the_scripts_learns_them_again(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("v");
	struct kv_entry entry;

	for (uint64_t i = 1; i <= 3; i++) {
		assert_ok(f, put(f, &w, &entry));
		assert_int_equal(entry.version, i);
		say(f, "SCRIPT", "FLUSH");
	}
	assert_ok(f, f->ports.kv.remove(f->ports.kv.self, &f->op, &w.key, 3, &f->err));
}

static void a_full_server_refuses_writes_and_answers_reads(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("v");
	struct kv_entry entry;

	assert_ok(f, put(f, &w, &entry));
	say(f, "CONFIG", "SET", "maxmemory", "1");
	assert_int_equal(put(f, &w, &entry), CS_STORAGE);
	assert_non_null(strstr(f->err.text, "Nothing was written"));
	w.mode = KV_INCREMENT;
	w.content = S("1");
	w.key.key = S("number");
	assert_int_equal(put(f, &w, &entry), CS_STORAGE);
	assert_ok(f, get(f, &entry));
	assert_int_equal(entry.version, 1);
	say(f, "CONFIG", "SET", "maxmemory", "0");
	assert_ok(f, put(f, &w, &entry));
}

static void a_replica_answers_reads_and_tells_what_it_cannot_mark(void **state)
{
	struct fixture *f = *state;
	struct kv_write w = write_of("v");
	struct kv_entry entry;

	assert_ok(f, put(f, &w, &entry));
	say(f, "SET", "agent:a:state:k", "theirs");
	/* Of a primary that is not there: what it has stays, and it takes no writes. */
	say(f, "REPLICAOF", "127.0.0.1", "1");
	assert_int_equal(put(f, &w, &entry), CS_STORAGE);
	assert_non_null(strstr(f->err.text, "replica"));
	assert_ok(f, get(f, &entry));
	assert_text(entry.content, "theirs");
	assert_int_equal(entry.version, 2);
	say(f, "REPLICAOF", "NO", "ONE");
	assert_ok(f, put(f, &w, &entry));
	assert_int_equal(entry.version, 3);
}

static void databases_are_apart(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;

	kv_server_say(server_of(f), "SELECT", "7");
	kv_server_say(server_of(f), "SET", "agent:a:state:k", "elsewhere");
	assert_int_equal(get(f, &entry), CS_KEY_NOT_FOUND);
}

/* Connections. */

static struct redis_kv *kv_of(struct fixture *f, const char *rest, const char *user, struct redis_kv_options options)
{
	struct redis_kv *kv;
	char url[128];

	snprintf(url, sizeof url, "redis://%s127.0.0.1:%u%s", user, server_of(f)->server.port, rest);
	options.url = slice_cstr(url);
	assert_ok(f, redis_kv_new(&options, &kv, &f->err));
	return kv;
}

static void refused(struct fixture *f, struct redis_kv *kv, const char *hint)
{
	assert_int_equal(redis_kv_ping(kv, &f->op, &f->err), CS_UNAVAILABLE);
	if (!strstr(f->err.text, hint) || strstr(f->err.text, "wrong"))
		fail_msg("%s", f->err.text);
	redis_kv_free(kv);
}

static void who_is_not_let_in_is_told_why(void **state)
{
	struct fixture *f = *state;
	struct redis_kv_options none = {0}, right = {.password = S("p@ss:w/rd%")};
	struct redis_kv *kv;

	refused(f, kv_of(f, "", "store:wrong@", none), "REDIS_PASSWORD");
	refused(f, kv_of(f, "/99", "", none), "database");
	say(f, "CONFIG", "SET", "requirepass", "another");
	refused(f, kv_of(f, "", "", none), "REDIS_PASSWORD");
	refused(f, kv_of(f, "", ":wrong@", none), "REDIS_PASSWORD");
	say(f, "CONFIG", "SET", "requirepass", "");
	kv = kv_of(f, "", "store@", right);
	assert_ok(f, redis_kv_ping(kv, &f->op, &f->err));
	assert_null(memmem(redis_kv_shown(kv).ptr, redis_kv_shown(kv).len, "p@ss", 4));
	redis_kv_free(kv);
	kv = kv_of(f, "", "", right);
	assert_int_equal(redis_kv_ping(kv, &f->op, &f->err), CS_UNAVAILABLE);
	redis_kv_free(kv);
}

static void a_right_that_is_missing_is_named(void **state)
{
	struct fixture *f = *state;
	struct redis_kv_options none = {0};
	struct kv_write w = write_of("v");
	struct kv_entry entry;
	struct redis_kv *kv;
	struct kv_port port;

	say(f, "ACL", "SETUSER", "reader", "reset", "on", ">pass", "~agent:*", "+@read", "+evalsha", "+eval", "+ping");
	kv = kv_of(f, "", "reader:pass@", none);
	port = redis_kv_port(kv);
	assert_int_equal(port.put(port.self, &f->op, &w, &entry, &f->err), CS_STORAGE);
	assert_non_null(strstr(f->err.text, "permission"));
	assert_int_equal(port.get(port.self, &f->op, &w.key, &entry, &f->err), CS_STORAGE);
	redis_kv_free(kv);
	say(f, "ACL", "DELUSER", "reader");
}

static void a_restarted_server_is_found_again_by_itself(void **state)
{
	struct fixture *f = *state;
	struct kv_server *s = server_of(f);
	struct redis_kv_options none = {0};
	struct redis_kv *kv = kv_of(f, "", "", none);
	struct kv_port port = redis_kv_port(kv);
	struct kv_write w = write_of("v");
	struct kv_entry entry;

	assert_ok(f, port.put(port.self, &f->op, &w, &entry, &f->err));
	redis_server_kill(&s->server);
	assert_int_equal(port.put(port.self, &f->op, &w, &entry, &f->err), CS_UNAVAILABLE);
	assert_non_null(strstr(f->err.text, "Nothing was written"));
	assert_int_equal(port.get(port.self, &f->op, &w.key, &entry, &f->err), CS_UNAVAILABLE);
	redis_server_start_again(&s->server);
	assert_ok(f, port.put(port.self, &f->op, &w, &entry, &f->err));
	redis_kv_free(kv);
	kv_server_connect(s);
	kv_server_say(s, STORE_RIGHTS);
}

static void an_idle_pool_keeps_min_connections(void **state)
{
	struct fixture *f = *state;
	struct redis_kv_options options = {.pool_min = 5, .pool_max = 50, .max_idle_ms = 60000};
	struct redis_kv *kv = kv_of(f, "", "", options);
	struct kv_port port = redis_kv_port(kv);
	struct kv_write w = write_of("");
	struct pool_stats stats;
	struct kv_entry entry;

	assert_ok(f, redis_kv_maintain(kv, &f->op, &f->err));
	redis_kv_pool_stats(kv, &stats);
	assert_int_equal(stats.idle, 5);
	clock_shift_ms(3600000);
	assert_ok(f, redis_kv_maintain(kv, &f->op, &f->err));
	assert_int_equal(port.get(port.self, &f->op, &w.key, &entry, &f->err), CS_KEY_NOT_FOUND);
	redis_kv_pool_stats(kv, &stats);
	assert_int_equal(stats.size, 5);
	assert_ok(f, redis_kv_drain(kv, &f->op, &f->err));
	assert_int_equal(port.get(port.self, &f->op, &w.key, &entry, &f->err), CS_UNAVAILABLE);
	redis_kv_free(kv);
	clock_shift_ms(0);
}

/* What a listener for invalidations lives on. */
static void messages_that_nobody_asked_for_are_received(void **state)
{
	struct fixture *f = *state;
	struct redis_kv_options none = {0};
	struct redis_kv *kv = kv_of(f, "", "", none);
	struct slice subscribe[] = {S("SUBSCRIBE"), S("news")};
	struct redis_connection *c;
	struct redis_reply reply;
	bool came = true;

	assert_ok(f, redis_connect(redis_kv_client(kv), &f->op, &c, &f->err));
	assert_ok(f, redis_call(c, &f->op, subscribe, 2, &reply, &f->err));
	assert_ok(f, redis_await(c, &f->op, clock_mono_ns() + 1000000, &came, &f->err));
	assert_false(came);
	assert_ok(f, redis_receive(c, &f->op, &reply, &came, &f->err));
	assert_false(came);
	kv_server_say(server_of(f), "PUBLISH", "news", "first");
	kv_server_say(server_of(f), "PUBLISH", "news", "second");
	/* Both may have come at once, and what was received together is not on the socket any more. */
	for (int i = 0; i < 2; i++) {
		assert_ok(f, redis_receive(c, &f->op, &reply, &came, &f->err));
		if (!came) {
			assert_ok(f, redis_await(c, &f->op, OP_NO_DEADLINE, &came, &f->err));
			assert_true(came);
			assert_ok(f, redis_receive(c, &f->op, &reply, &came, &f->err));
			assert_true(came);
		}
		assert_text(reply.elements[2].text, i ? "second" : "first");
	}
	assert_true(redis_is_quiet(c));
	redis_close(c);
	redis_kv_free(kv);
}

static void names_of_keys_are_read_back(void **state)
{
	static const char *const foreign[] = {"", "agent:", "agent:a", "agent:a:state",
		"agent:a:state:", "agent::state:k", "agent:a:stat:k", "agent:a:state:k:m", "agent:a b:state:k",
		"{agent:a:state:k}:version", "xagent:a:state:k"};
	struct kv_key key;

	assert_true(redis_kv_key_parse(S("agent:a-B_1:memory:k.1"), &key));
	assert_text(key.agent_id, "a-B_1");
	assert_int_equal(key.prefix, KV_MEMORY);
	assert_text(key.key, "k.1");
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		assert_false(redis_kv_key_parse(slice_cstr(foreign[i]), &key));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		PORT_TEST(anybody_reads_the_content_with_get),
		PORT_TEST(what_was_there_before_is_version_1),
		PORT_TEST(a_change_from_outside_is_another_version_each_time_it_is_told),
		PORT_TEST(a_mark_without_value_or_sense_counts_for_nothing),
		PORT_TEST(what_is_no_string_or_no_text_is_told_and_left_alone),
		PORT_TEST(what_cannot_be_read_cannot_be_appended_to),
		PORT_TEST(what_is_no_text_is_no_number_and_can_be_replaced),
		PORT_TEST(a_value_longer_than_ours_may_be_is_still_read),
		PORT_TEST(a_server_that_forgot_the_scripts_learns_them_again),
		PORT_TEST(a_full_server_refuses_writes_and_answers_reads),
		PORT_TEST(a_replica_answers_reads_and_tells_what_it_cannot_mark),
		PORT_TEST(databases_are_apart),
		PORT_TEST(who_is_not_let_in_is_told_why),
		PORT_TEST(a_right_that_is_missing_is_named),
		PORT_TEST(a_restarted_server_is_found_again_by_itself),
		PORT_TEST(an_idle_pool_keeps_min_connections),
		PORT_TEST(messages_that_nobody_asked_for_are_received),
		PORT_TEST(names_of_keys_are_read_back),
	};

	/* All but the engine. */
	return run_for_table("redis kv", tests, sizeof tests / sizeof *tests, kv_adapters + 1,
		sizeof kv_adapters / sizeof *kv_adapters - 1);
}
