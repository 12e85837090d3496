/* Mapped files. See mapped.h. */
#include "embed/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum cs_status map(int fd, const char *path, struct mapped *ret_mapped, struct cs_error *err)
{
	struct stat st;
	void *ptr;

	if (fstat(fd, &st) != 0)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return cs_fail(err, CS_VALIDATION, "%s is %s", path, S_ISREG(st.st_mode) ? "empty" : "no regular file");
	ptr = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (ptr == MAP_FAILED)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s cannot be mapped: %s", path, strerror(errno));
	*ret_mapped =
		(struct mapped){ptr, (size_t)st.st_size, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
	return CS_OK;
}

enum cs_status mapped_open(const char *path, struct mapped *ret_mapped, struct cs_error *err)
{
	enum cs_status status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s cannot be read: %s", path, strerror(errno));
	status = map(fd, path, ret_mapped, err);
	close(fd);
	return status;
}

void mapped_close(struct mapped *mapped)
{
	/* munmap takes what mmap gave; the const is ours. */
	if (mapped->ptr)
		munmap((void *)(uintptr_t)mapped->ptr, mapped->size);
	*mapped = (struct mapped){0};
}

void mapped_forget(const struct mapped *mapped)
{
	/* A hint: if it is refused, the pages stay until the system wants them. */
	if (mapped->ptr)
		(void)madvise((void *)(uintptr_t)mapped->ptr, mapped->size, MADV_DONTNEED);
}
