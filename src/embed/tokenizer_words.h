/* Text to words: the first half of tokenizer.h, within this folder only.
 *
 * words_split normalises and splits in one pass and calls back for each word. A word's bytes are those the vocabulary is
 * searched for: valid UTF-8, at most WORD_CHARS_MAX characters. Of a longer word only is_too_long is known; it is an
 * unknown word whatever it says, so it is never kept, and memory does not depend on the text.
 * Threads: any. */
#ifndef CS_EMBED_TOKENIZER_WORDS_H
#define CS_EMBED_TOKENIZER_WORDS_H

#include "base/error.h"
#include "base/slice.h"

#define WORD_CHARS_MAX 100 /* the reference's max_input_chars_per_word */
#define WORD_BYTES_MAX (4 * WORD_CHARS_MAX)

struct word {
	struct slice text; /* until the callback returns */
	bool is_too_long;
};

/* A status other than CS_OK ends the walk and is returned; *err then has no text of words_split's. */
typedef enum cs_status words_found(void *self, const struct word *);

/* Errors: CS_VALIDATION with the byte of the text that is no UTF-8; words before it have been reported. */
CS_CHECKED enum cs_status words_split(
	struct slice text, bool lowercase, words_found *found, void *self, struct cs_error *err);

#endif
