/* Strings are measured first and then copied, so that the words cost one allocation of the right size.
 *
 * The walk is recursive: the depth of a parsed document is limited (JSON_DEPTH_MAX), and so is the recursion. */
#include "store/words.h"

/* Collects strings, each followed by a line end. */
struct string_walk {
	const struct json_doc *doc;
	uint32_t skip[2]; /* values given already: title, text */
	char *to;         /* NULL: measure only */
	size_t len;
};

static void take(struct string_walk *walk, struct slice text)
{
	if (text.len == 0)
		return;
	if (walk->to) {
		memcpy(walk->to + walk->len, text.ptr, text.len);
		walk->to[walk->len + text.len] = '\n';
	}
	walk->len += text.len + 1;
}

static void take_below(struct string_walk *walk, uint32_t node)
{
	const struct json_node *at = &walk->doc->nodes[node];

	if (at->type == JSON_STRING && node != walk->skip[0] && node != walk->skip[1])
		take(walk, at->text);
	if (at->type != JSON_ARRAY && at->type != JSON_OBJECT)
		return;
	for (uint32_t child = json_first(walk->doc, node); child != JSON_NONE;
		child = json_next(walk->doc, node, child))
		take_below(walk, child);
}

static uint32_t string_member(const struct json_doc *doc, uint32_t object, struct slice name)
{
	uint32_t node = json_get(doc, object, name);

	return node != JSON_NONE && json_type_of(doc, node) == JSON_STRING ? node : JSON_NONE;
}

static struct slice text_of(const struct json_doc *doc, uint32_t object, struct slice name)
{
	struct slice text = {NULL, 0};

	(void)json_str(doc, json_get(doc, object, name), &text);
	return text;
}

static enum cs_status draw_tags(
	struct op *op, const struct json_doc *doc, uint32_t metadata, struct context *context, struct cs_error *err)
{
	uint32_t array = json_get(doc, metadata, S("tags"));
	struct slice *tags;
	size_t count = 0;

	context->tags = NULL;
	context->tag_count = 0;
	if (array == JSON_NONE || json_type_of(doc, array) != JSON_ARRAY)
		return CS_OK;
	if (doc->nodes[array].count > CONTEXT_TAGS_MAX)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "metadata.tags may have at most %d elements, not %u",
			CONTEXT_TAGS_MAX, doc->nodes[array].count);
	tags = arena_array(op->arena, doc->nodes[array].count, sizeof *tags);
	if (!tags)
		return cs_fail_memory(err);
	for (uint32_t tag = json_first(doc, array); tag != JSON_NONE; tag = json_next(doc, array, tag))
		if (json_str(doc, tag, &tags[count]))
			count++;
	context->tags = tags;
	context->tag_count = count;
	return CS_OK;
}

static void take_all(struct string_walk *walk, const struct context *context, uint32_t text, uint32_t content)
{
	walk->len = 0;
	take(walk, context->title);
	if (text != JSON_NONE)
		take(walk, walk->doc->nodes[text].text);
	take_below(walk, content);
	for (size_t i = 0; i < context->tag_count; i++)
		take(walk, context->tags[i]);
}

enum cs_status words_draw(struct op *op, const struct json_doc *doc, uint32_t content, uint32_t metadata,
	struct context *context, struct cs_error *err)
{
	uint32_t title = string_member(doc, content, S("title"));
	uint32_t text = string_member(doc, content, S("text"));
	struct string_walk walk = {.doc = doc};
	enum cs_status status;

	if (title == JSON_NONE)
		title = string_member(doc, content, S("name"));
	context->title = title == JSON_NONE ? text_of(doc, metadata, S("title")) : doc->nodes[title].text;
	context->status = text_of(doc, metadata, S("status"));
	if (context->status.len == 0)
		context->status = text_of(doc, content, S("status"));
	context->source = text_of(doc, metadata, S("source"));
	context->author = text_of(doc, metadata, S("author"));
	context->agent_id = text_of(doc, metadata, S("agent_id"));
	context->namespace_ = text_of(doc, metadata, S("namespace"));
	context->priority = text_of(doc, metadata, S("priority"));
	status = draw_tags(op, doc, metadata, context, err);
	if (status != CS_OK)
		return status;
	walk.skip[0] = title;
	walk.skip[1] = text;
	take_all(&walk, context, text, content);
	walk.to = arena_alloc(op->arena, walk.len);
	if (!walk.to)
		return cs_fail_memory(err);
	take_all(&walk, context, text, content);
	context->words = slice_of(walk.to, walk.len);
	return CS_OK;
}
