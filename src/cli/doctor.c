/* `context-store doctor`: looks for what is wrong and says how to mend it. Changes nothing.
 *
 * Each check is one function that fills one finding; the table at the end is the order on the screen. A warning is
 * worth knowing and no fault: only faults make the exit code 1. */
#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <uv.h>
#include <xxhash.h>

#include "base/json.h"
#include "base/version.h"
#include "cli/address.h"
#include "cli/commands.h"
#include "cli/data_dir.h"
#include "cli/doctor.h"
#include "cli/embedders.h"
#include "cli/models.h"
#include "cli/owner.h"
#include "cli/process.h"
#include "cli/table.h"
#include "engine/engine.h"
#include "mcp/auth.h"
#include "net/unix_client.h"

#define SPACE_MIN     (100u << 20) /* bytes below which the disk counts as full soon */
#define FILES_MIN     1024
#define ANSWER_NS     INT64_C(2000000000)
#define SERVER_NS     INT64_C(10000000000)
#define REPLY_MAX     65536

#define NOT_LOOKED_AT "not looked at: the directory cannot be opened"

struct patient {
	const struct config *config;
	struct arena *arena;
	struct slice dir;
	bool dir_there, file_there, held;
	bool shut; /* nobody of ours can look into the directory, or it is none: check_directory says why */
	struct owner_info holder;
};

void finding_say(struct finding *f, enum verdict verdict, const char *format, ...)
{
	va_list args;

	f->verdict = verdict;
	va_start(args, format);
	vsnprintf(f->detail, sizeof f->detail, format, args);
	va_end(args);
}

void finding_mend(struct finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->mend, sizeof f->mend, format, args);
	va_end(args);
}

/* Errors are told as "what is wrong; how to mend it". The last "; " is ours whatever names stand before it. */
static void say_error(struct finding *f, const struct cs_error *err, const char *otherwise)
{
	const char *how = NULL;

	for (const char *at = strstr(err->text, "; "); at; at = strstr(at + 2, "; "))
		how = at;
	finding_say(f, FAULT, "%.*s", how ? (int)(how - err->text) : (int)strlen(err->text), err->text);
	finding_mend(f, "%s", how ? how + 2 : otherwise);
}

static void check_versions(const struct patient *p, struct finding *f)
{
	finding_say(f, FINE, CS_NAME " " CS_VERSION ", schema %d, SQLite %s, libuv %s, xxHash %u.%u.%u",
		engine_schema_version(), sqlite3_libversion(), uv_version_string(), XXH_versionNumber() / 10000,
		XXH_versionNumber() / 100 % 100, XXH_versionNumber() % 100);
	if (!sqlite3_compileoption_used("ENABLE_FTS5")) {
		f->verdict = FAULT;
		finding_mend(f, "this SQLite has no FTS5; install Debian's libsqlite3-0 or another build that has it");
	}
}

/* Can the first call make it? The nearest directory above that is there decides. */
static void check_absent(const struct patient *p, struct finding *f)
{
	struct slice above = p->dir;
	const char *at;
	struct stat st;
	bool fits;

	if (lstat(p->dir.ptr, &st) == 0 && S_ISLNK(st.st_mode)) {
		finding_say(f, FAULT, "%s is a link that leads nowhere", p->dir.ptr);
		finding_mend(f, "make the directory it leads to, or name another place with --data-dir");
		return;
	}
	do {
		while (above.len > 0 && above.ptr[--above.len] != '/')
			;
		at = above.len > 0 ? arena_printf(p->arena, SLICE_FMT "/.", SLICE_ARG(above)).ptr : "/.";
		fits = at && access(at, W_OK | X_OK) == 0;
	} while (at && !fits && errno == ENOENT && above.len > 0);
	if (fits) {
		finding_say(f, FINE, "%s does not exist yet; the first call makes it", p->dir.ptr);
		return;
	}
	finding_say(f, FAULT, "%s does not exist and cannot be made in " SLICE_FMT "/: %s", p->dir.ptr,
		SLICE_ARG(above), strerror(errno));
	finding_mend(
		f, "make it by hand and give it to user %ld, or name another place with --data-dir", (long)getuid());
}

/* What serve looks at beyond the form of each setting, and would end for. */
static void check_settings(const struct patient *p, struct finding *f)
{
	struct slice host = config_str(p->config, SETTING_HOST);
	struct mcp_options options;
	struct auth *auth = NULL;
	struct cs_error err;
	enum cs_status status = process_mcp(p->config, (struct tool_host){0}, NULL, &options, &err);

	if (status == CS_OK)
		status = auth_new(options.environment, &auth, &err);
	if (status != CS_OK) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, "set it right; " CS_NAME " config shows where settings come from");
	} else if (!auth_configured(auth) && !address_is_loopback(host)) {
		finding_say(f, FAULT, "serve refuses to listen on " SLICE_FMT " without API keys", SLICE_ARG(host));
		finding_mend(f, "set API_KEY_NAME=key:user_id:role:is_agent in the environment, or leave --host at "
				"127.0.0.1");
	} else {
		finding_say(
			f, FINE, "%s", auth_configured(auth) ? "API keys are asked for" : "no API keys; loopback only");
	}
	auth_free(auth);
}

static void check_directory(const struct patient *p, struct finding *f)
{
	struct stat st;

	if (!p->dir_there) {
		check_absent(p, f);
		return;
	}
	if (stat(p->dir.ptr, &st) != 0 || !S_ISDIR(st.st_mode)) {
		finding_say(f, FAULT, "%s is no directory", p->dir.ptr);
		finding_mend(f, "move it away, or name another place with --data-dir");
	} else if (access(p->dir.ptr, R_OK | W_OK | X_OK) != 0) {
		finding_say(f, FAULT, "%s: %s", p->dir.ptr, strerror(errno));
		finding_mend(f, "chown -R %ld '%s' and chmod 700 '%s'", (long)getuid(), p->dir.ptr, p->dir.ptr);
	} else if (st.st_mode & 077) {
		finding_say(
			f, WARNING, "%s is open to other users (mode %03o)", p->dir.ptr, (unsigned)st.st_mode & 0777);
		finding_mend(f, "chmod 700 '%s'", p->dir.ptr);
	} else {
		finding_say(f, FINE, "%s", p->dir.ptr);
	}
}

static void check_space(const struct patient *p, struct finding *f)
{
	struct statvfs fs;
	uint64_t bytes;

	if (!p->dir_there || statvfs(p->dir.ptr, &fs) != 0) {
		finding_say(f, FINE, "not looked at: there is no directory yet");
		return;
	}
	bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	finding_say(f, bytes < SPACE_MIN ? WARNING : FINE, "%llu MiB free", (unsigned long long)(bytes >> 20));
	if (f->verdict != FINE)
		finding_mend(f, "make room on the disk of %s; writes fail when it is full, and nothing stored is lost",
			p->dir.ptr);
}

static void check_file(const struct patient *p, struct finding *f)
{
	const char *path = arena_printf(p->arena, "%s/" ENGINE_FILE, p->dir.ptr).ptr;
	struct stat st;

	if (p->shut) {
		finding_say(f, FINE, NOT_LOOKED_AT);
	} else if (!p->file_there || !path) {
		finding_say(f, FINE, "no store yet");
	} else if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
		finding_say(f, FAULT, "%s is no file", path);
		finding_mend(f, "move it away");
	} else if (access(path, R_OK | W_OK) != 0) {
		finding_say(f, FAULT, "%s: %s", path, strerror(errno));
		finding_mend(f, "chown %ld '%s' and chmod 600 '%s'", (long)getuid(), path, path);
	} else if (st.st_mode & 077) {
		finding_say(f, WARNING, "%s is readable by other users (mode %03o)", path, (unsigned)st.st_mode & 0777);
		finding_mend(f, "chmod 600 '%s'", path);
	} else {
		finding_say(f, FINE, "%s, %lld KiB", path, (long long)st.st_size / 1024);
	}
}

/* What cannot be opened is check_file's finding, and says nothing about what is in it. */
static void check_integrity(const struct patient *p, struct finding *f)
{
	const char *path = arena_printf(p->arena, "%s/" ENGINE_FILE, p->dir.ptr).ptr;
	struct cs_error err;
	enum cs_status status;

	if (p->shut) {
		finding_say(f, FINE, NOT_LOOKED_AT);
		return;
	}
	if (!p->file_there) {
		finding_say(f, FINE, "no store yet");
		return;
	}
	if (!path || access(path, R_OK | W_OK) != 0) {
		finding_say(f, FINE, "not looked at: the file cannot be read and written");
		return;
	}
	status = engine_check(p->dir, &err);
	if (status == CS_OK) {
		finding_say(f, FINE, "every page, index and row is sound");
	} else if (status == CS_STORAGE) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, "stop every " CS_NAME " on this directory and keep a copy of it before anything else");
	} else {
		say_error(f, &err, "see that the file can be read and written");
	}
}

static void check_owner(const struct patient *p, struct finding *f)
{
	char who[4 * OWNER_TEXT_MAX];
	struct slice path = arena_printf(p->arena, "%s/" OWNER_SOCKET, p->dir.ptr);
	struct slice lock = arena_printf(p->arena, "%s/" OWNER_LOCK, p->dir.ptr);
	struct op op = {.arena = p->arena,
		.principal = &principal_anonymous,
		.deadline_ns = clock_mono_ns() + ANSWER_NS,
		.may_wait = true};
	struct unix_client *client;
	struct buffer reply;
	struct cs_error err;
	int http = 0;

	if (p->shut) {
		finding_say(f, FINE, NOT_LOOKED_AT);
		return;
	}
	if (lock.ptr && access(lock.ptr, R_OK) != 0 && errno != ENOENT) {
		finding_say(f, FINE, "not looked at: %s: %s", lock.ptr, strerror(errno));
		return;
	}
	if (!p->held) {
		finding_say(f, FINE, "nobody owns the directory now");
		return;
	}
	owner_describe(&p->holder, who, sizeof who);
	buffer_init(&reply, REPLY_MAX);
	if (!path.ptr || unix_client_new(path, &client, &err) != CS_OK) {
		finding_say(f, FAULT, "out of memory");
	} else {
		if (unix_client_call(client, &op, S("/health/live"), S(""), &http, &reply, NULL, &err) == CS_OK &&
			http == 200) {
			finding_say(f, FINE, "%s, and it answers", who);
		} else {
			finding_say(f, FAULT, "%s, but it does not answer on %s", who, path.ptr);
			finding_mend(f, "if it does not recover, end it (kill %ld); what it acknowledged is stored",
				(long)p->holder.pid);
		}
		unix_client_free(client);
	}
	buffer_release(&reply);
}

static void check_port(const struct patient *p, struct finding *f)
{
	struct slice host = config_str(p->config, SETTING_HOST);
	int64_t port = config_int(p->config, SETTING_PORT);
	struct cs_error err;

	if (port == 0)
		finding_say(f, FINE, "the system chooses one");
	else if (address_check(host, port, &err) == CS_OK)
		finding_say(f, FINE, "%lld of " SLICE_FMT " is free", (long long)port, SLICE_ARG(host));
	else if (p->held && strcmp(p->holder.command, "serve") == 0)
		finding_say(f, FINE, "%lld of " SLICE_FMT " is in use, and a serve owns this directory",
			(long long)port, SLICE_ARG(host));
	else
		say_error(f, &err, "choose another with --host ADDR or --port N");
}

/* Loads the model as f32, because int8 would write its file beside the weights. */
static void check_model(const struct patient *p, struct slice word, const char *about, struct finding *f)
{
	const struct encoder_options options = {.precision = ENCODER_F32};
	struct encoder *encoder;
	struct slice path;
	struct cs_error err;
	enum cs_status status = model_path_of(p->config, p->arena, word, &path, &err);

	if (status == CS_OK)
		status = encoder_open(path, &options, &encoder, &err);
	if (status != CS_OK) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, CS_NAME " model verify, and " CS_NAME " model pull if a file is damaged");
		return;
	}
	finding_say(
		f, FINE, "%s, %u dimensions, %s kernels", about, encoder_dimension(encoder), encoder_kernel(encoder));
	encoder_close(encoder);
}

static void check_embedding_server(const struct patient *p, const struct embedders *e, struct finding *f)
{
	struct op op = {.arena = p->arena,
		.principal = &principal_anonymous,
		.deadline_ns = clock_mono_ns() + SERVER_NS,
		.may_wait = true};
	struct embed_model model;
	struct cs_error err;

	if (e->port.model(e->port.self, &op, &model, &err) == CS_OK) {
		finding_say(f, FINE, "%s answers with %u dimensions", e->about, model.dimension);
		return;
	}
	finding_say(f, FAULT, "%s", err.text);
	finding_mend(f,
		"start the server, or set --embedding-url and --embedding-model; searching by words works meanwhile");
}

static void check_vectors(const struct patient *p, struct finding *f)
{
	struct slice word = config_str(p->config, SETTING_EMBEDDING_MODEL);
	struct embedders e = {0};
	struct cs_error err;

	if (embedders_open(&e, p->config, &err) != CS_OK) {
		finding_say(f, FAULT, "%s", err.text);
		finding_mend(f, "set it right; " CS_NAME " config shows where it comes from");
	} else if (!e.port.embed) {
		finding_say(f, FINE, "off (embedding-model is off)");
	} else if (e.missing) {
		finding_say(f, WARNING, "no model yet: %s; searching by words works", e.about);
		finding_mend(f, CS_NAME " model pull fetches it, --embedding-model off does without");
	} else if (e.remote) {
		check_embedding_server(p, &e, f);
	} else {
		check_model(p, word, e.about, f);
	}
	embedders_close(&e);
}

static void check_files_limit(const struct patient *p, struct finding *f)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
		finding_say(f, WARNING, "%s", strerror(errno));
		return;
	}
	finding_say(f, files.rlim_max < FILES_MIN ? WARNING : FINE, "%llu files may be open",
		(unsigned long long)files.rlim_max);
	if (f->verdict != FINE)
		finding_mend(f, "raise it (ulimit -Hn, or LimitNOFILE= of the unit): each client connection takes one");
}

static void check_redis(const struct patient *p, struct finding *f)
{
	doctor_check_redis(p->config, p->arena, f);
}

static const struct check {
	const char *name;
	void (*run)(const struct patient *, struct finding *);
} checks[] = {
	{"versions", check_versions},
	{"settings", check_settings},
	{"directory", check_directory},
	{"disk space", check_space},
	{"file", check_file},
	{"integrity", check_integrity},
	{"owner", check_owner},
	{"port", check_port},
	{"open files", check_files_limit},
	{"vectors", check_vectors},
	{"redis", check_redis},
};

static const char *const verdict_names[] = {"ok", "warning", "fault"};

static void print_finding(const struct check *check, const struct finding *f)
{
	screen_bold(f->verdict != FINE);
	printf("%-8s %-11s ", verdict_names[f->verdict], check->name);
	screen_bold(false);
	screen_text(slice_cstr(f->detail), false);
	putchar('\n');
	if (*f->mend) {
		printf("%21s-> ", "");
		screen_text(slice_cstr(f->mend), false);
		putchar('\n');
	}
}

static void write_finding(struct json_writer *w, const struct check *check, const struct finding *f)
{
	json_begin_object(w);
	json_key_str(w, "check", slice_cstr(check->name));
	json_key_str(w, "verdict", slice_cstr(verdict_names[f->verdict]));
	json_key_str(w, "detail", slice_cstr(f->detail));
	if (*f->mend)
		json_key_str(w, "mend", slice_cstr(f->mend));
	json_end_object(w);
}

static enum cli_exit examine(const struct patient *p, bool json)
{
	struct buffer out;
	struct json_writer w;
	size_t faults = 0;

	buffer_init(&out, 1u << 20);
	w = json_writer(&out);
	json_begin_object(&w);
	json_write_name(&w, S("checks"));
	json_begin_array(&w);
	for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
		struct finding f = {.verdict = FINE};

		checks[i].run(p, &f);
		faults += f.verdict == FAULT;
		if (json)
			write_finding(&w, &checks[i], &f);
		else
			print_finding(&checks[i], &f);
	}
	json_end_array(&w);
	json_key_bool(&w, "success", faults == 0);
	json_end_object(&w);
	if (json)
		printf(SLICE_FMT "\n", SLICE_ARG(buffer_slice(&out)));
	else if (faults > 0)
		fprintf(stderr, CS_NAME ": %zu %s; the lines marked -> say how to mend\n", faults,
			faults == 1 ? "fault" : "faults");
	buffer_release(&out);
	return faults == 0 ? CLI_DONE : CLI_FAILED;
}

static bool is_shut(const struct patient *p)
{
	struct slice inside = arena_printf(p->arena, "%s/.", p->dir.ptr);

	return inside.ptr && access(inside.ptr, R_OK | X_OK) != 0 && errno != ENOENT;
}

enum cli_exit doctor_command(struct invocation *inv)
{
	struct patient p = {.config = inv->config};
	struct arena arena;
	struct cs_error err;
	enum cli_exit code;

	arena_init(&arena, NULL, 0, 8u << 20);
	p.arena = &arena;
	if (data_dir_resolve(inv->config, &arena, &p.dir, &err) != CS_OK) {
		arena_release(&arena);
		return cli_fail(&err);
	}
	p.dir_there = access(p.dir.ptr, F_OK) == 0;
	p.shut = is_shut(&p);
	p.file_there = data_dir_has_store(p.dir);
	p.held = owner_held(p.dir, &p.holder);
	code = examine(&p, invocation_option(inv, "json") != NULL);
	arena_release(&arena);
	return code;
}
