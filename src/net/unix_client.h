/* One HTTP request over a Unix socket, waited for: how a process asks the owner of a data directory.
 *
 * Blocking, with a deadline; for workers and the command line. A client keeps up to UNIX_CLIENT_IDLE_MAX connections
 * open between calls. Where a reused one turns out to be closed by a peer that has not read the whole request, it is sent once
 * more on a new one; never where it may have been read, and done. Threads: any; each call has a connection of its own. Errors: CS_UNAVAILABLE (nobody listens, or the
 * connection broke), CS_TIMEOUT, CS_LIMIT_EXCEEDED (reply over out's ceiling). */
#ifndef CS_NET_UNIX_CLIENT_H
#define CS_NET_UNIX_CLIENT_H

#include "base/buffer.h"
#include "base/op.h"

#define UNIX_CLIENT_IDLE_MAX 4

struct unix_client;

CS_CHECKED enum cs_status unix_client_new(struct slice socket_path, struct unix_client **ret_client, struct cs_error *);
void unix_client_free(struct unix_client *);

/* GET when body is empty, else POST with application/json. The reply's body replaces the contents of *out. *sent (may
 * be NULL) is set on failure too, and says what that means: false, and nobody has had the whole request. */
CS_CHECKED enum cs_status unix_client_call(struct unix_client *, struct op *, struct slice path, struct slice body,
	int *ret_status, struct buffer *out, bool *sent, struct cs_error *);

#endif
