/* Settings: read in the order of their rank, so that the later place overwrites the earlier one.
 *
 * Defaults, then the file, then the environment, then flags; each value is checked where it is read, also one that a
 * higher place overwrites: a file that is wrong should be told before it is the only one. All text lives in one arena
 * with a ceiling. An environment variable that is set to nothing counts as not set (compose files and unit files pass
 * such), and an unknown CONTEXT_STORE_* one is no error, because container platforms inject variables named after
 * services (CONTEXT_STORE_SERVICE_HOST): it is told, unless it has their form. An unknown flag or name in the file is an
 * error. */
#include "base/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/nearest.h"

#define CONFIG_MEMORY_MAX (4u << 20)
#define CONFIG_FILE_MAX   (1u << 20)
#define FILE_FLAG         "config"
#define FILE_ENVIRONMENT  "CONTEXT_STORE_CONFIG"
#define ENVIRONMENT_START "CONTEXT_STORE_"

const struct setting_row setting_rows[SETTING_COUNT] = {
#define SETTING(symbol, flag, env, kind, fallback, min, max, unit, help)                                               \
	[SETTING_##symbol] = {flag, env, SETTING_##kind, fallback, min, max, unit, help},
#include "base/settings_table.h"
#undef SETTING
};

#define MASK "********"

struct value {
	struct slice text;
	struct slice shown; /* without secrets */
	int64_t number;     /* INT, SIZE, BOOL */
	enum setting_origin origin;
	struct slice place; /* "flag --port" */
	unsigned line;      /* in the file, 0: not in it */
};

struct config {
	const struct setting_row *rows;
	size_t row_count;
	struct arena arena;
	struct value values[]; /* row_count of them */
};

/* A file does not name a file. */
static struct slice nearest_name(const struct config *config, struct slice name, bool flag)
{
	struct nearest nearest = nearest_to(name);

	if (flag)
		nearest_offer(&nearest, S(FILE_FLAG));
	for (size_t i = 0; i < config->row_count; i++)
		nearest_offer(&nearest, slice_cstr(config->rows[i].flag));
	return nearest.best;
}

static enum cs_status unknown(
	const struct config *config, struct slice place, struct slice name, const char *dashes, struct cs_error *err)
{
	struct slice near = nearest_name(config, name, *dashes != '\0');
	int shown = name.len > 80 ? 80 : (int)name.len;

	if (near.ptr)
		return cs_fail(err, CS_VALIDATION,
			SLICE_FMT ": there is no setting '%s%.*s'; did you mean '%s" SLICE_FMT "'?", SLICE_ARG(place),
			dashes, shown, name.ptr, *dashes ? "--" : "", SLICE_ARG(near));
	return cs_fail(err, CS_VALIDATION,
		SLICE_FMT ": there is no setting '%s%.*s'; 'context-store config' lists them", SLICE_ARG(place), dashes,
		shown, name.ptr);
}

static bool find_row(const struct config *config, struct slice name, size_t *ret_row)
{
	for (size_t i = 0; i < config->row_count; i++)
		if (slice_eq(name, slice_cstr(config->rows[i].flag))) {
			*ret_row = i;
			return true;
		}
	return false;
}

static bool parse_bool(struct slice text, int64_t *ret_number)
{
	static const char *const words[2][4] = {{"false", "no", "off", "0"}, {"true", "yes", "on", "1"}};

	for (size_t i = 0; i < 8; i++)
		if (slice_eq_nocase(text, slice_cstr(words[i / 4][i % 4]))) {
			*ret_number = (int64_t)(i / 4);
			return true;
		}
	return false;
}

/* "4096", "64k", "4m", "1g": powers of 1024. */
static bool parse_size(struct slice text, int64_t *ret_number)
{
	static const char units[] = "kmg";
	int64_t number, factor = 1;
	const char *unit = text.len && text.ptr[text.len - 1] ? strchr(units, text.ptr[text.len - 1] | 0x20) : NULL;

	if (unit) {
		factor = INT64_C(1) << (10 * (unit - units + 1));
		text.len--;
	}
	if (!slice_to_i64(text, &number) || __builtin_mul_overflow(number, factor, &number))
		return false;
	*ret_number = number;
	return true;
}

/* A value that is not right; a secret's is not repeated. */
static enum cs_status wrong(const struct setting_row *row, struct slice place, struct slice text, struct cs_error *err)
{
	int shown = text.len > 80 ? 80 : (int)text.len;

	switch (row->kind) {
	case SETTING_INT:
		return cs_fail(err, CS_VALIDATION,
			SLICE_FMT ": '%.*s' is not right for %s: a whole number from %lld to %lld is needed",
			SLICE_ARG(place), shown, text.ptr, row->flag, (long long)row->min, (long long)row->max);
	case SETTING_SIZE:
		return cs_fail(err, CS_VALIDATION,
			SLICE_FMT ": '%.*s' is not right for %s: a size from %lld to %lld bytes is needed, like 4096, "
				  "64k, 4m or 1g",
			SLICE_ARG(place), shown, text.ptr, row->flag, (long long)row->min, (long long)row->max);
	case SETTING_BOOL:
		return cs_fail(err, CS_VALIDATION, SLICE_FMT ": '%.*s' is not right for %s: true or false is needed",
			SLICE_ARG(place), shown, text.ptr, row->flag);
	case SETTING_STR:
	case SETTING_URL:
	case SETTING_SECRET: break;
	}
	return cs_fail(err, CS_VALIDATION, SLICE_FMT ": the value of %s has a control character in it",
		SLICE_ARG(place), row->flag);
}

/* What may be seen of the text; without memory ptr is NULL. All from the first ':' behind the scheme to the last '@' goes: a
 * password that was not percent-encoded, and holds either, is hidden as well. */
static struct slice shown_of(struct config *config, enum setting_kind kind, struct slice text)
{
	const char *at = kind == SETTING_URL ? memrchr(text.ptr, '@', text.len) : NULL;
	const char *scheme = at ? memmem(text.ptr, text.len, "://", 3) : NULL;
	const char *user = scheme ? scheme + 3 : text.ptr, *colon;

	if (kind == SETTING_SECRET)
		return text.len > 0 ? S(MASK) : text;
	colon = at && user < at ? memchr(user, ':', (size_t)(at - user)) : NULL;
	if (!colon)
		return text;
	return arena_printf(&config->arena, SLICE_FMT ":" MASK SLICE_FMT,
		SLICE_ARG(slice_of(text.ptr, (size_t)(colon - text.ptr))),
		SLICE_ARG(slice_from(text, (size_t)(at - text.ptr))));
}

/* Checks the value and makes it the setting's. `place` and `text` are copied. */
static enum cs_status set_value(struct config *config, size_t i, struct slice text, enum setting_origin origin,
	struct slice place, struct cs_error *err)
{
	const struct setting_row *row = &config->rows[i];
	struct value *value = &config->values[i];
	int64_t number = 0;
	bool right = !slice_has_control(text);

	if (row->kind == SETTING_BOOL)
		right = parse_bool(text, &number);
	else if (row->kind == SETTING_INT)
		right = slice_to_i64(text, &number) && number >= row->min && number <= row->max;
	else if (row->kind == SETTING_SIZE)
		right = parse_size(text, &number) && number >= row->min && number <= row->max;
	if (!right)
		return wrong(row, place, text, err);
	text = arena_copy(&config->arena, text);
	place = arena_copy(&config->arena, place);
	if (!text.ptr || !place.ptr)
		return cs_fail_memory(err);
	value->shown = shown_of(config, row->kind, text);
	if (!value->shown.ptr)
		return cs_fail_memory(err);
	value->text = text;
	value->place = place;
	value->number = number;
	value->origin = origin;
	return CS_OK;
}

static enum cs_status load_defaults(struct config *config, struct cs_error *err)
{
	for (size_t i = 0; i < config->row_count; i++) {
		enum cs_status status = set_value(
			config, i, slice_cstr(config->rows[i].fallback), SETTING_FROM_DEFAULT, S("default"), err);

		/* A default the table itself refuses is a mistake of whoever wrote the row. */
		assert(status != CS_VALIDATION);
		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

static const char *environment_value(char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (; environment && *environment; environment++)
		if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
			return *environment + len + 1;
	return NULL;
}

static enum cs_status load_environment(struct config *config, char *const *environment, struct cs_error *err)
{
	for (size_t i = 0; i < config->row_count; i++) {
		const char *value = environment_value(environment, config->rows[i].env);
		struct slice place;
		enum cs_status status;

		if (!value || !*value)
			continue;
		place = arena_printf(&config->arena, "environment %s", config->rows[i].env);
		if (!place.ptr)
			return cs_fail_memory(err);
		status = set_value(config, i, slice_cstr(value), SETTING_FROM_ENVIRONMENT, place, err);
		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

static bool has(struct slice text, const char *part)
{
	return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Kubernetes, and Docker's links, for a service whose name begins with context-store: _SERVICE_HOST, _SERVICE_PORT_HTTP,
 * _PORT_8000_TCP_ADDR, and _PORT=tcp://10.0.0.1:8000. */
static bool is_injected(struct slice name, struct slice value)
{
	const char *port = memmem(name.ptr, name.len, "PORT_", 5);

	return has(name, "SERVICE_HOST") || has(name, "SERVICE_PORT") || (has(name, "PORT") && has(value, "://")) ||
	       (port && port + 5 < name.ptr + name.len && port[5] >= '0' && port[5] <= '9');
}

/* The variable of the setting that `name`, which stands behind ENVIRONMENT_START, was meant for. */
static const char *variable_meant(struct slice name)
{
	char flag[NEAREST_LENGTH_MAX];
	struct nearest nearest;

	if (name.len > sizeof flag)
		return NULL;
	for (size_t i = 0; i < name.len; i++)
		flag[i] = name.ptr[i] == '_' ? '-' : name.ptr[i];
	nearest = nearest_to(slice_of(flag, name.len));
	nearest_offer(&nearest, S(FILE_FLAG));
	for (size_t i = 0; i < SETTING_COUNT; i++)
		nearest_offer(&nearest, slice_cstr(setting_rows[i].flag));
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (slice_is(nearest.best, setting_rows[i].flag))
			return setting_rows[i].env;
	return nearest.best.len > 0 ? FILE_ENVIRONMENT : NULL;
}

/* Read, and no setting: the file's, and one of embed/kernels.h. */
static const char *const other_variables[] = {FILE_ENVIRONMENT, "CONTEXT_STORE_KERNEL"};

static bool is_read(struct slice name)
{
	bool read = false;

	for (size_t i = 0; i < sizeof other_variables / sizeof *other_variables && !read; i++)
		read = slice_is(name, other_variables[i]);
	for (size_t i = 0; i < SETTING_COUNT && !read; i++)
		read = slice_is(name, setting_rows[i].env);
	return read;
}

bool config_next_ignored(char *const *environment, size_t *cursor, struct slice *ret_name, const char **ret_right)
{
	while (environment && environment[*cursor]) {
		struct slice value = slice_cstr(environment[(*cursor)++]), name = slice_cut(&value, '=');

		if (!slice_starts(name, S(ENVIRONMENT_START)) || value.len == 0 || is_read(name) ||
			is_injected(name, value))
			continue;
		*ret_name = name;
		*ret_right = variable_meant(slice_from(name, sizeof ENVIRONMENT_START - 1));
		return true;
	}
	return false;
}

static enum cs_status read_all(int fd, struct buffer *out, const char *path, struct cs_error *err)
{
	for (;;) {
		char *room = buffer_reserve(out, 4096);
		ssize_t got = room ? read(fd, room, 4096) : 0;

		if (!room)
			return cs_fail(err, CS_VALIDATION, "file %.200s: too long for a file of settings", path);
		if (got == 0)
			return CS_OK;
		if (got > 0)
			out->len += (size_t)got;
		else if (errno != EINTR)
			return cs_fail(err, CS_VALIDATION, "file %.200s: cannot be read: %s", path, strerror(errno));
	}
}

/* What stands before a comment: a '#' at the start or after white space begins one ("a#b" is a value). */
static struct slice without_comment(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '#' && (i == 0 || line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t'))
			return slice_of(line.ptr, i);
	return line;
}

static enum cs_status load_line(
	struct config *config, struct slice line, const char *path, unsigned number, struct cs_error *err)
{
	struct slice rest = slice_trim(without_comment(line));
	struct slice place, name;
	enum cs_status status;
	size_t i;

	if (rest.len == 0)
		return CS_OK;
	place = arena_printf(&config->arena, "file %.200s line %u", path, number);
	if (!place.ptr)
		return cs_fail_memory(err);
	if (slice_find_byte(rest, '=') == rest.len)
		return cs_fail(err, CS_VALIDATION, SLICE_FMT ": 'name = value' is needed", SLICE_ARG(place));
	name = slice_trim(slice_cut(&rest, '='));
	if (!find_row(config, name, &i))
		return unknown(config, place, name, "", err);
	if (config->values[i].line)
		return cs_fail(err, CS_VALIDATION, SLICE_FMT ": '%s' stands already in line %u", SLICE_ARG(place),
			config->rows[i].flag, config->values[i].line);
	status = set_value(config, i, slice_trim(rest), SETTING_FROM_FILE, place, err);
	if (status == CS_OK)
		config->values[i].line = number;
	return status;
}

static enum cs_status load_file(struct config *config, const char *path, struct cs_error *err)
{
	struct buffer text;
	struct slice rest;
	enum cs_status status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return cs_fail(err, CS_VALIDATION, "file %.200s: cannot be opened: %s", path, strerror(errno));
	buffer_init(&text, CONFIG_FILE_MAX);
	status = read_all(fd, &text, path, err);
	close(fd);
	rest = buffer_slice(&text);
	for (unsigned number = 1; status == CS_OK && rest.len; number++)
		status = load_line(config, slice_cut(&rest, '\n'), path, number, err);
	buffer_release(&text);
	return status;
}

/* One flag of the command line, taken apart. */
struct flag {
	struct slice name;
	const char *value; /* behind '=', else NULL */
};

/* False: this word is none. A lone "-" is a file name by custom. */
static bool is_flag(const char *word, struct flag *ret_flag)
{
	const char *equals = strchr(word, '=');

	if (word[0] != '-' || word[1] == '\0' || strcmp(word, "--") == 0)
		return false;
	word += word[1] == '-' ? 2 : 1;
	ret_flag->name = equals ? slice_of(word, (size_t)(equals - word)) : slice_cstr(word);
	ret_flag->value = equals ? equals + 1 : NULL;
	return true;
}

struct flag_walk {
	int argc;
	char *const *argv;
	int at;
};

/* The next flag's row (row_count: the file) and value. False with *ret_status CS_OK at the end of the flags. */
static bool next_flag(const struct config *config, struct flag_walk *walk, size_t *ret_row, struct slice *ret_value,
	enum cs_status *ret_status, struct cs_error *err)
{
	struct flag flag;
	size_t row;
	bool is_bool;

	*ret_status = CS_OK;
	if (walk->at >= walk->argc || !is_flag(walk->argv[walk->at], &flag))
		return false;
	if (slice_eq(flag.name, S(FILE_FLAG)))
		row = config->row_count;
	else if (walk->argv[walk->at][1] != '-' || !find_row(config, flag.name, &row)) {
		*ret_status = unknown(config, S("flag"), flag.name, walk->argv[walk->at][1] == '-' ? "--" : "-", err);
		return false;
	}
	walk->at++;
	is_bool = row < config->row_count && config->rows[row].kind == SETTING_BOOL;
	if (!flag.value && !is_bool && walk->at >= walk->argc) {
		*ret_status =
			cs_fail(err, CS_VALIDATION, "flag --" SLICE_FMT ": a value is needed", SLICE_ARG(flag.name));
		return false;
	}
	if (!flag.value && !is_bool)
		flag.value = walk->argv[walk->at++];
	*ret_row = row;
	*ret_value = slice_cstr(flag.value ? flag.value : "true");
	return true;
}

/* The file's path, if a flag names one. */
static enum cs_status find_path(
	const struct config *config, int argc, char *const *argv, const char **ret_path, struct cs_error *err)
{
	struct flag_walk walk = {argc, argv, 0};
	struct slice value;
	enum cs_status status;
	size_t row;

	while (next_flag(config, &walk, &row, &value, &status, err))
		if (row == config->row_count)
			*ret_path = value.ptr;
	return status;
}

static enum cs_status load_flags(
	struct config *config, int argc, char *const *argv, int *ret_rest, struct cs_error *err)
{
	struct flag_walk walk = {argc, argv, 0};
	struct slice value, place;
	enum cs_status status;
	size_t row;

	while (next_flag(config, &walk, &row, &value, &status, err)) {
		if (row == config->row_count)
			continue;
		place = arena_printf(&config->arena, "flag --%s", config->rows[row].flag);
		if (!place.ptr)
			return cs_fail_memory(err);
		status = set_value(config, row, value, SETTING_FROM_FLAG, place, err);
		if (status != CS_OK)
			return status;
	}
	/* "--" ends the flags and is none of what follows. */
	if (status == CS_OK)
		*ret_rest = walk.at + (walk.at < argc && strcmp(argv[walk.at], "--") == 0);
	return status;
}

enum cs_status config_load_rows(const struct setting_row *rows, size_t row_count, int argc, char *const *argv,
	char *const *environment, struct config **ret_config, int *ret_rest, struct cs_error *err)
{
	struct config *config = calloc(1, sizeof *config + row_count * sizeof config->values[0]);
	const char *path;
	enum cs_status status;
	int rest = 0;

	if (!config)
		return cs_fail_memory(err);
	config->rows = rows;
	config->row_count = row_count;
	arena_init(&config->arena, NULL, 0, CONFIG_MEMORY_MAX);
	path = environment_value(environment, FILE_ENVIRONMENT);
	status = find_path(config, argc, argv, &path, err);
	if (status == CS_OK)
		status = load_defaults(config, err);
	if (status == CS_OK && path && *path)
		status = load_file(config, path, err);
	if (status == CS_OK)
		status = load_environment(config, environment, err);
	if (status == CS_OK)
		status = load_flags(config, argc, argv, &rest, err);
	if (status != CS_OK) {
		config_free(config);
		return status;
	}
	*ret_config = config;
	*ret_rest = rest;
	return CS_OK;
}

enum cs_status config_load(int argc, char *const *argv, char *const *environment, struct config **ret_config,
	int *ret_rest, struct cs_error *err)
{
	return config_load_rows(setting_rows, SETTING_COUNT, argc, argv, environment, ret_config, ret_rest, err);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	arena_release(&config->arena);
	free(config);
}

static const struct value *value_of(const struct config *config, enum setting_id id)
{
	assert((size_t)id < config->row_count);
	return &config->values[id];
}

struct slice config_str(const struct config *config, enum setting_id id)
{
	return value_of(config, id)->text;
}

int64_t config_int(const struct config *config, enum setting_id id)
{
	assert(config->rows[id].kind == SETTING_INT || config->rows[id].kind == SETTING_SIZE);
	return value_of(config, id)->number;
}

bool config_bool(const struct config *config, enum setting_id id)
{
	assert(config->rows[id].kind == SETTING_BOOL);
	return value_of(config, id)->number != 0;
}

enum setting_origin config_origin(const struct config *config, enum setting_id id)
{
	return value_of(config, id)->origin;
}

struct slice config_origin_text(const struct config *config, enum setting_id id)
{
	return value_of(config, id)->place;
}

struct slice config_shown(const struct config *config, enum setting_id id)
{
	return value_of(config, id)->shown;
}
