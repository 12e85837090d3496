/* Failover by name: the name in REDIS_URL leads to another server, and the one before lives on as a replica.
 *
 * The name is a symbolic link to a server's socket: who has connected stays where he is, who connects goes where it leads
 * now, as with an address that a name server or a balancer gives away. */
#include "../contract/kv_adapters.h"
#include "remote/tracking.h"

#define WRITERS 8

struct scene {
	struct kv_server before, after;
	char name[128];
	struct redis_kv *kv;
	struct kv_port port;
	struct kv_cache *cache;
	struct tracking *_Atomic tracking;
	struct arena arena;
	struct op op;
	struct cs_error err;
	atomic_uint found[REDIS_REPLICA + 1];
	atomic_uint opened;
};

static const struct kv_key the_key = {SLICE_INIT("a"), KV_STATE, SLICE_INIT("k")};

#define THE_NAME "agent:a:state:k"

static void on_look(void *self, enum redis_role found)
{
	struct scene *s = self;

	atomic_fetch_add(&s->found[found], 1);
	if (found != REDIS_REPLICA && s->tracking)
		tracking_renew(s->tracking);
}

static void lead_to(struct scene *s, const struct kv_server *server)
{
	char fresh[sizeof s->name + 8];

	snprintf(fresh, sizeof fresh, "%s.new", s->name);
	assert_int_equal(symlink(server->server.socket, fresh), 0);
	assert_int_equal(rename(fresh, s->name), 0);
}

static void assert_checks(struct scene *s)
{
	if (redis_kv_ping(s->kv, &s->op, &s->err) != CS_OK)
		fail_msg("%s", s->err.text);
}

static void open_kv(struct scene *s)
{
	struct redis_kv_options options = {.pool_max = WRITERS, .looked = on_look, .self = s};
	char url[192];

	snprintf(url, sizeof url, "unix://%s", s->name);
	options.url = slice_cstr(url);
	assert_int_equal(redis_kv_new(&options, &s->kv, &s->err), CS_OK);
	s->port = redis_kv_port(s->kv);
	assert_checks(s); /* as the program does at its start */
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof *s);

	assert_non_null(s);
	arena_init(&s->arena, NULL, 0, 16u << 20);
	s->op = (struct op){
		.arena = &s->arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	kv_server_start(&s->before, redis_server_program());
	kv_server_start(&s->after, redis_server_program());
	snprintf(s->name, sizeof s->name, "%s/name", s->after.server.dir);
	lead_to(s, &s->before);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	tracking_free(s->tracking);
	kv_cache_free(s->cache);
	redis_kv_free(s->kv);
	kv_server_stop(&s->before);
	kv_server_stop(&s->after);
	arena_release(&s->arena);
	free(s);
	clock_shift_ms(0);
	return 0;
}

/* Of a primary that is not there: what it has stays, and nobody tells it of what is written elsewhere. */
static void demote(struct kv_server *server)
{
	kv_server_say(server, "REPLICAOF", "127.0.0.1", "1");
}

static void fail_over(struct scene *s)
{
	lead_to(s, &s->after);
	demote(&s->before);
}

static enum cs_status put_with(struct scene *s, struct op *op, const char *content, struct cs_error *err)
{
	const struct kv_write write = {
		.key = the_key, .content = slice_cstr(content), .ttl_s = KV_TTL_NONE, .if_version = KV_VERSION_ANY};
	struct kv_entry entry;

	return s->port.put(s->port.self, op, &write, &entry, err);
}

static enum cs_status put(struct scene *s, const char *content)
{
	return put_with(s, &s->op, content, &s->err);
}

static enum cs_status get(struct scene *s, bool from_memory, struct slice *ret_content)
{
	struct kv_entry entry;
	struct op op = s->op;
	enum cs_status status;

	op.may_wait = !from_memory;
	status = s->port.get(s->port.self, &op, &the_key, &entry, &s->err);
	if (status == CS_OK)
		*ret_content = entry.content;
	return status;
}

static void assert_reads(struct scene *s, const char *content)
{
	struct slice read;

	arena_reset(&s->arena);
	if (get(s, false, &read) != CS_OK)
		fail_msg("%s", s->err.text);
	if (!slice_is(read, content))
		fail_msg("read \"" SLICE_FMT "\" and not \"%s\"", SLICE_ARG(read), content);
}

static void assert_writes(struct scene *s, const char *content)
{
	if (put(s, content) != CS_OK)
		fail_msg("%s", s->err.text);
}

static struct pool_stats stats_of(struct scene *s)
{
	struct pool_stats stats;

	redis_kv_pool_stats(s->kv, &stats);
	return stats;
}

static long long connections_to(struct kv_server *server)
{
	static const char label[] = "total_connections_received:";
	struct slice info = kv_server_say(server, "INFO", "stats").text;
	const char *at = memmem(info.ptr, info.len, label, sizeof label - 1);

	assert_non_null(at);
	return strtoll(at + sizeof label - 1, NULL, 10);
}

static void a_refused_write_is_made_where_the_name_leads_now(void **state)
{
	struct scene *s = *state;

	open_kv(s);
	assert_writes(s, "one");
	assert_int_equal(redis_kv_maintain(s->kv, &s->op, &s->err), CS_OK);
	assert_int_equal(stats_of(s).idle, REDIS_POOL_MIN);
	fail_over(s);
	assert_writes(s, "two");
	assert_true(slice_is(kv_server_say(&s->after, "GET", THE_NAME).text, "two"));
	assert_true(slice_is(kv_server_say(&s->before, "GET", THE_NAME).text, "one"));
	assert_int_equal(s->found[REDIS_PRIMARY], 1);
	/* None of those from before is left. */
	assert_int_equal(redis_kv_maintain(s->kv, &s->op, &s->err), CS_OK);
	assert_int_equal(stats_of(s).idle, REDIS_POOL_MIN);
	assert_int_equal(stats_of(s).closed, REDIS_POOL_MIN);
}

struct writer {
	struct scene *s;
	atomic_bool *over;
	atomic_uint *wrote;
	pthread_t thread;
	struct cs_error err;
	enum cs_status status;
};

static void *write_on(void *self)
{
	struct writer *w = self;
	struct arena arena;
	struct op op = w->s->op;

	arena_init(&arena, NULL, 0, 1u << 20);
	op.arena = &arena;
	for (int left = 20; w->status == CS_OK && left > 0; left -= atomic_load(w->over)) {
		arena_reset(&arena);
		w->status = put_with(w->s, &op, "v", &w->err);
		atomic_fetch_add(w->wrote, 1);
	}
	arena_release(&arena);
	return NULL;
}

static void of_many_writers_none_notices(void **state)
{
	struct scene *s = *state;
	atomic_bool over = false;
	atomic_uint wrote = 0;
	struct writer writers[WRITERS];

	open_kv(s);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.s = s, .over = &over, .wrote = &wrote};
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
	}
	while (wrote < 100)
		sched_yield();
	fail_over(s);
	over = true;
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	for (int i = 0; i < WRITERS; i++)
		if (writers[i].status != CS_OK)
			fail_msg("%s", writers[i].err.text);
	assert_int_equal(s->found[REDIS_PRIMARY], 1);
}

static void a_name_that_moves_later_is_looked_at_again(void **state)
{
	struct scene *s = *state;

	open_kv(s);
	assert_writes(s, "one");
	demote(&s->before);
	assert_int_equal(put(s, "two"), CS_STORAGE);
	assert_non_null(strstr(s->err.text, "point REDIS_URL at the primary. Nothing was written"));
	assert_int_equal(s->found[REDIS_REPLICA], 1);
	lead_to(s, &s->after);
	clock_shift_ms(REDIS_LOOK_MS);
	assert_writes(s, "three");
	assert_true(slice_is(kv_server_say(&s->after, "GET", THE_NAME).text, "three"));
}

static void a_replica_all_along_is_looked_at_now_and_then(void **state)
{
	struct scene *s = *state;
	int64_t began_ns = clock_mono_ns();
	long long first, connections;

	open_kv(s);
	assert_writes(s, "one");
	demote(&s->before);
	first = connections_to(&s->before);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(put(s, "two"), CS_STORAGE);
		assert_reads(s, "one");
		assert_checks(s);
	}
	connections = connections_to(&s->before);
	assert_in_range(connections - first, 1, 1 + (clock_mono_ns() - began_ns) / (REDIS_LOOK_MS * INT64_C(1000000)));
	clock_shift_ms(REDIS_LOOK_MS);
	assert_int_equal(put(s, "two"), CS_STORAGE);
	assert_in_range(connections_to(&s->before), connections + 1, connections + 2);
	assert_int_equal(stats_of(s).created, 1);
	/* Told once. */
	assert_int_equal(s->found[REDIS_REPLICA], 1);
	assert_int_equal(s->found[REDIS_PRIMARY], 0);
	/* Where it stands, it becomes one. */
	kv_server_say(&s->before, "REPLICAOF", "NO", "ONE");
	assert_writes(s, "three");
}

/* Even where the pool's connections have been exchanged since, and none of them is a replica's. */
static void where_nobody_writes_the_health_check_notices(void **state)
{
	struct scene *s = *state;

	open_kv(s);
	kv_server_say(&s->before, "SET", THE_NAME, "before");
	kv_server_say(&s->after, "SET", THE_NAME, "after");
	assert_reads(s, "before");
	fail_over(s);
	assert_reads(s, "before");
	clock_shift_ms(REDIS_LIFETIME_MS);
	assert_reads(s, "after");
	assert_int_equal(s->found[REDIS_PRIMARY], 0);
	assert_checks(s);
	assert_int_equal(s->found[REDIS_PRIMARY], 1);
	/* And back again, before another check. */
	kv_server_say(&s->before, "REPLICAOF", "NO", "ONE");
	lead_to(s, &s->before);
	demote(&s->after);
	clock_shift_ms(2 * REDIS_LIFETIME_MS);
	assert_reads(s, "before");
	for (int i = 0; i < 3; i++) {
		assert_checks(s);
		assert_int_equal(s->found[REDIS_PRIMARY], 2);
	}
}

static void a_replica_without_its_primary_is_left_too(void **state)
{
	struct scene *s = *state;
	struct slice read;

	open_kv(s);
	kv_server_say(&s->after, "SET", THE_NAME, "after");
	assert_writes(s, "before");
	kv_server_say(&s->before, "CONFIG", "SET", "replica-serve-stale-data", "no");
	demote(&s->before);
	assert_int_equal(get(s, false, &read), CS_UNAVAILABLE);
	assert_non_null(strstr(s->err.text, "replica"));
	lead_to(s, &s->after);
	clock_shift_ms(REDIS_LOOK_MS);
	assert_reads(s, "after");
}

/* As behind a proxy. */
static void forget_hello(struct kv_server *server)
{
	static const char *const arguments[] = {"--rename-command", "HELLO", "", NULL};

	redis_server_kill(&server->server);
	server->server.arguments = arguments;
	redis_server_start_again(&server->server);
	kv_server_connect(server);
}

static void who_is_told_no_role_goes_by_refusals(void **state)
{
	struct scene *s = *state;

	forget_hello(&s->before);
	forget_hello(&s->after);
	open_kv(s);
	assert_writes(s, "one");
	demote(&s->before);
	assert_checks(s);
	lead_to(s, &s->after);
	assert_writes(s, "two");
	assert_int_equal(s->found[REDIS_ROLE_UNKNOWN], 1);
	assert_true(slice_is(kv_server_say(&s->after, "GET", THE_NAME).text, "two"));
}

/* The cache. */

static void on_tracking(void *self, bool open, const char *why)
{
	struct scene *s = self;

	atomic_fetch_add(&s->opened, open);
}

static void open_cached(struct scene *s)
{
	struct kv_cache_options cache = {.entries_max = 100, .age_max_ms = 3600000};
	struct tracking_options tracking = {.changed = on_tracking, .self = s};
	struct tracking *started;

	open_kv(s);
	cache.inner = s->port;
	assert_int_equal(kv_cache_new(&cache, &s->cache, &s->err), CS_OK);
	tracking.client = redis_kv_client(s->kv);
	tracking.cache = s->cache;
	assert_int_equal(tracking_new(&tracking, &started, &s->err), CS_OK);
	s->tracking = started;
	s->port = kv_cache_port(s->cache);
}

static void until_opened(struct scene *s, unsigned times)
{
	while (s->opened < times)
		sched_yield();
}

static bool is_kept(struct scene *s)
{
	struct slice read;

	return get(s, true, &read) == CS_OK;
}

static void until_kept(struct scene *s, const char *content)
{
	do
		assert_reads(s, content);
	while (!is_kept(s));
}

/* Whatever makes it be noticed. */
static void nothing_stale_is_served(struct scene *s, void (*notice)(struct scene *))
{
	char content[24];

	open_cached(s);
	until_opened(s, 1);
	kv_server_say(&s->before, "SET", THE_NAME, "before");
	kv_server_say(&s->after, "SET", THE_NAME, "after");
	until_kept(s, "before");
	fail_over(s);
	notice(s);
	assert_reads(s, "after");
	until_opened(s, 2);
	for (int i = 0; i < 200; i++) {
		snprintf(content, sizeof content, "%d", i);
		kv_server_say(&s->after, "SET", THE_NAME, content);
		assert_reads(s, content);
	}
	/* And it is a cache again. */
	until_kept(s, content);
}

static void by_a_write(struct scene *s)
{
	const struct kv_write write = {.key = {S("b"), KV_STATE, S("k")},
		.content = S("v"),
		.ttl_s = KV_TTL_NONE,
		.if_version = KV_VERSION_ANY};
	struct kv_entry entry;

	assert_int_equal(s->port.put(s->port.self, &s->op, &write, &entry, &s->err), CS_OK);
}

static void behind_a_write_nothing_stale_is_served(void **state)
{
	nothing_stale_is_served(*state, by_a_write);
}

static void nor_behind_a_health_check(void **state)
{
	nothing_stale_is_served(*state, assert_checks);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_refused_write_is_made_where_the_name_leads_now),
		T(of_many_writers_none_notices),
		T(a_name_that_moves_later_is_looked_at_again),
		T(a_replica_all_along_is_looked_at_now_and_then),
		T(where_nobody_writes_the_health_check_notices),
		T(a_replica_without_its_primary_is_left_too),
		T(who_is_told_no_role_goes_by_refusals),
		T(behind_a_write_nothing_stale_is_served),
		T(nor_behind_a_health_check),
	};

	if (!redis_server_program()) {
		printf("1..0 # SKIP redis failover: %s\n", redis_adapter_missing());
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
