/* Starting redis-server, and asking until it takes a connection. */
#include "redis.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES    1000
#define PAUSE_US 10000

static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) ||
		getsockname(fd, (struct sockaddr *)&address, &size))
		die("no free port");
	close(fd);
	return ntohs(address.sin_port);
}

static bool answers(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int rc = connect(fd, (struct sockaddr *)&address, sizeof address);

	close(fd);
	return rc == 0;
}

struct server_process redis_start(void)
{
	struct server_process redis = {.port = free_port()};
	char digits[8];

	snprintf(digits, sizeof digits, "%u", redis.port);
	redis.pid = fork();
	if (redis.pid < 0)
		die("fork");
	if (redis.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!freopen("/dev/null", "w", stdout))
			_exit(127);
		execlp("redis-server", "redis-server", "--port", digits, "--bind", "127.0.0.1", "--save", "",
			(char *)NULL);
		_exit(127);
	}
	for (int tries = 0; !answers(redis.port); tries++) {
		if (tries == TRIES || waitpid(redis.pid, NULL, WNOHANG) == redis.pid)
			die("redis-server did not start; is it installed?");
		usleep(PAUSE_US);
	}
	return redis;
}
