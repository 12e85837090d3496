/* CPU time comes from /proc/PID/task/TID/schedstat: nanoseconds, where /proc/PID/stat counts ticks of 10 ms. A thread
 * that ended during a measurement takes its share with it; the server's pools are warm by then. */
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
	fprintf(stderr, "benchmark: %s: %s\n", what, strerror(errno));
	exit(1);
}

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

const char *process_program(void)
{
	const char *named = getenv("CONTEXT_STORE_BIN");

	return named ? named : "build/release/context-store";
}

/* Beside the checkout's build tree, not in /tmp: /tmp may be memory, where a durable write costs nothing. */
const char *process_unmeasured_program(void)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s-unmeasured", process_program());
	return path;
}

char *process_make_directory(void)
{
	char *directory = strdup("build/bench-data-XXXXXX");

	if (!directory || !mkdtemp(directory))
		die("cannot make a directory below build/");
	return directory;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void process_remove_directory(char *directory)
{
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(directory);
}

static uint16_t read_port(int fd)
{
	char said[4096];
	size_t have = 0;

	while (have < sizeof said - 1) {
		ssize_t n = read(fd, said + have, sizeof said - 1 - have);
		unsigned port;
		const char *url;

		if (n <= 0)
			break;
		have += (size_t)n;
		said[have] = '\0';
		url = strstr(said, "http://127.0.0.1:");
		if (url && strchr(url, '\n') && sscanf(url, "http://127.0.0.1:%u", &port) == 1)
			return (uint16_t)port;
	}
	said[have] = '\0';
	fprintf(stderr, "%s", said);
	errno = ECHILD;
	die("the server did not say where it listens");
}

/* A thread would do, but a child that drains the server's log costs the measured process nothing. */
static void drain_log(int fd)
{
	pid_t pid = fork();
	char waste[4096];

	if (pid < 0)
		die("fork");
	if (pid > 0) {
		close(fd);
		return;
	}
	while (read(fd, waste, sizeof waste) > 0)
		;
	_exit(0);
}

struct server_process process_serve(const char *directory)
{
	return process_serve_as(process_program(), directory, "info");
}

struct server_process process_serve_as(const char *program, const char *directory, const char *log_level)
{
	struct server_process server;
	int log_pipe[2];

	if (pipe2(log_pipe, O_CLOEXEC))
		die("pipe");
	server.pid = fork();
	if (server.pid < 0)
		die("fork");
	if (server.pid == 0) {
		dup2(log_pipe[1], 2);
		execl(program, program, "serve", "--data-dir", directory, "--port", "0", "--log-level", log_level,
			(char *)NULL);
		_exit(127);
	}
	close(log_pipe[1]);
	server.port = read_port(log_pipe[0]);
	drain_log(log_pipe[0]);
	return server;
}

void process_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

int64_t process_cpu_ns(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	int64_t total = 0;
	DIR *tasks;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		die(path);
	while ((entry = readdir(tasks))) {
		char name[400];
		long long ran;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s/schedstat", path, entry->d_name);
		file = fopen(name, "re");
		if (!file)
			continue;
		if (fscanf(file, "%lld", &ran) == 1)
			total += ran;
		fclose(file);
	}
	closedir(tasks);
	return total;
}

int64_t process_rss_bytes(pid_t pid)
{
	char path[64];
	long long pages = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*s %lld", &pages) != 1)
		die(path);
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}
