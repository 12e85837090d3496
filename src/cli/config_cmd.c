/* `context-store config`: what holds, and why. */
#include "base/json.h"
#include "base/nearest.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/table.h"

static const char *const origin_names[] = {"default", "file", "environment", "flag"};

static void write_json(const struct config *config, size_t first, size_t end)
{
	struct buffer out;
	struct json_writer w;

	buffer_init(&out, 1u << 20);
	w = json_writer(&out);
	json_begin_object(&w);
	for (size_t i = first; i < end; i++) {
		enum setting_id id = (enum setting_id)i;

		json_write_key(&w, slice_cstr(setting_rows[i].flag));
		json_begin_object(&w);
		if (setting_rows[i].kind == SETTING_INT || setting_rows[i].kind == SETTING_SIZE)
			json_key_i64(&w, "value", config_int(config, id));
		else if (setting_rows[i].kind == SETTING_BOOL)
			json_key_bool(&w, "value", config_bool(config, id));
		else
			json_key_str(&w, "value", config_shown(config, id));
		json_key_str(&w, "origin", slice_cstr(origin_names[config_origin(config, id)]));
		json_key_str(&w, "from", config_origin_text(config, id));
		json_key_str(&w, "environment", slice_cstr(setting_rows[i].env));
		json_end_object(&w);
	}
	json_end_object(&w);
	printf(SLICE_FMT "\n", SLICE_ARG(buffer_slice(&out)));
	buffer_release(&out);
}

static enum cli_exit find_name(const struct invocation *inv, size_t *ret_index)
{
	struct nearest nearest = nearest_to(slice_cstr(inv->operands[0]));

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (strcmp(setting_rows[i].flag, inv->operands[0]) == 0 ||
			strcmp(setting_rows[i].env, inv->operands[0]) == 0) {
			*ret_index = i;
			return CLI_DONE;
		}
		nearest_offer(&nearest, slice_cstr(setting_rows[i].flag));
	}
	if (nearest.best.len > 0)
		return cli_usage(inv, "no setting '%.60s'; did you mean " SLICE_FMT "?", inv->operands[0],
			SLICE_ARG(nearest.best));
	return cli_usage(inv, "no setting '%.60s'", inv->operands[0]);
}

enum cli_exit config_command(struct invocation *inv)
{
	static const char *const headings[] = {"setting", "value", "from", NULL};
	size_t first = 0, end = SETTING_COUNT;
	struct arena arena;
	struct table table;
	bool fits = true;

	if (inv->operand_count > 0) {
		enum cli_exit code = find_name(inv, &first);

		if (code != CLI_DONE)
			return code;
		end = first + 1;
	}
	if (invocation_option(inv, "json")) {
		write_json(inv->config, first, end);
		return CLI_DONE;
	}
	arena_init(&arena, NULL, 0, 1u << 20);
	table_init(&table, &arena, headings);
	for (size_t i = first; i < end && fits; i++) {
		enum setting_id id = (enum setting_id)i;
		const struct slice cells[] = {slice_cstr(setting_rows[i].flag), config_shown(inv->config, id),
			config_origin_text(inv->config, id)};

		fits = table_add(&table, cells);
	}
	if (fits)
		table_print(&table);
	else
		fputs(CS_NAME ": out of memory\n", stderr);
	arena_release(&arena);
	return fits ? CLI_DONE : CLI_FAILED;
}
