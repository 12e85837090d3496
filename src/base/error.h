/* What can go wrong, in one table.
 *
 * A function that can fail returns enum cs_status and takes a struct cs_error * last, which it fills with one sentence
 * for the person or model at the other end: what was wrong, where, and what would be right. The table gives each status
 * the `error_type` clients see, the HTTP status of POST /tools/{name}, and the words used where no detail was given.
 * Programmer errors assert; assertions stay on in release builds.
 * Threads: a cs_error belongs to one call. */
#ifndef CS_BASE_ERROR_H
#define CS_BASE_ERROR_H

#include <stdint.h>

#include "base/slice.h"

/* clang-format off */
/*        symbol               error_type                HTTP  default text */
#define CS_STATUS_TABLE(X)                                                                                                     \
	X(OK,                    "",                       200, "done")                                                        \
	X(RATE_LIMIT,            "rate_limit",             429, "too many requests")                                           \
	X(VALIDATION,            "validation_error",       400, "an argument is not valid")                                    \
	X(INVALID_AGENT_ID,      "invalid_agent_id",       400, "agent_id must match ^[a-zA-Z0-9_-]{1,64}$")                   \
	X(INVALID_KEY,           "invalid_key",            400, "key must match ^[a-zA-Z0-9_.-]{1,128}$")                      \
	X(INVALID_PREFIX,        "invalid_prefix",         400, "prefix must be one of scratchpad, state, memory, config")     \
	X(INVALID_TTL,           "invalid_ttl",            400, "ttl must be a whole number of seconds from 60 to 86400")      \
	X(INVALID_CONTENT_TYPE,  "invalid_content_type",   400, "content has the wrong type")                                  \
	X(CONTENT_TOO_LARGE,     "content_too_large",      413, "content is too large")                                        \
	X(MISSING_PARAMETER,     "missing_parameter",      400, "a required argument is missing")                              \
	X(KEY_NOT_FOUND,         "key_not_found",          404, "no value under this key")                                     \
	X(NOT_FOUND,             "not_found",              404, "not found")                                                   \
	X(VERSION_CONFLICT,      "version_conflict",       409, "the stored version is another one")                           \
	X(ACCESS_DENIED,         "access_denied",          401, "a valid API key is needed")                                   \
	X(FORBIDDEN,             "forbidden_operation",    403, "this key may not do that")                                    \
	X(SYNTAX,                "syntax_error",           400, "the text cannot be parsed")                                   \
	X(TIMEOUT,               "timeout",                504, "the time allowed ran out")                                    \
	X(LIMIT_EXCEEDED,        "limit_exceeded",         400, "a limit was reached")                                         \
	X(UNAVAILABLE,           "storage_unavailable",    503, "storage does not answer")                                     \
	X(STORAGE,               "storage_error",          500, "storage failed")                                              \
	X(EMBEDDING_UNAVAILABLE, "embedding_unavailable",  503, "no embedding model is available")                             \
	X(UNEXPECTED,            "unexpected_error",       500, "an unexpected error")                                         \
	/* Never reaches a client: the call would have to wait, and its op does not allow it (base/op.h). */                 \
	X(WOULD_WAIT,            "unexpected_error",       500, "the answer is not in memory")

enum cs_status {
#define X(symbol, type, http, text) CS_##symbol,
	CS_STATUS_TABLE(X)
#undef X
	CS_STATUS_COUNT
};
/* clang-format on */

#define CS_ERROR_TEXT_MAX    512
#define CS_ERROR_BACKEND_MAX 128

struct cs_error {
	enum cs_status status;
	char text[CS_ERROR_TEXT_MAX]; /* NUL-terminated UTF-8: what makes no whole character is left out */
	uint64_t version;             /* VERSION_CONFLICT: the version that is stored (0: nothing is) */
	/* UNAVAILABLE by a server that is left alone for now: its name and address (without secrets; empty: none is
	 * told), since when it has not answered, and when it is asked again, both wall time. */
	char backend[CS_ERROR_BACKEND_MAX];
	int64_t since_ms, next_try_ms;
};

#define CS_CHECKED __attribute__((warn_unused_result))

/* Failing is rare: with this on what tells of it, compilers keep the branches that lead there out of the way. */
#define CS_COLD __attribute__((cold))

/* Fills *err (which may be NULL) and returns the status, so that `return cs_fail(...)` reads as one thing. */
CS_COLD enum cs_status cs_fail(struct cs_error *err, enum cs_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Out of memory, or an arena or buffer at its ceiling: LIMIT_EXCEEDED with a text that says so. */
CS_COLD enum cs_status cs_fail_memory(struct cs_error *err);

const char *cs_status_type(enum cs_status status); /* "validation_error"; "" for CS_OK */
int cs_status_http(enum cs_status status);
const char *cs_status_text(enum cs_status status);

#endif
