/* Contexts on the screen. Threads: the main one; output goes to standard output. */
#ifndef CS_CLI_SHOW_H
#define CS_CLI_SHOW_H

#include "base/json.h"

/* A value as indented JSON, control characters escaped as JSON does; ends without a newline. */
void show_json(const struct json_doc *, uint32_t node);

/* Head (id, type, version, dates, metadata, relationships) and content of one result of retrieve_context. */
void show_context(const struct json_doc *, uint32_t context);

/* What a line of a list says of a content: its title and text, or its JSON where it has neither. Empty without memory.
 */
struct slice show_summary(struct arena *, const struct json_doc *, uint32_t content);

#endif
