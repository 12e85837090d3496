/* A port is picked by binding to port 0 and letting go again. Somebody else may take it in between; then the server
 * does not start, and the baseline says so. */
#include "bench/service.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/target.h"

#define START_NS INT64_C(10000000000)
#define POLL_NS  2000000

const char *service_find(const char *program, char path[PATH_MAX])
{
	const char *list = getenv("PATH");
	char places[8192];
	struct slice rest;

	snprintf(places, sizeof places, "%s:/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin", list ? list : "");
	rest = slice_cstr(places);
	while (rest.ptr) {
		struct slice place = slice_cut(&rest, ':');

		if (place.len == 0 || place.ptr[0] != '/')
			continue;
		snprintf(path, PATH_MAX, SLICE_FMT "/%s", SLICE_ARG(place), program);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

enum cs_status service_prepare(struct service *s, struct cs_error *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool picked;

	*s = (struct service){.address.length = sizeof address};
	picked = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
		 getsockname(fd, (struct sockaddr *)&s->address.address, &s->address.length) == 0;
	if (fd >= 0)
		close(fd);
	if (!picked)
		return cs_fail(err, CS_UNAVAILABLE, "no free port: %s", strerror(errno));
	s->port = ntohs(((struct sockaddr_in *)&s->address.address)->sin_port);
	return scratch_dir_make(&s->dir, err);
}

__attribute__((noreturn)) static void become(char *const *words)
{
	int none = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	if (none >= 0 && dup2(none, STDIN_FILENO) >= 0 && dup2(none, STDOUT_FILENO) >= 0 &&
		dup2(none, STDERR_FILENO) >= 0)
		execv(words[0], words);
	_exit(127);
}

enum cs_status service_start(struct service *s, char *const *words, struct cs_error *err)
{
	const struct timespec pause = {0, POLL_NS};
	int64_t until_ns = clock_mono_ns() + START_NS;
	int fd;

	s->pid = fork();
	if (s->pid == 0)
		become(words);
	if (s->pid < 0) {
		s->pid = 0;
		return cs_fail(err, CS_UNAVAILABLE, "cannot start a process: %s", strerror(errno));
	}
	while (client_connect(&s->address, START_NS, &fd, NULL) != CS_OK) {
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			return cs_fail(err, CS_UNAVAILABLE, "%.100s ended at its start", words[0]);
		}
		if (clock_mono_ns() > until_ns)
			return cs_fail(err, CS_UNAVAILABLE, "%.100s does not listen", words[0]);
		nanosleep(&pause, NULL);
	}
	close(fd);
	return CS_OK;
}

void service_stop(struct service *s)
{
	if (s->pid > 0) {
		(void)kill(s->pid, SIGKILL); /* what it holds is thrown away */
		(void)waitpid(s->pid, NULL, 0);
	}
	scratch_dir_remove(&s->dir);
	*s = (struct service){0};
}
