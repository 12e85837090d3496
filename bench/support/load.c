/* The client's loop. A reply usually arrives in one piece, so the common path is one write and one read a request. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"
#include "stats.h"

#define REQUEST_MAX (256u << 10)
#define REPLY_MAX   (1u << 20)

struct client {
	int fd;
	int64_t sent_ns;
	char *reply;
	size_t have;
};

int load_connect(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		die("socket");
	while (connect(fd, (struct sockaddr *)&address, sizeof address))
		if (errno != EINTR && errno != EAGAIN)
			die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
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

/* The whole length of the reply in text, 0 while its head is not complete. */
static size_t reply_length(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *field = end ? strcasestr(text, "\r\ncontent-length:") : NULL;

	if (!end)
		return 0;
	return (size_t)(end + 4 - text) + (field && field < end ? strtoul(field + 17, NULL, 10) : 0);
}

static void send_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("send");
		bytes += n;
		length -= (size_t)n;
	}
}

/* Reads what is there; true when the reply is whole. */
static int read_reply(struct client *client, size_t *ret_length)
{
	ssize_t n = recv(client->fd, client->reply + client->have, REPLY_MAX - 1 - client->have, 0);
	size_t length;

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		die("the server closed a connection");
	client->have += (size_t)n;
	client->reply[client->have] = '\0';
	length = reply_length(client->reply);
	if (length == 0 || client->have < length)
		return 0;
	*ret_length = length;
	return 1;
}

static void send_next(const struct load *load, struct client *client, size_t index, char *room)
{
	size_t length = load->request(load->self, index, room, REQUEST_MAX);

	client->have = 0;
	client->sent_ns = now_ns();
	send_all(client->fd, room, length);
}

static void count_reply(struct load_result *result, const struct client *client, size_t length)
{
	result->latency_us[result->done++] = (double)(now_ns() - client->sent_ns) / 1e3;
	result->reply_bytes = length;
	if (strncmp(client->reply + 9, "200", 3) != 0 && result->failed++ == 0)
		fprintf(stderr, "a request failed:\n%s\n", client->reply);
}

struct load_result load_run(const struct load *load)
{
	struct load_result result = {.latency_us = malloc(load->requests * sizeof(double))};
	struct client *clients = calloc(load->connections, sizeof *clients);
	char *room = malloc(REQUEST_MAX);
	int poller = epoll_create1(EPOLL_CLOEXEC);
	size_t sent = 0;
	int64_t start;

	if (!result.latency_us || !clients || !room || poller < 0)
		die("memory");
	for (unsigned i = 0; i < load->connections; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

		clients[i].fd = load_connect(load->port);
		clients[i].reply = malloc(REPLY_MAX);
		if (!clients[i].reply || epoll_ctl(poller, EPOLL_CTL_ADD, clients[i].fd, &event))
			die("epoll");
	}
	start = now_ns();
	for (unsigned i = 0; i < load->connections && sent < load->requests; i++)
		send_next(load, &clients[i], sent++, room);
	while (result.done < load->requests) {
		struct epoll_event events[64];
		int n = epoll_wait(poller, events, 64, 60000);

		if (n == 0 || (n < 0 && errno != EINTR))
			die("no reply within a minute");
		for (int i = 0; i < n; i++) {
			struct client *client = events[i].data.ptr;
			size_t length;

			if (!read_reply(client, &length))
				continue;
			count_reply(&result, client, length);
			if (sent < load->requests)
				send_next(load, client, sent++, room);
		}
	}
	result.elapsed_ns = now_ns() - start;
	for (unsigned i = 0; i < load->connections; i++) {
		close(clients[i].fd);
		free(clients[i].reply);
	}
	close(poller);
	free(clients);
	free(room);
	stats_sort(result.latency_us, result.done);
	return result;
}

char *load_once(uint16_t port, const char *request, size_t length, size_t *ret_length)
{
	struct client client = {.fd = load_connect(port), .reply = malloc(REPLY_MAX)};

	if (!client.reply)
		die("memory");
	send_all(client.fd, request, length);
	while (!read_reply(&client, ret_length))
		;
	close(client.fd);
	return client.reply;
}
