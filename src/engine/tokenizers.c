/* A stack of idle tokenizers under one lock, as readers.c has connections.
 *
 * The connection is only asked while the lock is held; a tokenizer once made needs it no more, but it has to outlive
 * them: their code is the connection's. */
#include "engine/tokenizers.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/text_score.h"

#define IDLE_MAX 32

struct tokenizers {
	pthread_mutex_t lock;
	sqlite3 *db; /* NULL until the first text */
	fts5_tokenizer module;
	void *user;
	size_t idle_count;
	Fts5Tokenizer *idle[IDLE_MAX];
};

enum cs_status tokenizers_new(struct tokenizers **ret_tokenizers, struct cs_error *err)
{
	struct tokenizers *t = calloc(1, sizeof *t);

	if (!t)
		return cs_fail_memory(err);
	pthread_mutex_init(&t->lock, NULL);
	*ret_tokenizers = t;
	return CS_OK;
}

void tokenizers_free(struct tokenizers *t)
{
	if (!t)
		return;
	while (t->idle_count > 0)
		t->module.xDelete(t->idle[--t->idle_count]);
	sqlite3_close(t->db);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Under the lock. */
static int connect_once(struct tokenizers *t)
{
	sqlite3 *db = NULL;
	fts5_api *api = NULL;
	int code;

	if (t->db)
		return SQLITE_OK;
	code = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK)
		api = text_api(db);
	if (code == SQLITE_OK && !api)
		code = SQLITE_NOMEM; /* the full-text index has been opened: FTS5 is there */
	if (code == SQLITE_OK)
		code = api->xFindTokenizer(api, "porter", &t->user, &t->module);
	if (code != SQLITE_OK) {
		sqlite3_close(db);
		return code;
	}
	t->db = db;
	return SQLITE_OK;
}

static int take(struct tokenizers *t, Fts5Tokenizer **ret_tokenizer)
{
	static const char *arguments[] = {"unicode61", "remove_diacritics", "2"};
	int code;

	pthread_mutex_lock(&t->lock);
	code = connect_once(t);
	if (code == SQLITE_OK && t->idle_count > 0)
		*ret_tokenizer = t->idle[--t->idle_count];
	else if (code == SQLITE_OK)
		code = t->module.xCreate(t->user, arguments, 3, ret_tokenizer);
	pthread_mutex_unlock(&t->lock);
	return code;
}

static void give_back(struct tokenizers *t, Fts5Tokenizer *tokenizer)
{
	pthread_mutex_lock(&t->lock);
	if (t->idle_count < IDLE_MAX)
		t->idle[t->idle_count++] = tokenizer;
	else
		t->module.xDelete(tokenizer);
	pthread_mutex_unlock(&t->lock);
}

int tokenizers_run(struct tokenizers *t, struct slice text, token_fn *on_token, void *self)
{
	Fts5Tokenizer *tokenizer;
	int code;

	if (text.len == 0)
		return SQLITE_OK;
	if (text.len > INT32_MAX)
		return SQLITE_TOOBIG;
	code = take(t, &tokenizer);
	if (code != SQLITE_OK)
		return code;
	code = t->module.xTokenize(tokenizer, self, FTS5_TOKENIZE_DOCUMENT, text.ptr, (int)text.len, on_token);
	give_back(t, tokenizer);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}
