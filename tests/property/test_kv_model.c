/* Agent state against a plain map: random operations, the same answers. The mirror, the file and time are all in play:
 * keys are few so that they collide, the clock jumps, the store is reopened. The seed is printed; CS_SEED repeats a
 * run. */
#include <inttypes.h>

#include "../contract/kv_adapters.h"

#define KEYS       12
#define OPERATIONS 3000
#define TEXT_MAX   64

struct model {
	bool there;
	uint64_t version;
	char text[TEXT_MAX + 1];
	int64_t expires_at_ms; /* on the model's clock; INT64_MAX */
};

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

struct play {
	struct fixture *f;
	struct model keys[KEYS];
	uint64_t state;
	int64_t shift_ms;
	char names[KEYS][8];
};

/* The real clock moves a little below the shifts, which are whole minutes; a test lasts seconds. */
static void expire(struct play *p)
{
	for (size_t i = 0; i < KEYS; i++)
		if (p->keys[i].there && p->shift_ms >= p->keys[i].expires_at_ms)
			p->keys[i].there = false;
}

static void pass_a_minute(struct play *p)
{
	p->shift_ms += 60000;
	fixture_pass_ms(p->f, 60000);
}

static struct kv_key key_of(struct play *p, size_t i)
{
	return (struct kv_key){S("agent"), i % 2 ? KV_STATE : KV_SCRATCHPAD, slice_cstr(p->names[i])};
}

static bool append_model(struct model *m, const char *text)
{
	size_t have = strlen(m->text);

	if (!m->there)
		return snprintf(m->text, sizeof m->text, "%s", text) > 0;
	if (have + 1 + strlen(text) > TEXT_MAX)
		return false;
	snprintf(m->text + have, sizeof m->text - have, "\n%s", text);
	return true;
}

static bool add_model(struct model *m, int64_t step)
{
	int64_t base = 0;

	if (m->there && !slice_to_i64(slice_cstr(m->text), &base))
		return false;
	snprintf(m->text, sizeof m->text, "%" PRId64, base + step);
	return true;
}

static void do_put(struct play *p, size_t i)
{
	struct fixture *f = p->f;
	struct model next = p->keys[i], *m = &p->keys[i];
	uint64_t r = random_next(&p->state);
	char text[16];
	struct kv_write w = {
		.key = key_of(p, i), .mode = (enum kv_mode)(r % 3), .if_version = KV_VERSION_ANY, .ttl_s = KV_TTL_NONE};
	struct kv_entry entry;
	enum cs_status status, expected = CS_OK;
	uint64_t have = m->there ? m->version : 0;
	int64_t number = (int64_t)(r >> 8) % 1000 - 500;

	snprintf(text, sizeof text, "%" PRId64, number);
	w.content = slice_cstr(text);
	if (r >> 20 & 1)
		w.ttl_s = 150 + (int64_t)(r >> 21 & 3) * 60;
	if ((r >> 30) % 4 == 0)
		w.if_version = (int64_t)((r >> 32) % 4);
	if (w.mode == KV_OVERWRITE)
		snprintf(next.text, sizeof next.text, "%s", text);
	else if (w.mode == KV_APPEND && !append_model(&next, text))
		return;
	if (w.if_version != KV_VERSION_ANY && (uint64_t)w.if_version != have)
		expected = CS_VERSION_CONFLICT;
	else if (w.mode == KV_INCREMENT && !add_model(&next, number))
		expected = CS_INVALID_CONTENT_TYPE;
	status = f->ports.kv.put(f->ports.kv.self, &f->op, &w, &entry, &f->err);
	assert_int_equal(status, expected);
	if (status == CS_VERSION_CONFLICT)
		assert_int_equal(f->err.version, have);
	if (status != CS_OK)
		return;
	next.there = true;
	next.version = have + 1;
	next.expires_at_ms = w.ttl_s == KV_TTL_NONE ? INT64_MAX : p->shift_ms + w.ttl_s * 1000;
	*m = next;
	assert_int_equal(entry.version, m->version);
	assert_text(entry.content, m->text);
}

static void do_remove(struct play *p, size_t i)
{
	struct kv_key key = key_of(p, i);
	enum cs_status status = p->f->ports.kv.remove(p->f->ports.kv.self, &p->f->op, &key, KV_VERSION_ANY, &p->f->err);

	assert_int_equal(status, p->keys[i].there ? CS_OK : CS_KEY_NOT_FOUND);
	p->keys[i].there = false;
}

static void do_get(struct play *p, size_t i)
{
	struct kv_key key = key_of(p, i);
	struct kv_entry entry;
	enum cs_status status = p->f->ports.kv.get(p->f->ports.kv.self, &p->f->op, &key, &entry, &p->f->err);

	assert_int_equal(status, p->keys[i].there ? CS_OK : CS_KEY_NOT_FOUND);
	if (status != CS_OK)
		return;
	assert_text(entry.content, p->keys[i].text);
	assert_int_equal(entry.version, p->keys[i].version);
	assert_int_equal(entry.characters, strlen(p->keys[i].text));
	assert_int_equal(entry.ttl_s == KV_TTL_NONE, p->keys[i].expires_at_ms == INT64_MAX);
}

static void do_list(struct play *p, enum kv_prefix prefix)
{
	struct kv_key owner = {S("agent"), prefix, {0}};
	struct kv_page page;
	size_t n = 0;

	assert_ok(p->f,
		p->f->ports.kv.list(p->f->ports.kv.self, &p->f->op, &owner, (struct slice){0}, 100, &page, &p->f->err));
	for (size_t i = prefix == KV_STATE; i < KEYS; i += 2) {
		if (!p->keys[i].there)
			continue;
		assert_true(n < page.count);
		assert_text(page.keys[n], p->names[i]);
		assert_text(page.entries[n++].content, p->keys[i].text);
	}
	assert_int_equal(page.count, n);
	assert_int_equal(page.total, n);
}

static void it_answers_as_a_map_does(void **state)
{
	struct play p = {.f = *state};
	const char *seed = getenv("CS_SEED");

	p.state = seed ? strtoull(seed, NULL, 10) : (uint64_t)clock_mono_ns();
	printf("# CS_SEED=%" PRIu64 "\n", p.state);
	for (size_t i = 0; i < KEYS; i++)
		snprintf(p.names[i], sizeof p.names[i], "k%02zu", i);
	for (int n = 0; n < OPERATIONS; n++) {
		uint64_t r = random_next(&p.state);
		size_t key = (r >> 16) % KEYS;

		if (r % 100 < 40)
			do_put(&p, key);
		else if (r % 100 < 50)
			do_remove(&p, key);
		else if (r % 100 < 90)
			do_get(&p, key);
		else if (r % 100 < 96)
			do_list(&p, r >> 40 & 1 ? KV_STATE : KV_SCRATCHPAD);
		else if (r % 100 < 99)
			pass_a_minute(&p);
		else if ((r >> 50) % 4 == 0)
			fixture_reopen(p.f);
		expire(&p);
		arena_reset(&p.f->arena);
	}
}

int main(void)
{
	struct CMUnitTest tests[] = {PORT_TEST(it_answers_as_a_map_does)};

	return run_for_kv_adapters("kv model", tests, 1);
}
