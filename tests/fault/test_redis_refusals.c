/* What a server says no with, to a command or to the greeting, and what is said of it: the right status, what to do, and
 * whether anything was written. What only a replica refuses with is in test_redis_failover.c. */
#include "redis_wire.h"

static void serve_refusal(struct fake_redis *fake, int fd, int number)
{
	struct fixture *f = fake->self;

	if (!fake_redis_greet(fake, fd))
		return;
	while (fake_redis_hear(fake, fd, 1))
		fake_redis_say(fd, f->reply, f->length);
}

static void refusals_are_told_with_what_to_do_and_break_nothing(void **state)
{
	static const struct {
		const char *reply;
		enum cs_status status;
		const char *hint;
	} cases[] = {
		{"-NOAUTH Authentication required.\r\n", CS_UNAVAILABLE, "REDIS_PASSWORD"},
		{"-WRONGPASS invalid username-password pair or user is disabled.\r\n", CS_UNAVAILABLE, "password"},
		{"-ERR unknown command 'AUTH', with args beginning with: 'me' 'not known' \r\n", CS_UNAVAILABLE,
			"AUTH"},
		{"-LOADING Redis is loading the dataset in memory\r\n", CS_UNAVAILABLE, "loading"},
		{"-BUSY Redis is busy running a script.\r\n", CS_UNAVAILABLE, "script"},
		{"-ERR max number of clients reached\r\n", CS_UNAVAILABLE, "maxclients"},
		{"-MOVED 3999 127.0.0.1:6381\r\n", CS_UNAVAILABLE, "Redis Cluster"},
		{"-ASK 3999 127.0.0.1:6381\r\n", CS_UNAVAILABLE, "Redis Cluster"},
		{"-CROSSSLOT Keys in request don't hash to the same slot\r\n", CS_UNAVAILABLE, "Redis Cluster"},
		{"-DENIED Redis is running in protected mode because protected mode is enabled\r\n", CS_UNAVAILABLE,
			"protected mode"},
		{"-ERR SELECT is not allowed in cluster mode\r\n", CS_UNAVAILABLE, "Redis Cluster"},
		{"-NOPERM this user has no permissions to run the 'evalsha' command\r\n", CS_STORAGE, "'evalsha'"},
		{"-OOM command not allowed when used memory > 'maxmemory'.\r\n", CS_STORAGE, "out of memory"},
		{"-MISCONF Redis is configured to save RDB snapshots\r\n", CS_STORAGE, "refuses writes"},
		{"-NOREPLICAS Not enough good replicas to write.\r\n", CS_STORAGE, "replicas"},
		{"-WRONGTYPE Operation against a key\r\n", CS_INVALID_CONTENT_TYPE, "something else than a string"},
		{"-OOMPH is no code of ours\r\n", CS_STORAGE, "OOMPH"},
		{"-ERR a\x1b[31mred\x80 one\r\n", CS_STORAGE, "a?[31mred? one"},
		{"-\r\n", CS_STORAGE, "refused"},
	};
	struct fixture *f = *state;

	begin(f, serve_refusal, 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct kv_entry entry;

		f->reply = cases[i].reply;
		f->length = strlen(cases[i].reply);
		if (put(f) != cases[i].status)
			fail_msg("%s: %s", cases[i].reply, f->err.text);
		assert_says(f, cases[i].hint);
		assert_null(strstr(f->err.text, "not known"));
		if (get(f, &entry) != cases[i].status)
			fail_msg("%s: %s", cases[i].reply, f->err.text);
		assert_says(f, cases[i].hint);
	}
	assert_int_equal(f->fake.connections, 1);
	end(f);
}

/* A script that the server does not know (any more). */

static void serve_noscript(struct fake_redis *fake, int fd, int number)
{
	static const char unknown[] = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
	struct fixture *f = fake->self;

	if (!fake_redis_greet(fake, fd) || !fake_redis_hear(fake, fd, 1) || !strstr(fake->request, "EVALSHA"))
		return;
	fake_redis_say(fd, unknown, sizeof unknown - 1);
	if (!fake_redis_hear(fake, fd, 1) || strstr(fake->request, "EVALSHA") || !strstr(fake->request, "redis.call"))
		return;
	f->puts++;
	fake_redis_say(fd, f->reply, f->length);
}

static void a_forgotten_script_is_sent_anew(void **state)
{
	static const struct {
		const char *reply;
		enum cs_status status;
		const char *hint;
	} cases[] = {
		{"*3\r\n$2\r\nok\r\n$1\r\n1\r\n$1\r\n1\r\n", CS_OK, ""},
		{"*2\r\n$8\r\nconflict\r\n$1\r\n3\r\n", CS_VERSION_CONFLICT, "version 3 is stored"},
		{"-LOADING\r\n", CS_UNAVAILABLE, "Nothing was written"},
		{"-NOSCRIPT still\r\n", CS_STORAGE, "NOSCRIPT"},
		{"", CS_UNAVAILABLE, "not known whether"},
		{"*2\r\n$2\r\nok", CS_UNAVAILABLE, "not known whether"},
		{"*1\r\n$3\r\nwhy\r\n", CS_UNAVAILABLE, "not known whether"},
		{"*0\r\n", CS_UNAVAILABLE, "not known whether"},
		{"*3\r\n$2\r\nok\r\n$1\r\nx\r\n$1\r\n1\r\n", CS_UNAVAILABLE, "not known whether"},
		{":1\r\n", CS_UNAVAILABLE, "not known whether"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		f->puts = 0;
		f->reply = cases[i].reply;
		f->length = strlen(cases[i].reply);
		begin(f, serve_noscript, 0);
		if (put(f) != cases[i].status)
			fail_msg("%s: %s", cases[i].reply, f->err.text);
		if (cases[i].status != CS_OK)
			assert_says(f, cases[i].hint);
		assert_int_equal(f->puts, 1);
		end(f);
	}
}

/* Refusals of the greeting. */

static void serve_then_pong(struct fake_redis *fake, int fd, int number)
{
	struct fixture *f = fake->self;

	if (fake_redis_hear(fake, fd, 1))
		fake_redis_say(fd, f->reply, f->length);
	while (fake_redis_hear(fake, fd, 1))
		fake_redis_say(fd, "+PONG\r\n", 7);
}

static void serve_no_greeting(struct fake_redis *fake, int fd, int number)
{
	struct fixture *f = fake->self;

	if (fake_redis_hear(fake, fd, 1))
		fake_redis_say(fd, f->reply, f->length);
	fake_redis_hear(fake, fd, 1);
}

static void a_name_may_be_refused(void **state)
{
	static const char *const replies[] = {"-NOPERM this user has no permissions to run the 'hello' command\r\n",
		"-ERR unknown command 'HELLO', with args beginning with: '2'\r\n",
		"-NOPROTO unsupported protocol version\r\n", "*0\r\n", "*1\r\n$4\r\nmode\r\n",
		"*2\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n", "*2\r\n:1\r\n:1\r\n"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		f->reply = replies[i];
		f->length = strlen(replies[i]);
		begin(f, serve_then_pong, 0);
		if (redis_kv_ping(f->kv, &f->op, &f->err) != CS_OK)
			fail_msg("%s", f->err.text);
		end(f);
	}
}

/* Whatever its words are: a server that lets no connection be is not there for us, and who watches health must see that. */
static void a_refused_greeting_is_no_server(void **state)
{
	static const struct {
		const char *reply, *hint;
	} cases[] = {
		{"-DENIED Redis is running in protected mode\r\n", "protected mode"},
		{"-ERR nobody is let in today\r\n", "nobody is let in today"},
		{"-MISCONF this cannot be\r\n", "disk"},
		{"-ERR SELECT is not allowed in cluster mode\r\n", "Redis Cluster"},
		{"*4\r\n$5\r\nproto\r\n:2\r\n$4\r\nmode\r\n$7\r\ncluster\r\n", "Redis Cluster"},
		{"*2\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n", "Sentinel"},
	};
	struct fixture *f = *state;

	begin(f, serve_no_greeting, 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct kv_entry entry;

		f->reply = cases[i].reply;
		f->length = strlen(cases[i].reply);
		if (get(f, &entry) != CS_UNAVAILABLE)
			fail_msg("%s: %s", cases[i].reply, f->err.text);
		assert_says(f, cases[i].hint);
		assert_int_equal(redis_kv_ping(f->kv, &f->op, &f->err), CS_UNAVAILABLE);
		assert_int_equal(put(f), CS_UNAVAILABLE);
		assert_says(f, "othing was written");
	}
	end(f);
}

static void no_server_means_nothing_was_written(void **state)
{
	struct fixture *f = *state;
	struct redis_kv_options options = {.url = S("unix:///nonexistent/socket")};

	assert_int_equal(redis_kv_new(&options, &f->kv, &f->err), CS_OK);
	f->port = redis_kv_port(f->kv);
	assert_int_equal(put(f), CS_UNAVAILABLE);
	assert_says(f, "unix:///nonexistent/socket");
	assert_says(f, "Nothing was written");
	assert_int_equal(redis_kv_maintain(f->kv, &f->op, &f->err), CS_UNAVAILABLE);
	redis_kv_free(f->kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WIRE_TEST(refusals_are_told_with_what_to_do_and_break_nothing),
		WIRE_TEST(a_name_may_be_refused),
		WIRE_TEST(a_refused_greeting_is_no_server),
		WIRE_TEST(a_forgotten_script_is_sent_anew),
		WIRE_TEST(no_server_means_nothing_was_written),
	};

	return cmocka_run_group_tests_name("redis refusals", tests, NULL, NULL);
}
