/* What the words of bench mean, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bench/target.h"
#include "cli/bench_options.h"
#include "cli/commands.h"

static struct arena arena;

#define WORDS_MAX 16

/* Words separated by spaces. */
static enum cs_status read_options(const char *line, struct bench_choices *ret_choices, struct cs_error *err)
{
	static char text[256]; /* options borrow from it */
	char *words[WORDS_MAX + 1] = {0}, *rest = text;
	struct invocation inv;
	enum cs_status status;
	int count = 0;

	snprintf(text, sizeof text, "%s", line);
	while (*rest && count < WORDS_MAX) {
		words[count++] = rest;
		rest += strcspn(rest, " ");
		if (*rest)
			*rest++ = '\0';
	}
	status = invocation_parse(&inv, command_find("bench"), count, words, err);
	if (status != CS_OK)
		return status;
	status = bench_options_read(&inv, &arena, ret_choices, err);
	invocation_release(&inv);
	return status;
}

static struct bench_options good(const char *line)
{
	struct bench_choices choices;
	struct cs_error err;

	if (read_options(line, &choices, &err) != CS_OK)
		fail_msg("%s: %s", line, err.text);
	return choices.run;
}

static void test_defaults(void **state)
{
	struct bench_options o = good("");

	(void)state;
	assert_int_equal(o.iterations, 1000);
	assert_int_equal(o.rounds, 5);
	assert_int_equal(o.level_count, 5);
	assert_int_equal(o.levels[4], 200);
	assert_true(o.mcp && o.baselines && !o.mixed && !o.keep && o.rate == 0 && o.target_ms == 50);
	for (size_t i = 0; i < workload_row_count; i++)
		assert_true(o.tools[i]);
}

static void test_levels(void **state)
{
	static const char *const lines[] = {"--concurrent-connections 1 10 50", "--concurrent-connections 1,10,50",
		"--concurrent-connections=50,10,1", "--concurrent-connections 50 1,10,1 --json",
		"--concurrent-connections 10 --concurrent-connections 1 50"};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct bench_options o = good(lines[i]);

		assert_int_equal(o.level_count, 3);
		assert_int_equal(o.levels[0], 1);
		assert_int_equal(o.levels[1], 10);
		assert_int_equal(o.levels[2], 50);
	}
}

static void test_choices(void **state)
{
	struct bench_options o = good("--tools store_context,state retrieve --transport tools --no-baselines");

	(void)state;
	assert_true(o.tools[0] && o.tools[1] && !o.tools[2] && o.tools[3] && !o.tools[4]);
	assert_true(!o.mcp && !o.baselines);
	o = good("--rate 1500.5 --duration 3 --mix state=100 --embedding-model off");
	assert_true(o.rate == 1500.5 && o.duration_s == 3 && o.mixed && o.mix.share[3] == 100);
	assert_int_equal(o.flag_count, 3);
	assert_string_equal(o.flags[1], "--embedding-model");
	/* What a settings file says of it comes before, what is asked for behind. */
	assert_string_equal(o.flags[0], "--redis-url=");
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *told;
	} rows[] = {
		{"--iterations 0", "from 1 to 10000000"},
		{"--iterations -3", "from 1 to"},
		{"--iterations 99999999999999999999", "from 1 to"},
		{"--iterations ten", "not \"ten\""},
		{"--rounds 21", "from 1 to 20"},
		{"--concurrent-connections 0", "from 1 to 10000"},
		{"--concurrent-connections 1,,2", "from 1 to 10000"},
		{"--concurrent-connections 10001", "from 1 to 10000"},
		{"--concurrent-connections --json", "needs a value"},
		{"--concurrent-connections -1", "needs a value"},
		{"--rate 0", "over 0"},
		{"--rate nan", "over 0"},
		{"--rate 1e9", "at most 1000000"},
		{"--target-ms -1", "over 0"},
		{"--duration 5", "--duration needs --rate"},
		{"--rate 5 --duration 0", "from 1 to 86400"},
		{"--tools retrive", "no \"retrive\""},
		{"--tools store_contexts", "did you mean store_context?"},
		{"--mix retrieve=50", "add up to 50"},
		{"--mix retrieve=100 --tools state", "no meaning beside"},
		{"--transport http", "mcp or tools"},
		{"--api-key x", "needs --url"},
		{"--keep", "needs --url"},
		{"--threshold 5", "bench compare"},
		{"--data-dir /tmp/x", "--data-dir has no part"},
		{"--port=1", "--port has no part"},
		{"--url http://x --api-key a\tb", "no key has"},
		{"--url http://x --api-key @/dev/null", "holds no key"},
		{"--url http://x --api-key=", "holds no key"},
		{"--url=", "http://HOST:PORT is needed"},
		{"--url 127.0.0.1:8000", "http://HOST:PORT is needed"},
		{"--url http://x:70000", "http://HOST:PORT is needed"},
		{"--url https://x", "does not speak TLS"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bench_choices choices;
		struct cs_error err;

		assert_int_equal(read_options(rows[i].line, &choices, &err), CS_VALIDATION);
		if (!strstr(err.text, rows[i].told))
			fail_msg("%s: %s", rows[i].line, err.text);
	}
}

static void test_key_file_that_cannot_be_read(void **state)
{
	struct bench_choices choices;
	struct cs_error err;

	assert_int_equal(read_options("--url http://x --api-key @/tmp", &choices, &err), CS_UNAVAILABLE);
	assert_non_null(strstr(err.text, "cannot read /tmp"));
}

static void test_urls(void **state)
{
	static const char *const goods[] = {"http://127.0.0.1:8000", "http://127.0.0.1:8000/",
		"http://127.0.0.1:8000/mcp", "http://[::1]:8000/mcp", "http://127.0.0.1"};
	static const char *const bads[] = {"", "127.0.0.1:8000", "https://127.0.0.1:8000", "http://", "http://:80",
		"http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:x", "http://127.0.0.1:80/other",
		"http://[::1", "http://[::1]80", "ftp://127.0.0.1"};
	struct cs_error err;

	(void)state;
	for (size_t i = 0; i < sizeof goods / sizeof *goods; i++) {
		struct target target = {0};

		if (target_resolve(&target, slice_cstr(goods[i]), &err) != CS_OK)
			fail_msg("%s: %s", goods[i], err.text);
		assert_true(target.address.length > 0);
	}
	for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
		struct target target = {0};

		assert_int_equal(target_resolve(&target, slice_cstr(bads[i]), &err), CS_VALIDATION);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_key_file_that_cannot_be_read),
		cmocka_unit_test(test_urls),
	};
	int failed;

	arena_init(&arena, NULL, 0, 1u << 20);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_release(&arena);
	return failed;
}
