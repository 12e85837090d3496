/* The per-request fields of 2026-07-28: what params._meta of a request must say.
 *
 * Required: io.modelcontextprotocol/protocolVersion (a string) and io.modelcontextprotocol/clientCapabilities (an
 * object); clientInfo may be left out, and is an object with name and version where it is not. Anything missing or of
 * another type is -32602 with status 400; a version that is not ours is -32022 with status 400 and the list of ours.
 * Threads: plain functions. */
#ifndef CS_MCP_META_H
#define CS_MCP_META_H

#include "mcp/revision.h"
#include "mcp/rpc.h"

struct meta {
	uint32_t node;                   /* params._meta, or JSON_NONE */
	struct slice version;            /* the one the request names, or a null pointer: none, or not as a string */
	const struct revision *revision; /* of that name, or NULL */
};

struct meta meta_read(const struct json_doc *, const struct rpc_message *);
/* Does the request claim to be a modern one? A legacy revision's name in _meta does not count: those are not spoken per
 * request. */
bool meta_claims_modern(const struct meta *);
bool meta_check(const struct json_doc *, const struct meta *, const struct revision **ret_revision, struct rpc_error *);

#endif
