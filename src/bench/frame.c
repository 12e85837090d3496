/* Reads heads with memmem and one walk over their few lines; a body is only looked at where a tool's failure would be
 * told, which is in the last bytes: `isError` stands behind the result's content. */
#include "bench/frame.h"

#include <string.h>
#include <strings.h>

#include "base/slice.h"

#define HEAD_MAX  (64u << 10)
#define TAIL      512 /* where isError is looked for; what follows it is the server's name and version */
#define REPLY_MAX (64u << 20)

size_t frame_head_length(const char *bytes, size_t length)
{
	const char *end = memmem(bytes, length, "\r\n\r\n", 4);

	return end ? (size_t)(end - bytes) + 4 : 0;
}

/* False: there is none, or it is no number. */
static bool content_length(struct slice head, uint64_t *ret_length)
{
	static const struct slice name = SLICE_INIT("content-length:");

	while (head.len > 0) {
		struct slice line = slice_cut(&head, '\n');

		if (line.len > name.len && (line.ptr[0] | 0x20) == 'c' &&
			strncasecmp(line.ptr, name.ptr, name.len) == 0)
			return slice_to_u64(slice_trim(slice_from(line, name.len)), ret_length);
	}
	return false;
}

enum frame_state frame_http(const char *bytes, size_t length, size_t *ret_length)
{
	static const char version[] = "HTTP/1.";
	size_t known = sizeof version - 1, head;
	uint64_t body = 0;

	if (memcmp(bytes, version, length < known ? length : known) != 0)
		return FRAME_FOREIGN;
	head = frame_head_length(bytes, length);
	if (head == 0)
		return length > HEAD_MAX ? FRAME_FOREIGN : FRAME_PARTIAL;
	if (head < sizeof "HTTP/1.1 200" || !content_length(slice_of(bytes, head), &body) || body > REPLY_MAX)
		return FRAME_FOREIGN;
	if (length - head < body)
		return FRAME_PARTIAL;
	*ret_length = head + (size_t)body;
	return memcmp(bytes + 9, "200", 3) == 0 ? FRAME_GOOD : FRAME_FAILED;
}

enum frame_state frame_mcp(const char *bytes, size_t length, size_t *ret_length)
{
	static const char good[] = "\"isError\":false";
	enum frame_state state = frame_http(bytes, length, ret_length);
	size_t tail;

	if (state != FRAME_GOOD)
		return state;
	tail = *ret_length < TAIL ? *ret_length : TAIL;
	return memmem(bytes + *ret_length - tail, tail, good, sizeof good - 1) ? FRAME_GOOD : FRAME_FAILED;
}

enum frame_state frame_redis(const char *bytes, size_t length, size_t *ret_length)
{
	const char *end = memchr(bytes, '\n', length);
	size_t line = end ? (size_t)(end - bytes) + 1 : 0;
	uint64_t body;

	if (length > 0 && !strchr("+-$", bytes[0]))
		return FRAME_FOREIGN;
	if (line == 0)
		return length > HEAD_MAX ? FRAME_FOREIGN : FRAME_PARTIAL;
	*ret_length = line;
	if (bytes[0] != '$')
		return bytes[0] == '+' ? FRAME_GOOD : FRAME_FAILED;
	if (!slice_to_u64(slice_trim(slice_of(bytes + 1, line - 1)), &body))
		return FRAME_FAILED; /* $-1: no such key */
	if (body > REPLY_MAX)
		return FRAME_FOREIGN;
	if (length - line < body + 2)
		return FRAME_PARTIAL;
	*ret_length = line + (size_t)body + 2;
	return FRAME_GOOD;
}
