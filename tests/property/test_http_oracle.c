/* Random and mutated requests, ours against libhttp-parser.
 *
 * What we accept it must accept too, with the same body, method and keep-alive: a request only we understand, or
 * understand otherwise, is what smuggling needs. Of `Connection: keep-alive` and `close` together in HTTP/1.0 it takes
 * the one, we the other (RFC 9112 9.3), so closing where it would stay is allowed. The other way round we are stricter
 * on purpose, and only with the sentences listed in `stricter`: a refusal with another sentence that the library
 * accepts fails the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <http_parser.h>

/* The library has names of its own for two of ours. */
#define http_method  ours_http_method
#define HTTP_DELETE  OURS_DELETE
#define HTTP_GET     OURS_GET
#define HTTP_HEAD    OURS_HEAD
#define HTTP_POST    OURS_POST
#define HTTP_PUT     OURS_PUT
#define HTTP_OPTIONS OURS_OPTIONS
#define HTTP_PATCH   OURS_PATCH
#include "base/buffer.h"
#include "net/http_parser.h"

#define ROUNDS 200000

static uint64_t seed = 20261123;

static unsigned pick(unsigned count)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % count;
}

struct answer {
	bool done, refused, keep_alive, unknown_method;
	const char *text;
	struct slice method;
	char body[4096];
	size_t body_len;
};

static int their_body(http_parser *p, const char *at, size_t len)
{
	struct answer *a = p->data;
	memcpy(a->body + a->body_len, at, len);
	a->body_len += len;
	return 0;
}

static int their_end(http_parser *p)
{
	struct answer *a = p->data;
	a->done = true;
	a->keep_alive = http_should_keep_alive(p);
	http_parser_pause(p, 1);
	return 0;
}

static void ask_library(struct slice text, struct answer *a)
{
	http_parser_settings settings;
	http_parser p;
	memset(a, 0, sizeof(*a));
	http_parser_settings_init(&settings);
	settings.on_body = their_body;
	settings.on_message_complete = their_end;
	http_parser_init(&p, HTTP_REQUEST);
	p.data = a;
	http_parser_execute(&p, &settings, text.ptr, text.len);
	a->refused = !a->done && HTTP_PARSER_ERRNO(&p) != HPE_OK;
	a->method = slice_cstr(http_method_str(p.method));
}

static void ask_ours(struct slice text, struct answer *a)
{
	const struct http_limits limits = HTTP_LIMITS_DEFAULT;
	struct http_head head;
	struct http_error error = {0};
	struct http_body body;
	size_t scanned = 0, length = 0, used = 0;
	memset(a, 0, sizeof(*a));
	enum http_result result = http_parse_head(text, &limits, &scanned, &head, &length, &error);
	if (result == HTTP_DONE) {
		a->method = head.method_name;
		a->unknown_method = head.method == HTTP_OTHER;
		a->keep_alive = head.keep_alive;
		http_body_init(&body, &head, &limits);
		do {
			struct slice piece;
			text = slice_from(text, length);
			result = http_parse_body(&body, text, &used, &piece, &error);
			length = used;
			if (result == HTTP_BAD)
				break;
			memcpy(a->body + a->body_len, piece.ptr, piece.len);
			a->body_len += piece.len;
		} while (result == HTTP_NEED_MORE && used > 0);
	}
	a->done = result == HTTP_DONE;
	a->refused = result == HTTP_BAD;
	a->text = error.text;
}

static size_t make(char *room, size_t size)
{
	static const char *const lines[] = {"GET / HTTP/1.1\r\n", "POST /a?b=c HTTP/1.1\r\n", "PUT /x HTTP/1.0\r\n",
		"OPTIONS * HTTP/1.1\r\n", "POST http://a/b HTTP/1.1\r\n", "\r\nDELETE /y HTTP/1.1\r\n"};
	static const char *const headers[] = {"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
		"Connection: close\r\n", "Connection: keep-alive, x\r\n", "Accept: */*\r\n", "X: \t y \r\n",
		"Content-Length: 0\r\n", "Expect: 100-continue\r\n", "Empty:\r\n"};
	static const char *const bodies[] = {
		"", "hello", "5\r\nhello\r\n0\r\n\r\n", "2;a=b\r\nhe\r\n0\r\nT: v\r\n\r\n"};
	size_t len = (size_t)snprintf(room, size, "%sHost: a\r\n", lines[pick(6)]);
	for (unsigned i = pick(4); i > 0; i--)
		len += (size_t)snprintf(room + len, size - len, "%s", headers[pick(9)]);
	len += (size_t)snprintf(room + len, size - len, "\r\n%s", bodies[pick(4)]);
	static const char odd[] = "\r\n\t :;,0159afAF/ \x01\x80\x7fxX#*";
	for (unsigned i = pick(3); i > 0; i--) {
		size_t at = pick((unsigned)len);
		if (pick(2)) {
			room[at] = odd[pick(sizeof(odd))];
		} else {
			memmove(room + at, room + at + 1, len - at - 1);
			len--;
		}
	}
	return len;
}

static const char *const stricter[] = {
	"CR may stand only at the end of a line, before LF",
	"HTTP/0.9 is not spoken here; end the request line with HTTP/1.1",
	"HTTP/1.0 has no Transfer-Encoding; use Content-Length",
	"Host must be a name or address, and a port if need be",
	"Host must be the same as the host of the request target",
	"Transfer-Encoding may name chunked once only",
	"a chunk extension may not hold control characters",
	"a chunk must end with CRLF where its size says",
	"a chunk size must be hexadecimal digits and CRLF",
	"a header line must start with a name",
	"a header value may not hold NUL or control characters",
	"a trailer may not hold control characters",
	"a trailer must start with a name",
	"an HTTP/1.1 request must have exactly one Host",
	"folded headers are refused; put the value on one line",
	"lines must end with CRLF, not with LF alone",
	"no space may stand between a header's name and its colon",
	"only HTTP/1.0 and HTTP/1.1 are spoken here",
	"the only Transfer-Encoding understood is chunked",
	"the only expectation understood is 100-continue",
	"the request line must end with HTTP/1.1 behind one space",
	"the request line must have a target behind one space",
	"the request must start with a method",
	"the request target may hold visible ASCII only and no #; percent-encode the rest",
	"the request target must start with / or http://host",
	"the target * is for OPTIONS only",
};

static bool is_listed(const char *text)
{
	for (size_t i = 0; i < sizeof(stricter) / sizeof(*stricter); i++)
		if (strcmp(stricter[i], text) == 0)
			return true;
	return false;
}

static void agrees_with_the_library(void **state)
{
	static struct answer ours, theirs;
	char room[2048];
	unsigned both = 0, neither = 0;
	for (int i = 0; i < ROUNDS; i++) {
		struct slice text = slice_of(room, make(room, sizeof(room)));
		ask_ours(text, &ours);
		ask_library(text, &theirs);
		both += ours.done && theirs.done;
		neither += ours.refused && theirs.refused;
		/* It knows a closed list of methods; an unknown one is left to our caller, who answers 405. */
		if (ours.done && !ours.unknown_method &&
			(!theirs.done || ours.body_len != theirs.body_len ||
				memcmp(ours.body, theirs.body, ours.body_len) != 0 ||
				(ours.keep_alive && !theirs.keep_alive) || !slice_eq(ours.method, theirs.method)))
			fail_msg("round %d: accepted otherwise:\n%.*s", i, SLICE_ARG(text));
		if (ours.refused && theirs.done && !is_listed(ours.text))
			fail_msg("round %d: refused alone (%s):\n%.*s", i, ours.text, SLICE_ARG(text));
	}
	/* The generator must reach both ends, or nothing was compared. */
	assert_true(both > ROUNDS / 20);
	assert_true(neither > ROUNDS / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_library)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
