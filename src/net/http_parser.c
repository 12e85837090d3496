/* The head of a request.
 *
 * Two passes. The first looks for line ends only, from where the last call stopped, and knows three places: the end of
 * the request line, the end of the head, and the byte at which a limit is passed. The second runs once, when the head
 * is whole, and cuts it into slices. A byte-driven state machine was rejected: it pays for resumability at each byte,
 * although nearly every head arrives whole, and it keeps half-parsed state that tests must cover at each byte.
 *
 * Invariant: what is decided depends on the position of a byte, never on how the bytes were cut. So the request line is
 * judged when its line end is there (an HTTP/0.9 client sends nothing more), header lines when the empty line is there,
 * and a limit at the first byte behind it; the order of those is the order of bytes. Meaning of the headers (lengths,
 * Host, Connection) is in http_meaning.c, which sees finished lines. Cost: two 16-byte-wide scans over the
 * head; no allocation. */
#include "net/http_parser.h"
#include "net/http_parts.h"
#include "net/http_scan.h"

static enum http_result parse_version(struct slice text, struct http_head *head, struct http_error *ret_error)
{
	static const char form[] = "HTTP/";
	if (text.len != 8 || memcmp(text.ptr, form, 5) != 0 || text.ptr[6] != '.' || text.ptr[5] < '0' ||
		text.ptr[5] > '9' || text.ptr[7] < '0' || text.ptr[7] > '9')
		return http_refuse(ret_error, 400, "the request line must end with HTTP/1.1 behind one space");
	if (text.ptr[5] != '1' || text.ptr[7] > '1')
		return http_refuse(ret_error, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	head->minor = (uint8_t)(text.ptr[7] - '0');
	return HTTP_DONE;
}

static enum http_method method_of(struct slice name)
{
	static const struct {
		struct slice name;
		enum http_method method;
	} methods[] = {
		{SLICE_INIT("GET"), HTTP_GET},
		{SLICE_INIT("HEAD"), HTTP_HEAD},
		{SLICE_INIT("POST"), HTTP_POST},
		{SLICE_INIT("PUT"), HTTP_PUT},
		{SLICE_INIT("DELETE"), HTTP_DELETE},
		{SLICE_INIT("OPTIONS"), HTTP_OPTIONS},
		{SLICE_INIT("PATCH"), HTTP_PATCH},
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (slice_eq(methods[i].name, name))
			return methods[i].method;
	return HTTP_OTHER;
}

/* Where the path of "http://authority/path" starts, or 0 when the target has no such form. */
static size_t authority_end(struct slice target)
{
	size_t start = 0;
	if (target.len >= 7 && slice_eq_nocase(slice_of(target.ptr, 7), S("http://")))
		start = 7;
	else if (target.len >= 8 && slice_eq_nocase(slice_of(target.ptr, 8), S("https://")))
		start = 8;
	if (start == 0)
		return 0;
	size_t end = start;
	while (end < target.len && target.ptr[end] != '/' && target.ptr[end] != '?')
		end++;
	return end > start ? end : 0;
}

static enum http_result parse_target(struct slice target, struct http_head *head, struct http_error *ret_error)
{
	if (http_scan_target(target.ptr, target.ptr + target.len) != target.ptr + target.len)
		return http_refuse(ret_error, 400,
			"the request target may hold visible ASCII only and no #; percent-encode the rest");
	struct slice rest = target;
	if (target.ptr[0] == '*') {
		if (target.len > 1 || head->method != HTTP_OPTIONS)
			return http_refuse(ret_error, 400, "the target * is for OPTIONS only");
	} else if (target.ptr[0] != '/') {
		size_t end = authority_end(target);
		if (end == 0)
			return http_refuse(ret_error, 400, "the request target must start with / or http://host");
		rest = slice_from(target, end);
	}
	size_t question = slice_find_byte(rest, '?');
	head->target = target;
	head->path = question > 0 ? slice_of(rest.ptr, question) : S("/");
	head->query = slice_from(rest, question + 1);
	return HTTP_DONE;
}

/* `line` without its CRLF. */
static enum http_result parse_request_line(struct slice line, struct http_head *head, struct http_error *ret_error)
{
	const char *end = line.ptr + line.len;
	const char *at = http_scan_token(line.ptr, end);
	if (at == line.ptr || at == end || *at != ' ')
		return http_refuse(ret_error, 400, "the request line must be: METHOD target HTTP/1.1");
	head->method_name = slice_of(line.ptr, (size_t)(at - line.ptr));
	head->method = method_of(head->method_name);
	const char *target = ++at;
	at = memchr(target, ' ', (size_t)(end - target));
	if (at == target || target == end)
		return http_refuse(ret_error, 400, "the request line must have a target behind one space");
	enum http_result result = parse_target(slice_of(target, (size_t)((at ? at : end) - target)), head, ret_error);
	if (result != HTTP_DONE)
		return result;
	if (!at)
		return http_refuse(ret_error, 505, "HTTP/0.9 is not spoken here; end the request line with HTTP/1.1");
	return parse_version(slice_of(at + 1, (size_t)(end - at - 1)), head, ret_error);
}

static struct slice trim_spaces(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return slice_of(at, (size_t)(end - at));
}

enum http_result http_parse_header_line(
	const char **at_line, const char *end, struct http_header *ret_header, struct http_error *ret_error)
{
	const char *name = *at_line, *colon = http_scan_token(name, end);
	if (colon == name) {
		if (*name == ' ' || *name == '\t')
			return http_refuse(ret_error, 400, "folded headers are refused; put the value on one line");
		return http_refuse(ret_error, 400, "a header line must start with a name");
	}
	if (*colon != ':') {
		if (*colon == ' ' || *colon == '\t')
			return http_refuse(ret_error, 400, "no space may stand between a header's name and its colon");
		return http_refuse(ret_error, 400, "a header must be a name of token characters, a colon and a value");
	}
	const char *stop = http_scan_text(colon + 1, end);
	if (*stop != '\r')
		return http_refuse(ret_error, 400, "a header value may not hold NUL or control characters");
	if (stop[1] != '\n')
		return http_refuse(ret_error, 400, "CR may stand only at the end of a line, before LF");
	ret_header->name = slice_of(name, (size_t)(colon - name));
	ret_header->value = trim_spaces(colon + 1, stop);
	*at_line = stop + 2;
	return HTTP_DONE;
}

/* [at, end): whole lines, each ending with CRLF. Hence the scans always stop before `end`. */
static enum http_result parse_headers(const char *at, const char *end, const struct http_limits *limits,
	struct http_head *head, struct http_error *ret_error)
{
	uint32_t most = limits->header_count < HTTP_HEADERS_MAX ? limits->header_count : HTTP_HEADERS_MAX;
	head->header_count = 0;
	while (at < end) {
		if (head->header_count == most)
			return http_refuse(ret_error, 431, "the request has too many headers");
		enum http_result result =
			http_parse_header_line(&at, end, &head->headers[head->header_count], ret_error);
		if (result != HTTP_DONE)
			return result;
		head->header_count++;
	}
	return http_head_meaning(head, limits, ret_error);
}

/* Skips up to two empty lines; *ret_start is where the request line starts. */
static enum http_result skip_empty_lines(struct slice input, size_t *ret_start, struct http_error *ret_error)
{
	size_t at = 0;
	while (at < input.len && input.ptr[at] == '\r') {
		if (at == 4)
			return http_refuse(ret_error, 400, "too many empty lines before the request line");
		if (at + 1 == input.len)
			return HTTP_NEED_MORE;
		if (input.ptr[at + 1] != '\n')
			return http_refuse(ret_error, 400, "CR may stand only at the end of a line, before LF");
		at += 2;
	}
	if (at == input.len)
		return HTTP_NEED_MORE;
	/* Told at the first byte: a TLS client that knocks here would otherwise wait for its deadline. */
	if (!http_is_token(input.ptr[at]))
		return http_refuse(ret_error, 400, "the request must start with a method");
	*ret_start = at;
	return HTTP_DONE;
}

/* The LF of the request line that starts at `start`. */
static enum http_result find_request_line(
	struct slice input, size_t start, size_t most, size_t *ret_line_feed, struct http_error *ret_error)
{
	/* No addition of `most`: it may be SIZE_MAX. The line's own CRLF is not counted. */
	size_t there = input.len - start;
	size_t window = there > 2 && there - 2 > most ? most + 2 : there;
	/* From the line's start at each call: it is short, and the LF an earlier call saw is found this way. */
	const char *feed = http_scan_feed(input.ptr + start, input.ptr + start + window);
	if (feed == input.ptr + start + window)
		return window < there ? http_refuse(ret_error, 414, "the request line is too long") : HTTP_NEED_MORE;
	if (feed[-1] != '\r')
		return http_refuse(ret_error, 400, "lines must end with CRLF, not with LF alone");
	*ret_line_feed = (size_t)(feed - input.ptr);
	return HTTP_DONE;
}

/* The LF of the empty line that ends the head, looked for from *scanned on. */
static enum http_result find_head_end(struct slice input, size_t line_feed, size_t most, size_t *scanned,
	size_t *ret_end, struct http_error *ret_error)
{
	size_t first = line_feed + 1, there = input.len - first;
	size_t window = there > 2 && there - 2 > most ? most + 2 : there;
	size_t at = *scanned > first ? *scanned : first, end = first + window;
	while (at < end) {
		const char *feed = http_scan_feed(input.ptr + at, input.ptr + end);
		if (feed == input.ptr + end)
			break;
		if (feed[-1] != '\r')
			return http_refuse(ret_error, 400, "lines must end with CRLF, not with LF alone");
		at = (size_t)(feed - input.ptr);
		if (feed[-2] == '\n') {
			*ret_end = at;
			return HTTP_DONE;
		}
		at++;
	}
	*scanned = end;
	return window < there ? http_refuse(ret_error, 431, "the headers are too long") : HTTP_NEED_MORE;
}

enum http_result http_parse_head(struct slice input, const struct http_limits *limits, size_t *scanned,
	struct http_head *ret_head, size_t *ret_length, struct http_error *ret_error)
{
	size_t start = 0, line_feed = 0, end = 0;
	enum http_result result = skip_empty_lines(input, &start, ret_error);
	if (result != HTTP_DONE)
		return result;
	result = find_request_line(input, start, limits->request_line, &line_feed, ret_error);
	if (result != HTTP_DONE)
		return result;
	struct slice line = slice_of(input.ptr + start, line_feed - 1 - start);
	bool judged = *scanned > line_feed;
	if (!judged) {
		result = parse_request_line(line, ret_head, ret_error);
		if (result != HTTP_DONE)
			return result;
		*scanned = line_feed + 1;
	}
	result = find_head_end(input, line_feed, limits->headers, scanned, &end, ret_error);
	if (result != HTTP_DONE)
		return result;
	/* The caller's bytes may have moved between calls: slices of an earlier call are stale. */
	if (judged && parse_request_line(line, ret_head, ret_error) != HTTP_DONE)
		return HTTP_BAD;
	result = parse_headers(input.ptr + line_feed + 1, input.ptr + end - 1, limits, ret_head, ret_error);
	if (result == HTTP_DONE)
		*ret_length = end + 1;
	return result;
}
