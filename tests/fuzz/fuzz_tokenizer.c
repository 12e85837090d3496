/* Any bytes as a text, and as a vocabulary: nothing strays, and what comes out follows the rules of WordPiece.
 *
 * The first byte chooses: a text for a small vocabulary, cased or not, under an arena's ceiling or without; or a
 * vocabulary of its own. Inputs are copied to pieces of their exact size, so that AddressSanitizer sees a byte read
 * behind them. */
#include <stdio.h>
#include <stdlib.h>

#include "embed/tokenizer.h"

#define VOCABULARY                                                                                                     \
	"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n##a\n##b\nab\n##ba\nthe\n##ing\n.\n!\n[\n]\nsep\n1\n##1\n\xC3\x9F\n##"      \
	"\xC3\x9F\n"                                                                                                   \
	"\xE4\xB8\xAD\n\xCE\xB1\n##\xCE\xB1\n\xE1\x84\x80\n##\xE1\x85\xA1\n##\xE3\x80\xAE\n##\xE3\x80\xAF\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz_tokenizer: %s\n", what);
	abort();
}

/* Every id is in the vocabulary, and a piece that goes on follows one that is no [UNK]. */
static void check_ids(const struct tokenizer *t, struct token_ids ids, size_t text_len)
{
	check(ids.count <= 4 * text_len, "more pieces than four a byte");
	for (size_t i = 0; i < ids.count; i++) {
		struct slice piece = tokenizer_token(t, ids.ids[i]);

		check(piece.len > 0, "no such id");
		if (slice_starts(piece, S("##")))
			check(i > 0 && !slice_eq(tokenizer_token(t, ids.ids[i - 1]), S("[UNK]")),
				"a piece goes on nothing");
	}
}

static void encode(const struct tokenizer *t, struct slice text, size_t ceiling)
{
	struct token_ids first, second;
	struct arena arena;
	struct cs_error err;
	enum cs_status status;

	arena_init(&arena, NULL, 0, ceiling);
	status = tokenizer_encode(t, &arena, text, &first, &err);
	check(status == CS_OK || status == CS_VALIDATION || status == CS_LIMIT_EXCEEDED, "an unknown error");
	if (status == CS_OK) {
		check_ids(t, first, text.len);
		status = tokenizer_encode(t, &arena, text, &second, &err);
		check(status == CS_LIMIT_EXCEEDED || (status == CS_OK && second.count == first.count &&
							     memcmp(first.ids, second.ids, 4 * first.count) == 0),
			"the same text gives other pieces");
	}
	arena_release(&arena);
}

/* Each line of a vocabulary that is taken is there under its number. */
static void load(struct slice vocabulary)
{
	struct tokenizer *t;
	struct cs_error err;
	enum cs_status status = tokenizer_new(vocabulary, (struct tokenizer_options){.lowercase = true}, &t, &err);

	check(status == CS_OK || (status == CS_VALIDATION && err.text[0]), "an unknown error");
	if (status != CS_OK)
		return;
	for (uint32_t id = 0; id < tokenizer_size(t); id++)
		check(tokenizer_token(t, id).len > 0, "a line is lost");
	encode(t, vocabulary, SIZE_MAX / 2);
	tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tokenizer *small[2];
	struct cs_error err;
	char *text;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < 2 && !small[i]; i++)
		check(tokenizer_new(S(VOCABULARY), (struct tokenizer_options){.lowercase = i}, &small[i], &err) ==
				CS_OK,
			"the small vocabulary");
	text = malloc(size - 1 ? size - 1 : 1);
	check(text != NULL, "no memory");
	if (size > 1)
		memcpy(text, data + 1, size - 1);
	if (data[0] & 2)
		load(slice_of(text, size - 1));
	else
		encode(small[data[0] & 1], slice_of(text, size - 1), data[0] & 4 ? data[0] * 8u : SIZE_MAX / 2);
	free(text);
	return 0;
}
