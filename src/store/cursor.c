/* The check sum is XXH3 with a fixed seed, not a process's: a cursor outlives a restart, and another process behind the
 * same store may read it. */
#include "store/cursor.h"

#include <assert.h>
#include <xxhash.h>

#define HEAD_SIZE 32u
#define SEED      UINT64_C(0x637572736f723032) /* "cursor02": another form gets another seed */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_u64(unsigned char *to, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		to[i] = (unsigned char)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const unsigned char *from)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return value;
}

static int digit_of(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

struct slice cursor_write(struct arena *arena, const struct cursor *cursor)
{
	unsigned char raw[HEAD_SIZE + CURSOR_TEXT_MAX];
	size_t len = HEAD_SIZE + cursor->text.len, out = 0, bits = 0;
	char *text = arena_alloc(arena, (len * 8 + 5) / 6);
	uint32_t pool = 0;

	assert(cursor->text.len <= CURSOR_TEXT_MAX);
	if (!text)
		return slice_of(NULL, 0);
	put_u64(raw + 8, cursor->question);
	put_u64(raw + 16, cursor->number);
	put_u64(raw + 24, cursor->mark);
	if (cursor->text.len > 0)
		memcpy(raw + HEAD_SIZE, cursor->text.ptr, cursor->text.len);
	put_u64(raw, XXH3_64bits_withSeed(raw + 8, len - 8, SEED));
	for (size_t i = 0; i < len; i++) {
		pool = pool << 8 | raw[i];
		for (bits += 8; bits >= 6; bits -= 6)
			text[out++] = alphabet[pool >> (bits - 6) & 63];
	}
	if (bits > 0)
		text[out++] = alphabet[pool << (6 - bits) & 63];
	return slice_of(text, out);
}

/* Bytes written to raw (of size bytes), 0 for text that is no base64url or does not fit. */
static size_t decode(struct slice text, unsigned char *raw, size_t size)
{
	uint32_t pool = 0;
	size_t len = 0, bits = 0;

	for (size_t i = 0; i < text.len; i++) {
		int digit = digit_of(text.ptr[i]);

		if (digit < 0)
			return 0;
		pool = pool << 6 | (uint32_t)digit;
		bits += 6;
		if (bits < 8)
			continue;
		if (len == size)
			return 0;
		bits -= 8;
		raw[len++] = (unsigned char)(pool >> bits);
	}
	return bits < 6 && (pool & ((1u << bits) - 1)) == 0 ? len : 0;
}

enum cs_status cursor_read(
	struct arena *arena, struct slice text, uint64_t question, struct cursor *ret_cursor, struct cs_error *err)
{
	unsigned char raw[HEAD_SIZE + CURSOR_TEXT_MAX];
	size_t len = decode(text, raw, sizeof raw);
	struct slice kept;

	if (len < HEAD_SIZE || get_u64(raw) != XXH3_64bits_withSeed(raw + 8, len - 8, SEED))
		return cs_fail(err, CS_VALIDATION, "cursor is damaged; give next_cursor of the former page as it came");
	if (get_u64(raw + 8) != question)
		return cs_fail(err, CS_VALIDATION,
			"cursor belongs to another question; repeat the arguments of the call that gave it, or leave "
			"it out");
	kept = arena_copy(arena, slice_of((const char *)raw + HEAD_SIZE, len - HEAD_SIZE));
	if (!kept.ptr)
		return cs_fail_memory(err);
	*ret_cursor = (struct cursor){question, get_u64(raw + 16), get_u64(raw + 24), kept};
	return CS_OK;
}
