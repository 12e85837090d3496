/* `context-store search`, `get`, `delete`, `forget`, `restore`: reading and removing, for people. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "base/version.h"
#include "cli/caller.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "cli/table.h"
#include "store/retrieve.h"

/* Every word of the command line that goes into JSON must be UTF-8: the writer relies on it. */
static enum cs_status check_words(const struct invocation *inv, struct cs_error *err)
{
	for (int i = 0; i < inv->operand_count; i++)
		if (utf8_length(slice_cstr(inv->operands[i])) < 0)
			return cs_fail(err, CS_VALIDATION, "word %d is not UTF-8", i + 1);
	for (int i = 0; i < inv->option_count; i++)
		if (utf8_length(slice_cstr(inv->options[i].value)) < 0)
			return cs_fail(err, CS_VALIDATION, "--%s must be UTF-8", inv->options[i].name);
	return CS_OK;
}

static enum cs_status open_reader(struct caller *c, const struct invocation *inv, struct cs_error *err)
{
	enum cs_status status = check_words(inv, err);

	return status == CS_OK ? caller_open(c, inv, false, err) : status;
}

static enum cs_status key_number(
	struct json_writer *w, const struct invocation *inv, const char *option, const char *name, struct cs_error *err)
{
	const char *text = invocation_option(inv, option);
	int64_t value;

	if (!text)
		return CS_OK;
	if (!slice_to_i64(slice_cstr(text), &value))
		return cs_fail(err, CS_VALIDATION, "--%s must be a whole number, '%.60s' is not", option, text);
	json_key_i64(w, name, value);
	return CS_OK;
}

static enum cs_status write_search(struct caller *c, const struct invocation *inv, struct cs_error *err)
{
	struct json_writer w = json_writer(&c->arguments);
	struct buffer query;
	enum cs_status status;
	const char *tag;
	int cursor = 0;

	buffer_init(&query, CALLER_REPLY_MAX);
	for (int i = 0; i < inv->operand_count; i++)
		buffer_printf(&query, "%s%s", i ? " " : "", inv->operands[i]);
	json_begin_object(&w);
	json_key_str(&w, "query", buffer_slice(&query));
	buffer_release(&query);
	if (invocation_option(inv, "type"))
		json_key_str(&w, "type", slice_cstr(invocation_option(inv, "type")));
	if (invocation_option(inv, "newest"))
		json_key_str(&w, "sort_by", S("timestamp"));
	if (invocation_option(inv, "tag")) {
		json_write_name(&w, S("filters"));
		json_begin_object(&w);
		json_write_name(&w, S("tags"));
		json_begin_array(&w);
		while ((tag = invocation_each(inv, "tag", &cursor)))
			json_write_str(&w, slice_cstr(tag));
		json_end_array(&w);
		json_end_object(&w);
	}
	status = key_number(&w, inv, "limit", "limit", err);
	json_end_object(&w);
	return status;
}

static enum cs_status show_results(struct caller *c, struct cs_error *err)
{
	static const char *const headings[] = {"id", "type", "score", "stored", "what", NULL};
	uint32_t results = json_get(&c->doc, 0, S("results"));
	int64_t total = caller_i64(c, 0, "total_count");
	struct table table;
	size_t shown = 0;

	table_init(&table, &c->arena, headings);
	table.last_is_text = true;
	for (uint32_t r = results == JSON_NONE ? JSON_NONE : json_first(&c->doc, results); r != JSON_NONE;
		r = json_next(&c->doc, results, r)) {
		double score = 0;
		struct slice when = caller_str(c, r, "created_at");
		struct slice cells[5] = {caller_str(c, r, "id"), caller_str(c, r, "type")};

		(void)json_f64(&c->doc, json_get(&c->doc, r, S("score")), &score);
		when.len = when.len > 16 ? 16 : when.len; /* to the minute */
		cells[2] = arena_printf(&c->arena, "%.2f", score);
		cells[3] = when;
		cells[4] = show_summary(&c->arena, &c->doc, json_get(&c->doc, r, S("content")));
		if (!table_add(&table, cells))
			return cs_fail_memory(err);
		shown++;
	}
	if (shown == 0) {
		fputs("nothing found\n", stderr);
		return CS_OK;
	}
	table_print(&table);
	if ((uint64_t)total > shown)
		fprintf(stderr, "%zu of %lld; %s\n", shown, (long long)total,
			shown < RETRIEVE_LIMIT_MAX ? "--limit N shows more"
						   : "further words, --type or --tag narrow it");
	return CS_OK;
}

/* Opens, runs, shows. `write` writes the arguments; `show` prints the reply unless --json was given. */
static enum cli_exit run_tool(struct invocation *inv, struct slice tool,
	enum cs_status (*write)(struct caller *, const struct invocation *, struct cs_error *),
	enum cs_status (*show)(struct caller *, struct cs_error *))
{
	struct caller c;
	struct cs_error err;
	enum cs_status status = open_reader(&c, inv, &err);

	if (status != CS_OK)
		return cli_fail(&err);
	status = write(&c, inv, &err);
	if (status == CS_OK)
		status = caller_run(&c, tool, &err);
	if (status == CS_OK && invocation_option(inv, "json"))
		printf(SLICE_FMT "\n", SLICE_ARG(buffer_slice(&c.reply)));
	else if (status == CS_OK)
		status = show(&c, &err);
	caller_close(&c);
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}

enum cli_exit search_command(struct invocation *inv)
{
	return run_tool(inv, S("retrieve_context"), write_search, show_results);
}

static enum cs_status write_get(struct caller *c, const struct invocation *inv, struct cs_error *err)
{
	struct json_writer w = json_writer(&c->arguments);

	json_begin_object(&w);
	json_write_name(&w, S("ids"));
	json_begin_array(&w);
	json_write_str(&w, slice_cstr(inv->operands[0]));
	json_end_array(&w);
	json_key_bool(&w, "include_relationships", true);
	json_end_object(&w);
	return CS_OK;
}

static enum cs_status show_history(struct caller *c)
{
	uint32_t history = json_get(&c->doc, 0, S("history"));

	for (uint32_t h = json_first(&c->doc, history); h != JSON_NONE; h = json_next(&c->doc, history, h)) {
		screen_bold(true);
		printf("version %lld, " SLICE_FMT, (long long)caller_i64(c, h, "version"),
			SLICE_ARG(caller_str(c, h, "updated_at")));
		screen_bold(false);
		putchar('\n');
		show_json(&c->doc, json_get(&c->doc, h, S("content")));
		putchar('\n');
	}
	return CS_OK;
}

static enum cs_status get_one(struct caller *c, const struct invocation *inv, struct cs_error *err)
{
	bool json = invocation_option(inv, "json") != NULL;
	enum cs_status status;
	uint32_t results, first;

	if (invocation_option(inv, "history")) {
		status = caller_act(c, "history", slice_cstr(inv->operands[0]), err);
		if (status == CS_OK && json)
			printf(SLICE_FMT "\n", SLICE_ARG(buffer_slice(&c->reply)));
		else if (status == CS_OK)
			status = show_history(c);
		return status;
	}
	status = write_get(c, inv, err);
	if (status == CS_OK)
		status = caller_run(c, S("retrieve_context"), err);
	if (status != CS_OK)
		return status;
	results = json_get(&c->doc, 0, S("results"));
	first = results == JSON_NONE ? JSON_NONE : json_first(&c->doc, results);
	if (first == JSON_NONE)
		return cs_fail(err, CS_NOT_FOUND,
			"no context has the id %.100s; " CS_NAME " search finds ids, restore undoes a deletion",
			inv->operands[0]);
	if (json) {
		struct json_writer w = json_writer(&c->arguments);

		buffer_clear(&c->arguments);
		json_write_node(&w, &c->doc, first);
		printf(SLICE_FMT "\n", SLICE_ARG(buffer_slice(&c->arguments)));
	} else {
		show_context(&c->doc, first);
	}
	return CS_OK;
}

enum cli_exit get_command(struct invocation *inv)
{
	struct caller c;
	struct cs_error err;
	enum cs_status status = open_reader(&c, inv, &err);

	if (status != CS_OK)
		return cli_fail(&err);
	status = get_one(&c, inv, &err);
	caller_close(&c);
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}

static enum cs_status write_removal(struct caller *c, const struct invocation *inv, struct cs_error *err)
{
	struct json_writer w = json_writer(&c->arguments);
	const char *reason = invocation_option(inv, "reason");
	enum cs_status status;

	json_begin_object(&w);
	json_key_str(&w, "context_id", slice_cstr(inv->operands[0]));
	if (reason)
		json_key_str(&w, "reason", slice_cstr(reason));
	if (invocation_option(inv, "hard"))
		json_key_bool(&w, "hard_delete", true);
	status = key_number(&w, inv, "retention-days", "retention_days", err);
	json_end_object(&w);
	return status;
}

static enum cs_status show_message(struct caller *c, struct cs_error *err)
{
	screen_text(caller_str(c, 0, "message"), false);
	putchar('\n');
	return CS_OK;
}

enum cli_exit delete_command(struct invocation *inv)
{
	if (!invocation_option(inv, "reason"))
		return cli_usage(inv, "delete needs --reason TEXT, for the audit log");
	return run_tool(inv, S("delete_context"), write_removal, show_message);
}

enum cli_exit forget_command(struct invocation *inv)
{
	if (!invocation_option(inv, "reason"))
		return cli_usage(inv, "forget needs --reason TEXT, for the audit log");
	return run_tool(inv, S("forget_context"), write_removal, show_message);
}

enum cli_exit restore_command(struct invocation *inv)
{
	struct caller c;
	struct cs_error err;
	enum cs_status status = open_reader(&c, inv, &err);

	if (status != CS_OK)
		return cli_fail(&err);
	status = caller_act(&c, "restore", slice_cstr(inv->operands[0]), &err);
	if (status == CS_OK)
		printf("restored %s\n", inv->operands[0]);
	caller_close(&c);
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}
