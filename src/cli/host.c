/* Opens, forwards, takes over.
 *
 * The store pointer is published once and never taken back, so a call that finds it costs one atomic load. Everything
 * before that is slow and rare and happens under one mutex. Waiting for an owner that starts or ends is a poll of 10
 * ms: flock has no deadline, and a blocked flock could not be left when the client goes away. */
#include "cli/host.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "cli/backends.h"
#include "cli/embedders.h"
#include "engine/engine.h"
#include "net/unix_client.h"
#include "store/query_cache.h"

#define POLL_NS   10000000
#define MOMENT_NS INT64_C(2000000000) /* how long a command that ends soon is waited for */
#define REPLY_MAX (64u << 20)

struct host {
	struct host_options options;
	pthread_mutex_t lock;
	_Atomic(struct store *) open; /* NULL until this process owns the directory */
	struct store store;
	struct owner *owner;
	struct engine *engine;
	struct embedders embedders;
	struct backends backends;
	struct unix_client *client;
	struct slice socket_path;
	atomic_bool answered; /* the owner's socket answered the last time */
};

static void allow_types(struct host *h)
{
	static const struct slice standard[] = {SLICE_INIT("design"), SLICE_INIT("decision"), SLICE_INIT("trace"),
		SLICE_INIT("sprint"), SLICE_INIT("log")};
	struct slice rest = config_str(h->options.config, SETTING_CONTEXT_TYPES);

	for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
		h->store.types[h->store.type_count++] = standard[i];
	while (rest.len > 0 && h->store.type_count < STORE_TYPES_MAX) {
		struct slice name = slice_trim(slice_cut(&rest, ','));

		if (name.len > 0)
			h->store.types[h->store.type_count++] = name;
	}
}

enum cs_status host_new(const struct host_options *options, struct host **ret_host, struct cs_error *err)
{
	struct host *h = calloc(1, sizeof *h);
	size_t room = options->dir.len + sizeof "/" OWNER_SOCKET;
	char *path = malloc(room);
	enum cs_status status;

	if (!h || !path) {
		free(h);
		free(path);
		return cs_fail_memory(err);
	}
	h->options = *options;
	snprintf(path, room, SLICE_FMT "/" OWNER_SOCKET, SLICE_ARG(options->dir));
	h->socket_path = slice_of(path, room - 1);
	h->store.content_max = (size_t)config_int(options->config, SETTING_CONTENT_MAX);
	allow_types(h);
	status = embedders_open(&h->embedders, options->config, err);
	if (status == CS_OK)
		status = backends_open(&h->backends, options->config, err);
	if (status == CS_OK)
		status = unix_client_new(h->socket_path, &h->client, err);
	if (status != CS_OK) {
		backends_close(&h->backends);
		embedders_close(&h->embedders);
		free(path);
		free(h);
		return status;
	}
	pthread_mutex_init(&h->lock, NULL);
	*ret_host = h;
	return CS_OK;
}

void host_close(struct host *h)
{
	if (!h)
		return;
	/* What embeds reads and writes the store, and calls the embedder. */
	embedding_free(h->store.embedding);
	query_cache_free(h->store.queries);
	backends_close(&h->backends);
	engine_close(h->engine);
	embedders_close(&h->embedders);
	owner_release(h->owner);
	unix_client_free(h->client);
	pthread_mutex_destroy(&h->lock);
	free((void *)(uintptr_t)h->socket_path.ptr);
	free(h);
}

void host_keys_configured(struct host *h, bool configured)
{
	h->store.keys_configured = configured;
}

bool host_is_owner(struct host *h)
{
	return atomic_load_explicit(&h->open, memory_order_acquire) != NULL;
}

/* Serve and stdio hold the lock for long; the other commands, and a look at the lock itself, for moments. */
static bool stays(const char *command)
{
	return strcmp(command, "serve") == 0 || strcmp(command, "stdio") == 0;
}

/* Once, when the store opens. Editors show what stdio says as an error, and its replies tell the same: there it is for
 * who looks for it. */
static void tell_embedder(const struct host *h)
{
	const struct slice about = slice_cstr(h->embedders.about);
	bool people = strcmp(h->options.command, "serve") == 0;

	if (!h->embedders.port.embed)
		log_write(people ? LOG_INFO : LOG_DEBUG, "vectors are off",
			log_str("reason", S("embedding-model is off")), LOG_END);
	else if (h->embedders.missing)
		log_write(people ? LOG_WARNING : LOG_DEBUG,
			"vectors are off until there is a model; search by words works", log_str("model", about),
			log_str("mend", S(CS_NAME " model pull")), LOG_END);
	else
		log_write(people ? LOG_INFO : LOG_DEBUG, "vectors are on", log_str("model", about), LOG_END);
}

/* The service over the embedder and this store's vectors. Nothing is loaded, unless contexts wait for their vectors. */
static enum cs_status open_embedding(struct host *h, struct cs_error *err)
{
	struct embedding_options options = embedders_service(&h->embedders, h->options.config);
	enum cs_status status;

	h->store.vectors = engine_vectors(h->engine);
	options.vectors = h->store.vectors;
	status = embedding_new(&options, &h->store.embedding, err);
	if (status != CS_OK || !stays(h->options.command))
		return status;
	tell_embedder(h);
	/* A server will be asked; an editor's process perhaps never. */
	if (strcmp(h->options.command, "serve") == 0 && h->embedders.port.embed && !h->embedders.missing)
		engine_warm(h->engine);
	embedding_repair(h->store.embedding);
	return CS_OK;
}

/* Servers instead of what is embedded, where the settings name one. */
static enum cs_status open_backends(struct host *h, struct cs_error *err)
{
	bool people = strcmp(h->options.command, "serve") == 0;
	enum cs_status status = CS_OK;

	if (stays(h->options.command))
		status = backends_start(&h->backends, h->options.config, people, err);
	if (status == CS_OK)
		backends_attach(&h->backends, &h->store);
	return status;
}

/* For those that answer more than one question. */
static enum cs_status open_query_cache(struct host *h, struct cs_error *err)
{
	const struct query_cache_options options = {
		.entries_max = (size_t)config_int(h->options.config, SETTING_QUERY_CACHE_ENTRIES),
		.age_s = config_int(h->options.config, SETTING_QUERY_CACHE_AGE)};

	if (options.entries_max == 0 || !stays(h->options.command) || h->store.queries)
		return CS_OK;
	return query_cache_new(&options, &h->store.queries, err);
}

static enum cs_status open_store(struct host *h, struct cs_error *err)
{
	enum cs_status status = engine_open(h->options.dir, &h->engine, err);

	if (status != CS_OK)
		return status;
	h->store.contexts = engine_contexts(h->engine);
	h->store.text = engine_text(h->engine);
	h->store.kv = engine_kv(h->engine);
	status = open_query_cache(h, err);
	if (status == CS_OK)
		status = open_embedding(h, err);
	if (status == CS_OK)
		status = open_backends(h, err);
	if (status != CS_OK) {
		embedding_free(h->store.embedding);
		h->store.embedding = NULL;
		engine_close(h->engine);
		h->engine = NULL;
	}
	return status;
}

/* Under the mutex. CS_OK with h->open still NULL: *ret_holder has it. */
static enum cs_status try_open(struct host *h, struct owner_info *ret_holder, struct cs_error *err)
{
	struct owner *owner;
	enum cs_status status = owner_take(h->options.dir, h->options.command, &owner, ret_holder, err);

	if (status != CS_OK || !owner)
		return status;
	status = open_store(h, err);
	if (status != CS_OK) {
		owner_release(owner);
		return status;
	}
	h->owner = owner;
	/* Whoever sees the store open sees what `owned` did, too. */
	if (h->options.owned)
		h->options.owned(h->options.self);
	atomic_store_explicit(&h->open, &h->store, memory_order_release);
	return CS_OK;
}

static enum cs_status open_or_holder(
	struct host *h, struct store **ret_store, struct owner_info *ret_holder, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	pthread_mutex_lock(&h->lock);
	if (!host_is_owner(h))
		status = try_open(h, ret_holder, err);
	if (status == CS_OK)
		*ret_store = atomic_load_explicit(&h->open, memory_order_acquire);
	pthread_mutex_unlock(&h->lock);
	return status;
}

enum cs_status host_own(struct host *h, struct cs_error *err)
{
	const struct timespec pause = {0, POLL_NS};
	int64_t until_ns = clock_mono_ns() + MOMENT_NS;
	struct owner_info holder = {0};
	struct store *store;
	char who[4 * OWNER_TEXT_MAX];
	enum cs_status status;

	for (;;) {
		status = open_or_holder(h, &store, &holder, err);
		if (status != CS_OK || store)
			return status;
		if (stays(holder.command) || clock_mono_ns() > until_ns)
			break;
		nanosleep(&pause, NULL);
	}
	owner_describe(&holder, who, sizeof who);
	return cs_fail(err, CS_UNAVAILABLE,
		"the data directory %.200s is in use by %s; stop it, connect to it instead, or name another directory "
		"with --data-dir",
		h->options.dir.ptr, who);
}

void host_tell_address(struct host *h, const char *address)
{
	owner_tell_address(h->owner, address);
}

static enum cs_status host_acquire(void *self, struct op *op, struct store **ret_store, struct cs_error *err)
{
	struct host *h = self;
	struct store *store = atomic_load_explicit(&h->open, memory_order_acquire);

	if (store) {
		*ret_store = store;
		return CS_OK;
	}
	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "the store is not open yet");
	return open_or_holder(h, ret_store, NULL, err);
}

enum cs_status host_reach(struct host *h, struct op *op, struct store **ret_store, struct cs_error *err)
{
	const struct timespec pause = {0, POLL_NS};
	enum cs_status status;
	struct buffer reply;
	int http;

	buffer_init(&reply, REPLY_MAX);
	for (;;) {
		status = open_or_holder(h, ret_store, NULL, err);
		if (status != CS_OK || *ret_store)
			break;
		if (op_check(op, NULL) != CS_OK) {
			status = cs_fail(err, CS_UNAVAILABLE,
				"another process holds the data directory and does not answer on " OWNER_SOCKET
				"; see " CS_NAME " doctor");
			break;
		}
		status = unix_client_call(h->client, op, S("/health/live"), S(""), &http, &reply, NULL, err);
		if (status == CS_OK)
			break;
		nanosleep(&pause, NULL);
	}
	buffer_release(&reply);
	return status;
}

enum cs_status host_ask_owner(struct host *h, struct op *op, struct slice path, struct slice body, int *ret_http_status,
	struct buffer *out, bool *sent, struct cs_error *err)
{
	enum cs_status status = unix_client_call(h->client, op, path, body, ret_http_status, out, sent, err);

	atomic_store_explicit(&h->answered, status == CS_OK, memory_order_relaxed);
	return status;
}

/* What the reply's error_type stands for. CS_RATE_LIMIT or CS_UNEXPECTED for a reply that is no tool's. */
static enum cs_status status_of_reply(struct op *op, int http, struct slice reply, struct cs_error *err)
{
	struct json_doc doc;
	struct slice type, message = S("");

	if (http == 200)
		return CS_OK;
	if (json_parse(op->arena, reply, JSON_LIMITS_DEFAULT, &doc, NULL) == CS_OK &&
		json_str(&doc, json_get(&doc, 0, S("error_type")), &type)) {
		(void)json_str(&doc, json_get(&doc, 0, S("message")), &message);
		for (int s = CS_OK + 1; s < CS_STATUS_COUNT; s++)
			if (slice_eq(type, slice_cstr(cs_status_type((enum cs_status)s))))
				return cs_fail(err, (enum cs_status)s, SLICE_FMT, SLICE_ARG(message));
	}
	if (http == 429 || http == 503)
		return cs_fail(err, CS_RATE_LIMIT,
			"the process that owns the store has too much to do; try again in a moment");
	return cs_fail(err, CS_UNEXPECTED, "the process that owns the store answered with HTTP status %d", http);
}

static bool is_tool_reply(struct op *op, struct slice reply)
{
	struct json_doc doc;

	return json_parse(op->arena, reply, JSON_LIMITS_DEFAULT, &doc, NULL) == CS_OK &&
	       json_get(&doc, 0, S("success")) != JSON_NONE;
}

static enum cs_status run_here(struct host *h, struct op *op, const struct tool *tool, struct slice arguments,
	struct buffer *out, struct cs_error *err)
{
	const struct tool_host tools = host_tools(h);
	struct json_doc doc;
	enum cs_status status = json_parse(op->arena, arguments, JSON_LIMITS_DEFAULT, &doc, err);

	return status != CS_OK ? status : tool_run(&tools, op, tool, &doc, 0, out);
}

static enum cs_status forward_once(struct host *h, struct op *op, const struct tool *tool, struct slice arguments,
	struct buffer *out, bool *sent, struct cs_error *err)
{
	struct slice path = arena_printf(op->arena, "/tools/%s", tool->name);
	struct buffer reply;
	enum cs_status status;
	int http = 0;

	if (!path.ptr)
		return cs_fail_memory(err);
	buffer_init(&reply, REPLY_MAX);
	status = host_ask_owner(h, op, path, arguments, &http, &reply, sent, err);
	if (status == CS_OK) {
		status = status_of_reply(op, http, buffer_slice(&reply), err);
		if (status == CS_OK || is_tool_reply(op, buffer_slice(&reply)))
			buffer_append(out, buffer_slice(&reply));
	}
	buffer_release(&reply);
	return status;
}

static enum cs_status host_forward(void *self, struct op *op, const struct tool *tool, struct slice arguments,
	struct buffer *out, struct cs_error *err)
{
	struct host *h = self;
	size_t before = out->len;

	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "another process owns the store");
	if (arguments.len == 0)
		arguments = S("{}");
	for (int lost = 0;;) {
		struct store *store = NULL;
		enum cs_status status = CS_OK;
		bool sent = false;

		if (!atomic_load_explicit(&h->answered, memory_order_relaxed))
			status = host_reach(h, op, &store, err);
		if (status != CS_OK)
			return status;
		if (store)
			return run_here(h, op, tool, arguments, out, err);
		status = forward_once(h, op, tool, arguments, out, &sent, err);
		if (status == CS_TIMEOUT && sent && !tool->read_only && out->len == before)
			return cs_fail(err, CS_TIMEOUT,
				"the process that owns the store did not answer in the time allowed; the call may or "
				"may not "
				"have been done: look before you call again");
		if (status != CS_UNAVAILABLE || out->len > before)
			return status;
		/* Nobody has heard of it: whoever takes over is waited for, until the deadline. */
		if (sent && (!tool->read_only || lost++ > 0))
			return cs_fail(err, CS_UNAVAILABLE,
				"the process that owns the store went away during this call; it may or may not have "
				"been done: look, and call again");
	}
}

struct tool_host host_tools(struct host *h)
{
	return (struct tool_host){.self = h, .acquire = host_acquire, .forward = host_forward};
}
