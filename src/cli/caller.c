/* Tool calls of people: the wiring of one call, without threads. */
#include "cli/caller.h"

#include "base/version.h"
#include "cli/commands.h"
#include "cli/data_dir.h"
#include "cli/owner_http.h"

/* Replies are our own writing: they wrap what may be as deep as a message in some levels more, and hold many documents.
 * Their size bounds them. At worst two bytes of text are a node of 24, so the arena has room for 16 times the text. */
#define REPLY_LIMITS     ((struct json_limits){JSON_WRITE_DEPTH_MAX, CALLER_REPLY_MAX})
#define CALLER_ARENA_MAX (16ull * CALLER_REPLY_MAX)

static void begin(struct caller *c, const struct invocation *inv)
{
	*c = (struct caller){0};
	arena_init(&c->arena, NULL, 0, CALLER_ARENA_MAX);
	buffer_init(&c->arguments, CALLER_REPLY_MAX);
	buffer_init(&c->reply, CALLER_REPLY_MAX);
	c->op = (struct op){
		.arena = &c->arena,
		.principal = &principal_anonymous,
		.deadline_ns = clock_mono_ns() + config_int(inv->config, SETTING_REQUEST_TIMEOUT) * INT64_C(1000000000),
		.may_wait = true,
	};
}

static enum cs_status open_host(struct caller *c, const struct invocation *inv, struct cs_error *err)
{
	const struct host_options options = {.dir = c->dir, .command = inv->command->name, .config = inv->config};

	return host_new(&options, &c->host, err);
}

enum cs_status caller_open(struct caller *c, const struct invocation *inv, bool creates, struct cs_error *err)
{
	enum cs_status status;

	begin(c, inv);
	status = data_dir_resolve(inv->config, &c->arena, &c->dir, err);
	if (status == CS_OK && !creates && !data_dir_has_store(c->dir))
		status = cs_fail(err, CS_NOT_FOUND,
			"no store in %.300s yet; store something first (" CS_NAME
			" help store) or name another directory with --data-dir",
			c->dir.ptr);
	if (status == CS_OK)
		status = open_host(c, inv, err);
	if (status != CS_OK)
		caller_close(c);
	return status;
}

enum cs_status caller_open_in(struct caller *c, const struct invocation *inv, struct slice dir, struct cs_error *err)
{
	enum cs_status status;

	begin(c, inv);
	c->dir = slice_of(arena_cstr(&c->arena, dir), dir.len);
	status = c->dir.ptr ? open_host(c, inv, err) : cs_fail_memory(err);
	if (status != CS_OK)
		caller_close(c);
	return status;
}

void caller_close(struct caller *c)
{
	host_close(c->host);
	buffer_release(&c->arguments);
	buffer_release(&c->reply);
	arena_release(&c->arena);
	*c = (struct caller){0};
}

/* The failure object carries the sentence; the status alone has only the table's. */
static enum cs_status fail_as_replied(struct caller *c, enum cs_status status, struct cs_error *err)
{
	struct slice message;

	if (json_parse(&c->arena, buffer_slice(&c->reply), REPLY_LIMITS, &c->doc, NULL) == CS_OK &&
		json_str(&c->doc, json_get(&c->doc, 0, S("message")), &message))
		return cs_fail(err, status, SLICE_FMT, SLICE_ARG(message));
	return cs_fail(err, status, "%s", cs_status_text(status));
}

enum cs_status caller_run(struct caller *c, struct slice name, struct cs_error *err)
{
	const struct tool *tool = tool_find(name);
	const struct tool_host tools = host_tools(c->host);
	struct json_doc arguments;
	enum cs_status status;

	if (!tool)
		return cs_fail(err, CS_NOT_FOUND, "this program has no tool " SLICE_FMT, SLICE_ARG(name));
	status = buffer_status(&c->arguments, err);
	if (status == CS_OK)
		status = json_parse(&c->arena, buffer_slice(&c->arguments), JSON_LIMITS_DEFAULT, &arguments, err);
	if (status != CS_OK)
		return status;
	buffer_clear(&c->reply);
	status = tool_run(&tools, &c->op, tool, &arguments, 0, &c->reply);
	if (status != CS_OK)
		return fail_as_replied(c, status, err);
	status = buffer_status(&c->reply, err);
	if (status == CS_OK)
		status = json_parse(&c->arena, buffer_slice(&c->reply), REPLY_LIMITS, &c->doc, err);
	return status;
}

static enum cs_status act_by_owner(struct caller *c, const char *action, struct slice id, struct cs_error *err)
{
	struct slice path = arena_printf(&c->arena, "/owner/%s", action);
	struct json_writer w = json_writer(&c->arguments);
	enum cs_status status;
	int http;

	if (!path.ptr)
		return cs_fail_memory(err);
	buffer_clear(&c->arguments);
	json_begin_object(&w);
	json_key_str(&w, "id", id);
	json_end_object(&w);
	status = buffer_status(&c->arguments, err);
	if (status == CS_OK)
		status =
			host_ask_owner(c->host, &c->op, path, buffer_slice(&c->arguments), &http, &c->reply, NULL, err);
	if (status == CS_OK && http != 200)
		status = fail_as_replied(c, http == 404 ? CS_NOT_FOUND : CS_UNAVAILABLE, err);
	return status;
}

enum cs_status caller_act(struct caller *c, const char *action, struct slice id, struct cs_error *err)
{
	struct store *store = NULL;
	enum cs_status status = host_reach(c->host, &c->op, &store, err);

	buffer_clear(&c->reply);
	if (status == CS_OK && !store)
		status = act_by_owner(c, action, id, err);
	else if (status == CS_OK)
		status = owner_act(slice_cstr(action), store, &c->op, id, &c->reply, err);
	if (status == CS_OK)
		status = json_parse(&c->arena, buffer_slice(&c->reply), REPLY_LIMITS, &c->doc, err);
	return status;
}

struct slice caller_str(const struct caller *c, uint32_t object, const char *name)
{
	struct slice text = S("");

	(void)json_str(&c->doc, json_get(&c->doc, object, slice_cstr(name)), &text);
	return text;
}

int64_t caller_i64(const struct caller *c, uint32_t object, const char *name)
{
	int64_t value = 0;

	(void)json_i64(&c->doc, json_get(&c->doc, object, slice_cstr(name)), &value);
	return value;
}
