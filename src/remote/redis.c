/* One connection to Redis: greeting, round trips, messages.
 *
 * A round trip is: the commands are in one buffer already, one send, and recv until the replies are there. `owed` counts
 * replies under way; any failure while it is not zero leaves the connection broken, for nobody could tell whose the
 * next reply is. */
#include "remote/redis.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "remote/redis_reply.h"
#include "remote/wire.h"

#define READ_BYTES (32u << 10)
#define MS_NS      INT64_C(1000000)
#define GREETING   3 /* commands at most */

struct redis {
	struct redis_url url; /* with the password that is used */
	int64_t connect_timeout_ms, command_timeout_ms;
};

struct redis_connection {
	const struct redis *redis;
	int fd;
	bool broken;
	bool arrived; /* some of this round trip's bytes left */
	bool cut;     /* the other end closed or reset it */
	enum redis_role role;
	struct buffer out;
	struct redis_intake in;
};

enum cs_status redis_new(const struct redis_options *options, struct redis **ret_redis, struct cs_error *err)
{
	struct redis *r = calloc(1, sizeof *r);
	enum cs_status status = r ? redis_url_parse(options->url, &r->url, err) : cs_fail_memory(err);

	if (status == CS_OK && !*r->url.password && options->password.len > 0) {
		free(r->url.password);
		r->url.password = strndup(options->password.ptr, options->password.len);
		if (!r->url.password)
			status = cs_fail_memory(err);
	}
	if (status != CS_OK) {
		redis_free(r);
		return status;
	}
	r->connect_timeout_ms = options->connect_timeout_ms;
	r->command_timeout_ms = options->command_timeout_ms;
	*ret_redis = r;
	return CS_OK;
}

void redis_free(struct redis *r)
{
	if (!r)
		return;
	redis_url_release(&r->url);
	free(r);
}

struct slice redis_shown(const struct redis *r)
{
	return slice_cstr(r->url.shown);
}

/* What ended a wait, as an error of ours. */
static enum cs_status wire_error(
	const struct redis *r, struct wire_result result, const char *doing, int64_t timeout_ms, struct cs_error *err)
{
	switch (result.end) {
	case WIRE_UNWANTED:
		return cs_fail(err, CS_TIMEOUT, "the time allowed for this call ran out while %s Redis at %s", doing,
			r->url.shown);
	case WIRE_LATE:
		return cs_fail(err, CS_UNAVAILABLE, "gave up %s Redis at %s: it did not answer within %lld ms", doing,
			r->url.shown, (long long)timeout_ms);
	default:
		return cs_fail(
			err, CS_UNAVAILABLE, "%s Redis at %s failed: %s", doing, r->url.shown, wire_reason(result));
	}
}

static enum cs_status cut_off(struct redis_connection *c, struct wire_result result, const char *doing,
	int64_t timeout_ms, struct cs_error *err)
{
	c->cut = result.end == WIRE_CLOSED || result.end == WIRE_FAILED;
	return wire_error(c->redis, result, doing, timeout_ms, err);
}

static enum cs_status protocol_error(const struct redis *r, const struct cs_error *why, struct cs_error *err)
{
	if (why->status != CS_UNAVAILABLE)
		return cs_fail_memory(err);
	return cs_fail(err, CS_UNAVAILABLE,
		"what answers at %s does not speak as Redis does (%s): check host and port in REDIS_URL", r->url.shown,
		why->text);
}

/* One reply, or the next message. Until it is owed (`owed`, or a part of it has come) nothing is waited for, and *ret_came
 * may become false. */
static enum cs_status next_reply(struct redis_connection *c, struct wire_wait wait, int64_t timeout_ms, bool owed,
	struct op *op, struct redis_reply *ret_reply, bool *ret_came, struct cs_error *err)
{
	struct cs_error why;

	for (;;) {
		char room[READ_BYTES];
		struct wire_result result;
		size_t received;

		*ret_came = false;
		if (redis_intake_next(&c->in, op->arena, ret_reply, ret_came, &why) != CS_OK)
			return protocol_error(c->redis, &why, err);
		if (*ret_came)
			return CS_OK;
		owed = owed || !redis_intake_is_empty(&c->in);
		result = owed ? wire_receive(c->fd, room, sizeof room, wait, &received)
			      : wire_take(c->fd, room, sizeof room, &received);
		if (!owed && result.end == WIRE_LATE)
			return CS_OK;
		if (result.end != WIRE_OK)
			return cut_off(c, result, owed ? "waiting for" : "listening to", timeout_ms, err);
		if (redis_intake_feed(&c->in, slice_of(room, received), &why) != CS_OK)
			return protocol_error(c->redis, &why, err);
	}
}

/* LOADING is none of these: it says nothing of what the server will be. */
static void note_refusal(struct redis_connection *c, const struct redis_reply *reply)
{
	if (redis_reply_is(reply, "READONLY") || redis_reply_is(reply, "MASTERDOWN"))
		c->role = REDIS_REPLICA;
}

static enum cs_status round_trip(struct redis_connection *c, struct op *op, int64_t timeout_ms,
	struct redis_reply *replies, size_t count, struct cs_error *err)
{
	struct wire_wait wait = {op, clock_mono_ns() + timeout_ms * MS_NS};
	struct wire_result result;
	size_t sent;
	bool came;
	enum cs_status status = buffer_status(&c->out, err);

	c->arrived = false;
	if (status != CS_OK) {
		/* Nothing was sent, so nothing is owed. */
		buffer_clear(&c->out);
		return status;
	}
	result = wire_send(c->fd, buffer_slice(&c->out), wait, &sent);
	buffer_clear(&c->out);
	c->arrived = sent > 0;
	if (result.end != WIRE_OK)
		status = cut_off(c, result, "writing to", timeout_ms, err);
	for (size_t i = 0; status == CS_OK && i < count; i++) {
		status = next_reply(c, wait, timeout_ms, true, op, &replies[i], &came, err);
		if (status == CS_OK)
			note_refusal(c, &replies[i]);
	}
	c->broken = status != CS_OK;
	return status;
}

/* A length line: printf costs more than the rest of a small command. */
static void put_length(struct buffer *out, char kind, size_t length)
{
	char line[24], *at = line + sizeof line;

	*--at = '\n';
	*--at = '\r';
	do
		*--at = (char)('0' + length % 10);
	while (length /= 10);
	*--at = kind;
	buffer_append(out, slice_of(at, (size_t)(line + sizeof line - at)));
}

void redis_ask(struct redis_connection *c, const struct slice *words, size_t count)
{
	put_length(&c->out, '*', count);
	for (size_t i = 0; i < count; i++) {
		put_length(&c->out, '$', words[i].len);
		buffer_append(&c->out, words[i]);
		buffer_append(&c->out, S("\r\n"));
	}
}

enum cs_status redis_answers(
	struct redis_connection *c, struct op *op, struct redis_reply *ret_replies, size_t count, struct cs_error *err)
{
	if (c->broken)
		return cs_fail(err, CS_UNAVAILABLE, "the connection to Redis at %s is broken", c->redis->url.shown);
	return round_trip(c, op, c->redis->command_timeout_ms, ret_replies, count, err);
}

enum cs_status redis_call(struct redis_connection *c, struct op *op, const struct slice *words, size_t count,
	struct redis_reply *ret_reply, struct cs_error *err)
{
	redis_ask(c, words, count);
	return redis_answers(c, op, ret_reply, 1, err);
}

bool redis_may_have_arrived(const struct redis_connection *c)
{
	return c->arrived;
}

enum redis_role redis_role(const struct redis_connection *c)
{
	return c->role;
}

bool redis_was_cut(const struct redis_connection *c)
{
	return c->cut;
}

const struct redis *redis_of(const struct redis_connection *c)
{
	return c->redis;
}

enum cs_status redis_unexpected(struct redis_connection *c, struct cs_error *err)
{
	c->broken = true;
	return cs_fail(err, CS_UNAVAILABLE,
		"what answers at %s does not answer as Redis does: check host and port in REDIS_URL",
		c->redis->url.shown);
}

bool redis_is_broken(const struct redis_connection *c)
{
	return c->broken;
}

bool redis_is_quiet(const struct redis_connection *c)
{
	return !c->broken && redis_intake_is_empty(&c->in) && wire_is_quiet(c->fd);
}

int redis_socket(const struct redis_connection *c)
{
	return c->fd;
}

enum cs_status redis_await(
	struct redis_connection *c, struct op *op, int64_t until_ns, bool *ret_came, struct cs_error *err)
{
	struct wire_result result;

	if (c->broken)
		return cs_fail(err, CS_UNAVAILABLE, "the connection to Redis at %s is broken", c->redis->url.shown);
	result = wire_await(c->fd, (struct wire_wait){op, until_ns});
	if (result.end == WIRE_UNWANTED)
		/* Nothing was under way: the connection is as good as before. */
		return op_check(op, err);
	*ret_came = result.end == WIRE_OK;
	return CS_OK;
}

enum cs_status redis_receive(
	struct redis_connection *c, struct op *op, struct redis_reply *ret_reply, bool *ret_came, struct cs_error *err)
{
	int64_t timeout_ms = c->redis->command_timeout_ms;
	struct wire_wait wait = {op, clock_mono_ns() + timeout_ms * MS_NS};
	enum cs_status status;

	if (c->broken)
		return cs_fail(err, CS_UNAVAILABLE, "the connection to Redis at %s is broken", c->redis->url.shown);
	status = next_reply(c, wait, timeout_ms, false, op, ret_reply, ret_came, err);
	c->broken = status != CS_OK;
	return status;
}

/* Greeting. */

static size_t ask_greeting(struct redis_connection *c)
{
	const struct redis_url *url = &c->redis->url;
	struct slice auth[3] = {S("AUTH"), slice_cstr(url->user), slice_cstr(url->password)};
	struct slice hello[4] = {S("HELLO"), S("2"), S("SETNAME"), S(REDIS_CLIENT_NAME)};
	char digits[8];
	int length = snprintf(digits, sizeof digits, "%u", url->database);
	struct slice database[2] = {S("SELECT"), slice_of(digits, (size_t)length)};
	size_t asked = 1;

	if (*url->user || *url->password) {
		/* Without a user the form that servers before ACLs know too. */
		auth[1] = *url->user ? auth[1] : auth[2];
		redis_ask(c, auth, *url->user ? 3 : 2);
		asked++;
	}
	if (url->database > 0) {
		redis_ask(c, database, 2);
		asked++;
	}
	redis_ask(c, hello, 4);
	return asked;
}

/* A user who may not say HELLO works as well, and so does a proxy that does not know it: a name is for people, and what
 * kind of server it is shows later. */
static bool is_dispensable(const struct redis_reply *hello)
{
	return redis_reply_is(hello, "NOPERM") || redis_reply_is(hello, "ERR unknown command") ||
	       redis_reply_is(hello, "ERR unsupported command") || redis_reply_is(hello, "NOPROTO");
}

/* HELLO's answer is names and values in turn. "" where it says nothing of it. */
static struct slice told_by(const struct redis_reply *hello, const char *name)
{
	for (size_t i = 0; hello->kind == REDIS_ARRAY && i + 1 < hello->count; i += 2)
		if (slice_is(hello->elements[i].text, name))
			return hello->elements[i + 1].text;
	return S("");
}

/* Whoever is called something else takes writes (an active replica of KeyDB), or says so. */
static void note_role(struct redis_connection *c, const struct redis_reply *hello)
{
	struct slice role = told_by(hello, "role");

	if (role.len > 0)
		c->role = slice_is(role, "replica") || slice_is(role, "slave") ? REDIS_REPLICA : REDIS_PRIMARY;
}

/* A node of a cluster answers PING and takes some of the keys: without this it would be well for one call and useless for
 * the next. */
static enum cs_status check_mode(const struct redis *r, const struct redis_reply *hello, struct cs_error *err)
{
	struct slice mode = told_by(hello, "mode");

	if (slice_is(mode, "cluster"))
		return cs_fail(err, CS_UNAVAILABLE, "Redis at %s answers, but " REDIS_CLUSTER_REFUSED, r->url.shown);
	if (slice_is(mode, "sentinel"))
		return cs_fail(err, CS_UNAVAILABLE,
			"Redis at %s answers, but it is a Sentinel and keeps no data: point REDIS_URL at the primary "
			"it "
			"watches",
			r->url.shown);
	return CS_OK;
}

static enum cs_status greet(struct redis_connection *c, struct op *op, int64_t timeout_ms, struct cs_error *err)
{
	struct redis_reply replies[GREETING];
	size_t asked = ask_greeting(c);
	struct cs_error why = {.status = CS_OK};
	enum cs_status status = round_trip(c, op, timeout_ms, replies, asked, &why);

	/* The password was in there. */
	explicit_bzero(c->out.ptr, c->out.cap);
	for (size_t i = 0; status == CS_OK && i < asked; i++)
		if (replies[i].kind == REDIS_ERROR && !(i + 1 == asked && is_dispensable(&replies[i])))
			status = redis_reply_error(c->redis, &replies[i], &why);
	if (status == CS_OK)
		status = check_mode(c->redis, &replies[asked - 1], &why);
	if (status == CS_OK) {
		note_role(c, &replies[asked - 1]);
		return CS_OK;
	}
	/* Whatever it refused with: no connection can be had, so no command of anybody will be answered. */
	if (why.status == CS_STORAGE)
		return cs_fail(err, CS_UNAVAILABLE, "%s", why.text);
	if (err)
		*err = why;
	return status;
}

enum cs_status redis_connect(
	const struct redis *r, struct op *op, struct redis_connection **ret_connection, struct cs_error *err)
{
	struct wire_address address = {.host = r->url.host, .port = r->url.port, .path = r->url.path};
	int64_t began_ns = clock_mono_ns();
	struct wire_wait wait = {op, began_ns + r->connect_timeout_ms * MS_NS};
	struct redis_connection *c = calloc(1, sizeof *c);
	struct wire_result result;
	int64_t left_ms;
	enum cs_status status;

	if (!c)
		return cs_fail_memory(err);
	c->redis = r;
	c->fd = -1;
	buffer_init(&c->out, REDIS_COMMAND_MAX);
	if (!redis_intake_init(&c->in)) {
		redis_close(c);
		return cs_fail_memory(err);
	}
	result = wire_connect(&address, wait, &c->fd);
	if (result.end == WIRE_OK) {
		left_ms = r->connect_timeout_ms - (clock_mono_ns() - began_ns) / MS_NS;
		status = greet(c, op, left_ms > 1 ? left_ms : 1, err);
	} else {
		status = wire_error(r, result, "connecting to", r->connect_timeout_ms, err);
	}
	if (status != CS_OK) {
		redis_close(c);
		return status;
	}
	*ret_connection = c;
	return CS_OK;
}

void redis_close(struct redis_connection *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	buffer_release(&c->out);
	redis_intake_release(&c->in);
	free(c);
}

enum cs_status redis_ping(struct redis_connection *c, struct op *op, struct cs_error *err)
{
	const struct slice words[] = {S("PING"), S("HELLO")};
	struct redis_reply replies[2];
	size_t asked = c->role == REDIS_ROLE_UNKNOWN ? 1 : 2;
	enum cs_status status;

	for (size_t i = 0; i < asked; i++)
		redis_ask(c, &words[i], 1);
	status = redis_answers(c, op, replies, asked, err);
	if (status != CS_OK)
		return status;
	if (asked == 2)
		note_role(c, &replies[1]);
	return replies[0].kind == REDIS_ERROR ? redis_reply_error(c->redis, &replies[0], err) : CS_OK;
}
