/* The client against a server of one thread that does as each case says.
 *
 * A script is a list of connections; on each the server reads a request and sends the bytes given, one at a time or at
 * once, then closes, waits for the next request, or keeps silent until the client goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/unix_client.h"

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static const char deaf[] = "waits for a request and does not read it";

/* One request and what is sent for it; NULL sends nothing. `last`: the connection is closed behind it. */
struct step {
	const char *reply;
	bool split, last;
};

struct server {
	char folder[64];
	char path[400];
	int fd;
	const struct step *steps;
	size_t count;
	pthread_t thread;
};

static bool read_request(int fd)
{
	char text[4096];
	size_t have = 0;
	while (have < sizeof(text)) {
		ssize_t got = recv(fd, text + have, sizeof(text) - have, 0);
		if (got <= 0)
			return false;
		have += (size_t)got;
		const char *end = memmem(text, have, "\r\n\r\n", 4);
		if (end && (memcmp(text, "GET", 3) == 0 || (size_t)(end + 4 - text) < have))
			return true;
	}
	return false;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = -1;
	for (size_t i = 0; i < s->count; i++) {
		const struct step *step = &s->steps[i];
		if (fd < 0)
			fd = accept(s->fd, NULL, NULL);
		if (step->reply == deaf) {
			struct pollfd request = {.fd = fd, .events = POLLIN};
			poll(&request, 1, -1);
		} else if (step->reply && read_request(fd)) {
			size_t len = strlen(step->reply), piece = step->split ? 1 : len;
			for (size_t at = 0; at < len; at += piece)
				if (send(fd, step->reply + at, piece, MSG_NOSIGNAL) < 0)
					break;
		} else if (!step->reply) {
			while (read_request(fd))
				;
		}
		if (step->last) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void start(struct server *s, const struct step *steps, size_t count, bool long_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	*s = (struct server){.steps = steps, .count = count};
	snprintf(s->folder, sizeof(s->folder), "/tmp/unix-client-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", s->folder);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	snprintf(s->path, sizeof(s->path), "%s", address.sun_path);
	if (long_path) {
		char moved[400];
		size_t len = (size_t)snprintf(moved, sizeof(moved), "%s/", s->folder);
		memset(moved + len, 'd', 150);
		moved[len + 150] = 0;
		assert_int_equal(mkdir(moved, 0700), 0);
		snprintf(moved + len + 150, sizeof(moved) - len - 150, "/s");
		assert_int_equal(rename(s->path, moved), 0);
		snprintf(s->path, sizeof(s->path), "%s", moved);
	}
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->path);
	*strrchr(s->path, '/') = 0;
	if (strcmp(s->path, s->folder) != 0)
		rmdir(s->path);
	rmdir(s->folder);
}

static bool was_sent; /* by the last call */

static enum cs_status call(struct unix_client *c, int64_t wait_ms, size_t ceiling, const char *expected)
{
	struct arena arena;
	struct buffer out;
	struct cs_error err = {0};
	int http = 0;
	arena_init(&arena, NULL, 0, 1u << 20);
	buffer_init(&out, ceiling);
	struct op op = {.arena = &arena, .deadline_ns = clock_mono_ns() + wait_ms * 1000000, .may_wait = true};
	enum cs_status status = unix_client_call(c, &op, S("/x"), S("{}"), &http, &out, &was_sent, &err);
	if (status == CS_OK) {
		assert_int_equal(http, 200);
		assert_true(slice_eq(buffer_slice(&out), slice_cstr(expected)));
	} else if (expected)
		fail_msg("%s", err.text);
	buffer_release(&out);
	arena_release(&arena);
	return status;
}

/* One server per reply, one call. */
static enum cs_status once(const char *reply, bool split, int64_t wait_ms, const char *expected)
{
	const struct step step = {reply, split, true};
	struct server s;
	struct unix_client *c;
	start(&s, &step, 1, split);
	assert_int_equal(unix_client_new(slice_cstr(s.path), &c, NULL), CS_OK);
	enum cs_status status = call(c, wait_ms, 64, expected);
	unix_client_free(c);
	stop(&s);
	return status;
}

static void reads_replies(void **state)
{
	static const char *const replies[] = {OK_REPLY, ("HTTP/1.1 100 Continue\r\n\r\n" OK_REPLY),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
		"HTTP/1.0 200\r\n\r\nhello"};
	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++)
		for (int split = 0; split < 2; split++)
			assert_int_equal(once(replies[i], split, 10000, "hello"), CS_OK);
}

static void refuses_bad_replies(void **state)
{
	static const char *const replies[] = {"", "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"};
	for (size_t i = 0; i < sizeof(replies) / sizeof(*replies); i++)
		assert_int_equal(once(replies[i], false, 10000, NULL), CS_UNAVAILABLE);
	assert_int_equal(once("HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", false, 10000, NULL), CS_LIMIT_EXCEEDED);
	assert_int_equal(once(NULL, false, 30, NULL), CS_TIMEOUT);
	assert_true(was_sent);
}

static void reuses_and_retries(void **state)
{
	/* Two on one connection, which is then closed; the third finds it stale and opens another. */
	const struct step steps[] = {{OK_REPLY, false, false}, {OK_REPLY, false, true}, {OK_REPLY, false, true}};
	struct server s;
	struct unix_client *c;
	start(&s, steps, 3, false);
	assert_int_equal(unix_client_new(slice_cstr(s.path), &c, NULL), CS_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(call(c, 10000, 64, "hello"), CS_OK);
	unix_client_free(c);
	stop(&s);
	assert_int_equal(unix_client_new(S("/nonexistent/socket"), &c, NULL), CS_OK);
	assert_int_equal(call(c, 10000, 64, NULL), CS_UNAVAILABLE);
	assert_false(was_sent);
	unix_client_free(c);
}

/* A write must not be done twice: only what was not read whole is sent again. */
static void what_may_have_been_done_is_not_sent_again(void **state)
{
	const struct step unread[] = {{OK_REPLY, false, false}, {deaf, false, true}, {OK_REPLY, false, true}};
	const struct step silent[] = {{OK_REPLY, false, false}, {"", false, true}, {OK_REPLY, false, true}};
	struct server s;
	struct unix_client *c;
	start(&s, unread, 3, false);
	assert_int_equal(unix_client_new(slice_cstr(s.path), &c, NULL), CS_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(call(c, 10000, 64, "hello"), CS_OK);
	unix_client_free(c);
	stop(&s);
	start(&s, silent, 3, false);
	assert_int_equal(unix_client_new(slice_cstr(s.path), &c, NULL), CS_OK);
	assert_int_equal(call(c, 10000, 64, "hello"), CS_OK);
	assert_int_equal(call(c, 10000, 64, NULL), CS_UNAVAILABLE);
	assert_true(was_sent);
	assert_int_equal(call(c, 10000, 64, "hello"), CS_OK);
	unix_client_free(c);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_replies),
		cmocka_unit_test(refuses_bad_replies),
		cmocka_unit_test(reuses_and_retries),
		cmocka_unit_test(what_may_have_been_done_is_not_sent_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
