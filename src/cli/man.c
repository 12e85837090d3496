/* The manual page and the reference pages, from the tables.
 *
 * Nothing here is knowledge of its own: a command, setting, error, metric or tool is described where it is defined, and
 * tests/blackbox/test_docs.py fails when the committed pages are not what this prints. */
#include <stdio.h>

#include "base/metrics.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "mcp/tools.h"

#define PAGE_MAX (4u << 20)

/* groff takes '-' as a hyphen, '\\' as an escape, and a dot or quote that begins a line as a request. */
static void roff_part(const char *text, size_t len)
{
	bool line_start = true;

	for (size_t i = 0; i < len; i++) {
		if (line_start && (text[i] == '.' || text[i] == '\''))
			fputs("\\&", stdout);
		if (text[i] == '-')
			fputs("\\-", stdout);
		else if (text[i] == '\\')
			fputs("\\e", stdout);
		else
			putchar(text[i]);
		line_start = text[i] == '\n';
	}
}

static void roff(const char *text)
{
	roff_part(text, strlen(text));
}

/* Paragraphs of a help text, separated by an empty line. */
static void roff_paragraphs(const char *text)
{
	const char *end;

	while ((end = strstr(text, "\n\n"))) {
		roff_part(text, (size_t)(end - text));
		fputs("\n.PP\n", stdout);
		text = end + 2;
	}
	roff(text);
	putchar('\n');
}

static void man_entry(const char *flag, const char *value, const char *help)
{
	fputs(".TP\n.B \\-\\-", stdout);
	roff(flag);
	if (*value) {
		fputs("\\fR \\fI", stdout);
		roff(value);
		fputs("\\fR", stdout);
	}
	putchar('\n');
	roff(help);
	putchar('\n');
}

static void man_commands(void)
{
	puts(".SH COMMANDS");
	for (size_t i = 0; i < command_row_count; i++) {
		const struct command *c = &command_rows[i];

		if (c->hidden)
			continue;
		fputs(".SS ", stdout);
		roff(c->name);
		if (*c->operands)
			putchar(' ');
		roff(c->operands);
		putchar('\n');
		roff_paragraphs(c->help);
		for (const struct option_row *o = c->options; o && o->name; o++)
			man_entry(o->name, o->value ? o->value : "", o->help);
	}
}

static void man_settings(void)
{
	puts(".SH SETTINGS\nEach is a flag of every command, a variable of the environment and a line\n.I name = "
	     "value\n"
	     "of the file named by\n.B \\-\\-config\nor\n.BR CONTEXT_STORE_CONFIG .\n"
	     "A flag wins over the environment, that over the file, that over the default.");
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting_row *row = &setting_rows[i];

		man_entry(row->flag, help_setting_value(row), row->help);
		fputs(".br\nEnvironment: ", stdout);
		roff(row->env);
		if (*row->fallback) {
			fputs("; default ", stdout);
			roff(row->fallback);
		}
		puts(".");
	}
}

enum cli_exit man_command(struct invocation *inv)
{
	puts(".\\\" Printed by `" CS_NAME " man` from the program's tables.\n"
	     ".TH CONTEXT\\-STORE 1 \"\" \"" CS_NAME " " CS_VERSION "\" \"User Commands\"\n"
	     ".SH NAME\ncontext\\-store \\- a shared memory for AI agents over the Model Context Protocol\n"
	     ".SH SYNOPSIS\n.B context\\-store\n.I COMMAND\n[\\fIOPTIONS\\fR] [\\fIWORDS\\fR]\n"
	     ".SH DESCRIPTION\nStores contexts (documents with a type, metadata and relationships) and the working "
	     "state of agents in\n"
	     "one directory, and serves them to MCP clients over HTTP and standard input and output.\n"
	     "One process owns a directory at a time; others send their calls to it.");
	man_commands();
	man_settings();
	puts(".SH EXIT STATUS\n.TP\n.B 0\nDone.\n.TP\n.B 1\nFailed; one line on standard error says why and what to "
	     "do.\n"
	     ".TP\n.B 2\nWrong usage.\n"
	     ".SH FILES\n.TP\n.I ~/.local/share/context\\-store\nThe data directory, unless\n.B "
	     "\\-\\-data\\-dir\nor\n.B XDG_DATA_HOME\n"
	     "names another: context\\-store.db (the store), owner.lock (who owns it), owner.sock (where the owner "
	     "answers others).\n"
	     ".SH ENVIRONMENT\n.TP\n.BI API_KEY_ NAME\nAn API key, as key:user_id:role:is_agent.\n.TP\n.B NO_COLOR\nNo "
	     "colours on a terminal.\n"
	     ".SH EXAMPLES");
	for (const struct help_example *e = help_examples; e->line; e++) {
		fputs(".TP\n.B ", stdout);
		roff(e->line);
		putchar('\n');
		roff(e->what);
		putchar('\n');
	}
	return CLI_DONE;
}

/* A cell of a Markdown table: '|' would end it. */
static void cell(const char *text)
{
	fputs(" ", stdout);
	for (; *text; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
	fputs(" |", stdout);
}

static void code_cell(const char *text)
{
	if (*text)
		printf(" `%s` |", text);
	else
		fputs(" |", stdout);
}

static void print_commands(void)
{
	puts("# Commands\n\nEach [setting](settings.md) is a flag of every command, too. Exit codes: 0 done, 1 failed, "
	     "2 wrong usage.");
	for (size_t i = 0; i < command_row_count; i++) {
		const struct command *c = &command_rows[i];

		if (c->hidden)
			continue;
		printf("\n## %s\n\n`" CS_NAME " %s%s%s%s`\n\n%s\n", c->name, c->name, *c->operands ? " " : "",
			c->operands, c->options ? " [OPTIONS]" : "", c->help);
		if (c->options)
			puts("\n| Option | Meaning |\n| --- | --- |");
		for (const struct option_row *o = c->options; o && o->name; o++) {
			printf("| `--%s%s%s` |", o->name, o->value ? " " : "", o->value ? o->value : "");
			cell(o->help);
			putchar('\n');
		}
	}
}

static void print_settings(void)
{
	char flag[96];

	puts("# Settings\n\nFlag > environment > file > default. The file (`--config FILE` or `CONTEXT_STORE_CONFIG`) "
	     "holds lines of\n"
	     "`name = value` with the flag's name without dashes; `#` starts a comment. Sizes take the suffixes `k`, "
	     "`m` and `g`.\n\nA variable `CONTEXT_STORE_*` that is none of these is ignored, and the log says so.\n\n"
	     "| Flag | Environment | Default | Range | Meaning |\n| --- | --- | --- | --- | --- |");
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting_row *row = &setting_rows[i];
		bool ranged = row->max > row->min;

		help_setting_flag(row, flag, sizeof flag);
		putchar('|');
		code_cell(flag);
		code_cell(row->env);
		code_cell(row->fallback);
		if (ranged)
			printf(" %lld to %lld%s%s |", (long long)row->min, (long long)row->max,
				*help_setting_unit(row) ? " " : "", help_setting_unit(row));
		else
			fputs(" |", stdout);
		cell(row->help);
		putchar('\n');
	}
}

static void print_errors(void)
{
	puts("# Errors\n\nA failed tool call is a result with `isError: true` and `{\"success\": false, "
	     "\"error_type\": ..., \"message\": ...}`;\n"
	     "`POST /tools/{name}` answers with the same object and this HTTP status.\n\n"
	     "| error_type | HTTP | Meaning where the message says no more |\n| --- | --- | --- |");
	for (int s = CS_OK + 1; s < CS_STATUS_COUNT; s++) {
		enum cs_status status = (enum cs_status)s;

		if (status == CS_WOULD_WAIT) /* internal: never leaves the program */
			continue;
		printf("| `%s` | %d |", cs_status_type(status), cs_status_http(status));
		cell(cs_status_text(status));
		putchar('\n');
	}
}

/* `a`, `b` */
static void labels_cell(const char *labels)
{
	struct slice rest = slice_cstr(labels);
	const char *before = " ";

	while (rest.len) {
		struct slice name = slice_cut(&rest, ',');

		printf("%s`" SLICE_FMT "`", before, SLICE_ARG(name));
		before = ", ";
	}
	fputs(" |", stdout);
}

static void print_metrics(void)
{
	static const struct {
		const char *kind, *name, *labels, *help;
	} rows[] = {
#define METRIC(symbol, kind, name, labels, help) {#kind, name, labels, help},
#include "base/metrics_table.h"
#undef METRIC
	};

	puts("# Metrics\n\n`GET /metrics` shows them in the Prometheus text format; [operations](../operations.md) has "
	     "the configuration "
	     "to scrape\nthem and rules for alerts. Response times are measured from the last byte of a request.\n\n"
	     "| Metric | Kind | Labels | Meaning |\n| --- | --- | --- | --- |");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *kind = rows[i].kind;

		putchar('|');
		code_cell(rows[i].name);
		cell(strncmp(kind, "COUNTER", 7) == 0    ? "counter"
			: strncmp(kind, "GAUGE", 5) == 0 ? "gauge"
							 : "histogram");
		labels_cell(rows[i].labels);
		cell(rows[i].help);
		putchar('\n');
	}
}

static void print_tools(void)
{
	struct buffer out;

	buffer_init(&out, PAGE_MAX);
	tools_write_reference(&out);
	fwrite(out.ptr, 1, out.len, stdout);
	buffer_release(&out);
}

enum cli_exit reference_command(struct invocation *inv)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} pages[] = {
		{"commands", print_commands},
		{"settings", print_settings},
		{"errors", print_errors},
		{"metrics", print_metrics},
		{"tools", print_tools},
	};

	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
		if (strcmp(pages[i].name, inv->operands[0]) == 0) {
			pages[i].print();
			return CLI_DONE;
		}
	}
	return cli_usage(inv, "no page '%.60s': commands, settings, errors, metrics or tools", inv->operands[0]);
}
