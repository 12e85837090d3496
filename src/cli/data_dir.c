/* Finds the data directory (XDG Base Directory Specification 0.8: a relative XDG_DATA_HOME is ignored). */
#include "cli/data_dir.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/version.h"
#include "engine/engine.h"

static const char *home_of_user(void)
{
	const char *home = getenv("HOME");
	const struct passwd *entry;

	if (home && home[0] == '/')
		return home;
	entry = getpwuid(getuid());
	return entry && entry->pw_dir && entry->pw_dir[0] == '/' ? entry->pw_dir : NULL;
}

static enum cs_status make_absolute(struct arena *arena, struct slice dir, struct slice *ret_dir, struct cs_error *err)
{
	struct slice path;
	char *here;

	while (dir.len > 1 && dir.ptr[dir.len - 1] == '/')
		dir.len--;
	if (dir.ptr[0] == '/') {
		path = arena_printf(arena, SLICE_FMT, SLICE_ARG(dir));
	} else {
		here = getcwd(NULL, 0);
		if (!here)
			return cs_fail(err, CS_UNAVAILABLE,
				"the current directory is gone; name the store with --data-dir and an absolute path");
		path = arena_printf(arena, "%s/" SLICE_FMT, here, SLICE_ARG(dir));
		free(here);
	}
	if (!path.ptr)
		return cs_fail_memory(err);
	*ret_dir = path;
	return CS_OK;
}

enum cs_status data_dir_named(struct slice named, const char *below, const char *flag, struct arena *arena,
	struct slice *ret_dir, struct cs_error *err)
{
	const char *base = getenv("XDG_DATA_HOME");
	struct slice path;

	if (named.len > 0)
		return make_absolute(arena, named, ret_dir, err);
	if (base && base[0] == '/') {
		path = arena_printf(arena, "%s/" CS_NAME "%s", base, below);
	} else {
		base = home_of_user();
		if (!base)
			return cs_fail(err, CS_VALIDATION,
				"no home directory is known, so the place of the store is not either; name it with %s "
				"DIR",
				flag);
		path = arena_printf(arena, "%s/.local/share/" CS_NAME "%s", base, below);
	}
	if (!path.ptr)
		return cs_fail_memory(err);
	*ret_dir = path;
	return CS_OK;
}

enum cs_status data_dir_resolve(
	const struct config *config, struct arena *arena, struct slice *ret_dir, struct cs_error *err)
{
	return data_dir_named(config_str(config, SETTING_DATA_DIR), "", "--data-dir", arena, ret_dir, err);
}

bool data_dir_has_store(struct slice dir)
{
	char path[4096];

	snprintf(path, sizeof path, SLICE_FMT "/" ENGINE_FILE, SLICE_ARG(dir));
	/* What may not be looked at may well be there: whoever opens it is told why that fails. */
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
}
