/* Metrics: sums over threads, the bucket of every bound, and the text form.
 *
 * The registry is one of the process, so each test uses families of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

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
	metric_add(metric_series(METRIC_REQUESTS, S("store_context,ok")), 2);
	assert_ptr_equal(metric_series(METRIC_REQUESTS, S("store_context,ok")),
		metric_series(METRIC_REQUESTS, S("store_context,ok")));
	assert_ptr_not_equal(metric_series(METRIC_REQUESTS, S("store_context,ok")),
		metric_series(METRIC_REQUESTS, S("store_context,okay")));
	out = written();
	assert_has(&out, "# TYPE mcp_concurrent_connections gauge\nmcp_concurrent_connections 3\n");
	assert_has(&out, "# TYPE mcp_requests_total counter\n"
			 "mcp_requests_total{tool_name=\"store_context\",result=\"ok\"} 2\n"
			 "mcp_requests_total{tool_name=\"store_context\",result=\"okay\"} 0\n");
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
	} bounds[] = {{1000, "0.000001"}, {2500, "0.0000025"}, {5000, "0.000005"}, {10000, "0.00001"},
		{25000, "0.000025"}, {50000, "0.00005"}, {100000, "0.0001"}, {250000, "0.00025"}, {500000, "0.0005"},
		{1000000, "0.001"}, {2500000, "0.0025"}, {5000000, "0.005"}, {10000000, "0.01"}, {25000000, "0.025"},
		{50000000, "0.05"}, {100000000, "0.1"}, {250000000, "0.25"}, {500000000, "0.5"}, {1000000000, "1"},
		{2500000000, "2.5"}, {5000000000, "5"}, {10000000000, "10"}};
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
	assert_int_equal(bucket_count("0.000001"), 4);
	assert_int_equal(bucket_count("+Inf"), 68);
	assert_int_equal(metric_value(series), 68);
}

static void test_histogram_text(void **state)
{
	struct metric_series *time = metric_series(METRIC_RESPONSE_TIME, S("store_context"));
	struct metric_series *size = metric_series(METRIC_COMMIT_SIZE, S(""));
	struct buffer out;

	metric_observe_ns(time, 1500000000);
	metric_observe_ns(time, 20000);
	metric_observe_ns(time, 4000);
	for (uint64_t n = 0; n <= 4; n++)
		metric_observe(size, n);
	metric_observe(size, 1024);
	metric_observe(size, 1025);
	out = written();
	assert_has(&out, "# TYPE mcp_response_time_seconds histogram\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"0.000005\"} 1\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"0.0001\"} 2\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"1\"} 2\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"2.5\"} 3\n");
	assert_has(&out, "mcp_response_time_seconds_bucket{tool_name=\"store_context\",le=\"+Inf\"} 3\n"
			 "mcp_response_time_seconds_sum{tool_name=\"store_context\"} 1.500024\n"
			 "mcp_response_time_seconds_count{tool_name=\"store_context\"} 3\n");
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

/* Several labels, the last of which may hold commas; and what stands for all that was too many. */
static void test_several_labels(void **state)
{
	struct buffer out;
	char label[32];

	metric_set(metric_series(METRIC_BUILD_INFO, S("1.2.3,abc,gcc 1, 2")), 1);
	for (int i = 0; i <= METRIC_SERIES_MAX; i++) {
		int n = snprintf(label, sizeof label, "response_time_ms,%d", i);

		metric_set(metric_series(METRIC_STATUS_THRESHOLD, slice_of(label, (size_t)n)), 7);
	}
	out = written();
	assert_has(&out, "context_store_build_info{version=\"1.2.3\",revision=\"abc\",compiler=\"gcc 1, 2\"} 1\n");
	assert_has(&out, "mcp_status_threshold{measure=\"response_time_ms\",level=\"0\"} 0.000000007\n");
	assert_has(&out, "mcp_status_threshold{measure=\"other\",level=\"other\"} 0.000000007\n");
	buffer_release(&out);
}

static void test_billionths(void **state)
{
	static const struct {
		int64_t value;
		const char *text;
	} rows[] = {{0, "0"}, {1, "0.000000001"}, {1500000000, "1.5"}, {-20, "-0.00000002"}, {3072000000000, "3072"},
		{INT64_MAX, "9223372036.854775807"}, {INT64_MIN, "-9223372036.854775808"}};
	struct metric_series *series = metric_series(METRIC_PROCESS_START, S(""));

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buffer out;
		char line[80];

		metric_set(series, rows[i].value);
		out = written();
		snprintf(line, sizeof line, "process_start_time_seconds %s\n", rows[i].text);
		assert_has(&out, line);
		buffer_release(&out);
	}
}

/* The same answers as histogram_quantile() of Prometheus gives for these buckets. */
static void test_quantiles(void **state)
{
	uint64_t counts[METRIC_BUCKETS] = {0};

	assert_true(isnan(metric_quantile(counts, 0.5)));
	counts[3] = 10; /* 5 us to 10 us */
	assert_float_equal(metric_quantile(counts, 0.5), 7.5e-6, 1e-12);
	assert_float_equal(metric_quantile(counts, 1), 10e-6, 1e-12);
	counts[12] = 10; /* 5 ms to 10 ms */
	assert_float_equal(metric_quantile(counts, 0.5), 10e-6, 1e-12);
	assert_float_equal(metric_quantile(counts, 0.75), 0.0075, 1e-12);
	counts[METRIC_BUCKETS - 1] = 980; /* above all */
	assert_float_equal(metric_quantile(counts, 0.99), 10, 1e-12);
	memset(counts, 0, sizeof counts);
	counts[0] = 4;
	assert_float_equal(metric_quantile(counts, 0.5), 0.5e-6, 1e-12);
	assert_float_equal(metric_quantile(counts, 0), 0, 1e-12);
}

static unsigned collected;

static void collect_one(void *self)
{
	metric_set(metric_series(METRIC_WRITE_QUEUE, S("")), *(int64_t *)self);
	collected++;
}

static void test_collectors_are_asked(void **state)
{
	int64_t length = 5, other = 6;
	struct metrics_collector first = {.collect = collect_one, .self = &length};
	struct metrics_collector second = {.collect = collect_one, .self = &other};
	struct metrics_collector third = {.collect = collect_one, .self = &length};
	struct metrics_collector never = {0};
	struct buffer out;

	metrics_collector_add(&first);
	out = written();
	assert_has(&out, "mcp_queued_writes 5\n");
	buffer_release(&out);
	metrics_collector_add(&second);
	metrics_collector_add(&third);
	collected = 0;
	metrics_collect();
	assert_int_equal(collected, 3);
	metrics_collector_remove(&second); /* from between two others */
	metrics_collector_remove(&second);
	metrics_collector_remove(&never);
	metrics_collect();
	assert_int_equal(collected, 5);
	metrics_collector_remove(&first);
	metrics_collector_remove(&third);
	metrics_collect();
	assert_int_equal(collected, 5);
}

struct owner {
	struct metrics_collector collector;
	int64_t *length; /* gone together with the owner */
};

static void collect_owner(void *self)
{
	struct owner *owner = self;

	metric_set(metric_series(METRIC_VECTORS, S("")), *owner->length);
}

static atomic_bool stop_reading;

static void *come_and_go(void *unused)
{
	for (int i = 0; i < 2000; i++) {
		struct owner owner = {.collector.collect = collect_owner, .length = malloc(sizeof(int64_t))};

		owner.collector.self = &owner;
		*owner.length = i;
		metrics_collector_add(&owner.collector);
		metrics_collector_remove(&owner.collector);
		free(owner.length);
	}
	return unused;
}

static void *read_all(void *unused)
{
	while (!atomic_load(&stop_reading)) {
		struct buffer out = written();

		buffer_release(&out);
	}
	return unused;
}

/* Owners come and go on some threads while others read; a sanitizer sees a collector that is called too late. */
static void test_collectors_and_threads(void **state)
{
	pthread_t owners[3], readers[2];

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&owners[i], NULL, come_and_go, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		pthread_join(owners[i], NULL);
	atomic_store(&stop_reading, true);
	for (size_t i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
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
		cmocka_unit_test(test_several_labels),
		cmocka_unit_test(test_billionths),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_collectors_are_asked),
		cmocka_unit_test(test_collectors_and_threads),
		cmocka_unit_test(test_threads_lose_nothing),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
