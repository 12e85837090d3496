/* Contexts and their relations, as the domain needs them: the durable truth everything else is an index of.
 *
 * A context is a JSON document with a type and metadata, under an id. Putting under an id that exists makes the next
 * version; the former ones stay readable in the history. Relationships are typed edges from a context to an id; the id
 * may not exist yet, and is then a node that waits for it. A put replaces the edges that leave the context.
 *
 * Removing. Soft delete hides a context from every read and search and keeps it; forget does the same and has it purged
 * when its retention is over; both can be undone until then (`restore`). Hard delete removes the document, its history,
 * words and edges at once; edges that point to it wait, as before it existed. Each leaves one line in the audit log.
 * Putting under a soft-deleted id brings it back with its next version; under a forgotten one it purges the past first
 * and starts at version 1. To if_version both are absent.
 *
 * Adapters: engine (SQLite). Each passes tests/contract/test_context.
 * Threads: any worker; every call may wait (op->may_wait = false gets CS_WOULD_WAIT). A write that returned CS_OK is
 * durable, and every later read and search of any thread sees it, its words included.
 * Errors: NOT_FOUND, VERSION_CONFLICT (err->version), LIMIT_EXCEEDED, UNAVAILABLE, STORAGE, TIMEOUT, WOULD_WAIT.
 * On error no ret_ argument is touched. */
#ifndef CS_PORT_CONTEXT_H
#define CS_PORT_CONTEXT_H

#include "base/op.h"
#include "port/embed.h"

#define CONTEXT_ID_MAX        256 /* bytes */
#define CONTEXT_RELATIONS_MAX 256
#define CONTEXT_TAGS_MAX      64
#define CONTEXT_VERSION_ANY   INT64_C(-1)
#define CONTEXT_NO_DATE       INT64_MIN

struct context_relation {
	struct slice type;
	struct slice target; /* id */
};

/* What indexes and filters need is drawn out of content and metadata by the domain; empty means absent. */
struct context {
	struct slice id;
	struct slice type;
	struct slice content;  /* compact JSON object */
	struct slice metadata; /* compact JSON object, "{}" if none */
	struct slice words; /* the text that is searched: title, text, every string of the content; empty when read */
	struct slice title;
	struct slice source;
	struct slice author;
	struct slice agent_id;
	struct slice namespace_;
	struct slice status;
	struct slice priority;
	const struct slice *tags;
	size_t tag_count;
	const struct context_relation *relations; /* edges that leave; filled by get only when asked */
	size_t relation_count;
	uint64_t content_hash; /* XXH3 of type and content: finds exact duplicates */
	uint64_t version;      /* set by the port */
	int64_t created_at;    /* wall ms; set by the port at version 1 and kept */
	int64_t updated_at;    /* wall ms; set by the port */
};

struct context_put {
	struct context context;
	int64_t if_version;  /* CONTEXT_VERSION_ANY; 0: only if absent; else the version that must be there */
	bool skip_duplicate; /* store nothing when another live context has the same content_hash and namespace */
	const struct embed_model *model; /* what made the vector */
	const float
		*vector; /* model->dimension floats; NULL: the context has none yet and is pending (port/vector.h) */
};

struct context_put_result {
	uint64_t version;             /* 0: nothing stored (skip_duplicate) */
	struct slice duplicate_of;    /* id of another live context with the same hash and namespace, or empty */
	size_t relationships_created; /* edges that were not there before */
	enum cs_status status;        /* of this one; CS_OK */
	struct cs_error error;        /* filled when status is not CS_OK */
};

/* A metadata predicate: the value at metadata.<key> (dots descend) equals one of values, or lies in [gte, lte]. */
struct context_predicate {
	struct slice key;
	const struct slice *values; /* compact JSON scalars; an array in the metadata matches if one element does */
	size_t value_count;
	struct slice gte, lte; /* compact JSON scalars (number or string), or empty */
};

/* All that is set must hold. Applied before a search, never after it. */
struct context_filter {
	const struct slice *types;
	size_t type_count; /* one of; none: all */
	const struct slice *tags;
	size_t tag_count; /* all of */
	const struct slice *exclude_sources;
	size_t exclude_source_count; /* none of */
	const struct context_predicate *predicates;
	size_t predicate_count;
	struct slice status, agent_id, namespace_;
	int64_t date_from, date_to; /* created_at, wall ms, inclusive; CONTEXT_NO_DATE */
};

struct context_history_entry {
	uint64_t version;
	int64_t updated_at;
	struct slice content, metadata;
};

enum context_removal { CONTEXT_SOFT_DELETE, CONTEXT_HARD_DELETE, CONTEXT_FORGET };

struct context_remove {
	struct slice id;
	enum context_removal how;
	struct slice reason;
	int64_t retention_s; /* CONTEXT_FORGET: from now */
};

struct context_counts {
	uint64_t contexts; /* live */
	uint64_t relationships;
	uint64_t keys;       /* live agent state */
	uint64_t file_bytes; /* of the database and its log */
};

struct context_port {
	void *self;
	/* Stores count contexts in one transaction; one that fails says so in its own result and does not stop the
	 * others. The return value is about the whole (UNAVAILABLE, STORAGE): then nothing was stored. */
	enum cs_status (*put)(void *self, struct op *, const struct context_put *puts, size_t count,
		struct context_put_result *results, struct cs_error *);
	/* The live contexts among ids that pass the filter (NULL: all do), in the order of ids, others left out. */
	enum cs_status (*get)(void *self, struct op *, const struct slice *ids, size_t count,
		const struct context_filter *, bool with_relations, struct context **ret_contexts, size_t *ret_count,
		struct cs_error *);
	/* The id of another live context with the same content_hash and namespace, or empty: what put would say now. */
	enum cs_status (*find_equal)(
		void *self, struct op *, const struct context *, struct slice *ret_id, struct cs_error *);
	/* Newest first (created_at, then id), from `offset`; *ret_total counts all that match. */
	enum cs_status (*list)(void *self, struct op *, const struct context_filter *, size_t offset, size_t limit,
		bool with_relations, struct context **ret_contexts, size_t *ret_count, uint64_t *ret_total,
		struct cs_error *);
	/* All versions of one context, newest first, the live one included. */
	enum cs_status (*history)(void *self, struct op *, struct slice id, struct context_history_entry **ret_entries,
		size_t *ret_count, struct cs_error *);
	enum cs_status (*remove)(void *self, struct op *, const struct context_remove *, struct cs_error *);
	enum cs_status (*restore)(void *self, struct op *, struct slice id, struct cs_error *);
	enum cs_status (*counts)(void *self, struct op *, struct context_counts *ret_counts, struct cs_error *);
	/* A number that grows with each commit after which any read or search of contexts, by words or by vectors, may
	 * answer differently: before the commit is acknowledged, and after every index has it. Never 0, and never one
	 * that this store had when it was opened before: who kept a number across a restart does not take the state for
	 * the same. Never waits. NULL: this adapter cannot tell. */
	uint64_t (*generation)(void *self);
	/* Writes and reads one row: does storage work now? */
	enum cs_status (*probe)(void *self, struct op *, struct cs_error *);
};

#endif
