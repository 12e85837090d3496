/* The last minute is the difference between the registry's totals now and those of a minute ago: histograms only ever
 * grow, so a sample is a copy of their buckets, and nothing is added to the path of a request. A ring holds a sample for
 * each SAMPLE_NS; the window begins at the oldest one that is not older than STATUS_WINDOW_S. When nobody looked for
 * longer than that, it begins at the latest sample, and the page says how many seconds it covers.
 *
 * Percentiles are estimated as Prometheus does from the same buckets, so that /status and a dashboard agree.
 *
 * The log lines are written outside of the lock: standard error may be a pipe that nobody reads. */
#include "mcp/status.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/process_usage.h"
#include "mcp/tools.h"

#define SECOND_NS INT64_C(1000000000)
#define WINDOW_NS (STATUS_WINDOW_S * SECOND_NS)
#define SAMPLE_NS (5 * SECOND_NS)
#define SAMPLES   (STATUS_WINDOW_S / 5 + 1)
#define NO_TOOL   SIZE_MAX

const char *const status_measure_names[STATUS_MEASURES] = {
	[STATUS_RESPONSE_TIME] = "response_time_ms",
	[STATUS_CONNECTIONS] = "concurrent_connections",
	[STATUS_MEMORY] = "memory_usage_mb",
	[STATUS_CPU] = "cpu_usage_percent",
};

const char *const status_level_names[] = {
	[STATUS_OK] = "ok", [STATUS_WARNING] = "warning", [STATUS_CRITICAL] = "critical"};

static const struct status_limits guide[STATUS_MEASURES] = {
	[STATUS_RESPONSE_TIME] = {50, 100, 200},
	[STATUS_CONNECTIONS] = {100, 150, 200},
	[STATUS_MEMORY] = {1024, 2048, 3072},
	[STATUS_CPU] = {50, 75, 90},
};

/* The totals at one moment. */
struct sample {
	int64_t at_ns, cpu_ns;
	uint64_t (*counts)[METRIC_BUCKETS]; /* [tool_row_count] */
};

/* One tool's part of the window. */
struct figures {
	uint64_t calls;
	double p50_ms, p95_ms, p99_ms; /* NAN without calls */
	enum status_level level;
};

struct measure {
	struct status_limits limits;
	double value; /* NAN: nothing to measure */
	enum status_level level;
	enum status_level told; /* by the last line */
	int64_t told_ns;        /* 0: no line yet */
	struct metric_series *value_metric, *level_metric;
};

struct status {
	pthread_mutex_t lock; /* over all below but what never changes */
	unsigned cores;
	struct metric_series **times, *connections; /* never change */
	struct sample now, samples[SAMPLES];
	size_t newest, sample_count;
	int64_t window_ns;
	struct measure measures[STATUS_MEASURES];
	struct figures *tools; /* [tool_row_count] */
	size_t slowest;        /* NO_TOOL: none was called often enough */
	struct metrics_collector collector;
};

/* What is to be said once the lock is free. */
struct line {
	enum status_measure measure;
	enum status_level from, to;
	double value, threshold;
	const char *tool;
};

enum cs_status status_limits_parse(struct slice text, struct status_limits *ret_limits, struct cs_error *err)
{
	double numbers[3];
	struct slice rest = text;

	for (size_t i = 0; i < 3; i++) {
		struct slice part = slice_trim(slice_cut(&rest, '/'));
		char digits[32];
		char *end;

		if (part.len == 0 || part.len >= sizeof digits || strspn(part.ptr, "0123456789.") < part.len)
			goto bad;
		memcpy(digits, part.ptr, part.len);
		digits[part.len] = '\0';
		numbers[i] = strtod(digits, &end);
		if (*end || !(numbers[i] > 0) || numbers[i] > 1e9 || (i > 0 && numbers[i] < numbers[i - 1]))
			goto bad;
	}
	if (rest.ptr)
		goto bad;
	*ret_limits = (struct status_limits){numbers[0], numbers[1], numbers[2]};
	return CS_OK;
bad:
	return cs_fail(err, CS_VALIDATION,
		"thresholds are three numbers that do not fall, target/warning/critical, as 50/100/200; not "
		"\"%.*s\"",
		(int)(text.len < 40 ? text.len : 40), text.ptr ? text.ptr : "");
}

static void take_sample(const struct status *s, struct sample *sample, int64_t now_ns)
{
	sample->at_ns = now_ns;
	sample->cpu_ns = process_usage_cpu_ns();
	for (size_t i = 0; i < tool_row_count; i++)
		metric_buckets(s->times[i], sample->counts[i]);
}

/* Looking. All of it under the lock. */

/* The oldest sample of the last minute, else the latest. */
static const struct sample *window_start(const struct status *s)
{
	for (size_t age = s->sample_count; age-- > 0;) {
		const struct sample *sample = &s->samples[(s->newest + SAMPLES - age) % SAMPLES];

		if (age == 0 || s->now.at_ns - sample->at_ns <= WINDOW_NS)
			return sample;
	}
	assert(!"there is always a sample");
	return NULL;
}

static void keep_sample(struct status *s)
{
	struct sample *next;

	if (s->now.at_ns - s->samples[s->newest].at_ns < SAMPLE_NS)
		return;
	s->newest = (s->newest + 1) % SAMPLES;
	s->sample_count += s->sample_count < SAMPLES;
	next = &s->samples[s->newest];
	next->at_ns = s->now.at_ns;
	next->cpu_ns = s->now.cpu_ns;
	memcpy(next->counts, s->now.counts, tool_row_count * sizeof *next->counts);
}

static enum status_level level_for(const struct status_limits *limits, enum status_level current, double value)
{
	const double thresholds[] = {[STATUS_WARNING] = limits->warning, [STATUS_CRITICAL] = limits->critical};

	for (int level = STATUS_CRITICAL; level > STATUS_OK; level--) {
		bool stays = (int)current >= level;

		if (value >= thresholds[level] * (stays ? 1 - STATUS_SLACK : 1))
			return (enum status_level)level;
	}
	return STATUS_OK; /* also for what is no number */
}

static void judge_tools(struct status *s, const struct sample *start)
{
	s->slowest = NO_TOOL;
	for (size_t i = 0; i < tool_row_count; i++) {
		struct figures *f = &s->tools[i];
		uint64_t counts[METRIC_BUCKETS];

		f->calls = 0;
		for (size_t k = 0; k < METRIC_BUCKETS; k++) {
			counts[k] = s->now.counts[i][k] - start->counts[i][k];
			f->calls += counts[k];
		}
		f->p50_ms = metric_quantile(counts, 0.5) * 1e3;
		f->p95_ms = metric_quantile(counts, 0.95) * 1e3;
		f->p99_ms = metric_quantile(counts, 0.99) * 1e3;
		f->level = level_for(&s->measures[STATUS_RESPONSE_TIME].limits, f->level,
			f->calls < STATUS_CALLS_MIN ? 0 : f->p95_ms);
		if (f->calls >= STATUS_CALLS_MIN && (s->slowest == NO_TOOL || f->p95_ms > s->tools[s->slowest].p95_ms))
			s->slowest = i;
	}
}

static void measure(struct status *s, const struct sample *start)
{
	int64_t passed_ns = s->now.at_ns - start->at_ns;

	s->window_ns = passed_ns;
	judge_tools(s, start);
	s->measures[STATUS_RESPONSE_TIME].value = s->slowest == NO_TOOL ? NAN : s->tools[s->slowest].p95_ms;
	s->measures[STATUS_CONNECTIONS].value = (double)metric_value(s->connections);
	s->measures[STATUS_MEMORY].value = (double)process_usage_resident_bytes() / (1 << 20);
	s->measures[STATUS_CPU].value = 100.0 * (double)(s->now.cpu_ns - start->cpu_ns) /
					(double)(passed_ns > WINDOW_NS ? passed_ns : WINDOW_NS) / s->cores;
}

/* True: *ret_line is to be written. */
static bool line_due(struct status *s, enum status_measure id, struct line *ret_line)
{
	struct measure *m = &s->measures[id];
	const double thresholds[] = {0, m->limits.warning, m->limits.critical};
	enum status_level higher;

	if (m->level == m->told || (m->told_ns && s->now.at_ns - m->told_ns < STATUS_LINE_S * SECOND_NS))
		return false;
	higher = m->level > m->told ? m->level : m->told;
	*ret_line = (struct line){
		.measure = id,
		.from = m->told,
		.to = m->level,
		.value = m->value,
		.threshold = thresholds[higher],
		.tool = id == STATUS_RESPONSE_TIME && s->slowest != NO_TOOL ? tool_rows[s->slowest].name : NULL,
	};
	m->told = m->level;
	m->told_ns = s->now.at_ns;
	return true;
}

static void write_line(const struct line *line)
{
	const struct log_field fields[] = {
		log_str("measure", slice_cstr(status_measure_names[line->measure])),
		log_str("from", slice_cstr(status_level_names[line->from])),
		log_str("to", slice_cstr(status_level_names[line->to])),
		log_f64("value", isnan(line->value) ? 0 : line->value),
		log_f64("threshold", line->threshold),
		line->tool ? log_str("tool_name", slice_cstr(line->tool)) : LOG_END,
		LOG_END,
	};

	if (line->to < line->from)
		log_emit(LOG_INFO, "below a threshold again", fields);
	else
		log_emit(line->to == STATUS_CRITICAL ? LOG_ERROR : LOG_WARNING, "a threshold is reached", fields);
}

static void look(struct status *s, int64_t now_ns)
{
	take_sample(s, &s->now, now_ns);
	measure(s, window_start(s));
	keep_sample(s);
	for (size_t i = 0; i < STATUS_MEASURES; i++) {
		struct measure *m = &s->measures[i];

		m->level = level_for(&m->limits, m->level, m->value);
	}
}

static size_t lines_due(struct status *s, struct line lines[STATUS_MEASURES])
{
	size_t count = 0;

	for (size_t i = 0; i < STATUS_MEASURES; i++)
		count += line_due(s, (enum status_measure)i, &lines[count]);
	return count;
}

/* Life. */

static void find_series(struct status *s)
{
	for (size_t i = 0; i < tool_row_count; i++)
		s->times[i] = metric_series(METRIC_RESPONSE_TIME, slice_cstr(tool_rows[i].name));
	s->connections = metric_series(METRIC_CONNECTIONS, S(""));
	for (size_t i = 0; i < STATUS_MEASURES; i++) {
		struct measure *m = &s->measures[i];
		const double limits[] = {m->limits.target, m->limits.warning, m->limits.critical};
		static const char *const names[] = {"target", "warning", "critical"};

		m->value_metric = metric_series(METRIC_STATUS_VALUE, slice_cstr(status_measure_names[i]));
		m->level_metric = metric_series(METRIC_STATUS_LEVEL, slice_cstr(status_measure_names[i]));
		for (size_t k = 0; k < 3; k++) {
			char labels[64];
			int n = snprintf(labels, sizeof labels, "%s,%s", status_measure_names[i], names[k]);

			metric_set(metric_series(METRIC_STATUS_THRESHOLD, slice_of(labels, (size_t)n)),
				(int64_t)(limits[k] * 1e9));
		}
	}
}

static void collect(void *self)
{
	struct status *s = self;

	/* Without lines, which the next tick writes: a collector does not wait for who reads standard error. */
	pthread_mutex_lock(&s->lock);
	look(s, clock_mono_ns());
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < STATUS_MEASURES; i++) {
		double value;
		enum status_level level = status_level_of(s, (enum status_measure)i, &value);

		metric_set(s->measures[i].level_metric, level);
		metric_set(s->measures[i].value_metric, isnan(value) ? 0 : (int64_t)(value * 1e9));
	}
}

enum cs_status status_new(const struct status_limits limits[STATUS_MEASURES], unsigned cores,
	struct status **ret_status, struct cs_error *err)
{
	struct status *s = calloc(1, sizeof *s);
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	bool whole = s != NULL;

	if (!s)
		return cs_fail_memory(err);
	pthread_mutex_init(&s->lock, NULL);
	s->cores = cores ? cores : online > 0 ? (unsigned)online : 1;
	s->slowest = NO_TOOL;
	s->times = calloc(tool_row_count, sizeof *s->times);
	s->tools = calloc(tool_row_count, sizeof *s->tools);
	s->now.counts = calloc(tool_row_count, sizeof *s->now.counts);
	whole = s->times && s->tools && s->now.counts;
	for (size_t i = 0; i < SAMPLES; i++) {
		s->samples[i].counts = calloc(tool_row_count, sizeof *s->samples[i].counts);
		whole = whole && s->samples[i].counts;
	}
	for (size_t i = 0; i < STATUS_MEASURES; i++)
		s->measures[i].limits = limits[i].critical > 0 ? limits[i] : guide[i];
	if (!whole) {
		status_free(s);
		return cs_fail_memory(err);
	}
	find_series(s);
	take_sample(s, &s->samples[0], clock_mono_ns());
	s->sample_count = 1;
	s->collector = (struct metrics_collector){.collect = collect, .self = s};
	metrics_collector_add(&s->collector);
	*ret_status = s;
	return CS_OK;
}

void status_free(struct status *s)
{
	if (!s)
		return;
	metrics_collector_remove(&s->collector);
	for (size_t i = 0; i < SAMPLES; i++)
		free(s->samples[i].counts);
	free(s->now.counts);
	free(s->tools);
	free(s->times);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Asking. */

void status_look(struct status *s, int64_t now_ns)
{
	struct line lines[STATUS_MEASURES];
	size_t count;

	pthread_mutex_lock(&s->lock);
	look(s, now_ns);
	count = lines_due(s, lines);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < count; i++)
		write_line(&lines[i]);
}

enum status_level status_level_of(struct status *s, enum status_measure id, double *ret_value)
{
	enum status_level level;

	pthread_mutex_lock(&s->lock);
	level = s->measures[id].level;
	*ret_value = s->measures[id].value;
	pthread_mutex_unlock(&s->lock);
	return level;
}

/* Writing. */

static void key_number(struct json_writer *w, const char *name, double value)
{
	if (isnan(value))
		json_key_null(w, name);
	else
		json_key_f64(w, name, round(value * 1e4) / 1e4);
}

static void write_measure(const struct status *s, enum status_measure id, struct json_writer *w)
{
	const struct measure *m = &s->measures[id];

	json_write_name(w, slice_cstr(status_measure_names[id]));
	json_begin_object(w);
	key_number(w, "value", m->value);
	json_key_str(w, "level", slice_cstr(status_level_names[m->level]));
	json_key_bool(w, "target_met", !(m->value > m->limits.target));
	key_number(w, "target", m->limits.target);
	key_number(w, "warning", m->limits.warning);
	key_number(w, "critical", m->limits.critical);
	if (id == STATUS_RESPONSE_TIME && s->slowest != NO_TOOL)
		json_key_str(w, "tool_name", slice_cstr(tool_rows[s->slowest].name));
	json_end_object(w);
}

static void write_tool(const struct status *s, size_t row, struct json_writer *w)
{
	const struct figures *f = &s->tools[row];

	json_begin_object(w);
	json_key_str(w, "tool_name", slice_cstr(tool_rows[row].name));
	json_key_u64(w, "calls", f->calls);
	key_number(w, "p50_ms", f->p50_ms);
	key_number(w, "p95_ms", f->p95_ms);
	key_number(w, "p99_ms", f->p99_ms);
	json_key_str(w, "level", slice_cstr(status_level_names[f->level]));
	json_end_object(w);
}

void status_write(struct status *s, int64_t now_ns, struct json_writer *w)
{
	struct line lines[STATUS_MEASURES];
	enum status_level worst = STATUS_OK;
	size_t count;

	pthread_mutex_lock(&s->lock);
	look(s, now_ns);
	count = lines_due(s, lines);
	for (size_t i = 0; i < STATUS_MEASURES; i++)
		worst = s->measures[i].level > worst ? s->measures[i].level : worst;
	json_key_str(w, "status", slice_cstr(status_level_names[worst]));
	json_key_i64(w, "window_s", s->window_ns / SECOND_NS);
	json_write_name(w, S("thresholds"));
	json_begin_object(w);
	for (size_t i = 0; i < STATUS_MEASURES; i++)
		write_measure(s, (enum status_measure)i, w);
	json_end_object(w);
	json_write_name(w, S("tools"));
	json_begin_array(w);
	for (size_t i = 0; i < tool_row_count; i++)
		write_tool(s, i, w);
	json_end_array(w);
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < count; i++)
		write_line(&lines[i]);
}
