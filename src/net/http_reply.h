/* The head of an HTTP/1.1 reply, for clients. The body is framed by http_parse_body.
 *
 * As strict as the request parser and built from its parts; a file of its own because what a reply's headers mean
 * differs: some statuses have no body, and a body may end with the connection. Threads: pure function. No allocation.
 */
#ifndef CS_NET_HTTP_REPLY_H
#define CS_NET_HTTP_REPLY_H

#include "net/http_parser.h"

#define HTTP_REPLY_HEAD_MAX (16u << 10)

struct http_reply {
	int status;
	uint8_t minor;
	bool keep_alive;
	bool chunked;
	bool has_length;
	bool until_close; /* neither length nor chunks: the body ends with the connection */
	uint64_t content_length;
};

/* As http_parse_head: input grows from call to call. An error's status is 502. */
enum http_result http_parse_reply(
	struct slice input, struct http_reply *ret_reply, size_t *ret_length, struct http_error *ret_error);

#endif
