/* Is it well? Four measures against their thresholds, for GET /status, /metrics and the log.
 *
 *   response_time_ms        95th percentile of the last minute, of the slowest tool that was called at least
 *                           STATUS_CALLS_MIN times in it: a slow search is not hidden by a thousand quick reads
 *   concurrent_connections  client connections open now
 *   memory_usage_mb         resident memory of the process, in MiB, now
 *   cpu_usage_percent       CPU time of the last minute; 100 is every core busy throughout. What is missing of the first
 *                           minute counts as idle
 *
 * Each has a target (what is aimed at: told, never judged), a warning and a critical threshold. A level rises at once
 * when a value reaches its threshold, and falls when it is STATUS_SLACK below, so a value that wobbles at the border
 * changes nothing. Each change is one log line, at most one a measure in STATUS_LINE_S; a change that was taken back
 * meanwhile is not told.
 *
 * Owner: status_free. Threads: new and free from one, the rest from any. */
#ifndef CS_MCP_STATUS_H
#define CS_MCP_STATUS_H

#include "base/error.h"
#include "base/json.h"

#define STATUS_WINDOW_S  60
#define STATUS_CALLS_MIN 20
#define STATUS_SLACK     0.1 /* of the threshold */
#define STATUS_LINE_S    10

enum status_measure { STATUS_RESPONSE_TIME, STATUS_CONNECTIONS, STATUS_MEMORY, STATUS_CPU, STATUS_MEASURES };
enum status_level { STATUS_OK, STATUS_WARNING, STATUS_CRITICAL };

struct status_limits {
	double target, warning, critical;
};

extern const char *const status_measure_names[STATUS_MEASURES];
extern const char *const status_level_names[]; /* "ok", "warning", "critical" */

/* "50/100/200": target, warning, critical, not falling, above 0. CS_VALIDATION. */
CS_CHECKED enum cs_status status_limits_parse(struct slice text, struct status_limits *ret_limits, struct cs_error *);

struct status;

/* Limits that are all zero are those of the guide. `cores`: 0 for the machine's. */
CS_CHECKED enum cs_status status_new(const struct status_limits limits[STATUS_MEASURES], unsigned cores,
	struct status **ret_status, struct cs_error *);
void status_free(struct status *); /* takes NULL */

/* Judges anew, and logs what changed. Some microseconds; once a second and whenever somebody asks. */
void status_look(struct status *, int64_t now_ns);
/* The same, and writes "status", "window_s", "thresholds" and "tools" into the open object. */
void status_write(struct status *, int64_t now_ns, struct json_writer *);

/* As of the last look. *ret_value is NAN where there was nothing to measure. */
enum status_level status_level_of(struct status *, enum status_measure, double *ret_value);

#endif
