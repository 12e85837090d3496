/* What stands between a client and its agent state in Redis, uncached: three ways to read the same key in the same run.
 *
 *     straight   GET by a C program with a pool of connections over hiredis' own calls: the baseline
 *     adapter    the port's get (content, version, time to live), in this process
 *     HTTP       POST /tools/get_agent_state to a context-store with REDIS_URL and the cache off
 *
 * With one connection the latency that is added is the figure, with fifty the CPU that the server spends on a request.
 * The ways take turns, round by round; medians and spread. CPU of redis-server is shown for all of them.
 *
 *     bench_redis [requests per round] [rounds]
 * Needs redis-server in PATH. */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remote/redis_kv.h"
#include "support/load.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/stats.h"

#define ROUNDS_MAX  99
#define CONNECTIONS 50
#define KEY         "agent:bench:state:current"
#define CONTENT     "step 7 of 12: waiting for review"

enum way { STRAIGHT, ADAPTER, HTTP, WAYS };

static const char *const names[WAYS] = {"straight GET", "adapter's get", "HTTP"};

/* What a careful C program does: a stack of connections behind a lock. */
struct plain_pool {
	pthread_mutex_t lock;
	redisContext *idle[CONNECTIONS];
	unsigned count;
};

struct bench {
	struct server_process redis, server;
	struct plain_pool pool;
	struct redis_kv *kv;
	size_t requests; /* a round */
	size_t rounds;
};

struct figures {
	double p50_us[ROUNDS_MAX], server_us[ROUNDS_MAX], redis_us[ROUNDS_MAX], per_second[ROUNDS_MAX];
};

static void straight_get(struct bench *b)
{
	redisContext *c;
	redisReply *reply;

	pthread_mutex_lock(&b->pool.lock);
	c = b->pool.idle[--b->pool.count];
	pthread_mutex_unlock(&b->pool.lock);
	reply = redisCommand(c, "GET %s", KEY);
	if (!reply || reply->type != REDIS_REPLY_STRING || reply->len != strlen(CONTENT))
		die("straight GET failed");
	freeReplyObject(reply);
	pthread_mutex_lock(&b->pool.lock);
	b->pool.idle[b->pool.count++] = c;
	pthread_mutex_unlock(&b->pool.lock);
}

static void adapter_get(struct bench *b, struct arena *arena)
{
	static const struct kv_key key = {SLICE_INIT("bench"), KV_STATE, SLICE_INIT("current")};
	struct kv_port port = redis_kv_port(b->kv);
	struct op op = {.arena = arena, .deadline_ns = clock_mono_ns() + INT64_C(30000000000), .may_wait = true};
	struct kv_entry entry;
	struct cs_error err;

	if (port.get(port.self, &op, &key, &entry, &err) != CS_OK || entry.content.len != strlen(CONTENT))
		die("the adapter's get failed");
	arena_reset(arena);
}

static double ask_here(struct bench *b, enum way way, double *latency_us)
{
	static char own[16384];
	struct arena arena;
	int64_t began_ns = now_ns();

	arena_init(&arena, own, sizeof own, 1u << 20);
	for (size_t i = 0; i < b->requests; i++) {
		int64_t at_ns = now_ns();

		if (way == STRAIGHT)
			straight_get(b);
		else
			adapter_get(b, &arena);
		latency_us[i] = (double)(now_ns() - at_ns) / 1e3;
	}
	arena_release(&arena);
	stats_sort(latency_us, b->requests);
	return (double)(now_ns() - began_ns);
}

static size_t read_request(void *self, size_t index, char *room, size_t size)
{
	return load_post(room, size, "/tools/get_agent_state", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\",\"prefix\":\"state\"}");
}

static struct load_result ask_server(struct bench *b, unsigned connections)
{
	const struct load load = {
		.port = b->server.port, .connections = connections, .requests = b->requests, .request = read_request};
	struct load_result result = load_run(&load);

	if (result.failed > 0 || result.done < b->requests)
		die("requests failed");
	return result;
}

static void run_round(struct bench *b, enum way way, unsigned connections, struct figures *f, size_t round)
{
	int64_t redis_ns = process_cpu_ns(b->redis.pid), server_ns = process_cpu_ns(b->server.pid);
	double elapsed_ns, *latency_us;

	if (way == HTTP) {
		struct load_result result = ask_server(b, connections);

		latency_us = result.latency_us;
		elapsed_ns = (double)result.elapsed_ns;
	} else {
		latency_us = malloc(b->requests * sizeof *latency_us);
		if (!latency_us)
			die("memory");
		elapsed_ns = ask_here(b, way, latency_us);
	}
	f->p50_us[round] = stats_percentile(latency_us, b->requests, 50);
	f->server_us[round] = (double)(process_cpu_ns(b->server.pid) - server_ns) / 1e3 / (double)b->requests;
	f->redis_us[round] = (double)(process_cpu_ns(b->redis.pid) - redis_ns) / 1e3 / (double)b->requests;
	f->per_second[round] = (double)b->requests * 1e9 / elapsed_ns;
	free(latency_us);
}

static void print_spread(const char *what, const char *unit, double *values, size_t count)
{
	struct spread s = stats_spread(values, count);

	printf("  %-46s %7.1f %s (%.1f to %.1f)\n", what, s.median, unit, s.lowest, s.highest);
}

static void one_connection(struct bench *b)
{
	static struct figures figures[WAYS];
	static double added[2][ROUNDS_MAX];

	for (size_t round = 0; round < b->rounds; round++) {
		for (enum way way = 0; way < WAYS; way++)
			run_round(b, way, 1, &figures[way], round);
		for (int i = 0; i < 2; i++)
			added[i][round] = figures[ADAPTER + i].p50_us[round] - figures[STRAIGHT].p50_us[round];
	}
	printf("1 connection, %zu requests a round, %zu rounds; median (lowest to highest)\n", b->requests, b->rounds);
	for (enum way way = 0; way < WAYS; way++) {
		char what[64];

		snprintf(what, sizeof what, "%s, p50", names[way]);
		print_spread(what, "us", figures[way].p50_us, b->rounds);
		print_spread("  redis-server's CPU", "us a request", figures[way].redis_us, b->rounds);
	}
	print_spread("the adapter adds to the straight GET", "us of p50", added[0], b->rounds);
	print_spread("HTTP, uncached, adds to the straight GET", "us of p50", added[1], b->rounds);
}

static void many_connections(struct bench *b)
{
	static struct figures f;

	for (size_t round = 0; round < b->rounds; round++)
		run_round(b, HTTP, CONNECTIONS, &f, round);
	printf("%d connections, HTTP, uncached\n", CONNECTIONS);
	print_spread("context-store's CPU", "us a request", f.server_us, b->rounds);
	print_spread("redis-server's CPU", "us a request", f.redis_us, b->rounds);
	print_spread("p50", "us", f.p50_us, b->rounds);
	print_spread("requests", "a second", f.per_second, b->rounds);
}

static void connect_all(struct bench *b, const char *url)
{
	struct redis_kv_options options = {.url = slice_cstr(url)};
	struct cs_error err;

	pthread_mutex_init(&b->pool.lock, NULL);
	for (b->pool.count = 0; b->pool.count < CONNECTIONS; b->pool.count++) {
		b->pool.idle[b->pool.count] = redisConnect("127.0.0.1", b->redis.port);
		if (!b->pool.idle[b->pool.count] || b->pool.idle[b->pool.count]->err)
			die("redisConnect");
	}
	if (redis_kv_new(&options, &b->kv, &err) != CS_OK)
		die(err.text);
}

/* Through the server, so that the value has its mark. */
static void store_value(struct bench *b)
{
	char request[1024];
	size_t length = load_post(request, sizeof request, "/tools/update_scratchpad", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\",\"prefix\":\"state\",\"content\":\"" CONTENT "\"}");

	free(load_once(b->server.port, request, length, &length));
}

int main(int argc, char **argv)
{
	static struct bench b;
	char *directory = process_make_directory(), url[64];

	b.requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	b.rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 7;
	if (b.rounds < 1 || b.rounds > ROUNDS_MAX || b.requests < 1) {
		fprintf(stderr, "usage: bench_redis [requests per round] [rounds, at most %d]\n", ROUNDS_MAX);
		return 2;
	}
	b.redis = redis_start();
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", b.redis.port);
	setenv("REDIS_URL", url, 1);
	setenv("CONTEXT_STORE_STATE_CACHE_ENTRIES", "0", 1);
	setenv("CONTEXT_STORE_EMBEDDING_MODEL", "off", 1);
	b.server = process_serve(directory);
	connect_all(&b, url);
	store_value(&b);
	one_connection(&b);
	many_connections(&b);
	redis_kv_free(b.kv);
	while (b.pool.count > 0)
		redisFree(b.pool.idle[--b.pool.count]);
	process_stop(b.server.pid);
	process_stop(b.redis.pid);
	process_remove_directory(directory);
	return 0;
}
