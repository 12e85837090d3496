/* Hosts and origins that pass, and the ones DNS rebinding would use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mcp/origin.h"

#define CONFIGURED "example.com, Box:8443 ,[fd00::1],vscode-webview://panel,"

struct row {
	const char *text;
	bool allowed;
};

static void check(const struct row *rows, size_t count, bool (*allowed)(struct slice, struct slice))
{
	for (size_t i = 0; i < count; i++)
		if (allowed(S(CONFIGURED), slice_cstr(rows[i].text)) != rows[i].allowed)
			fail_msg("%s", rows[i].text);
}

static void test_hosts(void **state)
{
	static const struct row rows[] = {
		{"localhost", true},
		{"LocalHost:8000", true},
		{"127.0.0.1", true},
		{"127.0.0.1:65535", true},
		{"127.255.255.254", true},
		{"[::1]", true},
		{"[::1]:8000", true},
		{"[0:0:0:0:0:0:0:1]:1", true},
		{"[::ffff:127.0.0.1]", true},
		{"example.com", true},
		{"EXAMPLE.com:99", true},
		{"box:8443", true},
		{"[fd00::1]:80", true},
		{"", false},
		{":8000", false},
		{"localhost:", false},
		{"localhost:65536", false},
		{"localhost:80x", false},
		{"localhost:-1", false},
		{"localhost:80:80", false},
		{"localhost.", false},
		{"localhost.evil.example", false},
		{"127.0.0.1.evil.example", false},
		{"127.1", false},
		{"127.0.0.1.", false},
		{"127.0.0.1.1", false},
		{"127.0.0.01", false},
		{"127.0.0.256", false},
		{"127..0.1", false},
		{"127.0.0.+1", false},
		{"2130706433", false},
		{"0x7f.0.0.1", false},
		{"0177.0.0.1", false},
		{"128.0.0.1", false},
		{"0.0.0.0", false},
		{"::1", false},
		{"[::1", false},
		{"[::1]x", false},
		{"[::2]", false},
		{"[localhost]", false},
		{"[127.0.0.1]", false},
		{"[::ffff:10.0.0.1]", false},
		{"fd00::1", false},
		{"box", false},
		{"box:8444", false},
		{"sub.example.com", false},
		{"example.com.evil", false},
		{"evil.example", false},
		{"user@localhost", false},
	};

	check(rows, sizeof rows / sizeof rows[0], origin_host_allowed);
	assert_false(origin_host_allowed(S(""), S("127.0.0.1\0.evil")));
	assert_false(origin_host_allowed((struct slice){0}, S("example.com")));
}

static void test_origins(void **state)
{
	static const struct row rows[] = {
		{"http://localhost", true},
		{"http://localhost:6274", true},
		{"https://127.0.0.1:8443", true},
		{"http://[::1]:3000", true},
		{"https://example.com", true},
		{"http://box:8443", true},
		{"vscode-webview://panel", true},
		{"null", false},
		{"", false},
		{"http://", false},
		{"localhost", false},
		{"file://localhost", false},
		{"chrome-extension://localhost", false},
		{"http://localhost/", false},
		{"http://evil.example", false},
		{"http://localhost.evil.example", false},
		{"http://localhost@evil.example", false},
		{"http://box:8444", false},
		{"vscode-webview://other", false},
	};

	check(rows, sizeof rows / sizeof rows[0], origin_allowed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
