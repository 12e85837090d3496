/* Where tool calls go (struct tool_host of mcp/tools.h): the store of this process, or the process that owns it.
 *
 * Nothing is touched before the first call. That call tries the lock of the data directory: who gets it opens the
 * engine and is the owner until host_close; who does not sends the call to the owner's socket. Each later call tries
 * the lock again (one flock, about a microsecond), so when the owner is gone the next call of whoever comes first takes
 * over. A call that was on its way when the owner went away is sent again if it only reads; otherwise it ends with
 * storage_unavailable, because nobody knows whether it was done.
 *
 * The lock is also held for moments by `context-store store` and its like, which answer no socket: a forwarder waits
 * for one or the other until its deadline.
 *
 * Threads: new and close from one; the calls from any. */
#ifndef CS_CLI_HOST_H
#define CS_CLI_HOST_H

#include "base/config.h"
#include "cli/owner.h"
#include "mcp/tools.h"

struct host;

struct host_options {
	struct slice dir;            /* absolute; outlives the host */
	const char *command;         /* what owner.lock tells others */
	const struct config *config; /* outlives the host */
	/* Called when the engine is open, before any call uses it and on the thread of the call that opened it, to
	 * listen on DIR/owner.sock. NULL: nobody is to be answered (a command that ends at once). */
	void (*owned)(void *self);
	void *self;
};

CS_CHECKED enum cs_status host_new(const struct host_options *, struct host **ret_host, struct cs_error *);
/* Closes the store, then lets go of the directory. No call may be running. Takes NULL. */
void host_close(struct host *);

struct tool_host host_tools(struct host *);

/* Before the first call: deleting is for human keys only once keys are configured. */
void host_keys_configured(struct host *, bool configured);

/* Opens the store now. Errors: also CS_UNAVAILABLE when another process owns it; the text says who, since when, and
 * what to do. */
CS_CHECKED enum cs_status host_own(struct host *, struct cs_error *);
/* Of an owner: what a second serve and doctor tell people. */
void host_tell_address(struct host *, const char *address);
bool host_is_owner(struct host *);

/* Opens the store (then *ret_store is it) or waits until the owner's socket answers (then it is NULL). Asks for
 * something cheap again and again, because an owner may be just starting or just ending. Errors: CS_UNAVAILABLE at the
 * op's deadline. */
CS_CHECKED enum cs_status host_reach(struct host *, struct op *, struct store **ret_store, struct cs_error *);

/* One request to the owner beyond the tools (cli/owner_http.h). The reply's body replaces *out; *sent as
 * unix_client_call sets it. */
CS_CHECKED enum cs_status host_ask_owner(struct host *, struct op *, struct slice path, struct slice body,
	int *ret_http_status, struct buffer *out, bool *sent, struct cs_error *);

#endif
