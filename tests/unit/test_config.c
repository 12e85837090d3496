/* Settings: which place wins, and that each mistake names its place and what would be right.
 *
 * The rules are tested over a table of their own with a row of each kind, the program's table by its sanity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "../support/alloc_fault.h"
#include "base/config.h"

#define NAME     ((enum setting_id)0)
#define PORT     ((enum setting_id)1)
#define WEB      ((enum setting_id)2)
#define SIZE     ((enum setting_id)3)
#define PASSWORD ((enum setting_id)4)
#define SERVER   ((enum setting_id)5)
#define ROWS     6

static const struct setting_row rows[ROWS] = {
	[NAME] = {"name", "X_NAME", SETTING_STR, "", 0, 0, "NAME", "A name"},
	[PORT] = {"port", "X_PORT", SETTING_INT, "8000", 0, 65535, "N", "A port"},
	[WEB] = {"web", "X_WEB", SETTING_BOOL, "false", 0, 0, "", "A switch"},
	[SIZE] = {"body-max", "X_SIZE", SETTING_SIZE, "4m", 1024, 1073741824, "bytes", "A size"},
	[PASSWORD] = {"password", "X_PASSWORD", SETTING_SECRET, "", 0, 0, "TEXT", "A secret"},
	[SERVER] = {"server", "X_SERVER", SETTING_URL, "", 0, 0, "URL", "A server"},
};

static char file_path[] = "/tmp/context-store-test-XXXXXX";
static char file_variable[80];

static int make_file(void **state)
{
	int fd = mkstemp(file_path);

	if (fd < 0)
		return -1;
	snprintf(file_variable, sizeof file_variable, "CONTEXT_STORE_CONFIG=%s", file_path);
	return close(fd);
}

static int remove_file(void **state)
{
	return unlink(file_path);
}

static void write_file(const char *text, size_t len)
{
	FILE *file = fopen(file_path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* NULL-terminated words, as main gets them (its type says that they may be written to; nobody does). */
#define WORDS(...) ((char *const *)(uintptr_t)(const char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static struct config *load(char *const *argv, char *const *environment, int *ret_rest)
{
	struct config *config = NULL;
	struct cs_error err;
	int argc = 0, rest = -1;

	while (argv[argc])
		argc++;
	if (config_load_rows(rows, ROWS, argc, argv, environment, &config, &rest, &err) != CS_OK)
		fail_msg("%s", err.text);
	if (ret_rest)
		*ret_rest = rest;
	return config;
}

static void assert_refused(char *const *argv, char *const *environment, const char *expected)
{
	struct config *config = NULL;
	struct cs_error err = {0};
	int argc = 0, rest = -1;

	while (argv[argc])
		argc++;
	assert_int_equal(config_load_rows(rows, ROWS, argc, argv, environment, &config, &rest, &err), CS_VALIDATION);
	assert_null(config);
	assert_int_equal(rest, -1);
	assert_string_equal(err.text, expected);
}

static void test_rank(void **state)
{
	char expected[100];
	struct config *config;

	config = load(WORDS(), WORDS(), NULL);
	assert_int_equal(config_int(config, PORT), 8000);
	assert_true(slice_eq(config_origin_text(config, PORT), S("default")));
	assert_int_equal(config_int(config, SIZE), 4194304);
	assert_false(config_bool(config, WEB));
	config_free(config);

	write_file("# ports\n\nport = 1 # one\r\n\t body-max=64K\n", 40);
	config = load(WORDS(), WORDS(file_variable), NULL);
	assert_int_equal(config_int(config, PORT), 1);
	assert_int_equal(config_int(config, SIZE), 65536);
	assert_int_equal(config_origin(config, PORT), SETTING_FROM_FILE);
	snprintf(expected, sizeof expected, "file %s line 3", file_path);
	assert_true(slice_eq(config_origin_text(config, PORT), slice_cstr(expected)));
	config_free(config);

	config = load(WORDS(), WORDS(file_variable, "X_PORT=2", "X_WEB=", "X_PORTS=7", "Y=Z"), NULL);
	assert_int_equal(config_int(config, PORT), 2);
	assert_false(config_bool(config, WEB));
	assert_true(slice_eq(config_origin_text(config, PORT), S("environment X_PORT")));
	config_free(config);

	config = load(WORDS("--port", "3", "--port=4"), WORDS(file_variable, "X_PORT=2"), NULL);
	assert_int_equal(config_int(config, PORT), 4);
	assert_int_equal(config_int(config, SIZE), 65536);
	assert_int_equal(config_origin(config, PORT), SETTING_FROM_FLAG);
	assert_true(slice_eq(config_origin_text(config, PORT), S("flag --port")));
	config_free(config);
	config_free(NULL);
}

static void test_flag_names_another_file(void **state)
{
	struct config *config;

	write_file("port = 5", 8);
	config = load(WORDS("--config", file_path), WORDS("CONTEXT_STORE_CONFIG=/nowhere"), NULL);
	assert_int_equal(config_int(config, PORT), 5);
	config_free(config);
	assert_refused(WORDS("--config=/nowhere"), WORDS(file_variable),
		"file /nowhere: cannot be opened: No such file or directory");
	assert_refused(WORDS("--config=/"), WORDS(), "file /: cannot be read: Is a directory");
}

static void test_where_flags_end(void **state)
{
	struct config *config;
	int rest;

	config = load(WORDS("--web", "serve", "--port", "x"), WORDS(), &rest);
	assert_int_equal(rest, 1);
	assert_true(config_bool(config, WEB));
	config_free(config);
	config = load(WORDS("--web=off", "--name", "--port", "--", "--port"), WORDS(), &rest);
	assert_int_equal(rest, 4);
	assert_false(config_bool(config, WEB));
	assert_true(slice_eq(config_str(config, NAME), S("--port")));
	config_free(config);
	config = load(WORDS("-"), WORDS(), &rest);
	assert_int_equal(rest, 0);
	config_free(config);
	config = load(WORDS("--name="), WORDS("X_NAME=x"), &rest);
	assert_int_equal(rest, 1);
	assert_int_equal(config_str(config, NAME).len, 0);
	config_free(config);
}

static void test_unknown_names(void **state)
{
	char expected[160];

	assert_refused(WORDS("--prot", "1"), WORDS(), "flag: there is no setting '--prot'; did you mean '--port'?");
	assert_refused(
		WORDS("--body_max=1"), WORDS(), "flag: there is no setting '--body_max'; did you mean '--body-max'?");
	assert_refused(WORDS("--confg=x"), WORDS(), "flag: there is no setting '--confg'; did you mean '--config'?");
	assert_refused(WORDS("-port"), WORDS(), "flag: there is no setting '-port'; did you mean '--port'?");
	assert_refused(
		WORDS("--zzzzzz"), WORDS(), "flag: there is no setting '--zzzzzz'; 'context-store config' lists them");
	write_file("\npassward = x\n", 14);
	snprintf(expected, sizeof expected, "file %s line 2: there is no setting 'passward'; did you mean 'password'?",
		file_path);
	assert_refused(WORDS(), WORDS(file_variable), expected);
}

static void test_wrong_values(void **state)
{
	static char long_value[3000] = "X_PORT=";
	struct cs_error err;
	struct config *config;
	int rest;

	assert_refused(WORDS("--port"), WORDS(), "flag --port: a value is needed");
	assert_refused(WORDS("--port="), WORDS(),
		"flag --port: '' is not right for port: a whole number from 0 to 65535 is needed");
	assert_refused(WORDS("--port=65536"), WORDS(),
		"flag --port: '65536' is not right for port: a whole number from 0 to 65535 is needed");
	assert_refused(WORDS("--port=-1"), WORDS(),
		"flag --port: '-1' is not right for port: a whole number from 0 to 65535 is needed");
	assert_refused(WORDS(), WORDS("X_WEB=maybe"),
		"environment X_WEB: 'maybe' is not right for web: true or false is needed");
	/* A wrong value is told although a higher place overrules it. */
	assert_refused(WORDS("--web"), WORDS("X_WEB=maybe"),
		"environment X_WEB: 'maybe' is not right for web: true or false is needed");
	memset(long_value + 7, '9', sizeof long_value - 8);
	assert_int_equal(
		config_load_rows(rows, ROWS, 0, WORDS(), WORDS(long_value), &config, &rest, &err), CS_VALIDATION);
	assert_true(strlen(err.text) < 200);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *flag;
		int64_t bytes; /* 0: refused */
	} sizes[] = {{"--body-max=1024", 1024}, {"--body-max=1k", 1024}, {"--body-max=3M", 3 << 20},
		{"--body-max=1g", 1 << 30}, {"--body-max=1023", 0}, {"--body-max=2g", 0}, {"--body-max=k", 0},
		{"--body-max=1kb", 0}, {"--body-max=1 k", 0}, {"--body-max=1.5m", 0},
		{"--body-max=9223372036854775807g", 0}, {"--body-max=18014398509481985k", 0}, {"--body-max=", 0}};

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct config *config = NULL;
		struct cs_error err;
		int rest;
		enum cs_status status =
			config_load_rows(rows, ROWS, 1, WORDS(sizes[i].flag), WORDS(), &config, &rest, &err);

		if (status != (sizes[i].bytes ? CS_OK : CS_VALIDATION))
			fail_msg("%s", sizes[i].flag);
		if (status == CS_OK)
			assert_int_equal(config_int(config, SIZE), sizes[i].bytes);
		else
			assert_non_null(strstr(
				err.text, "a size from 1024 to 1073741824 bytes is needed, like 4096, 64k, 4m or 1g"));
		config_free(config);
	}
}

static void test_files_that_are_wrong(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} files[] = {
		{"port\n", " line 1: 'name = value' is needed"},
		{"port = 1\n\nport = 2\n", " line 3: 'port' stands already in line 1"},
		{"name = a\033b", " line 1: the value of name has a control character in it"},
		{"= 3", " line 1: there is no setting ''; 'context-store config' lists them"},
		{"port =", " line 1: '' is not right for port: a whole number from 0 to 65535 is needed"},
	};
	char expected[200];
	char *large;

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		write_file(files[i].text, strlen(files[i].text));
		snprintf(expected, sizeof expected, "file %s%s", file_path, files[i].message);
		assert_refused(WORDS(), WORDS(file_variable), expected);
	}
	write_file("name = a\0b\n", 11);
	snprintf(expected, sizeof expected, "file %s line 1: the value of name has a control character in it",
		file_path);
	assert_refused(WORDS(), WORDS(file_variable), expected);
	large = malloc((1u << 20) + 1);
	assert_non_null(large);
	memset(large, '\n', (1u << 20) + 1);
	write_file(large, (1u << 20) + 1);
	snprintf(expected, sizeof expected, "file %s: too long for a file of settings", file_path);
	assert_refused(WORDS(), WORDS(file_variable), expected);
	free(large);
}

static void test_values_in_files(void **state)
{
	struct config *config;

	write_file("name = a = b#c d\npassword=#none", 31);
	config = load(WORDS(), WORDS(file_variable), NULL);
	assert_true(slice_eq(config_str(config, NAME), S("a = b#c d")));
	assert_true(slice_eq(config_str(config, PASSWORD), S("#none")));
	config_free(config);
}

static void test_secrets_are_never_shown(void **state)
{
	struct config *config = load(WORDS("--password", "hunter2"), WORDS(), NULL);
	struct cs_error err;
	int rest;

	assert_true(slice_eq(config_str(config, PASSWORD), S("hunter2")));
	assert_true(slice_eq(config_shown(config, PASSWORD), S("********")));
	config_free(config);
	config = load(WORDS("--port=7"), WORDS(), NULL);
	assert_int_equal(config_shown(config, PASSWORD).len, 0);
	assert_true(slice_eq(config_shown(config, PORT), S("7")));
	config_free(config);
	assert_int_equal(config_load_rows(rows, ROWS, 1, WORDS("--password=hunter\n2"), WORDS(), &config, &rest, &err),
		CS_VALIDATION);
	assert_null(strstr(err.text, "hunter"));
}

static void test_a_password_within_a_url_is_not_shown(void **state)
{
	static const struct {
		const char *text, *shown;
	} urls[] = {
		{"redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"},
		{"redis://:hunter2@host:6379", "redis://:********@host:6379"},
		{"redis://ann:hunter2@host/1", "redis://ann:********@host/1"},
		{"redis://ann@host/1", "redis://ann@host/1"},
		{"redis://ann:p@ss:w/rd@host", "redis://ann:********@host"},
		{"unix://:hunter2@/run/redis.sock?db=1", "unix://:********@/run/redis.sock?db=1"},
		{"ann:hunter2@host", "ann:********@host"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
		struct config *config = load(WORDS("--server", (char *)(uintptr_t)urls[i].text), WORDS(), NULL);

		assert_true(slice_eq(config_str(config, SERVER), slice_cstr(urls[i].text)));
		if (!slice_eq(config_shown(config, SERVER), slice_cstr(urls[i].shown)))
			fail_msg("%s is shown as " SLICE_FMT, urls[i].text, SLICE_ARG(config_shown(config, SERVER)));
		config_free(config);
	}
}

static void test_each_allocation_fails_once(void **state)
{
	write_file("name = from the file\nport = 9\n", 30);
	ALLOC_FAULT_EACH(n)
	{
		struct config *config = NULL;
		int rest = -1;
		enum cs_status status = config_load_rows(rows, ROWS, 2, WORDS("--password", "x"),
			WORDS(file_variable, "X_WEB=on"), &config, &rest, NULL);

		if (status == CS_OK)
			assert_int_equal(config_int(config, PORT), 9);
		else
			assert_true(config == NULL && rest == -1);
		config_free(config);
	}
	assert_true(n >= 3 || !alloc_fault_available());
}

/* The program's own table: defaults load, and no flag or variable has two rows. */
static void test_the_programs_table(void **state)
{
	struct config *config = NULL;
	struct cs_error err;
	int rest;

	if (config_load(0, NULL, NULL, &config, &rest, &err) != CS_OK)
		fail_msg("%s", err.text);
	assert_int_equal(config_int(config, SETTING_PORT), 8000);
	config_free(config);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		assert_true(setting_rows[i].help[0] != '\0');
		assert_string_not_equal(setting_rows[i].flag, "config");
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(setting_rows[i].flag, setting_rows[j].flag);
			assert_string_not_equal(setting_rows[i].env, setting_rows[j].env);
		}
	}
}

/* What is like a setting and is none is told with the variable that was meant; what platforms inject is not. */
static void test_ignored_variables(void **state)
{
	static const struct {
		const char *variable, *right; /* right "": not told; NULL: like none */
	} cases[] = {{"CONTEXT_STORE_PORT=8001", "MCP_SERVER_PORT"}, {"CONTEXT_STORE_LOG_LEVEL=debug", "MCP_LOG_LEVEL"},
		{"CONTEXT_STORE_REDIS_URL=redis://h", "REDIS_URL"},
		{"CONTEXT_STORE_DATADIR=/d", "CONTEXT_STORE_DATA_DIR"},
		{"CONTEXT_STORE_IDLE_TIMOUT=1", "CONTEXT_STORE_IDLE_TIMEOUT"},
		{"CONTEXT_STORE_CONFG=x", "CONTEXT_STORE_CONFIG"}, {"CONTEXT_STORE_XYZZYPLUGH=1", NULL},
		{"CONTEXT_STORE_HOST=::1", ""}, {"CONTEXT_STORE_CONFIG=x", ""}, {"CONTEXT_STORE_KERNEL=avx2", ""},
		{"CONTEXT_STORE_LOOPZ=", ""}, {"CONTEXT_STORE", ""}, {"CONTEXTSTORE_PORT=1", ""},
		{"CONTEXT_STORE_PORT=tcp://10.0.0.1:8000", ""}, {"CONTEXT_STORE_SERVICE_HOST=10.0.0.1", ""},
		{"CONTEXT_STORE_SERVICE_PORT_HTTP=8000", ""}, {"CONTEXT_STORE_PORT_8000_TCP_PORT=8000", ""},
		{"CONTEXT_STORE_REDIS_PORT=tcp://10.0.0.1:6379", ""},
		{"CONTEXT_STORE_REDIS_SERVICE_HOST=10.0.0.2", ""}};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *const *environment = WORDS("PATH=/bin", cases[i].variable, "HOME=/");
		bool wanted = !cases[i].right || *cases[i].right;
		const char *right = "";
		struct slice name;
		size_t cursor = 0;

		assert_int_equal(config_next_ignored(environment, &cursor, &name, &right), wanted);
		if (wanted && cases[i].right)
			assert_string_equal(right, cases[i].right);
		else if (wanted)
			assert_null(right);
		if (wanted)
			assert_memory_equal(name.ptr, cases[i].variable, name.len);
		assert_false(wanted && config_next_ignored(environment, &cursor, &name, &right));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rank),
		cmocka_unit_test(test_flag_names_another_file),
		cmocka_unit_test(test_where_flags_end),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_files_that_are_wrong),
		cmocka_unit_test(test_values_in_files),
		cmocka_unit_test(test_secrets_are_never_shown),
		cmocka_unit_test(test_a_password_within_a_url_is_not_shown),
		cmocka_unit_test(test_each_allocation_fails_once),
		cmocka_unit_test(test_the_programs_table),
		cmocka_unit_test(test_ignored_variables),
	};

	return cmocka_run_group_tests_name("config", tests, make_file, remove_file);
}
