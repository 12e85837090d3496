/* Requests and replies of embedding servers: order, dimension, length, and everything a server may get wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "port/embed.h"
#include "remote/embed_reply.h"

static struct arena arena;
static struct cs_error err;
static struct embed_reply reply;

static int set_up(void **state)
{
	arena_init(&arena, NULL, 0, 16u << 20);
	reply = (struct embed_reply){0};
	return 0;
}

static int tear_down(void **state)
{
	arena_release(&arena);
	return 0;
}

static void test_request(void **state)
{
	const struct slice texts[] = {S("one \"quoted\""), S(""), S("\xc3\xa9")};
	struct buffer out;

	buffer_init(&out, 4096);
	embed_request_write(&out, S("m"), 0, texts, 3);
	assert_true(slice_eq(buffer_slice(&out), S("{\"model\":\"m\",\"input\":[\"one \\\"quoted\\\"\",\" "
						   "\",\"\xc3\xa9\"],\"encoding_format\":\"float\"}")));
	buffer_clear(&out);
	embed_request_write(&out, S("m"), 256, texts, 0);
	assert_true(slice_eq(buffer_slice(&out),
		S("{\"model\":\"m\",\"input\":[],\"encoding_format\":\"float\",\"dimensions\":256}")));
	buffer_release(&out);
}

static void test_order_and_length(void **state)
{
	const struct slice body =
		S("{\"object\":\"list\",\"data\":[{\"index\":1,\"embedding\":[0,5]},{\"embedding\":[3,4],\"index\":0}],"
		  "\"usage\":{\"prompt_tokens\":7}}");

	assert_int_equal(embed_reply_parse(&arena, body, 2, 0, &reply, &err), CS_OK);
	assert_int_equal(reply.dimension, 2);
	assert_int_equal(reply.tokens, 7);
	assert_true(fabsf(reply.vectors[0] - 0.6f) < 1e-6f);
	assert_true(fabsf(reply.vectors[1] - 0.8f) < 1e-6f);
	assert_true(reply.vectors[2] == 0);
	assert_true(reply.vectors[3] == 1);
}

/* Servers that leave the index out mean the order of the texts. */
static void test_without_index(void **state)
{
	const struct slice body = S("{\"data\":[{\"embedding\":[1,0]},{\"embedding\":[0,1]}]}");

	assert_int_equal(embed_reply_parse(&arena, body, 2, 2, &reply, &err), CS_OK);
	assert_true(reply.vectors[0] == 1);
	assert_true(reply.vectors[3] == 1);
	assert_int_equal(reply.tokens, 0);
}

static void test_no_vectors(void **state)
{
	assert_int_equal(embed_reply_parse(&arena, S("{\"data\":[]}"), 0, 0, &reply, &err), CS_OK);
}

/* Large numbers whose squares no float holds, and small ones whose squares vanish in floats. */
static void test_extremes(void **state)
{
	assert_int_equal(
		embed_reply_parse(&arena, S("{\"data\":[{\"embedding\":[3e38,3e38]}]}"), 1, 0, &reply, &err), CS_OK);
	assert_true(fabsf(reply.vectors[0] - 0.70710678f) < 1e-6f);
	assert_int_equal(
		embed_reply_parse(&arena, S("{\"data\":[{\"embedding\":[3e-30,4e-30]}]}"), 1, 0, &reply, &err), CS_OK);
	assert_true(fabsf(reply.vectors[1] - 0.8f) < 1e-6f);
}

static void test_refused(void **state)
{
	static const struct {
		const char *body, *says;
		size_t count;
		uint32_t dimension;
	} rows[] = {
		{"", "nothing", 1, 0},
		{"  \n", "nothing", 1, 0},
		{"<!DOCTYPE html><p>502 Bad Gateway</p>", "HTML", 1, 0},
		{"busy", "no JSON", 1, 0},
		{"[]", "\"data\"", 1, 0},
		{"7", "\"data\"", 1, 0},
		{"{\"data\":{}}", "\"data\"", 1, 0},
		{"{\"data\":[]}", "0 vectors for 1", 1, 0},
		{"{\"data\":[{\"embedding\":[1]},{\"embedding\":[1]}]}", "2 vectors for 1", 1, 0},
		{"{\"data\":[7]}", "no array \"embedding\"", 1, 0},
		{"{\"data\":[{\"embedding\":\"AACAPw==\"}]}", "no array \"embedding\"", 1, 0},
		{"{\"data\":[{\"embedding\":[]}]}", "0 numbers", 1, 0},
		{"{\"data\":[{\"embedding\":[1,2,3]}]}", "3 numbers where 2", 1, 2},
		{"{\"data\":[{\"embedding\":[1,2]},{\"embedding\":[1]}]}", "1 numbers where 2", 2, 0},
		{"{\"data\":[{\"embedding\":[1,NaN]}]}", "no JSON", 1, 0},
		{"{\"data\":[{\"embedding\":[1,null]}]}", "number 1 of its vector 0", 1, 0},
		{"{\"data\":[{\"embedding\":[1,\"2\"]}]}", "number 1 of its vector 0", 1, 0},
		{"{\"data\":[{\"embedding\":[1e39]}]}", "no finite", 1, 0},
		{"{\"data\":[{\"embedding\":[1e999]}]}", "no finite", 1, 0},
		{"{\"data\":[{\"embedding\":[0,-0.0]}]}", "no length", 1, 0},
		{"{\"data\":[{\"index\":1,\"embedding\":[1]}]}", "index", 1, 0},
		{"{\"data\":[{\"index\":-1,\"embedding\":[1]}]}", "index", 1, 0},
		{"{\"data\":[{\"index\":\"0\",\"embedding\":[1]}]}", "index", 1, 0},
		{"{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}", "two vectors", 2, 0},
		{"{\"data\":[{\"index\":0,\"embedding\":[1]},{\"embedding\":[1]}]}", "some have none", 2, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct embed_reply untouched = {.dimension = 99};

		assert_int_equal(embed_reply_parse(&arena, slice_cstr(rows[i].body), rows[i].count, rows[i].dimension,
					 &untouched, &err),
			CS_EMBEDDING_UNAVAILABLE);
		if (!strstr(err.text, rows[i].says))
			fail_msg("'%s' says '%s' and not '%s'", rows[i].body, err.text, rows[i].says);
		assert_int_equal(untouched.dimension, 99);
	}
}

static void test_too_wide(void **state)
{
	struct buffer body;

	buffer_init(&body, 1u << 20);
	buffer_append(&body, S("{\"data\":[{\"embedding\":[1"));
	for (int i = 0; i < EMBED_DIMENSION_MAX; i++)
		buffer_append(&body, S(",1"));
	buffer_append(&body, S("]}]}"));
	assert_int_equal(embed_reply_parse(&arena, buffer_slice(&body), 1, 0, &reply, &err), CS_EMBEDDING_UNAVAILABLE);
	assert_non_null(strstr(err.text, "4097 numbers"));
	buffer_release(&body);
}

static void test_no_memory(void **state)
{
	struct arena tiny;

	arena_init(&tiny, NULL, 0, 0);
	assert_int_equal(
		embed_reply_parse(&tiny, S("{\"data\":[{\"embedding\":[1]}]}"), 1, 0, &reply, &err), CS_LIMIT_EXCEEDED);
	arena_release(&tiny);
}

static void test_reason(void **state)
{
	char text[64];

	embed_reply_reason(S("{\"error\":{\"message\":\"model 'x' not found\"}}"), S(""), text, sizeof text);
	assert_string_equal(text, "model 'x' not found");
	embed_reply_reason(S("{\"error\":\"busy\\u001b[31m\"}"), S(""), text, sizeof text);
	assert_string_equal(text, "busy [31m");
	embed_reply_reason(S("{\"detail\":\"no\"}"), S(""), text, sizeof text);
	assert_string_equal(text, "no");
	embed_reply_reason(S("{\"message\":\"m\"}"), S(""), text, sizeof text);
	assert_string_equal(text, "m");
	embed_reply_reason(S("<html>"), S(""), text, sizeof text);
	assert_string_equal(text, "");
	embed_reply_reason(S("{\"error\":\"wrong key: sk-123\"}"), S("sk-123"), text, sizeof text);
	assert_string_equal(text, "");
	embed_reply_reason(S("{\"error\":\"0123456789\"}"), S(""), text, 5);
	assert_string_equal(text, "0123");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_order_and_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_index, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_vectors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_extremes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_wide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reason, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
