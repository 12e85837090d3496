/* The stdio transport: one channel, newline-delimited messages of every revision.
 *
 * A request names its revision itself (2026-07-28), or belongs to what `initialize` agreed on for this process; both
 * may be mixed on one channel. `initialize` may come again and then holds from there on: gateways that share one
 * process do that. Answers go out as they are ready, so a slow request does not hold up a quick one.
 *
 * Threads. Lines are read, small ones parsed, and the list of what is in flight kept on the loop; a worker runs what
 * would wait and sends its reply itself (lines_send), and the call then comes back to the loop to be taken off the list
 * and freed. So the list needs no lock: cancelling sets a flag the worker reads.
 *
 * Memory. At most CALLS_MAX requests and HELD_BYTES_MAX of their text are in flight; what comes beyond is answered with
 * an error at once. At most WORKING_MAX of them are with the workers, and none is handed to them while the client is
 * behind with reading: so what waits to be written is what the lines hold and the replies of these. Cutting off a client
 * that is behind was dropped: one that sent many calls at once was cut while it read as fast as it could.
 *
 * The end of input ends the channel once all is answered. Subscriptions are then told that they end: by the result, and
 * by the notice that the cancellation page asks for on stdio. */
#include "base/clock.h"
#include "mcp/batch.h"
#include "mcp/meta.h"
#include "mcp/state.h"

#define LINE_BYTES_MAX    (4u << 20) /* where options name no other */
#define CALLS_MAX         1024
#define HELD_BYTES_MAX    (64u << 20)
#define WORKING_MAX       256 /* enough that commits are as large as with all of them */
#define SUBSCRIPTIONS_MAX 64
#define CALL_BYTES_OWN    (8u << 10)
#define CALL_BYTES_MAX    (256u << 20)
#define ID_BYTES_MAX      (64u << 10)

struct subscription {
	struct inflight inflight;
	struct buffer id, last; /* the id as JSON text; the two messages of its end, a line each */
};

struct channel {
	struct mcp *mcp;
	struct loop *loop;
	struct lines *lines;
	_Atomic(const struct revision *) revision; /* what initialize agreed on; NULL before */
	struct inflight *calls;                    /* requests, the loop's */
	struct inflight *subscriptions;
	struct call *waiting, **waiting_end; /* for a worker, in order */
	size_t call_count, subscription_count, held, working;
	bool ended;
	void (*done)(void *self, int error);
	void *done_self;
};

enum outcome { ANSWERED, WOULD_WAIT, LISTEN };

struct call {
	struct job job;
	struct loop_task task, enlist_task;
	struct channel *channel;
	struct call *next; /* that waits */
	struct arena arena;
	struct op op;
	struct slice text;
	struct json_doc doc;
	struct request request;
	struct inflight inflight; /* id.ptr: on the list */
	struct buffer reply;
	enum outcome outcome;
	bool resolved, batch, working;
	char own[CALL_BYTES_OWN];
};

static void answer_error(struct call *c, uint32_t id, const struct rpc_error *error)
{
	buffer_clear(&c->reply);
	rpc_write_error(&c->reply, &c->doc, id, error);
}

static bool write_id(struct buffer *out, const struct json_doc *doc, uint32_t id)
{
	struct json_writer w;

	buffer_init(out, ID_BYTES_MAX);
	w = json_writer(out);
	rpc_write_id(&w, doc, id);
	return !out->failed;
}

static bool resolve(struct call *c, const struct rpc_message *message, struct rpc_error *error)
{
	struct meta meta = meta_read(&c->doc, message);
	bool modern = meta_claims_modern(&meta);
	const struct revision *agreed = atomic_load(&c->channel->revision);

	if (message->kind != RPC_REQUEST)
		return true;
	if (!modern &&
		(slice_eq(message->method, S("initialize")) || (!agreed && slice_eq(message->method, S("ping")))))
		agreed = &revision_rows[REVISION_2025_11_25];
	if (modern || !agreed)
		return meta_check(&c->doc, &meta, &c->request.revision, error);
	c->request.revision = agreed;
	return true;
}

static void end_subscription(struct channel *ch, struct subscription *s)
{
	inflight_remove(&s->inflight);
	ch->subscription_count--;
	buffer_release(&s->id);
	buffer_release(&s->last);
	free(s);
}

/* On the loop. What is not in flight any more is ignored, as the protocol asks. */
static void cancel(struct channel *ch, struct slice id)
{
	struct inflight *entry = inflight_find(ch->calls, id);

	if (entry)
		atomic_store(&entry->cancelled, true);
	entry = inflight_find(ch->subscriptions, id);
	if (entry)
		end_subscription(ch, (struct subscription *)((char *)entry - offsetof(struct subscription, inflight)));
}

static void notified(void *self, const struct rpc_message *message)
{
	struct call *c = self;
	uint32_t target = json_get(&c->doc, message->params, S("requestId"));
	struct buffer id;

	/* Off the loop (a line over INLINE_BYTES_MAX, a batch) a cancellation may be ignored, and is. */
	if (!loop_is_current(c->channel->loop) || target == JSON_NONE ||
		!slice_eq(message->method, S("notifications/cancelled")))
		return;
	if (write_id(&id, &c->doc, target))
		cancel(c->channel, buffer_slice(&id));
	buffer_release(&id);
}

/* False: answered, or nothing to answer. */
static bool read_message(struct call *c)
{
	struct rpc_message *message = &c->request.message;
	const struct revision *agreed = atomic_load(&c->channel->revision);
	struct rpc_error error;
	struct cs_error err;

	if (json_parse(&c->arena, c->text, JSON_LIMITS_DEFAULT, &c->doc, &err)) {
		(void)rpc_fail(&error, RPC_PARSE_ERROR, 400, "Parse error: %s", err.text);
		answer_error(c, JSON_NONE, &error);
		return false;
	}
	c->batch = json_type_of(&c->doc, 0) == JSON_ARRAY;
	if (c->batch) {
		c->request.revision = agreed ? agreed : &revision_rows[REVISION_2026_07_28];
		if (batch_check(c->request.revision, &c->doc, &error))
			return true;
		answer_error(c, JSON_NONE, &error);
		return false;
	}
	if (!rpc_classify(&c->doc, 0, message, &error)) {
		answer_error(c, JSON_NONE, &error);
		return false;
	}
	if (!resolve(c, message, &error)) {
		answer_error(c, message->id, &error);
		return false;
	}
	if (message->kind == RPC_NOTIFICATION)
		notified(c, message);
	return message->kind == RPC_REQUEST;
}

static void check_reply(struct call *c)
{
	struct rpc_error error;

	if (!c->reply.failed)
		return;
	(void)rpc_fail(&error, RPC_INTERNAL_ERROR, 200, "the reply is larger than %zu bytes; ask for less at once",
		c->reply.ceiling);
	answer_error(c, c->batch ? JSON_NONE : c->request.message.id, &error);
}

/* So that a cancellation finds it. Without memory for the id it cannot be cancelled, which is all. */
static void take_id(struct call *c)
{
	struct buffer id;

	if (write_id(&id, &c->doc, c->request.message.id))
		c->inflight.id = arena_copy(&c->arena, buffer_slice(&id));
	buffer_release(&id);
}

static void enlist_task(struct loop_task *task)
{
	struct call *c = (struct call *)((char *)task - offsetof(struct call, enlist_task));

	inflight_add(&c->channel->calls, &c->inflight);
}

/* A long line is read by its worker, and the list is the loop's: it is added before the call comes back, for tasks run
 * in the order they were posted. */
static void enlist_from_worker(struct call *c)
{
	take_id(c);
	if (!c->inflight.id.ptr)
		return;
	c->enlist_task.run = enlist_task;
	loop_post(c->channel->loop, &c->enlist_task);
}

static enum outcome answer(struct call *c)
{
	if (!c->resolved) {
		if (!read_message(c))
			return ANSWERED;
		c->resolved = true;
		if (c->op.may_wait && !c->batch)
			enlist_from_worker(c);
	}
	if (c->batch) {
		if (!c->op.may_wait)
			return WOULD_WAIT;
		if (!batch_run(&c->request, notified, c, &c->reply))
			buffer_clear(&c->reply);
	} else {
		switch (dispatch_request(&c->request, &c->reply)) {
		case DISPATCH_WOULD_WAIT: return WOULD_WAIT;
		case DISPATCH_LISTEN: return LISTEN;
		case DISPATCH_REPLIED: break;
		}
		if (c->request.negotiated)
			atomic_store(&c->channel->revision, c->request.negotiated);
	}
	check_reply(c);
	return ANSWERED;
}

/* Nothing is sent for a request that was cancelled. */
static void send_reply(struct call *c)
{
	if (c->reply.len > 0 && !atomic_load(&c->inflight.cancelled))
		lines_send(c->channel->lines, buffer_slice(&c->reply));
}

static void open_subscription(struct call *c)
{
	struct channel *ch = c->channel;
	struct subscription *s = ch->subscription_count < SUBSCRIPTIONS_MAX ? calloc(1, sizeof *s) : NULL;
	uint32_t id = c->request.message.id;
	struct rpc_error error;

	if (!s || !write_id(&s->id, &c->doc, id)) {
		free(s);
		(void)rpc_fail(
			&error, RPC_INTERNAL_ERROR, 200, "no more than %d subscriptions at once", SUBSCRIPTIONS_MAX);
		answer_error(c, id, &error);
		send_reply(c);
		return;
	}
	buffer_init(&s->last, 4 * ID_BYTES_MAX);
	dispatch_write_listen_result(&s->last, &c->doc, id);
	buffer_byte(&s->last, '\n');
	dispatch_write_listen_cancelled(&s->last, &c->doc, id);
	s->inflight.id = buffer_slice(&s->id);
	inflight_add(&ch->subscriptions, &s->inflight);
	ch->subscription_count++;
	dispatch_write_acknowledged(&c->reply, &c->doc, id);
	send_reply(c);
}

static void lines_closed(void *self, int error)
{
	struct channel *ch = self;
	void (*done)(void *self, int error) = ch->done;
	void *done_self = ch->done_self;

	ch->mcp->channel = NULL;
	free(ch);
	done(done_self, error);
}

static void close_if_over(struct channel *ch)
{
	if (!ch->ended || ch->call_count > 0)
		return;
	for (struct inflight *entry = ch->subscriptions, *next; entry; entry = next) {
		struct subscription *s =
			(struct subscription *)((char *)entry - offsetof(struct subscription, inflight));

		next = entry->next;
		if (!s->last.failed)
			lines_send(ch->lines, buffer_slice(&s->last));
		end_subscription(ch, s);
	}
	lines_close(ch->lines, lines_closed, ch);
}

static void hand_on(struct channel *ch);

/* On the loop, the end of every call. It counts until others have its place, lest one that is refused then be the last. */
static void finish(struct call *c)
{
	struct channel *ch = c->channel;
	bool worked = c->working;

	if (c->outcome == LISTEN && !atomic_load(&c->inflight.cancelled))
		open_subscription(c);
	if (c->inflight.id.ptr)
		inflight_remove(&c->inflight);
	ch->held -= c->text.len;
	buffer_release(&c->reply);
	arena_release(&c->arena);
	free(c);
	if (worked) {
		ch->working--;
		hand_on(ch);
	}
	ch->call_count--;
	close_if_over(ch);
}

static void finish_task(struct loop_task *task)
{
	finish((struct call *)((char *)task - offsetof(struct call, task)));
}

static void run_on_worker(struct job *job)
{
	struct call *c = (struct call *)((char *)job - offsetof(struct call, job));

	c->op.may_wait = true;
	c->outcome = answer(c);
	if (c->outcome == ANSWERED)
		send_reply(c);
	c->task.run = finish_task;
	loop_post(c->channel->loop, &c->task);
}

/* Instead of running it. It is read all the same, for its id: the error has to reach whoever waits for this one. */
static void refuse(struct call *c, const char *text)
{
	struct cs_error err;
	struct rpc_error error;

	if (!c->resolved)
		c->resolved = read_message(c);
	if (c->resolved && c->batch) {
		(void)rpc_fail(&error, RPC_INTERNAL_ERROR, 200, "%s", text);
		answer_error(c, JSON_NONE, &error);
	} else if (c->resolved) {
		(void)!cs_fail(&err, CS_RATE_LIMIT, "%s", text);
		dispatch_refuse(&c->request, &err, &c->reply);
	}
	send_reply(c);
	c->outcome = ANSWERED;
	finish(c);
}

/* The text of the line does not outlive the callback; what is parsed borrows from it. */
static bool keep_text(struct call *c, struct slice text)
{
	c->text = arena_copy(&c->arena, text);
	return c->text.ptr != NULL;
}

/* What waits goes to the workers as far as there is room. */
static void hand_on(struct channel *ch)
{
	while (ch->waiting && ch->working < WORKING_MAX && !lines_full(ch->lines)) {
		struct call *c = ch->waiting;

		ch->waiting = c->next;
		c->working = true;
		ch->working++;
		if (workers_submit(ch->mcp->options.workers, &c->job) == CS_OK)
			continue;
		c->working = false;
		ch->working--;
		refuse(c, "too many requests are waiting; try again in a moment");
	}
}

static void hand_over(struct call *c)
{
	struct channel *ch = c->channel;

	c->job.run = run_on_worker;
	c->job.bulk = c->text.len > INLINE_BYTES_MAX;
	if (c->resolved && !c->batch) {
		take_id(c);
		if (c->inflight.id.ptr)
			inflight_add(&ch->calls, &c->inflight);
	}
	*(ch->waiting ? ch->waiting_end : &ch->waiting) = c;
	ch->waiting_end = &c->next;
	hand_on(ch);
}

static struct call *new_call(struct channel *ch, struct slice text)
{
	struct call *c = malloc(sizeof *c);
	int64_t now_ns;

	if (!c)
		return NULL;
	memset(c, 0, offsetof(struct call, own));
	c->channel = ch;
	arena_init(&c->arena, c->own, sizeof c->own, CALL_BYTES_MAX);
	buffer_init(&c->reply, ch->mcp->options.response_max);
	now_ns = clock_mono_ns();
	c->op = (struct op){.arena = &c->arena,
		.principal = &principal_anonymous,
		.deadline_ns = mcp_deadline(ch->mcp, now_ns),
		.started_ns = now_ns,
		.cancelled = &c->inflight.cancelled};
	c->request = (struct request){.dispatcher = &ch->mcp->dispatcher, .op = &c->op, .doc = &c->doc};
	if (keep_text(c, text))
		return c;
	arena_release(&c->arena);
	free(c);
	return NULL;
}

static void reply_without_call(struct channel *ch, enum rpc_code code, const char *text)
{
	struct rpc_error error;
	struct buffer reply;

	(void)rpc_fail(&error, code, 400, "%s", text);
	buffer_init(&reply, 4096);
	rpc_write_error(&reply, NULL, JSON_NONE, &error);
	if (!reply.failed)
		lines_send(ch->lines, buffer_slice(&reply));
	buffer_release(&reply);
}

static void on_line(void *self, struct slice text)
{
	struct channel *ch = self;
	struct call *c;

	if (slice_trim(text).len == 0)
		return;
	c = new_call(ch, text);
	if (!c) {
		reply_without_call(ch, RPC_INTERNAL_ERROR, "out of memory; try again in a moment");
		return;
	}
	ch->call_count++;
	ch->held += text.len;
	if (ch->call_count > CALLS_MAX || ch->held > HELD_BYTES_MAX) {
		refuse(c, "too many requests are in flight; wait for some answers");
		return;
	}
	if (text.len > INLINE_BYTES_MAX) {
		hand_over(c);
		return;
	}
	c->outcome = answer(c);
	if (c->outcome == WOULD_WAIT) {
		hand_over(c);
		return;
	}
	if (c->outcome == ANSWERED)
		send_reply(c);
	finish(c);
}

static void on_too_long(void *self, size_t limit)
{
	char text[96];

	snprintf(text, sizeof text, "Parse error: a message may be at most %zu bytes long", limit);
	reply_without_call(self, RPC_PARSE_ERROR, text);
}

static void on_drained(void *self)
{
	hand_on(self);
}

static void on_ended(void *self)
{
	struct channel *ch = self;

	ch->ended = true;
	close_if_over(ch);
}

enum cs_status mcp_stdio_start(struct mcp *mcp, struct loop *loop, int in_fd, int out_fd,
	void (*done)(void *self, int error), void *self, struct cs_error *err)
{
	struct channel *ch = calloc(1, sizeof *ch);
	struct lines_handler handler = {
		.self = ch, .line = on_line, .too_long = on_too_long, .ended = on_ended, .drained = on_drained};
	size_t line_max = mcp->options.message_max ? mcp->options.message_max : LINE_BYTES_MAX;
	enum cs_status status;

	if (!ch)
		return cs_fail_memory(err);
	ch->mcp = mcp;
	ch->loop = loop;
	ch->done = done;
	ch->done_self = self;
	status = lines_new(loop, in_fd, out_fd, line_max, handler, &ch->lines, err);
	if (status) {
		free(ch);
		return status;
	}
	mcp->channel = ch;
	return CS_OK;
}
