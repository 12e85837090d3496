/* The lock is taken before the file is made: a directory with the file and without the lock is nobody's any more, and one
 * without the file may be just being made, or somebody else's. */
#include "bench/scratch_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME      "context-store-bench-"
#define MARK      ".made-by-context-store-bench"
#define SWEPT_MAX 1000u

static const char *base_dir(void)
{
	const char *named = getenv("TMPDIR");

	return named && *named == '/' ? named : access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
}

/* Where the file system has no locks there is no mark either, and nobody sweeps. */
static void claim(struct scratch_dir *dir)
{
	int mark;

	if (flock(dir->lock, LOCK_EX | LOCK_NB) != 0)
		return;
	mark = openat(dir->lock, MARK, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (mark >= 0)
		close(mark);
}

enum cs_status scratch_dir_make(struct scratch_dir *dir, struct cs_error *err)
{
	const char *base = base_dir();

	*dir = (struct scratch_dir){.lock = -1};
	if (snprintf(dir->path, sizeof dir->path, "%s/" NAME "XXXXXX", base) < PATH_MAX && mkdtemp(dir->path)) {
		dir->lock = open(dir->path, O_RDONLY | O_DIRECTORY);
		if (dir->lock >= 0) {
			claim(dir);
			return CS_OK;
		}
		(void)rmdir(dir->path);
	}
	dir->path[0] = '\0';
	return cs_fail(err, CS_UNAVAILABLE, "cannot make a directory in %.300s: %s", base, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void scratch_dir_remove(struct scratch_dir *dir)
{
	if (!dir->path[0])
		return;
	remove_tree(dir->path);
	close(dir->lock);
	dir->path[0] = '\0';
}

/* Of this user, made by a bench, and locked by nobody. The lock is then ours. */
static bool is_left_over(int fd)
{
	struct stat dir, mark;

	return fstat(fd, &dir) == 0 && dir.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
	       fstatat(fd, MARK, &mark, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(mark.st_mode) && mark.st_uid == geteuid();
}

static bool sweep(const char *base, int base_fd, const char *name)
{
	int fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[PATH_MAX];
	bool gone = false;

	if (fd < 0)
		return false;
	if (is_left_over(fd) && snprintf(path, sizeof path, "%s/%s", base, name) < PATH_MAX) {
		remove_tree(path);
		gone = access(path, F_OK) != 0;
	}
	close(fd);
	return gone;
}

unsigned scratch_dirs_sweep(void)
{
	const char *base = base_dir();
	DIR *list = opendir(base);
	unsigned swept = 0;
	struct dirent *entry;

	if (!list)
		return 0;
	while (swept < SWEPT_MAX && (entry = readdir(list)))
		if (strncmp(entry->d_name, NAME, sizeof NAME - 1) == 0)
			swept += sweep(base, dirfd(list), entry->d_name);
	closedir(list);
	return swept;
}
