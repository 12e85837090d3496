/* doctor's look at Redis.
 *
 * One connection of its own, INFO, PING, one try of what the cache's listener does, and where all that is
 * well one value that is written, read, listed and deleted again, in a name of doctor's own with the shortest time to
 * live: only that tells whether a user's rights, the server's memory and its disk allow what tools do. The order of the
 * judgements is that of their weight, and the first that holds is the finding. */
#include "cli/doctor.h"

#include "base/version.h"
#include "cli/backends.h"
#include "remote/redis.h"
#include "remote/tracking.h"

struct redis_info {
	struct slice text; /* "name:value\r\n" lines */
	char version[64];
};

/* "" where it says nothing of it. */
static struct slice info_of(const struct redis_info *info, const char *name)
{
	struct slice rest = info->text;

	while (rest.ptr) {
		struct slice value = slice_cut(&rest, '\n'), key = slice_cut(&value, ':');

		if (value.ptr && slice_is(key, name))
			return slice_trim(value);
	}
	return S("");
}

static void name_version(struct redis_info *info)
{
	struct slice version = info_of(info, "valkey_version");
	const char *name = version.len > 0 ? "Valkey" : "Redis";

	if (version.len == 0)
		version = info_of(info, "redis_version");
	snprintf(info->version, sizeof info->version, "%s %.*s", name, version.len > 40 ? 40 : (int)version.len,
		version.ptr);
}

/* What tools do, once each. */
static enum cs_status use(const struct redis_kv_options *settings, struct op *op, struct cs_error *err)
{
	const struct kv_key key = {S(CS_NAME "-doctor"), KV_CONFIG, S("check")};
	const struct kv_write steps[] = {
		{.key = key, .mode = KV_OVERWRITE, .content = S("1"), .ttl_s = 60, .if_version = KV_VERSION_ANY},
		{.key = key, .mode = KV_INCREMENT, .content = S("1"), .ttl_s = 60, .if_version = KV_VERSION_ANY}};
	struct redis_kv *kv;
	struct kv_port port;
	struct kv_entry entry;
	struct kv_page page;
	enum cs_status status = redis_kv_new(settings, &kv, err);

	if (status != CS_OK)
		return status;
	port = redis_kv_port(kv);
	for (size_t i = 0; status == CS_OK && i < sizeof steps / sizeof steps[0]; i++)
		status = port.put(port.self, op, &steps[i], &entry, err);
	if (status == CS_OK)
		status = port.get(port.self, op, &key, &entry, err);
	if (status == CS_OK)
		status = port.list(port.self, op, &key, (struct slice){0}, 1, &page, err);
	if (status == CS_OK)
		status = port.remove(port.self, op, &key, KV_VERSION_ANY, err);
	redis_kv_free(kv);
	return status;
}

static bool is_loading(const struct redis_info *info)
{
	return slice_eq(info_of(info, "loading"), S("1"));
}

static void judge(const struct redis_info *info, struct slice address, struct finding *f)
{
	struct slice policy = info_of(info, "maxmemory_policy"), append = info_of(info, "aof_enabled");

	if (slice_eq(info_of(info, "role"), S("slave"))) {
		finding_say(f, FAULT, SLICE_FMT " is a replica (%s) and takes no writes", SLICE_ARG(address),
			info->version);
		finding_mend(f, "name the primary in REDIS_URL: " SLICE_FMT ":" SLICE_FMT,
			SLICE_ARG(info_of(info, "master_host")), SLICE_ARG(info_of(info, "master_port")));
	} else if (is_loading(info)) {
		finding_say(f, WARNING, SLICE_FMT " (%s) is loading its data", SLICE_ARG(address), info->version);
		finding_mend(f, "wait; agent state is unavailable until it has");
	} else if (policy.len > 0 && !slice_eq(policy, S("noeviction")) &&
		   !slice_eq(info_of(info, "maxmemory"), S("0"))) {
		finding_say(f, WARNING,
			SLICE_FMT " (%s) throws keys away when its memory is full (maxmemory-policy " SLICE_FMT ")",
			SLICE_ARG(address), info->version, SLICE_ARG(policy));
		finding_mend(f, "CONFIG SET maxmemory-policy noeviction, and the same in its configuration: a write "
				"then fails instead of another's state being lost");
	} else if (slice_eq(append, S("0"))) {
		finding_say(f, WARNING,
			SLICE_FMT " (%s) keeps no append-only log: what was acknowledged since its last snapshot "
				  "is lost when it ends",
			SLICE_ARG(address), info->version);
		finding_mend(f,
			"CONFIG SET appendonly yes, and the same in its configuration; with appendfsync always an "
			"acknowledged write survives a loss of power");
	} else {
		finding_say(f, FINE, SLICE_FMT " answers (%s)", SLICE_ARG(address), info->version);
	}
}

static void examine(const struct redis *redis, const struct redis_kv_options *settings, struct redis_connection *c,
	struct op *op, struct finding *f)
{
	const struct slice ask_info = S("INFO"), address = redis_shown(redis);
	struct redis_reply reply;
	struct redis_info info = {0};
	struct cs_error err;

	if (redis_call(c, op, &ask_info, 1, &reply, &err) != CS_OK) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, "see that REDIS_URL names a Redis that is well; contexts work meanwhile");
		return;
	}
	if (reply.kind == REDIS_STRING) {
		info.text = reply.text;
		name_version(&info);
		judge(&info, address, f);
	} else {
		snprintf(info.version, sizeof info.version, "Redis");
		finding_say(f, FINE,
			SLICE_FMT " answers; this user may not ask for INFO, so persistence was not looked at",
			SLICE_ARG(address));
	}
	/* INFO is the one thing that a server answers while it loads. */
	if (is_loading(&info))
		return;
	if (f->verdict != FAULT && (redis_ping(c, op, &err) != CS_OK || use(settings, op, &err) != CS_OK)) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, "a user needs the rights that docs/redis.md lists, and the server room for what is "
				"written; reads and contexts may work meanwhile");
		return;
	}
	/* The last thing asked on this connection. */
	if (f->verdict == FINE && tracking_subscribe(redis, c, op, &err) != CS_OK) {
		finding_say(f, WARNING, "%s, but cannot tell of changes, so agent state is not cached: %s",
			info.version, err.text);
		finding_mend(f, "allow this user: ACL SETUSER NAME +client|id +client|tracking +subscribe "
				"&__redis__:invalidate");
	}
}

void doctor_check_redis(const struct config *config, struct arena *arena, struct finding *f)
{
	const struct redis_kv_options settings = backends_redis_options(config);
	const struct redis_options options = {.url = settings.url,
		.password = settings.password,
		.connect_timeout_ms = settings.connect_timeout_ms,
		.command_timeout_ms = settings.command_timeout_ms};
	struct op op = {
		.arena = arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	struct redis_connection *c = NULL;
	struct redis *redis = NULL;
	struct cs_error err;

	if (settings.url.len == 0) {
		finding_say(f, FINE, "agent state is embedded (REDIS_URL is not set)");
		return;
	}
	if (redis_new(&options, &redis, &err) != CS_OK) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, "set REDIS_URL right, or leave it out to keep agent state in the data directory");
	} else if (redis_connect(redis, &op, &c, &err) != CS_OK) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, "start it, set REDIS_URL and REDIS_PASSWORD right, or give its user the rights that "
				"docs/redis.md lists; contexts work meanwhile, and agent state comes back by itself");
	} else {
		examine(redis, &settings, c, &op, f);
	}
	redis_close(c);
	redis_free(redis);
}
