/* posix_spawn and a wait. fork and exec would do the same with more to go wrong between the two. */
#include "cli/run_tool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int set_files(posix_spawn_file_actions_t *files, const char *directory, bool quiet)
{
	int failed = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!failed && quiet)
		failed = posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	else if (!failed)
		failed = posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
	if (!failed && directory)
		failed = posix_spawn_file_actions_addchdir_np(files, directory);
	return failed;
}

enum cs_status run_tool(const char *const *argv, const char *directory, bool quiet, int *ret_code, struct cs_error *err)
{
	posix_spawn_file_actions_t files;
	char *words[32];
	size_t count = 0;
	int failed, state;
	pid_t pid;

	for (; argv[count] && count + 1 < sizeof words / sizeof *words; count++)
		words[count] = (char *)(uintptr_t)argv[count];
	words[count] = NULL;
	assert(words[0]);
	if (posix_spawn_file_actions_init(&files) != 0)
		return cs_fail_memory(err);
	failed = set_files(&files, directory, quiet);
	if (!failed)
		failed = posix_spawnp(&pid, words[0], &files, NULL, words, environ);
	posix_spawn_file_actions_destroy(&files);
	if (failed)
		return cs_fail(err, failed == ENOENT ? CS_NOT_FOUND : CS_UNAVAILABLE, "%s cannot be started: %s",
			argv[0], strerror(failed));
	while (waitpid(pid, &state, 0) < 0)
		if (errno != EINTR)
			return cs_fail(err, CS_UNAVAILABLE, "%s cannot be waited for: %s", argv[0], strerror(errno));
	*ret_code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
	return CS_OK;
}
