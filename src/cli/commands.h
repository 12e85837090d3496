/* The commands: one table from which dispatch, --help, the man page and the reference page come.
 *
 * A row names the command, says how it is called, lists the options that are its own (each setting of
 * base/settings_table.h is a flag of every command besides) and points to its handler. Hidden rows are for the build
 * (man, reference): they run, and help does not list them.
 *
 * A handler returns an exit code: CLI_DONE, CLI_FAILED after cli_fail, CLI_USAGE after cli_usage. It writes results to
 * standard output and everything else to standard error. Threads: the table is constant; handlers run on the main
 * thread. */
#ifndef CS_CLI_COMMANDS_H
#define CS_CLI_COMMANDS_H

#include "cli/invocation.h"

struct option_row {
	const char *name;  /* without dashes */
	const char *value; /* what it takes ("N"); with dots behind ("N...") one or more words; NULL: nothing */
	const char *help;
};

struct command {
	const char *name;
	const char *operands;             /* as the synopsis shows them, or "" */
	const char *summary;              /* one line for the list */
	const char *help;                 /* paragraphs, separated by an empty line */
	const struct option_row *options; /* ends with a NULL name; NULL: none */
	int operands_min, operands_max;
	bool hidden;
	bool plain; /* needs no settings: works however broken they are */
	enum cli_exit (*run)(struct invocation *);
};

#define OPERANDS_ANY 1000000

extern const struct command command_rows[];
extern const size_t command_row_count;

const struct command *command_find(const char *name); /* NULL: unknown */

enum cli_exit serve_command(struct invocation *);
enum cli_exit stdio_command(struct invocation *);
enum cli_exit store_command(struct invocation *);
enum cli_exit search_command(struct invocation *);
enum cli_exit get_command(struct invocation *);
enum cli_exit delete_command(struct invocation *);
enum cli_exit forget_command(struct invocation *);
enum cli_exit restore_command(struct invocation *);
enum cli_exit model_command(struct invocation *);
enum cli_exit embed_command(struct invocation *);
enum cli_exit reembed_command(struct invocation *);
enum cli_exit eval_command(struct invocation *);
enum cli_exit bench_command(struct invocation *);
enum cli_exit config_command(struct invocation *);
enum cli_exit doctor_command(struct invocation *);
enum cli_exit version_command(struct invocation *);
enum cli_exit help_command(struct invocation *);
enum cli_exit man_command(struct invocation *);
enum cli_exit reference_command(struct invocation *);

#endif
