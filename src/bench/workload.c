/* The rows, and the texts they are made of.
 *
 * What is random is drawn from a hash of the index (splitmix64), never from a generator with a state: a request can be
 * made again from its index alone, as cleaning up does. */
#include "bench/workload.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/nearest.h"

static const char *const common_words[] = {"commit", "writer", "vector", "session", "decision", "latency", "index",
	"agent", "replay", "snapshot", "bounded", "queue", "protocol", "schema", "relation", "memory", "cursor",
	"deadline", "worker", "budget", "encoder", "retry", "backend", "design", "trace", "sprint", "review", "release",
	"token", "graph", "merge", "window", "cache", "shard", "payload", "bookmark", "label", "tenant", "quota",
	"rollout", "alert", "metric", "thread", "socket", "buffer", "arena", "parser", "client", "server", "backup",
	"restore", "migration", "lock", "owner", "stream", "event", "batch", "filter", "score", "query", "limit",
	"secret", "signal", "kernel"};
#define COMMON_COUNT (sizeof common_words / sizeof *common_words)

static const char *const rare_stems[] = {"ticket", "host", "build", "node"};
#define RARE_NUMBERS 1000
#define TEXT_WORDS   60

static uint64_t mixed(uint64_t x)
{
	x += 0x9E3779B97F4A7C15u;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

/* The smaller of two draws: the first words are common, the last ones less so. */
static void common_word(uint64_t seed, struct buffer *out)
{
	uint64_t draw = mixed(seed), a = draw % COMMON_COUNT, b = (draw >> 32) % COMMON_COUNT;

	buffer_append(out, slice_cstr(common_words[a < b ? a : b]));
}

static void rare_word(uint64_t seed, struct buffer *out)
{
	uint64_t draw = mixed(seed);

	buffer_printf(out, "%s%u", rare_stems[draw % 4], (unsigned)((draw >> 8) % RARE_NUMBERS));
}

static void write_text(uint64_t seed, struct buffer *out)
{
	for (unsigned i = 0; i < TEXT_WORDS; i++) {
		if (i > 0)
			buffer_byte(out, ' ');
		if (i % 3 == 2)
			rare_word(seed * TEXT_WORDS + i, out);
		else
			common_word(seed * TEXT_WORDS + i, out);
	}
}

static void write_id(
	const struct workload *w, const char *what, uint64_t index, const char *name, struct json_writer *j)
{
	char id[96];

	snprintf(id, sizeof id, "%s-%s-%llu", w->run, what, (unsigned long long)index);
	json_key_str(j, name, slice_cstr(id));
}

/* The members of one context. `seed` tells the text; all seeds of a destructive tool share one, so that storing them
 * costs one embedding and not thousands. */
static void write_context(
	const struct workload *w, const char *what, uint64_t index, uint64_t seed, struct json_writer *j)
{
	char title[48];
	struct buffer text;

	buffer_init(&text, 4096);
	write_text(seed, &text);
	snprintf(title, sizeof title, "Event %llu", (unsigned long long)index);
	write_id(w, what, index, "id", j);
	json_key_str(j, "type", S("log"));
	json_write_name(j, S("content"));
	json_begin_object(j);
	json_key_str(j, "title", slice_cstr(title));
	json_key_str(j, "text", buffer_slice(&text));
	json_end_object(j);
	json_write_name(j, S("metadata"));
	json_begin_object(j);
	json_key_str(j, "source", S("bench"));
	json_key_str(j, "agent_id", slice_cstr(w->run));
	json_end_object(j);
	buffer_release(&text);
}

static void write_store(const struct workload *w, uint64_t index, struct json_writer *j)
{
	write_context(w, "store", index, index + WORKLOAD_CORPUS, j);
}

static void write_retrieve(const struct workload *w, uint64_t index, struct json_writer *j)
{
	/* Words of a context of the corpus, so that there is something to find. */
	uint64_t seed = mixed(index) % WORKLOAD_CORPUS * TEXT_WORDS;
	struct buffer query;

	buffer_init(&query, 4096);
	common_word(seed + index % 19 * 3, &query);
	buffer_byte(&query, ' ');
	common_word(seed + index % 17 * 3 + 1, &query);
	buffer_byte(&query, ' ');
	rare_word(seed + index % 13 * 3 + 2, &query);
	json_key_str(j, "query", buffer_slice(&query));
	json_key_i64(j, "limit", 10);
	json_key_bool(j, "use_cache", false); /* the search is what is measured */
	buffer_release(&query);
}

static void write_key_name(unsigned index, struct json_writer *j)
{
	char key[24];

	snprintf(key, sizeof key, "key-%u", index);
	json_key_str(j, "key", slice_cstr(key));
}

static void write_note(const struct workload *w, uint64_t index, struct json_writer *j)
{
	json_key_str(j, "agent_id", slice_cstr(w->run));
	write_key_name((unsigned)(index % WORKLOAD_KEYS), j);
	json_key_str(j, "content", S("step 7 of 12: waiting for review of the migration"));
}

static void write_state(const struct workload *w, uint64_t index, struct json_writer *j)
{
	json_key_str(j, "agent_id", slice_cstr(w->run));
	write_key_name((unsigned)(index % WORKLOAD_KEYS), j);
	json_key_str(j, "prefix", S("state"));
}

static void write_delete(const struct workload *w, uint64_t index, struct json_writer *j)
{
	write_id(w, "delete", index, "context_id", j);
	json_key_str(j, "reason", S("benchmark"));
	json_key_bool(j, "hard_delete", true);
}

static void write_forget(const struct workload *w, uint64_t index, struct json_writer *j)
{
	write_id(w, "forget", index, "context_id", j);
	json_key_str(j, "reason", S("benchmark"));
	json_key_i64(j, "retention_days", 1);
}

const struct workload_row workload_rows[] = {
	{.tool = "store_context",
		.alias = "store",
		.share = 5,
		.stores = true,
		.pending = "\"embedding_status\":\"pending\"",
		.write = write_store},
	{.tool = "retrieve_context", .alias = "retrieve", .share = 60, .cycle = 4096, .write = write_retrieve},
	{.tool = "update_scratchpad", .alias = "scratchpad", .share = 15, .cycle = WORKLOAD_KEYS, .write = write_note},
	{.tool = "get_agent_state", .alias = "state", .share = 20, .cycle = WORKLOAD_KEYS, .write = write_state},
	{.tool = "delete_context", .alias = "delete", .consumes = true, .write = write_delete},
	{.tool = "forget_context", .alias = "forget", .consumes = true, .write = write_forget},
};
const size_t workload_row_count = sizeof workload_rows / sizeof *workload_rows;
_Static_assert(sizeof workload_rows / sizeof *workload_rows <= WORKLOAD_MAX, "struct workload has room for each row");

const struct workload_row *workload_find(struct slice name)
{
	for (size_t i = 0; i < workload_row_count; i++)
		if (slice_is(name, workload_rows[i].tool) || slice_is(name, workload_rows[i].alias))
			return &workload_rows[i];
	return NULL;
}

size_t workload_index(const struct workload_row *row)
{
	return (size_t)(row - workload_rows);
}

void workload_init(struct workload *w)
{
	uint32_t random = 0;

	*w = (struct workload){0};
	/* Without the kernel's word the runs of one machine still differ, by their clock. */
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		random = (uint32_t)clock_mono_ns();
	snprintf(w->run, sizeof w->run, "bench-%08x", random);
}

void workload_write(const struct workload *w, const struct workload_row *row, uint64_t index, struct buffer *out)
{
	struct json_writer j = json_writer(out);

	json_begin_object(&j);
	row->write(w, row->cycle ? index % row->cycle : index, &j);
	json_end_object(&j);
}

void workload_write_seeds(
	const struct workload *w, const struct workload_row *row, uint64_t first, unsigned count, struct buffer *out)
{
	struct json_writer j = json_writer(out);

	assert(count <= WORKLOAD_BATCH);
	json_begin_object(&j);
	json_write_name(&j, S("contexts"));
	json_begin_array(&j);
	for (uint64_t i = first; i < first + count; i++) {
		json_begin_object(&j);
		write_context(w, row ? row->alias : "corpus", i, row ? 0 : i, &j);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
}

void workload_write_key(const struct workload *w, unsigned index, bool notes, bool erase, struct buffer *out)
{
	struct json_writer j = json_writer(out);

	json_begin_object(&j);
	json_key_str(&j, "agent_id", slice_cstr(w->run));
	write_key_name(index, &j);
	json_key_str(&j, "prefix", notes ? S("scratchpad") : S("state"));
	if (erase)
		json_key_str(&j, "mode", S("delete"));
	else
		json_key_str(&j, "content", S("step 7 of 12: waiting for review of the migration"));
	json_end_object(&j);
}

void workload_write_erasure(
	const struct workload *w, const struct workload_row *row, uint64_t index, struct buffer *out)
{
	struct json_writer j = json_writer(out);

	json_begin_object(&j);
	write_id(w, row ? row->alias : "corpus", index, "context_id", &j);
	json_key_str(&j, "reason", S("the benchmark is over"));
	json_key_bool(&j, "hard_delete", true);
	json_end_object(&j);
}

struct mix mix_default(void)
{
	struct mix mix = {0};

	for (size_t i = 0; i < workload_row_count; i++)
		mix.share[i] = workload_rows[i].share;
	return mix;
}

static enum cs_status fail_unknown(struct slice name, struct cs_error *err)
{
	struct nearest nearest = nearest_to(name);
	int shown = name.len < 40 ? (int)name.len : 40;

	for (size_t i = 0; i < workload_row_count; i++) {
		nearest_offer(&nearest, slice_cstr(workload_rows[i].alias));
		nearest_offer(&nearest, slice_cstr(workload_rows[i].tool));
	}
	if (nearest.best.len > 0)
		return cs_fail(err, CS_VALIDATION, "the mix has no tool \"%.*s\"; did you mean " SLICE_FMT "?", shown,
			name.ptr, SLICE_ARG(nearest.best));
	return cs_fail(err, CS_VALIDATION,
		"the mix has no tool \"%.*s\"; there are store, retrieve, scratchpad, state, delete and forget", shown,
		name.ptr);
}

enum cs_status mix_parse(struct slice text, struct mix *ret_mix, struct cs_error *err)
{
	struct mix mix = {0};
	unsigned sum = 0;

	while (text.ptr) {
		struct slice share = slice_trim(slice_cut(&text, ',')), name = slice_trim(slice_cut(&share, '='));
		const struct workload_row *row = workload_find(name);
		uint64_t value;

		if (!row)
			return fail_unknown(name, err);
		if (!slice_to_u64(slice_trim(share), &value) || value < 1 || value > 100)
			return cs_fail(err, CS_VALIDATION,
				"the share of %s in the mix is a whole number from 1 to 100, as %s=60", row->alias,
				row->alias);
		if (mix.share[workload_index(row)])
			return cs_fail(err, CS_VALIDATION, "%s stands in the mix twice", row->alias);
		mix.share[workload_index(row)] = (unsigned)value;
		sum += (unsigned)value;
	}
	if (sum != 100)
		return cs_fail(err, CS_VALIDATION, "the shares of the mix add up to %u, and not to 100", sum);
	*ret_mix = mix;
	return CS_OK;
}

const struct workload_row *mix_pick(const struct mix *mix, uint64_t index)
{
	unsigned at = (unsigned)(mixed(index) % 100);

	for (size_t i = 0; i < workload_row_count; i++) {
		if (at < mix->share[i])
			return &workload_rows[i];
		at -= mix->share[i];
	}
	assert(!"the shares add up to 100");
	return NULL;
}
