/* A hash table by open addressing, at most half full, over words that lie one behind the other. */
#include "engine/word_counts.h"

#include <stdlib.h>

#include "base/map.h"

#define SLOTS_MIN  256
#define SLOTS_KEPT 65536 /* a larger table is given back before the next text: clearing it would cost more */

void word_counts_release(struct word_counts *c)
{
	free(c->items);
	free(c->bytes);
	free(c->slots);
	*c = (struct word_counts){0};
}

static bool rehash(struct word_counts *c)
{
	size_t slot_count = c->slot_count ? c->slot_count * 2 : SLOTS_MIN;
	uint32_t *slots = calloc(slot_count, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		size_t at = c->items[i].hash & (slot_count - 1);

		while (slots[at])
			at = (at + 1) & (slot_count - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(c->slots);
	c->slots = slots;
	c->slot_count = slot_count;
	return true;
}

static bool make_room(struct word_counts *c, size_t length)
{
	if (c->count == c->room) {
		size_t room = c->room ? c->room * 2 : SLOTS_MIN / 2;
		struct word_count *items = realloc(c->items, room * sizeof *items);

		if (!items)
			return false;
		c->items = items;
		c->room = room;
	}
	if (c->byte_room - c->byte_count < length) {
		size_t room = c->byte_room * 2 + length + 1024;
		char *bytes = realloc(c->bytes, room);

		if (!bytes)
			return false;
		c->bytes = bytes;
		c->byte_room = room;
	}
	return true;
}

static int on_token(void *self, int flags, const char *token, int length, int start, int end)
{
	struct word_counts *c = self;
	size_t len = length < TOKENIZERS_WORD_MAX ? (size_t)length : TOKENIZERS_WORD_MAX;
	struct slice word = {token, len};
	uint64_t hash = map_hash(word);
	size_t at;

	(void)flags;
	(void)start;
	(void)end;
	c->tokens++;
	if (c->count * 2 >= c->slot_count && !rehash(c))
		return SQLITE_NOMEM;
	for (at = hash & (c->slot_count - 1); c->slots[at]; at = (at + 1) & (c->slot_count - 1)) {
		struct word_count *item = &c->items[c->slots[at] - 1];

		if (item->hash == hash && slice_eq(slice_of(c->bytes + item->at, item->length), word)) {
			item->times++;
			return SQLITE_OK;
		}
	}
	if (!make_room(c, len))
		return SQLITE_NOMEM;
	memcpy(c->bytes + c->byte_count, token, len);
	c->items[c->count] = (struct word_count){hash, (uint32_t)c->byte_count, (uint32_t)len, 1};
	c->byte_count += len;
	c->slots[at] = (uint32_t)++c->count;
	return SQLITE_OK;
}

int word_counts_fill(struct word_counts *c, struct tokenizers *tokenizers, struct slice text)
{
	if (c->slot_count > SLOTS_KEPT)
		word_counts_release(c);
	else if (c->slots)
		memset(c->slots, 0, c->slot_count * sizeof *c->slots);
	c->count = c->byte_count = 0;
	c->tokens = 0;
	return tokenizers_run(tokenizers, text, on_token, c);
}
