/* Replies of embedding servers. The first byte is the number of texts asked for, the second the dimension expected (0:
 * any). What is accepted must be vectors of unit length, finite, of the dimension said; what is refused must touch
 * nothing. */
#include <assert.h>
#include <math.h>

#include "port/embed.h"
#include "remote/embed_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice body = slice_of((const char *)data + 2, size < 2 ? 0 : size - 2);
	struct embed_reply reply = {.dimension = UINT32_MAX};
	struct arena arena;
	struct cs_error err;
	char reason[64];
	size_t count;

	if (size < 2)
		return 0;
	count = 1 + data[0] % 8;
	arena_init(&arena, NULL, 0, 16u << 20);
	if (embed_reply_parse(&arena, body, count, data[1], &reply, &err) == CS_OK) {
		assert(reply.dimension > 0 && reply.dimension <= EMBED_DIMENSION_MAX);
		assert(data[1] == 0 || reply.dimension == data[1]);
		for (size_t i = 0; i < count; i++) {
			double sum = 0;

			for (size_t d = 0; d < reply.dimension; d++)
				sum += pow(reply.vectors[i * reply.dimension + d], 2);
			assert(fabs(sum - 1) < 1e-3);
		}
	} else {
		assert(reply.dimension == UINT32_MAX);
		assert(*err.text);
	}
	embed_reply_reason(body, S("secret"), reason, sizeof reason);
	assert(strlen(reason) < sizeof reason && !strstr(reason, "secret"));
	arena_release(&arena);
	return 0;
}
