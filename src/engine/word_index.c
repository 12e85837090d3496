/* Lists of postings, and scoring block by block.
 *
 * A posting is a document's number and, in the low 8 bits, how often it has the word; 255 says that `often` knows, where
 * the few larger numbers stand. Documents are numbered as they come, so every list is in order by itself. A word that
 * one document has, as most do, needs no list.
 *
 * A search goes through the documents in blocks of BLOCK numbers, so that the sums of a block stay in the first-level
 * cache: word after word adds its part, in the query's order (the sum is then the same to the last bit as FTS5's way of
 * row after row), and documents met for the first time are noted; at the end of the block these are offered. Nothing is
 * skipped by bounds on scores (WAND and its kin): the total is part of the answer, so each match has to be seen, and
 * then scoring it costs less than deciding not to. */
#include "engine/word_index.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "engine/text_score.h"

#define BLOCK      4096u
#define TIMES_BITS 8
#define TIMES_MANY 255u
#define SLOTS_MIN  1024u
#define WORN_MIN   1024 /* dead documents */

struct term {
	uint64_t name; /* where in names */
	uint32_t length;
	uint32_t hash;
	uint32_t count, room; /* room 0: the one posting is in place */
	union {
		uint32_t one;
		uint32_t *list;
	};
};

struct doc {
	int64_t row;
	uint64_t id; /* where in names */
	uint32_t id_length;
	uint32_t tokens;
	bool dead;
};

/* A word that stands in a document TIMES_MANY times or more. In the order of documents. */
struct often {
	uint32_t doc, term, times;
};

struct array {
	void *items;
	size_t count, room;
};

struct word_index {
	struct array terms, docs, often, names;
	struct array live_tokens;         /* uint32_t a document: its length, 0 when dead; what scoring reads */
	uint32_t *term_slots, *row_slots; /* index + 1; open addressing, at most half full */
	size_t term_slot_count, row_slot_count;
	size_t rows;     /* live documents */
	uint64_t tokens; /* of these */
	uint64_t bytes;
};

static struct term *terms_of(const struct word_index *index)
{
	return index->terms.items;
}

static struct doc *docs_of(const struct word_index *index)
{
	return index->docs.items;
}

/* Room for `more` items; NULL: no memory. */
static void *reserve(struct word_index *index, struct array *array, size_t more, size_t size)
{
	if (array->room - array->count < more) {
		size_t room = array->room + array->room / 2 + more + 64;
		void *items = realloc(array->items, room * size);

		if (!items)
			return NULL;
		index->bytes += (room - array->room) * size;
		array->items = items;
		array->room = room;
	}
	return (char *)array->items + array->count * size;
}

enum cs_status word_index_new(struct word_index **ret_index, struct cs_error *err)
{
	struct word_index *index = calloc(1, sizeof *index);

	if (index) {
		index->term_slots = calloc(SLOTS_MIN, sizeof *index->term_slots);
		index->row_slots = calloc(SLOTS_MIN, sizeof *index->row_slots);
		index->term_slot_count = index->row_slot_count = SLOTS_MIN;
	}
	if (!index || !index->term_slots || !index->row_slots) {
		word_index_free(index);
		return cs_fail_memory(err);
	}
	*ret_index = index;
	return CS_OK;
}

void word_index_free(struct word_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->terms.count; i++)
		if (terms_of(index)[i].room)
			free(terms_of(index)[i].list);
	free(index->terms.items);
	free(index->docs.items);
	free(index->often.items);
	free(index->names.items);
	free(index->live_tokens.items);
	free(index->term_slots);
	free(index->row_slots);
	free(index);
}

static struct slice name_at(const struct word_index *index, uint64_t at, uint32_t length)
{
	return slice_of((const char *)index->names.items + at, length);
}

static bool add_name(struct word_index *index, struct slice name, uint64_t *ret_at)
{
	char *to = reserve(index, &index->names, name.len, 1);

	if (!to)
		return false;
	if (name.len)
		memcpy(to, name.ptr, name.len);
	*ret_at = index->names.count;
	index->names.count += name.len;
	return true;
}

/* Words. */

/* The slot that has the word, or the free one where it would stand. */
static size_t find_term(const struct word_index *index, struct slice word, uint32_t hash)
{
	size_t mask = index->term_slot_count - 1, at = hash & mask;

	for (; index->term_slots[at]; at = (at + 1) & mask) {
		const struct term *term = &terms_of(index)[index->term_slots[at] - 1];

		if (term->hash == hash && slice_eq(name_at(index, term->name, term->length), word))
			break;
	}
	return at;
}

static bool grow_term_slots(struct word_index *index)
{
	size_t slot_count = index->term_slot_count * 2;
	uint32_t *slots = calloc(slot_count, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < index->terms.count; i++) {
		size_t at = terms_of(index)[i].hash & (slot_count - 1);

		while (slots[at])
			at = (at + 1) & (slot_count - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(index->term_slots);
	index->term_slots = slots;
	index->bytes += (slot_count - index->term_slot_count) * sizeof *slots;
	index->term_slot_count = slot_count;
	return true;
}

/* The word's place in terms, added if need be; SIZE_MAX: no memory. */
static size_t take_term(struct word_index *index, struct slice word, uint32_t hash)
{
	size_t at = find_term(index, word, hash);
	struct term *term;

	if (index->term_slots[at])
		return index->term_slots[at] - 1;
	if (index->terms.count * 2 >= index->term_slot_count) {
		if (!grow_term_slots(index))
			return SIZE_MAX;
		at = find_term(index, word, hash);
	}
	term = reserve(index, &index->terms, 1, sizeof *term);
	if (!term)
		return SIZE_MAX;
	*term = (struct term){.length = (uint32_t)word.len, .hash = hash};
	if (!add_name(index, word, &term->name))
		return SIZE_MAX;
	index->term_slots[at] = (uint32_t)++index->terms.count;
	return index->terms.count - 1;
}

static const uint32_t *postings_of(const struct term *term)
{
	return term->room ? term->list : &term->one;
}

static bool add_posting(struct word_index *index, struct term *term, uint32_t posting)
{
	if (term->count == 0 && term->room == 0) {
		term->one = posting;
	} else {
		if (term->count >= term->room) {
			uint32_t room = term->room ? term->room + term->room / 2 : 4;
			uint32_t *list = realloc(term->room ? term->list : NULL, room * sizeof *list);

			if (!list)
				return false;
			if (!term->room)
				list[0] = term->one;
			index->bytes += (room - term->room) * sizeof *list;
			term->list = list;
			term->room = room;
		}
		term->list[term->count] = posting;
	}
	term->count++;
	return true;
}

static bool add_word(struct word_index *index, uint32_t doc, struct slice word, const struct word_count *count)
{
	bool many = count->times >= TIMES_MANY;
	size_t at = take_term(index, word, (uint32_t)count->hash);
	struct often *often;

	if (at == SIZE_MAX)
		return false;
	if (many) {
		often = reserve(index, &index->often, 1, sizeof *often);
		if (!often)
			return false;
		*often = (struct often){doc, (uint32_t)at, count->times};
		index->often.count++;
	}
	return add_posting(index, &terms_of(index)[at], doc << TIMES_BITS | (many ? TIMES_MANY : count->times));
}

/* Rows. */

static uint64_t hash_row(int64_t row)
{
	uint64_t x = (uint64_t)row * UINT64_C(0x9E3779B97F4A7C15);

	return x ^ (x >> 32);
}

static size_t find_row(const struct word_index *index, int64_t row)
{
	size_t mask = index->row_slot_count - 1, at = hash_row(row) & mask;

	while (index->row_slots[at] && docs_of(index)[index->row_slots[at] - 1].row != row)
		at = (at + 1) & mask;
	return at;
}

static bool grow_row_slots(struct word_index *index)
{
	size_t slot_count = index->row_slot_count * 2;
	uint32_t *slots = calloc(slot_count, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < index->row_slot_count; i++) {
		uint32_t doc = index->row_slots[i];
		size_t at = doc ? hash_row(docs_of(index)[doc - 1].row) & (slot_count - 1) : 0;

		if (!doc)
			continue;
		while (slots[at])
			at = (at + 1) & (slot_count - 1);
		slots[at] = doc;
	}
	free(index->row_slots);
	index->row_slots = slots;
	index->bytes += (slot_count - index->row_slot_count) * sizeof *slots;
	index->row_slot_count = slot_count;
	return true;
}

/* Moves back what stands behind the gap and could not be found across it. */
static void free_row_slot(struct word_index *index, size_t gap)
{
	size_t mask = index->row_slot_count - 1;

	for (size_t at = (gap + 1) & mask; index->row_slots[at]; at = (at + 1) & mask) {
		size_t home = hash_row(docs_of(index)[index->row_slots[at] - 1].row) & mask;

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		index->row_slots[gap] = index->row_slots[at];
		gap = at;
	}
	index->row_slots[gap] = 0;
}

bool word_index_has(const struct word_index *index, int64_t row)
{
	return index->row_slots[find_row(index, row)] != 0;
}

void word_index_remove(struct word_index *index, int64_t row)
{
	size_t at = find_row(index, row);
	uint32_t doc = index->row_slots[at];

	if (!doc)
		return;
	doc--;
	index->rows--;
	index->tokens -= docs_of(index)[doc].tokens;
	docs_of(index)[doc].dead = true;
	((uint32_t *)index->live_tokens.items)[doc] = 0;
	free_row_slot(index, at);
}

static bool add_doc(struct word_index *index, int64_t row, struct slice id, uint32_t tokens)
{
	struct doc *doc = reserve(index, &index->docs, 1, sizeof *doc);
	uint32_t *length = reserve(index, &index->live_tokens, 1, sizeof *length);

	if (!doc || !length || (index->rows * 2 >= index->row_slot_count && !grow_row_slots(index)))
		return false;
	*doc = (struct doc){.row = row, .id_length = (uint32_t)id.len, .tokens = tokens};
	if (!add_name(index, id, &doc->id))
		return false;
	*length = tokens;
	index->live_tokens.count++;
	index->row_slots[find_row(index, row)] = (uint32_t)++index->docs.count;
	index->rows++;
	index->tokens += tokens;
	return true;
}

enum cs_status word_index_put(
	struct word_index *index, int64_t row, struct slice id, const struct word_counts *counts, struct cs_error *err)
{
	uint32_t doc = (uint32_t)index->docs.count;

	if (doc == WORD_INDEX_DOCS_MAX)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "more than %u documents", WORD_INDEX_DOCS_MAX);
	word_index_remove(index, row);
	if (!add_doc(index, row, id, counts->tokens))
		return cs_fail_memory(err);
	for (size_t i = 0; i < counts->count; i++)
		if (!add_word(index, doc, word_counts_word(counts, i), &counts->items[i]))
			return cs_fail_memory(err);
	return CS_OK;
}

/* Searching. */

/* One word of the query on its way through its list. */
struct cursor {
	const uint32_t *next, *end;
	uint32_t term;
	double weight;
};

struct block {
	double sums[BLOCK];
	uint16_t met[BLOCK + 1]; /* numbers in the block with a sum; one more is written than counts */
	size_t met_count;
	uint32_t first; /* document */
};

/* How many live documents have the word. */
static int64_t count_live(const struct word_index *index, const struct term *term)
{
	const uint32_t *postings = postings_of(term), *lengths = index->live_tokens.items;
	int64_t count = 0;

	if (index->rows == index->docs.count)
		return term->count;
	for (uint32_t i = 0; i < term->count; i++)
		count += lengths[postings[i] >> TIMES_BITS] != 0;
	return count;
}

static double times_many(const struct word_index *index, uint32_t doc, uint32_t term)
{
	const struct often *often = index->often.items;
	size_t low = 0, high = index->often.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (often[middle].doc < doc)
			low = middle + 1;
		else
			high = middle;
	}
	while (often[low].term != term)
		low++;
	assert(low < index->often.count && often[low].doc == doc);
	return (double)often[low].times;
}

/* Adds the word's part to the documents of the block. `lengths` is 0 for those that are passed over. */
static void add_parts(const struct word_index *index, const uint32_t *lengths, struct cursor *cursor, double average,
	struct block *block)
{
	const uint32_t *next = cursor->next, *end = cursor->end;
	const double weight = cursor->weight;
	size_t met_count = block->met_count;

	for (; next < end; next++) {
		uint32_t doc = *next >> TIMES_BITS, times = *next & TIMES_MANY, at = doc - block->first;
		double frequency = (double)times;

		if (at >= BLOCK)
			break;
		if (lengths[doc] == 0)
			continue;
		if (times == TIMES_MANY)
			frequency = times_many(index, doc, cursor->term);
		block->met[met_count] = (uint16_t)at;
		met_count += block->sums[at] == 0;
		block->sums[at] += bm25_part(weight, frequency, bm25_norm((double)lengths[doc], average));
	}
	cursor->next = next;
	block->met_count = met_count;
}

/* Hands over what was met, and leaves the block empty. Adds to *total, and raises *top. */
static void offer_block(
	const struct word_index *index, struct block *block, struct best *best, uint64_t *total, double *top)
{
	const double least = best->least;
	size_t matches = 0;
	double highest = *top;

	for (size_t i = 0; i < block->met_count; i++) {
		uint32_t doc = block->first + block->met[i];
		struct match match = {.score = block->sums[block->met[i]], .doc = doc};

		block->sums[block->met[i]] = 0;
		highest = match.score > highest ? match.score : highest;
		matches += match.score >= least;
		/* Reading the row of each would cost as much as its score did. */
		if (match.score < least || match.score < best->floor)
			continue;
		match.row = docs_of(index)[doc].row;
		best_offer(best, &match);
	}
	block->met_count = 0;
	*total += matches;
	*top = highest;
}

/* The first document that any of the words still has; UINT32_MAX: none. */
static uint32_t next_doc(const struct cursor *cursors, size_t count)
{
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < count; i++)
		if (cursors[i].next < cursors[i].end && *cursors[i].next >> TIMES_BITS < least)
			least = *cursors[i].next >> TIMES_BITS;
	return least;
}

static size_t find_words(
	const struct word_index *index, const struct slice *words, size_t count, struct cursor *cursors)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		size_t length = words[i].len < TOKENIZERS_WORD_MAX ? words[i].len : TOKENIZERS_WORD_MAX;
		struct slice word = slice_of(words[i].ptr, length);
		uint32_t at = index->term_slots[find_term(index, word, (uint32_t)map_hash(word))];
		const struct term *term = at ? &terms_of(index)[at - 1] : NULL;

		if (!term)
			continue;
		cursors[found++] = (struct cursor){.next = postings_of(term),
			.end = postings_of(term) + term->count,
			.term = at - 1,
			.weight = bm25_weight((int64_t)index->rows, count_live(index, term))};
	}
	return found;
}

/* Lengths that are 0 for documents whose row is not among these; malloc'd. */
static uint32_t *lengths_among(const struct word_index *index, const struct row_set *among)
{
	const uint32_t *lengths = index->live_tokens.items;
	uint32_t *own = malloc((index->docs.count + 1) * sizeof *own);

	for (size_t i = 0; own && i < index->docs.count; i++)
		own[i] = row_set_has(among, docs_of(index)[i].row) ? lengths[i] : 0;
	return own;
}

enum cs_status word_index_search(const struct word_index *index, const struct op *op, const struct slice *words,
	size_t word_count, const struct row_set *among, struct best *best, uint64_t *ret_total, double *ret_top,
	struct cs_error *err)
{
	double average = index->rows ? (double)index->tokens / (double)index->rows : 0, top = 0;
	struct cursor *cursors = malloc((word_count ? word_count : 1) * sizeof *cursors);
	struct block *block = calloc(1, sizeof *block);
	uint32_t *own = among ? lengths_among(index, among) : NULL;
	const uint32_t *lengths = own ? own : index->live_tokens.items;
	enum cs_status status = cursors && block && (own || !among) ? CS_OK : cs_fail_memory(err);
	uint64_t total = 0;
	size_t count = 0;

	if (status == CS_OK)
		count = find_words(index, words, word_count, cursors);
	while (status == CS_OK) {
		uint32_t doc = next_doc(cursors, count);

		if (doc == UINT32_MAX)
			break;
		block->first = doc / BLOCK * BLOCK;
		for (size_t i = 0; i < count; i++)
			add_parts(index, lengths, &cursors[i], average, block);
		offer_block(index, block, best, &total, &top);
		status = op_check(op, err);
	}
	free(cursors);
	free(block);
	free(own);
	if (status == CS_OK) {
		*ret_total = total;
		*ret_top = top;
	}
	return status;
}

struct slice word_index_id(const struct word_index *index, uint32_t doc)
{
	return name_at(index, docs_of(index)[doc].id, docs_of(index)[doc].id_length);
}

uint64_t word_index_count(const struct word_index *index)
{
	return index->rows;
}

uint64_t word_index_bytes(const struct word_index *index)
{
	return index ? index->bytes : 0;
}

bool word_index_worn(const struct word_index *index)
{
	size_t dead = index->docs.count - index->rows;

	return dead >= WORN_MIN && dead > index->rows;
}
