/* No DNS is asked: a name is judged by its spelling, which is the point. Addresses are parsed as strictly as
 * inet_pton does, so that 127.1, 0x7f.0.0.1 and 127.0.0.1.evil.example are names, and no loopback ones. */
#include "mcp/origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct authority {
	struct slice host; /* without brackets */
	struct slice port; /* empty: none */
	bool bracketed;
};

static bool is_port(struct slice text)
{
	uint64_t port;

	return text.len > 0 && text.len <= 5 && text.ptr[0] != '-' && slice_to_u64(text, &port) && port <= 65535;
}

static bool split_authority(struct slice text, struct authority *ret_authority)
{
	struct authority a = {.host = text};
	size_t end = 0;

	if (text.len == 0)
		return false;
	if (text.ptr[0] == '[') {
		end = slice_find_byte(text, ']');
		if (end == text.len)
			return false;
		a.bracketed = true;
		a.host = slice_of(text.ptr + 1, end - 1);
		end++;
	} else {
		end = slice_find_byte(text, ':');
		a.host = slice_of(text.ptr, end);
	}
	if (end < text.len) {
		a.port = slice_from(text, end + 1);
		if (text.ptr[end] != ':' || !is_port(a.port))
			return false;
	}
	if (a.host.len == 0)
		return false;
	*ret_authority = a;
	return true;
}

/* One of 127.0.0.0/8: four decimal numbers of at most 255 without leading zeros, as inet_pton has it. */
static bool is_loopback_four(struct slice host)
{
	const char *at = host.ptr, *end = host.ptr + host.len;

	if (!slice_starts(host, S("127.")))
		return false;
	for (int part = 0; part < 4; part++) {
		const char *start = at;
		unsigned number = 0;

		while (at < end && *at >= '0' && *at <= '9' && number <= 255)
			number = number * 10 + (unsigned)(*at++ - '0');
		if (at == start || number > 255 || (*start == '0' && at - start > 1))
			return false;
		if (part < 3 && (at == end || *at++ != '.'))
			return false;
	}
	return at == end;
}

static bool is_loopback_six(struct slice host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr six;

	if (host.len >= sizeof text)
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return strlen(text) == host.len && inet_pton(AF_INET6, text, &six) == 1 &&
	       (IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127));
}

static bool is_loopback(const struct authority *a)
{
	if (a->bracketed)
		return is_loopback_six(a->host);
	return slice_eq(a->host, S("127.0.0.1")) || is_loopback_four(a->host) ||
	       slice_eq_nocase(a->host, S("localhost"));
}

static bool matches(struct slice entry, const struct authority *a)
{
	struct authority wanted;

	return split_authority(entry, &wanted) && wanted.bracketed == a->bracketed &&
	       slice_eq_nocase(wanted.host, a->host) && (wanted.port.len == 0 || slice_eq(wanted.port, a->port));
}

static bool authority_allowed(struct slice configured, const struct authority *a)
{
	if (is_loopback(a))
		return true;
	while (configured.len > 0)
		if (matches(slice_trim(slice_cut(&configured, ',')), a))
			return true;
	return false;
}

bool origin_host_allowed(struct slice configured, struct slice host)
{
	struct authority a;

	return split_authority(host, &a) && authority_allowed(configured, &a);
}

/* The part behind "://", or an empty slice. */
static struct slice behind_scheme(struct slice origin)
{
	size_t colon = slice_find_byte(origin, ':');

	if (colon == 0 || !slice_starts(slice_from(origin, colon), S("://")))
		return (struct slice){0};
	return slice_from(origin, colon + 3);
}

static bool listed_whole(struct slice configured, struct slice origin)
{
	while (configured.len > 0) {
		struct slice entry = slice_trim(slice_cut(&configured, ','));

		if (behind_scheme(entry).len > 0 && slice_eq_nocase(entry, origin))
			return true;
	}
	return false;
}

bool origin_allowed(struct slice configured, struct slice origin)
{
	struct authority a;

	if (listed_whole(configured, origin))
		return true;
	if (!slice_starts(origin, S("http://")) && !slice_starts(origin, S("https://")))
		return false;
	return split_authority(behind_scheme(origin), &a) && authority_allowed(configured, &a);
}
