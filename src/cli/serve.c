/* `context-store serve`: the owner of a data directory, over HTTP.
 *
 * Order matters. The directory is taken and the store opened before anything listens, so the first request finds a
 * store. One loop per core, the first on the main thread, where the signals arrive too. The end runs backwards: the
 * listeners close and requests in flight finish (drain), loops end, workers end, the store is closed, the directory let
 * go. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/version.h"
#include "cli/address.h"
#include "cli/commands.h"
#include "cli/data_dir.h"
#include "cli/host.h"
#include "cli/owner_http.h"
#include "cli/process.h"
#include "cli/signals.h"

#define LOOPS_MAX 256

struct serving_loop {
	struct loop_task stop; /* first: the task is the loop's record */
	struct loop *loop;
	bool started; /* on a thread of its own */
};

struct serving {
	const struct config *config;
	struct arena arena;
	struct slice dir;
	struct host *host;
	struct workers *workers;
	struct mcp *mcp;
	struct owner_http owner_http;
	struct server *server;
	struct serving_loop loops[LOOPS_MAX];
	size_t loop_count;
};

static void stop_loop(struct loop_task *task)
{
	loop_stop(((struct serving_loop *)task)->loop);
}

static void stop_loops(struct serving *s)
{
	for (size_t i = 0; i < s->loop_count; i++) {
		s->loops[i].stop.run = stop_loop;
		loop_post(s->loops[i].loop, &s->loops[i].stop);
	}
}

/* On the first loop: no request is left. */
static void drained(void *self)
{
	struct serving *s = self;

	signals_stop();
	stop_loops(s);
}

static void on_signal(void *self, int number)
{
	struct serving *s = self;

	log_write(LOG_INFO, "draining", log_i64("signal", number), LOG_END);
	server_drain(s->server, config_int(s->config, SETTING_DRAIN_TIMEOUT), drained, s);
}

/* Everybody who reaches an address beyond loopback could read and change everything. */
static enum cs_status check_exposure(const struct serving *s, struct cs_error *err)
{
	struct slice host = config_str(s->config, SETTING_HOST);

	if (address_is_loopback(host) || mcp_keys_configured(s->mcp))
		return CS_OK;
	return cs_fail(err, CS_FORBIDDEN,
		"refused to listen on " SLICE_FMT " without API keys, where anybody could read and change the store; "
		"set API_KEY_NAME=key:user_id:role:is_agent in the "
		"environment, or leave --host at 127.0.0.1",
		SLICE_ARG(host));
}

static enum cs_status open_store(struct serving *s, struct cs_error *err)
{
	struct host_options options = {.command = "serve", .config = s->config};
	const struct workers_options workers = process_workers(s->config);
	struct mcp_options mcp;
	enum cs_status status = data_dir_resolve(s->config, &s->arena, &s->dir, err);

	options.dir = s->dir;
	if (status == CS_OK)
		status = host_new(&options, &s->host, err);
	if (status == CS_OK)
		status = workers_new(&workers, &s->workers, err);
	if (status != CS_OK)
		return status;
	status = process_mcp(s->config, host_tools(s->host), s->workers, &mcp, err);
	if (status == CS_OK)
		status = mcp_new(&mcp, &s->mcp, err);
	if (status == CS_OK)
		status = check_exposure(s, err);
	if (status != CS_OK)
		return status;
	host_keys_configured(s->host, mcp_keys_configured(s->mcp));
	return host_own(s->host, err);
}

static enum cs_status listen_all(struct serving *s, struct cs_error *err)
{
	int64_t wanted = config_int(s->config, SETTING_LOOPS), port = config_int(s->config, SETTING_PORT);
	struct server_options options = process_server(s->config);
	struct loop *loops[LOOPS_MAX];
	size_t count = wanted > 0 ? (size_t)wanted : process_cores();
	enum cs_status status;

	options.host = config_str(s->config, SETTING_HOST);
	options.port = (uint16_t)port;
	options.unix_path = arena_printf(&s->arena, SLICE_FMT "/" OWNER_SOCKET, SLICE_ARG(s->dir));
	if (!options.unix_path.ptr)
		return cs_fail_memory(err);
	status = port ? address_check(options.host, port, err) : CS_OK;
	for (size_t i = 0; i < count && i < LOOPS_MAX && status == CS_OK; i++) {
		status = loop_new(&s->loops[i].loop, err);
		if (status == CS_OK)
			loops[s->loop_count++] = s->loops[i].loop;
	}
	s->owner_http = (struct owner_http){.inner = mcp_http(s->mcp), .host = s->host, .workers = s->workers};
	if (status == CS_OK)
		status =
			server_new(loops, s->loop_count, &options, owner_http_handler(&s->owner_http), &s->server, err);
	if (status == CS_OK)
		signals_watch(s->loops[0].loop, on_signal, s);
	if (status == CS_OK)
		loop_on_tick(s->loops[0].loop, mcp_tick, s->mcp);
	return status;
}

/* For people whatever the log's level; a log that a machine reads has nothing but its own lines. */
static void tell_address(const struct serving *s)
{
	char url[320], endpoint[328];

	address_url(config_str(s->config, SETTING_HOST), server_port(s->server), url, sizeof url);
	host_tell_address(s->host, url);
	snprintf(endpoint, sizeof endpoint, "%s/mcp", url);
	if (slice_is(config_str(s->config, SETTING_LOG_FORMAT), "json"))
		log_write(LOG_INFO, "serving", log_str("url", slice_cstr(endpoint)), log_str("data_dir", s->dir),
			log_str("version", S(CS_VERSION)), LOG_END);
	else
		fprintf(stderr, CS_NAME " " CS_VERSION " serves %s from " SLICE_FMT "\n", endpoint, SLICE_ARG(s->dir));
}

/* Loops that cannot start are a failure: their share of the connections would wait for ever. */
static enum cs_status run_loops(struct serving *s, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (size_t i = 1; i < s->loop_count && status == CS_OK; i++) {
		char name[32];

		snprintf(name, sizeof name, "loop-%zu", i);
		status = loop_start(s->loops[i].loop, name, err);
		s->loops[i].started = status == CS_OK;
	}
	if (status != CS_OK)
		return status;
	tell_address(s);
	loop_run(s->loops[0].loop);
	for (size_t i = 1; i < s->loop_count; i++)
		loop_join(s->loops[i].loop);
	return CS_OK;
}

static void close_all(struct serving *s)
{
	workers_free(s->workers);
	if (s->server)
		server_free(s->server);
	mcp_free(s->mcp);
	for (size_t i = 0; i < s->loop_count; i++)
		loop_free(s->loops[i].loop);
	host_close(s->host);
	arena_release(&s->arena);
}

enum cli_exit serve_command(struct invocation *inv)
{
	struct serving *s = calloc(1, sizeof *s);
	struct cs_error err;
	enum cs_status status;

	if (!s) {
		(void)cs_fail_memory(&err);
		return cli_fail(&err);
	}
	process_prepare();
	s->config = inv->config;
	arena_init(&s->arena, NULL, 0, 1u << 20);
	status = open_store(s, &err);
	if (status == CS_OK)
		status = listen_all(s, &err);
	if (status == CS_OK)
		status = run_loops(s, &err);
	if (status != CS_OK && s->loop_count > 0) {
		/* Handles are bound to loops that never ran: the process ends instead, but the store is closed in
		 * order. */
		host_close(s->host);
		exit(cli_fail(&err));
	}
	close_all(s);
	free(s);
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}
