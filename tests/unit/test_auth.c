/* API keys: how they are read, and who passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mcp/auth.h"

/* Up to four variables. */
static enum cs_status make(const char *a, const char *b, struct auth **ret_auth, struct cs_error *err)
{
	char one[1024], two[1024], other[] = "PATH=/bin", empty[] = "API_KEY_EMPTY=";
	char *environment[] = {other, one, empty, two, NULL};

	snprintf(one, sizeof one, "%s", a);
	snprintf(two, sizeof two, "%s", b);
	return auth_new(environment, ret_auth, err);
}

static void test_none(void **state)
{
	struct auth *auth;
	struct cs_error err;

	assert_int_equal(auth_new(NULL, &auth, &err), CS_OK);
	assert_false(auth_configured(auth));
	assert_ptr_equal(auth_check(auth, S("anything"), S("")), &principal_anonymous);
	auth_free(auth);
	assert_int_equal(make("X=1", "API_KEYS=1", &auth, &err), CS_OK);
	assert_false(auth_configured(auth));
	auth_free(auth);
}

static void test_keys(void **state)
{
	const struct principal *p;
	struct auth *auth;
	struct cs_error err;

	assert_int_equal(make("API_KEY_ANN=a:b:c:ann:Writer:false", "API_KEY_BOT=x:bot:reader:1", &auth, &err), CS_OK);
	assert_true(auth_configured(auth));
	p = auth_check(auth, S("a:b:c"), (struct slice){0});
	assert_non_null(p);
	assert_true(slice_eq(p->name, S("ANN")) && slice_eq(p->user_id, S("ann")));
	assert_int_equal(p->role, ROLE_WRITER);
	assert_false(p->is_agent);
	p = auth_check(auth, (struct slice){0}, S("bEaReR   x "));
	assert_non_null(p);
	assert_true(p->is_agent);
	assert_int_equal(p->role, ROLE_READER);
	assert_null(auth_check(auth, (struct slice){0}, (struct slice){0}));
	assert_null(auth_check(auth, S(""), S("Bearer x"))); /* X-API-Key goes first, empty or not */
	assert_null(auth_check(auth, (struct slice){0}, S("Basic x")));
	assert_null(auth_check(auth, (struct slice){0}, S("Bearer")));
	assert_null(auth_check(auth, (struct slice){0}, S("Bearer ")));
	assert_null(auth_check(auth, S("a:b:"), (struct slice){0}));
	assert_null(auth_check(auth, S("a:b:c "), (struct slice){0}));
	assert_null(auth_check(auth, S("y"), (struct slice){0}));
	auth_free(auth);
}

static void test_long_key(void **state)
{
	struct auth *auth;
	struct cs_error err;
	char key[AUTH_KEY_BYTES_MAX + 2], variable[AUTH_KEY_BYTES_MAX + 64];

	memset(key, 'k', sizeof key);
	snprintf(variable, sizeof variable, "API_KEY_L=%.*s:u:admin:false", AUTH_KEY_BYTES_MAX, key);
	assert_int_equal(make(variable, "A=", &auth, &err), CS_OK);
	assert_non_null(auth_check(auth, slice_of(key, AUTH_KEY_BYTES_MAX), (struct slice){0}));
	assert_null(auth_check(auth, slice_of(key, AUTH_KEY_BYTES_MAX + 1), (struct slice){0}));
	assert_null(auth_check(auth, slice_of(key, AUTH_KEY_BYTES_MAX - 1), (struct slice){0}));
	auth_free(auth);
	snprintf(variable, sizeof variable, "API_KEY_L=%.*s:u:admin:false", AUTH_KEY_BYTES_MAX + 1, key);
	assert_int_equal(make(variable, "A=", &auth, &err), CS_VALIDATION);
}

static void test_wrong_forms(void **state)
{
	static const char *const values[] = {"secret", "secret:ann", "secret:ann:admin", "secret:ann:king:false",
		"secret:ann:admin:maybe", ":ann:admin:false", "secret::admin:false", ":::", "secret:ann:admin:false:"};
	struct auth *auth = NULL;
	struct cs_error err;
	char variable[128];

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		snprintf(variable, sizeof variable, "API_KEY_BAD=%s", values[i]);
		assert_int_equal(make(variable, "A=", &auth, &err), CS_VALIDATION);
		assert_non_null(strstr(err.text, "API_KEY_BAD"));
		assert_null(strstr(err.text, "secret"));
	}
	assert_int_equal(make("API_KEY_A=k:u:admin:false", "API_KEY_B=k:v:guest:true", &auth, &err), CS_VALIDATION);
	assert_non_null(strstr(err.text, "API_KEY_B"));
	assert_null(auth);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_long_key),
		cmocka_unit_test(test_wrong_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
