/* What HTTP and the protocol cost: CPU per get_agent_state request against a bare epoll echo of the same bytes.
 *
 * Both run as processes of their own, one after the other in each round, under the same client. The echo answers each
 * read with a constant reply of exactly the bytes the server sends: it is what the kernel charges for the request, and
 * no server can be cheaper. CPU is the kernel's count for the whole process. Rounds alternate; the median of the ratios
 * is the figure. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/responder.h"
#include "bench/stats.h"
#include "support/load.h"
#include "support/process.h"

#define ROUNDS 5

static const unsigned levels[] = {1, 10, 50, 100, 200};

struct figures {
	double cpu_us, p50_us, p99_us, per_second;
	size_t failed;
};

static struct figures measure(
	struct server_process server, struct load_fixed *request, unsigned connections, size_t requests)
{
	struct load load = {server.port, connections, requests, load_same, request};
	int64_t before = process_cpu_ns(server.pid);
	struct load_result result = load_run(&load);
	int64_t spent = process_cpu_ns(server.pid) - before;
	struct figures figures = {
		.cpu_us = (double)spent / 1e3 / (double)result.sent,
		.p50_us = load_percentile_us(&result, 50),
		.p99_us = load_percentile_us(&result, 99),
		.per_second = (double)result.done * 1e9 / (double)result.elapsed_ns,
		.failed = result.failed,
	};

	return figures;
}

static double median_of(struct figures *rounds, size_t offset)
{
	double values[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		memcpy(&values[i], (char *)&rounds[i] + offset, sizeof values[i]);
	return stats_spread(values, ROUNDS).median;
}

static void print_row(unsigned connections, const char *name, struct figures *rounds)
{
	printf("%11u  %-13s %8.2f %9.1f %9.1f %10.0f\n", connections, name,
		median_of(rounds, offsetof(struct figures, cpu_us)),
		median_of(rounds, offsetof(struct figures, p50_us)),
		median_of(rounds, offsetof(struct figures, p99_us)),
		median_of(rounds, offsetof(struct figures, per_second)));
}

static void run_level(struct server_process server, struct server_process echo, struct load_fixed *request,
	unsigned connections, size_t requests)
{
	struct figures ours[ROUNDS], bare[ROUNDS];
	double ratios[ROUNDS];
	struct spread ratio;

	for (int i = 0; i < ROUNDS; i++) {
		bare[i] = measure(echo, request, connections, requests);
		ours[i] = measure(server, request, connections, requests);
		ratios[i] = ours[i].cpu_us / bare[i].cpu_us;
		if (ours[i].failed)
			printf("%zu of %zu requests failed\n", ours[i].failed, requests);
	}
	ratio = stats_spread(ratios, ROUNDS);
	print_row(connections, "context-store", ours);
	print_row(connections, "bare echo", bare);
	printf("%11u  CPU ratio     %8.2f (%.2f to %.2f)\n", connections, ratio.median, ratio.lowest, ratio.highest);
}

static void run_form(struct server_process server, const char *title, struct load_fixed *request, size_t requests)
{
	size_t length;
	char *reply = load_once(server.port, request->bytes, request->length, &length);
	struct responder echo;
	struct server_process bare;
	struct cs_error err;

	if (responder_start(&echo, slice_of(reply, length), &err) != CS_OK)
		die(err.text);
	bare = (struct server_process){echo.pid, ntohs(((struct sockaddr_in *)&echo.address.address)->sin_port)};
	printf("\n%s: %zu bytes in, %zu bytes out, %zu requests a round, %d rounds, medians\n", title, request->length,
		length, requests, ROUNDS);
	printf("connections  server        CPU us/rq    p50 us    p99 us   requests/s\n");
	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
		run_level(server, bare, request, levels[i], requests);
	responder_stop(&echo);
	free(reply);
}

/* Opens a session of 2025-06-18 and writes the request that a client of it sends. */
static void prepare_session(uint16_t port, struct load_fixed *request)
{
	static const char name[] = "\r\nMcp-Session-Id: ";
	char headers[160], *reply, *id;
	size_t length;

	request->length = load_post(request->bytes, sizeof request->bytes, "/mcp", "",
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-"
		"18\","
		"\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}");
	reply = load_once(port, request->bytes, request->length, &length);
	id = strstr(reply, name);
	if (!id)
		die("the server opened no session");
	id += sizeof name - 1;
	snprintf(headers, sizeof headers, "MCP-Protocol-Version: 2025-06-18\r\nMcp-Session-Id: %.*s\r\n",
		(int)strcspn(id, "\r"), id);
	request->length = load_post(request->bytes, sizeof request->bytes, "/mcp", headers,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"get_agent_state\","
		"\"arguments\":{\"agent_id\":\"bench\",\"key\":\"current\"}}}");
	free(reply);
}

int main(int argc, char **argv)
{
	size_t requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	char *directory = process_make_directory();
	struct server_process server = process_serve(directory);
	static struct load_fixed plain, rpc, session;

	load_plant_state(server.port);
	plain.length = load_post(plain.bytes, sizeof plain.bytes, "/tools/get_agent_state", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\"}");
	rpc.length = load_post(rpc.bytes, sizeof rpc.bytes, "/mcp",
		"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: get_agent_state\r\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"get_agent_state\","
		"\"arguments\":{\"agent_id\":\"bench\",\"key\":\"current\"},\"_meta\":{"
		"\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		"\"io.modelcontextprotocol/clientInfo\":{\"name\":\"bench\",\"version\":\"1\"},"
		"\"io.modelcontextprotocol/clientCapabilities\":{}}}}");
	run_form(server, "POST /tools/get_agent_state", &plain, requests);
	run_form(server, "POST /mcp tools/call get_agent_state, 2026-07-28", &rpc, requests);
	prepare_session(server.port, &session);
	run_form(server, "POST /mcp tools/call get_agent_state, 2025-06-18", &session, requests);
	process_stop(server.pid);
	process_remove_directory(directory);
	return 0;
}
