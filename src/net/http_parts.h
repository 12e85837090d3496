/* What the files of the HTTP parser share; nothing outside them includes this. */
#ifndef CS_NET_HTTP_PARTS_H
#define CS_NET_HTTP_PARTS_H

#include "net/http_parser.h"

static inline enum http_result http_refuse(struct http_error *ret_error, int status, const char *text)
{
	*ret_error = (struct http_error){status, text};
	return HTTP_BAD;
}

/* One line "name: value CRLF" at *at_line, which moves behind it. The caller knows that [*at_line, end) ends with CRLF.
 */
enum http_result http_parse_header_line(
	const char **at_line, const char *end, struct http_header *ret_header, struct http_error *ret_error);

/* Fills what follows from the finished header lines: framing, keep-alive, expectation; refuses contradictions. */
enum http_result http_head_meaning(struct http_head *, const struct http_limits *, struct http_error *ret_error);

/* 1*DIGIT without overflow; false and *ret_value untouched otherwise. */
bool http_decimal(struct slice text, uint64_t *ret_value);

#endif
