/* From process start to the first tool answer over stdio, and idle memory, with 100,000 stored contexts.
 *
 * The contexts are stored through the server, a hundred a call. Then a new `stdio` process is started many times:
 * initialize, notifications/initialized and one tools/call are written at once, as a client that knows its server may,
 * and the clock stops when the tool's answer has arrived. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/stats.h"
#include "support/load.h"
#include "support/process.h"

#define STARTS 21
#define BATCH  100

static const char opening[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
			      "\"2025-11-25\",\"capabilities\":{},"
			      "\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}\n"
			      "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";

static size_t store_batch(void *self, size_t index, char *room, size_t size)
{
	static char body[200u << 10];
	size_t have = (size_t)snprintf(body, sizeof body, "{\"contexts\":[");

	(void)self;
	for (size_t i = index * BATCH; i < (index + 1) * BATCH; i++)
		have += (size_t)snprintf(body + have, sizeof body - have,
			"%s{\"id\":\"ctx-%zu\",\"type\":\"log\",\"content\":{\"title\":\"Event %zu\","
			"\"text\":\"worker %zu finished step %zu of release %zu while reviewing the retry budget\"}}",
			i % BATCH ? "," : "", i, i, i % 97, i % 13, i % 331);
	snprintf(body + have, sizeof body - have, "]}");
	return load_post(room, size, "/tools/store_context", "", body);
}

static double first_answer_ms(const char *directory, const char *call, int64_t *ret_rss)
{
	int in[2], out[2];
	char reply[65536];
	size_t have = 0;
	int64_t start = now_ns();
	pid_t pid;

	if (pipe2(in, 0) || pipe2(out, 0))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl(process_program(), process_program(), "stdio", "--log-level", "error", "--data-dir", directory,
			(char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	if (write(in[1], opening, sizeof opening - 1) < 0 || write(in[1], call, strlen(call)) < 0)
		die("write");
	do {
		ssize_t n = read(out[0], reply + have, sizeof reply - 1 - have);

		if (n <= 0)
			die("no answer");
		have += (size_t)n;
		reply[have] = '\0';
	} while (!strstr(reply, "\"id\":2"));
	start = now_ns() - start;
	if (!strstr(reply, "\\\"success\\\":true")) {
		fprintf(stderr, "%s\n", reply);
		exit(1);
	}
	*ret_rss = process_rss_bytes(pid);
	close(in[1]);
	close(out[0]);
	waitpid(pid, NULL, 0);
	return (double)start / 1e6;
}

static void measure(const char *directory, const char *title, const char *call)
{
	double ms[STARTS];
	struct spread spread;
	int64_t rss = 0;

	for (int i = 0; i < STARTS; i++)
		ms[i] = first_answer_ms(directory, call, &rss);
	spread = stats_spread(ms, STARTS);
	printf("%-30s %6.1f ms (%.1f to %.1f) over %d starts; %.1f MB resident then\n", title, spread.median,
		spread.lowest, spread.highest, STARTS, (double)rss / 1e6);
}

int main(int argc, char **argv)
{
	size_t contexts = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	char *directory = process_make_directory();
	struct server_process server = process_serve(directory);
	struct load load = {server.port, 8, contexts / BATCH, store_batch, NULL};
	struct load_result result = load_run(&load);
	int64_t loaded;

	printf("%zu contexts stored in %.1f s\n", contexts, (double)result.elapsed_ns / 1e9);
	loaded = process_rss_bytes(server.pid);
	process_stop(server.pid);
	server = process_serve(directory);
	sleep(2);
	printf("serve, just started and idle: %.1f MB resident (after storing all of them: %.1f MB)\n",
		(double)process_rss_bytes(server.pid) / 1e6, (double)loaded / 1e6);
	process_stop(server.pid);
	measure(directory, "get_agent_state (empty)",
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"get_agent_state\","
		"\"arguments\":{\"agent_id\":\"bench\"}}}\n");
	measure(directory, "retrieve_context by id",
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"retrieve_context\","
		"\"arguments\":{\"ids\":[\"ctx-50000\"]}}}\n");
	measure(directory, "retrieve_context, rare word",
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"retrieve_context\","
		"\"arguments\":{\"query\":\"77777\",\"search_mode\":\"text\"}}}\n");
	measure(directory, "retrieve_context, common words",
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"retrieve_context\","
		"\"arguments\":{\"query\":\"worker finished release\",\"search_mode\":\"text\"}}}\n");
	process_remove_directory(directory);
	return 0;
}
