/* Tools over the real engine in a directory of their own: call one with JSON text, look at the reply.
 *
 * Every reply is checked against the tool's output table on the way, unknown members included. Included once a program.
 */
#ifndef CS_TESTS_TOOL_FIXTURE_H
#define CS_TESTS_TOOL_FIXTURE_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "mcp/schema.h"
#include "mcp/tools.h"

struct tools_fixture {
	struct store store;
	struct engine *engine;
	struct arena arena;
	struct op op;
	struct buffer out;
	struct json_doc reply;
	char dir[64];
};

static struct tools_fixture fx;

static enum cs_status fx_acquire(void *self, struct op *op, struct store **ret_store, struct cs_error *err)
{
	*ret_store = &fx.store;
	return CS_OK;
}

static int fx_remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static inline int fx_setup(void **state)
{
	struct cs_error err;

	fx = (struct tools_fixture){0};
	snprintf(fx.dir, sizeof fx.dir, "/tmp/context-store-tools-XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	if (engine_open(slice_cstr(fx.dir), &fx.engine, &err) != CS_OK)
		fail_msg("%s", err.text);
	fx.store.contexts = engine_contexts(fx.engine);
	fx.store.text = engine_text(fx.engine);
	fx.store.kv = engine_kv(fx.engine);
	arena_init(&fx.arena, NULL, 0, 256u << 20);
	buffer_init(&fx.out, 64u << 20);
	fx.op = (struct op){
		.arena = &fx.arena, .principal = &principal_anonymous, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	return 0;
}

static inline int fx_teardown(void **state)
{
	engine_close(fx.engine);
	arena_release(&fx.arena);
	buffer_release(&fx.out);
	clock_shift_ms(0);
	nftw(fx.dir, fx_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static inline enum cs_status call(const char *name, const char *arguments)
{
	const struct tool_host host = {NULL, fx_acquire, NULL};
	const struct tool *tool = tool_find(slice_cstr(name));
	struct schema_problems problems = {.arena = &fx.arena};
	struct json_doc doc;
	struct cs_error err;
	enum cs_status status;

	assert_non_null(tool);
	if (json_parse(&fx.arena, slice_cstr(arguments), JSON_LIMITS_DEFAULT, &doc, &err) != CS_OK)
		fail_msg("%s: %s", arguments, err.text);
	buffer_clear(&fx.out);
	status = tool_run(&host, &fx.op, tool, &doc, 0, &fx.out);
	if (json_parse(&fx.arena, arena_copy(&fx.arena, buffer_slice(&fx.out)), JSON_LIMITS_DEFAULT, &fx.reply, &err) !=
		CS_OK)
		fail_msg("reply of %s is no JSON: %s", name, err.text);
	if (!schema_check(tool->output, &fx.reply, 0, S(""), &problems)) {
		(void)schema_fail(&problems, &err);
		fail_msg("reply of %s does not fit: %s\n" SLICE_FMT, name, err.text, SLICE_ARG(buffer_slice(&fx.out)));
	}
	return status;
}

/* The value at a path like "results.0.id" of the last reply, JSON_NONE if it is not there. */
static inline uint32_t at(const char *path)
{
	struct slice rest = slice_cstr(path);
	uint32_t node = 0;

	while (rest.ptr && node != JSON_NONE) {
		struct slice name = slice_cut(&rest, '.');
		uint64_t index;

		if (json_type_of(&fx.reply, node) == JSON_ARRAY && slice_to_u64(name, &index)) {
			uint32_t array = node;

			node = json_first(&fx.reply, array);
			while (index-- > 0 && node != JSON_NONE)
				node = json_next(&fx.reply, array, node);
		} else {
			node = json_get(&fx.reply, node, name);
		}
	}
	return node;
}

static inline struct slice str(const char *path)
{
	struct slice text = S("(no string)");

	(void)json_str(&fx.reply, at(path), &text);
	return text;
}

static inline int64_t num(const char *path)
{
	int64_t value = -999;

	(void)json_i64(&fx.reply, at(path), &value);
	return value;
}

static inline bool is_true(const char *path)
{
	bool value = false;

	return json_bool(&fx.reply, at(path), &value) && value;
}

static inline void assert_str(const char *path, const char *expected)
{
	if (!slice_eq(str(path), slice_cstr(expected)))
		fail_msg("%s is \"" SLICE_FMT "\", not \"%s\"; reply: %.*s", path, SLICE_ARG(str(path)), expected,
			(int)(fx.out.len < 600 ? fx.out.len : 600), fx.out.ptr);
}

static inline void assert_says(const char *path, const char *part)
{
	struct slice text = str(path);

	if (!memmem(text.ptr, text.len, part, strlen(part)))
		fail_msg("%s is \"" SLICE_FMT "\" and does not say \"%s\"", path, SLICE_ARG(text), part);
}

/* The call fails with this status, as the reply says, too. */
static inline void refused(const char *name, const char *arguments, enum cs_status status, const char *part)
{
	enum cs_status got = call(name, arguments);

	if (got != status)
		fail_msg("%s %s: %s instead of %s: %.*s", name, arguments, cs_status_type(got), cs_status_type(status),
			(int)(fx.out.len < 600 ? fx.out.len : 600), fx.out.ptr);
	assert_str("error_type", cs_status_type(status));
	assert_false(is_true("success"));
	assert_says("message", part);
}

static inline void accepted(const char *name, const char *arguments)
{
	if (call(name, arguments) != CS_OK)
		fail_msg("%s %s: %.*s", name, arguments, (int)(fx.out.len < 600 ? fx.out.len : 600), fx.out.ptr);
	assert_true(is_true("success"));
}

#endif
