/* What HTTP and the protocol cost: CPU per get_agent_state request against a bare epoll echo of the same bytes.
 *
 * Both run as processes of their own, one after the other in each round, under the same client. The echo answers each
 * read with a constant reply of exactly the bytes the server sends: it is what the kernel charges for the request, and
 * no server can be cheaper. CPU is the kernel's count for the whole process. Rounds alternate; the median of the ratios
 * is the figure. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/load.h"
#include "support/process.h"
#include "support/stats.h"

#define ROUNDS 5

static const unsigned levels[] = {1, 10, 50, 100, 200};

struct fixed {
	char bytes[4096];
	size_t length;
};

static size_t same_request(void *self, size_t index, char *room, size_t size)
{
	const struct fixed *request = self;

	(void)index;
	(void)size;
	memcpy(room, request->bytes, request->length);
	return request->length;
}

/* Accepts and answers until it is killed. */
static void echo_loop(int listener, const char *reply, size_t length)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};

	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(poller, events, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			char request[65536];
			int on = 1;

			if (fd == listener) {
				event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
				setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
				epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
			} else if (read(fd, request, sizeof request) <= 0 || write(fd, reply, length) < 0) {
				close(fd);
			}
		}
	}
}

static struct server_process start_echo(const char *reply, size_t length)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	struct server_process echo;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 512) ||
		getsockname(listener, (struct sockaddr *)&address, &size))
		die("echo");
	echo.port = ntohs(address.sin_port);
	echo.pid = fork();
	if (echo.pid < 0)
		die("fork");
	if (echo.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		echo_loop(listener, reply, length);
	}
	close(listener);
	return echo;
}

struct figures {
	double cpu_us, p50_us, p99_us, per_second;
	size_t failed;
};

static struct figures measure(
	struct server_process server, struct fixed *request, unsigned connections, size_t requests)
{
	struct load load = {server.port, connections, requests, same_request, request};
	int64_t before = process_cpu_ns(server.pid);
	struct load_result result = load_run(&load);
	int64_t spent = process_cpu_ns(server.pid) - before;
	struct figures figures = {
		.cpu_us = (double)spent / 1e3 / (double)result.done,
		.p50_us = stats_percentile(result.latency_us, result.done, 50),
		.p99_us = stats_percentile(result.latency_us, result.done, 99),
		.per_second = (double)result.done * 1e9 / (double)result.elapsed_ns,
		.failed = result.failed,
	};

	free(result.latency_us);
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

static void run_level(struct server_process server, struct server_process echo, struct fixed *request,
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

static void run_form(struct server_process server, const char *title, struct fixed *request, size_t requests)
{
	size_t length;
	char *reply = load_once(server.port, request->bytes, request->length, &length);
	struct server_process echo = start_echo(reply, length);

	printf("\n%s: %zu bytes in, %zu bytes out, %zu requests a round, %d rounds, medians\n", title, request->length,
		length, requests, ROUNDS);
	printf("connections  server        CPU us/rq    p50 us    p99 us   requests/s\n");
	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
		run_level(server, echo, request, levels[i], requests);
	kill(echo.pid, SIGKILL);
	waitpid(echo.pid, NULL, 0);
	free(reply);
}

/* Opens a session of 2025-06-18 and writes the request that a client of it sends. */
static void prepare_session(uint16_t port, struct fixed *request)
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
	static struct fixed store, plain, rpc, session;
	size_t length;

	store.length = load_post(store.bytes, sizeof store.bytes, "/tools/update_scratchpad", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\",\"prefix\":\"state\","
		"\"content\":\"step 7 of 12: waiting for review\"}");
	free(load_once(server.port, store.bytes, store.length, &length));
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
