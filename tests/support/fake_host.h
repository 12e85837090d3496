/* A tool host without storage: reads of agent state are answered from memory, everything else by an "owner" that
 * echoes. Included once a program. */
#ifndef CS_TESTS_FAKE_HOST_H
#define CS_TESTS_FAKE_HOST_H

#include "mcp/tools.h"

static struct {
	bool in_memory; /* is a store open here? */
	unsigned memory_reads, forwards;
	size_t reply_padding;    /* bytes by which a forwarded reply is blown up */
	void (*meanwhile)(void); /* what happens while the owner works */
	bool was_cancelled;
	struct store store;
} host;

static enum cs_status host_kv_get(
	void *self, struct op *op, const struct kv_key *key, struct kv_entry *ret_entry, struct cs_error *err)
{
	host.memory_reads++;
	if (slice_eq(key->key, S("absent")))
		return cs_fail(err, CS_KEY_NOT_FOUND, "no value under this key");
	*ret_entry =
		(struct kv_entry){.content = S("he said \"hi\""), .version = 3, .ttl_s = KV_TTL_NONE, .characters = 12};
	return CS_OK;
}

static enum cs_status host_kv_list(void *self, struct op *op, const struct kv_key *owner, struct slice after,
	size_t limit, struct kv_page *ret_page, struct cs_error *err)
{
	return cs_fail(err, CS_WOULD_WAIT, "lists are not in memory");
}

static enum cs_status host_acquire(void *self, struct op *op, struct store **ret_store, struct cs_error *err)
{
	if (!host.in_memory && !op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "not open yet");
	host.store.kv.get = host_kv_get;
	host.store.kv.list = host_kv_list;
	/* Only what reads from memory finds a store; a worker always asks the owner. */
	*ret_store = op->may_wait ? NULL : &host.store;
	return CS_OK;
}

static enum cs_status host_forward(void *self, struct op *op, const struct tool *tool, struct slice arguments,
	struct buffer *out, struct cs_error *err)
{
	host.forwards++;
	if (host.meanwhile)
		host.meanwhile();
	host.was_cancelled = op->cancelled && atomic_load(op->cancelled);
	if (slice_eq(slice_cstr(tool->name), S("forget_context"))) {
		buffer_append(
			out, S("{\"success\":false,\"error_type\":\"not_found\",\"message\":\"no such context\"}"));
		return CS_NOT_FOUND;
	}
	buffer_append(out, S("{\"success\":true,\"echo\":"));
	buffer_append(out, arguments);
	if (host.reply_padding) {
		buffer_append(out, S(",\"padding\":\""));
		for (size_t i = 0; i < host.reply_padding; i++)
			buffer_byte(out, 'x');
		buffer_byte(out, '"');
	}
	buffer_byte(out, '}');
	return CS_OK;
}

static inline struct tool_host fake_host(void)
{
	return (struct tool_host){NULL, host_acquire, host_forward};
}

#endif
