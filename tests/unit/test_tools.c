/* The tool table: complete, within its budget, and what docs say; and what tool_run promises around a handler. */
#include "../support/tool_fixture.h"

#include "base/metrics.h"

#define BUDGET_BYTES 8500 /* about 2,500 tokens of o200k_base; measured 4.1 bytes a token */

static void every_row_is_complete(void **state)
{
	for (size_t i = 0; i < tool_row_count; i++) {
		const struct tool *tool = &tool_rows[i];

		assert_true(tool->name[0] && tool->title[0] && tool->description[0]);
		assert_non_null(tool->run);
		assert_ptr_equal(tool_find(slice_cstr(tool->name)), tool);
		assert_string_equal(tool->output[0].name, "success");
		assert_true(tool->least_role > ROLE_GUEST);
		assert_false(tool->read_only && tool->destructive);
		for (const struct field *field = tool->input; field->name; field++) {
			assert_non_null(field->help);
			assert_false(field->required && field->fallback);
			assert_true(field->kind != FIELD_ARRAY || field->items);
			assert_true(field->kind != FIELD_INTEGER || field->max);
		}
	}
	assert_null(tool_find(S("store_contex")));
	assert_string_equal(tool_nearest(S("store_contex")), "store_context");
	assert_string_equal(tool_nearest(S("Get_Agent_Stat")), "get_agent_state");
	assert_null(tool_nearest(S("launch_missiles")));
	assert_null(tool_nearest(S("")));
}

static void schemas_are_json_and_fit_the_budget(void **state)
{
	size_t total = 0;

	for (size_t i = 0; i < tool_row_count; i++) {
		struct json_writer w = json_writer(&fx.out);
		struct json_doc doc;
		struct cs_error err;

		buffer_clear(&fx.out);
		tool_write(&w, &tool_rows[i]);
		assert_int_equal(json_parse(&fx.arena, buffer_slice(&fx.out), JSON_LIMITS_DEFAULT, &doc, &err), CS_OK);
		assert_int_equal(
			json_type_of(&doc, json_get(&doc, json_get(&doc, 0, S("inputSchema")), S("properties"))),
			JSON_OBJECT);
		assert_int_equal(
			doc.nodes[json_get(&doc, json_get(&doc, 0, S("outputSchema")), S("required"))].count, 1);
		assert_int_equal(json_get(&doc, json_get(&doc, 0, S("inputSchema")), S("anyOf")), JSON_NONE);
		buffer_clear(&fx.out);
		w = json_writer(&fx.out);
		schema_write_input(&w, tool_rows[i].input);
		total += fx.out.len + strlen(tool_rows[i].name) + strlen(tool_rows[i].description) + 48;
	}
	assert_in_range(total, 3000, BUDGET_BYTES);
}

static void the_reference_page_is_what_the_table_says(void **state)
{
	FILE *file = fopen("docs/reference/tools.md", "r");
	static char text[1 << 17];
	size_t len;

	if (!file) {
		print_message("docs/reference/tools.md is not in the working directory\n");
		skip();
	}
	len = fread(text, 1, sizeof text, file);
	fclose(file);
	buffer_clear(&fx.out);
	tools_write_reference(&fx.out);
	if (!slice_eq(slice_of(text, len), buffer_slice(&fx.out)))
		fail_msg("docs/reference/tools.md differs from the table: make man writes it anew");
}

static void roles_are_kept(void **state)
{
	const struct principal guest = {S("g"), S("u"), ROLE_GUEST, true};
	const struct principal reader = {S("r"), S("u"), ROLE_READER, true};

	fx.op.principal = &guest;
	refused("get_agent_state", "{\"agent_id\":\"a\",\"key\":\"k\"}", CS_FORBIDDEN, "reader");
	fx.op.principal = &reader;
	refused("get_agent_state", "{\"agent_id\":\"a\",\"key\":\"k\"}", CS_KEY_NOT_FOUND, "");
	refused("update_scratchpad", "{\"agent_id\":\"a\",\"key\":\"k\",\"content\":\"c\"}", CS_FORBIDDEN, "writer");
	refused("store_context", "{}", CS_FORBIDDEN, "writer");
}

static void a_call_past_its_deadline_is_a_timeout(void **state)
{
	fx.op.deadline_ns = clock_mono_ns() - 1;
	refused("retrieve_context", "{\"query\":\"x\"}", CS_TIMEOUT, "");
}

static void a_reply_over_the_ceiling_is_limit_exceeded(void **state)
{
	accepted("store_context",
		"{\"content\":{\"id\":\"big\",\"text\":\"a text that is longer than the reply may be, "
		"as many texts are, and then some more of it to be sure of that, and again and again and again, "
		"until nobody can doubt that five hundred bytes are not enough for what stands in "
		"here\"},\"type\":\"log\"}");
	buffer_release(&fx.out);
	buffer_init(&fx.out, 500);
	refused("retrieve_context", "{\"ids\":[\"big\"]}", CS_LIMIT_EXCEEDED, "500 bytes");
}

static void a_call_that_may_not_wait_leaves_nothing(void **state)
{
	const struct tool_host host = {NULL, fx_acquire, NULL};
	struct json_doc doc;
	struct cs_error err;

	assert_int_equal(json_parse(&fx.arena, S("{\"agent_id\":\"a\"}"), JSON_LIMITS_DEFAULT, &doc, &err), CS_OK);
	fx.op.may_wait = false;
	buffer_clear(&fx.out);
	buffer_append(&fx.out, S("before"));
	assert_int_equal(tool_run(&host, &fx.op, tool_find(S("get_agent_state")), &doc, 0, &fx.out), CS_WOULD_WAIT);
	assert_true(slice_eq(buffer_slice(&fx.out), S("before")));
}

static void calls_are_counted(void **state)
{
	struct metric_series *ok = metric_series(METRIC_REQUESTS, S("retrieve_context,ok"));
	struct metric_series *bad = metric_series(METRIC_REQUESTS, S("retrieve_context,missing_parameter"));
	int64_t ok_before = metric_value(ok), bad_before = metric_value(bad);

	accepted("retrieve_context", "{\"query\":\"x\"}");
	refused("retrieve_context", "{}", CS_MISSING_PARAMETER, "query");
	assert_int_equal(metric_value(ok), ok_before + 1);
	assert_int_equal(metric_value(bad), bad_before + 1);
	assert_true(metric_value(metric_series(METRIC_RESPONSE_TIME, S("retrieve_context"))) >= 2);
}

/* The time of a call is that since its request came, waiting included. */
static void time_counts_from_the_request(void **state)
{
	struct metric_series *times = metric_series(METRIC_RESPONSE_TIME, S("retrieve_context"));
	uint64_t before[METRIC_BUCKETS], after[METRIC_BUCKETS];

	metric_buckets(times, before);
	fx.op.started_ns = clock_mono_ns() - INT64_C(20000000000);
	accepted("retrieve_context", "{\"query\":\"x\"}");
	metric_buckets(times, after);
	assert_int_equal(after[METRIC_BUCKETS - 1], before[METRIC_BUCKETS - 1] + 1); /* over 10 s */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_row_is_complete, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(schemas_are_json_and_fit_the_budget, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(the_reference_page_is_what_the_table_says, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(roles_are_kept, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_call_past_its_deadline_is_a_timeout, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_reply_over_the_ceiling_is_limit_exceeded, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(a_call_that_may_not_wait_leaves_nothing, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(calls_are_counted, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(time_counts_from_the_request, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
