/* Results, and their JSON form. Numbers that are not known are null and read back as NAN. */
#include "bench/result.h"

#include <math.h>

const char *const kind_names[KIND_COUNT] = {"closed", "mix", "open", "direct", "baseline"};

enum cs_status result_init(struct result *r, struct arena *arena, struct cs_error *err)
{
	*r = (struct result){.arena = arena};
	r->measurements = arena_array(arena, RESULT_MEASUREMENTS_MAX, sizeof *r->measurements);
	return r->measurements ? CS_OK : cs_fail_memory(err);
}

struct measurement *result_add(struct result *r, enum measurement_kind kind, struct slice name, unsigned connections)
{
	struct measurement *m;

	if (r->count == RESULT_MEASUREMENTS_MAX)
		return NULL;
	m = &r->measurements[r->count++];
	*m = (struct measurement){.kind = kind,
		.name = name,
		.connections = connections,
		.client_cpu_us = (double)NAN,
		.memory_change = RESULT_MEMORY_UNKNOWN};
	m->latency = (struct latency){NAN, NAN, NAN, NAN, NAN, NAN};
	return m;
}

const struct measurement *result_find(
	const struct result *r, enum measurement_kind kind, struct slice name, unsigned connections)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];

		if (m->kind == kind && m->connections == connections && slice_eq(m->name, name))
			return m;
	}
	return NULL;
}

struct latency latency_of(const struct histogram *h)
{
	return (struct latency){
		.min_ms = histogram_percentile(h, 0) / 1e6,
		.avg_ms = histogram_mean(h) / 1e6,
		.median_ms = histogram_percentile(h, 50) / 1e6,
		.p95_ms = histogram_percentile(h, 95) / 1e6,
		.p99_ms = histogram_percentile(h, 99) / 1e6,
		.max_ms = histogram_percentile(h, 100) / 1e6,
	};
}

double result_usual_rate(const struct measurement *m)
{
	double rates[RESULT_ROUNDS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < m->round_count; i++)
		if (m->rounds[i].per_second > 0)
			rates[n++] = m->rounds[i].per_second;
	return n > 0 ? stats_spread(rates, n).median : 0;
}

bool result_meets(const struct measurement *m, double target_ms)
{
	return m->success > 0 && m->failures == 0 && m->dropped == 0 && m->latency.p95_ms <= target_ms;
}

bool result_all_met(const struct result *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->measurements[i].has_target && !r->measurements[i].target_met)
			return false;
	return true;
}

static void key_text(struct json_writer *w, const char *name, struct slice text)
{
	if (text.len > 0)
		json_key_str(w, name, text);
	else
		json_key_null(w, name);
}

static void write_latency(struct json_writer *w, const struct latency *l)
{
	json_write_name(w, S("latency_ms"));
	json_begin_object(w);
	json_key_f64(w, "min", l->min_ms);
	json_key_f64(w, "avg", l->avg_ms);
	json_key_f64(w, "median", l->median_ms);
	json_key_f64(w, "p95", l->p95_ms);
	json_key_f64(w, "p99", l->p99_ms);
	json_key_f64(w, "max", l->max_ms);
	json_end_object(w);
}

static void write_rounds(struct json_writer *w, const struct measurement *m)
{
	json_write_name(w, S("rounds"));
	json_begin_array(w);
	for (unsigned i = 0; i < m->round_count; i++) {
		json_begin_object(w);
		json_key_f64(w, "median_ms", m->rounds[i].median_ms);
		json_key_f64(w, "p95_ms", m->rounds[i].p95_ms);
		json_key_f64(w, "per_second", m->rounds[i].per_second);
		json_end_object(w);
	}
	json_end_array(w);
}

static void write_measurement(struct json_writer *w, const struct result *r, const struct measurement *m)
{
	json_begin_object(w);
	json_key_str(w, "kind", slice_cstr(kind_names[m->kind]));
	json_key_str(w, "name", m->name);
	json_key_u64(w, "connections", m->connections);
	if (m->skipped.len > 0) {
		json_key_str(w, "skipped", m->skipped);
		json_end_object(w);
		return;
	}
	json_key_u64(w, "iterations", m->success + m->failures);
	json_key_u64(w, "success", m->success);
	json_key_u64(w, "failures", m->failures);
	json_key_u64(w, "pending", m->pending);
	key_text(w, "failure", m->failure);
	json_key_f64(w, "per_second", m->per_second);
	write_latency(w, &m->latency);
	if (m->has_target) {
		json_key_f64(w, "target_ms", r->target_ms);
		json_key_bool(w, "target_met", m->target_met);
	}
	if (m->memory_change != RESULT_MEMORY_UNKNOWN)
		json_key_i64(w, "memory_change_bytes", m->memory_change);
	else
		json_key_null(w, "memory_change_bytes");
	json_key_f64(w, "client_cpu_us", m->client_cpu_us);
	if (m->kind == KIND_OPEN) {
		json_key_f64(w, "rate", m->rate);
		json_key_u64(w, "late", m->late);
		json_key_u64(w, "dropped", m->dropped);
	}
	write_rounds(w, m);
	json_end_object(w);
}

static void write_check(struct json_writer *w, const struct self_check *c)
{
	json_write_name(w, S("self_check"));
	if (!c->done) {
		json_write_null(w);
		return;
	}
	json_begin_object(w);
	json_key_str(w, "tool", c->name);
	json_key_u64(w, "connections", c->connections);
	json_key_f64(w, "client_per_second", c->client_per_second);
	json_key_f64(w, "server_per_second", c->server_per_second);
	json_key_f64(w, "ratio", c->ratio);
	json_key_f64(w, "client_cpu_us", c->client_cpu_us);
	json_end_object(w);
}

void result_write(const struct result *r, struct buffer *out)
{
	struct json_writer w = json_writer(out);

	json_begin_object(&w);
	json_key_str(&w, "format", S(RESULT_FORMAT));
	json_key_i64(&w, "format_version", RESULT_FORMAT_VERSION);
	json_key_str(&w, "program", r->program);
	json_key_str(&w, "started_at", r->started_at);
	json_key_bool(&w, "partial", r->partial);
	key_text(&w, "why_partial", r->why_partial);
	json_write_name(&w, S("machine"));
	json_begin_object(&w);
	json_key_u64(&w, "cores", r->cores);
	key_text(&w, "processor", r->processor);
	key_text(&w, "system", r->system);
	json_end_object(&w);
	json_write_name(&w, S("options"));
	json_begin_object(&w);
	key_text(&w, "url", r->url);
	json_key_str(&w, "transport", r->transport);
	key_text(&w, "storage", r->storage);
	json_key_u64(&w, "iterations", r->iterations);
	json_key_u64(&w, "rounds", r->rounds);
	json_key_f64(&w, "target_ms", r->target_ms);
	json_end_object(&w);
	json_write_name(&w, S("measurements"));
	json_begin_array(&w);
	for (size_t i = 0; i < r->count; i++)
		write_measurement(&w, r, &r->measurements[i]);
	json_end_array(&w);
	write_check(&w, &r->check);
	json_end_object(&w);
	buffer_byte(out, '\n');
}
