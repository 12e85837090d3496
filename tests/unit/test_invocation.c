/* A command line, taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/address.h"
#include "cli/commands.h"

#define WORDS(...)   ((char *[]){__VA_ARGS__, NULL})
#define COUNT(words) (int)(sizeof(words) / sizeof *(words)-1)
#define PARSE(inv, name, err, ...)                                                                                     \
	invocation_parse(inv, command_find(name), COUNT(WORDS(__VA_ARGS__)), WORDS(__VA_ARGS__), err)

static char *word(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void test_sorts_words(void **state)
{
	struct invocation inv;
	struct cs_error err;
	int cursor = 0;

	(void)state;
	assert_int_equal(PARSE(&inv, "store", &err, word("--tag"), word("one"), word("log"), word("--tag=two"),
				 word("--data-dir"), word("/d"), word("--port=1"), word("-"), word("--json")),
		CS_OK);
	assert_int_equal(inv.operand_count, 2);
	assert_string_equal(inv.operands[0], "log");
	assert_string_equal(inv.operands[1], "-");
	assert_int_equal(inv.setting_count, 3);
	assert_string_equal(inv.settings[1], "/d");
	assert_string_equal(inv.settings[2], "--port=1");
	assert_string_equal(invocation_option(&inv, "tag"), "two");
	assert_string_equal(invocation_each(&inv, "tag", &cursor), "one");
	assert_string_equal(invocation_each(&inv, "tag", &cursor), "two");
	assert_null(invocation_each(&inv, "tag", &cursor));
	assert_non_null(invocation_option(&inv, "json"));
	assert_null(invocation_option(&inv, "title"));
	invocation_release(&inv);
}

static void test_two_dashes_end_options(void **state)
{
	struct invocation inv;
	struct cs_error err;

	(void)state;
	assert_int_equal(PARSE(&inv, "search", &err, word("--json"), word("--"), word("--type"), word("-x")), CS_OK);
	assert_int_equal(inv.operand_count, 2);
	assert_string_equal(inv.operands[0], "--type");
	invocation_release(&inv);
}

/* An option whose value ends in dots takes all words up to the next option; the others take one. */
static void test_several_words(void **state)
{
	struct invocation inv;
	struct cs_error err;
	int cursor = 0;

	(void)state;
	assert_int_equal(PARSE(&inv, "bench", &err, word("--concurrent-connections"), word("1"), word("10"), word("50"),
				 word("--iterations"), word("5"), word("compare"), word("--concurrent-connections=7"),
				 word("a")),
		CS_OK);
	assert_string_equal(invocation_each(&inv, "concurrent-connections", &cursor), "1");
	assert_string_equal(invocation_each(&inv, "concurrent-connections", &cursor), "10");
	assert_string_equal(invocation_each(&inv, "concurrent-connections", &cursor), "50");
	assert_string_equal(invocation_each(&inv, "concurrent-connections", &cursor), "7");
	assert_null(invocation_each(&inv, "concurrent-connections", &cursor));
	assert_string_equal(invocation_option(&inv, "iterations"), "5");
	assert_int_equal(inv.operand_count, 2);
	assert_string_equal(inv.operands[0], "compare");
	invocation_release(&inv);
}

static void fails_with(struct cs_error *err, enum cs_status status, const char *part)
{
	assert_int_equal(status, CS_VALIDATION);
	assert_non_null(strstr(err->text, part));
}

static void test_tells_what_is_wrong(void **state)
{
	struct invocation inv;
	struct cs_error err;

	(void)state;
	fails_with(&err, PARSE(&inv, "search", &err, word("x"), word("--limt"), word("3")), "did you mean --limit?");
	fails_with(&err, PARSE(&inv, "serve", &err, word("--prot=3")), "did you mean --port?");
	fails_with(&err, PARSE(&inv, "serve", &err, word("--port")), "--port needs a value");
	fails_with(&err, PARSE(&inv, "search", &err, word("x"), word("--limit")), "--limit needs a value");
	fails_with(&err, PARSE(&inv, "search", &err, word("x"), word("--json=yes")), "takes no value");
	fails_with(&err, PARSE(&inv, "get", &err, word("a"), word("b")), "one word too many");
	fails_with(&err, PARSE(&inv, "get", &err, word("--json")), "get needs ID");
	fails_with(&err, PARSE(&inv, "serve", &err, word("-p")), "unknown option -p");
	assert_int_equal(PARSE(&inv, "get", &err, word("--help")), CS_OK);
	assert_true(inv.help);
	invocation_release(&inv);
}

/* What the table promises: names are unique, nothing is left out, an option is no setting's flag. */
static void test_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < command_row_count; i++) {
		const struct command *c = &command_rows[i];

		assert_ptr_equal(command_find(c->name), c);
		assert_non_null(c->run);
		assert_true(*c->summary && *c->help);
		assert_true(c->operands_min <= c->operands_max);
		assert_int_equal(c->operands_max > 0, *c->operands != '\0');
		for (const struct option_row *o = c->options; o && o->name; o++)
			for (size_t s = 0; s < SETTING_COUNT; s++)
				assert_string_not_equal(o->name, setting_rows[s].flag);
	}
	assert_null(command_find("nothing"));
}

static void test_loopback(void **state)
{
	(void)state;
	assert_true(address_is_loopback(S("127.0.0.1")));
	assert_true(address_is_loopback(S("127.8.9.1")));
	assert_true(address_is_loopback(S("::1")));
	assert_true(address_is_loopback(S("LocalHost")));
	assert_false(address_is_loopback(S("0.0.0.0")));
	assert_false(address_is_loopback(S("::")));
	assert_false(address_is_loopback(S("128.0.0.1")));
	assert_false(address_is_loopback(S("127.0.0.1.example.org")));
	assert_false(address_is_loopback(S("localhost.example.org")));
	assert_false(address_is_loopback(S("")));
}

static void test_urls(void **state)
{
	char text[64];

	(void)state;
	address_url(S("127.0.0.1"), 8000, text, sizeof text);
	assert_string_equal(text, "http://127.0.0.1:8000");
	address_url(S("::1"), 1, text, sizeof text);
	assert_string_equal(text, "http://[::1]:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorts_words),
		cmocka_unit_test(test_two_dashes_end_options),
		cmocka_unit_test(test_several_words),
		cmocka_unit_test(test_tells_what_is_wrong),
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_urls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
