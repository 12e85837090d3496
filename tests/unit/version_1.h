/* A file of format 1 as SQL, as programs before vectors made it. Frozen: this is what is out there. */
#ifndef CS_TESTS_UNIT_VERSION_1_H
#define CS_TESTS_UNIT_VERSION_1_H

static const char version_1_tables[] =
	"PRAGMA journal_mode=WAL;"
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
	"PRAGMA application_id=1129601107;"
	"PRAGMA user_version=1;";

/* Live, replaced (version 2), soft deleted, forgotten until the year 2128. */
static const char version_1_rows[] =
	"INSERT INTO contexts(row, id, version, created_at, updated_at, hidden, purge_at, content_hash, type, title, "
	"tags)"
	" VALUES(1, 'plain', 1, 1000, 1000, 0, NULL, 11, 'log', 'Plain', char(10) || 'a' || char(10)),"
	" (2, 'replaced', 2, 2000, 2500, 0, NULL, 12, 'design', NULL, NULL),"
	" (3, 'hidden', 1, 3000, 3000, 1, NULL, 13, 'log', NULL, NULL),"
	" (5, 'forgotten', 1, 5000, 5000, 2, 5000000000000, 14, 'log', NULL, NULL);"
	"INSERT INTO documents VALUES(1, '{\"n\":1}', '{\"k\":\"v\"}', 'plain words'),"
	" (2, '{\"n\":2}', '{}', 'replaced words'), (3, '{\"n\":3}', '{}', 'hidden words'),"
	" (5, '{\"n\":5}', '{}', 'forgotten words');"
	"INSERT INTO context_words(rowid, words) VALUES(1, 'plain words'), (2, 'replaced words');"
	"INSERT INTO edges VALUES(1, 'cites', 'replaced');"
	"INSERT INTO history VALUES(2, 1, 2000, '{\"n\":0}', '{}');"
	"INSERT INTO kv VALUES('agent', 1, 'key', 7, NULL, 5, 'value');";

#endif
