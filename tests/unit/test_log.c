/* Log lines: what a value may not do to them, what is counted instead of written, and what happens without room.
 *
 * Lines are read back from a pipe that the log is told to write to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#define TIME_TEXT "2026-11-23T10:15:30.123Z"

static int pipe_fds[2];
static char got[1 << 16];

static int set_up(void **state)
{
	if (pipe(pipe_fds) != 0 || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) != 0)
		return -1;
	log_setup(LOG_DEBUG, LOG_LOGFMT, pipe_fds[1]);
	return 0;
}

static int tear_down(void **state)
{
	log_setup(LOG_OFF, LOG_LOGFMT, -1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	clock_shift_ms(0);
	return 0;
}

/* Everything written so far, the time of each line replaced so that lines can be compared. */
static const char *output(void)
{
	ssize_t len = read(pipe_fds[0], got, sizeof got - 1);

	got[len > 0 ? len : 0] = '\0';
	for (char *at = strstr(got, "20"); at; at = strstr(at + 1, "20"))
		if (strlen(at) >= 24 && at[4] == '-' && at[10] == 'T' && at[23] == 'Z')
			memcpy(at, TIME_TEXT, 24);
	return got;
}

#define HEAD "level=info time=" TIME_TEXT " msg="

static void test_logfmt(void **state)
{
	log_write(LOG_INFO, "started", log_str("dir", S("/var/lib/x")), log_i64("n", -3), log_f64("ms", 0.25),
		log_str("none", S("")), LOG_END);
	assert_string_equal(output(), HEAD "started dir=/var/lib/x n=-3 ms=0.25 none=\"\"\n");
	log_write(LOG_INFO, "two words", log_str("a", S("b=c")), log_str("q", S("say \"x\"\\")), LOG_END);
	assert_string_equal(output(), HEAD "\"two words\" a=\"b=c\" q=\"say \\\"x\\\"\\\\\"\n");
	log_write(LOG_INFO, "euro", log_str("a", S("\xE2\x82\xAC")), log_f64("nan", (double)NAN), LOG_END);
	assert_string_equal(output(), HEAD "euro a=\"\xE2\x82\xAC\" nan=null\n");
}

static void test_json(void **state)
{
	log_setup(LOG_DEBUG, LOG_JSON, pipe_fds[1]);
	log_write(LOG_INFO, "json line", log_str("dir", S("/x")), log_i64("n", INT64_MIN),
		log_f64("inf", (double)INFINITY), LOG_END);
	assert_string_equal(output(),
		"{\"level\":\"info\",\"time\":\"" TIME_TEXT
		"\",\"msg\":\"json line\",\"dir\":\"/x\",\"n\":-9223372036854775808,\"inf\":null}\n");
}

/* What a client sends cannot end a line, forge a field, or reach a terminal as a command, in either format. */
static void test_values_cannot_break_a_line(void **state)
{
	static const struct {
		struct slice text;
		const char *written;
	} rows[] = {
		{SLICE_INIT("a\nlevel=error msg=forged"), "\"a\\nlevel=error msg=forged\""},
		{SLICE_INIT("a\r\tb"), "\"a\\r\\tb\""},
		{SLICE_INIT("a\0b"), "\"a\\u0000b\""},
		{SLICE_INIT("\x1b[31m"), "\"\\u001b[31m\""},
		{SLICE_INIT("\x7f"), "\"\\u007f\""},
		{SLICE_INIT("\xC2\x9B"
			    "0m"),
			"\"\\u009b0m\""},
		{SLICE_INIT("\xE2\x80\xA8"), "\"\\u2028\""},
		{SLICE_INIT("\xE2\x80\xA9"), "\"\\u2029\""},
		/* Invalid UTF-8, each byte: cut short, lone continuation, overlong, surrogate, beyond the last. */
		{SLICE_INIT("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{SLICE_INIT("\x80"), "\"\xEF\xBF\xBD\""},
		{SLICE_INIT("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{SLICE_INIT("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{SLICE_INIT("\xF4\x90\x80\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{SLICE_INIT("\xF0\x9F\x98\x80"), "\"\xF0\x9F\x98\x80\""},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char expected[256];

		clock_shift_ms(2000 * (int64_t)(i + 1));
		log_setup(LOG_DEBUG, LOG_LOGFMT, pipe_fds[1]);
		log_write(LOG_INFO, "value", log_str("v", rows[i].text), LOG_END);
		snprintf(expected, sizeof expected, HEAD "value v=%s\n", rows[i].written);
		assert_string_equal(output(), expected);
		log_setup(LOG_DEBUG, LOG_JSON, pipe_fds[1]);
		log_write(LOG_INFO, "value", log_str("v", rows[i].text), LOG_END);
		snprintf(expected, sizeof expected,
			"{\"level\":\"info\",\"time\":\"" TIME_TEXT "\",\"msg\":\"value\",\"v\":%s}\n",
			rows[i].written);
		assert_string_equal(output(), expected);
	}
}

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* Around the ceiling, every length and every kind of last piece: a line stays whole and at most PIPE_BUF long. */
static void test_long_lines_are_cut_and_say_so(void **state)
{
	static const char *const pieces[] = {"a", "\n", "\xE2\x82\xAC", "\x01"};
	static char text[2 * PIPE_BUF];
	size_t cut = 0;

	log_setup(LOG_DEBUG, LOG_JSON, pipe_fds[1]);
	for (size_t piece = 0; piece < 4; piece++) {
		for (size_t len = PIPE_BUF / 6 - 60;
			len<2 * PIPE_BUF - 8; len += len> PIPE_BUF - 150 && len < PIPE_BUF ? 1 : 97) {
			size_t at = 0, size;
			const char *line;

			for (; at < len; at += strlen(pieces[piece]))
				memcpy(text + at, pieces[piece], strlen(pieces[piece]));
			clock_shift_ms((int64_t)(piece * 10000 + len) * 2000);
			log_write(LOG_INFO, "long", log_str("v", slice_of(text, at)), log_i64("after", 1), LOG_END);
			line = output();
			size = strlen(line);
			assert_in_range(size, 100, PIPE_BUF);
			assert_ptr_equal(strchr(line, '\n'), line + size - 1);
			/* It ends as JSON must: whole, cut within the text, or cut behind it. */
			assert_true(
				ends_with(line, "\",\"after\":1}\n") || ends_with(line, "\",\"truncated\":true}\n"));
			cut += ends_with(line, "\"truncated\":true}\n");
		}
	}
	assert_in_range(cut, 100, 2000);
}

static void test_levels(void **state)
{
	enum log_level level = LOG_ERROR;

	log_setup(LOG_WARNING, LOG_LOGFMT, pipe_fds[1]);
	assert_false(log_enabled(LOG_INFO));
	assert_true(log_enabled(LOG_WARNING));
	log_write(LOG_INFO, "unheard", LOG_END);
	log_emit(LOG_DEBUG, "unheard", NULL);
	assert_string_equal(output(), "");
	log_setup(LOG_OFF, LOG_LOGFMT, pipe_fds[1]);
	assert_false(log_enabled(LOG_ERROR));
	assert_false(log_enabled(LOG_OFF));
	assert_true(log_level_parse(S("WARN"), &level));
	assert_int_equal(level, LOG_WARNING);
	assert_true(log_level_parse(S("Off"), &level));
	assert_int_equal(level, LOG_OFF);
	assert_false(log_level_parse(S("verbose"), &level));
	assert_false(log_level_parse(S(""), &level));
	assert_int_equal(level, LOG_OFF);
}

static size_t lines_in(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void test_repeats_are_counted_and_told(void **state)
{
	static const char refused[] = "connection refused", other[] = "other";
	struct metric_series *counted = metric_series(METRIC_LOG_LINES, S("warning"));
	int64_t before = metric_value(counted);

	for (int i = 0; i < 12; i++)
		log_write(LOG_WARNING, refused, log_i64("i", i), LOG_END);
	log_write(LOG_INFO, other, LOG_END);
	assert_int_equal(lines_in(output()), LOG_REPEATS + 1);
	assert_int_equal(metric_value(counted), before + 12);
	/* The next one after the second is let through and tells ... */
	clock_shift_ms(1100);
	log_write(LOG_WARNING, refused, log_i64("i", 12), LOG_END);
	assert_string_equal(
		output(), "level=warning time=" TIME_TEXT " msg=\"connection refused\" suppressed=7 i=12\n");
	for (int i = 0; i < 9; i++)
		log_write(LOG_WARNING, refused, LOG_END);
	assert_int_equal(lines_in(output()), LOG_REPEATS - 1);
	/* ... and if there is none, any other line does. */
	clock_shift_ms(2200);
	log_write(LOG_INFO, other, LOG_END);
	assert_string_equal(
		output(), "level=warning time=" TIME_TEXT " msg=\"connection refused\" suppressed=5\n" HEAD "other\n");
	log_write(LOG_WARNING, refused, LOG_END);
	assert_string_equal(output(), "level=warning time=" TIME_TEXT " msg=\"connection refused\"\n");
}

/* More messages in one second than there are places: none is lost, and what was counted is told. */
static void test_more_places_than_there_is_room_for(void **state)
{
	static char names[200][8];
	size_t lines = 0;

	for (size_t i = 0; i < 200; i++) {
		snprintf(names[i], sizeof names[i], "m%zu", i);
		for (size_t repeat = 0; repeat < LOG_REPEATS + 2; repeat++)
			log_write(LOG_INFO, names[i], LOG_END);
		lines += lines_in(output());
	}
	clock_shift_ms(5000);
	log_write(LOG_INFO, names[0], LOG_END);
	lines += lines_in(output());
	assert_int_equal(lines, 200 * (LOG_REPEATS + 1) + 1);
}

static void *log_from_thread(void *name)
{
	for (int i = 0; i < 200; i++)
		log_write(LOG_INFO, name, log_str("text", S("0123456789 0123456789 0123456789")), log_i64("i", i),
			LOG_END);
	return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
	static char names[4][8] = {"one", "two", "three", "four"};
	pthread_t threads[4];
	const char *text;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_from_thread, names[i]), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	text = output();
	assert_in_range(lines_in(text), 4 * LOG_REPEATS, 4 * 200);
	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		assert_memory_equal(line, "level=info time=", 16);
}

static void test_a_lost_pipe_costs_nothing_else(void **state)
{
	log_setup(LOG_DEBUG, LOG_LOGFMT, -1);
	errno = E2BIG;
	log_write(LOG_INFO, "lost", LOG_END);
	assert_int_equal(errno, E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_logfmt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_values_cannot_break_a_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_lines_are_cut_and_say_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_levels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_repeats_are_counted_and_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_places_than_there_is_room_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads_do_not_mix_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_lost_pipe_costs_nothing_else, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
