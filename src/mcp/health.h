/* What health pages say about the servers behind a store.
 *
 * /health/ready is 503 while any of them is not up, because a tool that needs it fails: whoever watches or balances
 * should know. `?exclude=NAME` leaves one out of that judgement, for whom the rest is worth serving (contexts do not
 * need Redis); the page lists it all the same. The form is that of /readyz of the Kubernetes API server.
 * Threads: any, event loops too. */
#ifndef CS_MCP_HEALTH_H
#define CS_MCP_HEALTH_H

#include "base/json.h"
#include "store/store.h"

/* Is every server up, but those that `query` (as it stands behind '?') excludes? Also without any. */
bool health_backends_up(const struct store *, struct slice query);

/* "backends":[...], nothing without any. `detailed` adds checks, connections and cache. */
void health_write_backends(struct json_writer *, const struct store *, bool detailed);

#endif
