/* An open-addressing table from bytes to line numbers.
 *
 * Why a hash: most words of a text are pieces themselves and are found with one probe, where a trie takes a dependent load
 * a byte; and for the others the hashes of all beginnings come from one walk. A double-array trie was the alternative; it
 * is larger (about 150,000 nodes for 30,522 pieces) and slower on common words. base/map was not taken: it hashes whole
 * keys, and its slots hold four times as much.
 *
 * At most half the slots are taken; a slot holds half of the hash, so bytes are compared nearly only where they are equal.
 * The hash starts from the process's seed, which keeps a crafted text or file from aiming for one slot. For 30,522
 * pieces: 512 KB of slots, 122 KB of places, 196 KB of text. */
#include "embed/vocabulary.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/utf8.h"

#define GOES_ON "##"

static size_t slot_of(const struct vocabulary *v, uint64_t hash)
{
	return (size_t)(hash >> v->shift);
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 8);
}

static uint64_t hash_of(uint64_t hash, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		hash = vocabulary_extend(hash, bytes.ptr[i]);
	return hash;
}

struct slice vocabulary_line(const struct vocabulary *v, uint32_t id)
{
	if (id >= v->size)
		return S("");
	return slice_of(v->text + v->starts[id], v->starts[id + 1] - v->starts[id]);
}

uint32_t vocabulary_find(const struct vocabulary *v, struct slice bytes, bool goes_on, uint64_t hash)
{
	size_t mask = ((size_t)1 << (64 - v->shift)) - 1;
	uint32_t tag = tag_of(hash);

	for (size_t at = slot_of(v, hash); v->slots[at].id != VOCABULARY_NONE; at = (at + 1) & mask) {
		struct slice line;

		if (v->slots[at].tag != tag)
			continue;
		line = vocabulary_line(v, v->slots[at].id);
		if (goes_on && slice_starts(line, S(GOES_ON)))
			line = slice_from(line, strlen(GOES_ON));
		else if (goes_on)
			continue;
		if (slice_eq(line, bytes))
			return v->slots[at].id;
	}
	return VOCABULARY_NONE;
}

uint32_t vocabulary_find_line(const struct vocabulary *v, struct slice line)
{
	return vocabulary_find(v, line, false, hash_of(v->start[false], line));
}

static enum cs_status add_line(struct vocabulary *v, struct slice line, struct cs_error *err)
{
	uint64_t hash = hash_of(v->start[false], line);
	size_t mask = ((size_t)1 << (64 - v->shift)) - 1;
	size_t at = slot_of(v, hash);
	uint32_t number = v->size + 1, same;

	if (line.len == 0)
		return cs_fail(err, CS_VALIDATION, "line %u of the vocabulary is empty", number);
	if (utf8_length(line) < 0)
		return cs_fail(err, CS_VALIDATION, "line %u of the vocabulary is not valid UTF-8", number);
	same = vocabulary_find(v, line, false, hash);
	if (same != VOCABULARY_NONE)
		return cs_fail(err, CS_VALIDATION, "line %u of the vocabulary repeats line %u", number, same + 1);
	memcpy(v->text + v->starts[v->size], line.ptr, line.len);
	while (v->slots[at].id != VOCABULARY_NONE)
		at = (at + 1) & mask;
	v->slots[at] = (struct vocabulary_slot){tag_of(hash), v->size};
	v->starts[v->size + 1] = v->starts[v->size] + (uint32_t)line.len;
	v->size++;
	if (slice_starts(line, S(GOES_ON)))
		line.len -= strlen(GOES_ON);
	if (line.len > v->longest)
		v->longest = (uint32_t)line.len;
	return CS_OK;
}

static size_t count_lines(struct slice text)
{
	size_t count = 0;

	while (text.len > 0) {
		(void)slice_cut(&text, '\n');
		count++;
	}
	return count;
}

/* Room for so many lines. */
static enum cs_status allocate(struct vocabulary *v, size_t bytes, size_t lines, struct cs_error *err)
{
	size_t slots = 16;

	v->shift = 60;
	for (; slots < 2 * lines; slots *= 2)
		v->shift--;
	v->text = malloc(bytes + 1);
	v->starts = calloc(lines + 1, sizeof *v->starts);
	v->slots = malloc(slots * sizeof *v->slots);
	if (!v->text || !v->starts || !v->slots)
		return cs_fail_memory(err);
	memset(v->slots, 0xFF, slots * sizeof *v->slots); /* VOCABULARY_NONE */
	v->start[false] = map_hash(S("vocabulary"));
	v->start[true] = hash_of(v->start[false], S(GOES_ON));
	return CS_OK;
}

enum cs_status vocabulary_load(struct vocabulary *ret_vocabulary, struct slice lines, struct cs_error *err)
{
	struct vocabulary v = {0};
	enum cs_status status;
	size_t count = count_lines(lines);

	if (lines.len > VOCABULARY_BYTES_MAX)
		return cs_fail(err, CS_VALIDATION, "the vocabulary has %zu bytes, at most %u are taken", lines.len,
			VOCABULARY_BYTES_MAX);
	if (count > VOCABULARY_SIZE_MAX)
		return cs_fail(err, CS_VALIDATION, "the vocabulary has %zu lines, at most %u are taken", count,
			VOCABULARY_SIZE_MAX);
	status = allocate(&v, lines.len, count, err);
	while (status == CS_OK && lines.len > 0) {
		struct slice line = slice_cut(&lines, '\n');

		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		status = add_line(&v, line, err);
	}
	if (status != CS_OK) {
		vocabulary_release(&v);
		return status;
	}
	*ret_vocabulary = v;
	return CS_OK;
}

void vocabulary_release(struct vocabulary *v)
{
	if (!v)
		return;
	free(v->text);
	free(v->starts);
	free(v->slots);
	*v = (struct vocabulary){0};
}
