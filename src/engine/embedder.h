/* The native encoder behind port/embed.h: a model's directory, loaded by the first call that needs it.
 *
 * Opening costs nothing, so a process that never embeds never touches the weights. The first call maps them while the
 * others wait. A load that failed is kept with its reason and given to whoever calls; it is tried again when
 * EMBEDDER_RETRY_MS are over, or as soon as one of the model's files is another than it was (a model that was pulled
 * meanwhile is in use at the next call). A loaded model stays until the end, whatever becomes of its files.
 *
 * Threads: new and free from one, the port from any worker; each call computes on its own thread. Errors: those of
 * port/embed.h. */
#ifndef CS_ENGINE_EMBEDDER_H
#define CS_ENGINE_EMBEDDER_H

#include "embed/encoder.h"
#include "port/embed.h"

#define EMBEDDER_RETRY_MS 30000

struct embedder;

struct embedder_options {
	struct slice name;      /* the model's id beside the vectors */
	struct slice directory; /* absolute */
	enum encoder_precision precision;
};

/* Everything is copied. Errors: LIMIT_EXCEEDED (memory). */
CS_CHECKED enum cs_status embedder_new(
	const struct embedder_options *, struct embedder **ret_embedder, struct cs_error *);
/* No call may be running. Takes NULL. */
void embedder_free(struct embedder *);

struct embed_port embedder_port(struct embedder *);

#endif
