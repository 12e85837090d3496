/* net/ without sockets and threads, for programs that test what stands on it (src/mcp).
 *
 * It defines the functions of net/ that src/mcp calls, so the linker takes none of the real ones. A test makes an
 * exchange, hands it to the handler, and finds what was answered: a job that was handed to a worker runs when the test
 * says so, on the calling thread. Included once a program. */
#ifndef CS_TESTS_FAKE_NET_H
#define CS_TESTS_FAKE_NET_H

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/lines.h"
#include "net/server.h"
#include "net/worker.h"

struct sse {
	struct sse_hooks hooks;
	struct buffer sent; /* messages, one a line */
	unsigned references;
	bool ended;
};

static struct {
	unsigned finished;         /* calls of exchange_finish */
	struct job *first, **last; /* submitted and not run yet, in order */
	bool queue_full;
	bool client_gone;   /* exchange_stream fails */
	struct sse *stream; /* the latest one opened */
	struct lines_handler lines;
	struct buffer written; /* by lines_send */
	bool lines_full;
	void (*closed)(void *self, int error);
	void *closed_self;
} fake;

void exchange_finish(struct exchange *ex)
{
	assert(ex->response.status >= 200);
	fake.finished++;
}

struct sse *exchange_stream(struct exchange *ex, struct sse_hooks hooks)
{
	struct sse *s;

	fake.finished++;
	if (fake.client_gone)
		return NULL;
	s = calloc(1, sizeof *s);
	assert(s);
	s->hooks = hooks;
	s->references = 1;
	buffer_init(&s->sent, 1u << 20);
	fake.stream = s;
	return s;
}

bool sse_send(struct sse *s, struct slice data)
{
	assert(data.len == 0 || !memchr(data.ptr, '\n', data.len));
	if (s->ended)
		return false;
	buffer_append(&s->sent, data);
	buffer_byte(&s->sent, '\n');
	return true;
}

void sse_ref(struct sse *s)
{
	s->references++;
}

void sse_unref(struct sse *s)
{
	if (--s->references)
		return;
	buffer_release(&s->sent);
	free(s);
}

void sse_end(struct sse *s)
{
	s->ended = true;
}

/* What the server does at the end of a stream. */
static inline void fake_close_stream(struct sse *s)
{
	s->hooks.closed(s->hooks.self, s);
	sse_unref(s);
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	task->run(task);
}

bool loop_is_current(const struct loop *loop)
{
	return true;
}

enum cs_status workers_submit(struct workers *workers, struct job *job)
{
	if (fake.queue_full)
		return CS_LIMIT_EXCEEDED;
	job->next = NULL;
	*(fake.first ? fake.last : &fake.first) = job;
	fake.last = &job->next;
	return CS_OK;
}

/* Lets a worker have the first job. False: there is none. */
static inline bool fake_work(void)
{
	struct job *job = fake.first;

	if (!job)
		return false;
	fake.first = job->next;
	job->run(job);
	return true;
}

enum cs_status lines_new(struct loop *loop, int in_fd, int out_fd, size_t line_max, struct lines_handler handler,
	struct lines **ret_lines, struct cs_error *err)
{
	fake.lines = handler;
	buffer_init(&fake.written, 64u << 20);
	*ret_lines = NULL;
	return CS_OK;
}

bool lines_full(struct lines *lines)
{
	return fake.lines_full;
}

void lines_send(struct lines *lines, struct slice text)
{
	buffer_append(&fake.written, text);
	buffer_byte(&fake.written, '\n');
}

void lines_close(struct lines *lines, void (*done)(void *self, int error), void *self)
{
	fake.closed = done;
	fake.closed_self = self;
}

/* The loop's part of lines_close, and the end of the buffer. */
static inline void fake_lines_closed(void)
{
	void (*closed)(void *self, int error) = fake.closed;

	fake.closed = NULL;
	if (closed)
		closed(fake.closed_self, 0);
	buffer_release(&fake.written);
}

/* An exchange as the server would hand it over. `lines` are header lines ended by '\n'. */
struct fake_exchange {
	struct http_head head;
	struct exchange ex;
};

static inline enum http_method fake_method(struct slice name)
{
	static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"};

	for (int i = 0; i < 7; i++)
		if (slice_eq(name, slice_cstr(names[i])))
			return (enum http_method)i;
	return HTTP_OTHER;
}

static inline void fake_exchange_init(struct fake_exchange *f, struct slice method, struct slice path,
	struct slice lines, struct slice body, size_t response_max)
{
	memset(f, 0, sizeof *f);
	f->head.method = fake_method(method);
	f->head.method_name = method;
	f->head.path = f->head.target = path;
	while (lines.len > 0 && f->head.header_count < HTTP_HEADERS_MAX) {
		struct slice line = slice_cut(&lines, '\n');
		struct http_header *h = &f->head.headers[f->head.header_count];

		h->name = slice_cut(&line, ':');
		h->value = slice_trim(line);
		f->head.header_count += h->name.len > 0;
	}
	f->ex.head = &f->head;
	f->ex.body = body;
	arena_init(&f->ex.arena, f->ex.own, sizeof f->ex.own, 64u << 20);
	buffer_init(&f->ex.response.headers, 64u << 10);
	buffer_init(&f->ex.response.body, response_max);
	f->ex.started_ns = clock_mono_ns();
}

static inline void fake_exchange_release(struct fake_exchange *f)
{
	buffer_release(&f->ex.response.headers);
	buffer_release(&f->ex.response.body);
	arena_release(&f->ex.arena);
}

#endif
