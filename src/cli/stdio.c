/* `context-store stdio`: what an editor starts.
 *
 * Most of these processes are only asked what they can do, and some clients start one, look, and kill it; so nothing is
 * opened until a tool is called (cli/host.c). Whoever then becomes the owner of the data directory answers the others
 * on DIR/owner.sock from a second loop on a thread of its own, made at that moment.
 *
 * The end. End of input: the protocol has answered everything, the loop ends, and all is closed in order. SIGTERM or
 * SIGINT: a process without an open store ends at once, an owner closes the store first (what was acknowledged is
 * durable in both); nothing waits for the client. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/data_dir.h"
#include "cli/host.h"
#include "cli/owner_http.h"
#include "cli/process.h"
#include "cli/signals.h"

struct editor {
	const struct config *config;
	struct arena arena;
	struct slice dir;
	struct host *host;
	struct workers *workers;
	struct mcp *mcp;
	struct loop *loop;
	int write_error; /* errno of an answer that could not be written */
	/* Of an owner: the second loop and what it serves. */
	struct loop *owner_loop;
	struct server *server;
	struct owner_http owner_http;
};

static void owner_loop_drained(void *self)
{
	loop_stop(((struct editor *)self)->owner_loop);
}

static enum cs_status answer_others(struct editor *e, struct cs_error *err)
{
	struct server_options options = process_server(e->config);
	struct loop *loop;
	enum cs_status status;

	options.unix_path = arena_printf(&e->arena, SLICE_FMT "/" OWNER_SOCKET, SLICE_ARG(e->dir));
	if (!options.unix_path.ptr)
		return cs_fail_memory(err);
	e->owner_http = (struct owner_http){.inner = mcp_http(e->mcp), .host = e->host, .workers = e->workers};
	status = loop_new(&loop, err);
	if (status != CS_OK)
		return status;
	status = server_new(&loop, 1, &options, owner_http_handler(&e->owner_http), &e->server, err);
	if (status != CS_OK) {
		loop_free(loop);
		return status;
	}
	/* On this loop, which only an owner has: whose memory and time the others use is the owner. */
	loop_on_tick(loop, mcp_tick, e->mcp);
	e->owner_loop = loop;
	return loop_start(loop, "owner", err);
}

/* On the worker of the call that opened the store. Without the socket this process works and others wait in vain. */
static void owned(void *self)
{
	struct editor *e = self;
	struct cs_error err;

	if (answer_others(e, &err) != CS_OK)
		log_write(LOG_WARNING, "other processes cannot reach this store",
			log_str("reason", slice_cstr(err.text)), LOG_END);
}

/* Order as in serve.c, on the main thread. */
static void close_store(struct editor *e)
{
	if (e->server) {
		server_drain(e->server, config_int(e->config, SETTING_DRAIN_TIMEOUT), owner_loop_drained, e);
		loop_join(e->owner_loop);
	}
	workers_free(e->workers);
	e->workers = NULL;
	host_close(e->host);
	e->host = NULL;
}

static void on_signal(void *self, int number)
{
	struct editor *e = self;

	if (host_is_owner(e->host))
		close_store(e);
	_exit(CLI_DONE);
}

static void ended(void *self, int error)
{
	struct editor *e = self;

	e->write_error = error;
	signals_stop();
	loop_stop(e->loop);
}

/* The client's end under a number of its own. When it is closed at the end, 0 and 1 stay taken: they would be the next
 * connection's of the owner's socket, and libuv asserts that it closes none of those. */
static enum cs_status take_over(int standard, int *ret_fd, struct cs_error *err)
{
	int fd = fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), none = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0 || none < 0 || dup2(none, standard) < 0)
		return cs_fail(err, CS_UNAVAILABLE, "cannot take over standard %s: %s",
			standard == STDIN_FILENO ? "input" : "output", strerror(errno));
	close(none);
	*ret_fd = fd;
	return CS_OK;
}

static enum cs_status start(struct editor *e, struct cs_error *err)
{
	const struct workers_options workers = process_workers(e->config);
	struct host_options host = {.dir = e->dir, .command = "stdio", .config = e->config, .owned = owned, .self = e};
	struct mcp_options mcp;
	enum cs_status status = host_new(&host, &e->host, err);
	int in = -1, out = -1;

	if (status == CS_OK)
		status = take_over(STDIN_FILENO, &in, err);
	if (status == CS_OK)
		status = take_over(STDOUT_FILENO, &out, err);
	if (status == CS_OK)
		status = loop_new(&e->loop, err);
	if (status == CS_OK)
		status = workers_new(&workers, &e->workers, err);
	if (status != CS_OK)
		return status;
	signals_watch(e->loop, on_signal, e);
	status = process_mcp(e->config, host_tools(e->host), e->workers, &mcp, err);
	if (status == CS_OK)
		status = mcp_new(&mcp, &e->mcp, err);
	if (status != CS_OK)
		return status;
	host_keys_configured(e->host, mcp_keys_configured(e->mcp));
	return mcp_stdio_start(e->mcp, e->loop, in, out, ended, e, err);
}

enum cli_exit stdio_command(struct invocation *inv)
{
	struct editor e = {.config = inv->config};
	struct cs_error err;
	enum cs_status status;

	process_prepare();
	arena_init(&e.arena, NULL, 0, 1u << 20);
	status = data_dir_resolve(inv->config, &e.arena, &e.dir, &err);
	if (status == CS_OK)
		status = start(&e, &err);
	if (status != CS_OK)
		return cli_fail(&err);
	loop_run(e.loop);
	close_store(&e);
	if (e.server)
		server_free(e.server);
	loop_free(e.owner_loop);
	mcp_free(e.mcp);
	loop_free(e.loop);
	arena_release(&e.arena);
	if (e.write_error) {
		(void)cs_fail(&err, CS_UNAVAILABLE, "standard output: %s; answers were lost", strerror(e.write_error));
		return cli_fail(&err);
	}
	return CLI_DONE;
}
