/* What a listener for changes may hear, from a server that speaks as the test wants: keys of ours and of others, nonsense,
 * refusals, silence, an end in mid-message. Whatever it is, the cache keeps nothing that it should not. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/fake_kv.h"
#include "../support/fake_redis.h"
#include "remote/tracking.h"

#define SUBSCRIBED "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"
#define CHANNEL    "$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
#define MESSAGE    "*3\r\n" CHANNEL
#define PONG       "*2\r\n$4\r\npong\r\n$0\r\n\r\n"

static const struct kv_key the_key = {SLICE_INIT("a"), KV_STATE, SLICE_INIT("k")};
static const struct kv_key marker = {SLICE_INIT("z"), KV_STATE, SLICE_INIT("m")};

static struct {
	struct fake_redis fake;
	struct fake_kv behind;
	struct redis *client;
	struct kv_cache *cache;
	struct kv_port port;
	struct tracking *tracking;
	struct arena arena;
	struct op op;
	struct cs_error err;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int opened, closed;
	char why[CS_ERROR_TEXT_MAX];
	char asked[512];                   /* TRACKING and SUBSCRIBE, as they came */
	const char *first_reply, *replies; /* to CLIENT ID, and to the two; NULL: as a server does */
	const char *says;                  /* once the test lets it */
	size_t says_length;
	bool cut;    /* end the connection behind it */
	bool silent; /* PINGs are not answered */
	sem_t say, said;
	int times; /* `says` is said so often, each time the test lets it */
} t;

static void on_change(void *self, bool open, const char *why)
{
	pthread_mutex_lock(&t.lock);
	*(open ? &t.opened : &t.closed) += 1;
	snprintf(t.why, sizeof t.why, "%s", why);
	pthread_cond_broadcast(&t.changed);
	pthread_mutex_unlock(&t.lock);
}

static void wait_for(const int *count, int wanted)
{
	pthread_mutex_lock(&t.lock);
	while (*count < wanted)
		pthread_cond_wait(&t.changed, &t.lock);
	pthread_mutex_unlock(&t.lock);
}

static void say(int fd, const char *text)
{
	fake_redis_say(fd, text, strlen(text));
}

static void serve(struct fake_redis *fake, int fd, int number)
{
	if (!fake_redis_greet(fake, fd) || !fake_redis_hear(fake, fd, 1))
		return;
	/* What is wrong is so on the first connection only. */
	say(fd, t.first_reply && number == 0 ? t.first_reply : ":7\r\n");
	if (!fake_redis_hear(fake, fd, 2))
		return;
	snprintf(t.asked, sizeof t.asked, "%.*s", (int)sizeof t.asked - 1, fake->request);
	say(fd, t.replies && number == 0 ? t.replies : SUBSCRIBED);
	for (int i = 0; number == 0 && t.says && i < t.times; i++) {
		sem_wait(&t.say);
		fake_redis_say(fd, t.says, t.says_length);
		sem_post(&t.said);
		if (t.cut)
			return;
	}
	while (fake_redis_hear(fake, fd, 1))
		if (!t.silent)
			say(fd, PONG);
}

static int setup(void **state)
{
	memset(&t, 0, sizeof t);
	t.behind = (struct fake_kv){.content = "value", .version = 1, .ttl_ms = KV_TTL_NONE};
	arena_init(&t.arena, NULL, 0, 1u << 20);
	t.op = (struct op){
		.arena = &t.arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	pthread_mutex_init(&t.lock, NULL);
	pthread_cond_init(&t.changed, NULL);
	sem_init(&t.say, 0, 0);
	sem_init(&t.said, 0, 0);
	t.times = 1;
	return 0;
}

static void begin(void)
{
	const struct kv_cache_options cache = {
		.inner = fake_kv_port(&t.behind), .entries_max = 100, .age_max_ms = 3600000};
	struct redis_options redis = {.connect_timeout_ms = 10000, .command_timeout_ms = 10000};
	struct tracking_options tracking = {.changed = on_change};

	fake_redis_start(&t.fake, serve, NULL);
	redis.url = slice_cstr(t.fake.url);
	assert_int_equal(redis_new(&redis, &t.client, &t.err), CS_OK);
	assert_int_equal(kv_cache_new(&cache, &t.cache, &t.err), CS_OK);
	t.port = kv_cache_port(t.cache);
	tracking.client = t.client;
	tracking.cache = t.cache;
	assert_int_equal(tracking_new(&tracking, &t.tracking, &t.err), CS_OK);
}

static int teardown(void **state)
{
	tracking_free(t.tracking);
	for (int i = 0; i < t.times; i++) /* what a failed test did not let it say */
		sem_post(&t.say);
	fake_redis_stop(&t.fake);
	kv_cache_free(t.cache);
	redis_free(t.client);
	arena_release(&t.arena);
	pthread_cond_destroy(&t.changed);
	pthread_mutex_destroy(&t.lock);
	sem_destroy(&t.say);
	sem_destroy(&t.said);
	clock_shift_ms(0);
	return 0;
}

static enum cs_status get(const struct kv_key *key, bool from_memory)
{
	struct kv_entry entry;

	t.op.may_wait = !from_memory;
	return t.port.get(t.port.self, &t.op, key, &entry, &t.err);
}

static bool is_kept(const struct kv_key *key)
{
	return get(key, true) == CS_OK;
}

static void fill(void)
{
	assert_int_equal(get(&the_key, false), CS_OK);
	assert_int_equal(get(&marker, false), CS_OK);
	assert_true(is_kept(&the_key) && is_kept(&marker));
}

static void it_asks_for_changes_of_our_keys_only(void **state)
{
	begin();
	wait_for(&t.opened, 1);
	assert_true(kv_cache_is_open(t.cache));
	assert_string_equal(t.asked, "*8\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n$8\r\nREDIRECT\r\n$1\r\n7\r\n"
				     "$5\r\nBCAST\r\n$6\r\nPREFIX\r\n$6\r\nagent:\r\n"
				     "*2\r\n$9\r\nSUBSCRIBE\r\n$20\r\n__redis__:invalidate\r\n");
}

/* Says `message`, then the marker's; what became of the key. */
static bool kept_after(const char *message)
{
	char text[4096];

	t.says_length = (size_t)snprintf(text, sizeof text, "%s" MESSAGE "*1\r\n$15\r\nagent:z:state:m\r\n", message);
	t.says = text;
	begin();
	wait_for(&t.opened, 1);
	fill();
	sem_post(&t.say);
	while (kv_cache_count(t.cache) == 2)
		sched_yield();
	/* The marker's message is the last: what is kept behind it is answered, and what is not, counted. */
	while (!is_kept(&the_key) && kv_cache_count(t.cache) > 0)
		sched_yield();
	assert_int_equal(t.closed, 0);
	return kv_cache_count(t.cache) > 0;
}

#define KEY "$15\r\nagent:a:state:k\r\n"

static void a_named_key_is_forgotten(void **state)
{
	assert_false(kept_after(MESSAGE "*1\r\n" KEY));
}

static void also_among_others(void **state)
{
	assert_false(kept_after(MESSAGE "*3\r\n$6\r\nagent:\r\n" KEY "$7\r\nagent:b\r\n"));
}

static void nil_means_all(void **state)
{
	assert_false(kept_after(MESSAGE "$-1\r\n"));
}

static void nothing_else_is(void **state)
{
	assert_true(kept_after(
		/* Other keys, a mark, and names that are none of ours. */
		MESSAGE
		"*7\r\n$16\r\nagent:a:memory:k\r\n$25\r\n{agent:a:state:k}:version\r\n$0\r\n\r\n$6\r\nagent:\r\n"
		"$14\r\nagent:a:state:\r\n$15\r\nagent:a:xtate:k\r\n$17\r\nagent:a:state:k\r\n\r\n"
		/* Elements that are no names. */
		MESSAGE "*4\r\n:7\r\n$-1\r\n*0\r\n+agent\r\n"
		/* Another channel, and shapes that are no message of ours. */
		"*3\r\n$7\r\nmessage\r\n$5\r\nother\r\n*1\r\n" KEY "*4\r\n" CHANNEL "*0\r\n:1\r\n"
		"*2\r\n" CHANNEL "*1\r\n$7\r\nmessage\r\n"
		"*0\r\n"
		":1\r\n+OK\r\n-ERR nothing asked\r\n$-1\r\n"
		/* An answer to a PING that was not sent yet. */
		PONG));
}

/* The message has reached this process; whether the listener's thread has run since is not ours to know. */
static void a_message_that_has_come_counts_before_it_is_read(void **state)
{
	t.says = MESSAGE "*1\r\n" KEY;
	t.says_length = strlen(t.says);
	t.times = 50;
	begin();
	wait_for(&t.opened, 1);
	for (int i = 0; i < t.times; i++) {
		while (!is_kept(&the_key))
			assert_int_equal(get(&the_key, false), CS_OK);
		sem_post(&t.say);
		sem_wait(&t.said);
		assert_false(is_kept(&the_key));
	}
}

static void refused(const char *first_reply, const char *replies, const char *why)
{
	t.first_reply = first_reply;
	t.replies = replies;
	begin();
	wait_for(&t.closed, 1);
	assert_non_null(strstr(t.why, why));
	/* It asks again, and is heard. */
	wait_for(&t.opened, 1);
	assert_true(kv_cache_is_open(t.cache));
}

static void a_server_that_refuses_is_asked_again(void **state)
{
	refused("-NOPERM this user has no permissions to run the 'client|id' command\r\n", NULL, "permission");
}

static void so_is_one_that_does_not_track(void **state)
{
	refused(NULL, "-ERR unknown subcommand\r\n*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n",
		"unknown subcommand");
}

static void so_is_one_that_does_not_let_us_subscribe(void **state)
{
	refused(NULL, "+OK\r\n-NOPERM No permissions to access a channel\r\n", "channel");
}

static void broken(const char *says, size_t length)
{
	t.says = says;
	t.says_length = length;
	begin();
	wait_for(&t.opened, 1);
	fill();
	sem_post(&t.say);
	wait_for(&t.closed, 1);
	wait_for(&t.opened, 2);
	assert_false(is_kept(&the_key));
	assert_int_equal(get(&the_key, false), CS_OK);
	assert_true(is_kept(&the_key));
}

static void an_end_in_mid_message_empties_the_cache(void **state)
{
	const char half[] = MESSAGE "*2\r\n$15\r\nagent:z:st";

	t.cut = true;
	broken(half, sizeof half - 1);
}

static void so_does_a_message_past_every_limit(void **state)
{
	const char many[] = MESSAGE "*100000\r\n";

	broken(many, sizeof many - 1);
}

static void so_does_nonsense(void **state)
{
	const char nonsense[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	broken(nonsense, sizeof nonsense - 1);
}

static void a_server_that_falls_silent_is_not_trusted(void **state)
{
	t.silent = true;
	begin();
	wait_for(&t.opened, 1);
	fill();
	clock_shift_ms(TRACKING_LEASE_MS);
	assert_false(is_kept(&the_key));
	/* Not by the listener's hand: it finds out a little later. */
	wait_for(&t.closed, 1);
	assert_int_equal(kv_cache_count(t.cache), 0);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_asks_for_changes_of_our_keys_only),
		T(a_named_key_is_forgotten),
		T(also_among_others),
		T(nil_means_all),
		T(nothing_else_is),
		T(a_message_that_has_come_counts_before_it_is_read),
		T(a_server_that_refuses_is_asked_again),
		T(so_is_one_that_does_not_track),
		T(so_is_one_that_does_not_let_us_subscribe),
		T(an_end_in_mid_message_empties_the_cache),
		T(so_does_a_message_past_every_limit),
		T(so_does_nonsense),
		T(a_server_that_falls_silent_is_not_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
