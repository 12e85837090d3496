/* What the kernel says of this process, against what the test knows it did. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/process_usage.h"

static void test_memory(void **state)
{
	const size_t size = 64u << 20;
	int64_t resident = process_usage_resident_bytes(), virtual = process_usage_virtual_bytes();
	char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_true(resident > 0 && virtual >= resident);
	assert_true(process_usage_virtual_bytes() >= virtual + (int64_t)size);
	memset(pages, 1, size);
	assert_true(process_usage_resident_bytes() >= resident + (int64_t)size / 2);
	munmap(pages, size);
}

static void test_open_files(void **state)
{
	int64_t before = process_usage_open_fds();
	int fds[10];

	assert_true(before >= 3);
	for (size_t i = 0; i < 10; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(process_usage_open_fds(), before + 10);
	for (size_t i = 0; i < 10; i++)
		close(fds[i]);
	assert_int_equal(process_usage_open_fds(), before);
}

static void test_cpu_and_start(void **state)
{
	int64_t before = process_usage_cpu_ns(), now_ns = clock_wall_ms() * 1000000;
	volatile unsigned spin = 0;

	/* The clock of CPU time stands still until something is done. */
	while (process_usage_cpu_ns() < before + 1000000)
		spin++;
	/* It started before now, and this machine's clock was right to a day. */
	assert_true(process_usage_started_ns() < now_ns + INT64_C(2000000000));
	assert_true(process_usage_started_ns() > now_ns - INT64_C(86400000000000));
}

static void assert_has(const struct buffer *out, const char *text)
{
	if (!memmem(out->ptr, out->len, text, strlen(text)))
		fail_msg("no '%s' in:\n" SLICE_FMT, text, SLICE_ARG(buffer_slice(out)));
}

static void test_published(void **state)
{
	struct buffer out;

	process_usage_publish("9.8.7", "0123456789abcdef too long");
	buffer_init(&out, 1u << 20);
	metrics_write(&out);
	assert_has(&out, "context_store_build_info{version=\"9.8.7\",revision=\"0123456789abcdef\",compiler=\"");
	assert_has(&out, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ");
	assert_has(&out, "# TYPE process_open_fds gauge\nprocess_open_fds ");
	assert_has(&out, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1");
	assert_true(metric_value(metric_series(METRIC_PROCESS_RESIDENT, S(""))) > 0);
	assert_true(metric_value(metric_series(METRIC_PROCESS_VIRTUAL, S(""))) > 0);
	assert_true(metric_value(metric_series(METRIC_PROCESS_FDS_MAX, S(""))) > 0);
	buffer_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_open_files),
		cmocka_unit_test(test_cpu_and_start),
		cmocka_unit_test(test_published),
	};

	return cmocka_run_group_tests_name("process_usage", tests, NULL, NULL);
}
