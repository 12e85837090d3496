/* Any bytes as a request: parsed whole and one byte more at each call, the answer must be the same.
 *
 * Head and body both; a body's bytes are compared by length and a running sum. */
#include "net/http_parser.h"

struct answer {
	enum http_result head, body;
	int status;
	size_t length, used;
	uint64_t sum;
	struct http_head parsed;
};

static const struct http_limits limits = {200, 400, 10, 300};

static void body(struct slice input, size_t step, struct answer *a)
{
	struct http_body state;
	struct http_error error;
	http_body_init(&state, &a->parsed, &limits);
	do {
		size_t used = 0, left = input.len - a->used;
		struct slice piece = {NULL, 0};
		a->body = http_parse_body(
			&state, slice_of(input.ptr + a->used, left < step ? left : step), &used, &piece, &error);
		if (a->body == HTTP_BAD) {
			a->status = error.status;
			a->used = 0;
			return;
		}
		for (size_t i = 0; i < piece.len; i++)
			a->sum = a->sum * 31 + (uint8_t)piece.ptr[i];
		a->used += used;
	} while (a->body == HTTP_NEED_MORE && a->used < input.len);
}

static struct answer parse(struct slice input, bool split)
{
	struct answer a = {.head = HTTP_NEED_MORE};
	struct http_error error;
	size_t scanned = 0;
	for (size_t len = split ? 0 : input.len; len <= input.len && a.head == HTTP_NEED_MORE; len++)
		a.head = http_parse_head(slice_of(input.ptr, len), &limits, &scanned, &a.parsed, &a.length, &error);
	if (a.head == HTTP_BAD)
		a.status = error.status;
	if (a.head == HTTP_DONE)
		body(slice_from(input, a.length), split ? 1 : SIZE_MAX, &a);
	return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data ? (const char *)data : "", size);
	struct answer whole = parse(input, false), split = parse(input, true);
	if (whole.head != split.head || whole.body != split.body || whole.status != split.status ||
		whole.length != split.length || whole.used != split.used || whole.sum != split.sum)
		abort();
	if (whole.head == HTTP_DONE && (whole.length > size || whole.parsed.header_count > limits.header_count))
		abort();
	return 0;
}
