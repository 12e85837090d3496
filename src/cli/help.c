/* Help on the screen. */
#include "cli/help.h"

#include <string.h>

#include "base/nearest.h"
#include "base/version.h"

#define COLUMN 26
#define WIDTH  80

const struct help_example help_examples[] = {
	{CS_NAME " serve", "serve MCP over HTTP on http://127.0.0.1:8000/mcp"},
	{CS_NAME " serve --port 0 --data-dir ./memory", "another store, on a port the system chooses"},
	{CS_NAME " stdio", "what an editor starts: MCP over standard input and output"},
	{CS_NAME " store decision 'Use SQLite' --title Storage --tag db", "remember something; prints its id"},
	{CS_NAME " search sqlite --limit 3", "find it again"},
	{CS_NAME " doctor", "look for what is wrong, and how to mend it"},
	{NULL, NULL},
};

const char *help_setting_value(const struct setting_row *row)
{
	if (row->kind == SETTING_BOOL)
		return "";
	if (row->kind == SETTING_SIZE)
		return "BYTES";
	if (row->kind == SETTING_INT)
		return strcmp(row->unit, "seconds") == 0 ? "SECONDS" : "N";
	return *row->unit ? row->unit : "VALUE";
}

const char *help_setting_unit(const struct setting_row *row)
{
	/* Rows of text name what stands for the value; "N" is no unit. */
	return strcmp(row->unit, "N") == 0 ? "" : row->unit;
}

void help_setting_flag(const struct setting_row *row, char *text, size_t size)
{
	const char *value = help_setting_value(row);

	snprintf(text, size, "--%s%s%s", row->flag, *value ? " " : "", value);
}

/* Words of text from column `indent` on, wrapped at WIDTH; the cursor stands at `at`. */
static void put_wrapped(FILE *out, const char *text, size_t indent, size_t at)
{
	while (*text) {
		size_t word = strcspn(text, " ");

		if (at > indent && at + 1 + word > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", (int)word, text);
		at += word;
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

/* "  name      text", the text in its column. */
static void put_entry(FILE *out, const char *name, const char *text)
{
	int at = fprintf(out, "  %s", name);

	if (at > COLUMN - 2) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", COLUMN - at, "");
	put_wrapped(out, text, COLUMN, COLUMN);
}

/* Paragraphs are separated by an empty line; a line that begins with two spaces stands as it is. */
static void put_paragraphs(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len == 0 || text[0] == ' ')
			fprintf(out, "%.*s\n", (int)len, text);
		else {
			char line[2048];

			snprintf(line, sizeof line, "%.*s", (int)len, text);
			put_wrapped(out, line, 0, 0);
		}
		text += len + (text[len] == '\n');
	}
}

static void put_settings(FILE *out)
{
	char flag[96], text[512];

	put_entry(out, "--config FILE", "Read settings from FILE, lines of `name = value` [CONTEXT_STORE_CONFIG]");
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting_row *row = &setting_rows[i];

		help_setting_flag(row, flag, sizeof flag);
		snprintf(text, sizeof text, "%s%s%s%s [%s]", row->help, *row->fallback ? " (" : "", row->fallback,
			*row->fallback ? ")" : "", row->env);
		put_entry(out, flag, text);
	}
}

void help_overview(FILE *out)
{
	fputs(CS_NAME " " CS_VERSION ": a shared memory for AI agents (Model Context Protocol)\n\n"
		      "usage: " CS_NAME " COMMAND [OPTIONS] [WORDS]\n\ncommands\n",
		out);
	for (size_t i = 0; i < command_row_count; i++)
		if (!command_rows[i].hidden)
			put_entry(out, command_rows[i].name, command_rows[i].summary);
	fputs("\nsettings of every command (flag > environment > file > default)\n", out);
	put_settings(out);
	fputs("\nexamples\n", out);
	for (const struct help_example *e = help_examples; e->line; e++)
		fprintf(out, "  %s\n      %s\n", e->line, e->what);
	fputs("\nexit codes: 0 done, 1 failed (standard error says why), 2 wrong usage\n" CS_NAME
	      " help COMMAND tells more about one command.\n",
		out);
}

void help_of(FILE *out, const struct command *command)
{
	fprintf(out, "usage: " CS_NAME " %s%s%s%s\n\n", command->name, *command->operands ? " " : "", command->operands,
		command->options ? " [OPTIONS]" : "");
	put_paragraphs(out, command->help);
	if (command->options)
		fputs("\noptions\n", out);
	for (const struct option_row *o = command->options; o && o->name; o++) {
		char flag[96];

		snprintf(flag, sizeof flag, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
		put_entry(out, flag, o->help);
	}
	if (!command->plain)
		fputs("\nSettings (--data-dir, --config and others) are listed by " CS_NAME " --help.\n", out);
}

enum cli_exit help_command(struct invocation *inv)
{
	const struct command *command;

	if (inv->operand_count == 0) {
		help_overview(stdout);
		return CLI_DONE;
	}
	command = command_find(inv->operands[0]);
	if (!command) {
		struct nearest nearest = nearest_to(slice_cstr(inv->operands[0]));

		for (size_t i = 0; i < command_row_count; i++)
			nearest_offer(&nearest, slice_cstr(command_rows[i].name));
		if (nearest.best.len > 0)
			return cli_usage(NULL, "no command '%.60s'; did you mean " SLICE_FMT "?", inv->operands[0],
				SLICE_ARG(nearest.best));
		return cli_usage(NULL, "no command '%.60s'", inv->operands[0]);
	}
	help_of(stdout, command);
	return CLI_DONE;
}

enum cli_exit version_command(struct invocation *inv)
{
	puts(CS_NAME " " CS_VERSION);
	return CLI_DONE;
}
