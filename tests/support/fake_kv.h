/* A key-value port that holds one value, says what the test told it to, and counts. Included once a program. */
#ifndef CS_TESTS_FAKE_KV_H
#define CS_TESTS_FAKE_KV_H

#include "port/kv.h"

struct fake_kv {
	_Atomic(enum cs_status) fails; /* CS_OK: it works */
	const char *content;           /* NULL: nothing is stored */
	uint64_t version;
	int64_t ttl_ms;
	atomic_int reads, writes, removes, lists;
	void (*meanwhile)(void *); /* called between reading and answering */
	void *self;
};

static enum cs_status fake_kv_get(
	void *self, struct op *op, const struct kv_key *key, struct kv_entry *ret_entry, struct cs_error *err)
{
	struct fake_kv *f = self;
	struct kv_entry entry = {.version = f->version, .content = slice_cstr(f->content)};
	bool there = f->content != NULL;

	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "a server");
	atomic_fetch_add(&f->reads, 1);
	entry.characters = (int64_t)entry.content.len;
	kv_entry_set_ttl(&entry, f->ttl_ms);
	if (f->meanwhile)
		f->meanwhile(f->self);
	if (f->fails)
		return cs_fail(err, f->fails, "the fake was told to fail");
	if (!there)
		return kv_fail_not_found(key, err);
	*ret_entry = entry;
	return CS_OK;
}

static enum cs_status fake_kv_put(
	void *self, struct op *op, const struct kv_write *write, struct kv_entry *ret_entry, struct cs_error *err)
{
	struct fake_kv *f = self;

	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "a server");
	atomic_fetch_add(&f->writes, 1);
	if (f->fails)
		return cs_fail(err, f->fails, "the fake was told to fail");
	f->content = write->content.ptr;
	f->version++;
	*ret_entry = (struct kv_entry){.content = write->content, .version = f->version, .ttl_s = KV_TTL_NONE};
	return CS_OK;
}

static enum cs_status fake_kv_remove(
	void *self, struct op *op, const struct kv_key *key, int64_t if_version, struct cs_error *err)
{
	struct fake_kv *f = self;

	atomic_fetch_add(&f->removes, 1);
	f->content = NULL;
	return f->fails ? cs_fail(err, f->fails, "the fake was told to fail") : CS_OK;
}

static enum cs_status fake_kv_list(void *self, struct op *op, const struct kv_key *owner, struct slice after,
	size_t limit, struct kv_page *ret_page, struct cs_error *err)
{
	struct fake_kv *f = self;

	atomic_fetch_add(&f->lists, 1);
	if (f->fails)
		return cs_fail(err, f->fails, "the fake was told to fail");
	*ret_page = (struct kv_page){0};
	return CS_OK;
}

static inline struct kv_port fake_kv_port(struct fake_kv *f)
{
	return (struct kv_port){
		.self = f, .get = fake_kv_get, .put = fake_kv_put, .remove = fake_kv_remove, .list = fake_kv_list};
}

#endif
