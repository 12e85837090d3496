/* The mirror of words: what a search by words asks instead of FTS5 (word_index.h).
 *
 * A match costs FTS5 some 0.3 us, most of it to walk SQLite's machinery row by row, and the words of a question in plain
 * language stand in most documents; here it costs 3 ns. Searches with a filter on metadata, and those by date, stay with
 * FTS5: they visit each row anyway.
 *
 * Loading is in nobody's way. FTS5 answers until the mirror is complete. It is loaded by a thread of its own, and not
 * before searches have walked over as many matches as the store has documents, and WORDS_WALKED_MIN at least: a process
 * that searches once, or for rare words only, never pays for it (loading costs some 10 us a document).
 *
 * Never behind. As in vectors.h: a job publishes after the commit, words_settle applies the changes of a whole commit
 * under one lock before any caller wakes. A change that cannot be applied drops the mirror; searches go back to FTS5 and
 * in time it is loaded again. So it is when most documents in it are dead (replaced or removed). A mirror that outgrows
 * its memory is given up until the engine is opened anew.
 * Threads: as said at each function. */
#ifndef CS_ENGINE_WORDS_H
#define CS_ENGINE_WORDS_H

#include "engine/readers.h"
#include "engine/word_index.h"
#include "engine/writer.h"

#define WORDS_MEMORY_DEFAULT (UINT64_C(512) << 20) /* bytes; about a million contexts of 60 words */
#define WORDS_WALKED_MIN     1000

struct words;

/* Belongs to a job. What it points to lives until words_settle, which is before the job's caller wakes. */
struct word_change {
	struct word_change *next; /* the mirror's */
	int64_t row;              /* 0: nothing changed */
	bool gone;                /* hidden or erased; else live, with these words */
	struct slice id;
	struct slice text;
	struct word_counts *counts; /* of text; NULL: not counted yet */
};

CS_CHECKED enum cs_status words_new(
	struct readers *readers, struct tokenizers *tokenizers, struct words **ret_words, struct cs_error *err);
/* Ends the thread that loads; nothing is loaded any more. Before the readers are freed. */
void words_stop(struct words *words);
void words_free(struct words *words); /* stopped, and nobody uses it; takes NULL */
/* How much the mirror may take, about. Before the first use. */
void words_set_memory(struct words *words, uint64_t bytes_max);

/* Any thread, before the job: counts the words of change->text where the mirror will want them, so that the writer need
 * not. Released after the job in any case. */
void words_prepare(struct words *words, struct word_change *change);
void word_change_release(struct word_change *change);
/* The writer's thread, after the commit, in the order of the jobs. */
void words_publish(struct words *words, struct word_change *change);
/* The writer's thread, when all jobs of a commit have published and before their callers wake (writer_on_settled). */
void words_settle(struct words *words);

/* Any thread, a hint: is it worth to prepare for words_begin? */
bool words_loaded(struct words *words);
/* Any thread. NULL: not loaded, ask FTS5; else complete and unchanging until words_end. Be brief: commits wait. */
const struct word_index *words_begin(struct words *words);
void words_end(struct words *words);

/* Any thread, after a search that FTS5 has answered: how many matches it saw, and the highest row number among them. */
void words_walked(struct words *words, uint64_t matches, int64_t last_row);

/* Any thread: loads now, and waits for it. CS_TIMEOUT, CS_LIMIT_EXCEEDED (more than memory allows), CS_UNAVAILABLE. */
CS_CHECKED enum cs_status words_load(struct words *words, const struct op *op, struct cs_error *err);

/* For /metrics, without waiting. False: commits are being applied just now. */
bool words_try_memory(struct words *words, uint64_t *ret_documents, uint64_t *ret_bytes);

#endif
