/* See tracking.h. The thread connects, listens until something breaks, closes the cache, waits a little, and again.
 *
 * Order matters at the start: the cache opens, and is emptied, only behind the reply to SUBSCRIBE. Between it and TRACKING
 * ON the server drops messages, because the connection is not subscribed yet; nothing is cached meanwhile, so nothing
 * is missed. */
#include "remote/tracking.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/wait.h"
#include "remote/redis_kv.h"
#include "remote/wire.h"

#define CHANNEL         "__redis__:invalidate"
#define PREFIX          "agent:"
#define NS_PER_MS       INT64_C(1000000)
#define EAR_TURN        (UINT64_C(1) << 32)
#define ARENA_BYTES_MAX (64u << 20) /* one message may name as many keys as a reply may have elements */

struct tracking {
	struct tracking_options options;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopping;
	atomic_bool stop;
	atomic_bool moved; /* the connection there is, or is being made, leads to the wrong server */
	bool told;         /* the changed function was called at least once */
	bool open;         /* what it was told last */
	int64_t beat_ns;   /* when the last PING was sent */
	bool awaiting;     /* its answer */
	/* Low half: 1 + the socket while nothing taken from it is being worked on, else 0. High half: turns, so that who
	 * finds the same word twice knows that nothing was between, and that the socket was ours. */
	atomic_uint_least64_t ear;
	atomic_uint looking; /* readers that may be looking at the socket: it is closed when there are none */
	struct arena arena;
	struct op op;
};

static void tell(struct tracking *t, bool open, const char *why)
{
	bool news = !t->told || t->open != open;

	t->told = true;
	t->open = open;
	if (news && t->options.changed)
		t->options.changed(t->options.self, open, why);
}

static int64_t lease_from(int64_t ns)
{
	return ns + TRACKING_LEASE_MS * NS_PER_MS;
}

static void mind_messages(struct tracking *t, const struct redis_connection *c)
{
	uint64_t turn = (atomic_load(&t->ear) / EAR_TURN + 1) * EAR_TURN;

	atomic_store(&t->ear, c ? turn + 1 + (uint64_t)redis_socket(c) : turn);
}

static bool has_told_all(void *self)
{
	struct tracking *t = self;
	uint64_t ear;
	bool all;

	atomic_fetch_add(&t->looking, 1);
	ear = atomic_load(&t->ear);
	all = !atomic_load(&t->moved) && ear % EAR_TURN != 0 && wire_is_quiet((int)(ear % EAR_TURN) - 1) &&
	      atomic_load(&t->ear) == ear;
	atomic_fetch_sub(&t->looking, 1);
	return all;
}

/* Whoever looks from now on finds no socket; the others are done in the time of a system call. */
static void stop_minding(struct tracking *t)
{
	mind_messages(t, NULL);
	while (atomic_load(&t->looking) > 0)
		sched_yield();
}

enum cs_status tracking_subscribe(
	const struct redis *client, struct redis_connection *c, struct op *op, struct cs_error *err)
{
	const struct slice ask_id[] = {S("CLIENT"), S("ID")}, ask_messages[] = {S("SUBSCRIBE"), S(CHANNEL)};
	struct redis_reply id, replies[2];
	char digits[24];
	int length;
	enum cs_status status = redis_call(c, op, ask_id, 2, &id, err);

	if (status == CS_OK && id.kind == REDIS_ERROR)
		return redis_reply_error(client, &id, err);
	if (status != CS_OK)
		return status;
	length = snprintf(digits, sizeof digits, "%lld", (long long)id.integer);
	const struct slice ask_tracking[] = {S("CLIENT"), S("TRACKING"), S("ON"), S("REDIRECT"),
		slice_of(digits, (size_t)length), S("BCAST"), S("PREFIX"), S(PREFIX)};
	redis_ask(c, ask_tracking, sizeof ask_tracking / sizeof ask_tracking[0]);
	redis_ask(c, ask_messages, 2);
	status = redis_answers(c, op, replies, 2, err);
	for (size_t i = 0; status == CS_OK && i < 2; i++)
		if (replies[i].kind == REDIS_ERROR)
			status = redis_reply_error(client, &replies[i], err);
	return status;
}

static void forget_named(struct tracking *t, const struct redis_reply *names)
{
	struct kv_key key;

	if (names->kind != REDIS_ARRAY) {
		/* Nil: the whole database was emptied. */
		kv_cache_forget_all(t->options.cache);
		return;
	}
	for (size_t i = 0; i < names->count; i++)
		if (names->elements[i].kind == REDIS_STRING && redis_kv_key_parse(names->elements[i].text, &key))
			kv_cache_forget(t->options.cache, &key);
}

/* ["message", channel, names], or the answer to a PING: ["pong", ""]. */
static void take_message(struct tracking *t, const struct redis_reply *message)
{
	if (message->kind != REDIS_ARRAY || message->count < 2)
		return;
	if (message->count == 3 && slice_eq(message->elements[0].text, S("message")) &&
		slice_eq(message->elements[1].text, S(CHANNEL))) {
		forget_named(t, &message->elements[2]);
	} else if (slice_eq(message->elements[0].text, S("pong")) && t->awaiting) {
		t->awaiting = false;
		kv_cache_trust(t->options.cache, lease_from(t->beat_ns));
	}
}

static enum cs_status beat(struct tracking *t, struct redis_connection *c, struct cs_error *err)
{
	const struct slice ping = S("PING");

	if (t->awaiting && clock_mono_ns() < t->beat_ns + TRACKING_LEASE_MS * NS_PER_MS)
		return CS_OK;
	if (t->awaiting)
		return cs_fail(err, CS_UNAVAILABLE, "Redis at " SLICE_FMT " does not answer the listener",
			SLICE_ARG(redis_shown(t->options.client)));
	t->beat_ns = clock_mono_ns();
	t->awaiting = true;
	redis_ask(c, &ping, 1);
	return redis_answers(c, &t->op, NULL, 0, err);
}

/* All that has come. Nothing is answered from memory meanwhile. */
static enum cs_status take_messages(struct tracking *t, struct redis_connection *c, struct cs_error *err)
{
	struct redis_reply message;
	enum cs_status status;
	bool came;

	mind_messages(t, NULL);
	do {
		came = false;
		arena_reset(&t->arena);
		status = redis_receive(c, &t->op, &message, &came, err);
		if (status == CS_OK && came)
			take_message(t, &message);
	} while (status == CS_OK && came && !atomic_load(&t->stop));
	if (status == CS_OK)
		mind_messages(t, c);
	return status;
}

/* Until something breaks. */
static enum cs_status listen_on(struct tracking *t, struct redis_connection *c, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	while (status == CS_OK && !atomic_load(&t->stop) && !atomic_load(&t->moved)) {
		int64_t next_ms = t->awaiting ? TRACKING_LEASE_MS : TRACKING_BEAT_MS;
		bool came = false;

		status = redis_await(c, &t->op, t->beat_ns + next_ms * NS_PER_MS, &came, err);
		if (status == CS_OK && came)
			status = take_messages(t, c, err);
		if (status == CS_OK && clock_mono_ns() >= t->beat_ns + TRACKING_BEAT_MS * NS_PER_MS)
			status = beat(t, c, err);
	}
	if (status == CS_OK && atomic_load(&t->moved))
		status = cs_fail(err, CS_UNAVAILABLE, "Redis at " SLICE_FMT " is another server by now",
			SLICE_ARG(redis_shown(t->options.client)));
	return status;
}

static enum cs_status track(struct tracking *t, struct cs_error *err)
{
	struct redis_connection *c;
	enum cs_status status;

	arena_reset(&t->arena);
	atomic_store(&t->moved, false);
	status = redis_connect(t->options.client, &t->op, &c, err);
	if (status != CS_OK)
		return status;
	t->beat_ns = clock_mono_ns();
	t->awaiting = false;
	status = tracking_subscribe(t->options.client, c, &t->op, err);
	if (status == CS_OK) {
		kv_cache_open(t->options.cache, lease_from(t->beat_ns));
		/* Something may have come with the replies. */
		status = take_messages(t, c, err);
		if (status == CS_OK) {
			tell(t, true, "");
			status = listen_on(t, c, err);
		}
		kv_cache_close(t->options.cache);
		stop_minding(t);
	}
	redis_close(c);
	return status;
}

static void pause_for(struct tracking *t, int64_t pause_ms)
{
	/* Processes that lost the same server do not come back in step: their clocks' last digits differ. */
	int64_t half_ns = pause_ms * NS_PER_MS / 2, now_ns = clock_mono_ns();

	pthread_mutex_lock(&t->lock);
	if (!atomic_load(&t->stop))
		(void)wait_until(&t->stopping, &t->lock, now_ns + half_ns + now_ns % half_ns);
	pthread_mutex_unlock(&t->lock);
}

static void *run(void *self)
{
	struct tracking *t = self;
	int64_t pause_ms = TRACKING_PAUSE_MIN_MS;

	while (!atomic_load(&t->stop)) {
		int64_t began_ns = clock_mono_ns();
		struct cs_error err;

		if (track(t, &err) != CS_OK && !atomic_load(&t->stop))
			tell(t, false, err.text);
		if (clock_mono_ns() - began_ns > TRACKING_PAUSE_MAX_MS * NS_PER_MS)
			pause_ms = TRACKING_PAUSE_MIN_MS;
		pause_for(t, pause_ms);
		pause_ms = 2 * pause_ms > TRACKING_PAUSE_MAX_MS ? TRACKING_PAUSE_MAX_MS : 2 * pause_ms;
	}
	return NULL;
}

enum cs_status tracking_new(
	const struct tracking_options *options, struct tracking **ret_tracking, struct cs_error *err)
{
	struct tracking *t = calloc(1, sizeof *t);

	if (!t)
		return cs_fail_memory(err);
	t->options = *options;
	arena_init(&t->arena, NULL, 0, ARENA_BYTES_MAX);
	t->op = (struct op){.arena = &t->arena,
		.principal = &principal_anonymous,
		.deadline_ns = OP_NO_DEADLINE,
		.cancelled = &t->stop,
		.may_wait = true};
	pthread_mutex_init(&t->lock, NULL);
	wait_cond_init(&t->stopping);
	kv_cache_set_listener(options->cache, (struct kv_cache_listener){has_told_all, t});
	if (pthread_create(&t->thread, NULL, run, t) != 0) {
		pthread_cond_destroy(&t->stopping);
		pthread_mutex_destroy(&t->lock);
		free(t);
		return cs_fail(err, CS_LIMIT_EXCEEDED, "no thread can be started for the cache of agent state");
	}
	pthread_setname_np(t->thread, "tracking");
	*ret_tracking = t;
	return CS_OK;
}

void tracking_renew(struct tracking *t)
{
	atomic_store(&t->moved, true);
}

void tracking_free(struct tracking *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->stop, true);
	pthread_cond_signal(&t->stopping);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->stopping);
	pthread_mutex_destroy(&t->lock);
	arena_release(&t->arena);
	free(t);
}
