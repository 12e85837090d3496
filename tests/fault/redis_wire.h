/* A Redis adapter in front of a server that says what the test wants: the fixture of the tests of its wire. */
#ifndef CS_TESTS_REDIS_WIRE_H
#define CS_TESTS_REDIS_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/fake_redis.h"
#include "remote/redis_kv.h"

struct fixture {
	struct fake_redis fake;
	struct redis_kv *kv;
	struct kv_port port;
	struct arena arena;
	struct op op;
	struct cs_error err;
	/* What the server is to say, in the tests where that is all. */
	const char *_Atomic reply;
	atomic_size_t length, cut;
	atomic_int puts;
};

static const struct kv_key the_key = {SLICE_INIT("a"), KV_STATE, SLICE_INIT("k")};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	arena_init(&f->arena, NULL, 0, 64u << 20);
	f->op = (struct op){.arena = &f->arena, .deadline_ns = OP_NO_DEADLINE, .may_wait = true};
	*state = f;
	return 0;
}

static void begin(struct fixture *f, void (*serve)(struct fake_redis *, int, int), int64_t command_timeout_ms)
{
	struct redis_kv_options options = {.pool_max = 1, .command_timeout_ms = command_timeout_ms};

	fake_redis_start(&f->fake, serve, f);
	options.url = slice_cstr(f->fake.url);
	assert_int_equal(redis_kv_new(&options, &f->kv, &f->err), CS_OK);
	f->port = redis_kv_port(f->kv);
}

static void end(struct fixture *f)
{
	/* The client first: then the server's thread has nobody to wait for. */
	redis_kv_free(f->kv);
	f->kv = NULL;
	fake_redis_stop(&f->fake);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_release(&f->arena);
	free(f);
	return 0;
}

static enum cs_status get(struct fixture *f, struct kv_entry *entry)
{
	return f->port.get(f->port.self, &f->op, &the_key, entry, &f->err);
}

static enum cs_status put(struct fixture *f)
{
	struct kv_write w = {.key = the_key, .content = S("v"), .ttl_s = KV_TTL_NONE, .if_version = KV_VERSION_ANY};
	struct kv_entry entry;

	return f->port.put(f->port.self, &f->op, &w, &entry, &f->err);
}

static void assert_says(const struct fixture *f, const char *hint)
{
	if (!strstr(f->err.text, hint))
		fail_msg("\"%s\" does not say \"%s\"", f->err.text, hint);
}

#define WIRE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
