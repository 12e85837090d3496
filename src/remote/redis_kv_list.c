/* Listing: the names first, by SCAN, then the values of one page.
 *
 * SCAN may name a key twice and walks the whole database, which is what the server offers to those who must not block
 * it; an index of our own would miss the keys that others write. Names are gathered in an arena of their own with a
 * ceiling, sorted, and freed of repetitions; that costs some hundred bytes a key and gives an exact total. A key that is gone by
 * the time its value is read is left out and counted off, and so is one whose value is no text: other programs may leave
 * such a thing, and it must not hide all the others. Asked for by its name, it says what it is. */
#include <assert.h>
#include <stdlib.h>

#include "remote/redis_kv_parts.h"

#define SCAN_COUNT  "1000"
#define PAGE_KEYS   64 /* values read in one round trip */
#define PATTERN_MAX 256
#define NAMES_FIRST 64
#define SCAN_BYTES  (16u << 20) /* of one SCAN's reply */

struct list_visit {
	struct redis_visit visit; /* first */
	const struct kv_key *owner;
	struct slice after;
	size_t limit;
	struct arena names_arena;
	struct slice *names; /* keys without what stands before them; malloc'd */
	size_t count, room;
	struct kv_page page;
};

/* "agent:{id}:{prefix}:*". No byte of an agent's id or a prefix means anything in a pattern, and redis_check_agent has
 * seen to it; escaping is for the day when that changes. */
static struct slice pattern_of(const struct kv_key *owner, char room[PATTERN_MAX])
{
	struct slice parts[] = {S("agent:"), owner->agent_id, S(":"), kv_prefix_name(owner->prefix), S(":")};
	size_t n = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		for (size_t at = 0; at < parts[i].len; at++) {
			if (memchr("*?[]^\\", parts[i].ptr[at], 6))
				room[n++] = '\\';
			room[n++] = parts[i].ptr[at];
		}
	room[n++] = '*';
	return slice_of(room, n);
}

static enum cs_status too_many(const struct list_visit *l, struct cs_error *err)
{
	return cs_fail(err, CS_LIMIT_EXCEEDED,
		"agent " SLICE_FMT " has so many keys under " SLICE_FMT
		" that their names alone pass %u MiB (%zu seen)",
		SLICE_ARG(l->owner->agent_id), SLICE_ARG(kv_prefix_name(l->owner->prefix)), REDIS_LIST_BYTES_MAX >> 20,
		l->count);
}

static enum cs_status add_name(struct list_visit *l, struct slice name, struct cs_error *err)
{
	struct kv_key key;

	/* What others left there under a name that no tool can say. */
	if (!redis_kv_key_parse(name, &key) || key.prefix != l->owner->prefix ||
		!slice_eq(key.agent_id, l->owner->agent_id))
		return CS_OK;
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : NAMES_FIRST;
		struct slice *names;

		if (room * sizeof *names > REDIS_LIST_BYTES_MAX)
			return too_many(l, err);
		names = realloc(l->names, room * sizeof *names);
		if (!names)
			return cs_fail_memory(err);
		l->names = names;
		l->room = room;
	}
	l->names[l->count] = arena_copy(&l->names_arena, key.key);
	if (!l->names[l->count].ptr)
		return too_many(l, err);
	l->count++;
	return CS_OK;
}

static enum cs_status take_scan(struct list_visit *l, struct redis_connection *c, const struct redis_reply *reply,
	char cursor[REDIS_KEY_MAX], struct cs_error *err)
{
	const struct redis_reply *next = reply->elements, *names = reply->elements + 1;
	enum cs_status status = CS_OK;
	uint64_t number;

	if (reply->kind == REDIS_ERROR)
		return redis_reply_error(redis_of(c), reply, err);
	if (reply->kind != REDIS_ARRAY || reply->count != 2 || next->kind != REDIS_STRING ||
		!slice_to_u64(next->text, &number) || next->text.len >= REDIS_KEY_MAX || names->kind != REDIS_ARRAY)
		return redis_unexpected(c, err);
	memcpy(cursor, next->text.ptr, next->text.len);
	cursor[next->text.len] = '\0';
	for (size_t i = 0; status == CS_OK && i < names->count; i++)
		status = names->elements[i].kind == REDIS_STRING ? add_name(l, names->elements[i].text, err)
								 : redis_unexpected(c, err);
	return status;
}

static enum cs_status scan(struct list_visit *l, struct redis_connection *c, struct op *op, struct cs_error *err)
{
	char pattern_room[PATTERN_MAX], cursor[REDIS_KEY_MAX] = "0";
	struct slice pattern = pattern_of(l->owner, pattern_room);
	struct arena replies;
	struct op scan_op = *op;
	enum cs_status status = CS_OK;

	arena_init(&replies, NULL, 0, SCAN_BYTES);
	scan_op.arena = &replies;
	do {
		struct slice words[] = {S("SCAN"), slice_cstr(cursor), S("MATCH"), pattern, S("COUNT"), S(SCAN_COUNT),
			S("TYPE"), S("string")};
		struct redis_reply reply;

		arena_reset(&replies);
		status = redis_call(c, &scan_op, words, sizeof words / sizeof *words, &reply, err);
		if (status == CS_OK)
			status = take_scan(l, c, &reply, cursor, err);
	} while (status == CS_OK && strcmp(cursor, "0") != 0);
	arena_release(&replies);
	return status;
}

static int by_bytes(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void sort_names(struct list_visit *l)
{
	size_t kept = 0;

	if (l->count == 0)
		return;
	qsort(l->names, l->count, sizeof *l->names, by_bytes);
	for (size_t i = 1; i < l->count; i++)
		if (!slice_eq(l->names[i], l->names[kept]))
			l->names[++kept] = l->names[i];
	l->count = kept + 1;
}

static enum cs_status add_value(struct list_visit *l, struct redis_connection *c, struct op *op,
	const struct redis_names *names, const struct redis_reply *reply, struct slice key, struct cs_error *err)
{
	struct kv_page *page = &l->page;
	struct redis_read read;
	enum cs_status status;

	if (redis_reply_is(reply, "NOSCRIPT")) {
		status = redis_read_one(c, op, names, &read, err);
	} else {
		status = redis_read_answer(c, reply, &read, err);
		if (status == CS_OK && read.there && read.foreign)
			status = redis_adopt(c, op, names, &read, err);
	}
	/* What became another type since it was scanned, or is no UTF-8, is no value of ours. */
	if (status == CS_INVALID_CONTENT_TYPE || (status == CS_OK && !read.there)) {
		page->total--;
		return CS_OK;
	}
	if (status != CS_OK)
		return status;
	page->keys[page->count] = arena_copy(op->arena, key);
	if (!page->keys[page->count].ptr)
		return cs_fail_memory(err);
	page->entries[page->count++] = read.entry;
	return CS_OK;
}

/* Reads `count` values from names[from] on and adds those that are still there to the page. */
static enum cs_status read_values(struct list_visit *l, struct redis_connection *c, struct op *op, size_t from,
	size_t count, struct cs_error *err)
{
	struct redis_names names[PAGE_KEYS];
	struct redis_reply replies[PAGE_KEYS];
	enum cs_status status;

	for (size_t i = 0; i < count; i++) {
		struct kv_key key = {l->owner->agent_id, l->owner->prefix, l->names[from + i]};

		status = redis_names_of(&key, &names[i], NULL);
		assert(status == CS_OK); /* add_name took no other */
		redis_read_ask(c, &names[i]);
	}
	status = redis_answers(c, op, replies, count, err);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		status = add_value(l, c, op, &names[i], &replies[i], l->names[from + i], err);
	return status;
}

static enum cs_status read_page(struct list_visit *l, struct redis_connection *c, struct op *op, struct cs_error *err)
{
	size_t at = 0, room;
	enum cs_status status = CS_OK;

	while (at < l->count && slice_compare(l->names[at], l->after) <= 0)
		at++;
	room = l->count - at < l->limit ? l->count - at : l->limit;
	l->page = (struct kv_page){.total = l->count};
	l->page.keys = arena_array(op->arena, room, sizeof *l->page.keys);
	l->page.entries = arena_array(op->arena, room, sizeof *l->page.entries);
	if (!l->page.keys || !l->page.entries)
		return cs_fail_memory(err);
	while (status == CS_OK && l->page.count < room && at < l->count) {
		size_t count = room - l->page.count;

		if (count > PAGE_KEYS)
			count = PAGE_KEYS;
		if (count > l->count - at)
			count = l->count - at;
		status = read_values(l, c, op, at, count, err);
		at += count;
	}
	l->page.more = at < l->count;
	return status;
}

static enum cs_status run_list(
	struct redis_visit *visit, struct redis_connection *c, struct op *op, struct cs_error *err)
{
	struct list_visit *l = (struct list_visit *)visit;
	enum cs_status status;

	l->count = 0;
	arena_reset(&l->names_arena);
	status = scan(l, c, op, err);
	if (status != CS_OK)
		return status;
	sort_names(l);
	return read_page(l, c, op, err);
}

enum cs_status redis_kv_list(void *self, struct op *op, const struct kv_key *owner, struct slice after, size_t limit,
	struct kv_page *ret_page, struct cs_error *err)
{
	struct redis_kv *kv = self;
	struct list_visit l = {.visit = {.run = run_list}, .owner = owner, .after = after, .limit = limit};
	enum cs_status status = redis_check_agent(owner, err);

	if (status != CS_OK)
		return status;
	arena_init(&l.names_arena, NULL, 0, REDIS_LIST_BYTES_MAX);
	status = redis_visit(kv, op, &l.visit, err);
	if (status == CS_OK)
		*ret_page = l.page;
	arena_release(&l.names_arena);
	free(l.names);
	return status;
}
