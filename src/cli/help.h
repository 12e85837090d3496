/* Help on the screen, written from the tables of commands and settings. Threads: the main one. */
#ifndef CS_CLI_HELP_H
#define CS_CLI_HELP_H

#include <stdio.h>

#include "cli/commands.h"

void help_overview(FILE *);
void help_of(FILE *, const struct command *);

/* "--port N" into a text of `size`. */
void help_setting_flag(const struct setting_row *, char *text, size_t size);

/* What a setting takes: "N", "DIR", "BYTES"; "" for a bool. */
const char *help_setting_value(const struct setting_row *);

/* What a number of it counts: "seconds", "bytes", or "". */
const char *help_setting_unit(const struct setting_row *);

/* The examples shown in help, man page and reference: a line to type and what it does. NULL ends them. */
struct help_example {
	const char *line, *what;
};
extern const struct help_example help_examples[];

#endif
