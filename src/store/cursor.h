/* Where to go on: the opaque text between two pages.
 *
 * A cursor holds a position and the hash of the question it belongs to, so that it is refused with any other question,
 * and a check sum, so that a damaged one is refused, too. It is no secret and grants nothing: the question is asked
 * anew each time, under the rights of whoever asks. Form: base64url (RFC 4648, no padding) of check[8] question[8]
 * number[8] mark[8] text. Threads: any. */
#ifndef CS_STORE_CURSOR_H
#define CS_STORE_CURSOR_H

#include "base/arena.h"
#include "base/error.h"

#define CURSOR_TEXT_MAX 256 /* bytes of the text position */
#define CURSOR_SIZE_MAX 512 /* characters of the encoded form */

struct cursor {
	uint64_t question;
	uint64_t number;   /* how many came before */
	uint64_t mark;     /* the state of what was asked, to tell whether it has changed; 0: not told */
	struct slice text; /* the key or id behind which to go on */
};

/* In the arena; empty with a null pointer when that is full. */
struct slice cursor_write(struct arena *, const struct cursor *);
/* Errors: CS_VALIDATION (damaged, or of another question), CS_LIMIT_EXCEEDED (arena). */
CS_CHECKED enum cs_status cursor_read(
	struct arena *, struct slice text, uint64_t question, struct cursor *ret_cursor, struct cs_error *);

#endif
