/* Thresholds: levels, hysteresis, windows, and one line a crossing.
 *
 * The clock is moved, so a minute passes at once (and the log, which counts repeats within a second, says every line). Response times are observed in the registry, which is one of the
 * process: each test looks at its own status from its own start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "mcp/status.h"

#define SECOND_NS INT64_C(1000000000)

static struct status *status;
static int64_t now_ns, shift_ms;
static int log_pipe[2];

static int setup(void **state)
{
	static const struct status_limits guide[STATUS_MEASURES];
	struct cs_error err;

	assert_int_equal(pipe2(log_pipe, O_CLOEXEC | O_NONBLOCK), 0);
	log_setup(LOG_INFO, LOG_LOGFMT, log_pipe[1]);
	metric_set(metric_series(METRIC_CONNECTIONS, S("")), 0);
	assert_int_equal(status_new(guide, 2, &status, &err), CS_OK);
	now_ns = clock_mono_ns();
	return 0;
}

static int teardown(void **state)
{
	status_free(status);
	shift_ms = 0;
	clock_shift_ms(0);
	log_setup(LOG_INFO, LOG_LOGFMT, STDERR_FILENO);
	close(log_pipe[0]);
	close(log_pipe[1]);
	return 0;
}

/* What was logged since the last call. */
static const char *logged(void)
{
	static char text[8192];
	ssize_t n = read(log_pipe[0], text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void assert_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in: %s", part, text);
}

static void connections(int64_t count)
{
	metric_set(metric_series(METRIC_CONNECTIONS, S("")), count);
}

static enum status_level level_of(enum status_measure measure)
{
	double value;

	return status_level_of(status, measure, &value);
}

static enum status_level look_after(int64_t seconds)
{
	shift_ms += seconds * 1000;
	clock_shift_ms(shift_ms);
	now_ns = clock_mono_ns();
	status_look(status, now_ns);
	return level_of(STATUS_CONNECTIONS);
}

static void observe(const char *tool, int64_t elapsed_ms, int count)
{
	for (int i = 0; i < count; i++)
		metric_observe_ns(metric_series(METRIC_RESPONSE_TIME, slice_cstr(tool)), elapsed_ms * 1000000);
}

static double response_ms(void)
{
	double value;

	(void)status_level_of(status, STATUS_RESPONSE_TIME, &value);
	return value;
}

static void test_levels_and_slack(void **state)
{
	static const struct {
		int64_t connections;
		enum status_level level;
	} steps[] = {{0, STATUS_OK}, {149, STATUS_OK}, {150, STATUS_WARNING}, {149, STATUS_WARNING},
		{135, STATUS_WARNING}, {134, STATUS_OK}, {149, STATUS_OK}, {200, STATUS_CRITICAL},
		{180, STATUS_CRITICAL}, {179, STATUS_WARNING}, {199, STATUS_WARNING}, {200, STATUS_CRITICAL},
		{100, STATUS_OK}};

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		connections(steps[i].connections);
		if (look_after(1) != steps[i].level)
			fail_msg("step %zu: %lld connections", i, (long long)steps[i].connections);
	}
}

static void test_one_line_a_crossing(void **state)
{
	const char *text;

	look_after(1);
	assert_string_equal(logged(), "");
	connections(160);
	look_after(1);
	text = logged();
	assert_part(text, "level=warning ");
	assert_part(text, "msg=\"a threshold is reached\" measure=concurrent_connections from=ok to=warning value=160 "
			  "threshold=150\n");
	for (int i = 0; i < 30; i++) {
		connections(i % 2 ? 151 : 149); /* at the border */
		look_after(1);
	}
	assert_string_equal(logged(), "");
	connections(250);
	look_after(1);
	assert_part(logged(), "level=error ");
	look_after(100);
	connections(3);
	look_after(1);
	text = logged();
	assert_part(text, "level=info ");
	assert_part(text, "msg=\"below a threshold again\" measure=concurrent_connections from=critical to=ok value=3 "
			  "threshold=200\n");
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Wide swings that hysteresis does not hold back: a line in ten seconds at most, and the last state is always told. */
static void test_swings_are_told_rarely(void **state)
{
	size_t lines;

	for (int i = 0; i < 100; i++) {
		connections(i % 2 ? 0 : 500);
		look_after(1);
	}
	lines = lines_of(logged());
	assert_in_range(lines, 2, 10);
	look_after(STATUS_LINE_S);
	(void)logged();
	assert_int_equal(level_of(STATUS_CONNECTIONS), STATUS_OK);
	connections(500);
	look_after(STATUS_LINE_S + 1);
	assert_part(logged(), "to=critical");
	connections(0);
	look_after(1);
	assert_string_equal(logged(), ""); /* too early */
	look_after(STATUS_LINE_S);
	assert_part(logged(), "from=critical to=ok");
}

static void test_response_time_of_the_slowest_tool(void **state)
{
	look_after(1);
	assert_true(isnan(response_ms()));
	observe("get_agent_state", 1, 10000);
	observe("retrieve_context", 400, STATUS_CALLS_MIN - 1); /* too few to be judged */
	look_after(1);
	assert_float_equal(response_ms(), 0.975, 0.001); /* 0.5 ms to 1 ms, at 95 % */
	assert_int_equal(level_of(STATUS_RESPONSE_TIME), STATUS_OK);
	observe("retrieve_context", 400, 1);
	look_after(1);
	assert_float_equal(response_ms(), 487.5, 0.1); /* 250 ms to 500 ms, at 95 % */
	assert_int_equal(level_of(STATUS_RESPONSE_TIME), STATUS_CRITICAL);
	assert_part(logged(), "threshold=200 tool_name=retrieve_context\n");
}

/* What is older than a minute does not count, however often somebody looks. */
static void test_the_window_moves(void **state)
{
	observe("store_context", 400, 100);
	look_after(1);
	assert_int_equal(level_of(STATUS_RESPONSE_TIME), STATUS_CRITICAL);
	for (int i = 0; i < STATUS_WINDOW_S - 10; i++)
		look_after(1);
	assert_int_equal(level_of(STATUS_RESPONSE_TIME), STATUS_CRITICAL);
	for (int i = 0; i < 20; i++)
		look_after(1);
	assert_int_equal(level_of(STATUS_RESPONSE_TIME), STATUS_OK);
	assert_true(isnan(response_ms()));
	/* Nobody looked for an hour: the window begins at the last look. */
	observe("store_context", 400, 100);
	look_after(3600);
	assert_int_equal(level_of(STATUS_RESPONSE_TIME), STATUS_CRITICAL);
	look_after(3600);
	assert_int_equal(level_of(STATUS_RESPONSE_TIME), STATUS_OK);
}

static void test_cpu_and_memory(void **state)
{
	double cpu, memory;

	now_ns += SECOND_NS;
	status_look(status, now_ns);
	(void)status_level_of(status, STATUS_CPU, &cpu);
	(void)status_level_of(status, STATUS_MEMORY, &memory);
	/* What is missing of the first minute counts as idle, so a second of full load on two cores is under 2 %. */
	assert_true(cpu >= 0 && cpu < 50);
	assert_true(memory > 0.5 && memory < 4096);
}

static void test_page(void **state)
{
	struct buffer out;
	struct json_writer w = json_writer(&out);

	buffer_init(&out, 1u << 16);
	connections(170);
	observe("get_agent_state", 1, 100);
	json_begin_object(&w);
	status_write(status, now_ns + 7 * SECOND_NS, &w);
	json_end_object(&w);
	buffer_byte(&out, '\0');
	assert_part(out.ptr,
		"{\"status\":\"warning\",\"window_s\":7,\"thresholds\":{\"response_time_ms\":{\"value\":0.975,"
		"\"level\":\"ok\",\"target_met\":true,\"target\":50,\"warning\":100,\"critical\":200,"
		"\"tool_name\":\"get_agent_state\"}");
	assert_part(out.ptr, "\"concurrent_connections\":{\"value\":170,\"level\":\"warning\",\"target_met\":false,"
			     "\"target\":100,\"warning\":150,\"critical\":200}");
	assert_part(out.ptr, "\"target\":1024,\"warning\":2048,\"critical\":3072}");
	assert_part(out.ptr, "\"target\":50,\"warning\":75,\"critical\":90}");
	assert_part(out.ptr, "{\"tool_name\":\"get_agent_state\",\"calls\":100,\"p50_ms\":0.75,\"p95_ms\":0.975,"
			     "\"p99_ms\":0.995,\"level\":\"ok\"}");
	assert_part(out.ptr, "{\"tool_name\":\"forget_context\",\"calls\":0,\"p50_ms\":null,");
	buffer_release(&out);
}

static void test_gauges(void **state)
{
	struct buffer out;

	connections(201);
	buffer_init(&out, 1u << 20);
	metrics_write(&out); /* looks by itself */
	buffer_byte(&out, '\0');
	assert_part(out.ptr, "\nmcp_status_level{measure=\"concurrent_connections\"} 2\n");
	assert_part(out.ptr, "\nmcp_status_level{measure=\"memory_usage_mb\"} 0\n");
	assert_part(out.ptr, "\nmcp_status_value{measure=\"concurrent_connections\"} 201\n");
	assert_part(out.ptr, "\nmcp_status_threshold{measure=\"cpu_usage_percent\",level=\"critical\"} 90\n");
	assert_part(out.ptr, "\nmcp_status_threshold{measure=\"memory_usage_mb\",level=\"target\"} 1024\n");
	buffer_release(&out);
	assert_string_equal(logged(), ""); /* a scrape says nothing: the next look does */
	look_after(1);
	assert_part(logged(), "from=ok to=critical value=201");
}

static void test_limits_are_parsed(void **state)
{
	static const char *const bad[] = {"", "1", "1/2", "1/2/3/4", "3/2/1", "1/2/x", "1/2/", "/1/2", "0/1/2",
		"-1/1/2", "1/2/nan", "1/2/inf", "1e3/2e3/3e3", "1.2.3/4/5", "1/2/99999999999",
		"1/2/333333333333333333333333333333333"};
	struct status_limits limits = {0};
	struct cs_error err;

	assert_int_equal(status_limits_parse(S("0.5/ 1 /2.25"), &limits, &err), CS_OK);
	assert_true(limits.target == 0.5 && limits.warning == 1 && limits.critical == 2.25);
	assert_int_equal(status_limits_parse(S("7/7/7"), &limits, &err), CS_OK);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (status_limits_parse(slice_cstr(bad[i]), &limits, &err) != CS_VALIDATION)
			fail_msg("'%s' was taken", bad[i]);
		assert_part(err.text, "50/100/200");
		assert_true(limits.target == 7 && limits.critical == 7);
	}
}

static void *look_often(void *unused)
{
	struct buffer out;

	buffer_init(&out, 1u << 20);
	for (int i = 0; i < 300; i++) {
		struct json_writer w = json_writer(&out);

		buffer_clear(&out);
		json_begin_object(&w);
		status_write(status, clock_mono_ns(), &w);
		json_end_object(&w);
		buffer_clear(&out);
		metrics_write(&out);
		observe("get_agent_state", 1, 10);
	}
	buffer_release(&out);
	return unused;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_often, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(level_of(STATUS_CONNECTIONS), STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_levels_and_slack, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_line_a_crossing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_swings_are_told_rarely, setup, teardown),
		cmocka_unit_test_setup_teardown(test_response_time_of_the_slowest_tool, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_window_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cpu_and_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gauges, setup, teardown),
		cmocka_unit_test(test_limits_are_parsed),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
