/* The lock on a data directory.
 *
 * flock(2) and not fcntl(2): its lock belongs to the open file and not to the process, so a second look at the same
 * file (doctor, a library that opens and closes it) cannot drop it. A pid file alone was rejected: pids are used again,
 * and nobody removes it after SIGKILL. The text in the file is for people; only the lock decides. */
#include "cli/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"

#define PATH_SIZE 4096

struct owner {
	int fd;
	const char *command; /* the caller's, a constant */
};

/* mkdir -p, each new part 0700. */
static enum cs_status make_dir(const char *path, struct cs_error *err)
{
	char part[PATH_SIZE];
	size_t len = strlen(path);

	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			return cs_fail(err, CS_UNAVAILABLE,
				"cannot create the data directory %.300s: %s; make it by hand or name another with "
				"--data-dir",
				part, strerror(errno));
		part[i] = path[i];
	}
	return CS_OK;
}

static enum cs_status lock_path(struct slice dir, char path[PATH_SIZE], struct cs_error *err)
{
	int wanted = snprintf(path, PATH_SIZE, SLICE_FMT "/" OWNER_LOCK, SLICE_ARG(dir));

	if (wanted < 0 || wanted >= PATH_SIZE)
		return cs_fail(err, CS_VALIDATION,
			"the path of the data directory is too long; name a shorter one with --data-dir");
	return CS_OK;
}

static void take_line(struct slice line, struct owner_info *info)
{
	struct slice name = slice_cut(&line, ' ');
	int64_t pid;

	if (slice_eq(name, S("pid")) && slice_to_i64(line, &pid) && pid > 0 && pid <= INT32_MAX)
		info->pid = (pid_t)pid;
	else if (slice_eq(name, S("since")))
		snprintf(info->since, sizeof info->since, SLICE_FMT, SLICE_ARG(line));
	else if (slice_eq(name, S("command")))
		snprintf(info->command, sizeof info->command, SLICE_FMT, SLICE_ARG(line));
	else if (slice_eq(name, S("address")))
		snprintf(info->address, sizeof info->address, SLICE_FMT, SLICE_ARG(line));
}

static void read_info(int fd, struct owner_info *ret_info)
{
	char text[512];
	ssize_t got = pread(fd, text, sizeof text, 0);
	struct slice rest = {text, got > 0 ? (size_t)got : 0};

	*ret_info = (struct owner_info){0};
	while (rest.len > 0)
		take_line(slice_cut(&rest, '\n'), ret_info);
}

/* Written in one piece and then cut, so that a reader in between sees no empty file. On a full disk nobody learns who
 * holds the lock; it holds all the same. */
static void write_info(int fd, const char *command, const char *address)
{
	char text[512], now[CLOCK_TEXT_SIZE];
	int len;

	clock_format(clock_wall_ms(), now);
	len = snprintf(text, sizeof text, "pid %ld\nsince %s\ncommand %.*s\naddress %.*s\n", (long)getpid(), now,
		OWNER_TEXT_MAX - 1, command, OWNER_TEXT_MAX - 1, address);
	if (pwrite(fd, text, (size_t)len, 0) != len || ftruncate(fd, len) != 0)
		errno = 0;
}

enum cs_status owner_take(struct slice dir, const char *command, struct owner **ret_owner,
	struct owner_info *ret_holder, struct cs_error *err)
{
	char path[PATH_SIZE], *end;
	struct owner *owner;
	enum cs_status status = lock_path(dir, path, err);
	int fd;

	if (status != CS_OK)
		return status;
	end = strrchr(path, '/');
	*end = '\0';
	status = make_dir(path, err);
	*end = '/';
	if (status != CS_OK)
		return status;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return cs_fail(err, CS_UNAVAILABLE,
			"cannot open %.300s: %s; the data directory must be writable (chown or chmod it, or name "
			"another with --data-dir)",
			path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		status = errno == EWOULDBLOCK
				 ? CS_OK
				 : cs_fail(err, CS_UNAVAILABLE, "cannot lock %.300s: %s", path, strerror(errno));
		if (status == CS_OK) {
			if (ret_holder)
				read_info(fd, ret_holder);
			*ret_owner = NULL;
		}
		close(fd);
		return status;
	}
	owner = malloc(sizeof *owner);
	if (!owner) {
		close(fd);
		return cs_fail_memory(err);
	}
	write_info(fd, command, "");
	*owner = (struct owner){.fd = fd, .command = command};
	*ret_owner = owner;
	return CS_OK;
}

void owner_tell_address(struct owner *owner, const char *address)
{
	write_info(owner->fd, owner->command, address);
}

void owner_release(struct owner *owner)
{
	if (!owner)
		return;
	/* Emptied while still locked, so that the next owner's text is never cut away; if it fails the text is merely
	 * old. */
	if (ftruncate(owner->fd, 0) != 0)
		errno = 0;
	close(owner->fd);
	free(owner);
}

bool owner_held(struct slice dir, struct owner_info *ret_holder)
{
	char path[PATH_SIZE];
	struct cs_error ignored;
	bool held;
	int fd;

	if (lock_path(dir, path, &ignored) != CS_OK)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	if (held)
		read_info(fd, ret_holder);
	close(fd);
	return held;
}

void owner_describe(const struct owner_info *info, char *text, size_t size)
{
	if (info->pid == 0)
		snprintf(text, size, "another process");
	else
		snprintf(text, size, "process %ld (" CS_NAME " %s%s%s, since %s)", (long)info->pid, info->command,
			*info->address ? " at " : "", info->address, info->since);
}
