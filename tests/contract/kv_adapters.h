/* The adapters of port/kv.h: the embedded engine, and real servers that the test program starts, each once.
 *
 * A server is emptied for each test. Its adapter comes as a user that may do what remote/redis_kv.h says it must be
 * allowed to and nothing else, with a password that needs encoding; the test itself comes as the default user. Our clock can
 * be moved but not the server's: there, time passes by shortening what is left of every key's life. */
#ifndef CS_TESTS_CONTRACT_KV_ADAPTERS_H
#define CS_TESTS_CONTRACT_KV_ADAPTERS_H

#include "../support/redis_server.h"
#include "adapters.h"
#include "remote/kv_breaker.h"
#include "remote/kv_cache.h"
#include "remote/redis_kv.h"

/* As in remote/redis_kv.h. */
#define STORE_RIGHTS                                                                                                   \
	"ACL", "SETUSER", "store", "reset", "on", ">p@ss:w/rd%", "~agent:*", "~{agent:*}:version", "+get", "+set",     \
		"+del", "+incrby", "+pttl", "+pexpiretime", "+scan", "+eval", "+evalsha", "+ping", "+select", "+hello"
#define STORE_USER "store:p%40ss%3aw%2Frd%25"

struct kv_server {
	struct redis_server server;
	struct redis *redis; /* the test's own way in */
	struct redis_connection *connection;
	struct arena arena; /* of the replies to it */
	char dir[64];       /* of the fixture that it was emptied for */
};

static struct kv_server the_redis, the_valkey;

static inline enum cs_status kv_server_words(
	struct kv_server *s, struct redis_reply *reply, const char *const *words, size_t count)
{
	struct slice slices[32];
	struct op op = {.arena = &s->arena, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct cs_error err;

	assert_true(count <= 32);
	for (size_t i = 0; i < count; i++)
		slices[i] = slice_cstr(words[i]);
	if (redis_call(s->connection, &op, slices, count, reply, &err) != CS_OK)
		fail_msg("%s: %s", words[0], err.text);
	return CS_OK;
}

/* One command as the default user; an error reply fails the test. */
#define kv_server_say(server, ...)                                                                                     \
	({                                                                                                             \
		const char *const words_[] = {__VA_ARGS__};                                                            \
		struct redis_reply reply_;                                                                             \
		(void)kv_server_words(server, &reply_, words_, sizeof words_ / sizeof *words_);                        \
		if (reply_.kind == REDIS_ERROR)                                                                        \
			fail_msg("%s: " SLICE_FMT, words_[0], SLICE_ARG(reply_.text));                                 \
		reply_;                                                                                                \
	})

static inline void kv_server_stop(struct kv_server *s)
{
	redis_close(s->connection);
	redis_free(s->redis);
	arena_release(&s->arena);
	redis_server_stop(&s->server);
	*s = (struct kv_server){0};
}

static inline void kv_server_stop_both(void)
{
	kv_server_stop(&the_redis);
	kv_server_stop(&the_valkey);
}

static inline void kv_server_connect(struct kv_server *s)
{
	struct op op = {.arena = &s->arena, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct cs_error err;

	redis_close(s->connection);
	s->connection = NULL;
	if (redis_connect(s->redis, &op, &s->connection, &err) != CS_OK)
		fail_msg("%s", err.text);
}

static inline void kv_server_start(struct kv_server *s, const char *program)
{
	static const char *const arguments[] = {"--enable-debug-command", "yes", NULL};
	static bool registered;
	char url[64];
	struct redis_options options = {.connect_timeout_ms = 10000, .command_timeout_ms = 10000};
	struct cs_error err;

	if (!registered)
		atexit(kv_server_stop_both);
	registered = true;
	redis_server_start(&s->server, program, arguments);
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", s->server.port);
	options.url = slice_cstr(url);
	arena_init(&s->arena, NULL, 0, 64u << 20);
	if (redis_new(&options, &s->redis, &err) != CS_OK)
		fail_msg("%s", err.text);
	kv_server_connect(s);
	kv_server_say(s, STORE_RIGHTS);
}

static inline void kv_server_open(
	struct kv_server *s, const char *program, bool by_socket, const char *dir, struct ports *ports)
{
	struct redis_kv_options options = {.pool_max = 4};
	struct redis_kv *kv;
	struct cs_error err;
	char url[192];

	if (s->server.pid == 0)
		kv_server_start(s, program);
	if (strcmp(s->dir, dir) != 0)
		kv_server_say(s, "FLUSHALL");
	snprintf(s->dir, sizeof s->dir, "%s", dir);
	if (by_socket)
		snprintf(url, sizeof url, "unix://%s@%s?db=3", STORE_USER, s->server.socket);
	else
		snprintf(url, sizeof url, "redis://%s@127.0.0.1:%u/0", STORE_USER, s->server.port);
	options.url = slice_cstr(url);
	if (redis_kv_new(&options, &kv, &err) != CS_OK)
		fail_msg("%s", err.text);
	*ports = (struct ports){.kv = redis_kv_port(kv), .self = kv};
}

static inline void redis_adapter_open(const char *dir, struct ports *ports)
{
	kv_server_open(&the_redis, redis_server_program(), false, dir, ports);
}

static inline void redis_socket_adapter_open(const char *dir, struct ports *ports)
{
	kv_server_open(&the_redis, redis_server_program(), true, dir, ports);
}

static inline void valkey_adapter_open(const char *dir, struct ports *ports)
{
	kv_server_open(&the_valkey, valkey_server_program(), false, dir, ports);
}

static inline void redis_adapter_close(struct ports *ports)
{
	redis_kv_free(ports->self);
}

static inline void kv_server_pass_ms(struct kv_server *s, int64_t ms)
{
	static const char script[] = "for _, db in ipairs({'0', '3'}) do redis.call('SELECT', db)\n"
				     "for _, key in ipairs(redis.call('KEYS', '*')) do\n"
				     "  local left = redis.call('PTTL', key)\n"
				     "  if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[1])) end\n"
				     "end end";
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)ms);
	kv_server_say(s, "EVAL", script, "0", text);
}

static inline void redis_adapter_pass_ms(struct ports *ports, int64_t ms)
{
	kv_server_pass_ms(&the_redis, ms);
}

static inline void valkey_adapter_pass_ms(struct ports *ports, int64_t ms)
{
	kv_server_pass_ms(&the_valkey, ms);
}

/* The whole path of a call: cache, breaker, adapter. The server's messages to the cache are left out, because they come
 * when they come: what the test does beside the port, it tells the cache itself. */
struct wrapped_kv {
	struct ports bare;
	struct guard *guard;
	struct kv_breaker breaker;
	struct kv_cache *cache;
};

static inline void wrapped_adapter_open(const char *dir, struct ports *ports)
{
	const struct guard_options guard = {.name = "redis",
		.address = S("test"),
		.breaker = {.failures_max = 3, .pause_min_ms = 1, .pause_max_ms = 10, .probe_max_ms = 1000}};
	struct kv_cache_options cache = {.entries_max = 1000, .age_max_ms = 60000};
	struct wrapped_kv *w = calloc(1, sizeof *w);
	struct cs_error err;

	assert_non_null(w);
	redis_adapter_open(dir, &w->bare);
	if (guard_new(&guard, &w->guard, &err) != CS_OK)
		fail_msg("%s", err.text);
	w->breaker = (struct kv_breaker){w->bare.kv, w->guard};
	cache.inner = kv_breaker_port(&w->breaker);
	if (kv_cache_new(&cache, &w->cache, &err) != CS_OK)
		fail_msg("%s", err.text);
	kv_cache_open(w->cache, INT64_MAX);
	*ports = (struct ports){.kv = kv_cache_port(w->cache), .self = w};
}

static inline void wrapped_adapter_close(struct ports *ports)
{
	struct wrapped_kv *w = ports->self;

	kv_cache_free(w->cache);
	guard_free(w->guard);
	redis_adapter_close(&w->bare);
	free(w);
}

static inline void wrapped_adapter_pass_ms(struct ports *ports, int64_t ms)
{
	const struct wrapped_kv *w = ports->self;

	kv_server_pass_ms(&the_redis, ms);
	kv_cache_forget_all(w->cache);
}

static inline const char *redis_adapter_missing(void)
{
	return redis_server_program() ? NULL : "redis-server is not installed (Debian: redis-server)";
}

static inline const char *valkey_adapter_missing(void)
{
	return valkey_server_program() ? NULL
				       : "valkey-server is not installed (scripts/setup check puts it below build/sdk)";
}

static const struct adapter kv_adapters[] = {
	ENGINE_ADAPTER,
	{"redis", redis_adapter_open, redis_adapter_close, redis_adapter_pass_ms, redis_adapter_missing, false},
	{"redis, unix socket, database 3", redis_socket_adapter_open, redis_adapter_close, redis_adapter_pass_ms,
		redis_adapter_missing, false},
	{"redis behind breaker and cache", wrapped_adapter_open, wrapped_adapter_close, wrapped_adapter_pass_ms,
		redis_adapter_missing, true},
	{"valkey", valkey_adapter_open, redis_adapter_close, valkey_adapter_pass_ms, valkey_adapter_missing, false},
};

static inline int run_for_kv_adapters(const char *name, struct CMUnitTest *tests, size_t count)
{
	return run_for_table(name, tests, count, kv_adapters, sizeof kv_adapters / sizeof *kv_adapters);
}

#endif
