/* What Redis' refusals mean to us: one row a code, the first word of an error reply.
 *
 * Who watches health counts UNAVAILABLE. So UNAVAILABLE is what asking again now cannot help with whatever the command
 * is, and STORAGE what concerns this command only: a replica or a full server still answers reads. */
#include "remote/redis.h"

#define CLUSTER                                                                                                        \
	"it is a node of a Redis Cluster, which is not supported yet: point REDIS_URL at a single server or a proxy "  \
	"for the cluster"

struct refusal {
	const char *code; /* a first word, or all that the text begins with */
	enum cs_status status;
	const char *meaning;
	bool quoted; /* what the server says helps, and holds no secret */
};

static const struct refusal refusals[] = {
	{"NOAUTH", CS_UNAVAILABLE,
		"it wants a password: set REDIS_PASSWORD, or REDIS_URL to redis://user:password@host", false},
	{"WRONGPASS", CS_UNAVAILABLE, "it refused user or password: check REDIS_PASSWORD and the user in REDIS_URL",
		false},
	{"ERR AUTH", CS_UNAVAILABLE, "it has no password set for its default user: remove REDIS_PASSWORD", false},
	{"ERR invalid password", CS_UNAVAILABLE, "it refused the password: check REDIS_PASSWORD", false},
	{"NOPERM", CS_STORAGE, "the user in REDIS_URL lacks a permission that is needed here", true},
	{"LOADING", CS_UNAVAILABLE, "it is still loading its data after a start; it answers by itself when done",
		false},
	{"BUSY", CS_UNAVAILABLE, "it is busy with somebody's script; SCRIPT KILL ends one", false},
	{"MASTERDOWN", CS_UNAVAILABLE, "it is a replica that lost its primary", false},
	{"ERR max number of clients", CS_UNAVAILABLE, "it has no room for another client: raise its maxclients", false},
	{"ERR DB index", CS_UNAVAILABLE, "it has no database of that number: check the one in REDIS_URL", false},
	{"READONLY", CS_STORAGE, "it is a read-only replica: point REDIS_URL at the primary. Nothing was written",
		false},
	{"OOM", CS_STORAGE, "it is out of memory (maxmemory) and may evict nothing. Nothing was written", false},
	{"MISCONF", CS_STORAGE,
		"it cannot save to its disk and therefore refuses writes; its log says why. Nothing was written",
		false},
	{"NOREPLICAS", CS_STORAGE, "it has too few replicas in step and therefore refuses writes. Nothing was written",
		false},
	{"WRONGTYPE", CS_INVALID_CONTENT_TYPE,
		"the key holds something else than a string, which another program left there", false},
	{"MOVED", CS_UNAVAILABLE, CLUSTER, false},
	{"ASK", CS_UNAVAILABLE, CLUSTER, false},
	{"CLUSTERDOWN", CS_UNAVAILABLE, CLUSTER, false},
	{"CROSSSLOT", CS_UNAVAILABLE, CLUSTER, false},
	{"TRYAGAIN", CS_UNAVAILABLE, CLUSTER, false},
	{"", CS_STORAGE, "it refused", true},
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
