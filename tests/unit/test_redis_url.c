/* Redis addresses: what is understood, what is refused, and that no message holds the password. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "remote/redis_url.h"

static void addresses_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *host, *path, *user, *password;
		unsigned port, database;
		const char *shown;
	} cases[] = {
		{"redis://localhost", "localhost", NULL, "", "", 6379, 0, "redis://localhost:6379/0"},
		{"redis://localhost/", "localhost", NULL, "", "", 6379, 0, "redis://localhost:6379/0"},
		{"redis://10.0.0.7:6380/5", "10.0.0.7", NULL, "", "", 6380, 5, "redis://10.0.0.7:6380/5"},
		{"redis://h?db=2", "h", NULL, "", "", 6379, 2, "redis://h:6379/2"},
		{"redis://:secret@h", "h", NULL, "", "secret", 6379, 0, "redis://h:6379/0"},
		{"redis://me:secret@h:1/1", "h", NULL, "me", "secret", 1, 1, "redis://me@h:1/1"},
		{"redis://me@h", "h", NULL, "me", "", 6379, 0, "redis://me@h:6379/0"},
		{"redis://m%40e:%73%65c%2Fr%3aet%25@h", "h", NULL, "m@e", "sec/r:et%", 6379, 0,
			"redis://m%40e@h:6379/0"},
		{"redis://me:a:b@c@h", "h", NULL, "me", "a:b@c", 6379, 0, "redis://me@h:6379/0"},
		{"redis://[::1]", "::1", NULL, "", "", 6379, 0, "redis://[::1]:6379/0"},
		{"redis://u:p@[fe80::1%eth0]:7000/3", "fe80::1%eth0", NULL, "u", "p", 7000, 3,
			"redis://u@[fe80::1%eth0]:7000/3"},
		{"unix:///run/redis.sock", NULL, "/run/redis.sock", "", "", 6379, 0, "unix:///run/redis.sock?db=0"},
		{"unix://me:secret@/run/a%20b?db=4", NULL, "/run/a b", "me", "secret", 6379, 4,
			"unix://me@/run/a b?db=4"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct redis_url url;
		struct cs_error err;

		if (redis_url_parse(slice_cstr(cases[i].text), &url, &err) != CS_OK)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(url.host ? url.host : "-", cases[i].host ? cases[i].host : "-");
		assert_string_equal(url.path ? url.path : "-", cases[i].path ? cases[i].path : "-");
		assert_string_equal(url.user, cases[i].user);
		assert_string_equal(url.password, cases[i].password);
		assert_int_equal(url.port, cases[i].port);
		assert_int_equal(url.database, cases[i].database);
		assert_string_equal(url.shown, cases[i].shown);
		redis_url_release(&url);
		assert_null(url.host);
	}
}

static void what_is_no_address_is_refused_without_its_secret(void **state)
{
	static const struct {
		const char *text, *hint;
	} cases[] = {
		{"", "expected redis://"},
		{"localhost:6379", "expected redis://"},
		{"http://h", "expected redis://"},
		{"REDIS://h", "expected redis://"},
		{"rediss://me:hidden@h", "TLS"},
		{"redis-cluster://h", "Cluster"},
		{"redis-sentinel://h", "Sentinel"},
		{"redis://", "names no host"},
		{"redis://:6379", "names no host"},
		{"redis://me:hidden", "port"},
		{"redis://h:0", "port"},
		{"redis://h:65536", "port"},
		{"redis://h:", "port"},
		{"redis://::1", "names no host"},
		{"redis://fe80::1", "brackets"},
		{"redis://[::1", "']'"},
		{"redis://[::1]x", "port"},
		{"redis://[82%]", "IPv6"},
		{"redis://a b", "host name"},
		{"redis://a,b", "host name"},
		{"redis://h/x", "database"},
		{"redis://h/-1", "database"},
		{"redis://h/65536", "database"},
		{"redis://h/1/2", "database"},
		{"redis://h?db=x", "database"},
		{"redis://h?timeout=3", "timeout"},
		{"redis://me:hid%zzden@h", "password"},
		{"redis://me:hidden%2@h", "password"},
		{"redis://me:hidden%00@h", "password"},
		{"redis://m%e:hidden@h", "user name"},
		{"unix://run/redis.sock", "absolute path"},
		{"unix://", "absolute path"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct redis_url url = {.port = 77};
		struct cs_error err;

		if (redis_url_parse(slice_cstr(cases[i].text), &url, &err) != CS_VALIDATION)
			fail_msg("%s was taken", cases[i].text);
		if (!strstr(err.text, cases[i].hint))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].hint);
		assert_null(strstr(err.text, "hid"));
		assert_int_equal(url.port, 77);
	}
}

static void an_address_has_an_end(void **state)
{
	static char text[REDIS_URL_MAX + 2] = "redis://";
	struct redis_url url;
	struct cs_error err;

	memset(text + 8, 'h', REDIS_URL_MAX + 1 - 8);
	assert_int_equal(redis_url_parse(slice_of(text, REDIS_URL_MAX + 1), &url, &err), CS_VALIDATION);
	assert_int_equal(redis_url_parse(slice_of(text, 8 + REDIS_HOST_MAX + 1), &url, &err), CS_VALIDATION);
	text[8 + REDIS_USER_MAX + 1] = '@';
	assert_int_equal(redis_url_parse(slice_of(text, 8 + REDIS_USER_MAX + 4), &url, &err), CS_VALIDATION);
	assert_non_null(strstr(err.text, "user name"));
	assert_int_equal(redis_url_parse(slice_of("redis://h\0x", 11), &url, &err), CS_VALIDATION);
	redis_url_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_taken_apart),
		cmocka_unit_test(what_is_no_address_is_refused_without_its_secret),
		cmocka_unit_test(an_address_has_an_end),
	};

	return cmocka_run_group_tests_name("redis_url", tests, NULL, NULL);
}
