/* update_scratchpad and get_agent_state, over the engine. */
#include "../support/tool_fixture.h"

#define OWN "\"agent_id\":\"a-1\",\"key\":\"k.1\""

static void a_value_is_written_and_read_back(void **state)
{
	accepted("update_scratchpad", "{" OWN ",\"content\":\"gr\xC3\xBC\xC3\x9F\"}");
	assert_str("key", "agent:a-1:scratchpad:k.1");
	assert_int_equal(num("ttl"), 3600);
	assert_int_equal(num("content_size"), 4);
	assert_int_equal(num("version"), 1);
	accepted("get_agent_state", "{" OWN ",\"prefix\":\"scratchpad\"}");
	assert_str("data.content", "gr\xC3\xBC\xC3\x9F");
	assert_str("data.namespaced_key", "agent:a-1:scratchpad:k.1");
	assert_str("data.key", "k.1");
	assert_int_equal(num("data.version"), 1);
	assert_in_range(num("data.ttl"), 3590, 3600);
	refused("get_agent_state", "{" OWN "}", CS_KEY_NOT_FOUND, "");
	assert_int_equal(json_type_of(&fx.reply, at("data")), JSON_OBJECT);
	assert_int_equal(fx.reply.nodes[at("data")].count, 0);
}

static void only_the_scratchpad_forgets_by_itself(void **state)
{
	accepted("update_scratchpad", "{" OWN ",\"content\":\"x\",\"prefix\":\"memory\"}");
	assert_int_equal(json_type_of(&fx.reply, at("ttl")), JSON_NULL);
	accepted("update_scratchpad", "{" OWN ",\"content\":\"x\",\"prefix\":\"memory\",\"ttl\":60}");
	assert_int_equal(num("ttl"), 60);
	accepted("update_scratchpad", "{" OWN ",\"content\":\"s\"}");
	clock_shift_ms(61000);
	refused("get_agent_state", "{" OWN ",\"prefix\":\"memory\"}", CS_KEY_NOT_FOUND, "");
	accepted("get_agent_state", "{" OWN ",\"prefix\":\"scratchpad\"}");
	refused("update_scratchpad", "{" OWN ",\"content\":\"x\",\"ttl\":59}", CS_INVALID_TTL,
		"ttl must be a whole number from 60 to 86400, not 59");
	refused("update_scratchpad", "{" OWN ",\"content\":\"x\",\"ttl\":86401}", CS_INVALID_TTL, "86401");
	refused("update_scratchpad", "{" OWN ",\"content\":\"x\",\"ttl\":\"60\"}", CS_INVALID_TTL, "\"60\"");
	refused("update_scratchpad", "{" OWN ",\"content\":\"x\",\"ttl\":60.5}", CS_INVALID_TTL, "60.5");
}

static void modes_do_what_they_say(void **state)
{
	accepted("update_scratchpad", "{" OWN ",\"content\":\"one\",\"mode\":\"append\"}");
	accepted("update_scratchpad", "{" OWN ",\"content\":\"two\",\"mode\":\"append\"}");
	assert_int_equal(num("content_size"), 7);
	assert_int_equal(num("version"), 2);
	refused("update_scratchpad", "{" OWN ",\"mode\":\"increment\"}", CS_INVALID_CONTENT_TYPE, "");
	accepted("get_agent_state", "{" OWN ",\"prefix\":\"scratchpad\"}");
	assert_str("data.content", "one\ntwo");
	accepted("update_scratchpad", "{" OWN ",\"mode\":\"delete\"}");
	refused("update_scratchpad", "{" OWN ",\"mode\":\"delete\"}", CS_KEY_NOT_FOUND, "");
	accepted("update_scratchpad", "{" OWN ",\"mode\":\"increment\"}");
	accepted("update_scratchpad", "{" OWN ",\"mode\":\"increment\",\"content\":\"-43\"}");
	accepted("get_agent_state", "{" OWN ",\"prefix\":\"scratchpad\"}");
	assert_str("data.content", "-42");
	refused("update_scratchpad", "{" OWN ",\"mode\":\"increment\",\"content\":\"4x\"}", CS_INVALID_CONTENT_TYPE,
		"whole number");
	refused("update_scratchpad", "{" OWN ",\"mode\":\"increment\",\"content\":\"99999999999999999999\"}",
		CS_LIMIT_EXCEEDED, "64 bits");
	accepted("update_scratchpad", "{" OWN ",\"content\":\"9223372036854775807\"}");
	refused("update_scratchpad", "{" OWN ",\"mode\":\"increment\"}", CS_LIMIT_EXCEEDED, "");
	accepted("get_agent_state", "{" OWN ",\"prefix\":\"scratchpad\"}");
	assert_str("data.content", "9223372036854775807");
}

static void versions_are_compared(void **state)
{
	accepted("update_scratchpad", "{" OWN ",\"content\":\"a\",\"if_version\":0}");
	refused("update_scratchpad", "{" OWN ",\"content\":\"b\",\"if_version\":0}", CS_VERSION_CONFLICT, "");
	assert_int_equal(num("version"), 1);
	accepted("update_scratchpad", "{" OWN ",\"content\":\"b\",\"if_version\":1}");
	refused("update_scratchpad", "{" OWN ",\"mode\":\"delete\",\"if_version\":1}", CS_VERSION_CONFLICT, "");
	assert_int_equal(num("version"), 2);
	accepted("update_scratchpad", "{" OWN ",\"mode\":\"delete\",\"if_version\":2}");
}

static void wrong_arguments_have_their_own_errors(void **state)
{
	char *large = malloc(100200);

	refused("update_scratchpad", "{\"agent_id\":\"a b\",\"key\":\"k\",\"content\":\"c\"}", CS_INVALID_AGENT_ID,
		"agent_id");
	refused("update_scratchpad", "{\"agent_id\":\"a\",\"key\":\"k/1\",\"content\":\"c\"}", CS_INVALID_KEY, "key");
	refused("update_scratchpad", "{\"agent_id\":7,\"key\":\"k\",\"content\":\"c\"}", CS_INVALID_AGENT_ID, "not 7");
	refused("update_scratchpad", "{" OWN ",\"content\":\"c\",\"prefix\":\"cache\"}", CS_INVALID_PREFIX,
		"scratchpad, state");
	refused("update_scratchpad", "{" OWN ",\"content\":\"\"}", CS_VALIDATION, "content");
	refused("update_scratchpad", "{" OWN ",\"content\":5}", CS_INVALID_CONTENT_TYPE, "content");
	refused("update_scratchpad", "{" OWN "}", CS_MISSING_PARAMETER, "content");
	refused("update_scratchpad", "{\"agent_id\":\"a\",\"content\":\"c\"}", CS_MISSING_PARAMETER, "key is required");
	refused("update_scratchpad", "{" OWN ",\"content\":\"c\",\"tll\":60}", CS_VALIDATION, "did you mean ttl?");
	assert_non_null(large);
	memset(large, 'x', 100200);
	memcpy(large, "{" OWN ",\"content\":\"", sizeof "{" OWN ",\"content\":\"" - 1);
	memcpy(large + sizeof "{" OWN ",\"content\":\"" - 1 + 100001, "\"}", 3);
	refused("update_scratchpad", large, CS_CONTENT_TOO_LARGE, "100001 characters");
	memcpy(large + sizeof "{" OWN ",\"content\":\"" - 1 + 100000, "\"}", 3);
	accepted("update_scratchpad", large);
	free(large);
}

static void all_keys_come_in_pages(void **state)
{
	char text[160], cursor[CS_ERROR_TEXT_MAX];
	int seen = 0;

	accepted("get_agent_state", "{\"agent_id\":\"none\"}");
	assert_int_equal(num("total_available"), 0);
	assert_int_equal(fx.reply.nodes[at("data")].count, 0);
	for (int i = 0; i < 7; i++) {
		snprintf(text, sizeof text,
			"{\"agent_id\":\"a\",\"key\":\"k%d\",\"content\":\"v%d\",\"prefix\":\"state\"}", i, i);
		accepted("update_scratchpad", text);
	}
	accepted("get_agent_state", "{\"agent_id\":\"a\",\"limit\":3}");
	for (;;) {
		assert_int_equal(num("total_available"), 7);
		seen += (int)fx.reply.nodes[at("keys")].count;
		if (at("next_cursor") == JSON_NONE)
			break;
		snprintf(cursor, sizeof cursor, "{\"agent_id\":\"a\",\"limit\":3,\"cursor\":\"" SLICE_FMT "\"}",
			SLICE_ARG(str("next_cursor")));
		accepted("get_agent_state", cursor);
	}
	assert_int_equal(seen, 7);
	assert_str("keys.0", "k6");
	assert_str("data.k6", "v6");
	cursor[11] = 'b';
	cursor[13] = 'b';
	snprintf(text, sizeof text, "{\"agent_id\":\"b\",%s", strstr(cursor, "\"limit\""));
	refused("get_agent_state", text, CS_VALIDATION, "another question");
	refused("get_agent_state", "{\"agent_id\":\"a\",\"cursor\":\"abc\"}", CS_VALIDATION, "damaged");
	refused("get_agent_state", "{\"agent_id\":\"a\",\"limit\":1001}", CS_VALIDATION,
		"limit must be a whole number from 1 to 1000");
}

static void a_list_too_long_for_one_reply_goes_on(void **state)
{
	static char text[100100];
	int pages = 1, keys = 0;

	for (int i = 0; i < 15; i++) {
		int head = snprintf(text, sizeof text,
			"{\"agent_id\":\"a\",\"prefix\":\"state\",\"key\":\"k%02d\",\"content\":\"", i);

		memset(text + head, 'x', 99000);
		memcpy(text + head + 99000, "\"}", 3);
		accepted("update_scratchpad", text);
	}
	accepted("get_agent_state", "{\"agent_id\":\"a\"}");
	for (; pages < 9; pages++) {
		assert_true(fx.out.len < 1300000);
		keys += (int)fx.reply.nodes[at("keys")].count;
		if (at("next_cursor") == JSON_NONE)
			break;
		snprintf(text, sizeof text, "{\"agent_id\":\"a\",\"cursor\":\"" SLICE_FMT "\"}",
			SLICE_ARG(str("next_cursor")));
		accepted("get_agent_state", text);
	}
	assert_int_equal(pages, 2);
	assert_int_equal(keys, 15);
}

#define T(function) cmocka_unit_test_setup_teardown(function, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_value_is_written_and_read_back),
		T(only_the_scratchpad_forgets_by_itself),
		T(modes_do_what_they_say),
		T(versions_are_compared),
		T(wrong_arguments_have_their_own_errors),
		T(all_keys_come_in_pages),
		T(a_list_too_long_for_one_reply_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
