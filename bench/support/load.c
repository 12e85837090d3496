/* Adapts load.h to the program's own client. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/client.h"
#include "process.h"

#define REQUEST_MAX (256u << 10)
#define TIMEOUT_NS  INT64_C(60000000000)

struct source {
	const struct load *load;
	size_t next;
	char *room;
};

static struct client_address loopback(uint16_t port)
{
	const struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct client_address to = {.length = sizeof in};

	memcpy(&to.address, &in, sizeof in);
	return to;
}

static void must(enum cs_status status, const struct cs_error *err)
{
	if (status == CS_OK)
		return;
	fprintf(stderr, "benchmark: %s\n", err->text);
	exit(1);
}

static struct slice next_request(void *self, unsigned *ret_series)
{
	struct source *source = self;

	*ret_series = 0;
	return slice_of(
		source->room, source->load->request(source->load->self, source->next++, source->room, REQUEST_MAX));
}

struct load_result load_run(const struct load *load)
{
	struct client_address to = loopback(load->port);
	struct source source = {load, 0, malloc(REQUEST_MAX)};
	struct client_series *series = calloc(1, sizeof *series);
	struct client_load client = {.to = &to,
		.connections = load->connections,
		.requests = load->requests,
		.timeout_ns = TIMEOUT_NS,
		.frame = frame_http,
		.request = next_request,
		.self = &source,
		.series = series};
	struct client_result ran;
	struct load_result result;
	struct cs_error err;

	if (!series || !source.room)
		die("memory");
	must(client_run(&client, &ran, &err), &err);
	if (series->failed > 0)
		fprintf(stderr, "a request failed: %s\n", series->failure);
	result = (struct load_result){series->latency, ran.done, series->failed, source.next, ran.elapsed_ns};
	free(series);
	free(source.room);
	return result;
}

double load_percentile_us(const struct load_result *result, double p)
{
	return histogram_percentile(&result->latency, p) / 1e3;
}

char *load_once(uint16_t port, const char *request, size_t length, size_t *ret_length)
{
	struct client_address to = loopback(port);
	struct cs_error err;
	char *reply = NULL;
	bool good;

	must(client_ask(&to, slice_of(request, length), TIMEOUT_NS, frame_http, &reply, ret_length, &good, &err), &err);
	return reply;
}

size_t load_post(char *room, size_t size, const char *path, const char *headers, const char *body)
{
	int n = snprintf(room, size,
		"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
		"Accept: application/json, text/event-stream\r\n%sContent-Length: %zu\r\n\r\n%s",
		path, headers, strlen(body), body);

	if (n < 0 || (size_t)n >= size)
		die("a request is larger than the room for it");
	return (size_t)n;
}

size_t load_same(void *self, size_t index, char *room, size_t size)
{
	const struct load_fixed *request = self;

	(void)index;
	(void)size;
	memcpy(room, request->bytes, request->length);
	return request->length;
}

void load_plant_state(uint16_t port)
{
	struct load_fixed store;
	size_t length;

	store.length = load_post(store.bytes, sizeof store.bytes, "/tools/update_scratchpad", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\",\"prefix\":\"state\","
		"\"content\":\"step 7 of 12: waiting for review\"}");
	free(load_once(port, store.bytes, store.length, &length));
}

int load_connect(uint16_t port)
{
	struct client_address to = loopback(port);
	struct cs_error err;
	int fd = -1;

	must(client_connect(&to, TIMEOUT_NS, &fd, &err), &err);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) != 0)
		die("fcntl");
	return fd;
}
