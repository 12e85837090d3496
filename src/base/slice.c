/* Slices: the few text operations that everything else is made of. All are linear in the length and allocate nothing.
 *
 * Comparing without case goes by eight bytes: every header of every request is compared with the names it may be. */
#include "base/slice.h"

/* Eight bytes with ASCII capitals made small. Below 0x80 the two sums reach the top bit of a byte from 'A' and from
 * behind 'Z' on, and never carry into the next one; where only the first does, the bit 0x20 is missing. */
static uint64_t lower_eight(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t low = bytes & 0x7f * ones;
	uint64_t from_a = low + (0x80 - 'A') * ones, behind_z = low + (0x7f - 'Z') * ones;

	return bytes | ((from_a ^ behind_z) & ~bytes & 0x80 * ones) >> 2;
}

/* The first `count` bytes, eight at most, in a form that only the same bytes give. */
static uint64_t load_eight(const char *at, size_t count)
{
	uint64_t bytes = 0;
	uint32_t first, last;

	if (count >= 8) {
		memcpy(&bytes, at, 8);
	} else if (count >= 4) {
		memcpy(&first, at, 4);
		memcpy(&last, at + count - 4, 4);
		bytes = (uint64_t)first << 32 | last;
	} else {
		while (count-- > 0)
			bytes = bytes << 8 | (unsigned char)at[count];
	}
	return bytes;
}

bool slice_same_letters(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t x = load_eight(a + i, len - i), y = load_eight(b + i, len - i);

		if (x != y && lower_eight(x) != lower_eight(y))
			return false;
	}
	return true;
}

int slice_compare(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.ptr, b.ptr, common) : 0;

	if (order != 0 || a.len == b.len)
		return order;
	return a.len < b.len ? -1 : 1;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice text)
{
	while (text.len && is_space(text.ptr[0])) {
		text.ptr++;
		text.len--;
	}
	while (text.len && is_space(text.ptr[text.len - 1]))
		text.len--;
	return text;
}

size_t slice_find_byte(struct slice text, char byte)
{
	const char *found = text.len ? memchr(text.ptr, byte, text.len) : NULL;

	return found ? (size_t)(found - text.ptr) : text.len;
}

struct slice slice_cut(struct slice *rest, char separator)
{
	size_t at = slice_find_byte(*rest, separator);
	struct slice head = {rest->ptr, at};

	if (at == rest->len)
		*rest = (struct slice){NULL, 0};
	else
		*rest = slice_from(*rest, at + 1);
	return head;
}

bool slice_to_u64(struct slice text, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(text.ptr[i] - '0'), &value))
			return false;
	}
	*ret_value = value;
	return true;
}

bool slice_to_i64(struct slice text, int64_t *ret_value)
{
	bool negative = text.len && text.ptr[0] == '-';
	uint64_t magnitude;

	if (!slice_to_u64(negative ? slice_from(text, 1) : text, &magnitude))
		return false;
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}
