/* Bytes from a server where replies are expected, fed in pieces whose sizes the first byte varies. Whatever they are: no
 * memory beyond the ceilings, and a reply that comes out is whole. The same bytes in one piece must give the same. */
#include <assert.h>

#include "remote/redis_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_values(const struct redis_reply *reply)
{
	size_t count = 1;

	assert(reply->kind <= REDIS_ARRAY);
	assert(reply->text.len <= REDIS_STRING_MAX || reply->kind != REDIS_STRING);
	assert(reply->count <= REDIS_ELEMENTS_MAX);
	for (size_t i = 0; reply->kind == REDIS_ARRAY && i < reply->count; i++)
		count += count_values(&reply->elements[i]);
	return count;
}

/* Values in all replies until the bytes or their sense end. */
static size_t read_all(struct slice bytes, size_t piece)
{
	struct redis_intake in;
	struct arena arena;
	struct cs_error err;
	size_t values = 0;
	bool good = redis_intake_init(&in);

	assert(good);
	arena_init(&arena, NULL, 0, 16u << 20);
	while (good && bytes.len > 0) {
		struct slice part = slice_of(bytes.ptr, piece < bytes.len ? piece : bytes.len);
		bool came = true;

		bytes = slice_from(bytes, part.len);
		good = redis_intake_feed(&in, part, &err) == CS_OK;
		while (good && came) {
			struct redis_reply reply;

			good = redis_intake_next(&in, &arena, &reply, &came, &err) == CS_OK;
			if (good && came)
				values += count_values(&reply);
		}
	}
	assert(good || *err.text);
	arena_release(&arena);
	redis_intake_release(&in);
	return values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data + 1, size ? size - 1 : 0);

	if (size < 2)
		return 0;
	assert(read_all(bytes, 1 + data[0] % 64) == read_all(bytes, bytes.len));
	return 0;
}
