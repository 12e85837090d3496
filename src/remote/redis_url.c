/* Reading redis:// and unix:// addresses. Parts are cut off from both ends: scheme, query, then user information up to the
 * last '@' (a password pasted without encoding may hold one), then the rest. */
#include "remote/redis_url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"

#define EXPECTED "expected redis://[user:password@]host:port/db or unix:///path/to/socket?db=N"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NUL-terminated copy with %XX decoded. Refuses %00 and what is no encoding, for a C string could not carry the one and
 * guessing at the other would be a silent wrong password. */
static enum cs_status decode(struct slice text, const char *part, char **ret_text, struct cs_error *err)
{
	char *room = malloc(text.len + 1);
	size_t n = 0;

	if (!room)
		return cs_fail_memory(err);
	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.ptr[i] != '%') {
			room[n++] = text.ptr[i];
			continue;
		}
		high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
		low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;
		if (high < 0 || low < 0 || (high == 0 && low == 0)) {
			free(room);
			return cs_fail(err, CS_VALIDATION,
				"the %s in the Redis address has a '%%' that is not followed by two hexadecimal digits "
				"(a '%%' itself is written %%25)",
				part);
		}
		room[n++] = (char)(high << 4 | low);
		i += 2;
	}
	room[n] = '\0';
	*ret_text = room;
	return CS_OK;
}

static enum cs_status parse_database(struct slice text, unsigned *ret_database, struct cs_error *err)
{
	uint64_t number;

	if (!slice_to_u64(text, &number) || number > REDIS_DATABASE_MAX)
		return cs_fail(err, CS_VALIDATION,
			"the Redis address names database \"" SLICE_FMT "\"; a database is a number from 0 to %d",
			SLICE_ARG(text), REDIS_DATABASE_MAX);
	*ret_database = (unsigned)number;
	return CS_OK;
}

static enum cs_status parse_query(struct slice query, unsigned *ret_database, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	while (status == CS_OK && query.len > 0) {
		struct slice value = slice_cut(&query, '&');
		struct slice name = slice_cut(&value, '=');

		if (slice_is(name, "db"))
			status = parse_database(value, ret_database, err);
		else
			status = cs_fail(err, CS_VALIDATION,
				"the Redis address has the unknown parameter \"" SLICE_FMT
				"\"; only db=N is understood",
				SLICE_ARG(name));
	}
	return status;
}

/* user, user:password or :password, before the '@'. */
static enum cs_status parse_user(struct slice text, struct redis_url *url, struct cs_error *err)
{
	struct slice password = text;
	struct slice user = slice_cut(&password, ':');
	enum cs_status status = decode(user, "user name", &url->user, err);

	if (status == CS_OK && strlen(url->user) > REDIS_USER_MAX)
		return cs_fail(err, CS_VALIDATION, "the user name in the Redis address has more than %d bytes",
			REDIS_USER_MAX);
	return status == CS_OK ? decode(password, "password", &url->password, err) : status;
}

static bool is_host_byte(char c, bool bracketed)
{
	if (bracketed)
		return hex_digit(c) >= 0 || c == ':' || c == '.' || c == '%' || (c >= 'a' && c <= 'z');
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	       c == '_';
}

static enum cs_status parse_host(struct slice host, bool bracketed, struct redis_url *url, struct cs_error *err)
{
	if (bracketed && slice_find_byte(host, ':') == host.len)
		return cs_fail(err, CS_VALIDATION, "what stands in brackets in the Redis address is no IPv6 address");
	if (host.len > REDIS_HOST_MAX)
		return cs_fail(
			err, CS_VALIDATION, "the host of the Redis address has more than %d bytes", REDIS_HOST_MAX);
	if (host.len == 0)
		return cs_fail(err, CS_VALIDATION, "the Redis address names no host; " EXPECTED);
	for (size_t i = 0; i < host.len; i++)
		if (!is_host_byte(host.ptr[i], bracketed))
			return cs_fail(err, CS_VALIDATION,
				"the host of the Redis address has the character '%c', which no %s has; " EXPECTED,
				host.ptr[i] < ' ' || host.ptr[i] > '~' ? '?' : host.ptr[i],
				bracketed ? "IPv6 address" : "host name");
	url->host = strndup(host.ptr, host.len);
	return url->host ? CS_OK : cs_fail_memory(err);
}

/* host, host:port, [address], [address]:port */
static enum cs_status parse_authority(struct slice text, struct redis_url *url, struct cs_error *err)
{
	bool bracketed = text.len > 0 && text.ptr[0] == '[';
	struct slice host = text, port;
	uint64_t number = REDIS_PORT;
	size_t end;
	enum cs_status status;

	if (bracketed)
		host = slice_from(text, 1);
	end = slice_find_byte(host, bracketed ? ']' : ':');
	if (bracketed && end == host.len)
		return cs_fail(err, CS_VALIDATION, "the IPv6 address in the Redis address has no closing ']'");
	port = slice_from(host, bracketed ? end + 1 : end);
	host.len = end;
	status = parse_host(host, bracketed, url, err);
	if (status != CS_OK)
		return status;
	if (port.len > 0 &&
		(port.ptr[0] != ':' || !slice_to_u64(slice_from(port, 1), &number) || number < 1 || number > 65535))
		/* What stands there is not repeated: with a forgotten '@' it is the password. */
		return cs_fail(err, CS_VALIDATION,
			"behind the host of the Redis address stands something else than a colon and a port from 1 to "
			"65535%s",
			bracketed ? "" : " (an IPv6 address is written in brackets, a password is followed by '@')");
	url->port = (uint16_t)number;
	return CS_OK;
}

/* What stands behind the user: authority and database, or the path of a socket. */
static enum cs_status parse_place(struct slice rest, bool is_unix, struct redis_url *url, struct cs_error *err)
{
	struct slice query = rest, database;
	enum cs_status status;

	rest = slice_cut(&query, '?');
	if (is_unix) {
		if (rest.len < 2 || rest.ptr[0] != '/')
			return cs_fail(err, CS_VALIDATION,
				"a unix:// address needs the absolute path of the socket: "
				"unix:///run/redis/redis.sock");
		status = decode(rest, "path", &url->path, err);
	} else {
		database = rest;
		rest = slice_cut(&database, '/');
		status = parse_authority(rest, url, err);
		if (status == CS_OK && database.len > 0)
			status = parse_database(database, &url->database, err);
	}
	return status == CS_OK ? parse_query(query, &url->database, err) : status;
}

/* User names may hold anything; what would break the line or be mistaken for its structure is shown encoded. */
static void show_user(struct buffer *out, const char *user)
{
	for (const char *at = user; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (c > ' ' && c < 0x7F && !strchr("%:@/?#", c))
			buffer_byte(out, *at);
		else
			buffer_printf(out, "%%%02X", c);
	}
	if (*user)
		buffer_byte(out, '@');
}

static enum cs_status show(struct redis_url *url, struct cs_error *err)
{
	struct buffer out;
	enum cs_status status;

	buffer_init(&out, 4 * REDIS_URL_MAX);
	buffer_append(&out, url->host ? S("redis://") : S("unix://"));
	show_user(&out, url->user);
	if (!url->host)
		buffer_printf(&out, "%s?db=%u", url->path, url->database);
	else if (strchr(url->host, ':'))
		buffer_printf(&out, "[%s]:%u/%u", url->host, url->port, url->database);
	else
		buffer_printf(&out, "%s:%u/%u", url->host, url->port, url->database);
	buffer_byte(&out, '\0');
	status = buffer_status(&out, err);
	if (status == CS_OK) {
		url->shown = strdup(out.ptr);
		if (!url->shown)
			status = cs_fail_memory(err);
	}
	buffer_release(&out);
	return status;
}

static enum cs_status take_scheme(struct slice *rest, bool *ret_unix, struct cs_error *err)
{
	struct slice text = *rest;

	if (slice_starts(text, S("rediss://")))
		return cs_fail(err, CS_VALIDATION,
			"rediss:// asks for TLS, which is not supported yet; use redis:// to a server on this host or "
			"a private "
			"network, or redis:// to a local TLS tunnel (stunnel, ghostunnel)");
	if (slice_starts(text, S("redis-cluster://")) || slice_starts(text, S("redis-sentinel://")))
		return cs_fail(err, CS_VALIDATION,
			"Redis Cluster and Sentinel are not supported yet; name one primary server: " EXPECTED);
	*ret_unix = slice_starts(text, S("unix://"));
	if (!*ret_unix && !slice_starts(text, S("redis://")))
		return cs_fail(err, CS_VALIDATION, "this is no Redis address; " EXPECTED);
	*rest = slice_from(text, *ret_unix ? 7 : 8);
	return CS_OK;
}

enum cs_status redis_url_parse(struct slice text, struct redis_url *ret_url, struct cs_error *err)
{
	struct redis_url url = {.port = REDIS_PORT};
	struct slice rest = text, user = {0};
	bool is_unix;
	enum cs_status status;
	size_t at;

	if (text.len > REDIS_URL_MAX || slice_find_byte(text, '\0') < text.len)
		return cs_fail(err, CS_VALIDATION, "a Redis address has at most %d bytes and no NUL", REDIS_URL_MAX);
	status = take_scheme(&rest, &is_unix, err);
	if (status != CS_OK)
		return status;
	for (at = rest.len; at > 0 && rest.ptr[at - 1] != '@'; at--)
		;
	if (at > 0) {
		user = slice_of(rest.ptr, at - 1);
		rest = slice_from(rest, at);
	}
	status = parse_user(user, &url, err);
	if (status == CS_OK)
		status = parse_place(rest, is_unix, &url, err);
	if (status == CS_OK)
		status = show(&url, err);
	if (status == CS_OK)
		*ret_url = url;
	else
		redis_url_release(&url);
	return status;
}

void redis_url_release(struct redis_url *url)
{
	if (!url)
		return;
	if (url->password)
		explicit_bzero(url->password, strlen(url->password));
	free(url->host);
	free(url->path);
	free(url->user);
	free(url->password);
	free(url->shown);
	*url = (struct redis_url){0};
}
