/* What a run measured: plain data between those who measure, those who write reports, and those who compare.
 *
 * The file (mcp_benchmark_<time>.json) is one JSON object:
 *
 *     {"format": "context-store-benchmark", "format_version": 1, "program": "context-store 0.1.0", "started_at": "...",
 *      "partial": false, "why_partial": null, "machine": {...}, "options": {...},
 *      "measurements": [{"kind": "closed", "name": "get_agent_state", "connections": 50, "iterations": 1000,
 *          "success": 1000, "failures": 0, "pending": 0, "failure": null, "per_second": ..., "latency_ms": {"min", "avg", "median",
 *          "p95", "p99", "max"}, "target_ms": 50, "target_met": true, "memory_change_bytes": ..., "client_cpu_us": ...,
 *          "rounds": [{"median_ms", "p95_ms", "per_second"}, ...]}, ...],
 *      "self_check": {...}}
 *
 * A measurement is known by kind, name and connections. Kinds: closed (a tool at a number of connections), mix (the
 * mixture as a whole, "mix", and each tool in it), open (arrivals at a rate), direct (the tool's function called in
 * this process), baseline (what the machine does without this program). A baseline that could not run has `skipped`.
 *
 * `rounds`: the counted requests are made in several rounds, spread over the run, and each round's own figures are
 * kept: they tell the noise, without which two runs cannot be compared.
 *
 * Everything lives in the arena. Threads: one. */
#ifndef CS_BENCH_RESULT_H
#define CS_BENCH_RESULT_H

#include "base/json.h"
#include "bench/histogram.h"
#include "bench/stats.h"

#define RESULT_ROUNDS_MAX       STATS_SAMPLE_MAX
#define RESULT_MEASUREMENTS_MAX 1024
#define RESULT_MEMORY_UNKNOWN   INT64_MIN
#define RESULT_FORMAT           "context-store-benchmark"
#define RESULT_FORMAT_VERSION   1

enum measurement_kind { KIND_CLOSED, KIND_MIX, KIND_OPEN, KIND_DIRECT, KIND_BASELINE };
#define KIND_COUNT 5
extern const char *const kind_names[KIND_COUNT];

struct latency {
	double min_ms, avg_ms, median_ms, p95_ms, p99_ms, max_ms; /* NAN when nothing succeeded */
};

struct round_figures {
	double median_ms, p95_ms, per_second;
};

struct measurement {
	enum measurement_kind kind;
	struct slice name;
	unsigned connections;
	uint64_t success, failures;
	uint64_t pending;     /* successes that came before all of the work was done (embedding_status pending) */
	struct slice failure; /* what the first one said; empty */
	double per_second;    /* of successes */
	struct latency latency;
	double client_cpu_us;  /* of the client's thread, a request; NAN: not known */
	int64_t memory_change; /* bytes, or RESULT_MEMORY_UNKNOWN */
	bool has_target, target_met;
	struct round_figures rounds[RESULT_ROUNDS_MAX];
	unsigned round_count;
	double rate;            /* open: asked for, a second */
	uint64_t late, dropped; /* open */
	struct slice skipped;   /* baseline: why there are no figures; empty */
};

/* The client against the bare responder beside the client against the server. */
struct self_check {
	bool done;
	struct slice name; /* the tool that was answered fastest */
	unsigned connections;
	double client_per_second, server_per_second, ratio;
	double client_cpu_us; /* a request, against the responder */
};

struct result {
	struct arena *arena;
	struct slice program, started_at, url, transport, system, processor, storage; /* storage: where commits went */
	unsigned cores;
	bool partial;
	struct slice why_partial;
	double target_ms;
	uint64_t iterations; /* of each tool, or of the mix, at each level; 0: an open loop */
	unsigned rounds;
	struct self_check check;
	struct measurement *measurements; /* RESULT_MEASUREMENTS_MAX have room */
	size_t count;
};

CS_CHECKED enum cs_status result_init(struct result *, struct arena *, struct cs_error *);
/* A new, empty one; NULL when there is no room. */
struct measurement *result_add(struct result *, enum measurement_kind, struct slice name, unsigned connections);
const struct measurement *result_find(
	const struct result *, enum measurement_kind, struct slice name, unsigned connections);

struct latency latency_of(const struct histogram *);
/* Successes a second, the median of the rounds: one round in which the machine did something else does not count. 0
 * when nothing succeeded. */
double result_usual_rate(const struct measurement *);
/* Meets the target: every request succeeded, and 95 % of them within target_ms. */
bool result_meets(const struct measurement *, double target_ms);
/* Has every measurement that has a target met it? */
bool result_all_met(const struct result *);

void result_write(const struct result *, struct buffer *out);
/* `text` outlives the result. Errors: CS_VALIDATION for what is no such file, with what is wrong. */
CS_CHECKED enum cs_status result_read(struct arena *, struct slice text, struct result *ret_result, struct cs_error *);

#endif
