/* What the owner of a data directory answers on its Unix socket beyond the tools.
 *
 * POST /owner/ACTION, body {"id": "..."}, for what people can do that no tool does:
 *
 *   restore   undoes delete or forget of the context `id`
 *   history   every version of the context `id`
 *   reembed   makes vectors anew in the background: `id` is "all" (forgets every vector first), "missing" (only those
 *             that lack one, unless the model is another than the stored vectors') or "look" (changes nothing); the
 *             answer tells how far it is
 *
 * Only requests that came over the Unix socket (this user or root) reach them; everything else goes to the protocol's own
 * handler. Threads: as net/server.h; made and freed when no loop runs. */
#ifndef CS_CLI_OWNER_HTTP_H
#define CS_CLI_OWNER_HTTP_H

#include "cli/host.h"
#include "net/server.h"
#include "net/worker.h"

struct owner_http {
	struct server_handler inner; /* mcp_http */
	struct host *host;
	struct workers *workers;
};

/* The wrapped handler; `self` must outlive it. */
struct server_handler owner_http_handler(struct owner_http *self);

/* The same done on a store at hand: appends {"success":true,...} to out. NOT_FOUND: no such action. */
CS_CHECKED enum cs_status owner_act(
	struct slice action, struct store *, struct op *, struct slice id, struct buffer *out, struct cs_error *);

#endif
