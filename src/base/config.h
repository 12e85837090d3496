/* Settings: one table, four places they come from.
 *
 * flag > environment > file > default. SETTINGS_TABLE (base/settings_table.h) has a row for each: symbol, flag,
 * environment name, kind, default, range and one sentence of help; --help, the man page, the sample file,
 * `context-store config` and the reference page are made from it. The file is `name = value` lines with the flag's name
 * (without dashes); '#' starts a comment at the start of a line or after white space, and a name stands once. An
 * unknown name, a value of the wrong kind or out of range is an error that names the place (flag, variable, or file and
 * line) and says what would be right; for an unknown name also the nearest known one. An empty variable counts as not
 * set, an unknown one is ignored (config_next_ignored tells of it).
 *
 * A secret's value, and the password within a URL, is never printed or logged. Owner: config_free. Threads: read-only once loaded. */
#ifndef CS_BASE_CONFIG_H
#define CS_BASE_CONFIG_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

enum setting_id {
#define SETTING(symbol, flag, env, kind, fallback, min, max, unit, help) SETTING_##symbol,
#include "base/settings_table.h"
#undef SETTING
	SETTING_COUNT
};

enum setting_kind {
	SETTING_STR,
	SETTING_INT,
	SETTING_BOOL,
	SETTING_SIZE /* bytes: 4194304, 4096k, 4m */,
	SETTING_SECRET,
	SETTING_URL /* a string whose password, scheme://user:password@host, is a secret */
};
enum setting_origin { SETTING_FROM_DEFAULT, SETTING_FROM_FILE, SETTING_FROM_ENVIRONMENT, SETTING_FROM_FLAG };

struct setting_row {
	const char *flag; /* "data-dir": --data-dir, and the name in the file */
	const char *env;
	enum setting_kind kind;
	const char *fallback; /* as text */
	int64_t min, max;
	const char *unit; /* "seconds", "bytes", ""; or what the value stands for: "DIR" */
	const char *help;
};

extern const struct setting_row setting_rows[SETTING_COUNT];

struct config;

/* argv holds flags only (--name value, --name=value, --flag for a bool); the first word that is no flag ends them and
 * *ret_rest is its index (argc if none). `environment` is environ. --config FILE or CONTEXT_STORE_CONFIG names the
 * file. Errors: CS_VALIDATION. */
CS_CHECKED enum cs_status config_load(int argc, char *const *argv, char *const *environment, struct config **ret_config,
	int *ret_rest, struct cs_error *);
/* The same over another table (tests); setting_rows is the program's. `rows` must outlive the config. */
CS_CHECKED enum cs_status config_load_rows(const struct setting_row *rows, size_t row_count, int argc,
	char *const *argv, char *const *environment, struct config **ret_config, int *ret_rest, struct cs_error *);
void config_free(struct config *);

/* The next variable, from *cursor (0 at first) on, that is named as those of the program's settings are, is none of them,
 * and was not injected by a container platform. *ret_right: the variable it was meant for, NULL if it is like none. */
bool config_next_ignored(char *const *environment, size_t *cursor, struct slice *ret_name, const char **ret_right);

struct slice config_str(const struct config *, enum setting_id);
int64_t config_int(const struct config *, enum setting_id); /* also SIZE */
bool config_bool(const struct config *, enum setting_id);
enum setting_origin config_origin(const struct config *, enum setting_id);
/* "flag --port", "environment MCP_SERVER_PORT", "file /etc/x.conf line 3", "default" */
struct slice config_origin_text(const struct config *, enum setting_id);
/* The value as text, secrets as "********" (or empty when not set), a URL with its password so. */
struct slice config_shown(const struct config *, enum setting_id);

#endif
