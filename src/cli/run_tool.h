/* Another program, run to its end. No shell is involved: words are words. Its standard input is empty, and what it
 * prints goes to standard error, because standard output carries results only. Threads: the main one. */
#ifndef CS_CLI_RUN_TOOL_H
#define CS_CLI_RUN_TOOL_H

#include "base/error.h"

/* argv ends with NULL; argv[0] is looked for on the PATH. `directory` is where it runs, NULL: here. `quiet`: what it
 * prints on standard output is dropped. *ret_code: its exit code, or 128 and the number of the signal that ended it.
 * Errors: CS_NOT_FOUND (no such program), CS_UNAVAILABLE (it cannot be started). */
CS_CHECKED enum cs_status run_tool(
	const char *const *argv, const char *directory, bool quiet, int *ret_code, struct cs_error *);

#endif
