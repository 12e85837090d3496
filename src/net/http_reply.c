/* The end of the head is looked for from its first byte at each call: a reply comes from a process on the same machine
 * in one or two pieces, and the head has a ceiling of 16 KiB, so remembering where the last call stopped would buy
 * nothing. */
#include "net/http_reply.h"
#include "net/http_parts.h"
#include "net/http_scan.h"

static enum http_result see_header(
	const struct http_header *header, struct http_reply *reply, bool *closes, struct http_error *ret_error)
{
	struct slice name = header->name, rest = header->value;
	if (slice_eq_nocase(name, S("content-length"))) {
		if (reply->has_length || !http_decimal(header->value, &reply->content_length))
			return http_refuse(ret_error, 502, "the reply's Content-Length is not one decimal number");
		reply->has_length = true;
	} else if (slice_eq_nocase(name, S("transfer-encoding"))) {
		if (reply->chunked || !slice_eq_nocase(header->value, S("chunked")))
			return http_refuse(ret_error, 502, "the reply's Transfer-Encoding is not chunked");
		reply->chunked = true;
	} else if (slice_eq_nocase(name, S("connection"))) {
		while (rest.ptr) {
			struct slice member = slice_trim(slice_cut(&rest, ','));
			*closes |= slice_eq_nocase(member, S("close"));
		}
	}
	return HTTP_DONE;
}

static enum http_result parse_status_line(struct slice line, struct http_reply *reply, struct http_error *ret_error)
{
	const char *p = line.ptr;
	if (line.len < 12 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') || p[8] != ' ' ||
		p[9] < '1' || p[9] > '5' || p[10] < '0' || p[10] > '9' || p[11] < '0' || p[11] > '9' ||
		(line.len > 12 && p[12] != ' ') || http_scan_text(p, p + line.len) != p + line.len)
		return http_refuse(ret_error, 502, "the reply does not start with an HTTP/1.1 status line");
	reply->minor = (uint8_t)(p[7] - '0');
	reply->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
	return HTTP_DONE;
}

/* The LF of the empty line, every line checked to end with CRLF. */
static enum http_result find_end(struct slice input, size_t *ret_first, size_t *ret_end, struct http_error *ret_error)
{
	size_t window = input.len < HTTP_REPLY_HEAD_MAX ? input.len : HTTP_REPLY_HEAD_MAX;
	size_t first = 0;
	for (size_t at = 0; at < window; at++) {
		const char *feed = memchr(input.ptr + at, '\n', window - at);
		if (!feed)
			break;
		at = (size_t)(feed - input.ptr);
		if (at == 0 || feed[-1] != '\r')
			return http_refuse(ret_error, 502, "the reply's lines do not end with CRLF");
		if (first > 0 && feed[-2] == '\n') {
			*ret_first = first;
			*ret_end = at;
			return HTTP_DONE;
		}
		if (first == 0)
			first = at + 1;
	}
	if (window == HTTP_REPLY_HEAD_MAX)
		return http_refuse(ret_error, 502, "the reply's headers are too long");
	return HTTP_NEED_MORE;
}

enum http_result http_parse_reply(
	struct slice input, struct http_reply *ret_reply, size_t *ret_length, struct http_error *ret_error)
{
	struct http_reply reply = {0};
	struct http_header header;
	size_t first = 0, end = 0;
	bool closes = false;
	enum http_result result = find_end(input, &first, &end, ret_error);
	if (result != HTTP_DONE)
		return result;
	if (parse_status_line(slice_of(input.ptr, first - 2), &reply, ret_error) != HTTP_DONE)
		return HTTP_BAD;
	const char *at = input.ptr + first, *stop = input.ptr + end - 1;
	while (at < stop)
		if (http_parse_header_line(&at, stop, &header, ret_error) != HTTP_DONE ||
			see_header(&header, &reply, &closes, ret_error) != HTTP_DONE)
			return HTTP_BAD;
	if (reply.chunked && reply.has_length)
		return http_refuse(ret_error, 502, "the reply has both Content-Length and Transfer-Encoding");
	if (reply.status < 200 || reply.status == 204 || reply.status == 304) {
		reply.chunked = false;
		reply.has_length = true;
		reply.content_length = 0;
	}
	reply.until_close = !reply.chunked && !reply.has_length;
	reply.keep_alive = !closes && reply.minor == 1 && !reply.until_close;
	*ret_reply = reply;
	*ret_length = end + 1;
	return HTTP_DONE;
}
