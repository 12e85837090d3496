/* What bench reads that others wrote: replies of any server, and result files. The first byte chooses.
 *
 * A frame that is whole must lie within the bytes, and be no different when more bytes follow it. A result that is read
 * must be one that is written and read again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bench/compare.h"
#include "bench/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame(enum frame_state (*read)(const char *, size_t, size_t *), const char *bytes, size_t size)
{
	size_t length = 0, longer = 0;
	enum frame_state state = size > 0 ? read(bytes, size, &length) : FRAME_PARTIAL;
	char *more;

	if (state != FRAME_GOOD && state != FRAME_FAILED)
		return;
	assert(length > 0 && length <= size);
	more = malloc(size + 1);
	if (!more)
		return;
	memcpy(more, bytes, size);
	more[size] = 'x';
	assert(read(more, size + 1, &longer) == state && longer == length);
	free(more);
}

static void result(const char *bytes, size_t size)
{
	struct comparison_list list;
	struct result r, again;
	struct buffer out;
	struct arena arena;

	arena_init(&arena, NULL, 0, 64u << 20);
	buffer_init(&out, 16u << 20);
	if (result_read(&arena, slice_of(bytes, size), &r, NULL) == CS_OK) {
		result_write(&r, &out);
		if (!out.failed) {
			assert(result_read(&arena, buffer_slice(&out), &again, NULL) == CS_OK);
			assert(again.count == r.count);
		}
		(void)!compare_results(&arena, &r, &r, COMPARE_THRESHOLD, &list, NULL);
	}
	buffer_release(&out);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data + 1;

	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0: frame(frame_http, bytes, size - 1); break;
	case 1: frame(frame_mcp, bytes, size - 1); break;
	case 2: frame(frame_redis, bytes, size - 1); break;
	default: result(bytes, size - 1); break;
	}
	return 0;
}
