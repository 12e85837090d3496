/* What Redis' refusals mean to us: one row a code, the first word of an error reply.
 *
 * Who watches health counts UNAVAILABLE. So UNAVAILABLE is what asking again now cannot help with whatever the command
 * is, and STORAGE what concerns this command only: a replica or a full server still answers reads. */
#include "remote/redis.h"

struct refusal {
	const char *code; /* a first word, or all that the text begins with */
	enum cs_status status;
	bool quoted; /* what the server says helps, and holds no secret */
	const char *meaning;
};

static const struct refusal refusals[] = {
	{"NOAUTH", CS_UNAVAILABLE, false,
		"it wants a password: set REDIS_PASSWORD, or REDIS_URL to redis://user:password@host"},
	{"WRONGPASS", CS_UNAVAILABLE, false,
		"it refused user or password: check REDIS_PASSWORD and the user in REDIS_URL"},
	{"ERR AUTH", CS_UNAVAILABLE, false, "it has no password set for its default user: remove REDIS_PASSWORD"},
	{"ERR invalid password", CS_UNAVAILABLE, false, "it refused the password: check REDIS_PASSWORD"},
	/* Their text repeats the arguments, and one of them is the password. */
	{"ERR unknown command 'AUTH',", CS_UNAVAILABLE, false,
		"it does not know AUTH, which somebody renamed or disabled"},
	{"ERR unknown command `AUTH`,", CS_UNAVAILABLE, false,
		"it does not know AUTH, which somebody renamed or disabled"},
	{"NOPERM", CS_STORAGE, true, "the user in REDIS_URL lacks a permission that is needed here"},
	{"LOADING", CS_UNAVAILABLE, false,
		"it is still loading its data after a start; it answers by itself when done"},
	{"BUSY", CS_UNAVAILABLE, false, "it is busy with somebody's script; SCRIPT KILL ends one"},
	{"MASTERDOWN", CS_UNAVAILABLE, false, "it is a replica that lost its primary"},
	{"DENIED", CS_UNAVAILABLE, false,
		"it is in protected mode, which lets in only clients of its own host: give it a password (requirepass "
		"or a user) and set REDIS_PASSWORD"},
	{"ERR max number of clients", CS_UNAVAILABLE, false, "it has no room for another client: raise its maxclients"},
	{"ERR DB index", CS_UNAVAILABLE, false, "it has no database of that number: check the one in REDIS_URL"},
	{"READONLY", CS_STORAGE, false,
		"it is a read-only replica: point REDIS_URL at the primary. Nothing was written"},
	{"OOM", CS_STORAGE, false, "it is out of memory (maxmemory) and may evict nothing. Nothing was written"},
	{"MISCONF", CS_STORAGE, false,
		"it cannot save to its disk and therefore refuses writes; its log says why. Nothing was written"},
	{"NOREPLICAS", CS_STORAGE, false,
		"it has too few replicas in step and therefore refuses writes. Nothing was written"},
	{"WRONGTYPE", CS_INVALID_CONTENT_TYPE, false,
		"the key holds something else than a string, which another program left there"},
	{"MOVED", CS_UNAVAILABLE, false, REDIS_CLUSTER_REFUSED},
	{"ASK", CS_UNAVAILABLE, false, REDIS_CLUSTER_REFUSED},
	{"ERR SELECT is not allowed in cluster mode", CS_UNAVAILABLE, false, REDIS_CLUSTER_REFUSED},
	{"CLUSTERDOWN", CS_UNAVAILABLE, false, REDIS_CLUSTER_REFUSED},
	{"CROSSSLOT", CS_UNAVAILABLE, false, REDIS_CLUSTER_REFUSED},
	{"TRYAGAIN", CS_UNAVAILABLE, false, REDIS_CLUSTER_REFUSED},
	{"", CS_STORAGE, true, "it refused"},
};

bool redis_reply_is(const struct redis_reply *reply, const char *code)
{
	size_t length = strlen(code);

	return reply->kind == REDIS_ERROR && slice_starts(reply->text, slice_of(code, length)) &&
	       (reply->text.len == length || reply->text.ptr[length] == ' ');
}

static const struct refusal *meaning_of(struct slice text)
{
	const struct refusal *r = refusals;

	while (!slice_starts(text, slice_cstr(r->code)) ||
		(*r->code && text.len > strlen(r->code) && text.ptr[strlen(r->code)] != ' '))
		r++;
	return r;
}

enum cs_status redis_reply_error(const struct redis *redis, const struct redis_reply *reply, struct cs_error *err)
{
	const struct refusal *r = meaning_of(reply->text);
	struct slice shown = redis_shown(redis);
	char quote[160];
	size_t n = 0;

	if (!r->quoted)
		return cs_fail(err, r->status, "Redis at " SLICE_FMT " answers, but %s", SLICE_ARG(shown), r->meaning);
	/* A reply line is bytes from outside: what is no visible ASCII becomes a question mark. */
	for (; n < reply->text.len && n < sizeof quote - 1; n++)
		quote[n] = reply->text.ptr[n] >= ' ' && reply->text.ptr[n] <= '~' ? reply->text.ptr[n] : '?';
	quote[n] = '\0';
	return cs_fail(
		err, r->status, "Redis at " SLICE_FMT " answers, but %s: %s", SLICE_ARG(shown), r->meaning, quote);
}
