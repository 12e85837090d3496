/* The hits of retrieve_context in its reply, within a budget of bytes.
 *
 * Hits are written while they fit. A first one too large for the whole budget is given with its content cut to
 * {"excerpt": ...} and content_truncated, so that each page makes progress.
 * Threads: plain functions of one call. */
#ifndef CS_MCP_RETRIEVE_HITS_H
#define CS_MCP_RETRIEVE_HITS_H

#include "base/json.h"
#include "store/retrieve.h"

struct hits_form {
	bool with_relations, explain;
	bool by_date;  /* the search was to give the newest first */
	size_t budget; /* bytes for what is written here; SIZE_MAX: none */
};

/* The member not_found, if an id was not. Takes what it needs off form->budget, at most a third; true when ids had to be
 * left out for that. */
bool hits_write_not_found(struct json_writer *, struct hits_form *form, const struct retrieve_result *);
/* The member results. How many hits were written; *ret_truncated becomes true (and is not touched otherwise) when the
 * budget left hits out, or a part of the one that is there. */
size_t hits_write(struct json_writer *, const struct hits_form *, const struct retrieve_result *, bool *ret_truncated);

#endif
