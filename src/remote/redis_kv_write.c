/* Writing: a script, its arguments, and what its answer means.
 *
 * What can be judged here (no UTF-8, too long, no number) is judged here, but a version that does not fit goes first, as it
 * does in the other adapter: so a bad write that names a version looks at the stored one before it complains. */
#include <stdio.h>

#include "base/utf8.h"
#include "remote/redis_kv_parts.h"

#define PUT_WORDS    12 /* EVALSHA, SHA-1, 2, two keys, seven arguments */
#define REMOVE_WORDS 6
#define NUMBER_SIZE  24

struct write_visit {
	struct redis_visit visit; /* first */
	enum redis_script script;
	struct slice words[PUT_WORDS];
	size_t count;
	int64_t if_version;
	int64_t summand; /* KV_INCREMENT */
	const struct kv_key *key;
	const struct kv_write *write; /* NULL: a removal */
	struct kv_entry entry;        /* what a write left */
};

static struct slice number(char room[NUMBER_SIZE], int64_t value)
{
	return slice_of(room, (size_t)snprintf(room, NUMBER_SIZE, "%lld", (long long)value));
}

static enum cs_status conflict(int64_t if_version, uint64_t stored, struct cs_error *err)
{
	enum cs_status status;

	if (stored == 0)
		status = cs_fail(err, CS_VERSION_CONFLICT, "if_version is %lld, but nothing is stored under this key",
			(long long)if_version);
	else
		status = cs_fail(err, CS_VERSION_CONFLICT, "if_version is %lld, but version %llu is stored",
			(long long)if_version, (unsigned long long)stored);
	if (err)
		err->version = stored;
	return status;
}

static enum cs_status too_large(int64_t characters, struct cs_error *err)
{
	return cs_fail(err, CS_CONTENT_TOO_LARGE,
		"the stored value would have %lld characters; at most %d are kept under one key", (long long)characters,
		KV_CONTENT_MAX);
}

/* What is wrong with the content whatever is stored. */
static enum cs_status judge(
	const struct kv_write *write, int64_t *ret_characters, int64_t *ret_summand, struct cs_error *err)
{
	if (write->mode == KV_INCREMENT)
		return kv_whole_number(write->content, "content", ret_summand, err);
	*ret_characters = utf8_length(write->content);
	if (*ret_characters < 0)
		return cs_fail(err, CS_INVALID_CONTENT_TYPE, "content is not valid UTF-8");
	/* An append to what is there would be longer still; to how long, only the server can say. */
	if (*ret_characters > KV_CONTENT_MAX)
		return too_large(*ret_characters, err);
	return CS_OK;
}

/* The write is bad; is its version too? */
static enum cs_status version_first(struct redis_kv *kv, struct op *op, const struct kv_write *write,
	const struct cs_error *why, struct cs_error *err)
{
	struct kv_entry entry = {0};
	enum cs_status status = CS_OK;

	if (write->if_version != KV_VERSION_ANY)
		status = redis_kv_get(kv, op, &write->key, &entry, err);
	if (status != CS_OK && status != CS_KEY_NOT_FOUND)
		return status;
	if (write->if_version != KV_VERSION_ANY && (uint64_t)write->if_version != entry.version)
		return conflict(write->if_version, entry.version, err);
	if (err)
		*err = *why;
	return why->status;
}

/* What the script says instead of ok. */
static enum cs_status refused(
	const struct write_visit *w, struct redis_connection *c, const struct redis_reply *reply, struct cs_error *err)
{
	struct slice what = reply->elements[0].text;
	struct slice detail = reply->count > 1 ? reply->elements[1].text : (struct slice){0};
	uint64_t stored;
	int64_t characters;

	if (slice_is(what, "conflict") && slice_to_u64(detail, &stored))
		return conflict(w->if_version, stored, err);
	if (slice_is(what, "missing"))
		return kv_fail_not_found(w->key, err);
	if (slice_is(what, "large") && slice_to_i64(detail, &characters))
		return too_large(characters, err);
	if (slice_is(what, "bytes"))
		return redis_fail_no_text(c, err);
	if (slice_is(what, "word"))
		return cs_fail(err, CS_INVALID_CONTENT_TYPE,
			"the stored value is no whole decimal number; increment needs one");
	if (slice_is(what, "range"))
		return cs_fail(err, CS_LIMIT_EXCEEDED, "the stored value is a number past 64 bits");
	if (slice_is(what, "overflow"))
		return cs_fail(err, CS_LIMIT_EXCEEDED,
			"the sum of " SLICE_FMT " and %lld is past 64 bits; the value is unchanged", SLICE_ARG(detail),
			(long long)w->summand);
	return redis_unexpected(c, err);
}

static enum cs_status run_script(
	struct redis_visit *visit, struct redis_connection *c, struct op *op, struct cs_error *err)
{
	struct write_visit *w = (struct write_visit *)visit;
	struct redis_reply reply, *e;
	bool tells_content = w->write && w->write->mode != KV_OVERWRITE;
	enum cs_status status = redis_script_run(c, op, w->script, w->words, w->count, &reply, err);

	if (status != CS_OK)
		return status;
	e = reply.elements;
	if (!slice_is(e[0].text, "ok"))
		return refused(w, c, &reply, err);
	if (!w->write)
		return CS_OK;
	if (reply.count != (tells_content ? 4 : 3) || !slice_to_u64(e[1].text, &w->entry.version) ||
		!slice_to_i64(e[2].text, &w->entry.characters))
		return redis_unexpected(c, err);
	if (tells_content)
		w->entry.content = e[3].text;
	return CS_OK;
}

enum cs_status redis_kv_put(
	void *self, struct op *op, const struct kv_write *write, struct kv_entry *ret_entry, struct cs_error *err)
{
	static const struct slice modes[] = {[KV_OVERWRITE] = SLICE_INIT("set"),
		[KV_APPEND] = SLICE_INIT("append"),
		[KV_INCREMENT] = SLICE_INIT("add")};
	struct write_visit w = {
		.visit = {.run = run_script, .writes = true},
		.script = REDIS_SCRIPT_PUT,
		.count = PUT_WORDS,
		.if_version = write->if_version,
		.key = &write->key,
		.write = write,
	};
	const int64_t ttl_ms = write->ttl_s == KV_TTL_NONE ? KV_TTL_NONE : write->ttl_s * 1000;
	struct redis_names names;
	char ttl[NUMBER_SIZE], version[NUMBER_SIZE], length[NUMBER_SIZE], most[NUMBER_SIZE], step[NUMBER_SIZE];
	char sum[REDIS_SHA1_HEX_SIZE] = "";
	int64_t characters = 0;
	struct cs_error why;
	enum cs_status status = redis_names_of(&write->key, &names, err);

	if (status == CS_OK && !op->may_wait)
		status = cs_fail(err, CS_WOULD_WAIT, "%s", cs_status_text(CS_WOULD_WAIT));
	if (status != CS_OK)
		return status;
	if (judge(write, &characters, &w.summand, &why) != CS_OK)
		return version_first(self, op, write, &why, err);
	if (write->mode == KV_OVERWRITE) {
		redis_sha1(write->content, sum);
		w.entry.content = arena_copy(op->arena, write->content);
		if (!w.entry.content.ptr)
			return cs_fail_memory(err);
	}
	w.words[3] = names.value;
	w.words[4] = names.mark;
	w.words[5] = modes[write->mode];
	w.words[6] = write->mode == KV_INCREMENT ? number(step, w.summand) : write->content;
	w.words[7] = number(ttl, ttl_ms);
	kv_entry_set_ttl(&w.entry, ttl_ms);
	w.words[8] = number(version, write->if_version);
	w.words[9] = number(length, characters);
	w.words[10] = number(most, KV_CONTENT_MAX);
	w.words[11] = slice_cstr(sum);
	status = redis_visit(self, op, &w.visit, err);
	if (status == CS_OK)
		*ret_entry = w.entry;
	return status;
}

enum cs_status redis_kv_remove(
	void *self, struct op *op, const struct kv_key *key, int64_t if_version, struct cs_error *err)
{
	struct write_visit w = {
		.visit = {.run = run_script, .writes = true},
		.script = REDIS_SCRIPT_REMOVE,
		.count = REMOVE_WORDS,
		.if_version = if_version,
		.key = key,
	};
	struct redis_names names;
	char version[NUMBER_SIZE];
	enum cs_status status = redis_names_of(key, &names, err);

	if (status != CS_OK)
		return status;
	w.words[3] = names.value;
	w.words[4] = names.mark;
	w.words[5] = number(version, if_version);
	return redis_visit(self, op, &w.visit, err);
}
