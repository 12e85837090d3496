/* The lock on a data directory: one at a time, across processes, gone with its holder. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/owner.h"

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	memcpy(dir, "/tmp/cs-owner-XXXXXX", sizeof "/tmp/cs-owner-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/new/deep/" OWNER_LOCK, dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/new/deep", dir);
	rmdir(path);
	snprintf(path, sizeof path, "%s/new", dir);
	rmdir(path);
	snprintf(path, sizeof path, "%s/" OWNER_LOCK, dir);
	unlink(path);
	return rmdir(dir);
}

static void test_second_sees_the_first(void **state)
{
	struct slice where = slice_cstr(dir);
	struct owner *first = NULL, *second = NULL;
	struct owner_info holder = {0};
	struct cs_error err;
	char text[512];

	(void)state;
	assert_false(owner_held(where, &holder));
	assert_int_equal(owner_take(where, "serve", &first, &holder, &err), CS_OK);
	assert_non_null(first);
	second = first;
	assert_int_equal(owner_take(where, "stdio", &second, &holder, &err), CS_OK);
	assert_null(second);
	assert_int_equal(holder.pid, getpid());
	assert_string_equal(holder.command, "serve");
	assert_int_equal(strncmp(holder.since, "20", 2), 0);
	owner_describe(&holder, text, sizeof text);
	assert_non_null(strstr(text, "context-store serve, since 20"));
	holder = (struct owner_info){0};
	assert_true(owner_held(where, &holder));
	assert_int_equal(holder.pid, getpid());
	owner_release(first);
	assert_false(owner_held(where, &holder));
	assert_int_equal(owner_take(where, "stdio", &second, NULL, &err), CS_OK);
	assert_non_null(second);
	owner_release(second);
	owner_release(NULL);
}

/* A child takes the lock, says so, and is killed: nothing of it is in the way. */
static void test_killed_holder_leaves_nothing(void **state)
{
	struct owner *owner = NULL;
	struct owner_info holder = {0};
	struct cs_error err;
	int ready[2], status;
	char byte = 0;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		byte = owner_take(slice_cstr(dir), "serve", &owner, NULL, &err) == CS_OK && owner ? 'y' : 'n';
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(owner_take(slice_cstr(dir), "stdio", &owner, &holder, &err), CS_OK);
	assert_null(owner);
	assert_int_equal(holder.pid, child);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(owner_take(slice_cstr(dir), "stdio", &owner, &holder, &err), CS_OK);
	assert_non_null(owner);
	owner_release(owner);
	close(ready[0]);
	close(ready[1]);
}

static void test_makes_directories_for_this_user_alone(void **state)
{
	struct owner *owner;
	struct cs_error err;
	struct stat st;
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/new/deep", dir);
	assert_int_equal(owner_take(slice_cstr(path), "serve", &owner, NULL, &err), CS_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	owner_release(owner);
}

static void test_says_what_is_wrong_with_the_place(void **state)
{
	struct owner *owner = NULL;
	struct cs_error err;
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/" OWNER_LOCK, dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	snprintf(path, sizeof path, "%s/" OWNER_LOCK "/below", dir);
	assert_int_equal(owner_take(slice_cstr(path), "serve", &owner, NULL, &err), CS_UNAVAILABLE);
	assert_null(owner);
	assert_non_null(strstr(err.text, dir));
	assert_non_null(strstr(err.text, "--data-dir"));
}

/* Whatever stands in the file, reading it is safe and the lock alone decides. */
static void test_ignores_what_the_file_says(void **state)
{
	static const char *const texts[] = {
		"pid -1\nsince\n", "pid 99999999999999999999\n", "\n\n\n", "pid 1\ncommand x\nsince y\n"};
	struct owner_info holder;
	struct owner *owner;
	struct cs_error err;
	char path[128];

	(void)state;
	snprintf(path, sizeof path, "%s/" OWNER_LOCK, dir);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
		close(fd);
		assert_false(owner_held(slice_cstr(dir), &holder));
		assert_int_equal(owner_take(slice_cstr(dir), "serve", &owner, NULL, &err), CS_OK);
		assert_non_null(owner);
		owner_release(owner);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_second_sees_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_holder_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_makes_directories_for_this_user_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_says_what_is_wrong_with_the_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ignores_what_the_file_says, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
