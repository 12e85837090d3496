/* The request headers the protocol side cares about, gathered in one walk, and what they must agree on with the body.
 *
 * Threads: plain functions; slices borrow from the exchange's head. */
#ifndef CS_MCP_HEADERS_H
#define CS_MCP_HEADERS_H

#include "mcp/rpc.h"
#include "net/http_parser.h"

struct request_headers {
	struct slice host, origin, api_key, authorization, session, version, method, name, content_type,
		content_encoding;
	const char *repeated; /* the name of a header that must stand once and does not, or NULL */
	bool has_accept;
	bool accepts_json;   /* application/json or a range that has it; also without any Accept */
	bool accepts_events; /* the same for text/event-stream */
};

void headers_gather(const struct http_head *, struct request_headers *ret_headers);

/* "application/json; charset=utf-8" is "application/json". */
bool headers_media_is(struct slice content_type, struct slice media_type);

/* No Content-Encoding, or one that changes nothing. */
bool headers_body_is_plain(const struct request_headers *);

/* 2026-07-28: Mcp-Method says the body's method, and Mcp-Name its params.name or params.uri where the method has one.
 * The value may be the Base64 form =?base64?...?=. False: RPC_HEADER_MISMATCH. */
bool headers_mirror_body(
	const struct request_headers *, const struct json_doc *, const struct rpc_message *, struct rpc_error *);

/* Decodes =?base64?...?= into `out` (of at least text.len bytes); a value of another form is given as it is. False: the
 * form is there and what it holds is no Base64. Exposed for tests. */
bool headers_decode_value(struct slice text, char *out, struct slice *ret_value);

#endif
