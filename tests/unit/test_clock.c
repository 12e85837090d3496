/* Times: known moments, every day of four centuries against the C library, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

static void assert_parses(const char *text, int64_t expected_ms)
{
	int64_t ms = 0;
	struct cs_error err;

	if (clock_parse(slice_cstr(text), false, &ms, &err) != CS_OK)
		fail_msg("%s: %s", text, err.text);
	if (ms != expected_ms)
		fail_msg("%s is %lld, expected %lld", text, (long long)ms, (long long)expected_ms);
}

static void test_known_moments(void **state)
{
	int64_t ms;

	assert_parses("1970-01-01T00:00:00Z", 0);
	assert_parses("1970-01-01", 0);
	assert_parses("2026-11-23T10:15:30.123Z", 1795428930123);
	assert_parses("2026-11-23t11:15:30.1239999+01:00", 1795428930123);
	assert_parses("2026-11-23 05:45:30.1-04:30", 1795428930100);
	assert_parses("2024-02-29T23:59:60Z", 1709251200000);
	assert_parses("0000-01-01T00:00:00Z", -62167219200000);
	assert_parses("9999-12-31T23:59:59.999Z", 253402300799999);
	assert_int_equal(clock_parse(S("1970-01-01"), true, &ms, NULL), CS_OK);
	assert_int_equal(ms, 86399999);
	assert_int_equal(clock_parse(S("1970-01-01T00:00:01Z"), true, &ms, NULL), CS_OK);
	assert_int_equal(ms, 1000);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {"", "2026", "2026-11", "2026-11-23T", "2026-11-23T10:15:30",
		"2026-11-23T10:15Z", "2026-11-23T24:00:00Z", "2026-11-23T10:60:00Z", "2026-11-23T10:15:61Z",
		"2026-13-01", "2026-00-01", "2026-11-31", "2026-11-00", "2026-02-29", "1900-02-29",
		"2026-11-23T10:15:30.Z", "2026-11-23T10:15:30+24:00", "2026-11-23T10:15:30+0100",
		"2026-11-23T10:15:30Zx", "2026-1-23", "+2026-11-23", "2026/11/23", " 2026-11-23",
		"0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "1795428930123", "yesterday"};
	struct cs_error err;
	int64_t ms = 5;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (clock_parse(slice_cstr(texts[i]), false, &ms, &err) != CS_VALIDATION)
			fail_msg("%s is accepted", texts[i]);
		assert_int_equal(ms, 5);
	}
	assert_int_equal(clock_parse(S("2026-11-23\0"), false, &ms, NULL), CS_VALIDATION);
}

/* Written, checked against gmtime_r, and read back: every day of 1600 to 2400, at changing times of day. */
static void test_every_day_of_two_eras(void **state)
{
	for (int64_t day = -135140; day < 157055; day++) {
		int64_t ms = day * 86400000 + (day * 7919 % 86400000 + 86400000) % 86400000, again;
		time_t seconds = (time_t)((ms - (ms % 1000 + 1000) % 1000) / 1000);
		char text[CLOCK_TEXT_SIZE], expected[CLOCK_TEXT_SIZE];
		struct tm tm;

		clock_format(ms, text);
		gmtime_r(&seconds, &tm);
		strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
		assert_memory_equal(text, expected, 19);
		assert_int_equal(clock_parse(slice_cstr(text), false, &again, NULL), CS_OK);
		if (again != ms)
			fail_msg("%s: %lld is read as %lld", text, (long long)ms, (long long)again);
	}
}

static void test_times_out_of_range_are_clamped(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000Z");
	clock_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void test_both_clocks_are_shifted(void **state)
{
	int64_t wall = clock_wall_ms(), mono = clock_mono_ns();

	assert_true(clock_mono_ns() >= mono);
	clock_shift_ms(3600000);
	assert_true(clock_wall_ms() >= wall + 3600000);
	assert_true(clock_mono_ns() >= mono + INT64_C(3600000000000));
	clock_shift_ms(0);
	assert_true(clock_mono_ns() < mono + INT64_C(3600000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_moments),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_every_day_of_two_eras),
		cmocka_unit_test(test_times_out_of_range_are_clamped),
		cmocka_unit_test(test_both_clocks_are_shifted),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
