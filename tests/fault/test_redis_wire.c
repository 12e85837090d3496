/* What may come over the wire instead of a reply, and what becomes of it: the right status, a message that is true, no
 * connection used again that could hold somebody else's reply. The server is a thread that says what the test wants. */
#include <sys/socket.h>

#include "../support/alloc_fault.h"
#include "redis_wire.h"

#define NS_PER_MS INT64_C(1000000)
/* SHA-1 of "hello", as the mark of a value that was written by us. */
#define HELLO_SUM "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
#define HELLO     "*3\r\n$5\r\nhello\r\n$44\r\n7 5 " HELLO_SUM "\r\n:-1\r\n"

static void assert_hello(struct fixture *f)
{
	struct kv_entry entry;

	if (get(f, &entry) != CS_OK)
		fail_msg("%s", f->err.text);
	assert_true(slice_eq(entry.content, S("hello")));
	assert_int_equal(entry.version, 7);
	assert_int_equal(entry.ttl_s, KV_TTL_NONE);
}

/* Splits. */

static void serve_split(struct fake_redis *fake, int fd, int number)
{
	size_t whole = sizeof HELLO - 1;

	if (!fake_redis_greet(fake, fd))
		return;
	for (size_t first = 0; first < whole && fake_redis_hear(fake, fd, 1); first++) {
		fake_redis_say(fd, HELLO, first);
		fake_redis_await_read(fd);
		fake_redis_say(fd, &HELLO[first], whole - first);
	}
	/* And once at all of them. */
	if (fake_redis_hear(fake, fd, 1))
		for (size_t i = 0; i < whole; i++) {
			fake_redis_say(fd, &HELLO[i], 1);
			fake_redis_await_read(fd);
		}
	fake_redis_hear(fake, fd, 1);
}

static void a_reply_may_be_split_at_every_byte(void **state)
{
	struct fixture *f = *state;

	begin(f, serve_split, 0);
	for (size_t i = 0; i <= sizeof HELLO - 1; i++)
		assert_hello(f);
	assert_int_equal(f->fake.connections, 1);
	end(f);
}

/* Cuts. */

static void serve_cut(struct fake_redis *fake, int fd, int number)
{
	struct fixture *f = fake->self;

	if (fake_redis_greet(fake, fd) && fake_redis_hear(fake, fd, 1))
		fake_redis_say(fd, HELLO, f->cut);
}

static void a_connection_cut_in_mid_reply_is_not_used_again(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;
	struct pool_stats stats;

	begin(f, serve_cut, 0);
	for (f->cut = 0; f->cut < sizeof HELLO - 1; f->cut++) {
		assert_int_equal(get(f, &entry), CS_UNAVAILABLE);
		assert_says(f, "closed the connection");
		redis_kv_pool_stats(f->kv, &stats);
		assert_int_equal(stats.size, 0);
	}
	assert_int_equal(f->fake.connections, sizeof HELLO - 1);
	end(f);
}

/* What is closed with bytes unread is reset. */
static void serve_reset(struct fake_redis *fake, int fd, int number)
{
	struct fixture *f = fake->self;
	char byte;

	if (fake_redis_greet(fake, fd) && recv(fd, &byte, 1, 0) == 1) {
		fake_redis_say(fd, HELLO, f->cut);
		fake_redis_await_read(fd);
	}
}

static void a_connection_reset_in_mid_reply_is_not_used_again(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;
	int connections = 0;

	begin(f, serve_reset, 0);
	for (f->cut = 0; f->cut < sizeof HELLO - 1; f->cut += 7) {
		assert_int_equal(get(f, &entry), CS_UNAVAILABLE);
		assert_says(f, "reset by peer");
		assert_int_equal(f->fake.connections, ++connections);
	}
	f->cut = 1;
	assert_int_equal(put(f), CS_UNAVAILABLE);
	assert_says(f, "not known whether");
	end(f);
}

/* Answers one get; what comes then is counted and not answered. */
static void serve_once(struct fake_redis *fake, int fd, int number)
{
	struct fixture *f = fake->self;

	if (!fake_redis_greet(fake, fd) || !fake_redis_hear(fake, fd, 1))
		return;
	fake_redis_say(fd, HELLO, sizeof HELLO - 1);
	if (fake_redis_hear(fake, fd, 1))
		f->puts += strstr(fake->request, "$3\r\nset\r\n") != NULL;
}

static void a_read_is_repeated_where_an_idle_connection_was_dead(void **state)
{
	struct fixture *f = *state;

	begin(f, serve_once, 0);
	for (int i = 0; i < 5; i++)
		assert_hello(f);
	assert_int_equal(f->fake.connections, 5);
	end(f);
}

static void a_write_is_never_repeated_and_says_that_its_effect_is_not_known(void **state)
{
	struct fixture *f = *state;

	begin(f, serve_once, 0);
	assert_hello(f);
	assert_int_equal(put(f), CS_UNAVAILABLE);
	assert_says(f, "not known whether");
	assert_int_equal(f->puts, 1);
	assert_int_equal(f->fake.connections, 1);
	end(f);
}

/* The first connection ends right behind its first reply, the second takes a write. */
static void serve_restarted(struct fake_redis *fake, int fd, int number)
{
	static const char done[] = "*3\r\n$2\r\nok\r\n$1\r\n1\r\n$1\r\n1\r\n";

	if (!fake_redis_greet(fake, fd) || !fake_redis_hear(fake, fd, 1))
		return;
	if (number)
		fake_redis_say(fd, done, sizeof done - 1);
	else
		fake_redis_say(fd, HELLO, sizeof HELLO - 1);
	if (number)
		fake_redis_hear(fake, fd, 1);
}

static void a_write_does_not_go_to_a_connection_that_is_known_to_be_dead(void **state)
{
	struct fixture *f = *state;

	begin(f, serve_restarted, 0);
	assert_hello(f);
	/* accept of the next one is what follows the close of the first; this one waits for it. */
	{
		struct redis_connection *probe;

		assert_int_equal(redis_connect(redis_kv_client(f->kv), &f->op, &probe, &f->err), CS_OK);
		redis_close(probe);
	}
	if (put(f) != CS_OK)
		fail_msg("%s", f->err.text);
	end(f);
}

/* Nonsense. */

static void serve_reply(struct fake_redis *fake, int fd, int number)
{
	struct fixture *f = fake->self;

	if (!fake_redis_greet(fake, fd))
		return;
	while (fake_redis_hear(fake, fd, 1))
		fake_redis_say(fd, f->reply, f->length);
}

static void nonsense_and_hostile_lengths_end_the_connection(void **state)
{
	static const char *const replies[] = {
		"$999999999999\r\n",
		"$4194305\r\n",
		"$9223372036854775807\r\n",
		"$99999999999999999999999\r\n",
		"$-5\r\n",
		"*1000000000\r\n",
		"*65537\r\n",
		"*2147483648\r\n",
		"*-7\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
		":123456789012345678901234567890\r\n",
		":abc\r\n",
		"?\r\n",
		"\r\n\r\n",
		"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"220 mail.example ESMTP\r\n",
		"\x16\x03\x01\x02\x00\x01",
		/* Replies, but not to what was asked. */
		"+OK\r\n",
		":1\r\n",
		"$-1\r\n",
		"*-1\r\n",
		"*0\r\n",
		"*2\r\n$-1\r\n$-1\r\n",
		"*4\r\n$1\r\nx\r\n$-1\r\n:-1\r\n:-1\r\n",
		"*3\r\n:1\r\n$-1\r\n:-1\r\n",
		"*3\r\n$1\r\nx\r\n*0\r\n:-1\r\n",
		"*3\r\n$1\r\nx\r\n$-1\r\n$1\r\n1\r\n",
		"*3\r\n*3\r\n:1\r\n:1\r\n:1\r\n$-1\r\n:-1\r\n",
	};
	struct fixture *f = *state;

	begin(f, serve_reply, 0);
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		struct kv_entry entry = {.version = 77};

		f->reply = replies[i];
		f->length = strlen(replies[i]);
		if (get(f, &entry) != CS_UNAVAILABLE)
			fail_msg("%s", replies[i]);
		assert_says(f, "REDIS_URL");
		assert_int_equal(entry.version, 77);
		assert_int_equal(f->fake.connections, i + 1);
		assert_true(f->arena.used < 1u << 20);
	}
	end(f);
}

static void an_endless_line_is_cut_short(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;
	char *line = malloc(REDIS_STRING_MAX * 2);

	memset(line, 'x', REDIS_STRING_MAX * 2);
	line[0] = '+';
	begin(f, serve_reply, 60000);
	f->reply = line;
	f->length = REDIS_STRING_MAX * 2;
	assert_int_equal(get(f, &entry), CS_UNAVAILABLE);
	assert_says(f, "longer than any");
	end(f);
	free(line);
}

static void serve_http(struct fake_redis *fake, int fd, int number)
{
	static const char reply[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

	fake_redis_hear(fake, fd, 1);
	fake_redis_say(fd, reply, sizeof reply - 1);
}

static void who_else_listens_is_told_apart_from_a_redis(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;

	begin(f, serve_http, 0);
	assert_int_equal(get(f, &entry), CS_UNAVAILABLE);
	assert_says(f, "does not speak as Redis does");
	assert_int_equal(put(f), CS_UNAVAILABLE);
	assert_says(f, "Nothing was written");
	assert_int_equal(redis_kv_ping(f->kv, &f->op, &f->err), CS_UNAVAILABLE);
	end(f);
}

/* Silence. */

static void serve_silence(struct fake_redis *fake, int fd, int number)
{
	if (fake_redis_greet(fake, fd))
		while (fake_redis_hear(fake, fd, 1))
			;
}

static void silence_ends_with_the_deadline_or_the_timeout(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;
	atomic_bool cancelled = true;

	begin(f, serve_silence, 40);
	f->op.deadline_ns = clock_mono_ns() + 10 * NS_PER_MS;
	assert_int_equal(get(f, &entry), CS_TIMEOUT);
	f->op.deadline_ns = clock_mono_ns() + 10 * NS_PER_MS;
	assert_int_equal(put(f), CS_TIMEOUT);
	f->op.deadline_ns = OP_NO_DEADLINE;
	assert_int_equal(get(f, &entry), CS_UNAVAILABLE);
	assert_says(f, "did not answer within 40 ms");
	assert_int_equal(put(f), CS_UNAVAILABLE);
	assert_says(f, "not known whether");
	assert_true(f->fake.connections >= 4);
	f->op.cancelled = &cancelled;
	assert_int_equal(put(f), CS_TIMEOUT);
	assert_says(f, "Nothing was written");
	end(f);
}

static void *cancel_later(void *self)
{
	struct fixture *f = self;
	struct pool_stats stats;

	do
		redis_kv_pool_stats(f->kv, &stats);
	while (stats.acquisitions == 0);
	atomic_store((atomic_bool *)(uintptr_t)f->op.cancelled, true);
	return NULL;
}

static void a_caller_that_goes_away_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	struct kv_entry entry;
	atomic_bool cancelled = false;
	pthread_t thread;

	begin(f, serve_silence, 600000);
	f->op.cancelled = &cancelled;
	assert_int_equal(pthread_create(&thread, NULL, cancel_later, f), 0);
	assert_int_equal(get(f, &entry), CS_TIMEOUT);
	pthread_join(thread, NULL);
	end(f);
}

/* Memory. */

static void serve_hello(struct fake_redis *fake, int fd, int number)
{
	if (!fake_redis_greet(fake, fd))
		return;
	while (fake_redis_hear(fake, fd, 1))
		fake_redis_say(fd, HELLO, sizeof HELLO - 1);
}

static void each_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	struct redis_kv_options options = {.pool_max = 1};

	fake_redis_start(&f->fake, serve_hello, f);
	options.url = slice_cstr(f->fake.url);
	ALLOC_FAULT_EACH(n)
	{
		struct redis_kv *kv = NULL;
		struct kv_entry entry = {0};
		enum cs_status status = redis_kv_new(&options, &kv, &f->err);

		arena_release(&f->arena);
		arena_init(&f->arena, NULL, 0, 64u << 20);
		if (status == CS_OK) {
			f->port = redis_kv_port(kv);
			status = get(f, &entry);
		}
		if (status != CS_OK && status != CS_LIMIT_EXCEEDED)
			fail_msg("allocation %zu: %s", n, f->err.text);
		if (status == CS_OK)
			assert_true(slice_eq(entry.content, S("hello")));
		redis_kv_free(kv);
	}
	fake_redis_stop(&f->fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WIRE_TEST(a_reply_may_be_split_at_every_byte),
		WIRE_TEST(a_connection_cut_in_mid_reply_is_not_used_again),
		WIRE_TEST(a_connection_reset_in_mid_reply_is_not_used_again),
		WIRE_TEST(a_read_is_repeated_where_an_idle_connection_was_dead),
		WIRE_TEST(a_write_is_never_repeated_and_says_that_its_effect_is_not_known),
		WIRE_TEST(a_write_does_not_go_to_a_connection_that_is_known_to_be_dead),
		WIRE_TEST(nonsense_and_hostile_lengths_end_the_connection),
		WIRE_TEST(an_endless_line_is_cut_short),
		WIRE_TEST(who_else_listens_is_told_apart_from_a_redis),
		WIRE_TEST(silence_ends_with_the_deadline_or_the_timeout),
		WIRE_TEST(a_caller_that_goes_away_ends_the_wait),
		WIRE_TEST(each_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("redis wire", tests, NULL, NULL);
}
