/* store_context, over the engine: ids, versions, duplicates, relations, lists, and what is refused. */
#include "../support/tool_fixture.h"

#include "store/contexts.h"

static void a_context_gets_an_id_and_says_where_it_is(void **state)
{
	char first[64];

	accepted("store_context", "{\"content\":{\"title\":\"T\",\"text\":\"body\"},\"type\":\"design\"}");
	assert_int_equal(str("id").len, 36);
	assert_int_equal(num("version"), 1);
	assert_str("embedding_status", "disabled");
	assert_str("backend_status.vector", "disabled");
	assert_str("backend_status.text", "ok");
	assert_true(slice_eq(str("graph_id"), str("id")));
	assert_int_equal(json_type_of(&fx.reply, at("vector_id")), JSON_NULL);
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	snprintf(first, sizeof first, SLICE_FMT, SLICE_ARG(str("id")));
	accepted("store_context", "{\"content\":{\"title\":\"U\"},\"type\":\"log\"}");
	assert_true(slice_compare(slice_cstr(first), str("id")) < 0);
}

static void new_ids_sort_as_they_were_made(void **state)
{
	char ids[2][CONTEXT_NEW_ID_SIZE] = {""};
	struct cs_error err;

	for (int i = 0; i < 10000; i++) {
		assert_int_equal(context_new_id(ids[i & 1], &err), CS_OK);
		assert_true(strcmp(ids[(i + 1) & 1], ids[i & 1]) < 0);
		assert_int_equal(ids[i & 1][14], '7');
		assert_non_null(strchr("89ab", ids[i & 1][19]));
	}
	clock_shift_ms(-3600000);
	assert_int_equal(context_new_id(ids[0], &err), CS_OK);
	assert_true(strcmp(ids[1], ids[0]) < 0);
}

static void the_id_is_the_callers(void **state)
{
	accepted("store_context", "{\"content\":{\"id\":\"own\",\"n\":1},\"type\":\"log\"}");
	assert_str("id", "own");
	accepted("store_context", "{\"content\":{\"id\":\"own\",\"n\":2},\"type\":\"log\"}");
	assert_int_equal(num("version"), 2);
	accepted("store_context", "{\"content\":{\"id\":\"own\",\"n\":3},\"type\":\"log\",\"id\":\"other\"}");
	assert_str("id", "other");
	accepted("store_context", "{\"content\":{\"id\":17},\"type\":\"log\",\"metadata\":null}");
	assert_int_equal(str("id").len, 36);
	refused("store_context", "{\"content\":{\"id\":\"a\\u0000b\"},\"type\":\"log\"}", CS_VALIDATION, "id must be");
	refused("store_context", "{\"content\":{},\"type\":\"log\",\"id\":\"a\\u0000b\"}", CS_VALIDATION, "id must be");
}

static void versions_are_compared(void **state)
{
	accepted("store_context", "{\"content\":{\"n\":1},\"type\":\"log\",\"id\":\"x\",\"if_version\":0}");
	refused("store_context", "{\"content\":{\"n\":2},\"type\":\"log\",\"id\":\"x\",\"if_version\":0}",
		CS_VERSION_CONFLICT, "");
	assert_int_equal(num("version"), 1);
	accepted("store_context", "{\"content\":{\"n\":2},\"type\":\"log\",\"id\":\"x\",\"if_version\":1}");
	assert_int_equal(num("version"), 2);
	accepted("store_context", "{\"content\":{\"n\":3},\"type\":\"log\",\"if_version\":0}");
	accepted("store_context", "{\"content\":{\"id\":\"x\"},\"type\":\"log\",\"if_version\":2}");
	refused("store_context", "{\"content\":{\"n\":4},\"type\":\"log\",\"if_version\":1}", CS_VALIDATION,
		"if_version 1 needs the id");
}

static void exact_duplicates_are_told(void **state)
{
	accepted("store_context", "{\"content\":{\"n\":1},\"type\":\"log\",\"id\":\"x\"}");
	accepted("store_context", "{\"content\":{\"n\":1},\"type\":\"log\",\"id\":\"y\"}");
	assert_str("duplicate_of", "x");
	assert_int_equal(num("version"), 1);
	accepted("store_context", "{\"content\":{\"n\":1},\"type\":\"design\",\"id\":\"z\"}");
	assert_int_equal(json_type_of(&fx.reply, at("duplicate_of")), JSON_NULL);
	accepted("store_context", "{\"content\":{\"n\":1},\"type\":\"design\",\"id\":\"w\",\"on_duplicate\":\"skip\"}");
	assert_str("duplicate_of", "z");
	assert_str("id", "z");
	assert_int_equal(json_type_of(&fx.reply, at("version")), JSON_NULL);
	accepted("retrieve_context", "{\"ids\":[\"w\",\"x\",\"y\"]}");
	assert_int_equal(num("total_count"), 2);
}

static void relations_may_point_to_what_comes_later(void **state)
{
	accepted("store_context",
		"{\"content\":{\"n\":1},\"type\":\"log\",\"id\":\"x\",\"relationships\":"
		"[{\"type\":\"implements\",\"target\":\"later\"},{\"type\":\"BLOCKS\",\"target\":\"y\"}]}");
	assert_int_equal(num("relationships_created"), 2);
	accepted("retrieve_context", "{\"ids\":[\"x\"],\"include_relationships\":true}");
	assert_int_equal(fx.reply.nodes[at("results.0.relationships")].count, 2);
	refused("store_context",
		"{\"content\":{},\"type\":\"log\",\"relationships\":[{\"type\":\"a-b\",\"target\":\"y\"}]}",
		CS_VALIDATION,
		"relationships[0].type must be a string that matches ^[A-Za-z_][A-Za-z0-9_]{0,63}$, not \"a-b\"");
	refused("store_context",
		"{\"content\":{},\"type\":\"log\",\"relationships\":[{\"type\":\"a\",\"target\":\"\"}]}", CS_VALIDATION,
		"relationships[0].target");
	refused("store_context", "{\"content\":{},\"type\":\"log\",\"relationships\":[{\"type\":\"a\"}]}",
		CS_MISSING_PARAMETER, "relationships[0].target is required");
}

static void a_list_stores_what_fits(void **state)
{
	accepted("store_context", "{\"contexts\":[{\"content\":{\"n\":1},\"type\":\"log\",\"id\":\"a\"},{\"content\":{"
				  "\"n\":2},\"type\":\"trace\"}]}");
	assert_int_equal(num("stored"), 2);
	assert_int_equal(num("failed"), 0);
	assert_str("results.0.id", "a");
	assert_int_equal(
		call("store_context",
			"{\"contexts\":[{\"content\":{\"n\":3},\"type\":\"log\",\"id\":\"a\",\"if_version\":7},7,"
			"{\"content\":{\"n\":4},\"type\":\"nonsense\"},{\"content\":{\"n\":5},\"type\":\"log\",\"id\":"
			"\"e\"},"
			"{\"content\":[],\"type\":\"log\"}]}"),
		CS_OK);
	assert_false(is_true("success"));
	assert_int_equal(num("stored"), 1);
	assert_int_equal(num("failed"), 4);
	assert_str("results.0.error_type", "version_conflict");
	assert_int_equal(num("results.0.version"), 1);
	assert_says("results.1.message", "contexts[1] must be an object");
	assert_says("results.2.message", "nonsense");
	assert_str("results.3.id", "e");
	assert_int_equal(num("results.3.index"), 3);
	assert_says("results.4.message", "contexts[4].content must be an object");
	assert_says("results.4.validation_errors.0", "contexts[4].content");
	refused("store_context", "{\"contexts\":[{\"type\":\"log\"}]}", CS_MISSING_PARAMETER, "contexts[0].content");
	assert_int_equal(num("failed"), 1);
	refused("store_context", "{\"contexts\":[]}", CS_VALIDATION,
		"contexts must be an array of 1 to 100 elements, not an array of 0");
	refused("store_context", "{\"contexts\":[{}],\"type\":\"log\"}", CS_VALIDATION, "takes the place of type");
}

static void what_cannot_be_stored_is_refused(void **state)
{
	refused("store_context", "{\"type\":\"log\"}", CS_MISSING_PARAMETER, "content");
	refused("store_context", "{\"content\":{}}", CS_MISSING_PARAMETER, "type");
	refused("store_context", "{\"content\":\"text\",\"type\":\"log\"}", CS_VALIDATION,
		"content must be an object, not \"text\"");
	refused("store_context", "{\"content\":{},\"type\":\"idea\"}", CS_VALIDATION,
		"design, decision, trace, sprint, log, not \"idea\"");
	refused("store_context", "{\"content\":{\"a\":[1,{\"b\":1e999}]},\"type\":\"log\"}", CS_VALIDATION,
		"content.a[1].b must be a number that");
	refused("store_context", "{\"content\":{},\"type\":\"log\",\"metadata\":{\"x\":99999999999999999999}}",
		CS_VALIDATION, "metadata.x");
	refused("store_context", "{\"content\":{},\"type\":\"log\",\"metadata\":{\"priority\":\"urgent\"}}",
		CS_VALIDATION, "metadata.priority must be one of low, medium, high, critical, not \"urgent\"");
	refused("store_context", "{\"content\":{},\"type\":\"log\",\"metadata\":{\"tags\":[\"a\",5]}}", CS_VALIDATION,
		"metadata.tags[1]");
	fx.store.content_max = 20;
	refused("store_context", "{\"content\":{\"text\":\"0123456789\"},\"type\":\"log\"}", CS_CONTENT_TOO_LARGE,
		"at most 20 bytes as compact JSON, not 21");
	accepted("store_context", "{\"content\":{ \"text\" : \"012345678\" },\"type\":\"log\"}");
	fx.store.types[0] = S("idea");
	fx.store.type_count = 1;
	accepted("store_context", "{\"content\":{},\"type\":\"idea\"}");
	refused("store_context", "{\"content\":{},\"type\":\"log\"}", CS_VALIDATION, "one of idea");
}

#define T(function) cmocka_unit_test_setup_teardown(function, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_context_gets_an_id_and_says_where_it_is),
		T(new_ids_sort_as_they_were_made),
		T(the_id_is_the_callers),
		T(versions_are_compared),
		T(exact_duplicates_are_told),
		T(relations_may_point_to_what_comes_later),
		T(a_list_stores_what_fits),
		T(what_cannot_be_stored_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
