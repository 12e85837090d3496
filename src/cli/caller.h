/* A tool call made by a person at a terminal.
 *
 * Opens what the settings name, calls one tool with arguments written as JSON, and keeps the reply for the screen. Goes
 * through the same table, checks and forwarding as a client's call, so a command can do nothing a tool cannot.
 * Threads: the main one. */
#ifndef CS_CLI_CALLER_H
#define CS_CLI_CALLER_H

#include "cli/host.h"
#include "cli/invocation.h"

#define CALLER_REPLY_MAX (64u << 20)

struct caller {
	struct arena arena;
	struct op op;
	struct host *host;
	struct slice dir;
	struct buffer arguments; /* what the command writes */
	struct buffer reply;     /* one JSON object */
	struct json_doc doc;     /* of the reply */
};

/* `creates`: a command that stores may make a new store; the others say that there is none. Errors: the settings', the
 * directory's. */
CS_CHECKED enum cs_status caller_open(struct caller *, const struct invocation *, bool creates, struct cs_error *);
/* On a store of its own in `dir` (absolute), whatever the settings say. */
CS_CHECKED enum cs_status caller_open_in(
	struct caller *, const struct invocation *, struct slice dir, struct cs_error *);
void caller_close(struct caller *);

/* Runs the tool on caller->arguments; reply and doc are set on CS_OK, and hold the failure object (if there is one)
 * otherwise. */
CS_CHECKED enum cs_status caller_run(struct caller *, struct slice tool, struct cs_error *);

/* Runs an action of cli/owner_http.h ("restore", "history", "reembed") on {"id": id}: here, or by the owner. Reply and doc as
 * above. */
CS_CHECKED enum cs_status caller_act(struct caller *, const char *action, struct slice id, struct cs_error *);

/* Members of an object of the reply; empty or 0 where there is none. */
struct slice caller_str(const struct caller *, uint32_t object, const char *name);
int64_t caller_i64(const struct caller *, uint32_t object, const char *name);

#endif
