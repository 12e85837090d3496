/* Agent state read through the server, three ways in the same run: embedded, from Redis and cached, from Redis uncached.
 *
 * Three servers run side by side, two of them with the same redis-server, and are asked in turn, round by round, for one
 * key that exists. The first is the baseline: a cached read is to be as fast, in latency and in CPU of the server.
 *
 *     bench_state_cache [requests per round] [rounds]
 * Needs redis-server in PATH. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/load.h"
#include "support/process.h"
#include "support/redis.h"
#include "support/stats.h"

#define ROUNDS_MAX 99
#define WAYS       3

static const char *const names[WAYS] = {"embedded", "redis, cached", "redis, uncached"};
static const char read_body[] = "{\"agent_id\":\"bench\",\"key\":\"current\",\"prefix\":\"state\"}";
static const char write_body[] =
	"{\"agent_id\":\"bench\",\"key\":\"current\",\"prefix\":\"state\",\"content\":\"waiting\"}";

struct measure {
	double p50_us[ROUNDS_MAX], cpu_us[ROUNDS_MAX];
};

static size_t read_request(void *self, size_t index, char *room, size_t size)
{
	(void)self;
	(void)index;
	return load_post(room, size, "/tools/get_agent_state", "", read_body);
}

static void run_round(
	const struct server_process *server, unsigned connections, size_t requests, struct measure *m, size_t round)
{
	const struct load load = {
		.port = server->port, .connections = connections, .requests = requests, .request = read_request};
	int64_t before = process_cpu_ns(server->pid);
	struct load_result result = load_run(&load);
	int64_t cpu_ns = process_cpu_ns(server->pid) - before;

	if (result.failed > 0 || result.done < requests)
		die("requests failed");
	m->p50_us[round] = stats_percentile(result.latency_us, result.done, 50);
	m->cpu_us[round] = (double)cpu_ns / 1e3 / (double)requests;
	free(result.latency_us);
}

static void compare(const struct server_process servers[WAYS], unsigned connections, size_t requests, size_t rounds)
{
	static struct measure measures[WAYS];
	static double ratios[WAYS][2][ROUNDS_MAX];

	for (size_t round = 0; round < rounds; round++)
		for (size_t way = 0; way < WAYS; way++)
			run_round(&servers[way], connections, requests, &measures[way], round);
	for (size_t way = 0; way < WAYS; way++)
		for (size_t round = 0; round < rounds; round++) {
			ratios[way][0][round] = measures[way].p50_us[round] / measures[0].p50_us[round];
			ratios[way][1][round] = measures[way].cpu_us[round] / measures[0].cpu_us[round];
		}
	printf("%u connections, %zu requests, %zu rounds; median (lowest to highest)\n", connections, requests, rounds);
	for (size_t i = 0; i < WAYS; i++) {
		size_t way = WAYS - 1 - i; /* the baseline last: its figures are sorted by then */
		struct spread p50 = stats_spread(measures[way].p50_us, rounds);
		struct spread cpu = stats_spread(measures[way].cpu_us, rounds);
		struct spread p50_ratio = stats_spread(ratios[way][0], rounds);
		struct spread cpu_ratio = stats_spread(ratios[way][1], rounds);

		printf("  %-16s p50 %6.1f us, server CPU %5.2f us a request; to embedded: p50 %.2f (%.2f to %.2f), "
		       "CPU %.2f (%.2f to %.2f)\n",
			names[way], p50.median, cpu.median, p50_ratio.median, p50_ratio.lowest, p50_ratio.highest,
			cpu_ratio.median, cpu_ratio.lowest, cpu_ratio.highest);
	}
}

/* The key is there, and in memory where it may be. */
static void warm(const struct server_process *server)
{
	char request[1024];
	size_t length = load_post(request, sizeof request, "/tools/update_scratchpad", "", write_body);

	free(load_once(server->port, request, length, &length));
	sleep(1); /* the message about this write comes, and the cache opens, in far less */
	for (int i = 0; i < 100; i++) {
		length = load_post(request, sizeof request, "/tools/get_agent_state", "", read_body);
		free(load_once(server->port, request, length, &length));
	}
}

int main(int argc, char **argv)
{
	size_t requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
	char *directories[WAYS], url[64];
	struct server_process servers[WAYS];
	struct server_process redis;

	if (rounds < 1 || rounds > ROUNDS_MAX || requests < 1) {
		fprintf(stderr, "usage: bench_state_cache [requests per round] [rounds, at most %d]\n", ROUNDS_MAX);
		return 2;
	}
	redis = redis_start();
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", redis.port);
	setenv("CONTEXT_STORE_EMBEDDING_MODEL", "off", 1);
	for (size_t way = 0; way < WAYS; way++) {
		directories[way] = process_make_directory();
		if (way > 0)
			setenv("REDIS_URL", url, 1);
		if (way == 2)
			setenv("CONTEXT_STORE_STATE_CACHE_ENTRIES", "0", 1);
		servers[way] = process_serve(directories[way]);
	}
	for (size_t way = 0; way < WAYS; way++)
		warm(&servers[WAYS - 1 - way]);
	compare(servers, 1, requests, rounds);
	compare(servers, 50, requests, rounds);
	for (size_t way = 0; way < WAYS; way++) {
		process_stop(servers[way].pid);
		process_remove_directory(directories[way]);
	}
	process_stop(redis.pid);
	return 0;
}
