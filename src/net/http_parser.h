/* HTTP/1.1 requests from bytes, incrementally (RFC 9110, RFC 9112).
 *
 * The caller feeds whatever has arrived so far of one request, from its first byte; the parser remembers how far it
 * looked, so that a head that arrives in many pieces is scanned once. It borrows: names and values are slices of the
 * caller's bytes, given when the head is whole. The body is framed here too (Content-Length, chunked) and handed out in
 * pieces.
 *
 * Refused, each with its status and a sentence: a bad request line or header (400), a header name with space before the
 * colon, folded headers, bare CR, NUL or control characters in a value, Content-Length with Transfer-Encoding, more
 * than one Content-Length, a length that is no number (400), a transfer coding other than chunked alone (501),
 * Transfer-Encoding in 1.0, a Host that is not the host of an absolute-form target (400), an expectation other than
 * 100-continue (417), a request line over the limit (414), headers over the limits (431), a body over the limit (413),
 * HTTP/0.9 and versions other than 1.0 and 1.1 (505), a 1.1 request without exactly one Host (400), bad chunk sizes and
 * trailers over the limit (400). Bare LF line ends are refused. After an error the connection must be closed: where the
 * next request starts is unknown.
 *
 * Checked against libhttp-parser (tests/property/test_http_oracle), split at every byte, and fuzzed
 * (tests/fuzz/fuzz_http). Threads: one parser a connection. No allocation. */
#ifndef CS_NET_HTTP_PARSER_H
#define CS_NET_HTTP_PARSER_H

#include "base/error.h"
#include "base/slice.h"

#define HTTP_HEADERS_MAX 100

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH, HTTP_OTHER };

struct http_header {
	struct slice name;  /* as sent; compare with slice_eq_nocase */
	struct slice value; /* without surrounding spaces and tabs */
};

struct http_head {
	enum http_method method;
	struct slice method_name;
	struct slice target;  /* as sent: "/tools/x?y=z" */
	struct slice path;    /* target up to '?', still percent-encoded; of an absolute-form target its path */
	struct slice query;   /* behind '?', or empty */
	uint8_t minor;        /* 0 or 1 */
	bool keep_alive;      /* after Connection and version */
	bool expect_continue; /* asked for, and there is a body to wait for */
	bool has_body;        /* chunked, or a Content-Length over 0 */
	bool chunked;
	uint64_t content_length; /* when has_body and not chunked */
	uint32_t header_count;
	struct http_header headers[HTTP_HEADERS_MAX];
};

struct http_limits {
	size_t request_line;   /* bytes */
	size_t headers;        /* bytes of all header lines */
	uint32_t header_count; /* at most HTTP_HEADERS_MAX */
	uint64_t body;         /* bytes after de-chunking */
};

#define HTTP_LIMITS_DEFAULT ((struct http_limits){8u << 10, 16u << 10, HTTP_HEADERS_MAX, 4u << 20})

enum http_result { HTTP_NEED_MORE, HTTP_DONE, HTTP_BAD };

struct http_error {
	int status;       /* 400, 413, 414, 417, 431, 501, 505 */
	const char *text; /* one constant sentence: what is wrong and what would be right */
};

/* Head. `input` starts at the request's first byte and grows from call to call; *scanned starts at 0 and is the
 * parser's. HTTP_DONE: *ret_head is filled, *ret_length is the head's length with its empty line. Up to two empty lines
 * (CRLF) before the request line are skipped (RFC 9112 2.2). *ret_head is scratch until then: without HTTP_DONE its
 * contents mean nothing. */
enum http_result http_parse_head(struct slice input, const struct http_limits *, size_t *scanned,
	struct http_head *ret_head, size_t *ret_length, struct http_error *ret_error);

/* Body. Feed input until HTTP_DONE; each call consumes *ret_used bytes of which *ret_piece (maybe empty) are body
 * bytes. HTTP_NEED_MORE with *ret_used > 0 means: call again with the rest. */
struct http_body {
	uint64_t left;  /* of the body or the current chunk */
	uint64_t total; /* body bytes so far */
	uint64_t max;
	uint32_t line;       /* bytes of the current chunk-size line or trailer section */
	uint32_t extensions; /* bytes of chunk extensions so far */
	uint8_t state;
	bool chunked;
};

void http_body_init(struct http_body *, const struct http_head *, const struct http_limits *);
enum http_result http_parse_body(struct http_body *, struct slice input, size_t *ret_used, struct slice *ret_piece,
	struct http_error *ret_error);

/* "OK", "Not Found", ...; "" for an unknown status. */
const char *http_reason(int status);

#endif
