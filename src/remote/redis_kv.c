/* The adapter's life, its connections, and the names of keys. */
#include <stdio.h>
#include <stdlib.h>

#include "remote/redis_kv_parts.h"

#define NS_PER_MS INT64_C(1000000)

static const struct slice agent_start = SLICE_INIT("agent:");
static const struct slice mark_end = SLICE_INIT("}:version");

/* Connections for the pool. */

static enum cs_status open_connection(void *self, struct op *op, void **ret_connection, struct cs_error *err)
{
	struct redis_kv *kv = self;
	struct redis_connection *c = NULL;
	enum cs_status status = redis_connect(kv->redis, op, &c, err);

	if (status == CS_OK)
		*ret_connection = c;
	return status;
}

static bool connection_lives(void *self, struct op *op, void *connection)
{
	return redis_is_quiet(connection) && redis_ping(connection, op, NULL) == CS_OK;
}

static void close_connection(void *self, void *connection)
{
	redis_close(connection);
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

static enum cs_status make_pool(struct redis_kv *kv, const struct redis_kv_options *o, struct cs_error *err)
{
	struct pool_hooks hooks = {kv, open_connection, connection_lives, close_connection};
	char name[REDIS_URL_MAX * 4];
	struct pool_options options = {
		.min = o->pool_min ? o->pool_min : REDIS_POOL_MIN,
		.max = o->pool_max ? o->pool_max : REDIS_POOL_MAX,
		.max_idle_ms = or_default(o->max_idle_ms, REDIS_MAX_IDLE_MS),
		.lifetime_ms = or_default(o->lifetime_ms, REDIS_LIFETIME_MS),
		.acquire_timeout_ms = or_default(o->acquire_timeout_ms, REDIS_ACQUIRE_TIMEOUT_MS),
		.check_after_idle_ms = REDIS_CHECK_AFTER_MS,
		.wait_time = o->wait_time,
	};

	snprintf(name, sizeof name, "Redis at " SLICE_FMT, SLICE_ARG(redis_shown(kv->redis)));
	options.name = slice_cstr(name);
	if (!o->pool_min && options.min > options.max)
		options.min = options.max;
	return pool_new(&options, &hooks, &kv->pool, err);
}

enum cs_status redis_kv_new(const struct redis_kv_options *o, struct redis_kv **ret_kv, struct cs_error *err)
{
	struct redis_options options = {
		.url = o->url,
		.password = o->password,
		.connect_timeout_ms = or_default(o->connect_timeout_ms, REDIS_CONNECT_TIMEOUT_MS),
		.command_timeout_ms = or_default(o->command_timeout_ms, REDIS_COMMAND_TIMEOUT_MS),
	};
	struct redis_kv *kv = calloc(1, sizeof *kv);
	enum cs_status status;

	if (!kv)
		return cs_fail_memory(err);
	kv->looked = o->looked;
	kv->self = o->self;
	pthread_mutex_init(&kv->looking, NULL);
	status = redis_new(&options, &kv->redis, err);
	if (status == CS_OK)
		status = make_pool(kv, o, err);
	if (status == CS_OK)
		*ret_kv = kv;
	else
		redis_kv_free(kv);
	return status;
}

void redis_kv_free(struct redis_kv *kv)
{
	if (!kv)
		return;
	pool_free(kv->pool);
	redis_close(kv->watch);
	redis_free(kv->redis);
	pthread_mutex_destroy(&kv->looking);
	free(kv);
}

struct kv_port redis_kv_port(struct redis_kv *kv)
{
	return (struct kv_port){
		.self = kv, .get = redis_kv_get, .put = redis_kv_put, .remove = redis_kv_remove, .list = redis_kv_list};
}

enum cs_status redis_kv_maintain(struct redis_kv *kv, struct op *op, struct cs_error *err)
{
	return pool_maintain(kv->pool, op, err);
}

enum cs_status redis_kv_drain(struct redis_kv *kv, struct op *op, struct cs_error *err)
{
	return pool_drain(kv->pool, op, err);
}

void redis_kv_pool_stats(struct redis_kv *kv, struct pool_stats *ret_stats)
{
	pool_stats(kv->pool, ret_stats);
}

struct slice redis_kv_shown(const struct redis_kv *kv)
{
	return redis_shown(kv->redis);
}

const struct redis *redis_kv_client(const struct redis_kv *kv)
{
	return kv->redis;
}

/* Visits. */

/* A connection that nothing has come of since it was given back: what has come can only be the end, or a mistake. */
static enum cs_status acquire_quiet(
	struct redis_kv *kv, struct op *op, struct pool_lease *ret_lease, struct cs_error *err)
{
	for (;;) {
		struct pool_lease lease;
		enum cs_status status = pool_acquire(kv->pool, op, &lease, err);

		if (status != CS_OK)
			return status;
		if (lease.fresh || redis_is_quiet(lease.connection)) {
			*ret_lease = lease;
			return CS_OK;
		}
		pool_release(kv->pool, lease, false);
	}
}

/* A refusal says itself that nothing was written; only silence leaves it open. */
static enum cs_status tell_effect(bool may_have_run, const struct cs_error *why, struct cs_error *err)
{
	if (may_have_run)
		return cs_fail(err, why->status,
			"%s. It is not known whether the write was done: read the key before repeating it", why->text);
	if (why->status == CS_UNAVAILABLE || why->status == CS_TIMEOUT)
		return cs_fail(err, why->status, "%s. Nothing was written", why->text);
	if (err)
		*err = *why;
	return why->status;
}

static void close_watch(struct redis_kv *kv)
{
	redis_close(kv->watch);
	kv->watch = NULL;
}

/* Where does the name lead to now? Holds the lock. */
static void look(struct redis_kv *kv, struct op *op)
{
	struct redis_connection *c;
	enum cs_status status = redis_connect(kv->redis, op, &c, NULL);
	enum redis_role found;
	bool news;

	/* From its end: those who waited for a look that took long do not look again one after the other. */
	kv->next_look_ns = clock_mono_ns() + REDIS_LOOK_MS * NS_PER_MS;
	if (status != CS_OK)
		return;
	found = redis_role(c);
	news = found != REDIS_REPLICA || kv->found != REDIS_REPLICA;
	kv->found = found;
	if (found == REDIS_REPLICA) {
		redis_close(c);
	} else {
		close_watch(kv);
		kv->watch = c;
		/* In this order: who reads the new count borrows a new connection. */
		pool_renew(kv->pool);
		atomic_fetch_add(&kv->moves, 1);
	}
	if (news && kv->looked)
		kv->looked(kv->self, found);
}

/* Whether all connections were made anew since `moves` was read. One caller looks; those who met the same wait for what it
 * finds. */
static bool has_moved(struct redis_kv *kv, struct op *op, unsigned moves)
{
	bool moved;

	pthread_mutex_lock(&kv->looking);
	if (atomic_load(&kv->moves) == moves && clock_mono_ns() >= kv->next_look_ns)
		look(kv, op);
	moved = atomic_load(&kv->moves) != moves;
	pthread_mutex_unlock(&kv->looking);
	return moved;
}

enum cs_status redis_visit(struct redis_kv *kv, struct op *op, struct redis_visit *visit, struct cs_error *err)
{
	bool careful = visit->writes, may_have_run = false, moved = false;
	struct cs_error why = {.status = CS_OK};
	enum cs_status status;

	for (;;) {
		unsigned moves = atomic_load(&kv->moves);
		struct pool_lease lease;
		bool broken, stale, replica;

		status = careful ? acquire_quiet(kv, op, &lease, &why) : pool_acquire(kv->pool, op, &lease, &why);
		if (status != CS_OK)
			break;
		status = visit->run(visit, lease.connection, op, &why);
		broken = redis_is_broken(lease.connection);
		stale = broken && !lease.fresh && redis_was_cut(lease.connection);
		may_have_run = broken && redis_may_have_arrived(lease.connection);
		replica = !broken && redis_role(lease.connection) == REDIS_REPLICA;
		pool_release(kv->pool, lease, !broken);
		if (status == CS_UNAVAILABLE && stale && !careful)
			careful = true;
		else if (status != CS_OK && replica && !moved && has_moved(kv, op, moves))
			moved = true;
		else
			break;
	}
	if (status == CS_OK)
		return status;
	if (visit->writes && status != CS_WOULD_WAIT)
		return tell_effect(may_have_run, &why, err);
	if (err)
		*err = why;
	return status;
}

enum cs_status redis_kv_ping(struct redis_kv *kv, struct op *op, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	pthread_mutex_lock(&kv->looking);
	if (kv->watch && !redis_is_quiet(kv->watch))
		close_watch(kv);
	if (!kv->watch)
		status = redis_connect(kv->redis, op, &kv->watch, err);
	if (status == CS_OK)
		status = redis_ping(kv->watch, op, err);
	if (kv->watch && redis_is_broken(kv->watch))
		close_watch(kv);
	else if (kv->watch && redis_role(kv->watch) == REDIS_REPLICA && clock_mono_ns() >= kv->next_look_ns)
		look(kv, op);
	pthread_mutex_unlock(&kv->looking);
	return status;
}

/* Names. */

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static bool is_agent(struct slice id)
{
	bool good = id.len >= 1 && id.len <= 64;

	for (size_t i = 0; good && i < id.len; i++)
		good = is_word_byte(id.ptr[i]);
	return good;
}

static bool is_key(struct slice key)
{
	bool good = key.len >= 1 && key.len <= 128;

	for (size_t i = 0; good && i < key.len; i++)
		good = is_word_byte(key.ptr[i]) || key.ptr[i] == '.';
	return good;
}

/* The namespaces are told apart by nothing but colons, and SCAN takes a pattern: an id with a colon or a star would
 * reach into another agent's. Callers check too; this is the place where it would do harm. */
enum cs_status redis_check_agent(const struct kv_key *key, struct cs_error *err)
{
	return is_agent(key->agent_id) ? CS_OK
				       : cs_fail(err, CS_INVALID_AGENT_ID, "%s", cs_status_text(CS_INVALID_AGENT_ID));
}

enum cs_status redis_names_of(const struct kv_key *key, struct redis_names *ret, struct cs_error *err)
{
	enum cs_status status = redis_check_agent(key, err);
	int length;

	if (status != CS_OK)
		return status;
	if (!is_key(key->key))
		return cs_fail(err, CS_INVALID_KEY, "%s", cs_status_text(CS_INVALID_KEY));
	length = snprintf(ret->value_bytes, sizeof ret->value_bytes, "agent:" SLICE_FMT ":" SLICE_FMT ":" SLICE_FMT,
		SLICE_ARG(key->agent_id), SLICE_ARG(kv_prefix_name(key->prefix)), SLICE_ARG(key->key));
	ret->value = slice_of(ret->value_bytes, (size_t)length);
	ret->mark_bytes[0] = '{';
	memcpy(ret->mark_bytes + 1, ret->value_bytes, ret->value.len);
	memcpy(ret->mark_bytes + 1 + ret->value.len, mark_end.ptr, mark_end.len);
	ret->mark = slice_of(ret->mark_bytes, 1 + ret->value.len + mark_end.len);
	return CS_OK;
}

bool redis_kv_key_parse(struct slice name, struct kv_key *ret_key)
{
	struct slice rest, agent, prefix;
	struct kv_key key;

	if (!slice_starts(name, agent_start))
		return false;
	rest = slice_from(name, agent_start.len);
	agent = slice_cut(&rest, ':');
	prefix = slice_cut(&rest, ':');
	if (!is_agent(agent) || !is_key(rest) || !kv_prefix_parse(prefix, &key.prefix))
		return false;
	key.agent_id = agent;
	key.key = rest;
	*ret_key = key;
	return true;
}
