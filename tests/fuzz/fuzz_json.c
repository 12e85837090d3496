/* Any bytes: the reader must not stray, and what it takes must survive a round trip.
 *
 * The input is copied to a piece of its exact size, so that AddressSanitizer sees a byte read behind it. Its first byte
 * chooses limits and the arena's ceiling, so that every way to run out is reached too. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

#define TEXT_CEILING (8u << 20)

/* A first block as a request has one, too small to hide the ceiling. */
#define OWN_SIZE 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz_json: %s\n", what);
	abort();
}

static void round_trip(const struct json_doc *doc)
{
	struct buffer once, twice;
	struct arena arena;
	struct json_doc again;
	struct json_writer w;
	struct cs_error err;
	_Alignas(16) char own[OWN_SIZE];

	buffer_init(&once, TEXT_CEILING);
	buffer_init(&twice, TEXT_CEILING);
	arena_init(&arena, own, sizeof own, SIZE_MAX / 2);
	w = json_writer(&once);
	json_write_node(&w, doc, 0);
	check(!once.failed, "the written text is larger than any read");
	check(json_parse(&arena, buffer_slice(&once), JSON_LIMITS_DEFAULT, &again, &err) == CS_OK,
		"what was written is not read");
	check(json_equal(doc, 0, &again, 0), "what was written reads back different");
	w = json_writer(&twice);
	json_write_node(&w, &again, 0);
	check(slice_eq(buffer_slice(&once), buffer_slice(&twice)), "writing twice differs");
	arena_release(&arena);
	buffer_release(&twice);
	buffer_release(&once);
}

/* Every node lies in its parent's range, and walking sees each value once. */
static void walk(const struct json_doc *doc)
{
	check(doc->count > 0 && doc->nodes[0].next == doc->count, "the first node is not the whole");
	for (uint32_t i = 0; i < doc->count; i++) {
		uint32_t seen = 0;

		check(doc->nodes[i].next > i && doc->nodes[i].next <= doc->count, "a range outside the document");
		for (uint32_t v = json_first(doc, i); v != JSON_NONE; v = json_next(doc, i, v))
			seen++;
		check(seen == doc->nodes[i].count, "the walk and the count differ");
		if (doc->nodes[i].type == JSON_STRING)
			check(utf8_length(doc->nodes[i].text) >= 0, "a string that is not UTF-8");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_limits limits = JSON_LIMITS_DEFAULT;
	struct arena arena;
	struct json_doc doc;
	struct cs_error err;
	size_t ceiling = SIZE_MAX / 2;
	_Alignas(16) char own[OWN_SIZE];
	char *text;

	if (size == 0)
		return 0;
	if (data[0] & 1)
		limits.depth = data[0] >> 4;
	if (data[0] & 2)
		limits.nodes = data[0] >> 3;
	if (data[0] & 4)
		ceiling = (size_t)data[0] << 4;
	text = malloc(size - 1 ? size - 1 : 1);
	check(text != NULL, "no memory");
	if (size > 1)
		memcpy(text, data + 1, size - 1);
	arena_init(&arena, own, sizeof own, ceiling);
	if (json_parse(&arena, slice_of(text, size - 1), limits, &doc, &err) == CS_OK) {
		walk(&doc);
		round_trip(&doc);
	} else {
		check(err.status == CS_SYNTAX || err.status == CS_LIMIT_EXCEEDED, "an unknown error");
	}
	arena_release(&arena);
	free(text);
	return 0;
}
