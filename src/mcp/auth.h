/* Who is asking: API keys from the environment.
 *
 * Each variable API_KEY_{NAME}=key:user_id:role:is_agent makes one key; roles are admin, writer, reader, guest, and
 * is_agent is true or false. A variable that is set but empty makes none. Without any key everybody is
 * principal_anonymous, which is safe because the server then answers on loopback only. A key's text is never logged or
 * put into an error. Comparison takes the same time whatever differs. Threads: read-only once made. */
#ifndef CS_MCP_AUTH_H
#define CS_MCP_AUTH_H

#include "base/op.h"

#define AUTH_KEYS_MAX      256
#define AUTH_KEY_BYTES_MAX 512

struct auth;

/* `environment` ends with NULL and is copied from; itself NULL: no keys. Errors: CS_VALIDATION (names the variable and
 * the right form), CS_LIMIT_EXCEEDED. */
CS_CHECKED enum cs_status auth_new(char *const *environment, struct auth **ret_auth, struct cs_error *);
void auth_free(struct auth *); /* takes NULL */

bool auth_configured(const struct auth *);

/* From the values of X-API-Key and Authorization (null pointers: absent; X-API-Key goes first). NULL: refused. The
 * principal lives as long as the auth. */
const struct principal *auth_check(const struct auth *, struct slice api_key, struct slice authorization);

#endif
