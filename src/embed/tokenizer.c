/* Words to pieces: the longest piece a word begins with, then the longest that goes on from there, and so on; a word with a
 * part that no piece begins is unknown as a whole.
 *
 * The hashes of all beginnings are made in one walk and tried from the longest that can be a piece, so a word that is one
 * (most are) costs one probe, and no word more than its length times the longest piece's. */
#include "embed/tokenizer.h"

#include <stdlib.h>

#include "embed/tokenizer_words.h"
#include "embed/vocabulary.h"

#define IDS_MIN 16u

enum special { UNK, CLS, SEP, SPECIAL_COUNT };

static const struct slice special_lines[SPECIAL_COUNT] = {
	[UNK] = SLICE_INIT("[UNK]"),
	[CLS] = SLICE_INIT("[CLS]"),
	[SEP] = SLICE_INIT("[SEP]"),
};

struct tokenizer {
	struct vocabulary vocabulary;
	bool lowercase;
	uint32_t special[SPECIAL_COUNT];
};

/* One call of tokenizer_encode. */
struct encoding {
	const struct tokenizer *tokenizer;
	struct arena *arena;
	struct token_ids ids;
	size_t room;
	struct cs_error *err;
};

static enum cs_status push(struct encoding *e, uint32_t id)
{
	if (e->ids.count == e->room) {
		uint32_t *larger = arena_array(e->arena, 2 * e->room, sizeof *larger);

		if (!larger)
			return cs_fail_memory(e->err);
		memcpy(larger, e->ids.ids, e->ids.count * sizeof *larger);
		e->ids.ids = larger;
		e->room *= 2;
	}
	e->ids.ids[e->ids.count++] = id;
	return CS_OK;
}

/* No piece ends within a character, so those beginnings need no probe. */
static bool is_char_start(struct slice text, size_t at)
{
	return at >= text.len || ((unsigned char)text.ptr[at] & 0xC0) != 0x80;
}

/* The longest piece that `rest`, the end of a word or all of it, begins with; VOCABULARY_NONE without one. */
static uint32_t longest_piece(const struct vocabulary *v, struct slice rest, bool goes_on, size_t *ret_length)
{
	uint64_t hashes[WORD_BYTES_MAX];
	uint64_t hash = vocabulary_start(v, goes_on);
	size_t limit = rest.len < v->longest ? rest.len : v->longest;

	for (size_t i = 0; i < limit; i++)
		hashes[i] = hash = vocabulary_extend(hash, rest.ptr[i]);
	for (size_t length = limit; length > 0; length--) {
		uint32_t id;

		if (!is_char_start(rest, length))
			continue;
		id = vocabulary_find(v, slice_of(rest.ptr, length), goes_on, hashes[length - 1]);
		if (id != VOCABULARY_NONE) {
			*ret_length = length;
			return id;
		}
	}
	return VOCABULARY_NONE;
}

static enum cs_status add_word(void *self, const struct word *word)
{
	struct encoding *e = self;
	const struct tokenizer *t = e->tokenizer;
	size_t before = e->ids.count, length = 0;

	if (word->is_too_long)
		return push(e, t->special[UNK]);
	for (size_t at = 0; at < word->text.len; at += length) {
		uint32_t id = longest_piece(&t->vocabulary, slice_from(word->text, at), at > 0, &length);
		enum cs_status status;

		if (id == VOCABULARY_NONE) {
			e->ids.count = before;
			return push(e, t->special[UNK]);
		}
		status = push(e, id);
		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

enum cs_status tokenizer_encode(const struct tokenizer *t, struct arena *arena, struct slice text,
	struct token_ids *ret_ids, struct cs_error *err)
{
	/* English has a piece in four to five bytes. */
	struct encoding e = {.tokenizer = t, .arena = arena, .room = text.len / 4 + IDS_MIN, .err = err};
	enum cs_status status;

	e.ids.ids = arena_array(arena, e.room, sizeof *e.ids.ids);
	if (!e.ids.ids)
		return cs_fail_memory(err);
	status = words_split(text, t->lowercase, add_word, &e, err);
	if (status == CS_OK)
		*ret_ids = e.ids;
	return status;
}

static enum cs_status find_special(struct tokenizer *t, struct cs_error *err)
{
	for (size_t i = 0; i < SPECIAL_COUNT; i++) {
		t->special[i] = vocabulary_find_line(&t->vocabulary, special_lines[i]);
		if (t->special[i] == VOCABULARY_NONE)
			return cs_fail(err, CS_VALIDATION, "the vocabulary has no line " SLICE_FMT,
				SLICE_ARG(special_lines[i]));
	}
	return CS_OK;
}

enum cs_status tokenizer_new(struct slice vocabulary, struct tokenizer_options options,
	struct tokenizer **ret_tokenizer, struct cs_error *err)
{
	struct tokenizer *t = calloc(1, sizeof *t);
	enum cs_status status;

	if (!t)
		return cs_fail_memory(err);
	t->lowercase = options.lowercase;
	status = vocabulary_load(&t->vocabulary, vocabulary, err);
	if (status == CS_OK && options.vocabulary_size && options.vocabulary_size != t->vocabulary.size)
		status = cs_fail(err, CS_VALIDATION, "the vocabulary has %u lines, the model's weights are for %u",
			t->vocabulary.size, options.vocabulary_size);
	if (status == CS_OK)
		status = find_special(t, err);
	if (status != CS_OK) {
		tokenizer_free(t);
		return status;
	}
	*ret_tokenizer = t;
	return CS_OK;
}

void tokenizer_free(struct tokenizer *t)
{
	if (!t)
		return;
	vocabulary_release(&t->vocabulary);
	free(t);
}

uint32_t tokenizer_cls(const struct tokenizer *t)
{
	return t->special[CLS];
}

uint32_t tokenizer_sep(const struct tokenizer *t)
{
	return t->special[SEP];
}

uint32_t tokenizer_size(const struct tokenizer *t)
{
	return t->vocabulary.size;
}

struct slice tokenizer_token(const struct tokenizer *t, uint32_t id)
{
	return vocabulary_line(&t->vocabulary, id);
}
