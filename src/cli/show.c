/* Contexts on the screen. */
#include "cli/show.h"

#include <stdio.h>

#include "cli/table.h"

#define VALUE_MAX   (64u << 20)
#define LABEL_WIDTH 14

static void show_scalar(const struct json_doc *doc, uint32_t node)
{
	struct buffer out;
	struct json_writer w;

	buffer_init(&out, VALUE_MAX);
	w = json_writer(&out);
	json_write_node(&w, doc, node);
	screen_text(buffer_slice(&out), false);
	buffer_release(&out);
}

static void show_at(const struct json_doc *doc, uint32_t node, int depth)
{
	enum json_type type = json_type_of(doc, node);
	bool object = type == JSON_OBJECT;
	const char *separator = "";

	if ((!object && type != JSON_ARRAY) || doc->nodes[node].count == 0) {
		show_scalar(doc, node);
		return;
	}
	putchar(object ? '{' : '[');
	for (uint32_t v = json_first(doc, node); v != JSON_NONE; v = json_next(doc, node, v)) {
		printf("%s\n%*s", separator, 2 * depth + 2, "");
		if (object) {
			show_scalar(doc, v - 1);
			fputs(": ", stdout);
		}
		show_at(doc, v, depth + 1);
		separator = ",";
	}
	printf("\n%*s%c", 2 * depth, "", object ? '}' : ']');
}

void show_json(const struct json_doc *doc, uint32_t node)
{
	show_at(doc, node, 0);
}

static void show_label(const char *label)
{
	screen_bold(true);
	printf("%-*s", LABEL_WIDTH, label);
	screen_bold(false);
}

static void show_member(const struct json_doc *doc, uint32_t object, const char *name)
{
	uint32_t node = json_get(doc, object, slice_cstr(name));
	struct slice text;

	if (node == JSON_NONE || json_type_of(doc, node) == JSON_NULL)
		return;
	show_label(name);
	if (json_str(doc, node, &text))
		screen_text(text, false);
	else
		show_scalar(doc, node);
	putchar('\n');
}

static void show_relations(const struct json_doc *doc, uint32_t relations)
{
	if (relations == JSON_NONE || json_type_of(doc, relations) != JSON_ARRAY)
		return;
	for (uint32_t r = json_first(doc, relations); r != JSON_NONE; r = json_next(doc, relations, r)) {
		struct slice type = S(""), target = S("");

		(void)json_str(doc, json_get(doc, r, S("type")), &type);
		(void)json_str(doc, json_get(doc, r, S("target")), &target);
		show_label("relation");
		screen_text(type, false);
		fputs(" -> ", stdout);
		screen_text(target, false);
		putchar('\n');
	}
}

void show_context(const struct json_doc *doc, uint32_t context)
{
	static const char *const head[] = {"id", "type", "version", "created_at", "source"};
	uint32_t content = json_get(doc, context, S("content")), metadata = json_get(doc, context, S("metadata"));
	struct slice text;

	for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
		show_member(doc, context, head[i]);
	if (metadata != JSON_NONE && json_type_of(doc, metadata) == JSON_OBJECT)
		for (uint32_t v = json_first(doc, metadata); v != JSON_NONE; v = json_next(doc, metadata, v)) {
			struct slice key = json_key(doc, v);

			screen_bold(true);
			screen_text(key, false);
			screen_bold(false);
			printf("%*s", key.len < LABEL_WIDTH ? (int)(LABEL_WIDTH - key.len) : 1, "");
			if (json_str(doc, v, &text))
				screen_text(text, false);
			else
				show_scalar(doc, v);
			putchar('\n');
		}
	show_relations(doc, json_get(doc, context, S("relationships")));
	putchar('\n');
	if (content == JSON_NONE)
		return;
	if (json_str(doc, json_get(doc, content, S("text")), &text) && doc->nodes[content].count <= 2) {
		show_member(doc, content, "title");
		screen_text(text, true);
	} else {
		show_json(doc, content);
	}
	putchar('\n');
}

struct slice show_summary(struct arena *arena, const struct json_doc *doc, uint32_t content)
{
	struct slice title = S(""), text = S("");
	struct buffer out;
	struct json_writer w;

	if (content == JSON_NONE)
		return text;
	(void)json_str(doc, json_get(doc, content, S("title")), &title);
	(void)json_str(doc, json_get(doc, content, S("text")), &text);
	if (title.len == 0 && text.len > 0)
		return text;
	if (title.len > 0 && text.len == 0)
		return title;
	if (title.len > 0)
		return arena_printf(arena, SLICE_FMT ": " SLICE_FMT, SLICE_ARG(title), SLICE_ARG(text));
	buffer_init(&out, VALUE_MAX);
	w = json_writer(&out);
	json_write_node(&w, doc, content);
	text = arena_copy(arena, buffer_slice(&out));
	buffer_release(&out);
	return text;
}
