/* What the phases of a run share (run.c, loads.c, seeds.c, direct.c, baselines.c). */
#ifndef CS_BENCH_RUNNER_H
#define CS_BENCH_RUNNER_H

#include "bench/client.h"
#include "bench/request.h"
#include "bench/run.h"
#include "bench/target.h"

#define RUNNER_TIMEOUT_NS (INT64_C(1000000000) * BENCH_TIMEOUT_S)

struct baselines;
struct direct;

/* A measurement while its rounds come in. */
struct tally {
	struct measurement *m;
	struct histogram latency;
	int64_t elapsed_ns, cpu_ns;
	uint64_t replies;
};

struct runner {
	const struct bench_options *options;
	const struct bench_hooks *hooks;
	struct result *result;
	struct arena *arena; /* the result's */
	struct target target;
	struct request_form form;
	struct workload workload;
	struct baselines *baselines; /* NULL: without */
	struct direct *direct;       /* NULL: without */
	unsigned rounds;
	struct tally *tallies;        /* one for each measurement, in its order */
	struct client_series *series; /* RESULT_ROUNDS_MAX * WORKLOAD_MAX of them */
	struct buffer arguments, request;
	struct slice *cached[WORKLOAD_MAX]; /* requests of rows with a cycle, made when first needed */
	/* The load being run. */
	const struct workload_row *row; /* NULL: the mix */
	uint64_t picked;                /* requests of the mix so far */
	uint64_t segment_of;            /* open loop: requests a round, else 0 */
	uint64_t taken;
	char what[96];
	double fraction;
	int64_t load_start_ns;
};

/* The round-th part of the iterations. */
uint64_t runner_requests(const struct runner *, unsigned round);
bool runner_stopped(const struct runner *);
void runner_tell(struct runner *, double per_second);

/* The measurement's tally, made when it is first asked for; NULL when there is no room. */
struct tally *tally_find(struct runner *, enum measurement_kind, const char *name, unsigned connections);
/* One more round. cpu_ns < 0: not known. `series` is only read. */
void tally_round(struct runner *, struct tally *, const struct client_series *, int64_t elapsed_ns, int64_t cpu_ns,
	uint64_t replies);
/* Fills the measurement from what came in. */
void tally_finish(struct runner *, struct tally *);

/* Loads (loads.c). */
CS_CHECKED enum cs_status loads_closed(struct runner *, unsigned round, struct cs_error *);
CS_CHECKED enum cs_status loads_mixed(struct runner *, unsigned round, struct cs_error *);
CS_CHECKED enum cs_status loads_open(struct runner *, struct cs_error *);

/* Stores what requests need (seeds.c): the corpus and keys once, then contexts for `count` requests more of a consuming
 * row. seeds_remove takes back what the run left on somebody's server. */
CS_CHECKED enum cs_status seeds_store(struct runner *, struct cs_error *);
CS_CHECKED enum cs_status seeds_ensure(struct runner *, const struct workload_row *, uint64_t count, struct cs_error *);
CS_CHECKED enum cs_status seeds_remove(struct runner *, struct cs_error *);

/* Direct calls (direct.c). The store has threads: opened after whatever forks. direct_close takes NULL. */
CS_CHECKED enum cs_status direct_open(struct runner *, struct direct **ret_direct, struct cs_error *);
CS_CHECKED enum cs_status direct_round(struct direct *, unsigned round, struct cs_error *);
void direct_close(struct direct *);

/* Baselines (baselines.c). baselines_close takes NULL. */
CS_CHECKED enum cs_status baselines_open(struct runner *, struct baselines **ret_baselines, struct cs_error *);
CS_CHECKED enum cs_status baselines_round(struct baselines *, unsigned round, struct cs_error *);
void baselines_close(struct baselines *);
/* The client's own speed beside the server's, once all rounds are in. */
void baselines_check(struct runner *);

#endif
