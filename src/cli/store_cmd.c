/* `context-store store`: a context from words, standard input or a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "base/version.h"
#include "cli/caller.h"
#include "cli/commands.h"

#define INPUT_MAX (64u << 20)

static enum cs_status read_all(int fd, const char *name, struct buffer *out, struct cs_error *err)
{
	for (;;) {
		char *room = buffer_reserve(out, 65536);
		ssize_t got;

		if (!room)
			return buffer_status(out, err);
		got = read(fd, room, 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cs_fail(err, CS_UNAVAILABLE, "cannot read %.200s: %s", name, strerror(errno));
		if (got == 0)
			return CS_OK;
		out->len += (size_t)got;
	}
}

/* The operand itself, standard input for "-", the file for "@FILE". */
static enum cs_status read_input(const char *operand, struct buffer *out, struct cs_error *err)
{
	enum cs_status status;
	int fd;

	if (strcmp(operand, "-") == 0)
		return read_all(STDIN_FILENO, "standard input", out, err);
	if (operand[0] != '@') {
		buffer_append(out, slice_cstr(operand));
		return buffer_status(out, err);
	}
	fd = open(operand + 1, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return cs_fail(err, CS_NOT_FOUND, "cannot open %.200s: %s", operand + 1, strerror(errno));
	status = read_all(fd, operand + 1, out, err);
	close(fd);
	return status;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* {"content": ...}: a JSON object as it is (with --title in it), anything else as its text. */
static enum cs_status write_content(
	struct caller *c, struct json_writer *w, const struct invocation *inv, struct slice input, struct cs_error *err)
{
	const char *title = invocation_option(inv, "title"), *operand = inv->operands[1];
	struct json_doc doc;
	struct cs_error parse_error = {0};
	bool json = json_parse(&c->arena, input, JSON_LIMITS_DEFAULT, &doc, &parse_error) == CS_OK &&
		    json_type_of(&doc, 0) == JSON_OBJECT;

	if (!json && operand[0] == '@' && ends_with(operand, ".json"))
		return cs_fail(err, CS_VALIDATION, "%.200s must hold one JSON object: %s", operand + 1,
			parse_error.status != CS_OK ? parse_error.text : "it holds another value");
	if (!json && utf8_length(input) < 0)
		return cs_fail(err, CS_VALIDATION, "what is stored must be UTF-8 text or a JSON object");
	json_write_name(w, S("content"));
	json_begin_object(w);
	if (title)
		json_key_str(w, "title", slice_cstr(title));
	if (!json)
		json_key_str(w, "text", input);
	for (uint32_t v = json ? json_first(&doc, 0) : JSON_NONE; v != JSON_NONE; v = json_next(&doc, 0, v)) {
		if (title && slice_eq(json_key(&doc, v), S("title")))
			continue;
		json_write_key(w, json_key(&doc, v));
		json_write_node(w, &doc, v);
	}
	json_end_object(w);
	return CS_OK;
}

/* KEY=VALUE is text, KEY:=VALUE is JSON. */
static enum cs_status write_meta(struct caller *c, struct json_writer *w, const char *meta, struct cs_error *err)
{
	const char *equals = strchr(meta, '=');
	bool json = equals && equals > meta && equals[-1] == ':';
	struct json_doc doc;
	enum cs_status status;

	if (!equals || equals - json == meta)
		return cs_fail(err, CS_VALIDATION, "--meta takes KEY=VALUE, or KEY:=JSON; '%.100s' is neither", meta);
	if (!json) {
		json_write_key(w, slice_of(meta, (size_t)(equals - meta)));
		json_write_str(w, slice_cstr(equals + 1));
		return CS_OK;
	}
	status = json_parse(&c->arena, slice_cstr(equals + 1), JSON_LIMITS_DEFAULT, &doc, err);
	if (status != CS_OK)
		return status;
	json_write_key(w, slice_of(meta, (size_t)(equals - 1 - meta)));
	json_write_node(w, &doc, 0);
	return CS_OK;
}

static enum cs_status write_metadata(
	struct caller *c, struct json_writer *w, const struct invocation *inv, struct cs_error *err)
{
	enum cs_status status = CS_OK;
	const char *value;
	int cursor = 0;

	json_write_name(w, S("metadata"));
	json_begin_object(w);
	if (invocation_option(inv, "tag")) {
		json_write_name(w, S("tags"));
		json_begin_array(w);
		while ((value = invocation_each(inv, "tag", &cursor)))
			json_write_str(w, slice_cstr(value));
		json_end_array(w);
	}
	cursor = 0;
	while (status == CS_OK && (value = invocation_each(inv, "meta", &cursor)))
		status = write_meta(c, w, value, err);
	json_end_object(w);
	return status;
}

static enum cs_status write_relations(struct json_writer *w, const struct invocation *inv, struct cs_error *err)
{
	const char *value;
	int cursor = 0;

	json_write_name(w, S("relationships"));
	json_begin_array(w);
	while ((value = invocation_each(inv, "relate", &cursor))) {
		const char *colon = strchr(value, ':');

		if (!colon || colon == value || colon[1] == '\0')
			return cs_fail(err, CS_VALIDATION, "--relate takes TYPE:TARGET, '%.100s' is not", value);
		json_begin_object(w);
		json_key_str(w, "type", slice_of(value, (size_t)(colon - value)));
		json_key_str(w, "target", slice_cstr(colon + 1));
		json_end_object(w);
	}
	json_end_array(w);
	return CS_OK;
}

static enum cs_status write_arguments(
	struct caller *c, const struct invocation *inv, struct slice input, struct cs_error *err)
{
	const char *id = invocation_option(inv, "id"), *if_version = invocation_option(inv, "if-version");
	struct json_writer w = json_writer(&c->arguments);
	enum cs_status status;
	int64_t version;

	for (int i = 0; i < inv->option_count; i++)
		if (utf8_length(slice_cstr(inv->options[i].value)) < 0)
			return cs_fail(err, CS_VALIDATION, "--%s must be UTF-8", inv->options[i].name);
	if (utf8_length(slice_cstr(inv->operands[0])) < 0)
		return cs_fail(err, CS_VALIDATION, "TYPE must be UTF-8");
	json_begin_object(&w);
	json_key_str(&w, "type", slice_cstr(inv->operands[0]));
	status = write_content(c, &w, inv, input, err);
	if (status == CS_OK)
		status = write_metadata(c, &w, inv, err);
	if (status == CS_OK && invocation_option(inv, "relate"))
		status = write_relations(&w, inv, err);
	if (status != CS_OK)
		return status;
	if (id)
		json_key_str(&w, "id", slice_cstr(id));
	if (if_version && !slice_to_i64(slice_cstr(if_version), &version))
		return cs_fail(err, CS_VALIDATION, "--if-version must be a whole number, '%.60s' is not", if_version);
	if (if_version)
		json_key_i64(&w, "if_version", version);
	json_end_object(&w);
	return CS_OK;
}

static void show_stored(const struct caller *c)
{
	struct slice duplicate = caller_str(c, 0, "duplicate_of");

	printf(SLICE_FMT "\n", SLICE_ARG(caller_str(c, 0, "id")));
	fprintf(stderr, "stored as version %lld\n", (long long)caller_i64(c, 0, "version"));
	if (duplicate.len > 0)
		fprintf(stderr, "the same content is stored already as " SLICE_FMT "\n", SLICE_ARG(duplicate));
}

enum cli_exit store_command(struct invocation *inv)
{
	struct buffer input;
	struct caller c;
	struct cs_error err;
	enum cs_status status;

	buffer_init(&input, INPUT_MAX);
	status = read_input(inv->operands[1], &input, &err);
	if (status == CS_OK)
		status = caller_open(&c, inv, true, &err);
	if (status != CS_OK) {
		buffer_release(&input);
		return cli_fail(&err);
	}
	status = write_arguments(&c, inv, buffer_slice(&input), &err);
	if (status == CS_OK)
		status = caller_run(&c, S("store_context"), &err);
	if (status == CS_OK && invocation_option(inv, "json"))
		printf(SLICE_FMT "\n", SLICE_ARG(buffer_slice(&c.reply)));
	else if (status == CS_OK)
		show_stored(&c);
	caller_close(&c);
	buffer_release(&input);
	return status == CS_OK ? CLI_DONE : cli_fail(&err);
}
