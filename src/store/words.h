/* What indexes and filters need, drawn out of a context's content and metadata.
 *
 *   title      content.title, else content.name, else metadata.title
 *   status     metadata.status, else content.status
 *   source author agent_id namespace priority tags[]   from metadata
 *   words      the title, content.text, every other string below content in text order, the tags; one a line
 *
 * A member of another type is passed over: content is free, and a number called "title" is no error. Member names are
 * not words: every design has a "components", and a word that all texts have finds nothing. Slices live in op->arena or
 * in the document. Threads: any. Errors: LIMIT_EXCEEDED (memory, more than CONTEXT_TAGS_MAX). */
#ifndef CS_STORE_WORDS_H
#define CS_STORE_WORDS_H

#include "base/json.h"
#include "port/context.h"

/* Fills the drawn members of *context and leaves the others. metadata may be JSON_NONE. */
CS_CHECKED enum cs_status words_draw(struct op *, const struct json_doc *, uint32_t content, uint32_t metadata,
	struct context *context, struct cs_error *);

#endif
