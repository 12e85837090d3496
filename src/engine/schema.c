/* The file format: one SQLite database in WAL mode.
 *
 *   contexts        one narrow row per context: everything filters ask for. `hidden` is 0 (live), 1 (soft deleted) or
 *                   2 (forgotten: purge_at says from which wall millisecond on it is gone for good). `tags` frames
 *                   each tag with newlines (context_filter.c), so that "has this tag" is one instr().
 *   documents       the wide part, same row number: content and metadata as compact JSON, and the words searched.
 *                   Apart from contexts because a filter reads every narrow row, and would read 10 times the pages.
 *   context_words   FTS5 over documents.words; external content: the index holds no second copy of the text. It has the
 *                   live contexts only, so a search without a filter needs no other table. Whoever changes or hides a
 *                   document first takes out its old words ('delete'), else the index would keep them for ever.
 *   edges           relationships: from a context's row to an id, which need not exist (yet).
 *   history         content and metadata of former versions; (row, version).
 *   kv              agent state. content is text, characters its length; expires_at in wall ms, NULL: never.
 *   audit           a line for each removal, restore and purge.
 *   meta            name and value: what the probe writes.
 *   vectors         the vector of a context, in the same row number: f32, little-endian, as the model gave it.
 *   embedding_model one row: whose the vectors are (id, hash, dimension; a dimension of 0: nobody's yet) and the number
 *                   of their set. A blob counts as a vector only while contexts.vector_set is that number (0: none), so
 *                   all vectors are forgotten by changing one row, and who has none is told without reading a blob.
 *
 * Indexes cost a page write per commit and row each, so there are only those that a contract needs: contexts by id, by
 * creation (lists), by type and creation, by content hash and namespace (duplicates; by the hash alone, each store of a
 * line that other namespaces hold thousands of times would walk past all of theirs), and what is due (purge_at,
 * expires_at; partial).
 *
 * application_id marks the file as ours, user_version is the number of migrations it has had. A migration is one string
 * of SQL and is never changed once released; a new one is appended. Rejected: CREATE TABLE IF NOT EXISTS at every
 * start, which cannot tell an old file from a damaged one. */
#include "engine/schema.h"

static const char *const migrations[] = {
	/* 1 */
	"CREATE TABLE contexts("
	" row INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL,"
	" created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
	" hidden INTEGER NOT NULL DEFAULT 0, purge_at INTEGER, content_hash INTEGER NOT NULL,"
	" type TEXT NOT NULL, namespace TEXT, agent_id TEXT, status TEXT, source TEXT, author TEXT, priority TEXT,"
	" title TEXT, tags TEXT) STRICT;"
	"CREATE UNIQUE INDEX contexts_id ON contexts(id);"
	"CREATE INDEX contexts_created_at ON contexts(created_at) WHERE hidden = 0;"
	"CREATE INDEX contexts_type ON contexts(type, created_at) WHERE hidden = 0;"
	"CREATE INDEX contexts_content_hash ON contexts(content_hash);"
	"CREATE INDEX contexts_purge_at ON contexts(purge_at) WHERE purge_at IS NOT NULL;"
	"CREATE TABLE documents("
	" row INTEGER PRIMARY KEY, content TEXT NOT NULL, metadata TEXT NOT NULL, words TEXT NOT NULL) STRICT;"
	"CREATE VIRTUAL TABLE context_words USING fts5(words, content='documents', content_rowid='row',"
	" tokenize='porter unicode61 remove_diacritics 2');"
	/* Each commit is a segment of the index; merging at 16 and not at 4 costs a search little and a burst much
	   less. */
	"INSERT INTO context_words(context_words, rank) VALUES('automerge', 16);"
	"INSERT INTO context_words(context_words, rank) VALUES('crisismerge', 64);"
	"CREATE TABLE edges(source INTEGER NOT NULL, type TEXT NOT NULL, target TEXT NOT NULL,"
	" PRIMARY KEY(source, type, target)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE history(row INTEGER NOT NULL, version INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
	" content TEXT NOT NULL, metadata TEXT NOT NULL, PRIMARY KEY(row, version)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE kv(agent_id TEXT NOT NULL, prefix INTEGER NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,"
	" expires_at INTEGER, characters INTEGER NOT NULL, content TEXT NOT NULL,"
	" PRIMARY KEY(agent_id, prefix, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX kv_expires_at ON kv(expires_at) WHERE expires_at IS NOT NULL;"
	"CREATE TABLE audit(row INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, id TEXT NOT NULL,"
	" reason TEXT, principal TEXT) STRICT;"
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT INTO meta VALUES('probe', 0);"
	"PRAGMA application_id=1129601107;",
	/* 2 */
	"ALTER TABLE contexts ADD COLUMN vector_set INTEGER NOT NULL DEFAULT 0;"
	"CREATE TABLE vectors(row INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;"
	"CREATE TABLE embedding_model(one INTEGER PRIMARY KEY CHECK(one = 1), vector_set INTEGER NOT NULL,"
	" id TEXT NOT NULL, hash TEXT NOT NULL, dimension INTEGER NOT NULL) STRICT;"
	"INSERT INTO embedding_model VALUES(1, 1, '', '', 0);",
	/* 3 */
	("DROP INDEX contexts_content_hash;"
	 "CREATE INDEX contexts_content ON contexts(content_hash, namespace) WHERE hidden = 0;"),
};

_Static_assert(SCHEMA_APPLICATION_ID == 1129601107, "the number in migration 1");

#define VERSION ((int)(sizeof migrations / sizeof *migrations))

int schema_version(void)
{
	return VERSION;
}

static enum cs_status migrate_one(struct sql *sql, int from, struct cs_error *err)
{
	char version[48];
	enum cs_status status = sql_exec(sql, "BEGIN IMMEDIATE", err);

	snprintf(version, sizeof version, "PRAGMA user_version=%d", from + 1);
	if (status == CS_OK)
		status = sql_exec(sql, migrations[from], err);
	if (status == CS_OK)
		status = sql_exec(sql, version, err);
	if (status == CS_OK)
		status = sql_exec(sql, "COMMIT", err);
	if (status != CS_OK && !sqlite3_get_autocommit(sql->db))
		sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

enum cs_status schema_verify(struct sql *sql, int64_t *ret_version, struct cs_error *err)
{
	int64_t application, version, tables;
	enum cs_status status = sql_number(sql, "PRAGMA application_id", &application, err);

	if (status == CS_OK)
		status = sql_number(sql, "PRAGMA user_version", &version, err);
	if (status == CS_OK)
		status = sql_number(sql, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (status != CS_OK)
		return status;
	if (application != SCHEMA_APPLICATION_ID && (application != 0 || version != 0 || tables != 0))
		return cs_fail(err, CS_STORAGE,
			"%s is a database of another program; move it away, or name another directory with --data-dir",
			sql->path);
	if (version > VERSION)
		return cs_fail(err, CS_STORAGE,
			"%s was made by a newer version of this program (its format is %d, this program knows up to "
			"%d); install the newer version",
			sql->path, (int)version, VERSION);
	if (version < 0 || (application == SCHEMA_APPLICATION_ID && version == 0))
		return cs_fail(err, CS_STORAGE, "%s is damaged: its format number is %d; restore a backup", sql->path,
			(int)version);
	*ret_version = version;
	return CS_OK;
}

enum cs_status schema_migrate(struct sql *sql, struct cs_error *err)
{
	int64_t version = 0;
	enum cs_status status = schema_verify(sql, &version, err);

	if (status != CS_OK)
		return status;
	status = sql_exec(sql, "PRAGMA journal_mode=WAL", err);
	for (; status == CS_OK && version < VERSION; version++)
		status = migrate_one(sql, (int)version, err);
	return status;
}
