/* A column for each attribute, and a filter as a few passes over columns.
 *
 * A block starts with the bits of its live rows, and each condition takes bits away: a pass over 8 KiB that the compiler
 * turns into vector instructions, and nothing is read of attributes that the filter does not ask for. Tags are few and
 * of any number, so they stand beside the block, and are looked at for the bits that are left. */
#include "engine/attributes.h"

#include <stdlib.h>

#include "base/map.h"
#include "engine/context_filter.h"

#define ROWS      1024u
#define ROW_WORDS (ROWS / 64)
#define TAG_BYTES 24 /* of a list of tags beside the hashes */

struct tag_list {
	size_t count;
	uint64_t hashes[];
};

struct attribute_block {
	uint64_t live[ROW_WORDS];
	size_t count;
	int64_t created_at[ROWS];
	uint64_t values[ATTRIBUTES][ROWS];
	struct tag_list *tags[ROWS]; /* NULL: none */
};

/* Of one context. */

static uint64_t hash_of(struct slice text)
{
	const uint64_t hash = map_hash(text);

	return hash ? hash : 1;
}

static uint64_t value_of(struct slice text)
{
	return text.len ? hash_of(text) : 0;
}

/* Tags are hashed as they stand in the frame, escaped. */
static bool hash_tags(struct arena *arena, struct slice framed, struct attributes *attributes)
{
	struct slice rest = slice_from(framed, framed.len ? 1 : 0);
	size_t count = 0;
	uint64_t *hashes;

	for (size_t i = 0; i < rest.len; i++)
		count += rest.ptr[i] == '\n';
	hashes = arena_array(arena, count, sizeof *hashes);
	if (!hashes)
		return false;
	for (size_t i = 0; i < count; i++)
		hashes[i] = hash_of(slice_cut(&rest, '\n'));
	attributes->tags = hashes;
	attributes->tag_count = count;
	return true;
}

bool attributes_of_context(struct arena *arena, const struct context *c, struct slice framed, int64_t created_at,
	struct attributes *ret_attributes)
{
	*ret_attributes = (struct attributes){
		.created_at = created_at,
		.values = {[ATTRIBUTE_TYPE] = value_of(c->type),
			[ATTRIBUTE_NAMESPACE] = value_of(c->namespace_),
			[ATTRIBUTE_AGENT] = value_of(c->agent_id),
			[ATTRIBUTE_STATUS] = value_of(c->status),
			[ATTRIBUTE_SOURCE] = value_of(c->source)},
	};
	return hash_tags(arena, framed, ret_attributes);
}

bool attributes_of_row(struct arena *arena, sqlite3_stmt *stmt, int first, struct attributes *ret_attributes)
{
	*ret_attributes = (struct attributes){.created_at = sqlite3_column_int64(stmt, first)};
	for (int i = 0; i < ATTRIBUTES; i++)
		ret_attributes->values[i] = value_of(sql_text(stmt, first + 1 + i));
	return hash_tags(arena, sql_text(stmt, first + 1 + ATTRIBUTES), ret_attributes);
}

/* The table. */

static void drop_tags(struct attribute_table *table, struct attribute_block *block, size_t at)
{
	if (block->tags[at])
		table->bytes -= TAG_BYTES + block->tags[at]->count * sizeof(uint64_t);
	free(block->tags[at]);
	block->tags[at] = NULL;
}

void attribute_table_release(struct attribute_table *table)
{
	for (size_t i = 0; i < table->block_count; i++) {
		for (size_t at = 0; table->blocks[i] && at < ROWS; at++)
			free(table->blocks[i]->tags[at]);
		free(table->blocks[i]);
	}
	free(table->blocks);
	*table = (struct attribute_table){0};
}

/* Room for the block's place; half as much again, so that growing costs little. */
static bool reserve(struct attribute_table *table, size_t block)
{
	size_t count = block + block / 2 + 8;
	struct attribute_block **blocks;

	if (block < table->block_count)
		return true;
	blocks = realloc(table->blocks, count * sizeof(struct attribute_block *));
	if (!blocks)
		return false;
	for (size_t i = table->block_count; i < count; i++)
		blocks[i] = NULL;
	table->bytes += (count - table->block_count) * sizeof(struct attribute_block *);
	table->blocks = blocks;
	table->block_count = count;
	return true;
}

bool attribute_table_put(struct attribute_table *table, int64_t row, const struct attributes *a)
{
	const size_t number = (size_t)row / ROWS, at = (size_t)row % ROWS;
	struct attribute_block *block;
	struct tag_list *tags = NULL;

	if (row < 0 || row > ATTRIBUTES_ROW_MAX || !reserve(table, number))
		return false;
	if (a->tag_count) {
		tags = malloc(sizeof *tags + a->tag_count * sizeof *tags->hashes);
		if (!tags)
			return false;
		tags->count = a->tag_count;
		memcpy(tags->hashes, a->tags, a->tag_count * sizeof *tags->hashes);
	}
	block = table->blocks[number];
	if (!block) {
		block = table->blocks[number] = calloc(1, sizeof *block);
		if (!block) {
			free(tags);
			return false;
		}
		table->bytes += sizeof *block;
	}
	block->count += !(block->live[at / 64] >> (at % 64) & 1);
	block->live[at / 64] |= UINT64_C(1) << (at % 64);
	block->created_at[at] = a->created_at;
	for (size_t i = 0; i < ATTRIBUTES; i++)
		block->values[i][at] = a->values[i];
	drop_tags(table, block, at);
	block->tags[at] = tags;
	if (tags)
		table->bytes += TAG_BYTES + tags->count * sizeof *tags->hashes;
	return true;
}

void attribute_table_remove(struct attribute_table *table, int64_t row)
{
	const size_t number = (size_t)row / ROWS, at = (size_t)row % ROWS;
	struct attribute_block *block = row >= 0 && number < table->block_count ? table->blocks[number] : NULL;

	if (!block || !(block->live[at / 64] >> (at % 64) & 1))
		return;
	block->live[at / 64] &= ~(UINT64_C(1) << (at % 64));
	drop_tags(table, block, at);
	if (--block->count > 0)
		return;
	free(block);
	table->blocks[number] = NULL;
	table->bytes -= sizeof *block;
}

/* Selecting. */

/* Takes away the bits of rows whose value is none of these (or, not `among`, is one of these). */
static void keep_values(uint64_t *bits, const uint64_t *values, const uint64_t *wanted, size_t wanted_count, bool among)
{
	for (size_t word = 0; word < ROW_WORDS; word++) {
		uint64_t found = 0;

		if (bits[word] == 0)
			continue;
		for (size_t i = 0; i < 64; i++) {
			const uint64_t value = values[word * 64 + i];
			bool one = false;

			for (size_t w = 0; w < wanted_count; w++)
				one |= value == wanted[w];
			found |= (uint64_t)one << i;
		}
		bits[word] &= among ? found : ~found;
	}
}

static void keep_dates(uint64_t *bits, const int64_t *dates, int64_t from, int64_t to)
{
	for (size_t word = 0; word < ROW_WORDS; word++) {
		uint64_t found = 0;

		for (size_t i = 0; i < 64; i++)
			found |= (uint64_t)(dates[word * 64 + i] >= from && dates[word * 64 + i] <= to) << i;
		bits[word] &= found;
	}
}

static bool has_tag(const struct tag_list *tags, uint64_t wanted)
{
	for (size_t i = 0; tags && i < tags->count; i++)
		if (tags->hashes[i] == wanted)
			return true;
	return false;
}

static void keep_tag(uint64_t *bits, struct tag_list *const *tags, uint64_t wanted)
{
	for (size_t word = 0; word < ROW_WORDS; word++)
		for (uint64_t left = bits[word]; left; left &= left - 1) {
			const unsigned i = (unsigned)__builtin_ctzll(left);

			if (!has_tag(tags[word * 64 + i], wanted))
				bits[word] &= ~(UINT64_C(1) << i);
		}
}

/* A filter and its texts as hashes. */
struct asked {
	const struct context_filter *filter;
	const uint64_t *types, *excluded;
	struct attributes tags;     /* nothing but tags */
	uint64_t equal[ATTRIBUTES]; /* 0: any */
};

static const uint64_t *hash_all(struct arena *arena, const struct slice *texts, size_t count)
{
	uint64_t *hashes = arena_array(arena, count, sizeof *hashes);

	for (size_t i = 0; hashes && i < count; i++)
		hashes[i] = value_of(texts[i]);
	return hashes;
}

static bool ask(struct arena *arena, const struct context_filter *filter, struct asked *ret_asked)
{
	struct slice framed = filter_frame_tags(arena, filter->tags, filter->tag_count);

	*ret_asked = (struct asked){
		.filter = filter,
		.types = hash_all(arena, filter->types, filter->type_count),
		.excluded = hash_all(arena, filter->exclude_sources, filter->exclude_source_count),
		.equal = {[ATTRIBUTE_STATUS] = value_of(filter->status),
			[ATTRIBUTE_AGENT] = value_of(filter->agent_id),
			[ATTRIBUTE_NAMESPACE] = value_of(filter->namespace_)},
	};
	return ret_asked->types && ret_asked->excluded && framed.ptr && hash_tags(arena, framed, &ret_asked->tags);
}

static void select_in_block(const struct attribute_block *block, const struct asked *asked, uint64_t *bits)
{
	const struct context_filter *filter = asked->filter;
	const int64_t to = filter->date_to == CONTEXT_NO_DATE ? INT64_MAX : filter->date_to;

	memcpy(bits, block->live, sizeof block->live);
	if (filter->type_count)
		keep_values(bits, block->values[ATTRIBUTE_TYPE], asked->types, filter->type_count, true);
	if (filter->exclude_source_count)
		keep_values(
			bits, block->values[ATTRIBUTE_SOURCE], asked->excluded, filter->exclude_source_count, false);
	for (size_t i = 0; i < ATTRIBUTES; i++)
		if (asked->equal[i])
			keep_values(bits, block->values[i], &asked->equal[i], 1, true);
	if (filter->date_from != CONTEXT_NO_DATE || to != INT64_MAX)
		keep_dates(bits, block->created_at, filter->date_from, to); /* CONTEXT_NO_DATE is before all */
	for (size_t i = 0; i < asked->tags.tag_count; i++)
		keep_tag(bits, block->tags, asked->tags.tags[i]);
}

bool attributes_answer(const struct context_filter *filter)
{
	return !filter || filter->predicate_count == 0;
}

enum cs_status attribute_table_select(const struct attribute_table *table, struct arena *arena,
	const struct context_filter *filter, struct row_set *ret_set, struct cs_error *err)
{
	const size_t word_count = table->block_count * ROW_WORDS;
	uint64_t *words = arena_array(arena, word_count, sizeof *words);
	struct row_set set = {.words = words, .word_count = word_count};
	struct asked asked;

	if (!words || !ask(arena, filter, &asked))
		return cs_fail_memory(err);
	for (size_t i = 0; i < table->block_count; i++)
		if (table->blocks[i])
			select_in_block(table->blocks[i], &asked, words + i * ROW_WORDS);
	for (size_t i = 0; i < word_count; i++)
		set.count += (size_t)__builtin_popcountll(words[i]);
	*ret_set = set;
	return CS_OK;
}
