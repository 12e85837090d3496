/* Lines: two threads that wait, so that the loop need not.
 *
 * Standard input and output may be pipes, sockets, terminals or regular files. epoll refuses files, and the way around
 * blocking (O_NONBLOCK) is a property of the open file, shared with whoever else holds it: the parent's terminal, or
 * our own stderr when both go into one pipe. So a reader thread waits in poll(2) and read(2), a writer thread in
 * write(2); descriptors stay as they were given.
 *
 * Reading hands one chunk at a time to the loop and waits until it is used up: order and back-pressure need no queue.
 * The loop cuts lines in place; only a line that crosses chunks is copied (into `carry`, which grows with what has
 * come). Writing swaps two buffers under the lock, so many small messages go out in one write. Invariant: `refs` counts
 * reader and writer while they run; the last one tells the loop, which joins and frees. */
#include "net/lines.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buffer.h"

#define CHUNK_BYTES (64u << 10)
#define KEEP_BYTES  (64u << 10) /* of a buffer that is empty again */
#define QUEUED_MAX  (SIZE_MAX / 2)

struct lines {
	struct loop *loop;
	struct lines_handler handler;
	int in_fd, out_fd, wake_fd;
	pthread_t reader, writer;
	struct loop_task chunk_task, drained_task, broken_task, closed_task;
	void (*done)(void *self, int error);
	void *done_self;

	/* the loop's */
	struct buffer carry; /* start of a line whose end has not come */
	bool skipping;       /* a line over line_max, to its end */
	bool ended_told;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* any of the following */
	struct buffer queued;
	size_t writing; /* bytes the writer has taken and not written */
	bool chunk_given;
	bool asked;          /* lines_full was true, and the loop waits for `drained` */
	bool drained_posted; /* and has not run */
	bool closing;
	bool broken; /* nobody reads what we write */
	int error;   /* why a write failed, but EPIPE */
	unsigned threads;

	size_t chunk_len; /* the reader's, the loop's while chunk_given; 0: end of input */
	size_t chunk_at;  /* what is used of it; less than all when writing is behind */
	char chunk[CHUNK_BYTES];
};

static void tell_ended(struct lines *l)
{
	if (l->ended_told || l->closing)
		return;
	l->ended_told = true;
	l->handler.ended(l->handler.self);
}

static void give_line(struct lines *l, struct slice line)
{
	if (l->closing)
		return;
	if (line.ptr && line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	l->handler.line(l->handler.self, line);
}

static void line_too_long(struct lines *l)
{
	if (!l->closing)
		l->handler.too_long(l->handler.self, l->carry.ceiling - 1);
}

/* `part` is the last of a line when `whole`. One byte over line_max is room for the CR of CRLF. */
static void take_part(struct lines *l, struct slice part, bool whole)
{
	bool over =
		l->carry.len + part.len > l->carry.ceiling ||
		(whole && l->carry.len + part.len == l->carry.ceiling && (!part.len || part.ptr[part.len - 1] != '\r'));

	if (!l->skipping && over) {
		l->skipping = true;
		line_too_long(l);
	}
	if (!l->skipping && whole && l->carry.len == 0) {
		give_line(l, part);
		return;
	}
	if (!l->skipping) {
		buffer_append(&l->carry, part);
		if (l->carry.failed) { /* no memory: the same to the client as no room */
			l->skipping = true;
			line_too_long(l);
		} else if (!whole) {
			return;
		} else {
			give_line(l, buffer_slice(&l->carry));
		}
	}
	if (l->carry.cap > KEEP_BYTES)
		buffer_release(&l->carry);
	buffer_clear(&l->carry);
	if (whole)
		l->skipping = false;
}

/* The lock is held. */
static bool is_full(const struct lines *l)
{
	return !l->broken && l->queued.len + l->writing > LINES_HELD_MAX;
}

bool lines_full(struct lines *l)
{
	bool full;

	pthread_mutex_lock(&l->lock);
	full = is_full(l);
	l->asked = l->asked || full;
	pthread_mutex_unlock(&l->lock);
	return full;
}

/* The lock is held. */
static void tell_drained(struct lines *l)
{
	if (!l->asked || l->drained_posted || is_full(l))
		return;
	l->asked = false;
	l->drained_posted = true;
	loop_post(l->loop, &l->drained_task);
}

/* It may be full again by now: who then asks is called again. */
static void on_drained(struct loop_task *task)
{
	struct lines *l = (struct lines *)((char *)task - offsetof(struct lines, drained_task));

	pthread_mutex_lock(&l->lock);
	l->drained_posted = false;
	l->asked = l->asked && is_full(l);
	pthread_mutex_unlock(&l->lock);
	if (!l->closing && l->handler.drained)
		l->handler.drained(l->handler.self);
}

/* Lines make answers, so no more of them are cut than there is room for; the reader gives the rest of the chunk again. */
static void use_chunk(struct lines *l)
{
	struct slice rest = slice_of(l->chunk + l->chunk_at, l->chunk_len - l->chunk_at);

	while (rest.len && !lines_full(l)) {
		size_t end = slice_find_byte(rest, '\n');

		take_part(l, slice_of(rest.ptr, end), end < rest.len);
		rest = slice_from(rest, end + 1);
	}
	l->chunk_at = l->chunk_len - rest.len;
	if (l->chunk_len == 0) {
		if (l->carry.len && !l->skipping)
			take_part(l, S(""), true);
		tell_ended(l);
	}
}

static void on_chunk(struct loop_task *task)
{
	struct lines *l = (struct lines *)((char *)task - offsetof(struct lines, chunk_task));

	use_chunk(l);
	pthread_mutex_lock(&l->lock);
	l->chunk_given = false;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

static void on_broken(struct loop_task *task)
{
	tell_ended((struct lines *)((char *)task - offsetof(struct lines, broken_task)));
}

static void on_closed(struct loop_task *task)
{
	struct lines *l = (struct lines *)((char *)task - offsetof(struct lines, closed_task));
	void (*done)(void *, int) = l->done;
	void *self = l->done_self;
	int error = l->error;

	pthread_join(l->reader, NULL);
	pthread_join(l->writer, NULL);
	close(l->wake_fd);
	close(l->in_fd);
	if (l->out_fd != l->in_fd)
		close(l->out_fd);
	buffer_release(&l->carry);
	buffer_release(&l->queued);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l);
	if (done)
		done(self, error);
}

/* The lock is held. The thread stays around until lines_close even when it has nothing to do any more, so that closing
 * is one way for all cases. */
static void thread_ends(struct lines *l)
{
	while (!l->closing)
		pthread_cond_wait(&l->changed, &l->lock);
	if (--l->threads == 0)
		loop_post(l->loop, &l->closed_task);
	pthread_mutex_unlock(&l->lock);
}

/* False: closing. */
static bool wait_readable(struct lines *l)
{
	struct pollfd fds[2] = {{.fd = l->in_fd, .events = POLLIN}, {.fd = l->wake_fd, .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return !fds[1].revents;
}

static size_t read_chunk(struct lines *l)
{
	ssize_t n;

	do
		n = read(l->in_fd, l->chunk, sizeof(l->chunk));
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && wait_readable(l))));
	return n > 0 ? (size_t)n : 0; /* an error (a terminal that is gone: EIO) ends the input too */
}

static void *reader_main(void *arg)
{
	struct lines *l = arg;
	bool more = true;

	pthread_setname_np(pthread_self(), "lines-in");
	while (more && wait_readable(l)) {
		l->chunk_len = read_chunk(l);
		l->chunk_at = 0;
		more = l->chunk_len > 0;
		pthread_mutex_lock(&l->lock);
		do {
			l->chunk_given = true;
			loop_post(l->loop, &l->chunk_task);
			while (l->chunk_given || (more && !l->closing && is_full(l)))
				pthread_cond_wait(&l->changed, &l->lock);
		} while (l->chunk_at < l->chunk_len && !l->closing);
		more = more && !l->closing;
		pthread_mutex_unlock(&l->lock);
	}
	pthread_mutex_lock(&l->lock);
	thread_ends(l);
	return NULL;
}

static bool write_all(int fd, struct slice text)
{
	while (text.len) {
		ssize_t n = write(fd, text.ptr, text.len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd writable = {.fd = fd, .events = POLLOUT};

			poll(&writable, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			return false;
		} else if (n > 0) {
			text = slice_from(text, (size_t)n);
		}
	}
	return true;
}

/* The lock is held. */
static void out_broken(struct lines *l)
{
	if (l->broken)
		return;
	l->broken = true;
	buffer_release(&l->queued);
	loop_post(l->loop, &l->broken_task);
}

static void *writer_main(void *arg)
{
	struct lines *l = arg;
	struct buffer taken;
	bool ok = true;
	int error = 0;

	pthread_setname_np(pthread_self(), "lines-out");
	buffer_init(&taken, l->queued.ceiling);
	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct buffer empty = taken;

		while (!l->queued.len && !l->closing)
			pthread_cond_wait(&l->changed, &l->lock);
		if (!l->queued.len)
			break;
		taken = l->queued;
		l->queued = empty;
		l->writing = taken.len;
		pthread_mutex_unlock(&l->lock);
		ok = write_all(l->out_fd, buffer_slice(&taken));
		error = errno;
		if (taken.cap > KEEP_BYTES)
			buffer_release(&taken);
		buffer_clear(&taken);
		pthread_mutex_lock(&l->lock);
		l->writing = 0;
		if (!ok && error != EPIPE)
			l->error = error;
		if (!ok)
			out_broken(l);
		tell_drained(l);
		pthread_cond_broadcast(&l->changed);
	}
	buffer_release(&taken);
	thread_ends(l);
	return NULL;
}

static enum cs_status start_threads(struct lines *l, struct cs_error *err)
{
	int rc = pthread_create(&l->writer, NULL, writer_main, l);

	if (!rc) {
		rc = pthread_create(&l->reader, NULL, reader_main, l);
		if (rc) { /* the writer ends without being the last, so nothing is posted */
			pthread_mutex_lock(&l->lock);
			l->closing = true;
			pthread_cond_broadcast(&l->changed);
			pthread_mutex_unlock(&l->lock);
			pthread_join(l->writer, NULL);
		}
	}
	if (rc)
		return cs_fail(err, CS_UNAVAILABLE, "cannot start the threads for standard input and output: %s",
			strerror(rc));
	return CS_OK;
}

enum cs_status lines_new(struct loop *loop, int in_fd, int out_fd, size_t line_max, struct lines_handler handler,
	struct lines **ret_lines, struct cs_error *err)
{
	struct lines *l = calloc(1, sizeof(*l));
	enum cs_status status;

	if (!l)
		return cs_fail_memory(err);
	l->loop = loop;
	l->handler = handler;
	l->in_fd = in_fd;
	l->out_fd = out_fd;
	l->chunk_task.run = on_chunk;
	l->drained_task.run = on_drained;
	l->broken_task.run = on_broken;
	l->closed_task.run = on_closed;
	l->threads = 2;
	buffer_init(&l->carry, line_max + 1);
	buffer_init(&l->queued, QUEUED_MAX);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->wake_fd = eventfd(0, EFD_CLOEXEC);
	status = l->wake_fd < 0 ? cs_fail(err, CS_UNAVAILABLE, "cannot make an eventfd: %s", strerror(errno))
				: start_threads(l, err);
	if (status) {
		if (l->wake_fd >= 0)
			close(l->wake_fd);
		pthread_cond_destroy(&l->changed);
		pthread_mutex_destroy(&l->lock);
		free(l);
		return status;
	}
	*ret_lines = l;
	return CS_OK;
}

void lines_send(struct lines *l, struct slice text)
{
	pthread_mutex_lock(&l->lock);
	if (!l->broken) {
		char *room = buffer_reserve(&l->queued, text.len + 1);

		if (room) {
			memcpy(room, text.ptr, text.len);
			room[text.len] = '\n';
			l->queued.len += text.len + 1;
		} else { /* no memory: an answer is lost, so the rest must not go out as if none were */
			out_broken(l);
			tell_drained(l);
		}
		pthread_cond_broadcast(&l->changed);
	}
	pthread_mutex_unlock(&l->lock);
}

void lines_close(struct lines *l, void (*done)(void *self, int error), void *self)
{
	uint64_t one = 1;
	ssize_t n;

	assert(loop_is_current(l->loop));
	l->done = done;
	l->done_self = self;
	pthread_mutex_lock(&l->lock);
	l->closing = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	n = write(l->wake_fd, &one, sizeof(one));
	assert(n == sizeof(one));
}
