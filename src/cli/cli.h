/* The command line: wiring and screens.
 *
 * `cli_main` finds the command in cli/commands.h, loads the settings and runs it. Exit codes: 0 done, 1 failed (one
 * line on stderr says why and what to do), 2 wrong usage. Standard output carries results only. `revision` is that of
 * the sources the program was built from, for /metrics. */
#ifndef CS_CLI_CLI_H
#define CS_CLI_CLI_H

int cli_main(int argc, char **argv, const char *revision);

#endif
