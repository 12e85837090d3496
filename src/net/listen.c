/* Sockets to listen on.
 *
 * TCP: one socket per loop, SO_REUSEPORT, so that no loop wakes for another's; who serves what was accepted is
 * spread.c's to say. But SO_REUSEPORT would also let a second server of the same user share the port in silence. So the
 * first socket is bound without it, which fails when anybody holds the port, and allows sharing afterwards, before the
 * others come.
 *
 * Unix: an address holds 107 bytes of path, and data directories may be longer. The directory is opened, and the
 * address is /proc/self/fd/N/name. A socket file that nobody listens on is left over from a crash and replaced; one
 * that answers, or anything that is no socket, is an error. The mode is set on the socket before bind, so there is no
 * moment at which another user could connect. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/server_internal.h"

#define HOST_MAX 256

static bool set_flag(int fd, int option)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)) == 0;
}

/* -1 and errno on failure. */
static int bind_one(const struct addrinfo *address, bool shared)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	if (set_flag(fd, SO_REUSEADDR) && (!shared || set_flag(fd, SO_REUSEPORT)) &&
		bind(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static uint16_t bound_port(int fd, struct sockaddr_storage *address, socklen_t *length)
{
	*length = sizeof(*address);
	if (getsockname(fd, (struct sockaddr *)address, length))
		return 0;
	if (address->ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)address)->sin6_port);
	return ntohs(((struct sockaddr_in *)address)->sin_port);
}

/* fds[0] is bound; the others get the same address. Returns how many are. */
static size_t bind_others(int *fds, size_t count, uint16_t *ret_port)
{
	struct sockaddr_storage address;
	struct addrinfo same = {.ai_addr = (struct sockaddr *)&address};
	size_t bound = 1;

	*ret_port = bound_port(fds[0], &address, &same.ai_addrlen);
	same.ai_family = address.ss_family;
	/* One listener must not share: then a second server could not be told from a second loop. */
	if (count > 1 && !set_flag(fds[0], SO_REUSEPORT))
		return bound;
	while (bound < count && (fds[bound] = bind_one(&same, true)) >= 0)
		bound++;
	return bound;
}

enum cs_status listen_tcp(
	const struct server_options *options, int *fds, size_t count, uint16_t *ret_port, struct cs_error *err)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found, *a;
	char host[HOST_MAX], port[8];
	size_t bound = 0;
	int rc;

	if (options->host.len >= sizeof(host))
		return cs_fail(
			err, CS_UNAVAILABLE, "the address to listen on is too long (at most %d bytes)", HOST_MAX - 1);
	snprintf(host, sizeof(host), SLICE_FMT, SLICE_ARG(options->host));
	snprintf(port, sizeof(port), "%u", options->port);
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc)
		return cs_fail(err, CS_UNAVAILABLE, "cannot listen on %s: %s", host, gai_strerror(rc));
	errno = EADDRNOTAVAIL;
	for (a = found; a && bound == 0; a = a->ai_next)
		if ((fds[0] = bind_one(a, false)) >= 0)
			bound = bind_others(fds, count, ret_port);
	rc = errno;
	freeaddrinfo(found);
	if (bound == count)
		return CS_OK;
	while (bound > 0)
		close(fds[--bound]);
	return cs_fail(err, CS_UNAVAILABLE, "cannot listen on %s port %u: %s", host, options->port, strerror(rc));
}

/* 0: free to bind; else an errno. `name` is reached through `address`. */
static int clear_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, rc;

	if (lstat(address->sun_path, &st))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	if (rc != ECONNREFUSED)
		return EADDRINUSE;
	return unlink(address->sun_path) ? errno : 0;
}

/* In the directory `dir_fd`. -1 and errno on failure. */
static int bind_unix(int dir_fd, struct slice name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, length;

	length = snprintf(
		address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SLICE_FMT, dir_fd, SLICE_ARG(name));
	if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	errno = clear_stale(&address);
	if (errno)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&address, sizeof(address)) ||
		chmod(address.sun_path, 0600)) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

enum cs_status listen_unix(struct slice path, int *ret_fd, struct cs_error *err)
{
	char *copy = strndup(path.ptr, path.len), *slash;
	struct slice name;
	int dir_fd, fd, saved;

	if (!copy)
		return cs_fail_memory(err);
	slash = strrchr(copy, '/');
	name = slice_cstr(slash ? slash + 1 : copy);
	if (slash)
		*slash = '\0';
	dir_fd = open(slash ? (slash == copy ? "/" : copy) : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = dir_fd < 0 ? -1 : bind_unix(dir_fd, name);
	saved = errno;
	if (dir_fd >= 0)
		close(dir_fd);
	free(copy);
	if (fd < 0)
		return cs_fail(err, CS_UNAVAILABLE, "cannot listen on the socket file " SLICE_FMT ": %s",
			SLICE_ARG(path), strerror(saved));
	*ret_fd = fd;
	return CS_OK;
}
