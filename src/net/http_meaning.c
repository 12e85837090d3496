/* What the headers of a request say together: how long the body is, who is asked, whether the connection stays.
 *
 * Two readers that frame one stream of bytes differently are how a request is smuggled past the first of them, so
 * whatever can be read in two ways is refused rather than repaired: a second Content-Length even if it is the same, a
 * list in it, Transfer-Encoding beside it or in HTTP/1.0, a second Host, a Host that is not the target's authority (RFC
 * 9112 3.2, 6.3). */
#include "net/http_parts.h"
#include "net/http_scan.h"

/* What was seen while walking over the headers. */
struct seen {
	unsigned hosts;
	unsigned lengths;
	unsigned codings; /* Transfer-Encoding lines */
	unsigned chunked; /* times the coding was named */
	bool close;
	bool keep_alive;
	struct slice host;
};

bool http_decimal(struct slice text, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)(uint8_t)text.ptr[i] - '0';
		if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, digit, &value))
			return false;
	}
	*ret_value = value;
	return true;
}

/* The next member of a comma-separated list, without spaces; false at the end. */
static bool next_member(struct slice *rest, struct slice *ret_member)
{
	if (!rest->ptr)
		return false;
	*ret_member = slice_trim(slice_cut(rest, ','));
	return true;
}

static enum http_result see_coding(struct slice value, struct seen *seen, struct http_error *ret_error)
{
	struct slice member;
	seen->codings++;
	while (next_member(&value, &member)) {
		if (member.len == 0)
			return http_refuse(ret_error, 400, "Transfer-Encoding has an empty member");
		if (!slice_eq_nocase(member, S("chunked")))
			return http_refuse(ret_error, 501, "the only Transfer-Encoding understood is chunked");
		seen->chunked++;
	}
	return HTTP_DONE;
}

static void see_connection(struct slice value, struct seen *seen)
{
	struct slice member;
	while (next_member(&value, &member)) {
		seen->close |= slice_eq_nocase(member, S("close"));
		seen->keep_alive |= slice_eq_nocase(member, S("keep-alive"));
	}
}

/* Told apart by length first: most headers mean nothing here and cost one comparison. */
static enum http_result see_header(
	const struct http_header *header, struct http_head *head, struct seen *seen, struct http_error *ret_error)
{
	struct slice name = header->name, value = header->value;
	switch (name.len) {
	case 4:
		if (slice_eq_nocase(name, S("Host"))) {
			seen->hosts++;
			seen->host = value;
		}
		return HTTP_DONE;
	case 6:
		if (slice_eq_nocase(name, S("Expect"))) {
			if (!slice_eq_nocase(value, S("100-continue")))
				return http_refuse(ret_error, 417, "the only expectation understood is 100-continue");
			head->expect_continue = head->minor == 1;
		}
		return HTTP_DONE;
	case 10:
		if (slice_eq_nocase(name, S("Connection")))
			see_connection(value, seen);
		return HTTP_DONE;
	case 14:
		if (!slice_eq_nocase(name, S("Content-Length")))
			return HTTP_DONE;
		seen->lengths++;
		if (!http_decimal(value, &head->content_length))
			return http_refuse(ret_error, 400, "Content-Length must be one decimal number");
		return HTTP_DONE;
	case 17:
		if (!slice_eq_nocase(name, S("Transfer-Encoding")))
			return HTTP_DONE;
		return see_coding(value, seen, ret_error);
	default: return HTTP_DONE;
	}
}

static enum http_result check_host(const struct http_head *head, const struct seen *seen, struct http_error *ret_error)
{
	if (seen->hosts > 1 || (head->minor == 1 && seen->hosts == 0))
		return http_refuse(ret_error, 400, "an HTTP/1.1 request must have exactly one Host");
	for (size_t i = 0; i < seen->host.len; i++)
		if (!(http_char_class[(uint8_t)seen->host.ptr[i]] & HTTP_CHAR_HOST))
			return http_refuse(ret_error, 400, "Host must be a name or address, and a port if need be");
	if (seen->hosts == 0 || head->target.ptr[0] == '/' || head->target.ptr[0] == '*')
		return HTTP_DONE;
	struct slice authority = slice_from(head->target, slice_find_byte(head->target, ':') + 3);
	size_t len = 0;
	while (len < authority.len && authority.ptr[len] != '/' && authority.ptr[len] != '?')
		len++;
	if (!slice_eq_nocase(slice_of(authority.ptr, len), seen->host))
		return http_refuse(ret_error, 400, "Host must be the same as the host of the request target");
	return HTTP_DONE;
}

static enum http_result check_framing(
	struct http_head *head, const struct seen *seen, const struct http_limits *limits, struct http_error *ret_error)
{
	if (seen->lengths > 1)
		return http_refuse(ret_error, 400, "Content-Length may be given once only");
	if (seen->codings > 0) {
		if (seen->lengths > 0)
			return http_refuse(ret_error, 400, "Content-Length and Transfer-Encoding exclude each other");
		if (head->minor == 0)
			return http_refuse(ret_error, 400, "HTTP/1.0 has no Transfer-Encoding; use Content-Length");
		if (seen->chunked != 1)
			return http_refuse(ret_error, 400, "Transfer-Encoding may name chunked once only");
		head->chunked = true;
	}
	if (head->content_length > limits->body)
		return http_refuse(ret_error, 413, "the body is too large");
	head->has_body = head->chunked || head->content_length > 0;
	return HTTP_DONE;
}

enum http_result http_head_meaning(
	struct http_head *head, const struct http_limits *limits, struct http_error *ret_error)
{
	struct seen seen = {0};
	head->expect_continue = false;
	head->chunked = false;
	head->content_length = 0;
	for (uint32_t i = 0; i < head->header_count; i++)
		if (see_header(&head->headers[i], head, &seen, ret_error) != HTTP_DONE)
			return HTTP_BAD;
	if (check_host(head, &seen, ret_error) != HTTP_DONE)
		return HTTP_BAD;
	if (check_framing(head, &seen, limits, ret_error) != HTTP_DONE)
		return HTTP_BAD;
	head->keep_alive = !seen.close && (head->minor == 1 || seen.keep_alive);
	head->expect_continue &= head->has_body;
	return HTTP_DONE;
}
