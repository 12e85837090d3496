/* hiredis' reader, filled from an arena.
 *
 * The reader calls back for each value it has parsed, with a task that knows the parent; an array's elements are one
 * block of struct redis_reply, so a value's place is known from its index. Strings are only checked by the reader once they
 * are whole, which would let a server make us buffer whatever it likes: so after each feeding we look at the length
 * line the reader is standing at. */
#include "remote/redis_reply.h"

#include <hiredis/read.h>
#include <limits.h>

#define LENGTH_DIGITS_MAX 20 /* of a 64-bit number with sign */

static const char too_long[] = "a string longer than any that was stored";
static const char too_many[] = "an array longer than any that was asked for";
static const char no_memory[] = "no memory";

static struct redis_intake *intake_of(const redisReadTask *task)
{
	return task->privdata;
}

static struct redis_reply *place_of(const redisReadTask *task)
{
	struct redis_reply *parent = task->parent ? task->parent->obj : NULL;

	return parent ? &parent->elements[task->idx] : &intake_of(task)->root;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t length)
{
	struct redis_reply *reply = place_of(task);
	struct slice text = arena_copy(intake_of(task)->arena, slice_of(bytes, length));

	if (!text.ptr) {
		intake_of(task)->refused = no_memory;
		return NULL;
	}
	reply->kind = task->type == REDIS_REPLY_STRING   ? REDIS_STRING
		      : task->type == REDIS_REPLY_STATUS ? REDIS_STATUS
							 : REDIS_ERROR;
	reply->text = text;
	return reply;
}

static void *create_array(const redisReadTask *task, int count)
{
	struct redis_reply *reply = place_of(task);
	struct redis_reply *elements;

	if (count < 0 || count > REDIS_ELEMENTS_MAX) {
		intake_of(task)->refused = too_many;
		return NULL;
	}
	elements = arena_array(intake_of(task)->arena, (size_t)count, sizeof *elements);
	if (!elements) {
		intake_of(task)->refused = no_memory;
		return NULL;
	}
	*reply = (struct redis_reply){.kind = REDIS_ARRAY, .elements = elements, .count = (size_t)count};
	return reply;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	struct redis_reply *reply = place_of(task);

	*reply = (struct redis_reply){.kind = REDIS_INTEGER, .integer = value};
	return reply;
}

static void *create_nil(const redisReadTask *task)
{
	struct redis_reply *reply = place_of(task);

	*reply = (struct redis_reply){.kind = REDIS_NIL};
	return reply;
}

static void free_nothing(void *reply)
{
	(void)reply; /* the arena's */
}

static redisReplyObjectFunctions functions = {create_string, create_array, create_integer, create_nil, free_nothing};

bool redis_intake_init(struct redis_intake *in)
{
	*in = (struct redis_intake){.reader = redisReaderCreateWithFunctions(&functions)};
	if (in->reader)
		in->reader->privdata = in;
	return in->reader;
}

void redis_intake_release(struct redis_intake *in)
{
	if (in->reader)
		redisReaderFree(in->reader);
	*in = (struct redis_intake){0};
}

static enum cs_status refuse(const struct redis_intake *in, struct cs_error *err)
{
	if (in->refused == no_memory || (!in->refused && in->reader->err == REDIS_ERR_OOM))
		return cs_fail_memory(err);
	return cs_fail(err, CS_UNAVAILABLE, "%s", in->refused ? in->refused : in->reader->errstr);
}

/* Is the reader waiting for the rest of a string whose announced length is past the ceiling? */
static bool announces_too_much(const redisReader *r)
{
	const char *at = r->buf + r->pos;
	size_t have = r->len - r->pos;
	long long length = 0;

	if (r->ridx < 0 || have == 0)
		return false;
	if (r->rstack[r->ridx].type != REDIS_REPLY_STRING)
		/* A line without an end: a status, an error, a number, or a length. */
		return have > REDIS_STRING_MAX;
	for (size_t i = 0; i < have && i < LENGTH_DIGITS_MAX && at[i] >= '0' && at[i] <= '9'; i++) {
		length = length * 10 + (at[i] - '0');
		if (length > REDIS_STRING_MAX)
			return true;
	}
	return have > REDIS_STRING_MAX + LENGTH_DIGITS_MAX + 4;
}

enum cs_status redis_intake_feed(struct redis_intake *in, struct slice bytes, struct cs_error *err)
{
	return redisReaderFeed(in->reader, bytes.ptr, bytes.len) == REDIS_OK ? CS_OK : refuse(in, err);
}

enum cs_status redis_intake_next(struct redis_intake *in, struct arena *arena, struct redis_reply *ret_reply,
	bool *ret_came, struct cs_error *err)
{
	void *reply = NULL;

	in->arena = arena;
	if (redisReaderGetReply(in->reader, &reply) != REDIS_OK)
		return refuse(in, err);
	if (!reply && announces_too_much(in->reader)) {
		in->refused = too_long;
		return refuse(in, err);
	}
	*ret_came = reply;
	if (reply)
		*ret_reply = in->root;
	return CS_OK;
}

bool redis_intake_is_empty(const struct redis_intake *in)
{
	const redisReader *r = in->reader;

	/* Asked for a reply when there was none, the reader stands before the first byte of the next. */
	return r->pos == r->len && (r->ridx < 0 || (r->ridx == 0 && r->rstack[0].type < 0));
}
