/* WordPiece, as BERT's uncased models use it.
 *
 * Normalisation, splitting and matching are those of the reference implementation (the `tokenizers` library's BertNormalizer,
 * BertPreTokenizer and WordPiece), for every Unicode scalar value: control characters are dropped, CJK ideographs and
 * punctuation stand alone, letters are lowered and lose their accents, words over 100 characters are unknown. Character
 * classes and mappings are tables made from the reference (scripts/make-unicode-tables); its classes are those of
 * Unicode 8.0, which is why no newer library serves.
 *
 * Special tokens are added by whoever builds the model's input: text that says "[SEP]" is text here.
 * Source: Devlin et al. 2018 (BERT); Wu et al. 2016 (WordPiece, longest match first).
 *
 * Cost for 30,522 pieces: some milliseconds and 0.8 MB to load; then 30 to 60 ns a piece. At worst (words of 100 letters, a piece
 * each) some 160 ns a piece.
 *
 * Owner: tokenizer_free. Threads: read-only once loaded; tokenizer_encode from any. */
#ifndef CS_EMBED_TOKENIZER_H
#define CS_EMBED_TOKENIZER_H

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

struct tokenizer;

struct tokenizer_options {
	bool lowercase;           /* uncased models; also strips accents */
	uint32_t vocabulary_size; /* what the model's weights expect; another count in the file is an error. 0: any */
};

/* `vocabulary` is the text of vocab.txt: one token a line, the line number is the id. Must hold [UNK] [CLS] [SEP].
 * The text is copied. Errors: CS_VALIDATION (which line, what is wrong), CS_LIMIT_EXCEEDED (memory). */
CS_CHECKED enum cs_status tokenizer_new(
	struct slice vocabulary, struct tokenizer_options, struct tokenizer **ret_tokenizer, struct cs_error *);
void tokenizer_free(struct tokenizer *);

struct token_ids {
	uint32_t *ids; /* in the arena; without special tokens */
	size_t count;
};

/* Invalid UTF-8 is CS_VALIDATION with the byte's place. Time and memory are linear in the text. */
CS_CHECKED enum cs_status tokenizer_encode(
	const struct tokenizer *, struct arena *, struct slice text, struct token_ids *ret_ids, struct cs_error *);

uint32_t tokenizer_cls(const struct tokenizer *);
uint32_t tokenizer_sep(const struct tokenizer *);
uint32_t tokenizer_size(const struct tokenizer *);
struct slice tokenizer_token(const struct tokenizer *, uint32_t id); /* "##ing"; empty if there is no such id */

#endif
