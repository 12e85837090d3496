/* `context-store model`: which models there are, where they lie, whether they are whole, and fetching one. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/nearest.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/models.h"
#include "cli/table.h"
#include "embed/encoder.h"

#define CALL_MEMORY (4u << 20)

struct model_call {
	const struct invocation *inv;
	struct arena arena;
	struct slice word;           /* the model that is meant */
	struct slice path;           /* where it lies or would lie */
	const struct model_row *row; /* NULL: none of the table */
	struct cs_error err;
};

static enum cli_exit unknown_model(const struct model_call *c)
{
	struct nearest nearest = nearest_to(c->word);

	for (size_t i = 0; i < model_row_count; i++)
		nearest_offer(&nearest, slice_cstr(model_rows[i].name));
	if (nearest.best.len > 0)
		return cli_usage(
			c->inv, "no model '%.60s'; did you mean " SLICE_FMT "?", c->word.ptr, SLICE_ARG(nearest.best));
	return cli_usage(c->inv, "no model '%.60s'; " CS_NAME " model list shows them", c->word.ptr);
}

static enum cs_status list_row(struct model_call *c, const struct model_row *row, struct table *table)
{
	const char *state = "not installed";
	struct slice path, size = arena_printf(&c->arena, "%u MB", row->megabytes);
	struct slice dimension = arena_printf(&c->arena, "%u", row->dimension);
	enum cs_status status = model_path_of(c->inv->config, &c->arena, slice_cstr(row->name), &path, &c->err);

	if (status != CS_OK)
		return status;
	if (model_is_installed(path))
		state = slice_eq(slice_cstr(row->name), config_str(c->inv->config, SETTING_EMBEDDING_MODEL))
				? "installed, in use"
				: "installed";
	const struct slice cells[] = {slice_cstr(row->name), slice_cstr(state), dimension, size,
		slice_cstr(row->licence), slice_cstr(row->summary)};

	return size.ptr && dimension.ptr && table_add(table, cells) ? CS_OK : cs_fail_memory(&c->err);
}

static enum cli_exit run_list(struct model_call *c)
{
	static const char *const headings[] = {"model", "state", "dimension", "size", "licence", "", NULL};
	enum cs_status status = CS_OK;
	struct table table;

	table_init(&table, &c->arena, headings);
	for (size_t i = 0; i < model_row_count && status == CS_OK; i++)
		status = list_row(c, &model_rows[i], &table);
	if (status != CS_OK)
		return cli_fail(&c->err);
	table_print(&table);
	return CLI_DONE;
}

static enum cli_exit run_path(struct model_call *c)
{
	if (!model_is_installed(c->path)) {
		(void)cs_fail(&c->err, CS_NOT_FOUND, "no model in %.300s; " CS_NAME " model pull%s%.60s fetches it",
			c->path.ptr, c->row ? " " : "", c->row ? c->row->name : "");
		return cli_fail(&c->err);
	}
	puts(c->path.ptr);
	return CLI_DONE;
}

/* A model of the table is its pinned files. */
static size_t verify_files(const struct model_call *c)
{
	static const char *const names[] = {"ok", "missing", "damaged"};
	size_t wrong = 0;

	for (const struct model_file *file = c->row->files; file->name; file++) {
		enum model_verdict verdict;

		if (!file->sha256)
			continue;
		verdict = model_file_check(c->path, file);
		printf("%-8s %s/%s\n", names[verdict], c->path.ptr, file->name);
		wrong += verdict != MODEL_FILE_GOOD;
	}
	return wrong;
}

static enum cli_exit run_verify(struct model_call *c)
{
	size_t wrong;

	if (!c->row) {
		(void)cs_fail(&c->err, CS_VALIDATION,
			"%.60s is none of the models whose files are pinned; " CS_NAME " embed says whether it works",
			c->word.ptr);
		return cli_fail(&c->err);
	}
	wrong = verify_files(c);
	if (wrong == 0)
		return CLI_DONE;
	(void)cs_fail(&c->err, CS_VALIDATION, "%zu %s missing or damaged; " CS_NAME " model pull %s fetches it anew",
		wrong, wrong == 1 ? "file is" : "files are", c->row->name);
	return cli_fail(&c->err);
}

static bool is_whole(const struct model_call *c)
{
	for (const struct model_file *file = c->row->files; file->name; file++)
		if (file->sha256 && model_file_check(c->path, file) != MODEL_FILE_GOOD)
			return false;
	return true;
}

/* Opening a model makes the file of its 8-bit weights, which takes some seconds: here somebody waits anyway, and the first
 * question to a server does not. A directory that cannot be written to is none of this command's business. */
static enum cs_status make_ready(struct model_call *c)
{
	const struct encoder_options options = {.precision = ENCODER_INT8};
	struct encoder *encoder;
	enum cs_status status = encoder_open(c->path, &options, &encoder, &c->err);

	if (status == CS_OK)
		encoder_close(encoder);
	return status;
}

static enum cli_exit run_pull(struct model_call *c)
{
	struct slice dir;

	if (!c->row)
		return unknown_model(c);
	if (model_dir_resolve(c->inv->config, &c->arena, &dir, &c->err) != CS_OK)
		return cli_fail(&c->err);
	if (is_whole(c))
		fprintf(stderr, "%s is there already, and whole\n", c->row->name);
	else if (model_pull(c->row, dir, invocation_option(c->inv, "from"), &c->err) != CS_OK)
		return cli_fail(&c->err);
	if (make_ready(c) != CS_OK)
		return cli_fail(&c->err);
	puts(c->path.ptr);
	return CLI_DONE;
}

static const struct {
	const char *name;
	enum cli_exit (*run)(struct model_call *);
} actions[] = {{"list", run_list}, {"path", run_path}, {"verify", run_verify}, {"pull", run_pull}};

enum cli_exit model_command(struct invocation *inv)
{
	struct model_call c = {.inv = inv, .word = config_str(inv->config, SETTING_EMBEDDING_MODEL)};
	enum cli_exit code = CLI_USAGE;
	size_t at = 0, count = sizeof actions / sizeof *actions;

	while (at < count && strcmp(actions[at].name, inv->operands[0]) != 0)
		at++;
	if (at == count)
		return cli_usage(inv, "'%.60s' is none of list, path, verify and pull", inv->operands[0]);
	arena_init(&c.arena, NULL, 0, CALL_MEMORY);
	if (inv->operand_count > 1)
		c.word = slice_cstr(inv->operands[1]);
	else if (slice_eq(c.word, S("off")) || config_str(inv->config, SETTING_EMBEDDING_URL).len > 0)
		c.word = slice_cstr(model_rows[0].name);
	c.row = model_find(c.word);
	if (model_path_of(inv->config, &c.arena, c.word, &c.path, &c.err) != CS_OK)
		code = cli_fail(&c.err);
	else if (at > 0 && !c.row && slice_find_byte(c.word, '/') == c.word.len && !model_is_installed(c.path))
		code = unknown_model(&c);
	else
		code = actions[at].run(&c);
	arena_release(&c.arena);
	return code;
}
