/* Takes a command line apart.
 *
 * getopt_long was weighed: it neither knows two sets of options (the command's and the settings') nor says what a
 * mistyped one was meant to be, and it reorders argv. A walk over the words with two look-ups is shorter than its table
 * would be. */
#include "cli/invocation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/version.h"
#include "cli/commands.h"

#define WORD_MAX 64 /* bytes of a wrong word that are told back */

enum cli_exit cli_fail(const struct cs_error *err)
{
	fprintf(stderr, CS_NAME ": %s\n", err->text);
	return CLI_FAILED;
}

enum cli_exit cli_usage(const struct invocation *inv, const char *format, ...)
{
	const struct command *c = inv ? inv->command : NULL;
	va_list args;

	fputs(CS_NAME ": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (c)
		fprintf(stderr, "\nusage: " CS_NAME " %s%s%s (see " CS_NAME " help %s)\n", c->name,
			*c->operands ? " " : "", c->operands, c->name);
	else
		fputs("\nusage: " CS_NAME " COMMAND [...] (see " CS_NAME " --help)\n", stderr);
	return CLI_USAGE;
}

static const struct option_row *find_option(const struct command *command, const char *name, size_t len)
{
	for (const struct option_row *o = command->options; o && o->name; o++)
		if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

/* The setting's row of this flag; *ret_config when it is --config, which names the file and is no setting. */
static const struct setting_row *find_setting(const char *name, size_t len, bool *ret_config)
{
	*ret_config = len == 6 && memcmp(name, "config", 6) == 0;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (strlen(setting_rows[i].flag) == len && memcmp(setting_rows[i].flag, name, len) == 0)
			return &setting_rows[i];
	return NULL;
}

static enum cs_status fail_unknown(const struct command *command, struct slice name, struct cs_error *err)
{
	struct nearest nearest = nearest_to(name);
	int shown = name.len < WORD_MAX ? (int)name.len : WORD_MAX;

	for (const struct option_row *o = command->options; o && o->name; o++)
		nearest_offer(&nearest, slice_cstr(o->name));
	for (size_t i = 0; i < SETTING_COUNT; i++)
		nearest_offer(&nearest, slice_cstr(setting_rows[i].flag));
	nearest_offer(&nearest, S("config"));
	nearest_offer(&nearest, S("help"));
	if (nearest.best.len > 0)
		return cs_fail(err, CS_VALIDATION, "unknown option --%.*s; did you mean --" SLICE_FMT "?", shown,
			name.ptr, SLICE_ARG(nearest.best));
	return cs_fail(err, CS_VALIDATION, "unknown option --%.*s", shown, name.ptr);
}

static enum cs_status take_setting(
	struct invocation *inv, bool takes_value, int argc, char **argv, int *at, struct cs_error *err)
{
	inv->settings[inv->setting_count++] = argv[*at];
	if (!takes_value || strchr(argv[*at], '='))
		return CS_OK;
	if (*at + 1 >= argc)
		return cs_fail(err, CS_VALIDATION, "%s needs a value", argv[*at]);
	inv->settings[inv->setting_count++] = argv[++*at];
	return CS_OK;
}

static bool takes_several(const struct option_row *option)
{
	size_t length = option->value ? strlen(option->value) : 0;

	return length > 3 && strcmp(option->value + length - 3, "...") == 0;
}

static enum cs_status take_option(struct invocation *inv, const struct option_row *option, const char *equals, int argc,
	char **argv, int *at, struct cs_error *err)
{
	const char *value = "";

	if (!option->value && equals)
		return cs_fail(err, CS_VALIDATION, "--%s takes no value", option->name);
	if (option->value && equals)
		value = equals + 1;
	else if (option->value && (*at + 1 >= argc || (takes_several(option) && argv[*at + 1][0] == '-')))
		return cs_fail(err, CS_VALIDATION, "--%s needs a value: %s", option->name, option->value);
	else if (option->value)
		value = argv[++*at];
	inv->options[inv->option_count++] = (struct invocation_option){option->name, value};
	/* Each word stands for the option and itself; there is room, since every entry has a word of argv. */
	while (takes_several(option) && !equals && *at + 1 < argc && argv[*at + 1][0] != '-')
		inv->options[inv->option_count++] = (struct invocation_option){option->name, argv[++*at]};
	return CS_OK;
}

static enum cs_status take_word(struct invocation *inv, int argc, char **argv, int *at, struct cs_error *err)
{
	const char *word = argv[*at], *name, *equals;
	const struct option_row *option;
	const struct setting_row *setting;
	bool config;
	size_t len;

	if (word[0] != '-' || word[1] == '\0') {
		inv->operands[inv->operand_count++] = argv[*at];
		return CS_OK;
	}
	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
		inv->help = true;
		return CS_OK;
	}
	if (word[1] != '-')
		return cs_fail(err, CS_VALIDATION,
			"unknown option %.60s; options begin with --, and -- stands before words that begin with -",
			word);
	name = word + 2;
	equals = strchr(name, '=');
	len = equals ? (size_t)(equals - name) : strlen(name);
	option = find_option(inv->command, name, len);
	if (option)
		return take_option(inv, option, equals, argc, argv, at, err);
	setting = find_setting(name, len, &config);
	if (setting || config)
		return take_setting(inv, config || setting->kind != SETTING_BOOL, argc, argv, at, err);
	return fail_unknown(inv->command, slice_of(name, len), err);
}

static enum cs_status check_count(const struct invocation *inv, struct cs_error *err)
{
	const struct command *c = inv->command;

	if (inv->help)
		return CS_OK;
	if (inv->operand_count > c->operands_max)
		return cs_fail(err, CS_VALIDATION, "'%.60s' is one word too many for %s",
			inv->operands[c->operands_max], c->name);
	if (inv->operand_count < c->operands_min)
		return cs_fail(err, CS_VALIDATION, "%s needs %s", c->name, c->operands);
	return CS_OK;
}

enum cs_status invocation_parse(
	struct invocation *ret_inv, const struct command *command, int argc, char **argv, struct cs_error *err)
{
	struct invocation inv = {.command = command};
	enum cs_status status = CS_OK;
	size_t room = (size_t)argc + 1;

	inv.operands = calloc(room, sizeof *inv.operands);
	inv.settings = calloc(room, sizeof *inv.settings);
	inv.options = calloc(room, sizeof *inv.options);
	if (!inv.operands || !inv.settings || !inv.options) {
		invocation_release(&inv);
		return cs_fail_memory(err);
	}
	for (int at = 0; at < argc && status == CS_OK; at++) {
		if (strcmp(argv[at], "--") == 0) {
			while (++at < argc)
				inv.operands[inv.operand_count++] = argv[at];
			break;
		}
		status = take_word(&inv, argc, argv, &at, err);
	}
	if (status == CS_OK)
		status = check_count(&inv, err);
	if (status != CS_OK) {
		invocation_release(&inv);
		return status;
	}
	*ret_inv = inv;
	return CS_OK;
}

void invocation_release(struct invocation *inv)
{
	config_free(inv->config);
	free(inv->operands);
	free(inv->settings);
	free(inv->options);
	*inv = (struct invocation){0};
}

const char *invocation_option(const struct invocation *inv, const char *name)
{
	for (int i = inv->option_count - 1; i >= 0; i--)
		if (strcmp(inv->options[i].name, name) == 0)
			return inv->options[i].value;
	return NULL;
}

const char *invocation_each(const struct invocation *inv, const char *name, int *cursor)
{
	while (*cursor < inv->option_count) {
		const struct invocation_option *option = &inv->options[(*cursor)++];

		if (strcmp(option->name, name) == 0)
			return option->value;
	}
	return NULL;
}
