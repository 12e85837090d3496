/* Doubles out, in the fewest digits that read back as the same double.
 *
 * Three ways, each only where it is proven. (1) A whole number below 2^53 is printed as one. (2) A number of up to 15
 * digits, as scores and timings are: for k = 1, 2, ... the integer m nearest to value * 10^k is taken if m / 10^k, one
 * correctly rounded division of exact doubles, is the value again. Decimals of 15 digits lie wider apart than doubles,
 * so there is at most one such m, and the first k has the fewest digits. (3) printf with 15, 16 and 17 digits, read
 * back each time; at 16 also the neighbours, because near a power of two the shortest text need not be the nearest of
 * its length. Below the normal range precision shrinks and all lengths from 1 are tried. Printed digits are picked out
 * one by one, so a locale's decimal point does not matter.
 *
 * Ryu and its kin would do (3) in a tenth of the time for 10 KiB of tables; what is written here hardly ever gets
 * there. The layout is that of JavaScript, one digit, a point and an exponent below 1e-6, but for whole numbers: these
 * have the exponent from 2^53 on and not from 1e21, so that what was a double is not read back as an integer. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_parts.h"

#define DIGITS_MAX 17
#define WHOLE_MAX  9007199254740992.0 /* 2^53: whole doubles below are exact integers */

struct decimal {
	char digits[DIGITS_MAX + 1];
	size_t count;
	int point; /* the value is 0.DIGITS * 10^point */
};

static void strip_zeros(struct decimal *d)
{
	while (d->count > 1 && d->digits[d->count - 1] == '0')
		d->count--;
}

static void from_integer(struct decimal *d, uint64_t value, int exponent)
{
	char reversed[20];
	size_t count = 0;

	do {
		reversed[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	assert(count <= DIGITS_MAX);
	for (size_t i = 0; i < count; i++)
		d->digits[i] = reversed[count - 1 - i];
	d->count = count;
	d->point = exponent + (int)count;
	strip_zeros(d);
}

/* Way (2). */
static bool from_few_digits(struct decimal *d, double value)
{
	double power = 10;

	if (value < 1e-5 || value >= 1e15)
		return false;
	for (int k = 1; k <= 20; k++, power *= 10) {
		double scaled = rint(value * power);

		if (scaled >= 1e15)
			return false;
		if (scaled / power == value) {
			from_integer(d, (uint64_t)scaled, -k);
			return true;
		}
	}
	return false;
}

static bool reads_back(const struct decimal *d, double value)
{
	return json_double_of(d->digits, d->count, d->point - (int)d->count) == value;
}

static void print_digits(struct decimal *d, double value, size_t count)
{
	char text[64];
	const char *at = text;

	snprintf(text, sizeof text, "%.*e", (int)count - 1, value);
	d->count = 0;
	for (; *at != 'e'; at++)
		if (*at >= '0' && *at <= '9')
			d->digits[d->count++] = *at;
	d->point = (int)strtol(at + 1, NULL, 10) + 1;
	assert(d->count == count);
}

/* The decimal of the same length one unit up (+1) or down (-1) in the last place, if it reads back. */
static bool neighbour_reads_back(struct decimal *d, double value, int step)
{
	struct decimal other;
	uint64_t whole = 0;

	for (size_t i = 0; i < d->count; i++)
		whole = whole * 10 + (uint64_t)(d->digits[i] - '0');
	from_integer(&other, whole + (uint64_t)(int64_t)step, d->point - (int)d->count);
	if (!reads_back(&other, value))
		return false;
	*d = other;
	return true;
}

/* Way (3). */
static void from_printf(struct decimal *d, double value)
{
	for (size_t count = value < DBL_MIN ? 1 : 15; count < DIGITS_MAX; count++) {
		print_digits(d, value, count);
		if (reads_back(d, value) ||
			(count == 16 && (neighbour_reads_back(d, value, 1) || neighbour_reads_back(d, value, -1)))) {
			strip_zeros(d);
			return;
		}
	}
	print_digits(d, value, DIGITS_MAX);
	strip_zeros(d);
}

static char *put(char *at, const char *from, size_t count)
{
	memcpy(at, from, count);
	return at + count;
}

static char *put_zeros(char *at, int count)
{
	memset(at, '0', (size_t)count);
	return at + count;
}

static char *layout(char *at, const struct decimal *d, bool plain)
{
	int count = (int)d->count;

	if (!plain) {
		*at++ = d->digits[0];
		if (count > 1) {
			*at++ = '.';
			at = put(at, d->digits + 1, d->count - 1);
		}
		return at + snprintf(at, 8, "e%d", d->point - 1);
	}
	if (d->point <= 0) {
		at = put_zeros(put(at, "0.", 2), -d->point);
		return put(at, d->digits, d->count);
	}
	if (d->point >= count)
		return put_zeros(put(at, d->digits, d->count), d->point - count);
	at = put(at, d->digits, (size_t)d->point);
	*at++ = '.';
	return put(at, d->digits + d->point, (size_t)(count - d->point));
}

size_t json_format_double(char text[JSON_DOUBLE_TEXT_MAX], double value)
{
	struct decimal d;
	char *at = text;

	assert(isfinite(value));
	if (signbit(value)) {
		*at++ = '-';
		value = -value;
	}
	if (value < WHOLE_MAX && value == (double)(uint64_t)value)
		from_integer(&d, (uint64_t)value, 0);
	else if (!from_few_digits(&d, value))
		from_printf(&d, value);
	at = layout(at, &d, value < WHOLE_MAX && d.point >= -5);
	return (size_t)(at - text);
}
