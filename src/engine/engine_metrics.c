/* What the engine shows of itself when /metrics is read: lengths, sizes, and memory of its mirrors and caches.
 *
 * Each part tells its own under its own lock, held for some hundred nanoseconds; the indexes of vectors and words, which commits
 * and loading hold for longer, are only tried. Files are asked for by two calls of stat. */
#include <sys/stat.h>

#include "engine/parts.h"

static void set(enum metric_id id, struct slice label, uint64_t value)
{
	metric_set(metric_series(id, label), (int64_t)value);
}

static uint64_t file_bytes(const struct engine *engine, const char *suffix)
{
	char path[SQL_PATH_MAX + 8];
	struct stat info;

	snprintf(path, sizeof path, "%s%s", engine->path, suffix);
	return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

void engine_collect(void *self)
{
	struct engine *engine = self;
	struct hot_keys_stats keys;
	struct readers_stats readers;
	struct writer_stats writer;
	uint64_t vectors, without, documents, bytes;

	hot_keys_stats(engine->hot_keys, &keys);
	set(METRIC_KEYS_CACHED, S(""), keys.keys);
	set(METRIC_MEMORY, S("hot_keys"), keys.bytes);
	metric_set_total(metric_series(METRIC_KEY_EVICTIONS, S("")), (int64_t)keys.evictions);
	readers_stats(engine->readers, &readers);
	set(METRIC_READERS, S("busy"), readers.busy);
	set(METRIC_READERS, S("idle"), readers.idle);
	writer_stats(engine->writer, &writer);
	set(METRIC_WRITE_QUEUE, S(""), writer.queued);
	set(METRIC_MEMORY, S("sqlite"), readers.cache_bytes + writer.cache_bytes);
	set(METRIC_STORAGE, S("database"), file_bytes(engine, ""));
	set(METRIC_STORAGE, S("wal"), file_bytes(engine, "-wal"));
	if (vectors_try_memory(engine->vectors, &vectors, &without, &bytes)) {
		set(METRIC_VECTORS, S(""), vectors);
		set(METRIC_VECTORS_MISSING, S(""), without);
		set(METRIC_MEMORY, S("vector_index"), bytes);
	}
	if (words_try_memory(engine->words, &documents, &bytes)) {
		set(METRIC_WORDS, S(""), documents);
		set(METRIC_MEMORY, S("word_index"), bytes);
	}
}
