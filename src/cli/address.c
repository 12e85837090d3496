/* Addresses and ports.
 *
 * Who has a port is read from /proc: the listening socket's inode in /proc/net/tcp, then the process with that socket
 * among its descriptors. Other users' processes cannot be seen without root; the message then names none. */
#include "cli/address.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#define HOST_MAX  256
#define LISTENING 0x0A /* TCP_LISTEN in /proc/net/tcp */

bool address_is_loopback(struct slice host)
{
	char text[HOST_MAX];
	struct in_addr v4;
	struct in6_addr v6;

	if (host.len >= sizeof text)
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, text, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return slice_eq_nocase(host, S("localhost"));
}

void address_url(struct slice host, int64_t port, char *text, size_t size)
{
	bool v6 = slice_find_byte(host, ':') < host.len;

	snprintf(text, size, "http://%s" SLICE_FMT "%s:%lld", v6 ? "[" : "", SLICE_ARG(host), v6 ? "]" : "",
		(long long)port);
}

/* The inode of the socket that listens on the port, or 0. */
static unsigned long listening_inode(const char *table, int64_t port)
{
	FILE *file = fopen(table, "re");
	unsigned long inode = 0, found = 0;
	char line[512];

	if (!file)
		return 0;
	while (!found && fgets(line, sizeof line, file)) {
		unsigned local_port, state;

		if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &local_port,
			    &state, &inode) == 3 &&
			state == LISTENING && local_port == (unsigned)port)
			found = inode;
	}
	fclose(file);
	return found;
}

static bool holds_inode(const char *pid, unsigned long inode)
{
	char path[300], target[64], wanted[64];
	const struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		if (len > 0) {
			target[len] = '\0';
			found = strcmp(target, wanted) == 0;
		}
	}
	closedir(dir);
	return found;
}

static void name_process(const char *pid, char *text, size_t size)
{
	char path[300], name[64] = "";
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, name, sizeof name - 1);
		close(fd);
	}
	name[len > 0 ? len - 1 : 0] = '\0';
	snprintf(text, size, "process %.20s (%s)", pid, name);
}

static bool find_holder(int64_t port, char *text, size_t size)
{
	unsigned long inode = listening_inode("/proc/net/tcp", port);
	const struct dirent *entry;
	bool found = false;
	DIR *proc;

	if (!inode)
		inode = listening_inode("/proc/net/tcp6", port);
	proc = inode ? opendir("/proc") : NULL;
	if (!proc)
		return false;
	while (!found && (entry = readdir(proc))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !holds_inode(entry->d_name, inode))
			continue;
		name_process(entry->d_name, text, size);
		found = true;
	}
	closedir(proc);
	return found;
}

static enum cs_status fail_bind(struct slice host, int64_t port, int error, struct cs_error *err)
{
	char holder[128];

	if (error == EADDRINUSE)
		return cs_fail(err, CS_UNAVAILABLE,
			"port %lld of %.100s is in use by %s; stop it, or choose another with --port N",
			(long long)port, host.ptr,
			find_holder(port, holder, sizeof holder) ? holder : "another process");
	if (error == EACCES)
		return cs_fail(err, CS_UNAVAILABLE,
			"port %lld of %.100s needs privileges; choose one from 1024 up with --port N", (long long)port,
			host.ptr);
	if (error == EADDRNOTAVAIL)
		return cs_fail(err, CS_UNAVAILABLE,
			"this machine has no address %.100s; choose one it has with --host ADDR", host.ptr);
	return cs_fail(err, CS_UNAVAILABLE, "cannot listen on %.100s port %lld: %s", host.ptr, (long long)port,
		strerror(error));
}

enum cs_status address_check(struct slice host, int64_t port, struct cs_error *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found;
	char name[HOST_MAX], service[8];
	int fd, one = 1, error = 0;

	if (host.len == 0 || host.len >= sizeof name)
		return cs_fail(err, CS_VALIDATION, "--host must be an address or a name of this machine");
	memcpy(name, host.ptr, host.len);
	name[host.len] = '\0';
	snprintf(service, sizeof service, "%d", (int)port);
	error = getaddrinfo(name, service, &hints, &found);
	if (error != 0)
		return cs_fail(err, CS_UNAVAILABLE, "--host %.100s is no address of this machine: %s", name,
			gai_strerror(error));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		error = errno;
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
		 bind(fd, found->ai_addr, found->ai_addrlen) != 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	return error ? fail_bind(slice_cstr(name), port, error, err) : CS_OK;
}
