/* Numbers in: exact integers, correctly rounded doubles, no locale.
 *
 * An integer is gathered in 64 bits with overflow checked. A number with fraction or exponent becomes digits and a
 * power of ten. Up to 15 digits and 10^22 both are exact doubles and one multiplication or division rounds correctly
 * (Clinger, "How to Read Floating Point Numbers Accurately", 1990); that is nearly every number there is. The rest goes
 * to strtod as "digits e exponent" without a decimal point, which is why no locale can change the result. More digits
 * than DIGITS_MAX never decide but for being not all zero, so the copy is bounded: a 1 stands for them.
 *
 * "-0" is a double, for an integer has no negative zero and what is written back should be what came. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_parts.h"

#define DIGITS_MAX      800u   /* above 767, the most that can decide how a double is rounded */
#define EXPONENT_MAX    100000 /* far beyond a double's, after the digits' own share is taken off */
#define EXPONENT_GATHER INT64_C(1000000000000)

struct number {
	const char *integer, *fraction; /* where the digits start */
	size_t integer_len, fraction_len;
	int64_t exponent;
	bool negative;
	bool real; /* has a fraction or an exponent */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
	while (at < end && is_digit(*at))
		at++;
	return at;
}

static const char *read_exponent(const char *at, const char *end, int64_t *ret_exponent)
{
	bool negative = at < end && *at == '-';
	int64_t exponent = 0;

	if (at < end && (*at == '-' || *at == '+'))
		at++;
	for (; at < end && is_digit(*at); at++)
		if (exponent < EXPONENT_GATHER)
			exponent = exponent * 10 + (*at - '0');
	*ret_exponent = negative ? -exponent : exponent;
	return at;
}

/* Where the number ends; NULL and *ret_wrong if it is none. */
static const char *split(const char *at, const char *end, struct number *number, const char **ret_wrong)
{
	*number = (struct number){.negative = *at == '-'};
	at += number->negative;
	*ret_wrong = number->integer = at;
	if (at == end || !is_digit(*at))
		return NULL;
	at = *at == '0' ? at + 1 : skip_digits(at, end);
	number->integer_len = (size_t)(at - number->integer);
	*ret_wrong = at;
	if (at < end && is_digit(*at))
		return NULL;
	if (at < end && *at == '.') {
		*ret_wrong = number->fraction = at + 1;
		at = skip_digits(at + 1, end);
		number->fraction_len = (size_t)(at - number->fraction);
		number->real = true;
		if (number->fraction_len == 0)
			return NULL;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at = read_exponent(at + 1, end, &number->exponent);
		*ret_wrong = at;
		number->real = true;
		if (!is_digit(at[-1]))
			return NULL;
	}
	return at;
}

/* False: more than 64 bits. */
static bool integer_value(const struct number *number, struct json_node *node)
{
	uint64_t value = 0;

	for (size_t i = 0; i < number->integer_len; i++)
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(number->integer[i] - '0'), &value))
			return false;
	if (number->negative && value > (uint64_t)INT64_MAX + 1)
		return false;
	node->type = !number->negative && value > INT64_MAX ? JSON_UINT : JSON_INT;
	node->u64 = number->negative ? 0 - value : value;
	return true;
}

double json_double_of(const char *digits, size_t count, int64_t exponent)
{
	static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
		1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	char copy[DIGITS_MAX + 16];

	if (count <= 15 && exponent >= -22 && exponent <= 22) {
		int64_t value = 0;

		for (size_t i = 0; i < count; i++)
			value = value * 10 + (digits[i] - '0');
		return exponent < 0 ? (double)value / powers[-exponent] : (double)value * powers[exponent];
	}
	if (exponent > EXPONENT_MAX)
		exponent = EXPONENT_MAX;
	if (exponent < -EXPONENT_MAX)
		exponent = -EXPONENT_MAX;
	memcpy(copy, digits, count);
	snprintf(copy + count, sizeof copy - count, "e%d", (int)exponent);
	return strtod(copy, NULL);
}

/* Significant digits of one run of them: leading zeros of the number are left out, and what does not fit is remembered.
 */
struct digits {
	char text[DIGITS_MAX];
	size_t count;
	size_t dropped;
	bool dropped_nonzero;
};

static void take_digits(struct digits *all, const char *from, size_t count)
{
	size_t fit;

	for (; all->count == 0 && count && *from == '0'; count--)
		from++;
	fit = count < DIGITS_MAX - 1 - all->count ? count : DIGITS_MAX - 1 - all->count;
	memcpy(all->text + all->count, from, fit);
	all->count += fit;
	all->dropped += count - fit;
	for (size_t i = fit; i < count && !all->dropped_nonzero; i++)
		all->dropped_nonzero = from[i] != '0';
}

static double real_value(const struct number *number)
{
	struct digits all;
	int64_t exponent;
	double value;

	all.count = all.dropped = 0;
	all.dropped_nonzero = false;
	take_digits(&all, number->integer, number->integer_len);
	if (number->fraction_len)
		take_digits(&all, number->fraction, number->fraction_len);
	if (all.count == 0)
		return number->negative ? -0.0 : 0.0;
	exponent = number->exponent - (int64_t)number->fraction_len + (int64_t)all.dropped;
	if (all.dropped_nonzero) {
		all.text[all.count++] = '1';
		exponent--;
	}
	value = json_double_of(all.text, all.count, exponent);
	return number->negative ? -value : value;
}

const char *json_read_number(const char *at, const char *end, struct json_node *node, const char **ret_wrong)
{
	struct number number;
	const char *behind = split(at, end, &number, ret_wrong);

	if (!behind)
		return NULL;
	if (number.negative && !number.real && number.integer[0] == '0') {
		node->type = JSON_DOUBLE;
		node->f64 = -0.0;
		return behind;
	}
	if (!number.real && integer_value(&number, node))
		return behind;
	if (number.real) {
		node->type = JSON_DOUBLE;
		node->f64 = real_value(&number);
		if (isfinite(node->f64))
			return behind;
	}
	node->type = JSON_HUGE;
	node->text = slice_of(at, (size_t)(behind - at));
	return behind;
}
