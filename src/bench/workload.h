/* What is asked of each tool: one row a tool, and the requests it makes.
 *
 * Requests are a function of (row, index): the same run asks the same things in the same order, and two runs can be
 * compared. `run` stands in every id and agent name, so that runs against one server do not meet, and what a run stored
 * can be found and removed again. The destructive tools consume: each of their requests names a context of its own,
 * which the bench has stored beforehand (workload_write_seeds) and which nobody else knows.
 *
 * Texts are about 60 words, two thirds from a small vocabulary with a skew (common words match many contexts), the rest
 * names such as ticket417 that are rare: a query has two of the first and one of the second.
 *
 * Threads: none of it shares anything. */
#ifndef CS_BENCH_WORKLOAD_H
#define CS_BENCH_WORKLOAD_H

#include "base/json.h"

#define WORKLOAD_CORPUS 1000 /* contexts that retrieve_context searches */
#define WORKLOAD_KEYS   256  /* keys that get_agent_state reads */
#define WORKLOAD_BATCH  100  /* contexts of one request that seeds */
#define WORKLOAD_MAX    16   /* rows */

struct workload {
	char run[32];                  /* "bench-4f1c..." */
	uint64_t next[WORKLOAD_MAX];   /* by row: requests made so far */
	uint64_t seeded[WORKLOAD_MAX]; /* by row: contexts stored for it, where it consumes them */
};

struct workload_row {
	const char *tool;
	const char *alias; /* in --mix */
	unsigned share;    /* in the default mix, per cent */
	unsigned cycle;    /* so many different requests, then the same again; 0: all differ */
	bool consumes;
	bool stores;         /* each request leaves a context of the same index behind */
	const char *pending; /* in replies that came before all of the work was done; NULL: there are none */
	void (*write)(const struct workload *, uint64_t index, struct json_writer *);
};

extern const struct workload_row workload_rows[];
extern const size_t workload_row_count;

/* By the tool's name or the alias; NULL: no row. */
const struct workload_row *workload_find(struct slice name);
size_t workload_index(const struct workload_row *);

/* A run of its own: random, from the kernel. */
void workload_init(struct workload *);

/* Appends the arguments object of request `index`. */
void workload_write(const struct workload *, const struct workload_row *, uint64_t index, struct buffer *out);
/* Arguments of a store_context that stores what `count` (at most WORKLOAD_BATCH) requests of a consuming row from
 * `first` on will name; row NULL: of the corpus. */
void workload_write_seeds(
	const struct workload *, const struct workload_row *, uint64_t first, unsigned count, struct buffer *out);
/* Arguments of the update_scratchpad that writes, or deletes, the index-th key of get_agent_state or (`notes`) of
 * update_scratchpad. */
void workload_write_key(const struct workload *, unsigned index, bool notes, bool erase, struct buffer *out);
/* Arguments of the delete_context that erases a context of the row (NULL: of the corpus) for good. */
void workload_write_erasure(const struct workload *, const struct workload_row *, uint64_t index, struct buffer *out);

/* Shares of the tools in a mixture; they add up to 100. */
struct mix {
	unsigned share[WORKLOAD_MAX]; /* by row */
};

struct mix mix_default(void);
/* "retrieve=60,state=40". Errors: CS_VALIDATION with what is wrong: an unknown tool, a share that is no whole number
 * from 1 to 100, a tool twice, a sum that is not 100. */
CS_CHECKED enum cs_status mix_parse(struct slice text, struct mix *ret_mix, struct cs_error *);
/* The row of the index-th request: in no order, with the shares as chances. */
const struct workload_row *mix_pick(const struct mix *, uint64_t index);

#endif
