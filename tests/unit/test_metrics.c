/* Metrics: sums over threads, the bucket of every bound, and the text form.
 *
 * The registry is one of the process, so each test uses families of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "../support/alloc_fault.h"
#include "base/metrics.h"

static void assert_has(const struct buffer *out, const char *line)
{
	const char *found = memmem(out->ptr, out->len, line, strlen(line));

	if (!found || (found != out->ptr && found[-1] != '\n'))
		fail_msg("no line '%s' in:\n" SLICE_FMT, line, SLICE_ARG(buffer_slice(out)));
}

static struct buffer written(void)
{
	struct buffer out;

	buffer_init(&out, 1u << 20);
	metrics_write(&out);
	assert_false(out.failed);
	return out;
}

static void test_gauge_and_counter(void **state)
{
	struct metric_series *gauge = metric_series(METRIC_CONNECTIONS, S("ignored"));
	struct buffer out;

	assert_ptr_equal(gauge, metric_series(METRIC_CONNECTIONS, S("")));
	metric_add(gauge, 5);
	metric_add(gauge, -7);
	assert_int_equal(metric_value(gauge), -2);
	metric_set(gauge, 3);
	assert_int_equal(metric_value(gauge), 3);
	metric_add(metric_series(METRIC_REQUESTS, S("ok")), 2);
	assert_ptr_equal(metric_series(METRIC_REQUESTS, S("ok")), metric_series(METRIC_REQUESTS, S("ok")));
	assert_ptr_not_equal(metric_series(METRIC_REQUESTS, S("ok")), metric_series(METRIC_REQUESTS, S("okay")));
	out = written();
	assert_has(&out, "# TYPE mcp_concurrent_connections gauge\nmcp_concurrent_connections 3\n");
	assert_has(&out, "# TYPE mcp_requests_total counter\nmcp_requests_total{result=\"ok\"} "
			 "2\nmcp_requests_total{result=\"okay\"} 0\n");
	/* A family nobody asked for is not shown. */
	assert_null(memmem(out.ptr, out.len, "mcp_sse_streams", 15));
	buffer_release(&out);
}

static uint64_t bucket_count(const char *le)
{
	struct buffer out = written();
	char line[80];
	const char *found;
	unsigned long long count = 0;
	int len = snprintf(line, sizeof line, "mcp_commit_seconds_bucket{le=\"%s\"} ", le);

	buffer_byte(&out, '\0');
	found = strstr(out.ptr, line);
	assert_non_null(found);
	assert_int_equal(sscanf(found + len, "%llu", &count), 1);
	buffer_release(&out);
	return count;
}

/* A value falls into the bucket of the first bound it is not above: checked one below, on and above each. */
static void test_bounds_of_seconds(void **state)
{
	static const struct {
		int64_t ns;
		const char *le;
	} bounds[] = {{100000, "0.0001"}, {250000, "0.00025"}, {500000, "0.0005"}, {1000000, "0.001"},
		{2500000, "0.0025"}, {5000000, "0.005"}, {10000000, "0.01"}, {25000000, "0.025"}, {50000000, "0.05"},
		{100000000, "0.1"}, {250000000, "0.25"}, {500000000, "0.5"}, {1000000000, "1"}, {2500000000, "2.5"},
		{5000000000, "5"}, {10000000000, "10"}};
	struct metric_series *series = metric_series(METRIC_COMMIT_TIME, S(""));

	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		uint64_t before = bucket_count(bounds[i].le);

		metric_observe_ns(series, bounds[i].ns + 1);
		assert_int_equal(bucket_count(bounds[i].le), before);
		metric_observe_ns(series, bounds[i].ns);
		metric_observe_ns(series, bounds[i].ns - 1);
		assert_int_equal(bucket_count(bounds[i].le), before + 2);
	}
	metric_observe_ns(series, -5);
	metric_observe_ns(series, 0);
	assert_int_equal(bucket_count("0.0001"), 4);
	assert_int_equal(bucket_count("+Inf"), 50);
	assert_int_equal(metric_value(series), 50);
}

static void test_histogram_text(void **state)
{
	struct metric_series *time = metric_series(METRIC_RESPONSE_TIME, S("store_context"));
	struct metric_series *size = metric_series(METRIC_COMMIT_SIZE, S(""));
	struct buffer out;

	metric_observe_ns(time, 1500000000);
	metric_observe_ns(time, 20000);
	for (uint64_t n = 0; n <= 4; n++)
		metric_observe(size, n);
	metric_observe(size, 1024);
	metric_observe(size, 1025);
	out = written();
	assert_has(&out, "# TYPE mcp_response_time_seconds histogram\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"0.0001\"} 1\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"1\"} 1\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"2.5\"} 2\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"+Inf\"} 2\n"
			 "mcp_response_time_seconds_sum{tool_name=\"store_context\"} 1.500020000\n"
			 "mcp_response_time_seconds_count{tool_name=\"store_context\"} 2\n");
	assert_has(&out, "mcp_commit_writes_bucket{le=\"1\"} 2\nmcp_commit_writes_bucket{le=\"2\"} 3\n"
			 "mcp_commit_writes_bucket{le=\"4\"} 5\nmcp_commit_writes_bucket{le=\"8\"} 5\n");
	assert_has(&out, "mcp_commit_writes_bucket{le=\"1024\"} 6\nmcp_commit_writes_bucket{le=\"+Inf\"} 7\n"
			 "mcp_commit_writes_sum 2059\nmcp_commit_writes_count 7\n");
	buffer_release(&out);
}

static void test_label_values_are_escaped(void **state)
{
	struct buffer out;

	metric_add(metric_series(METRIC_KEY_CACHE, S("a\"b\\c\nd")), 1);
	out = written();
	assert_has(&out, "mcp_key_cache_total{result=\"a\\\"b\\\\c\\nd\"} 1\n");
	buffer_release(&out);
}

static void test_too_many_values_are_others(void **state)
{
	struct metric_series *other = metric_series(METRIC_HTTP_RESPONSES, S("other"));
	char label[100];

	for (int i = 0; i < METRIC_SERIES_MAX; i++)
		assert_ptr_not_equal(
			metric_series(METRIC_HTTP_RESPONSES, slice_of(label, (size_t)snprintf(label, 8, "%d", i))),
			other);
	assert_ptr_equal(metric_series(METRIC_HTTP_RESPONSES, S("one more")), other);
	assert_ptr_not_equal(metric_series(METRIC_HTTP_RESPONSES, S("7")), other);
	memset(label, 'x', sizeof label);
	assert_ptr_equal(metric_series(METRIC_HTTP_RESPONSES, slice_of(label, sizeof label)), other);
}

static void test_without_memory_a_value_is_other(void **state)
{
	struct metric_series *first;

	if (!alloc_fault_available()) {
		print_message("allocations cannot be made to fail under a sanitizer\n");
		skip();
	}
	alloc_fault_arm(0);
	first = metric_series(METRIC_LOG_LINES, S("first"));
	assert_true(alloc_fault_disarm());
	assert_ptr_equal(first, metric_series(METRIC_LOG_LINES, S("other")));
	/* Once there is memory it gets its own. */
	assert_ptr_not_equal(first, metric_series(METRIC_LOG_LINES, S("first")));
}

#define ADDITIONS 20000

static void *add_from_thread(void *unused)
{
	char label[8];

	for (int i = 0; i < ADDITIONS; i++) {
		struct slice name = slice_of(label, (size_t)snprintf(label, sizeof label, "t%d", i % 4));

		metric_add(metric_series(METRIC_STREAMS, S("")), 1);
		metric_add(metric_series(METRIC_REQUESTS, name), 1);
		metric_observe_ns(metric_series(METRIC_RESPONSE_TIME, name), 1000);
	}
	return unused;
}

static void test_threads_lose_nothing(void **state)
{
	pthread_t threads[12];
	int64_t requests = 0, observed = 0;
	char label[8];

	for (size_t i = 0; i < 12; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_from_thread, NULL), 0);
	for (size_t i = 0; i < 12; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_value(metric_series(METRIC_STREAMS, S(""))), 12 * ADDITIONS);
	for (int i = 0; i < 4; i++) {
		struct slice name = slice_of(label, (size_t)snprintf(label, sizeof label, "t%d", i));

		requests += metric_value(metric_series(METRIC_REQUESTS, name));
		observed += metric_value(metric_series(METRIC_RESPONSE_TIME, name));
	}
	assert_int_equal(requests, 12 * ADDITIONS);
	assert_int_equal(observed, 12 * ADDITIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gauge_and_counter),
		cmocka_unit_test(test_bounds_of_seconds),
		cmocka_unit_test(test_histogram_text),
		cmocka_unit_test(test_label_values_are_escaped),
		cmocka_unit_test(test_too_many_values_are_others),
		cmocka_unit_test(test_without_memory_a_value_is_other),
		cmocka_unit_test(test_threads_lose_nothing),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
