/* JSON-RPC 2.0: what kind of message a value is, and the envelope of what is answered.
 *
 * An id is a string or an integer and goes back exactly as it came: 64-bit integers and larger ones included. Fractions
 * and null are no ids (MCP's rule, stricter than JSON-RPC's). What cannot be read far enough to have an id is answered
 * with id null, as JSON-RPC asks. Threads: plain functions. */
#ifndef CS_MCP_RPC_H
#define CS_MCP_RPC_H

#include "base/json.h"

enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,
	RPC_HEADER_MISMATCH = -32020,     /* 2026-07-28: headers and body differ, or a required header is missing */
	RPC_UNSUPPORTED_VERSION = -32022, /* 2026-07-28: with data {supported, requested} */
};

/* Filled on failure only: no part of the good path touches it. */
struct rpc_error {
	enum rpc_code code;
	int http;               /* status over HTTP */
	struct slice requested; /* RPC_UNSUPPORTED_VERSION: what was asked for */
	char text[CS_ERROR_TEXT_MAX];
};

/* Returns false, so that `return rpc_fail(...)` reads as one thing. */
CS_COLD bool rpc_fail(struct rpc_error *, enum rpc_code, int http, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

struct rpc_message {
	enum rpc_kind kind;
	struct slice method; /* empty in a response */
	uint32_t id;         /* node; JSON_NONE in a notification */
	uint32_t params;     /* node of an object or array; JSON_NONE: none */
};

/* False: the value is no message (RPC_INVALID_REQUEST, 400). */
bool rpc_classify(const struct json_doc *, uint32_t node, struct rpc_message *ret_message, struct rpc_error *);

/* The id as JSON text; JSON_NONE writes null. */
void rpc_write_id(struct json_writer *, const struct json_doc *, uint32_t id);

/* {"jsonrpc":"2.0","id":ID,"result": -- the caller writes the value and then json_end_object. */
void rpc_begin_result(struct json_writer *, const struct json_doc *, uint32_t id);
void rpc_write_error(struct buffer *out, const struct json_doc *, uint32_t id, const struct rpc_error *);

#endif
