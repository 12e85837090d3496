/* What a process sets up for itself, and options that serve and stdio share. Threads: the main one. */
#ifndef CS_CLI_PROCESS_H
#define CS_CLI_PROCESS_H

#include "base/config.h"
#include "mcp/mcp.h"

extern const char *process_revision; /* of the sources; set by cli_main */

/* Of every command, before anything is opened. A standard descriptor that the caller left closed would be the next
 * file's: messages would go into the store's lock, and end of input would never come. It becomes an empty file
 * that only reads: input ends at once, and what is written fails and is told. SIGXFSZ is ignored. */
void process_begin(void);

/* Of those that run for long: SIGPIPE ignored (a reader that left is an error of write), open files up to the hard limit, few malloc arenas; the
 * process and its build on /metrics. */
void process_prepare(void);

/* Cores this process may run on, at least 1. */
unsigned process_cores(void);

struct workers_options process_workers(const struct config *);
/* Limits and time-outs of the settings; host, port and unix_path are left to the caller. */
struct server_options process_server(const struct config *);
/* Errors: CS_VALIDATION (thresholds of the wrong form; the text names the setting). */
CS_CHECKED enum cs_status process_mcp(
	const struct config *, struct tool_host, struct workers *, struct mcp_options *ret_options, struct cs_error *);

#endif
