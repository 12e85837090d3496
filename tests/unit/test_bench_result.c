/* Results: written and read back, refused when they are none, told to people, drawn, and compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/compare.h"
#include "bench/files.h"
#include "bench/report.h"

static struct arena arena;
static struct buffer out;

static int set_up(void **state)
{
	arena_init(&arena, NULL, 0, 64u << 20);
	buffer_init(&out, 8u << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_release(&arena);
	buffer_release(&out);
	return 0;
}

static struct measurement *add(
	struct result *r, enum measurement_kind kind, const char *name, unsigned connections, double ms)
{
	struct measurement *m = result_add(r, kind, slice_cstr(name), connections);

	m->success = 99;
	m->failures = 1;
	m->pending = connections;
	m->failure = S("{\"error_type\":\"timeout\"} <&>");
	m->per_second = 1000 / ms;
	m->latency = (struct latency){ms / 2, ms, ms, 2 * ms, 3 * ms, 4 * ms};
	m->has_target = true;
	for (unsigned i = 0; i < 5; i++)
		m->rounds[m->round_count++] =
			(struct round_figures){ms * (1 + 0.01 * i), 2 * ms * (1 + 0.01 * i), 1000 / ms};
	return m;
}

/* Two tools at two levels, so many times as slow as they could be, and two baselines. */
static struct result sample(double slow)
{
	struct cs_error err;
	struct result r;

	assert_int_equal(result_init(&r, &arena, &err), CS_OK);
	r.program = S("context-store 0.1.0");
	r.started_at = S("2026-11-25T08:00:00.000Z");
	r.transport = S("POST /mcp, revision 2026-07-28");
	r.iterations = 10000000;
	r.rounds = 20;
	r.processor = S("some <processor>");
	r.cores = 2;
	r.target_ms = 50;
	add(&r, KIND_CLOSED, "get_agent_state", 1, 0.02 * slow);
	add(&r, KIND_CLOSED, "get_agent_state", 200, 2 * slow);
	add(&r, KIND_CLOSED, "store_context", 1, 5 * slow);
	add(&r, KIND_CLOSED, "store_context", 200, 40 * slow);
	add(&r, KIND_BASELINE, "bare responder", 1, 0.01);
	result_add(&r, KIND_BASELINE, S("nginx"), 0)->skipped = S("not installed");
	return r;
}

static void has(const char *text)
{
	if (!memmem(out.ptr, out.len, text, strlen(text)))
		fail_msg("'%s' is not in %.*s", text, (int)out.len, out.ptr);
}

static struct result read_back(struct result *r)
{
	struct result again;
	struct cs_error err;

	buffer_clear(&out);
	result_write(r, &out);
	if (result_read(&arena, arena_copy(&arena, buffer_slice(&out)), &again, &err) != CS_OK)
		fail_msg("%s", err.text);
	return again;
}

static void test_reads_what_it_writes(void **state)
{
	struct result r = sample(1), again;
	const struct measurement *m;

	(void)state;
	r.measurements[0].rounds[4].median_ms = (double)NAN; /* a round without a success */
	again = read_back(&r);
	assert_int_equal(again.count, r.count);
	m = result_find(&again, KIND_CLOSED, S("store_context"), 200);
	assert_non_null(m);
	assert_true(m->success == 99 && m->failures == 1 && m->pending == 200 && m->round_count == 5);
	assert_true(m->latency.p99_ms == 120 && m->rounds[4].p95_ms == r.measurements[3].rounds[4].p95_ms);
	assert_true(isnan(again.measurements[0].rounds[4].median_ms));
	assert_true(slice_eq(result_find(&again, KIND_BASELINE, S("nginx"), 0)->skipped, S("not installed")));
}

static void test_refuses_what_is_no_result(void **state)
{
	static const struct {
		const char *text, *told;
	} rows[] = {
		{"", "1"},
		{"[]", "format"},
		{"{\"name\":\"x\"}", "no result of context-store bench"},
		{"{\"format\":\"context-store-benchmark\",\"format_version\":2}", "format_version 2"},
		{"{\"format\":\"context-store-benchmark\",\"format_version\":1}", "program"},
		{"{\"format\":\"context-store-benchmark\",\"format_version\":1,\"program\":\"\",\"started_at\":\"\"}",
			"measurements is not a list"},
		{"{\"format\":\"context-store-benchmark\",\"format_version\":1,\"program\":\"\",\"started_at\":\"\","
		 "\"measurements\":[{\"kind\":\"strange\"}]}",
			"kind of measurement 1"},
		{"{\"format\":\"context-store-benchmark\",\"format_version\":1,\"program\":\"\",\"started_at\":\"\","
		 "\"measurements\":[{\"kind\":\"mix\",\"name\":\"x\",\"connections\":-1}]}",
			"connections of measurement 1"},
		{"{\"format\":\"context-store-benchmark\",\"format_version\":1,\"program\":\"x\\u001b[31m\",\"started_"
		 "at\":\"\"}",
			"program is not a text without control"},
		{"{\"format\":\"context-store-benchmark\",\"format_version\":1,\"program\":\"\",\"started_at\":\"\","
		 "\"measurements\":[{\"kind\":\"mix\",\"name\":\"x\\u0007\",\"connections\":1}]}",
			"name of measurement 1 is not a text without control"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct result r;
		struct cs_error err;

		assert_int_not_equal(result_read(&arena, slice_cstr(rows[i].text), &r, &err), CS_OK);
		if (!strstr(err.text, rows[i].told))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

static void test_target(void **state)
{
	struct result r = sample(1);
	struct measurement *m = &r.measurements[2];

	(void)state;
	assert_false(result_meets(m, 50)); /* one failed */
	m->failures = 0;
	assert_true(result_meets(m, 10));
	assert_false(result_meets(m, 9.99));
	m->success = 0;
	assert_false(result_meets(m, 50));
	assert_false(result_all_met(&r));
	for (size_t i = 0; i < r.count; i++)
		r.measurements[i].target_met = true;
	assert_true(result_all_met(&r));
}

/* A terminal of 80 columns breaks no line. */
static void fits(void)
{
	struct slice rest = buffer_slice(&out);

	while (rest.len > 0) {
		struct slice line = slice_cut(&rest, '\n');

		if (line.len > 80)
			fail_msg("%zu columns: %.*s", line.len, (int)line.len, line.ptr);
	}
}

static void test_text(void **state)
{
	struct result r = sample(1);

	(void)state;
	r.partial = true;
	r.why_partial = S("it was interrupted");
	buffer_clear(&out);
	report_write_text(&r, &out);
	has("PARTIAL: it was interrupted");
	has("\nget_agent_state\n   1     99      1 0.0100 0.0200 0.0200 0.0400 0.0600 0.0800  50000 ");
	has("\n 200     99      1  1.000 ");
	fits();
	has("MISSED");
	has("not installed");
	has("closed store_context, 200 connections: {\"error_type\":\"timeout\"}");
}

static void test_chart(void **state)
{
	struct result r = sample(1), empty;
	struct cs_error err;

	(void)state;
	buffer_clear(&out);
	report_write_chart(&r, &out);
	has("<svg xmlns");
	has(">get_agent_state</text>");
	has(">store_context</text>");
	has("prefers-color-scheme: dark");
	assert_null(memmem(out.ptr, out.len, "var(", 4));
	has(">10 \xC2\xB5s</text>");
	has("</svg>");
	assert_null(memmem(out.ptr, out.len, "nan", 3));
	assert_null(memmem(out.ptr, out.len, "inf", 3));
	assert_int_equal(result_init(&empty, &arena, &err), CS_OK);
	buffer_clear(&out);
	report_write_chart(&empty, &out);
	assert_int_equal(out.len, 0);
	add(&empty, KIND_MIX, "mix", 1, 3); /* one point makes no axis by itself */
	report_write_chart(&empty, &out);
	has(">mix</text>");
	assert_null(memmem(out.ptr, out.len, "nan", 3));
}

static struct comparison_list compared(const struct result *before, const struct result *after, double threshold)
{
	struct comparison_list list;
	struct cs_error err;

	assert_int_equal(compare_results(&arena, before, after, threshold, &list, &err), CS_OK);
	return list;
}

static void test_compare(void **state)
{
	struct result r = sample(1), slower = sample(1.2), little = sample(1.06);
	struct comparison_list list = compared(&r, &r, 5);

	(void)state;
	assert_true(list.same == 8 && list.slower == 0 && list.faster == 0 && list.baselines_changed == 0);
	list = compared(&r, &slower, 5);
	assert_true(list.slower == 8 && list.same == 0 && list.baselines_changed == 0);
	list = compared(&slower, &r, 5);
	assert_int_equal(list.faster, 8);
	list = compared(&r, &slower, 25);
	assert_int_equal(list.same, 8);
	list = compared(&r, &little, 5);
	assert_int_equal(list.slower, 8);
	/* One round that overlaps, and five against five no longer tell. */
	slower.measurements[0].rounds[4].median_ms = r.measurements[0].rounds[2].median_ms;
	list = compared(&r, &slower, 5);
	assert_true(list.slower == 7 && list.same == 1);
	/* The machine, and not the program. */
	slower = sample(1.2);
	for (unsigned i = 0; i < 5; i++)
		slower.measurements[4].rounds[i].median_ms *= 2;
	list = compared(&r, &slower, 5);
	assert_true(list.slower == 8 && list.baselines_changed == 1);
	slower.measurements[0].pending = 40;
	buffer_clear(&out);
	compare_write_text(&list, &r, &slower, 5, &out);
	fits();
	has("answered before the vector was made (pending)");
	has("The machine itself was different");
	has("8 slower, 0 faster, 0 no different");
}

static void test_compare_with_little(void **state)
{
	struct result r = sample(1), few = sample(3), other;
	struct comparison_list list;
	struct cs_error err;

	(void)state;
	few.measurements[0].round_count = 3;
	few.measurements[1].round_count = 0;
	list = compared(&r, &few, 5);
	assert_true(list.unknown == 4 && list.slower == 4);
	few.count = 2;
	list = compared(&r, &few, 5);
	assert_true(list.only_before == 4 && list.only_after == 0);
	list = compared(&few, &r, 5);
	assert_true(list.only_before == 0 && list.only_after == 4);
	assert_int_equal(result_init(&other, &arena, &err), CS_OK);
	assert_int_equal(compare_results(&arena, &r, &other, 5, &list, &err), CS_VALIDATION);
	assert_non_null(strstr(err.text, "in common"));
}

/* Runs that begin in one second, while the others go on and behind their end, have files of their own. */
static void test_names_of_one_second(void **state)
{
	char dir[] = "/tmp/context-store-test-XXXXXX";
	struct bench_files runs[6];
	struct result r = sample(1);
	struct cs_error err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < 6; i++) {
		if (files_open(&runs[i], dir, &err) != CS_OK)
			fail_msg("%s", err.text);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(runs[i].json, runs[j].json);
			assert_string_not_equal(runs[i].text, runs[j].text);
			assert_string_not_equal(runs[i].chart, runs[j].chart);
		}
		if (i % 2 == 0)
			assert_int_equal(files_write(&runs[i], &r, &err), CS_OK);
	}
	for (size_t i = 0; i < 6; i++) {
		files_discard(&runs[i]);
		assert_int_equal(access(runs[i].json, F_OK) == 0, i % 2 == 0);
		(void)unlink(runs[i].json);
		(void)unlink(runs[i].text);
		(void)unlink(runs[i].chart);
	}
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads_what_it_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refuses_what_is_no_result, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_target, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_chart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_compare, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_compare_with_little, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_of_one_second, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
