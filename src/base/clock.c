/* Clocks, and the one form times are written and read in.
 *
 * The calendar is counted here instead of by gmtime_r and timegm: those take a locale's detour, timegm accepts the 31st
 * of February, and both need a struct tm whose ranges must be checked anyway. The two conversions below are the usual
 * ones over 400-year eras (days since 0000-03-01), exact for all years 0000 to 9999. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)
/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
#define WALL_MS_MIN INT64_C(-62167219200000)
#define WALL_MS_MAX INT64_C(253402300799999)

static _Atomic int64_t shift;

static int64_t read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000 + atomic_load_explicit(&shift, memory_order_relaxed);
}

int64_t clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC) + atomic_load_explicit(&shift, memory_order_relaxed) * 1000000;
}

void clock_shift_ms(int64_t shift_ms)
{
	atomic_store(&shift, shift_ms);
}

struct date {
	int64_t year, month, day;
};

/* Days since 1970-01-01. March is the first month of the counted year, so the leap day comes last. */
static int64_t days_of(struct date d)
{
	int64_t year = d.year - (d.month <= 2) + 400; /* one era later, so that year 0 is not negative */
	int64_t month = (d.month + 9) % 12;
	int64_t day_of_year = (153 * month + 2) / 5 + d.day - 1;
	int64_t day_of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + day_of_year;

	return year / 400 * 146097 + day_of_era - 719468 - 146097;
}

static struct date date_of(int64_t days)
{
	int64_t shifted = days + 719468 + 146097;
	int64_t day_of_era = shifted % 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;
	struct date d = {shifted / 146097 * 400 + year_of_era - 400, month < 10 ? month + 3 : month - 9,
		day_of_year - (153 * month + 2) / 5 + 1};

	d.year += d.month <= 2;
	return d;
}

void clock_format(int64_t wall_ms, char text[CLOCK_TEXT_SIZE])
{
	int64_t clamped = wall_ms < WALL_MS_MIN ? WALL_MS_MIN : wall_ms > WALL_MS_MAX ? WALL_MS_MAX : wall_ms;
	int64_t days = (clamped - WALL_MS_MIN) / DAY_MS + WALL_MS_MIN / DAY_MS;
	unsigned ms = (unsigned)(clamped - days * DAY_MS);
	struct date d = date_of(days);

	snprintf(text, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)d.year % 10000,
		(unsigned)d.month % 100, (unsigned)d.day % 100, ms / 3600000 % 100, ms / 60000 % 60, ms / 1000 % 60,
		ms % 1000);
}

/* Takes exactly `digits` digits; false when there are fewer. */
static bool take_number(struct slice *text, size_t digits, int64_t *ret_value)
{
	int64_t value = 0;

	if (text->len < digits)
		return false;
	for (size_t i = 0; i < digits; i++) {
		if (text->ptr[i] < '0' || text->ptr[i] > '9')
			return false;
		value = value * 10 + (text->ptr[i] - '0');
	}
	*text = slice_from(*text, digits);
	*ret_value = value;
	return true;
}

static bool take_byte(struct slice *text, const char *any_of)
{
	if (text->len == 0 || text->ptr[0] == '\0' || !strchr(any_of, text->ptr[0]))
		return false;
	*text = slice_from(*text, 1);
	return true;
}

static bool take_date(struct slice *text, struct date *ret_date)
{
	static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct date d;
	bool leap;

	if (!take_number(text, 4, &d.year) || !take_byte(text, "-") || !take_number(text, 2, &d.month) ||
		!take_byte(text, "-") || !take_number(text, 2, &d.day))
		return false;
	leap = d.year % 4 == 0 && (d.year % 100 != 0 || d.year % 400 == 0);
	if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > month_days[d.month - 1] + (d.month == 2 && leap))
		return false;
	*ret_date = d;
	return true;
}

/* ".123456": digits beyond milliseconds are read and dropped. */
static bool take_fraction(struct slice *text, int64_t *ret_ms)
{
	int64_t ms = 0, digit;
	size_t digits = 0;

	if (!take_byte(text, "."))
		return *ret_ms = 0, true;
	for (; take_number(text, 1, &digit); digits++)
		if (digits < 3)
			ms = ms * 10 + digit;
	if (digits == 0)
		return false;
	for (; digits < 3; digits++)
		ms *= 10;
	*ret_ms = ms;
	return true;
}

/* "Z" or "+01:30". */
static bool take_offset(struct slice *text, int64_t *ret_ms)
{
	bool west = text->len && text->ptr[0] == '-';
	int64_t hours, minutes;

	if (take_byte(text, "Zz"))
		return *ret_ms = 0, true;
	if (!take_byte(text, "+-") || !take_number(text, 2, &hours) || !take_byte(text, ":") ||
		!take_number(text, 2, &minutes))
		return false;
	if (hours > 23 || minutes > 59)
		return false;
	*ret_ms = (hours * 60 + minutes) * (west ? -60000 : 60000);
	return true;
}

/* A leap second (:60) counts as the first of the next minute, as POSIX time has no room for it. */
static bool take_time(struct slice *text, int64_t *ret_ms)
{
	int64_t hour, minute, second, ms, offset_ms;

	if (!take_byte(text, "Tt ") || !take_number(text, 2, &hour) || !take_byte(text, ":") ||
		!take_number(text, 2, &minute) || !take_byte(text, ":") || !take_number(text, 2, &second) ||
		!take_fraction(text, &ms) || !take_offset(text, &offset_ms))
		return false;
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	*ret_ms = ((hour * 60 + minute) * 60 + second) * 1000 + ms - offset_ms;
	return true;
}

enum cs_status clock_parse(struct slice text, bool end_of_day, int64_t *ret_wall_ms, struct cs_error *err)
{
	struct slice rest = text;
	struct date d;
	int64_t ms = end_of_day ? DAY_MS - 1 : 0;

	if (!take_date(&rest, &d) || (rest.len && !take_time(&rest, &ms)) || rest.len)
		goto invalid;
	ms += days_of(d) * DAY_MS;
	if (ms < WALL_MS_MIN || ms > WALL_MS_MAX)
		goto invalid;
	*ret_wall_ms = ms;
	return CS_OK;
invalid:
	return cs_fail(err, CS_VALIDATION,
		"a time must be a date like 2026-11-23 or a date and time with its offset from UTC "
		"like 2026-11-23T10:15:30Z or 2026-11-23T11:15:30+01:00");
}
