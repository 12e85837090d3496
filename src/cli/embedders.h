/* Which embedder stands behind the port, as the settings say: a server (--embedding-url), the native encoder with a
 * model of this machine, or none (--embedding-model off).
 *
 * Nothing is loaded or sent here. A model that is not installed is no failure: the embedder says so at each call and
 * takes the model into use once it is there. Threads: open and close from one, the port from any worker. */
#ifndef CS_CLI_EMBEDDERS_H
#define CS_CLI_EMBEDDERS_H

#include "base/config.h"
#include "engine/embedder.h"
#include "remote/embed_http.h"
#include "store/embedding.h"

struct embedders {
	struct embedder *native; /* these two: at most one is there */
	struct embed_http *remote;
	struct embed_port port; /* embed NULL: off */
	char about[512];        /* one line for logs and doctor: which one, and where */
	bool missing;           /* native, and no model lies there yet */
};

/* Errors: VALIDATION (a setting's value, which is named). */
CS_CHECKED enum cs_status embedders_open(struct embedders *, const struct config *, struct cs_error *);
/* Takes one that is all zero. */
void embedders_close(struct embedders *);

CS_CHECKED enum cs_status embedders_precision(
	const struct config *, enum encoder_precision *ret_precision, struct cs_error *);

/* Threads that embed: the setting, or the cores. */
unsigned embedders_threads(const struct config *);

/* Options of the embedding service over this port; the caller adds the store's vectors. */
struct embedding_options embedders_service(const struct embedders *, const struct config *);

#endif
