/* Sessions of the legacy revisions, and the requests in flight that a client may cancel.
 *
 * `initialize` over HTTP opens a session; its id is 128 random bits (getrandom) that the client sends back. A session
 * knows its revision and whose it is: another principal's id is as unknown as a wrong one. The table is bounded; a new
 * session takes the place of the one unused for longest. When a session ends (DELETE, eviction) its event streams end.
 *
 * Up to SESSION_STREAMS_MAX GET streams may be open in a session. A message of the server goes to one of them; this
 * server has none to send yet: its tools never change and nothing else is announced.
 *
 * Threads: any. A struct session is used between a call that returns it and session_unref. */
#ifndef CS_MCP_SESSION_H
#define CS_MCP_SESSION_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/op.h"
#include "mcp/revision.h"
#include "net/server.h"

#define SESSION_ID_SIZE     32 /* hexadecimal digits */
#define SESSION_STREAMS_MAX 4

struct sessions;
struct session;

CS_CHECKED enum cs_status sessions_new(unsigned sessions_max, struct sessions **ret_sessions, struct cs_error *);
/* When no loop and no worker runs any more. Takes NULL. */
void sessions_free(struct sessions *);
unsigned sessions_count(struct sessions *);

/* `principal` outlives the table. Errors: CS_UNAVAILABLE (no random numbers), CS_LIMIT_EXCEEDED (memory). */
CS_CHECKED enum cs_status sessions_open(struct sessions *, const struct principal *, const struct revision *,
	char ret_id[SESSION_ID_SIZE], struct cs_error *);
/* The session's revision, and the session is the latest used; NULL: unknown. */
const struct revision *sessions_touch(struct sessions *, const struct principal *, struct slice id);
/* False: unknown. */
bool sessions_close(struct sessions *, const struct principal *, struct slice id);

/* A counted reference; NULL: unknown. */
struct session *session_ref(struct sessions *, const struct principal *, struct slice id);
void session_unref(struct session *); /* takes NULL */

/* GET streams. Take a place, open the stream, attach it; give the place back when it is closed or could not be opened.
 * A negative place: all are taken, or the session has ended. */
int session_take_place(struct session *);
void session_attach(struct session *, int place, struct sse *);
void session_give_place(struct session *, int place);

/* Requests in flight on one channel (a session, or stdio), by id. The entry is the caller's and is on the list from add
 * to remove. Ids are their JSON text. An id that is used twice at once is found at its first place. */
struct inflight {
	struct inflight *next, **link;
	struct slice id;
	atomic_bool cancelled;
};

void session_inflight_add(struct session *, struct inflight *);
void session_inflight_remove(struct session *, struct inflight *);
void session_cancel(struct session *, struct slice id);

/* The list itself, for a channel with a lock of its own. */
void inflight_add(struct inflight **list, struct inflight *);
void inflight_remove(struct inflight *);
struct inflight *inflight_find(struct inflight *list, struct slice id);

#endif
