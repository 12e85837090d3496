/* SHA-256 of bytes and files, as lower-case hex. By Nettle. Threads: any. */
#ifndef CS_BASE_SHA256_H
#define CS_BASE_SHA256_H

#include "base/error.h"

#define SHA256_HEX_SIZE 65 /* with its NUL */

/* Reads the file in pieces, so that it leaves no trace in memory. Errors: CS_EMBEDDING_UNAVAILABLE (cannot be read),
 * CS_LIMIT_EXCEEDED (memory). */
CS_CHECKED enum cs_status sha256_file(const char *path, char hex[SHA256_HEX_SIZE], struct cs_error *);
void sha256_bytes(struct slice bytes, char hex[SHA256_HEX_SIZE]);

#endif
