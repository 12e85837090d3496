/* A whole file that a command line names. Threads: any. */
#ifndef CS_CLI_READ_FILE_H
#define CS_CLI_READ_FILE_H

#include "base/buffer.h"

/* Appends it. Errors, which name the path: NOT_FOUND (cannot be opened), UNAVAILABLE (cannot be read), LIMIT_EXCEEDED (more
 * than the buffer may hold). */
CS_CHECKED enum cs_status read_file(const char *path, struct buffer *out, struct cs_error *);

#endif
