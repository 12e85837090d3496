/* In pieces until the end, and not by its size: a pipe and /proc have none. */
#include "cli/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIECE 65536

enum cs_status read_file(const char *path, struct buffer *out, struct cs_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), failed = 0;
	ssize_t got = 1;

	if (fd < 0)
		return cs_fail(err, CS_NOT_FOUND, "cannot open %.200s: %s", path, strerror(errno));
	while (got != 0 && !failed && !out->failed) {
		char *room = buffer_reserve(out, PIECE);

		got = room ? read(fd, room, PIECE) : 0;
		failed = got < 0 && errno != EINTR ? errno : 0;
		out->len += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	if (failed)
		return cs_fail(err, CS_UNAVAILABLE, "cannot read %.200s: %s", path, strerror(failed));
	if (out->failed)
		return cs_fail(err, CS_LIMIT_EXCEEDED, "%.200s has more than %zu bytes, or memory is short", path,
			out->ceiling);
	return CS_OK;
}
