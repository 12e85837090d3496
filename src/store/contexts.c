/* From an argument to a row: checks, id, what is drawn out, hash, vector; then one put for all.
 *
 * Items that fail here never reach the port; the others go in one transaction, so that a hundred contexts cost one
 * commit. The hash covers type and compact content in the order the members came in: two spellings of the same object
 * with members in another order are no exact duplicate. A canonical order was weighed; sorting every object on every
 * store to catch what clients hardly ever send is not worth it. */
#include "store/contexts.h"

#include <sys/random.h>
#include <xxhash.h>

#include "store/embedding.h"
#include "store/words.h"

#define CONTENT_MAX_DEFAULT (1u << 20)

static const struct slice standard_types[] = {
	SLICE_INIT("design"), SLICE_INIT("decision"), SLICE_INIT("trace"), SLICE_INIT("sprint"), SLICE_INIT("log")};

enum cs_status store_check_type(const struct store *store, struct slice type, struct cs_error *err)
{
	size_t count = store->type_count ? store->type_count : sizeof standard_types / sizeof standard_types[0];
	const struct slice *types = store->type_count ? store->types : standard_types;
	char known[256];
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		if (slice_eq(types[i], type))
			return CS_OK;
	for (size_t i = 0; i < count && len < sizeof known; i++)
		len += (size_t)snprintf(
			known + len, sizeof known - len, "%s" SLICE_FMT, i ? ", " : "", SLICE_ARG(types[i]));
	return cs_fail(err, CS_VALIDATION, "type must be one of %s, not \"%.*s\"", known,
		(int)(type.len < 64 ? type.len : 64), type.ptr);
}

/* Milliseconds and counter in one number that only grows: a clock that steps back does not make ids go back. */
static uint64_t next_tick(void)
{
	static _Atomic uint64_t last;
	uint64_t now = (uint64_t)clock_wall_ms() << 12;
	uint64_t before = atomic_load(&last), tick;

	do {
		tick = now > before ? now : before + 1;
	} while (!atomic_compare_exchange_weak(&last, &before, tick));
	return tick;
}

enum cs_status context_new_id(char text[CONTEXT_NEW_ID_SIZE], struct cs_error *err)
{
	uint64_t tick = next_tick(), random;

	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return cs_fail(err, CS_UNEXPECTED, "the system gives no random bytes for a new id");
	random = (random >> 2) | UINT64_C(1) << 63; /* variant 10 */
	snprintf(text, CONTEXT_NEW_ID_SIZE, "%08x-%04x-7%03x-%04x-%012llx", (unsigned)(tick >> 28),
		(unsigned)(tick >> 12) & 0xFFFF, (unsigned)tick & 0xFFF, (unsigned)(random >> 48),
		(unsigned long long)(random & UINT64_C(0xFFFFFFFFFFFF)));
	return CS_OK;
}

/* Compact text of a node in the arena. */
static enum cs_status compact(struct op *op, const struct json_doc *doc, uint32_t node, size_t ceiling,
	struct slice *ret_text, struct cs_error *err)
{
	struct buffer text;
	struct json_writer w = json_writer(&text);
	enum cs_status status;
	struct slice kept;

	buffer_init(&text, ceiling);
	json_write_node(&w, doc, node);
	status = buffer_status(&text, err);
	if (status == CS_OK) {
		kept = arena_copy(op->arena, buffer_slice(&text));
		if (kept.ptr)
			*ret_text = kept;
		else
			status = cs_fail_memory(err);
	}
	buffer_release(&text);
	return status;
}

static enum cs_status check_id(struct slice id, struct cs_error *err)
{
	bool clean = id.len > 0 && id.len <= CONTEXT_ID_MAX;

	for (size_t i = 0; clean && i < id.len; i++)
		clean = (unsigned char)id.ptr[i] >= 0x20 && id.ptr[i] != 0x7F;
	if (clean)
		return CS_OK;
	return cs_fail(err, CS_VALIDATION,
		"id must be a string of 1 to %d bytes without control characters, not one of %zu bytes", CONTEXT_ID_MAX,
		id.len);
}

static enum cs_status choose_id(
	struct op *op, const struct store_item *item, struct slice *ret_id, struct cs_error *err)
{
	struct slice id = item->id;
	char made[CONTEXT_NEW_ID_SIZE];
	enum cs_status status;

	if (id.len == 0 && !json_str(item->doc, json_get(item->doc, item->content, S("id")), &id)) {
		if (item->if_version > 0)
			return cs_fail(err, CS_VALIDATION, "if_version %lld needs the id of the context it is about",
				(long long)item->if_version);
		status = context_new_id(made, err);
		if (status != CS_OK)
			return status;
		id = arena_copy(op->arena, slice_of(made, sizeof made - 1));
		if (!id.ptr)
			return cs_fail_memory(err);
	}
	status = check_id(id, err);
	if (status == CS_OK)
		*ret_id = id;
	return status;
}

static uint64_t hash_of(struct slice type, struct slice content)
{
	return XXH3_64bits_withSeed(content.ptr, content.len, XXH3_64bits(type.ptr, type.len));
}

static enum cs_status compact_content(struct store *store, struct op *op, const struct store_item *item,
	struct context *context, struct cs_error *err)
{
	size_t limit = store->content_max ? store->content_max : CONTENT_MAX_DEFAULT;
	enum cs_status status = compact(op, item->doc, item->content, SIZE_MAX / 2, &context->content, err);

	if (status != CS_OK)
		return status;
	if (context->content.len > limit)
		return cs_fail(err, CS_CONTENT_TOO_LARGE, "content may be at most %zu bytes as compact JSON, not %zu",
			limit, context->content.len);
	context->metadata = S("{}");
	if (item->metadata == JSON_NONE)
		return CS_OK;
	status = compact(op, item->doc, item->metadata, SIZE_MAX / 2, &context->metadata, err);
	if (status == CS_OK && context->metadata.len > limit)
		return cs_fail(err, CS_CONTENT_TOO_LARGE, "metadata may be at most %zu bytes as compact JSON, not %zu",
			limit, context->metadata.len);
	return status;
}

static enum cs_status prepare(struct store *store, struct op *op, const struct store_item *item,
	struct context_put *ret_put, struct cs_error *err)
{
	struct context_put put = {.if_version = item->if_version, .skip_duplicate = item->skip_duplicate};
	struct context *context = &put.context;
	enum cs_status status = store_check_type(store, item->type, err);

	if (status == CS_OK)
		status = choose_id(op, item, &context->id, err);
	if (status == CS_OK)
		status = compact_content(store, op, item, context, err);
	if (status == CS_OK)
		status = words_draw(op, item->doc, item->content, item->metadata, context, err);
	if (status != CS_OK)
		return status;
	context->type = item->type;
	context->relations = item->relations;
	context->relation_count = item->relation_count;
	context->content_hash = hash_of(context->type, context->content);
	*ret_put = put;
	return CS_OK;
}

/* The puts of one call on their way to the port. */
struct batch {
	struct context_put *puts;
	struct context_put_result *results;
	struct meaning *meanings;
	enum meaning_when *when;
	size_t *item_of;
	size_t count;
};

static enum cs_status batch_init(struct batch *batch, struct arena *arena, size_t room, struct cs_error *err)
{
	*batch = (struct batch){
		.puts = arena_array(arena, room, sizeof *batch->puts),
		.results = arena_array(arena, room, sizeof *batch->results),
		.meanings = arena_array(arena, room, sizeof *batch->meanings),
		.when = arena_array(arena, room, sizeof *batch->when),
		.item_of = arena_array(arena, room, sizeof *batch->item_of),
	};
	if (!batch->puts || !batch->results || !batch->meanings || !batch->when || !batch->item_of)
		return cs_fail_memory(err);
	return CS_OK;
}

/* A near duplicate of what is stored already is not stored again when asked so. An exact one is left to the port, which
 * looks within its transaction. */
static void drop_near(struct batch *batch, struct store_outcome *outcomes)
{
	size_t kept = 0;

	for (size_t i = 0; i < batch->count; i++) {
		const struct meaning *meaning = &batch->meanings[i];

		if (batch->puts[i].skip_duplicate && meaning->near.len > 0 && !meaning->exact && !meaning->same_call) {
			struct store_outcome *outcome = &outcomes[batch->item_of[i]];

			outcome->put = (struct context_put_result){.duplicate_of = meaning->near};
			outcome->id = meaning->near;
			outcome->meaning = *meaning;
			continue;
		}
		batch->puts[kept] = batch->puts[i];
		batch->meanings[kept] = batch->meanings[i];
		batch->item_of[kept++] = batch->item_of[i];
	}
	batch->count = kept;
}

static bool was_stored(const struct batch *batch, struct slice id)
{
	for (size_t i = 0; i < batch->count; i++)
		if (slice_eq(batch->puts[i].context.id, id))
			return batch->results[i].status == CS_OK;
	return true;
}

/* True when the context is stored and has no vector yet that could be made. */
static bool take_result(const struct batch *batch, size_t index, struct store_outcome *outcome)
{
	const struct context_put_result *result = &batch->results[index];

	outcome->put = *result;
	outcome->meaning = batch->meanings[index];
	if (result->status != CS_OK)
		return false;
	if (result->version == 0) {
		outcome->id = result->duplicate_of;
		/* Found by its content alone: it has no vector. */
		if (outcome->meaning.status == MEANING_COMPLETED && outcome->meaning.near.len == 0)
			outcome->meaning.status = MEANING_PENDING;
		return false;
	}
	if (result->duplicate_of.len == 0 && was_stored(batch, outcome->meaning.near))
		outcome->put.duplicate_of = outcome->meaning.near;
	return outcome->meaning.status == MEANING_PENDING || outcome->meaning.status == MEANING_FAILED;
}

static enum cs_status put_batch(
	struct store *store, struct op *op, struct batch *batch, struct store_outcome *outcomes, struct cs_error *err)
{
	bool to_mend = false;
	enum cs_status status = meaning_embed(store, op, batch->puts, batch->when, batch->count, batch->meanings, err);

	if (status != CS_OK)
		return status;
	meaning_find_near(store, op, batch->puts, batch->count, batch->meanings);
	drop_near(batch, outcomes);
	if (batch->count > 0)
		status = store->contexts.put(store->contexts.self, op, batch->puts, batch->count, batch->results, err);
	if (status != CS_OK)
		return status;
	for (size_t i = 0; i < batch->count; i++)
		if (take_result(batch, i, &outcomes[batch->item_of[i]]))
			to_mend = true;
	if (to_mend)
		embedding_repair(store->embedding);
	return CS_OK;
}

enum cs_status store_contexts(struct store *store, struct op *op, const struct store_item *items, size_t count,
	struct store_outcome *outcomes, struct cs_error *err)
{
	struct batch batch;
	enum cs_status status = batch_init(&batch, op->arena, count, err);

	if (status != CS_OK)
		return status;
	for (size_t i = 0; i < count; i++) {
		outcomes[i] = (struct store_outcome){.id = items[i].id};
		outcomes[i].put.status =
			prepare(store, op, &items[i], &batch.puts[batch.count], &outcomes[i].put.error);
		if (outcomes[i].put.status != CS_OK)
			continue;
		outcomes[i].id = batch.puts[batch.count].context.id;
		batch.when[batch.count] = items[i].when;
		batch.item_of[batch.count++] = i;
	}
	return batch.count > 0 ? put_batch(store, op, &batch, outcomes, err) : CS_OK;
}
