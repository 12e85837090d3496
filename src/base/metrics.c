/* The metrics registry.
 *
 * A series is METRIC_SHARDS copies of its cells, each on cache lines of its own; a thread always adds to the same copy,
 * and reading sums them: with one shared cell, event loops on different cores would pass its cache line back and forth
 * for every request. A histogram keeps no count: it is the sum of its buckets, so an observation is one addition to a
 * bucket and one to the sum.
 *
 * Series are published by an atomic count and never removed: a look-up walks them without a lock (at most
 * METRIC_SERIES_MAX, and hot paths keep the pointer); only a value seen for the first time takes the mutex.
 * The series without label, and the one labelled "other", are static, so metric_series cannot fail.
 *
 * Collectors are called under a mutex of their own, so that removing one waits for a reader that is calling it. They are
 * meant to take microseconds; the text is written after the mutex is free again, and not with printf: some thousand
 * lines are composed on an event loop.
 * Memory: 1.5 KiB a series, at most 192 KiB a family. */
#include "base/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define METRIC_SHARDS 8u
#define CACHE_LINE    64
#define LABEL_MAX     64 /* bytes; a longer value is counted as "other" */
#define NANO          INT64_C(1000000000)

enum metric_kind { COUNTER, COUNTER_NANO, GAUGE, GAUGE_NANO, SECONDS, SIZES };

static const struct family_row {
	enum metric_kind kind;
	const char *name;
	const char *labels;
	const char *help;
} rows[METRIC_COUNT] = {
#define METRIC(symbol, kind, name, labels, help) [METRIC_##symbol] = {kind, name, labels, help},
#include "base/metrics_table.h"
#undef METRIC
};

#define SECONDS_BOUNDS (METRIC_BUCKETS - 1)
#define SIZES_BOUNDS   11u

/* The last bound is a sentinel nothing is above, so that the look-up below needs no check. A reply from memory takes
 * some microseconds, so resolution begins there. */
static const int64_t second_bounds_ns[SECONDS_BOUNDS + 1] = {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	500000, 1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000,
	2500000000, 5000000000, 10000000000, INT64_MAX};
static const char *const second_bounds_text[SECONDS_BOUNDS] = {"0.000001", "0.0000025", "0.000005", "0.00001",
	"0.000025", "0.00005", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
	"0.1", "0.25", "0.5", "1", "2.5", "5", "10"};

/* How many bounds are below 2^k, for k = 0 ... 63. */
static const uint8_t bounds_below_power[64] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11,
	12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22,
	22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22};

struct shard {
	_Alignas(CACHE_LINE) _Atomic int64_t value; /* of a counter or gauge; the sum of a histogram, in ns or units */
	_Atomic uint64_t buckets[METRIC_BUCKETS];
};

struct metric_series {
	struct shard shards[METRIC_SHARDS];
	enum metric_kind kind;
	atomic_bool used; /* of the static ones: asked for at least once */
	size_t label_len;
	char label[LABEL_MAX];
};

static struct family {
	struct metric_series rest; /* the series without label, or "other" */
	struct metric_series *series[METRIC_SERIES_MAX];
	atomic_size_t count;
} families[METRIC_COUNT];

static pthread_mutex_t registering = PTHREAD_MUTEX_INITIALIZER;

static void name_series(struct metric_series *series, enum metric_kind kind, struct slice label)
{
	series->kind = kind;
	series->label_len = label.len;
	if (label.len)
		memcpy(series->label, label.ptr, label.len);
}

static struct metric_series *rest_of(struct family *family, enum metric_kind kind, struct slice label)
{
	if (atomic_load_explicit(&family->rest.used, memory_order_acquire))
		return &family->rest;
	pthread_mutex_lock(&registering);
	if (!atomic_load_explicit(&family->rest.used, memory_order_relaxed)) {
		name_series(&family->rest, kind, label);
		atomic_store_explicit(&family->rest.used, true, memory_order_release);
	}
	pthread_mutex_unlock(&registering);
	return &family->rest;
}

static struct metric_series *find(const struct family *family, size_t count, struct slice label)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(slice_of(family->series[i]->label, family->series[i]->label_len), label))
			return family->series[i];
	return NULL;
}

/* Adds the series unless another thread was faster; NULL when there is no room or no memory. */
static struct metric_series *add_series(struct family *family, enum metric_kind kind, struct slice label)
{
	struct metric_series *series;
	size_t count;

	pthread_mutex_lock(&registering);
	count = atomic_load_explicit(&family->count, memory_order_relaxed);
	series = find(family, count, label);
	if (!series && count < METRIC_SERIES_MAX) {
		series = aligned_alloc(CACHE_LINE, sizeof *series);
		if (series) {
			memset(series, 0, sizeof *series);
			name_series(series, kind, label);
			family->series[count] = series;
			atomic_store_explicit(&family->count, count + 1, memory_order_release);
		}
	}
	pthread_mutex_unlock(&registering);
	return series;
}

struct metric_series *metric_series(enum metric_id id, struct slice label_value)
{
	struct family *family;
	struct metric_series *series;

	assert(id < METRIC_COUNT);
	family = &families[id];
	if (rows[id].labels[0] == '\0')
		return rest_of(family, rows[id].kind, (struct slice){0});
	if (label_value.len > LABEL_MAX || slice_eq(label_value, S("other")))
		return rest_of(family, rows[id].kind, S("other"));
	series = find(family, atomic_load_explicit(&family->count, memory_order_acquire), label_value);
	if (!series)
		series = add_series(family, rows[id].kind, label_value);
	return series ? series : rest_of(family, rows[id].kind, S("other"));
}

/* Threads take shards in turn and keep theirs. */
static struct shard *own_shard(struct metric_series *series)
{
	static atomic_uint next;
	static _Thread_local unsigned own; /* its number plus one; 0: none yet */

	if (!own)
		own = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % METRIC_SHARDS + 1;
	return &series->shards[own - 1];
}

static bool is_gauge(const struct metric_series *series)
{
	return series->kind == GAUGE || series->kind == GAUGE_NANO;
}

static bool is_counter(const struct metric_series *series)
{
	return series->kind == COUNTER || series->kind == COUNTER_NANO;
}

void metric_add(struct metric_series *series, int64_t delta)
{
	assert(is_gauge(series) || (is_counter(series) && delta >= 0));
	atomic_fetch_add_explicit(&own_shard(series)->value, delta, memory_order_relaxed);
}

/* What was added on other threads meanwhile may be lost: what is set has one writer. */
static void set(struct metric_series *series, int64_t value)
{
	for (size_t i = 1; i < METRIC_SHARDS; i++)
		atomic_store_explicit(&series->shards[i].value, 0, memory_order_relaxed);
	atomic_store_explicit(&series->shards[0].value, value, memory_order_relaxed);
}

void metric_set(struct metric_series *series, int64_t value)
{
	assert(is_gauge(series));
	set(series, value);
}

void metric_set_total(struct metric_series *series, int64_t total)
{
	assert(is_counter(series));
	set(series, total);
}

/* How many bounds are below elapsed_ns. Neighbouring bounds differ by a factor of two or more, so at most one lies
 * between the power of two below elapsed_ns and elapsed_ns itself. */
static size_t seconds_bucket(int64_t elapsed_ns)
{
	size_t bucket = bounds_below_power[63 - __builtin_clzll((uint64_t)elapsed_ns | 1)];

	return bucket + (elapsed_ns > second_bounds_ns[bucket]);
}

void metric_observe_ns(struct metric_series *series, int64_t elapsed_ns)
{
	struct shard *shard = own_shard(series);
	int64_t ns = elapsed_ns < 0 ? 0 : elapsed_ns;

	assert(series->kind == SECONDS);
	atomic_fetch_add_explicit(&shard->buckets[seconds_bucket(ns)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&shard->value, ns, memory_order_relaxed);
}

static size_t sizes_bucket(uint64_t value)
{
	size_t bucket = value <= 1 ? 0 : 64 - (size_t)__builtin_clzll(value - 1);

	return bucket < SIZES_BOUNDS ? bucket : SIZES_BOUNDS;
}

void metric_observe(struct metric_series *series, uint64_t value)
{
	struct shard *shard = own_shard(series);

	assert(series->kind == SIZES);
	atomic_fetch_add_explicit(&shard->buckets[sizes_bucket(value)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&shard->value, (int64_t)value, memory_order_relaxed);
}

static int64_t value_of(const struct metric_series *series)
{
	int64_t total = 0;

	for (size_t i = 0; i < METRIC_SHARDS; i++)
		total += atomic_load_explicit(&series->shards[i].value, memory_order_relaxed);
	return total;
}

static uint64_t bucket_of(const struct metric_series *series, size_t bucket)
{
	uint64_t total = 0;

	for (size_t i = 0; i < METRIC_SHARDS; i++)
		total += atomic_load_explicit(&series->shards[i].buckets[bucket], memory_order_relaxed);
	return total;
}

int64_t metric_value(const struct metric_series *series)
{
	uint64_t count = 0;

	if (is_counter(series) || is_gauge(series))
		return value_of(series);
	for (size_t i = 0; i <= SECONDS_BOUNDS; i++)
		count += bucket_of(series, i);
	return (int64_t)count;
}

void metric_buckets(const struct metric_series *series, uint64_t ret_counts[METRIC_BUCKETS])
{
	assert(series->kind == SECONDS);
	for (size_t i = 0; i < METRIC_BUCKETS; i++)
		ret_counts[i] = bucket_of(series, i);
}

double metric_quantile(const uint64_t counts[METRIC_BUCKETS], double q)
{
	uint64_t total = 0, below = 0;
	double rank, from, to;
	size_t i = 0;

	for (size_t k = 0; k < METRIC_BUCKETS; k++)
		total += counts[k];
	if (total == 0)
		return NAN;
	rank = q * (double)total;
	while (i < SECONDS_BOUNDS && (double)(below + counts[i]) < rank)
		below += counts[i++];
	if (i == SECONDS_BOUNDS)
		return (double)second_bounds_ns[SECONDS_BOUNDS - 1] / 1e9;
	from = i ? (double)second_bounds_ns[i - 1] / 1e9 : 0;
	to = (double)second_bounds_ns[i] / 1e9;
	return counts[i] ? from + (to - from) * (rank - (double)below) / (double)counts[i] : from;
}

/* Collectors. */

static struct metrics_collector *collectors;
static pthread_mutex_t collecting = PTHREAD_MUTEX_INITIALIZER;

void metrics_collector_add(struct metrics_collector *collector)
{
	pthread_mutex_lock(&collecting);
	collector->former = NULL;
	collector->next = collectors;
	if (collectors)
		collectors->former = collector;
	collectors = collector;
	pthread_mutex_unlock(&collecting);
}

void metrics_collector_remove(struct metrics_collector *collector)
{
	pthread_mutex_lock(&collecting);
	if (collector->former)
		collector->former->next = collector->next;
	else if (collectors == collector)
		collectors = collector->next;
	if (collector->next)
		collector->next->former = collector->former;
	collector->next = collector->former = NULL;
	pthread_mutex_unlock(&collecting);
}

void metrics_collect(void)
{
	pthread_mutex_lock(&collecting);
	for (struct metrics_collector *at = collectors; at; at = at->next)
		at->collect(at->self);
	pthread_mutex_unlock(&collecting);
}

/* The text form. */

static void write_number(struct buffer *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	buffer_append(out, slice_of(digits + at, sizeof digits - at));
}

/* Without the zeros at its end; nothing for a whole number. */
static void write_fraction(struct buffer *out, uint64_t billionths)
{
	char digits[10] = {'.'};
	size_t len = 0;

	for (size_t i = 9; i > 0; i--, billionths /= 10) {
		digits[i] = (char)('0' + billionths % 10);
		if (len == 0 && digits[i] != '0')
			len = i + 1;
	}
	buffer_append(out, slice_of(digits, len));
}

/* A whole number, or billionths as a decimal fraction; and the end of the line. */
static void write_value(struct buffer *out, int64_t value, bool nano)
{
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;

	if (value < 0)
		buffer_byte(out, '-');
	write_number(out, nano ? size / NANO : size);
	if (nano)
		write_fraction(out, size % NANO);
	buffer_byte(out, '\n');
}

/* Label values escape backslash, quote and line feed; a help text the first and the last. */
static void write_escaped(struct buffer *out, struct slice text, bool quote_too)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '\\' || (c == '"' && quote_too))
			buffer_byte(out, '\\');
		if (c == '\n')
			buffer_append(out, S("\\n"));
		else
			buffer_byte(out, c);
	}
}

static void write_label(struct buffer *out, struct slice name, struct slice value)
{
	buffer_append(out, name);
	buffer_append(out, S("=\""));
	write_escaped(out, value, true);
	buffer_byte(out, '"');
}

/* label="value",...: names and values are taken apart at their commas, the last value keeps its own. */
static void write_labels(struct buffer *out, const struct family_row *row, const struct metric_series *series)
{
	struct slice names = slice_cstr(row->labels), values = slice_of(series->label, series->label_len);
	bool other = slice_eq(values, S("other"));

	while (names.len) {
		struct slice name = slice_cut(&names, ',');
		struct slice value = other || !names.len ? values : slice_cut(&values, ',');

		write_label(out, name, value);
		if (names.len)
			buffer_byte(out, ',');
	}
}

/* name_suffix{label="value",le="bound"}, braces only if there is something between them, and a space. */
static void write_name(struct buffer *out, const struct family_row *row, const struct metric_series *series,
	const char *suffix, const char *le)
{
	bool labelled = row->labels[0] != '\0';

	buffer_append(out, slice_cstr(row->name));
	buffer_append(out, slice_cstr(suffix));
	if (labelled || le)
		buffer_byte(out, '{');
	if (labelled)
		write_labels(out, row, series);
	if (labelled && le)
		buffer_byte(out, ',');
	if (le)
		write_label(out, S("le"), slice_cstr(le));
	if (labelled || le)
		buffer_byte(out, '}');
	buffer_byte(out, ' ');
}

static void write_histogram(struct buffer *out, const struct family_row *row, const struct metric_series *series)
{
	static const char *const powers[SIZES_BOUNDS] = {
		"1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024"};
	size_t bounds = row->kind == SECONDS ? SECONDS_BOUNDS : SIZES_BOUNDS;
	int64_t sum = value_of(series);
	uint64_t count = 0;

	for (size_t i = 0; i <= bounds; i++) {
		const char *le = "+Inf";

		if (i < bounds)
			le = row->kind == SECONDS ? second_bounds_text[i] : powers[i];
		count += bucket_of(series, i);
		write_name(out, row, series, "_bucket", le);
		write_value(out, (int64_t)count, false);
	}
	write_name(out, row, series, "_sum", NULL);
	write_value(out, sum, row->kind == SECONDS);
	write_name(out, row, series, "_count", NULL);
	write_value(out, (int64_t)count, false);
}

static void write_series(struct buffer *out, const struct family_row *row, const struct metric_series *series)
{
	if (row->kind == SECONDS || row->kind == SIZES) {
		write_histogram(out, row, series);
		return;
	}
	write_name(out, row, series, "", NULL);
	write_value(out, value_of(series), row->kind == COUNTER_NANO || row->kind == GAUGE_NANO);
}

void metrics_write(struct buffer *out)
{
	static const char *const kind_names[] = {[COUNTER] = "counter",
		[COUNTER_NANO] = "counter",
		[GAUGE] = "gauge",
		[GAUGE_NANO] = "gauge",
		[SECONDS] = "histogram",
		[SIZES] = "histogram"};

	metrics_collect();
	for (size_t id = 0; id < METRIC_COUNT; id++) {
		struct family *family = &families[id];
		size_t count = atomic_load_explicit(&family->count, memory_order_acquire);
		bool rest = atomic_load_explicit(&family->rest.used, memory_order_acquire);

		if (count == 0 && !rest)
			continue;
		buffer_printf(out, "# HELP %s ", rows[id].name);
		write_escaped(out, slice_cstr(rows[id].help), false);
		buffer_printf(out, "\n# TYPE %s %s\n", rows[id].name, kind_names[rows[id].kind]);
		for (size_t i = 0; i < count; i++)
			write_series(out, &rows[id], family->series[i]);
		if (rest)
			write_series(out, &rows[id], &family->rest);
	}
}
