/* Reading one value: content, mark and time to live as they were at one moment.
 *
 * The script only fetches. Whether the mark is of this content is seen here, by SHA-1 at a gigabyte a second, and not by
 * the server's one thread. */
#include "base/utf8.h"
#include "remote/redis_kv_parts.h"

#define READ_WORDS 5 /* EVALSHA, SHA-1, 2, two keys */

void redis_read_ask(struct redis_connection *c, const struct redis_names *names)
{
	struct slice words[READ_WORDS] = {[3] = names->value, names->mark};

	redis_script_ask(c, REDIS_SCRIPT_READ, words, READ_WORDS);
}

/* PTTL's answer for a value that is there: it has at least a moment left. */
static void set_ttl(struct kv_entry *entry, int64_t pttl)
{
	kv_entry_set_ttl(entry, pttl < 0 ? KV_TTL_NONE : pttl < 1 ? 1 : pttl);
}

/* "VERSION CHARACTERS SHA1". */
static bool mark_parse(struct slice mark, uint64_t *ret_version, struct slice *ret_sum)
{
	struct slice rest = mark, version = slice_cut(&rest, ' '), characters = slice_cut(&rest, ' ');
	uint64_t ignored;

	if (!slice_to_u64(version, ret_version) || !slice_to_u64(characters, &ignored))
		return false;
	*ret_sum = rest;
	return rest.len == REDIS_SHA1_HEX_SIZE - 1;
}

enum cs_status redis_fail_no_text(struct redis_connection *c, struct cs_error *err)
{
	struct slice shown = redis_shown(redis_of(c));

	return cs_fail(err, CS_INVALID_CONTENT_TYPE,
		"the value under this key in Redis at " SLICE_FMT " is not UTF-8 text: another program left it there",
		SLICE_ARG(shown));
}

static enum cs_status take_content(
	struct redis_connection *c, struct slice content, struct redis_read *read, struct cs_error *err)
{
	read->entry.content = content;
	read->entry.characters = utf8_length(content);
	if (read->entry.characters < 0)
		return redis_fail_no_text(c, err);
	return CS_OK;
}

enum cs_status redis_read_answer(
	struct redis_connection *c, const struct redis_reply *reply, struct redis_read *ret_read, struct cs_error *err)
{
	const struct redis_reply *value = reply->elements, *mark = reply->elements + 1, *ttl = reply->elements + 2;
	struct redis_read read = {0};
	char sum[REDIS_SHA1_HEX_SIZE];
	struct slice marked = {0};
	enum cs_status status;

	if (reply->kind == REDIS_ERROR)
		return redis_reply_error(redis_of(c), reply, err);
	if (reply->kind != REDIS_ARRAY || reply->count != 3 || ttl->kind != REDIS_INTEGER ||
		(value->kind != REDIS_STRING && value->kind != REDIS_NIL) ||
		(mark->kind != REDIS_STRING && mark->kind != REDIS_NIL))
		return redis_unexpected(c, err);
	if (value->kind == REDIS_NIL) {
		*ret_read = read;
		return CS_OK;
	}
	status = take_content(c, value->text, &read, err);
	if (status != CS_OK)
		return status;
	read.there = true;
	read.foreign = true;
	set_ttl(&read.entry, ttl->integer);
	read.entry.version = 1;
	if (mark->kind == REDIS_STRING && mark_parse(mark->text, &read.entry.version, &marked)) {
		redis_sha1(value->text, sum);
		read.foreign = !slice_eq(marked, slice_cstr(sum));
		read.entry.version += read.foreign;
	}
	*ret_read = read;
	return CS_OK;
}

enum cs_status redis_read_one(struct redis_connection *c, struct op *op, const struct redis_names *names,
	struct redis_read *ret_read, struct cs_error *err)
{
	struct slice words[READ_WORDS] = {[3] = names->value, names->mark};
	struct redis_reply reply;
	enum cs_status status = redis_script_run(c, op, REDIS_SCRIPT_READ, words, READ_WORDS, &reply, err);

	if (status == CS_OK)
		status = redis_read_answer(c, &reply, ret_read, err);
	if (status == CS_OK && ret_read->there && ret_read->foreign)
		status = redis_adopt(c, op, names, ret_read, err);
	return status;
}

enum cs_status redis_adopt(struct redis_connection *c, struct op *op, const struct redis_names *names,
	struct redis_read *read, struct cs_error *err)
{
	struct slice words[READ_WORDS] = {[3] = names->value, names->mark};
	struct redis_read adopted = {.there = true};
	struct redis_reply reply;
	int64_t ttl_ms;
	enum cs_status status = redis_script_run(c, op, REDIS_SCRIPT_ADOPT, words, READ_WORDS, &reply, err);

	if (status == CS_STORAGE)
		/* It may not or cannot write: a replica, a full server. Reading works all the same. */
		return CS_OK;
	if (status != CS_OK)
		return status;
	if (slice_is(reply.elements[0].text, "missing")) {
		*read = (struct redis_read){0};
		return CS_OK;
	}
	if (reply.count != 4 || !slice_to_u64(reply.elements[1].text, &adopted.entry.version) ||
		!slice_to_i64(reply.elements[2].text, &ttl_ms))
		return redis_unexpected(c, err);
	set_ttl(&adopted.entry, ttl_ms);
	status = take_content(c, reply.elements[3].text, &adopted, err);
	if (status == CS_OK)
		*read = adopted;
	return status;
}

struct get_visit {
	struct redis_visit visit; /* first */
	struct redis_names names;
	struct redis_read read;
};

static enum cs_status run_get(
	struct redis_visit *visit, struct redis_connection *c, struct op *op, struct cs_error *err)
{
	struct get_visit *get = (struct get_visit *)visit;

	return redis_read_one(c, op, &get->names, &get->read, err);
}

enum cs_status redis_kv_get(
	void *self, struct op *op, const struct kv_key *key, struct kv_entry *ret_entry, struct cs_error *err)
{
	struct redis_kv *kv = self;
	struct get_visit get = {.visit = {.run = run_get}};
	enum cs_status status = redis_names_of(key, &get.names, err);

	if (status == CS_OK)
		status = redis_visit(kv, op, &get.visit, err);
	if (status == CS_OK && !get.read.there)
		return kv_fail_not_found(key, err);
	if (status == CS_OK)
		*ret_entry = get.read.entry;
	return status;
}
