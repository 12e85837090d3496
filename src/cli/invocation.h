/* One command line, taken apart.
 *
 * Words are sorted into the command's own options, flags that are settings (handed on to base/config) and operands;
 * "--" ends the options, a lone "-" is an operand. An option that takes one or more words (its row's value ends in dots)
 * takes all up to the next option: `--concurrent-connections 1 10 50` is the same as repeating the option for each word.
 * Everything wrong is told here with the nearest word that would be right.
 *
 * Owner: whoever called invocation_parse calls invocation_release. Words borrow from argv. Threads: the main one. */
#ifndef CS_CLI_INVOCATION_H
#define CS_CLI_INVOCATION_H

#include "base/config.h"

struct command;

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct invocation_option {
	const char *name;  /* the table's string */
	const char *value; /* NULL where the option takes none */
};

struct invocation {
	const struct command *command;
	struct config *config; /* NULL for plain commands */
	char **operands;       /* operand_count of them, then NULL */
	int operand_count;
	char **settings; /* flags for config_load */
	int setting_count;
	struct invocation_option *options;
	int option_count;
	bool help; /* --help or -h stood among the words */
};

/* argv without the program and the command. Errors: CS_VALIDATION (wrong usage), CS_LIMIT_EXCEEDED. Does not load
 * settings. */
CS_CHECKED enum cs_status invocation_parse(
	struct invocation *, const struct command *, int argc, char **argv, struct cs_error *);
void invocation_release(struct invocation *);

/* The option's value (the last one given), or NULL. A switch that was given has the value "". */
const char *invocation_option(const struct invocation *, const char *name);
/* Each value of an option that may be repeated: start with *cursor = 0; NULL at the end. */
const char *invocation_each(const struct invocation *, const char *name, int *cursor);

/* "context-store: <text>" on stderr; returns the exit code. */
enum cli_exit cli_fail(const struct cs_error *);
enum cli_exit cli_usage(const struct invocation *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
