/* Heads of requests: what is accepted and how it is cut, what is refused and with which status.
 *
 * Every case is parsed whole and then again with one more byte at each call; both must say the same. The bytes are
 * copied to a block of exactly their length first, so that the address sanitizer sees a read behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http_parser.h"
#include "net/http_scan.h"

static struct http_limits limits;

struct outcome {
	enum http_result result;
	struct http_head head;
	size_t length;
	struct http_error error;
	char *copy;
};

static struct outcome parse(struct slice text, bool split)
{
	struct outcome o = {.result = HTTP_NEED_MORE};
	size_t scanned = 0;
	for (size_t len = split ? 0 : text.len; len <= text.len && o.result == HTTP_NEED_MORE; len++) {
		free(o.copy);
		o.copy = malloc(len ? len : 1);
		assert_non_null(o.copy);
		memcpy(o.copy, text.ptr, len);
		o.result = http_parse_head(slice_of(o.copy, len), &limits, &scanned, &o.head, &o.length, &o.error);
	}
	return o;
}

static void refuse(struct slice text, int status)
{
	for (int split = 0; split < 2; split++) {
		struct outcome o = parse(text, split);
		if (o.result != HTTP_BAD || o.error.status != status)
			fail_msg("split %d, result %d, status %d instead of %d: %.*s", split, (int)o.result,
				o.result == HTTP_BAD ? o.error.status : 0, status, SLICE_ARG(text));
		free(o.copy);
	}
}

/* The case is given whole as the request line and as further header lines. */
static void refuse_headers(const char *lines, int status)
{
	char room[1024];
	int len = snprintf(room, sizeof(room), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", lines);
	refuse(slice_of(room, (size_t)len), status);
}

static struct outcome accept_text(struct slice text)
{
	struct outcome split = parse(text, true), whole = parse(text, false);
	if (whole.result != HTTP_DONE)
		fail_msg("refused (%d): %.*s", whole.error.status, SLICE_ARG(text));
	assert_int_equal(split.result, HTTP_DONE);
	assert_int_equal(split.length, whole.length);
	assert_int_equal(split.head.header_count, whole.head.header_count);
	assert_int_equal(split.head.keep_alive, whole.head.keep_alive);
	assert_int_equal(split.head.has_body, whole.head.has_body);
	assert_true(slice_eq(split.head.path, whole.head.path));
	free(split.copy);
	return whole;
}

static struct outcome accept_headers(const char *line, const char *lines)
{
	char room[1024];
	int len = snprintf(room, sizeof(room), "%s\r\n%s\r\n", line, lines);
	return accept_text(slice_of(room, (size_t)len));
}

#define assert_slice(got, text) assert_true(slice_eq(got, S(text)))

static void cuts_a_request(void **state)
{
	struct outcome o = accept_text(S("\r\n\r\nPOST /tools/x?y=z HTTP/1.1\r\nHost: a:80\r\nX-Y:\t two words \t\r\n"
					 "Empty:\r\ncontent-length: 5\r\n\r\nhello"));
	assert_int_equal(o.head.method, HTTP_POST);
	assert_slice(o.head.method_name, "POST");
	assert_slice(o.head.target, "/tools/x?y=z");
	assert_slice(o.head.path, "/tools/x");
	assert_slice(o.head.query, "y=z");
	assert_int_equal(o.head.header_count, 4);
	assert_slice(o.head.headers[1].name, "X-Y");
	assert_slice(o.head.headers[1].value, "two words");
	assert_slice(o.head.headers[2].name, "Empty");
	assert_int_equal(o.head.headers[2].value.len, 0);
	assert_true(o.head.has_body && o.head.keep_alive && !o.head.chunked);
	assert_int_equal(o.head.content_length, 5);
	assert_memory_equal(o.copy + o.length, "hello", 5);
	free(o.copy);
}

static void knows_the_forms_of_a_target(void **state)
{
	static const struct {
		const char *line, *path, *query;
	} cases[] = {
		{"GET / HTTP/1.1", "/", ""},
		{"GET /? HTTP/1.1", "/", ""},
		{"GET /a%20b?c?d HTTP/1.1", "/a%20b", "c?d"},
		{"GET http://a HTTP/1.1", "/", ""},
		{"GET HTTP://A/b?c HTTP/1.1", "/b", "c"},
		{"GET https://a?c HTTP/1.1", "/", "c"},
		{"OPTIONS * HTTP/1.1", "*", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct outcome o = accept_headers(cases[i].line, "Host: a\r\n");
		assert_true(slice_eq(o.head.path, slice_cstr(cases[i].path)));
		assert_true(slice_eq(o.head.query, slice_cstr(cases[i].query)));
		free(o.copy);
	}
}

static void refuses_bad_request_lines(void **state)
{
	static const struct {
		const char *line;
		int status;
	} cases[] = {
		{"GET / HTTP/1.1 ", 400},
		{"GET  / HTTP/1.1", 400},
		{"GET /  HTTP/1.1", 400},
		{" GET / HTTP/1.1", 400},
		{"GET\t/ HTTP/1.1", 400},
		{"GET / http/1.1", 400},
		{"GET / HTTP/1.10", 400},
		{"GET / HTTP/11", 400},
		{"GET", 400},
		{"GET ", 400},
		{"G(T / HTTP/1.1", 400},
		{"GET /a\tb HTTP/1.1", 400},
		{"GET /\x80 HTTP/1.1", 400},
		{"GET /a#b HTTP/1.1", 400},
		{"GET * HTTP/1.1", 400},
		{"OPTIONS *x HTTP/1.1", 400},
		{"GET a HTTP/1.1", 400},
		{"CONNECT a:80 HTTP/1.1", 400},
		{"GET http:///x HTTP/1.1", 400},
		{"GET ftp://a/ HTTP/1.1", 400},
		{"GET http://b/ HTTP/1.1", 400},
		{"GET http://u@a/ HTTP/1.1", 400},
		{"GET /", 505},
		{"GET / HTTP/0.9", 505},
		{"GET / HTTP/1.2", 505},
		{"GET / HTTP/2.0", 505},
		{"PRI * HTTP/2.0", 400},
		{"\x16\x03\x01", 400},
		{"GET /\r HTTP/1.1", 400},
	};
	char room[256];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int len = snprintf(room, sizeof(room), "%s\r\nHost: a\r\n\r\n", cases[i].line);
		refuse(slice_of(room, (size_t)len), cases[i].status);
	}
	refuse(S("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
	refuse(S("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
	refuse(S("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
	refuse(S("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

static void refuses_bad_headers(void **state)
{
	static const char *const lines[] = {"A : b\r\n", "A\t: b\r\n", " A: b\r\n", "A: b\r\n c\r\n", "A: b\r\n\tc\r\n",
		"A\r\n", ": b\r\n", "A: b\rc\r\n", "A: b\nC: d\r\n", "A: \x01\r\n", "A: \x7f\r\n", "A(: b\r\n",
		"A\x80: b\r\n", "Host: a\r\n", "Host: b\r\n", "A: 0123456789abcdef0123\x02\r\n"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		refuse_headers(lines[i], 400);
	refuse(S("GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n"), 400);
	refuse(S("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
	refuse(S("GET / HTTP/1.1\r\n\r\n"), 400);
	refuse(S("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), 400);
	refuse(S("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 400);
	refuse(S("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
	refuse_headers("Expect: 200-ok\r\n", 417);
	refuse_headers("Expect: 100-continue, x\r\n", 417);
}

static void refuses_smuggling_pairs(void **state)
{
	static const struct {
		const char *lines;
		int status;
	} cases[] = {
		{"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400},
		{"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400},
		{"Content-Length: 1\r\nContent-Length: 2\r\n", 400},
		{"Content-Length: 1\r\nContent-Length: 1\r\n", 400},
		{"Content-Length: 1, 1\r\n", 400},
		{"Content-Length: +1\r\n", 400},
		{"Content-Length: -1\r\n", 400},
		{"Content-Length: 0x1\r\n", 400},
		{"Content-Length: 1 1\r\n", 400},
		{"Content-Length:\r\n", 400},
		{"Content-Length: 18446744073709551616\r\n", 400},
		{"Content-Length: 18446744073709551615\r\n", 413},
		{"Content-Length : 1\r\n", 400},
		{"Transfer-Encoding : chunked\r\n", 400},
		{"Transfer-Encoding: xchunked\r\n", 501},
		{"Transfer-Encoding: gzip, chunked\r\n", 501},
		{"Transfer-Encoding: chunked, gzip\r\n", 501},
		{"Transfer-Encoding: identity\r\n", 501},
		{"Transfer-Encoding: chunked;a=b\r\n", 501},
		{"Transfer-Encoding: \"chunked\"\r\n", 501},
		{"Transfer-Encoding: chunked, chunked\r\n", 400},
		{"Transfer-Encoding:\r\n", 400},
		{"Transfer-Encoding: ,chunked\r\n", 400},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", 501},
		{"Transfer-Encoding:\x0b"
		 "chunked\r\n",
			400},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		refuse_headers(cases[i].lines, cases[i].status);
	refuse(S("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

static void decides_whether_the_connection_stays(void **state)
{
	static const struct {
		const char *line, *lines;
		bool keep;
	} cases[] = {
		{"GET / HTTP/1.1", "", true},
		{"GET / HTTP/1.0", "", false},
		{"GET / HTTP/1.1", "Connection: close\r\n", false},
		{"GET / HTTP/1.0", "Connection: Keep-Alive\r\n", true},
		{"GET / HTTP/1.1", "Connection: x ,\tClose\r\n", false},
		{"GET / HTTP/1.0", "Connection: keep-alive\r\nConnection: close\r\n", false},
		{"GET / HTTP/1.1", "Connection: closed\r\n", true},
	};
	char room[128];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(room, sizeof(room), "Host: a\r\n%s", cases[i].lines);
		struct outcome o = accept_headers(cases[i].line, room);
		assert_int_equal(o.head.keep_alive, cases[i].keep);
		free(o.copy);
	}
	struct outcome o =
		accept_headers("POST / HTTP/1.1", "Host: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n");
	assert_true(o.head.expect_continue);
	free(o.copy);
	o = accept_headers("POST / HTTP/1.1", "Host: a\r\nExpect: 100-continue\r\n");
	assert_false(o.head.expect_continue);
	free(o.copy);
}

/* Each limit one below, at and one above what the request has. */
static void keeps_to_its_limits(void **state)
{
	const struct http_limits whole = limits;
	struct slice text = S("POST /12345 HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n");
	const struct {
		struct http_limits limits;
		int status;
	} cases[] = {
		{{20, 28, 2, 7}, 0},
		{{19, 28, 2, 7}, 414},
		{{20, 27, 2, 7}, 431},
		{{20, 28, 1, 7}, 431},
		{{20, 28, 2, 6}, 413},
		{{21, 29, 3, 8}, 0},
		{{SIZE_MAX, SIZE_MAX, UINT32_MAX, UINT64_MAX}, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		limits = cases[i].limits;
		if (cases[i].status)
			refuse(text, cases[i].status);
		else
			free(accept_text(text).copy);
	}
	limits = whole;
}

static void scans_as_its_scalar_twin(void **state)
{
	char bytes[48];
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < sizeof(bytes); at++) {
			memset(bytes, 'a', sizeof(bytes));
			bytes[at] = (char)c;
			const char *end = bytes + sizeof(bytes);
			assert_ptr_equal(http_scan_text(bytes, end), http_scan_text_scalar(bytes, end));
			assert_ptr_equal(http_scan_feed(bytes, end), c == '\n' ? bytes + at : end);
			assert_ptr_equal(http_scan_target(bytes, end), http_scan_target_scalar(bytes, end));
			assert_ptr_equal(http_scan_token(bytes, end), http_scan_token_scalar(bytes, end));
		}
}

static int set_limits(void **state)
{
	limits = HTTP_LIMITS_DEFAULT;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_a_request),
		cmocka_unit_test(knows_the_forms_of_a_target),
		cmocka_unit_test(refuses_bad_request_lines),
		cmocka_unit_test(refuses_bad_headers),
		cmocka_unit_test(refuses_smuggling_pairs),
		cmocka_unit_test(decides_whether_the_connection_stays),
		cmocka_unit_test(keeps_to_its_limits),
		cmocka_unit_test(scans_as_its_scalar_twin),
	};
	return cmocka_run_group_tests(tests, set_limits, NULL);
}
