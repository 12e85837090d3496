/* Bodies: counted and chunked, whole and one byte at a call; both must give the same bytes and the same end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "net/http_parser.h"

struct outcome {
	enum http_result result;
	struct http_error error;
	size_t used;
	struct buffer body;
};

static struct outcome parse(struct slice text, const struct http_head *head, uint64_t max, size_t step)
{
	struct outcome o = {.result = HTTP_NEED_MORE};
	struct http_limits limits = {.body = max};
	struct http_body body;
	buffer_init(&o.body, 1u << 20);
	http_body_init(&body, head, &limits);
	size_t fed = 0;
	do {
		size_t used = 0;
		struct slice piece = {NULL, 0};
		size_t len = text.len - fed < step ? text.len - fed : step;
		o.result = http_parse_body(&body, slice_of(text.ptr + fed, len), &used, &piece, &o.error);
		if (o.result == HTTP_BAD)
			break;
		buffer_append(&o.body, piece);
		fed += used;
	} while (o.result == HTTP_NEED_MORE && fed < text.len);
	o.used = fed;
	return o;
}

/* status 0: the body is `body` and `used` bytes long on the wire. */
static void check(
	struct slice text, const struct http_head *head, uint64_t max, int status, struct slice body, size_t used)
{
	for (size_t step = 1; step <= text.len + 1; step++) {
		struct outcome o = parse(text, head, max, step);
		if (status ? o.result != HTTP_BAD || o.error.status != status : o.result != HTTP_DONE)
			fail_msg(
				"step %zu, result %d, expected %d: %.*s", step, (int)o.result, status, SLICE_ARG(text));
		if (!status) {
			assert_true(slice_eq(buffer_slice(&o.body), body));
			assert_int_equal(o.used, used);
		}
		buffer_release(&o.body);
	}
}

static const struct http_head chunked = {.has_body = true, .chunked = true};

static void accept_chunks(struct slice text, uint64_t max, struct slice body)
{
	check(text, &chunked, max, 0, body, text.len);
}

static void refuse_chunks(struct slice text, uint64_t max, int status)
{
	check(text, &chunked, max, status, S(""), 0);
}

static void counts(void **state)
{
	const struct http_head five = {.has_body = true, .content_length = 5}, none = {.has_body = false};
	check(S("helloGET"), &five, 5, 0, S("hello"), 5);
	check(S("hello"), &five, 4, 413, S(""), 0);
	check(S("GET"), &none, 5, 0, S(""), 0);
}

static void reads_chunks(void **state)
{
	accept_chunks(S("0\r\n\r\n"), 0, S(""));
	accept_chunks(S("5\r\nhello\r\n0\r\n\r\n"), 5, S("hello"));
	accept_chunks(S("1\r\nh\r\n0A;x=\"y\"\r\n0123456789\r\n00\r\nT: v\r\nU:\r\n\r\n"), 11, S("h0123456789"));
	check(S("1\r\na\r\n0\r\n\r\nGET / "), &chunked, 1, 0, S("a"), 11);
	refuse_chunks(S("5\r\nhello\r\n0\r\n\r\n"), 4, 413);
	refuse_chunks(S("4\r\nhell\r\n1\r\no\r\n0\r\n\r\n"), 4, 413);
}

static void refuses_bad_framing(void **state)
{
	static const struct slice cases[] = {SLICE_INIT("\r\n"), SLICE_INIT("g\r\n"), SLICE_INIT("-1\r\n"),
		SLICE_INIT("0x1\r\n"), SLICE_INIT(" 1\r\n"), SLICE_INIT("1 \r\n"), SLICE_INIT("1 ;a\r\n"),
		SLICE_INIT("1\n"), SLICE_INIT("1\rx"), SLICE_INIT(";a\r\n"), SLICE_INIT("1;a\nb"),
		SLICE_INIT("1;\0\r\n"), SLICE_INIT("10000000000000000\r\n"), SLICE_INIT("1\r\nab\r\n"),
		SLICE_INIT("1\r\na\n"), SLICE_INIT("0\r\n\n"), SLICE_INIT("0\r\n T: v\r\n"),
		SLICE_INIT("0\r\nT : v\r\n"), SLICE_INIT("0\r\nT: \1\r\n"), SLICE_INIT("0\r\nT: v\n"),
		SLICE_INIT("0\r\nT\r\n"), SLICE_INIT("0\r\n\rx")};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		refuse_chunks(cases[i], UINT64_MAX, 400);
	/* The sum of sizes must not wrap. */
	refuse_chunks(S("1\r\na\r\nffffffffffffffff\r\n"), UINT64_MAX, 413);
}

/* `head`, then `count` bytes 'a', then `tail`. */
static int status_of(const char *head, size_t count, const char *tail)
{
	struct buffer text;
	buffer_init(&text, 1u << 20);
	buffer_append(&text, slice_cstr(head));
	for (size_t i = 0; i < count; i++)
		buffer_byte(&text, 'a');
	buffer_append(&text, slice_cstr(tail));
	assert_false(text.failed);
	struct outcome o = parse(buffer_slice(&text), &chunked, 100, text.len),
		       split = parse(buffer_slice(&text), &chunked, 100, 1);
	assert_int_equal(o.result, split.result);
	int status = o.result == HTTP_BAD ? o.error.status : o.result == HTTP_DONE ? 0 : -1;
	buffer_release(&o.body);
	buffer_release(&split.body);
	buffer_release(&text);
	return status;
}

static void bounds_what_it_drops(void **state)
{
	/* 256 bytes of a size line, CR included; 4096 of trailers, the last CR included. */
	assert_int_equal(status_of("0;", 252, "\r\n\r\n"), 0);
	assert_int_equal(status_of("0;", 253, "\r\n\r\n"), 0);
	assert_int_equal(status_of("0;", 254, "\r\n\r\n"), 400);
	assert_int_equal(status_of("0\r\nT:", 4091, "\r\n\r\n"), 0);
	assert_int_equal(status_of("0\r\nT:", 4092, "\r\n\r\n"), 0);
	assert_int_equal(status_of("0\r\nT:", 4093, "\r\n\r\n"), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(reads_chunks),
		cmocka_unit_test(refuses_bad_framing),
		cmocka_unit_test(bounds_what_it_drops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
