/* Event streams: a message queue per stream that any thread may fill and one loop empties.
 *
 * Messages are appended to one buffer under the stream's lock, already framed; the loop takes the buffer whole and
 * writes it. An idle stream has no buffer at all. `out` and `unsent` together are what the client has not taken; over
 * the limit the stream is cut rather than the message dropped, because a client that misses one message of a protocol
 * is lost anyway, and one that is cut knows.
 *
 * The first heartbeat of a stream comes early, by its address, so that thousands opened together do not beat together.
 * The handle is counted: the connection holds one reference until `closed` has been called, a posted task another. */
#include <pthread.h>

#include "base/clock.h"
#include "net/server_internal.h"

struct sse {
	atomic_uint refs;
	struct loop *loop;
	struct sse_hooks hooks;
	struct loop_task task;

	/* the loop's */
	struct connection *connection; /* NULL: closed */
	int64_t beat_ns;               /* when a heartbeat is due */

	pthread_mutex_t lock;
	struct buffer out;
	size_t unsent; /* taken from out, not by the kernel */
	size_t max;
	bool posted;
	bool ending; /* nothing more is accepted; close when all is out */
	bool cut;    /* too much waits: close now */
};

void sse_ref(struct sse *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void sse_unref(struct sse *s)
{
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	buffer_release(&s->out);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Takes what waits; false: the stream is to be closed (cut), or is over (ending and empty), as *ret_cut says. */
static bool take(struct sse *s, struct buffer *ret_taken, bool *ret_cut)
{
	bool more;

	pthread_mutex_lock(&s->lock);
	*ret_taken = s->out;
	buffer_init(&s->out, s->out.ceiling);
	s->unsent = ret_taken->len;
	*ret_cut = s->cut;
	more = !s->cut && (ret_taken->len || !s->ending);
	pthread_mutex_unlock(&s->lock);
	return more;
}

static void flush(struct sse *s)
{
	struct connection *c = s->connection;
	struct buffer taken;
	bool cut, out;

	if (!c || c->closing)
		return;
	if (c->write) { /* goes on when that is out, unless it never will be */
		pthread_mutex_lock(&s->lock);
		cut = s->cut;
		pthread_mutex_unlock(&s->lock);
		if (cut)
			connection_close(c);
		return;
	}
	if (!take(s, &taken, &cut)) {
		buffer_release(&taken);
		if (cut) {
			connection_close(c);
		} else if (!c->lingering) {
			c->close_after = true;
			c->sse = NULL; /* only for the next call, which is about responses */
			connection_written(c);
			c->sse = s;
		}
		return;
	}
	if (!taken.len)
		return;
	out = connection_send(c, S(""), &taken);
	buffer_release(&taken);
	s->beat_ns = clock_mono_ns() + SSE_HEARTBEAT_S * SECOND_NS;
	if (out)
		sse_on_written(s);
}

/* All that was taken is out. */
void sse_on_written(struct sse *s)
{
	bool more;

	pthread_mutex_lock(&s->lock);
	s->unsent = 0;
	more = s->out.len || s->ending || s->cut;
	pthread_mutex_unlock(&s->lock);
	if (more)
		flush(s);
}

static void on_task(struct loop_task *task)
{
	struct sse *s = (struct sse *)((char *)task - offsetof(struct sse, task));

	pthread_mutex_lock(&s->lock);
	s->posted = false;
	pthread_mutex_unlock(&s->lock);
	flush(s);
	sse_unref(s);
}

/* The lock is held; it is let go. */
static void unlock_and_wake(struct sse *s)
{
	bool here = loop_is_current(s->loop);
	bool post = !here && !s->posted;

	if (post) {
		s->posted = true;
		sse_ref(s);
	}
	pthread_mutex_unlock(&s->lock);
	if (post)
		loop_post(s->loop, &s->task);
	else if (here)
		flush(s);
}

static bool append(struct sse *s, struct slice before, struct slice data)
{
	size_t size = before.len + data.len + 2;
	char *room = size <= s->max && s->out.len + s->unsent <= s->max - size ? buffer_reserve(&s->out, size) : NULL;

	if (!room)
		return false;
	memcpy(room, before.ptr, before.len);
	if (data.len)
		memcpy(room + before.len, data.ptr, data.len);
	memcpy(room + before.len + data.len, "\n\n", 2);
	s->out.len += size;
	return true;
}

static bool send_framed(struct sse *s, struct slice before, struct slice data)
{
	bool taken;

	pthread_mutex_lock(&s->lock);
	if (s->ending || s->cut) {
		pthread_mutex_unlock(&s->lock);
		return false;
	}
	taken = append(s, before, data);
	if (!taken)
		s->cut = true;
	unlock_and_wake(s);
	return taken;
}

bool sse_send(struct sse *s, struct slice data)
{
	return send_framed(s, S("data: "), data);
}

void sse_end(struct sse *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->ending) {
		pthread_mutex_unlock(&s->lock);
		return;
	}
	s->ending = true;
	unlock_and_wake(s);
}

void sse_tick(struct sse *s, int64_t now_ns)
{
	struct connection *c = s->connection;

	pthread_mutex_lock(&s->lock);
	if (c->write)
		s->unsent = c->unsent;
	if (s->ending) /* from now on a client that takes nothing is closed by connection_tick */
		c->close_after = true;
	pthread_mutex_unlock(&s->lock);
	if (now_ns < s->beat_ns)
		return;
	s->beat_ns = now_ns + SSE_HEARTBEAT_S * SECOND_NS;
	(void)send_framed(s, S(":"), S(""));
}

void sse_drain(struct sse *s)
{
	if (s->connection->closing || s->connection->lingering)
		return;
	if (s->hooks.ending)
		s->hooks.ending(s->hooks.self, s);
	sse_end(s);
}

void sse_on_close(struct sse *s)
{
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	buffer_release(&s->out);
	pthread_mutex_unlock(&s->lock);
}

void sse_on_closed(struct sse *s)
{
	metric_add(s->connection->home->server->streams_metric, -1);
	s->connection = NULL;
	s->hooks.closed(s->hooks.self, s);
	sse_unref(s);
}

/* ---- A request becomes a stream ---- */

static struct sse *new_stream(struct connection *c, struct sse_hooks hooks)
{
	struct sse *s = calloc(1, sizeof(*s));
	int64_t early_s = (int64_t)(((uintptr_t)c >> 6) % SSE_HEARTBEAT_S);

	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	s->loop = c->home->loop;
	s->hooks = hooks;
	s->task.run = on_task;
	s->connection = c;
	s->beat_ns = clock_mono_ns() + (SSE_HEARTBEAT_S - early_s) * SECOND_NS;
	s->max = c->home->server->options.stream_buffer_max;
	buffer_init(&s->out, s->max);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

static void compose(struct connection *c, const struct response *r)
{
	struct home *home = c->home;
	struct buffer *out = connection_out(c);
	struct slice sent = buffer_slice(&r->headers);

	buffer_append(out, S("HTTP/1.1 200 OK\r\n"));
	buffer_append(out, slice_of(home->date, home->date_len));
	/* Without a length the stream ends with the connection (RFC 9112 6.3). */
	buffer_append(out, S("Content-Type: text/event-stream\r\nConnection: close\r\n"));
	if (!sent.len || !memmem(sent.ptr, sent.len, "X-Accel-Buffering:", 18))
		buffer_append(out, S("Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"));
	buffer_append(out, sent);
	buffer_append(out, S("\r\n"));
	response_count(home, 200);
}

struct sse *exchange_stream(struct exchange *ex, struct sse_hooks hooks)
{
	struct connection *c = ex->connection;
	struct home *home = ex->home;
	struct sse *s = c && !ex->response.headers.failed ? new_stream(c, hooks) : NULL;
	struct buffer nothing;

	if (!s) {
		if (c) {
			c->exchange = NULL;
			connection_close(c);
		}
		exchange_give(home, ex);
		home_check_drained(home);
		return NULL;
	}
	buffer_init(&nothing, 0);
	compose(c, &ex->response);
	c->exchange = NULL;
	c->sse = s;
	atomic_fetch_sub(&home->load, 1); /* it asks nothing any more */
	metric_add(home->server->streams_metric, 1);
	exchange_give(home, ex);
	connection_drop_input(c);
	/* A failure closes the connection, and `closed` is called later, from the loop. */
	(void)connection_send(c, buffer_slice(&home->out), &nothing);
	if (c->half_closed)
		connection_close(c);
	return s;
}
