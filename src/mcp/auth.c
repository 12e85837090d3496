/* Keys are few and checked once a request, so they stand in an array and all of them are compared each time: a
 * comparison that stopped early, or a hash lookup, would tell by its time how much of a guess was right. The key may
 * contain colons; the last three fields are split off from the right. */
#include "mcp/auth.h"

#define PREFIX "API_KEY_"

struct auth_key {
	struct slice key;
	struct principal principal;
};

struct auth {
	struct arena arena;
	size_t count;
	struct auth_key *keys;
};

static bool parse_role(struct slice text, enum role *ret_role)
{
	static const struct {
		struct slice name;
		enum role role;
	} roles[] = {{SLICE_INIT("admin"), ROLE_ADMIN}, {SLICE_INIT("writer"), ROLE_WRITER},
		{SLICE_INIT("reader"), ROLE_READER}, {SLICE_INIT("guest"), ROLE_GUEST}};

	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		if (slice_eq_nocase(text, roles[i].name)) {
			*ret_role = roles[i].role;
			return true;
		}
	return false;
}

static bool parse_bool(struct slice text, bool *ret_value)
{
	bool yes = slice_eq_nocase(text, S("true")) || slice_eq(text, S("1"));

	if (!yes && !slice_eq_nocase(text, S("false")) && !slice_eq(text, S("0")))
		return false;
	*ret_value = yes;
	return true;
}

/* Takes the part behind the last colon off *text. */
static bool cut_last(struct slice *text, struct slice *ret_part)
{
	size_t at = text->len;

	while (at > 0 && text->ptr[at - 1] != ':')
		at--;
	if (at == 0)
		return false;
	*ret_part = slice_from(*text, at);
	text->len = at - 1;
	return true;
}

static bool parse_value(struct slice value, struct auth_key *key)
{
	struct slice agent, role;

	return cut_last(&value, &agent) && cut_last(&value, &role) && cut_last(&value, &key->principal.user_id) &&
	       parse_bool(agent, &key->principal.is_agent) && parse_role(role, &key->principal.role) &&
	       key->principal.user_id.len > 0 && (key->key = value).len > 0 && value.len <= AUTH_KEY_BYTES_MAX;
}

static enum cs_status add_key(struct auth *auth, struct slice name, struct slice value, struct cs_error *err)
{
	struct auth_key key = {.principal.name = name};

	if (!parse_value(value, &key))
		return cs_fail(err, CS_VALIDATION,
			PREFIX SLICE_FMT
			" must be key:user_id:role:is_agent with role one of admin, writer, reader, guest and "
			"is_agent true or false",
			SLICE_ARG(name));
	for (size_t i = 0; i < auth->count; i++)
		if (slice_eq(auth->keys[i].key, key.key))
			return cs_fail(err, CS_VALIDATION,
				PREFIX SLICE_FMT " and " PREFIX SLICE_FMT " hold the same key",
				SLICE_ARG(auth->keys[i].principal.name), SLICE_ARG(name));
	if (auth->count == AUTH_KEYS_MAX)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "more than %d API keys", AUTH_KEYS_MAX);
	auth->keys[auth->count++] = key;
	return CS_OK;
}

static enum cs_status read_environment(struct auth *auth, char *const *environment, struct cs_error *err)
{
	auth->keys = arena_array(&auth->arena, AUTH_KEYS_MAX, sizeof *auth->keys);
	if (!auth->keys)
		return cs_fail_memory(err);
	for (; *environment; environment++) {
		struct slice value = slice_cstr(*environment);
		struct slice name;
		enum cs_status status;

		if (!slice_starts(value, S(PREFIX)))
			continue;
		value = arena_copy(&auth->arena, value);
		if (!value.ptr)
			return cs_fail_memory(err);
		name = slice_from(slice_cut(&value, '='), sizeof PREFIX - 1);
		if (value.len == 0)
			continue;
		status = add_key(auth, name, value, err);
		if (status)
			return status;
	}
	return CS_OK;
}

enum cs_status auth_new(char *const *environment, struct auth **ret_auth, struct cs_error *err)
{
	struct auth *auth = calloc(1, sizeof *auth);
	enum cs_status status = CS_OK;

	if (!auth)
		return cs_fail_memory(err);
	arena_init(&auth->arena, NULL, 0, 1u << 20);
	if (environment)
		status = read_environment(auth, environment, err);
	if (status) {
		auth_free(auth);
		return status;
	}
	*ret_auth = auth;
	return CS_OK;
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	for (size_t i = 0; i < auth->count; i++)
		explicit_bzero((char *)(uintptr_t)auth->keys[i].key.ptr, auth->keys[i].key.len);
	arena_release(&auth->arena);
	free(auth);
}

bool auth_configured(const struct auth *auth)
{
	return auth->count > 0;
}

/* Walks AUTH_KEY_BYTES_MAX positions whatever the lengths are. */
static bool same_secret(struct slice a, struct slice b)
{
	unsigned difference = a.len != b.len;

	for (size_t i = 0; i < AUTH_KEY_BYTES_MAX; i++) {
		unsigned char x = i < a.len ? (unsigned char)a.ptr[i] : 0;
		unsigned char y = i < b.len ? (unsigned char)b.ptr[i] : 0;

		difference |= x ^ y;
	}
	return difference == 0;
}

static bool bearer_token(struct slice authorization, struct slice *ret_token)
{
	struct slice scheme = slice_of(authorization.ptr, slice_find_byte(authorization, ' '));

	if (!slice_eq_nocase(scheme, S("bearer")))
		return false;
	*ret_token = slice_trim(slice_from(authorization, scheme.len));
	return ret_token->len > 0;
}

const struct principal *auth_check(const struct auth *auth, struct slice api_key, struct slice authorization)
{
	const struct principal *found = NULL;
	struct slice given = api_key;

	if (auth->count == 0)
		return &principal_anonymous;
	if (!api_key.ptr && !bearer_token(authorization, &given))
		return NULL;
	if (given.len > AUTH_KEY_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < auth->count; i++)
		if (same_secret(auth->keys[i].key, given))
			found = &auth->keys[i].principal;
	return found;
}
