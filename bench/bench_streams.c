/* What 8,000 idle event streams cost: memory of the server, and what they do to other requests.
 *
 * Streams are opened as a client of the 2026-07-28 revision does, by subscriptions/listen; each is read up to its
 * acknowledgement and then left alone. Requests are measured before and while they are open. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/stats.h"
#include "support/load.h"
#include "support/process.h"

#define META                                                                                                           \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                                       \
	"\"io.modelcontextprotocol/clientInfo\":{\"name\":\"bench\",\"version\":\"1\"},"                               \
	"\"io.modelcontextprotocol/clientCapabilities\":{}}"

static size_t get_state(void *self, size_t index, char *room, size_t size)
{
	(void)self;
	(void)index;
	return load_post(room, size, "/tools/get_agent_state", "", "{\"agent_id\":\"bench\",\"key\":\"current\"}");
}

static int open_stream(uint16_t port)
{
	char request[1024], reply[4096];
	int fd = load_connect(port);
	size_t have = 0;
	size_t length = load_post(request, sizeof request, "/mcp",
		"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscriptions/listen\",\"params\":{"
		"\"notifications\":{\"toolsListChanged\":true}," META "}}");

	if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
		die("send");
	do {
		ssize_t n = recv(fd, reply + have, sizeof reply - 1 - have, 0);

		if (n <= 0)
			die("a stream ended");
		have += (size_t)n;
		reply[have] = '\0';
	} while (!strstr(reply, "acknowledged"));
	return fd;
}

static void print_requests(const char *when, uint16_t port)
{
	struct load load = {port, 10, 20000, get_state, NULL};
	struct load_result result = load_run(&load);

	printf("%-22s p50 %7.1f us  p99 %7.1f us  %8.0f requests/s, %zu failed\n", when,
		load_percentile_us(&result, 50), load_percentile_us(&result, 99),
		(double)result.done * 1e9 / (double)result.elapsed_ns, result.failed);
}

int main(int argc, char **argv)
{
	size_t streams = argc > 1 ? strtoul(argv[1], NULL, 10) : 8000;
	char *directory = process_make_directory();
	struct rlimit files;
	struct server_process server;
	char request[1024];
	int64_t before, after;
	size_t length;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	server = process_serve(directory);
	length = load_post(request, sizeof request, "/tools/update_scratchpad", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\",\"prefix\":\"state\",\"content\":\"waiting\"}");
	free(load_once(server.port, request, length, &length));
	print_requests("no streams", server.port);
	before = process_rss_bytes(server.pid);
	for (size_t i = 0; i < streams; i++)
		open_stream(server.port);
	after = process_rss_bytes(server.pid);
	printf("%zu idle streams: %.1f MB more (%.1f to %.1f MB), %.0f bytes each\n", streams,
		(double)(after - before) / 1e6, (double)before / 1e6, (double)after / 1e6,
		(double)(after - before) / (double)streams);
	print_requests("with streams", server.port);
	process_stop(server.pid);
	process_remove_directory(directory);
	return 0;
}
