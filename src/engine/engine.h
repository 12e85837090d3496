/* The embedded engine: one SQLite file behind all ports.
 *
 * The file is DIR/context-store.db (WAL). One writer thread groups what is waiting into one transaction and
 * acknowledges after the commit (synchronous=FULL); readers have connections of their own and never wait for it. See
 * engine/writer.h for group commit, engine/schema.h for tables and migrations, port/hot_keys.h for the mirror that
 * answers reads of agent state without SQLite, engine/vectors.h for the mirror that searches by vectors scan,
 * engine/words.h for the one that answers searches by words.
 *
 * Whoever opens it has made sure that nobody else does (cli/owner.h).
 * Threads: open and close from one; the ports from any. */
#ifndef CS_ENGINE_ENGINE_H
#define CS_ENGINE_ENGINE_H

#include "port/context.h"
#include "port/kv.h"
#include "port/text.h"
#include "port/vector.h"

struct engine;

#define ENGINE_FILE "context-store.db"

/* Creates the directory (0700) and the file, or opens and migrates it. Errors name the path and say how to mend it:
 * CS_UNAVAILABLE (no such place, no permission, read-only, disk full), CS_STORAGE (damaged; not ours; made by a newer
 * version). */
CS_CHECKED enum cs_status engine_open(struct slice dir, struct engine **ret_engine, struct cs_error *);
/* Finishes what is queued, checkpoints, closes. Takes NULL. */
void engine_close(struct engine *);

struct context_port engine_contexts(struct engine *);
struct text_port engine_text(struct engine *);
struct kv_port engine_kv(struct engine *);
struct vector_port engine_vectors(struct engine *);

/* How much memory vectors may take once they are searched (2 GiB unless said). Past it storing a vector and loading
 * them is CS_LIMIT_EXCEEDED. Before the first use of the ports. */
void engine_set_vector_memory(struct engine *, uint64_t bytes_max);

/* How much memory the words of contexts may take (512 MiB unless said). Past it searches by words are answered from the
 * file, as they are before words are in memory. Before the first use of the ports. */
void engine_set_word_memory(struct engine *, uint64_t bytes_max);
/* Brings the words of all contexts into memory now; searches do so by themselves when it is worthwhile (words.h). */
CS_CHECKED enum cs_status engine_load_words(struct engine *, const struct op *, struct cs_error *);

/* Begins to load contexts with their vectors beside all other work: for whoever will be asked to search. Once. Any thread. */
void engine_warm(struct engine *);

/* What `context-store doctor` asks: a full integrity check (slow). CS_STORAGE with the first finding. */
CS_CHECKED enum cs_status engine_check(struct slice dir, struct cs_error *);
int engine_schema_version(void);

#endif
