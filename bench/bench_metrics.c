/* What measuring costs: get_agent_state with metrics and the log at info, against the same program without either.
 *
 * The baseline is linked from the same objects with the metric calls of a request replaced by functions that do nothing
 * (bench/unmeasured), and runs with --log-level off. CPU is the kernel's count for the whole process; rounds alternate,
 * and each ratio is taken within a pair of neighbouring rounds. The one thing both programs do is read the clock at the
 * end of a call, so that is measured by itself, as are the calls alone: a round's noise is larger than what they cost.
 *
 * Reading is measured, too: CPU of one scrape, and how long a scrape occupies its event loop when every family has all
 * the series it may have.
 *
 * The bar: at most 3 % of a request's CPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "bench/stats.h"
#include "support/load.h"
#include "support/process.h"

#define ROUNDS  21
#define SCRAPES 200
#define CALLS   2000000
#define BAR     3.0 /* percent */

static double cpu_us(struct server_process server, struct load_fixed *request, unsigned connections, size_t requests)
{
	struct load load = {server.port, connections, requests, load_same, request};
	int64_t before = process_cpu_ns(server.pid);
	struct load_result result = load_run(&load);
	int64_t spent = process_cpu_ns(server.pid) - before;

	if (result.failed)
		die("requests failed");
	return (double)spent / 1e3 / (double)result.sent;
}

/* ns for what one request has counted: its time, its outcome, the cache, the response. */
static double counting_ns(void)
{
	struct metric_series *time = metric_series(METRIC_RESPONSE_TIME, S("get_agent_state"));
	struct metric_series *outcome = metric_series(METRIC_REQUESTS, S("get_agent_state,ok"));
	struct metric_series *cache = metric_series(METRIC_KEY_CACHE, S("hit"));
	struct metric_series *response = metric_series(METRIC_HTTP_RESPONSES, S("200"));
	int64_t start = now_ns();

	for (int i = 0; i < CALLS; i++) {
		metric_observe_ns(time, i % 32768);
		metric_add(outcome, 1);
		metric_add(cache, 1);
		metric_add(response, 1);
	}
	return (double)(now_ns() - start) / CALLS;
}

static double clock_ns(void)
{
	int64_t start = now_ns(), sum = 0;

	for (int i = 0; i < CALLS; i++)
		sum += clock_mono_ns() & 1;
	return (double)(now_ns() - start) / CALLS + (sum < 0);
}

/* Milliseconds to write every family with all its series; *ret_series and *ret_bytes are what was written. */
static double full_scrape_ms(size_t *ret_series, size_t *ret_bytes)
{
	double took[ROUNDS];
	struct buffer out;

	buffer_init(&out, 256u << 20);
	*ret_series = 0;
	for (int id = 0; id < METRIC_COUNT; id++)
		for (int i = 0; i < METRIC_SERIES_MAX; i++) {
			char label[16];
			int n = snprintf(label, sizeof label, "value-%d", i);

			(void)metric_series((enum metric_id)id, slice_of(label, (size_t)n));
		}
	for (int i = 0; i < ROUNDS; i++) {
		int64_t start = now_ns();

		buffer_clear(&out);
		metrics_write(&out);
		took[i] = (double)(now_ns() - start) / 1e6;
	}
	for (size_t i = 0; i < out.len; i++)
		*ret_series += out.ptr[i] == '\n';
	*ret_bytes = out.len;
	buffer_release(&out);
	return stats_spread(took, ROUNDS).median;
}

static void compare(struct server_process measured, struct server_process unmeasured, unsigned connections,
	size_t requests, double unseen_us)
{
	static struct load_fixed request;
	double with[ROUNDS], without[ROUNDS], extra[ROUNDS];
	struct spread median;

	request.length = load_post(request.bytes, sizeof request.bytes, "/tools/get_agent_state", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\"}");
	for (int i = 0; i < ROUNDS; i++) {
		bool first = i % 2;

		if (first)
			with[i] = cpu_us(measured, &request, connections, requests);
		without[i] = cpu_us(unmeasured, &request, connections, requests);
		if (!first)
			with[i] = cpu_us(measured, &request, connections, requests);
		extra[i] = 100 * (with[i] / (without[i] - unseen_us) - 1);
	}
	median = stats_spread(extra, ROUNDS);
	printf("%11u %9.2f %9.2f %+8.2f %% (%+.2f to %+.2f)\n", connections, stats_spread(with, ROUNDS).median,
		stats_spread(without, ROUNDS).median - unseen_us, median.median, median.lowest, median.highest);
}

static double scrape_cpu_us(struct server_process server)
{
	static struct load_fixed request;

	request.length = (size_t)snprintf(
		request.bytes, sizeof request.bytes, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	return cpu_us(server, &request, 1, SCRAPES);
}

int main(int argc, char **argv)
{
	static const unsigned levels[] = {1, 10, 50};
	size_t requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	char *directories[] = {process_make_directory(), process_make_directory()};
	struct server_process measured = process_serve_as(process_program(), directories[0], "info");
	struct server_process unmeasured = process_serve_as(process_unmeasured_program(), directories[1], "off");
	double counting = counting_ns(), clock = clock_ns(), full;
	static struct load_fixed request;
	double request_us;
	size_t lines, bytes;

	load_plant_state(measured.port);
	load_plant_state(unmeasured.port);
	printf("get_agent_state, metrics and log at info against neither: %zu requests a round, %d rounds\n", requests,
		ROUNDS);
	printf("connections   with us  without     more (lowest to highest)\n");
	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
		compare(measured, unmeasured, levels[i], requests, clock / 1e3);
	request.length = load_post(request.bytes, sizeof request.bytes, "/tools/get_agent_state", "",
		"{\"agent_id\":\"bench\",\"key\":\"current\"}");
	request_us = cpu_us(measured, &request, 50, requests);
	printf("\nThe calls alone: counting %.1f ns, reading the clock %.1f ns; %.2f %% of a request's %.2f us (bar "
	       "%.0f %%)\n",
		counting, clock, (counting + clock) / 10 / request_us, request_us, BAR);
	printf("One scrape: %.0f us of CPU, %.4f %% of a core every 15 s\n", scrape_cpu_us(measured),
		scrape_cpu_us(measured) / 15e6 * 100);
	full = full_scrape_ms(&lines, &bytes);
	printf("The largest scrape there can be: %zu lines, %.1f MB: %.1f ms on its loop\n", lines, (double)bytes / 1e6,
		full);
	process_stop(measured.pid);
	process_stop(unmeasured.pid);
	process_remove_directory(directories[0]);
	process_remove_directory(directories[1]);
	return 0;
}
