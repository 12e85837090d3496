/* The framing of a body: a count of bytes, or chunks (RFC 9112 7.1).
 *
 * A byte-driven machine, for the framing bytes only: they are few, and no buffer is needed for a size line that arrives
 * in pieces; body bytes are handed out as slices of what came in. Stricter than the RFC asks: no space before a chunk
 * extension, and all extensions of a body together have a ceiling, or one-byte chunks could carry a flood of them.
 * Extensions and trailers are checked and dropped: merging trailers into headers is how a header is smuggled in late.
 */
#include "net/http_parts.h"
#include "net/http_scan.h"

#define SIZE_LINE_MAX  256u        /* one chunk-size line, extension included */
#define EXTENSIONS_MAX (16u << 10) /* all extensions of a body */
#define TRAILERS_MAX   (4u << 10)  /* the whole trailer section */

enum state {
	COUNTED,    /* Content-Length: `left` bytes */
	SIZE_FIRST, /* the first digit of a chunk size */
	SIZE,       /* further digits */
	EXTENSION,  /* from ';' to CR */
	SIZE_LF,    /* LF of the size line */
	DATA,       /* `left` bytes of a chunk */
	DATA_CR,
	DATA_LF,
	TRAILER, /* the start of a trailer line, or the CR of the last line */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
	DONE,
};

void http_body_init(struct http_body *body, const struct http_head *head, const struct http_limits *limits)
{
	*body = (struct http_body){.max = limits->body, .chunked = head->chunked};
	if (!head->has_body)
		body->state = DONE;
	else if (head->chunked)
		body->state = SIZE_FIRST;
	else {
		body->state = COUNTED;
		body->left = head->content_length;
	}
}

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* A byte of the chunk-size line. */
static enum http_result size_byte(struct http_body *body, char c, struct http_error *ret_error)
{
	if (++body->line > SIZE_LINE_MAX)
		return http_refuse(ret_error, 400, "a chunk-size line is too long");
	if (body->state == EXTENSION) {
		if (++body->extensions > EXTENSIONS_MAX)
			return http_refuse(ret_error, 400, "the chunk extensions are too long");
		if (c == '\r')
			body->state = SIZE_LF;
		else if (!http_is_text(c))
			return http_refuse(ret_error, 400, "a chunk extension may not hold control characters");
		return HTTP_NEED_MORE;
	}
	if (http_char_class[(uint8_t)c] & HTTP_CHAR_HEX) {
		if (body->left > UINT64_MAX >> 4)
			return http_refuse(ret_error, 400, "a chunk size is out of range");
		body->left = body->left << 4 | hex_digit(c);
		body->state = SIZE;
		return HTTP_NEED_MORE;
	}
	if (body->state == SIZE && (c == '\r' || c == ';')) {
		body->state = c == ';' ? EXTENSION : SIZE_LF;
		return HTTP_NEED_MORE;
	}
	return http_refuse(ret_error, 400, "a chunk size must be hexadecimal digits and CRLF");
}

static enum http_result trailer_byte(struct http_body *body, char c, struct http_error *ret_error)
{
	if (++body->line > TRAILERS_MAX)
		return http_refuse(ret_error, 400, "the trailers are too long");
	switch (body->state) {
	case TRAILER:
		if (c == '\r')
			body->state = LAST_LF;
		else if (http_is_token(c))
			body->state = TRAILER_NAME;
		else
			return http_refuse(ret_error, 400, "a trailer must start with a name");
		return HTTP_NEED_MORE;
	case TRAILER_NAME:
		if (c == ':')
			body->state = TRAILER_VALUE;
		else if (!http_is_token(c))
			return http_refuse(ret_error, 400, "a trailer must be a name, a colon and a value");
		return HTTP_NEED_MORE;
	default:
		if (c == '\r')
			body->state = TRAILER_LF;
		else if (!http_is_text(c))
			return http_refuse(ret_error, 400, "a trailer may not hold control characters");
		return HTTP_NEED_MORE;
	}
}

/* A line feed is due. */
static enum http_result line_feed(struct http_body *body, char c, struct http_error *ret_error)
{
	if (c != '\n')
		return http_refuse(ret_error, 400, "CR may stand only at the end of a line, before LF");
	switch (body->state) {
	case SIZE_LF:
		body->line = 0;
		/* total never passes max, so the subtraction is safe where the sum might overflow. */
		if (body->left > body->max - body->total)
			return http_refuse(ret_error, 413, "the body is too large");
		body->state = body->left > 0 ? DATA : TRAILER;
		return HTTP_NEED_MORE;
	case DATA_LF: body->state = SIZE_FIRST; return HTTP_NEED_MORE;
	case TRAILER_LF: body->state = TRAILER; return HTTP_NEED_MORE;
	default: body->state = DONE; return HTTP_DONE;
	}
}

static enum http_result framing_byte(struct http_body *body, char c, struct http_error *ret_error)
{
	switch (body->state) {
	case SIZE_FIRST:
	case SIZE:
	case EXTENSION: return size_byte(body, c, ret_error);
	case DATA_CR:
		if (c != '\r')
			return http_refuse(ret_error, 400, "a chunk must end with CRLF where its size says");
		body->state = DATA_LF;
		return HTTP_NEED_MORE;
	case TRAILER:
	case TRAILER_NAME:
	case TRAILER_VALUE: return trailer_byte(body, c, ret_error);
	default: return line_feed(body, c, ret_error);
	}
}

/* Body bytes from the front of `input`. */
static struct slice take(struct http_body *body, struct slice input)
{
	size_t len = input.len < body->left ? input.len : (size_t)body->left;
	body->left -= len;
	body->total += len;
	return slice_of(input.ptr, len);
}

enum http_result http_parse_body(struct http_body *body, struct slice input, size_t *ret_used, struct slice *ret_piece,
	struct http_error *ret_error)
{
	size_t at = 0;
	struct slice piece = {input.ptr, 0};
	if (body->state == COUNTED) {
		if (body->left > body->max - body->total)
			return http_refuse(ret_error, 413, "the body is too large");
		piece = take(body, input);
		at = piece.len;
		if (body->left == 0)
			body->state = DONE;
	}
	while (at < input.len && piece.len == 0 && body->state != DONE) {
		if (body->state == DATA) {
			piece = take(body, slice_from(input, at));
			at += piece.len;
			if (body->left == 0)
				body->state = DATA_CR;
			continue;
		}
		if (framing_byte(body, input.ptr[at], ret_error) == HTTP_BAD)
			return HTTP_BAD;
		at++;
	}
	*ret_used = at;
	*ret_piece = piece;
	return body->state == DONE ? HTTP_DONE : HTTP_NEED_MORE;
}
