/* Every tool has requests that its schema takes, requests are made again from their index, and mixes are checked. */
#include "../support/tool_fixture.h"
#include "bench/workload.h"

static struct buffer text;

/* The tool's reply to the request; fails the test unless it succeeds. */
static void run(const char *tool)
{
	const struct tool_host host = {NULL, fx_acquire, NULL};
	struct json_doc doc;
	struct cs_error err;

	arena_reset(&fx.arena);
	buffer_clear(&fx.out);
	if (json_parse(&fx.arena, buffer_slice(&text), JSON_LIMITS_DEFAULT, &doc, &err) != CS_OK)
		fail_msg("%s", err.text);
	if (tool_run(&host, &fx.op, tool_find(slice_cstr(tool)), &doc, 0, &fx.out) != CS_OK)
		fail_msg("%s: %.*s", tool, (int)fx.out.len, fx.out.ptr);
	assert_null(memmem(fx.out.ptr, fx.out.len, "\"failed\":1", 10));
	buffer_clear(&text);
}

/* A tool without a row would be missing from every benchmark. */
static void test_covers_the_table(void **state)
{
	(void)state;
	assert_int_equal(workload_row_count, tool_row_count);
	for (size_t i = 0; i < tool_row_count; i++)
		assert_non_null(workload_find(slice_cstr(tool_rows[i].name)));
	assert_ptr_equal(workload_find(S("state")), workload_find(S("get_agent_state")));
	assert_null(workload_find(S("nothing")));
}

static void test_requests_succeed(void **state)
{
	struct workload w;

	(void)state;
	workload_init(&w);
	workload_write_seeds(&w, NULL, 0, WORKLOAD_BATCH, &text);
	run("store_context");
	for (unsigned i = 0; i < WORKLOAD_KEYS; i++) {
		workload_write_key(&w, i, false, false, &text);
		run("update_scratchpad");
	}
	for (size_t i = 0; i < workload_row_count; i++) {
		const struct workload_row *row = &workload_rows[i];

		if (row->consumes) {
			workload_write_seeds(&w, row, 0, 3, &text);
			run("store_context");
		}
		for (uint64_t index = 0; index < 3; index++) {
			workload_write(&w, row, index, &text);
			run(row->tool);
		}
	}
	workload_write_erasure(&w, workload_find(S("store")), 1, &text);
	run("delete_context");
	workload_write_key(&w, 1, true, true, &text);
	run("update_scratchpad");
}

/* The same text again for an index, another one for the next, the first again after a cycle. */
static void test_requests_repeat(void **state)
{
	struct buffer again;
	struct workload w;

	(void)state;
	workload_init(&w);
	buffer_init(&again, 1u << 20);
	for (size_t i = 0; i < workload_row_count; i++) {
		const struct workload_row *row = &workload_rows[i];

		buffer_clear(&text);
		buffer_clear(&again);
		workload_write(&w, row, 5, &text);
		workload_write(&w, row, row->cycle ? 5 + row->cycle : 5, &again);
		assert_true(slice_eq(buffer_slice(&text), buffer_slice(&again)));
		buffer_clear(&again);
		workload_write(&w, row, 6, &again);
		assert_false(slice_eq(buffer_slice(&text), buffer_slice(&again)));
	}
	buffer_clear(&text);
	buffer_release(&again);
}

static void test_mix(void **state)
{
	const struct mix wanted = {{5, 60, 15, 20}}; /* the default's shares, in the order of the rows */
	unsigned seen[WORKLOAD_MAX] = {0};
	struct mix mix;
	struct cs_error err;

	(void)state;
	assert_int_equal(mix_parse(S("retrieve=60, state=20,update_scratchpad=15,store=5"), &mix, &err), CS_OK);
	for (size_t i = 0; i < workload_row_count; i++)
		assert_int_equal(mix.share[i], wanted.share[i]);
	mix = mix_default();
	for (uint64_t i = 0; i < 10000; i++)
		seen[workload_index(mix_pick(&mix, i))]++;
	for (size_t i = 0; i < workload_row_count; i++)
		assert_in_range(seen[i] + 150, 100 * mix.share[i], 100 * mix.share[i] + 300);
}

static void test_bad_mixes(void **state)
{
	static const struct {
		const char *text, *told;
	} rows[] = {
		{"retrive=100", "did you mean retrieve?"},
		{"xyzzyplugh=100", "no tool \"xyzzyplugh\""},
		{"retrieve=60,state=20", "add up to 80"},
		{"retrieve=60,state=60", "add up to 120"},
		{"retrieve=0,state=100", "from 1 to 100"},
		{"retrieve=-5", "from 1 to 100"},
		{"retrieve=99999999999999999999", "from 1 to 100"},
		{"retrieve", "from 1 to 100"},
		{"retrieve=50,retrieve=50", "twice"},
		{"", "no tool"},
		{"retrieve=100,", "no tool"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mix mix;
		struct cs_error err;

		assert_int_equal(mix_parse(slice_cstr(rows[i].text), &mix, &err), CS_VALIDATION);
		if (!strstr(err.text, rows[i].told))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_covers_the_table),
		cmocka_unit_test_setup_teardown(test_requests_succeed, fx_setup, fx_teardown),
		cmocka_unit_test(test_requests_repeat),
		cmocka_unit_test(test_mix),
		cmocka_unit_test(test_bad_mixes),
	};

	buffer_init(&text, 1u << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
