/* The tokenizer of the full-text index, for texts outside of it: queries, and what the word index counts.
 *
 * It is FTS5's own (porter over unicode61, as the table in schema.c says), so that a word is the same word everywhere.
 * FTS5 gives tokenizers to connections only, and one works on one text at a time: here is a pool of them, made on a
 * connection to nothing when first asked for. A text costs some 0.1 us a word; making a tokenizer would cost 2 us.
 * Threads: any. */
#ifndef CS_ENGINE_TOKENIZERS_H
#define CS_ENGINE_TOKENIZERS_H

#include "engine/sql.h"

struct tokenizers;

#define TOKENIZERS_WORD_MAX 32768 /* bytes; FTS5 cuts longer words (FTS5_MAX_TOKEN_SIZE) */

/* A word as the index keeps it, and where in the text it came from. What it returns ends the run if not SQLITE_OK. */
typedef int token_fn(void *self, int flags, const char *token, int length, int start, int end);

CS_CHECKED enum cs_status tokenizers_new(struct tokenizers **ret_tokenizers, struct cs_error *err);
void tokenizers_free(struct tokenizers *tokenizers); /* when nobody uses it; takes NULL */

/* Gives each word of the text in its order. SQLite's code; SQLITE_DONE, which a token_fn may return, is SQLITE_OK. */
CS_CHECKED int tokenizers_run(struct tokenizers *tokenizers, struct slice text, token_fn *on_token, void *self);

#endif
