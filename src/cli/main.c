/* Finds the command, reads the settings, runs it.
 *
 * Flags may stand before the command too (`context-store --data-dir X serve`), so the command is the first word that is
 * neither a flag nor the value of one. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/nearest.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/process.h"

extern char **environ;

static bool takes_next_word(const char *flag)
{
	if (strchr(flag, '='))
		return false;
	if (strcmp(flag, "--config") == 0)
		return true;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (strcmp(setting_rows[i].flag, flag + 2) == 0)
			return setting_rows[i].kind != SETTING_BOOL;
	return false;
}

/* Index of the command's word, or argc. */
static int command_word(int argc, char **argv)
{
	int at = 1;

	while (at < argc && strncmp(argv[at], "--", 2) == 0 && argv[at][2] != '\0')
		at += takes_next_word(argv[at]) ? 2 : 1;
	return at < argc ? at : argc;
}

static enum cli_exit unknown_command(const char *name)
{
	struct nearest nearest = nearest_to(slice_cstr(name));

	for (size_t i = 0; i < command_row_count; i++)
		if (!command_rows[i].hidden)
			nearest_offer(&nearest, slice_cstr(command_rows[i].name));
	if (nearest.best.len > 0)
		return cli_usage(
			NULL, "unknown command '%.60s'; did you mean " SLICE_FMT "?", name, SLICE_ARG(nearest.best));
	return cli_usage(NULL, "unknown command '%.60s'", name);
}

static enum cs_status start_log(const struct config *config, struct cs_error *err)
{
	struct slice format = config_str(config, SETTING_LOG_FORMAT);
	enum log_level level;

	if (!log_level_parse(config_str(config, SETTING_LOG_LEVEL), &level))
		return cs_fail(err, CS_VALIDATION,
			"log-level (" SLICE_FMT ") must be one of debug, info, warning, error, off",
			SLICE_ARG(config_origin_text(config, SETTING_LOG_LEVEL)));
	if (!slice_eq(format, S("logfmt")) && !slice_eq(format, S("json")))
		return cs_fail(err, CS_VALIDATION, "log-format (" SLICE_FMT ") must be logfmt or json",
			SLICE_ARG(config_origin_text(config, SETTING_LOG_FORMAT)));
	log_setup(level, slice_eq(format, S("json")) ? LOG_JSON : LOG_LOGFMT, STDERR_FILENO);
	return CS_OK;
}

/* Of the settings among the words, what names the file. Returns how many words that is. */
static int file_words(const struct invocation *inv, char **words)
{
	int count = 0;

	for (int at = 0; at < inv->setting_count; at++) {
		bool file = strncmp(inv->settings[at], "--config", 8) == 0;
		bool pair = takes_next_word(inv->settings[at]);

		if (file)
			words[count++] = inv->settings[at];
		if (file && pair)
			words[count++] = inv->settings[at + 1];
		at += pair;
	}
	return count;
}

/* A wrong flag is wrong usage; a wrong variable or file is a failure. A load without the flags tells them apart. */
static enum cli_exit wrong_settings(const struct invocation *inv, const struct cs_error *err)
{
	char **words = calloc((size_t)inv->setting_count + 1, sizeof *words);
	struct config *config = NULL;
	bool flag;
	int rest;

	flag = words && config_load(file_words(inv, words), words, environ, &config, &rest, NULL) == CS_OK &&
	       start_log(config, NULL) == CS_OK;
	config_free(config);
	free(words);
	return flag ? cli_usage(inv, "%s", err->text) : cli_fail(err);
}

/* A variable that was mistyped leaves its default in force, and nothing else would say so. */
static void tell_ignored(void)
{
	struct slice name;
	const char *right;
	size_t cursor = 0;

	while (config_next_ignored(environ, &cursor, &name, &right))
		log_write(LOG_WARNING, "a variable that is no setting is ignored", log_str("variable", name),
			right ? log_str("did_you_mean", slice_cstr(right)) : log_str("settings", S(CS_NAME " config")),
			LOG_END);
}

static enum cli_exit run_command(struct invocation *inv)
{
	struct cs_error err;
	int rest = 0;

	if (!inv->command->plain) {
		if (config_load(inv->setting_count, inv->settings, environ, &inv->config, &rest, &err) != CS_OK)
			return wrong_settings(inv, &err);
		if (start_log(inv->config, &err) != CS_OK)
			return wrong_settings(inv, &err);
		tell_ignored();
	}
	return inv->command->run(inv);
}

/* Words, and none of them is a command: the first that is no option either, or the help. */
static enum cli_exit no_command(int argc, char **argv)
{
	const struct command none = {0};
	struct invocation inv;
	struct cs_error err;

	if (argc == 1) {
		help_overview(stderr);
		return CLI_USAGE;
	}
	if (invocation_parse(&inv, &none, argc - 1, argv + 1, &err) != CS_OK)
		return cli_usage(NULL, "%s", err.text);
	invocation_release(&inv);
	return cli_usage(NULL, "a command is missing behind the options");
}

static enum cli_exit dispatch(int argc, char **argv)
{
	const struct command *command;
	struct invocation inv;
	struct cs_error err;
	int at = command_word(argc, argv);
	enum cli_exit code;

	for (int i = 1; i < at; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			help_overview(stdout);
			return CLI_DONE;
		}
		if (strcmp(argv[i], "--version") == 0)
			return version_command(NULL);
	}
	if (at == argc)
		return no_command(argc, argv);
	if (strcmp(argv[at], "-h") == 0) {
		help_overview(stdout);
		return CLI_DONE;
	}
	command = command_find(argv[at]);
	if (!command)
		return unknown_command(argv[at]);
	/* Flags before the command join those behind it. */
	memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
	if (invocation_parse(&inv, command, argc - 2, argv + 2, &err) != CS_OK)
		return cli_usage(&(struct invocation){.command = command}, "%s", err.text);
	if (inv.help) {
		help_of(stdout, command);
		code = CLI_DONE;
	} else {
		code = run_command(&inv);
	}
	invocation_release(&inv);
	return code;
}

int cli_main(int argc, char **argv, const char *revision)
{
	enum cli_exit code;

	process_begin();
	setlocale(LC_CTYPE, "C.UTF-8");
	umask(077);
	process_revision = revision;
	code = dispatch(argc, argv);
	/* A result that could not be written (a full disk, a closed pipe) is no result. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_DONE) {
		perror(CS_NAME ": standard output");
		code = CLI_FAILED;
	}
	return code;
}
