/* Reads a result file again. A file is somebody else's bytes: what is missing or of the wrong type is told with its
 * place, and nothing is assumed. Members that this version does not know are left alone. */
#include <math.h>

#include "bench/result.h"

struct reader {
	struct json_doc doc;
	size_t at; /* the measurement being read, from 1 on */
	struct cs_error *err;
};

static enum cs_status fail_member(const struct reader *r, const char *name, const char *wanted)
{
	if (r->at == 0)
		return cs_fail(r->err, CS_VALIDATION, "%s is not %s", name, wanted);
	return cs_fail(r->err, CS_VALIDATION, "%s of measurement %zu is not %s", name, r->at, wanted);
}

/* A number, or null for one that was not known. */
static enum cs_status number(const struct reader *r, uint32_t object, const char *name, double *ret_value)
{
	uint32_t node = json_get(&r->doc, object, slice_cstr(name));

	if (node != JSON_NONE && json_type_of(&r->doc, node) == JSON_NULL) {
		*ret_value = (double)NAN;
		return CS_OK;
	}
	return json_f64(&r->doc, node, ret_value) ? CS_OK : fail_member(r, name, "a number");
}

static enum cs_status whole(const struct reader *r, uint32_t object, const char *name, uint64_t *ret_value)
{
	int64_t value;

	if (!json_i64(&r->doc, json_get(&r->doc, object, slice_cstr(name)), &value) || value < 0)
		return fail_member(r, name, "a whole number");
	*ret_value = (uint64_t)value;
	return CS_OK;
}

static enum cs_status text(const struct reader *r, uint32_t object, const char *name, struct slice *ret_text)
{
	if (!json_str(&r->doc, json_get(&r->doc, object, slice_cstr(name)), ret_text))
		return fail_member(r, name, "a text");
	/* What is shown again must not steer a terminal. */
	return slice_has_control(*ret_text) ? fail_member(r, name, "a text without control characters") : CS_OK;
}

static enum cs_status read_rounds(const struct reader *r, uint32_t object, struct measurement *m)
{
	uint32_t rounds = json_get(&r->doc, object, S("rounds"));
	enum cs_status status = CS_OK;

	if (rounds == JSON_NONE || json_type_of(&r->doc, rounds) != JSON_ARRAY ||
		json_node_at(&r->doc, rounds)->count > RESULT_ROUNDS_MAX)
		return fail_member(r, "rounds", "a list of at most 20");
	for (uint32_t v = json_first(&r->doc, rounds); v != JSON_NONE && status == CS_OK;
		v = json_next(&r->doc, rounds, v)) {
		struct round_figures *round = &m->rounds[m->round_count++];

		status = number(r, v, "median_ms", &round->median_ms);
		if (status == CS_OK)
			status = number(r, v, "p95_ms", &round->p95_ms);
		if (status == CS_OK)
			status = number(r, v, "per_second", &round->per_second);
	}
	return status;
}

static enum cs_status read_latency(const struct reader *r, uint32_t object, struct latency *l)
{
	const struct {
		const char *name;
		double *value;
	} rows[] = {{"min", &l->min_ms}, {"avg", &l->avg_ms}, {"median", &l->median_ms}, {"p95", &l->p95_ms},
		{"p99", &l->p99_ms}, {"max", &l->max_ms}};
	uint32_t latency = json_get(&r->doc, object, S("latency_ms"));
	enum cs_status status = CS_OK;

	for (size_t i = 0; i < sizeof rows / sizeof *rows && status == CS_OK; i++)
		status = number(r, latency, rows[i].name, rows[i].value);
	return status;
}

static enum cs_status read_kind(const struct reader *r, uint32_t object, enum measurement_kind *ret_kind)
{
	struct slice name;
	enum cs_status status = text(r, object, "kind", &name);

	for (size_t i = 0; i < KIND_COUNT && status == CS_OK; i++)
		if (slice_is(name, kind_names[i])) {
			*ret_kind = (enum measurement_kind)i;
			return CS_OK;
		}
	return status != CS_OK ? status : fail_member(r, "kind", "closed, mix, open, direct or baseline");
}

static enum cs_status read_measurement(const struct reader *r, uint32_t object, struct result *result)
{
	enum measurement_kind kind = KIND_CLOSED;
	struct measurement *m;
	uint64_t connections;
	struct slice name;
	enum cs_status status = read_kind(r, object, &kind);

	if (status == CS_OK)
		status = text(r, object, "name", &name);
	if (status == CS_OK)
		status = whole(r, object, "connections", &connections);
	if (status != CS_OK)
		return status;
	m = result_add(result, kind, name, (unsigned)connections);
	if (!m)
		return cs_fail(r->err, CS_LIMIT_EXCEEDED, "more than %d measurements", RESULT_MEASUREMENTS_MAX);
	if (json_str(&r->doc, json_get(&r->doc, object, S("skipped")), &m->skipped))
		return CS_OK;
	status = whole(r, object, "success", &m->success);
	if (status == CS_OK)
		status = whole(r, object, "failures", &m->failures);
	if (status == CS_OK && json_get(&r->doc, object, S("pending")) != JSON_NONE) /* files of before have none */
		status = whole(r, object, "pending", &m->pending);
	if (status == CS_OK)
		status = number(r, object, "per_second", &m->per_second);
	if (status == CS_OK)
		status = read_latency(r, object, &m->latency);
	return status == CS_OK ? read_rounds(r, object, m) : status;
}

static enum cs_status check_format(const struct reader *r)
{
	struct slice format = S("");
	int64_t version = 0;

	(void)json_str(&r->doc, json_get(&r->doc, 0, S("format")), &format);
	(void)json_i64(&r->doc, json_get(&r->doc, 0, S("format_version")), &version);
	if (!slice_eq(format, S(RESULT_FORMAT)))
		return cs_fail(r->err, CS_VALIDATION,
			"no result of context-store bench: its \"format\" is not \"" RESULT_FORMAT "\"");
	if (version != RESULT_FORMAT_VERSION)
		return cs_fail(r->err, CS_VALIDATION, "format_version %lld is not the one this program reads, %d",
			(long long)version, RESULT_FORMAT_VERSION);
	return CS_OK;
}

enum cs_status result_read(struct arena *arena, struct slice bytes, struct result *ret_result, struct cs_error *err)
{
	struct reader r = {.err = err};
	struct result result;
	uint32_t list, machine;
	uint64_t cores = 0;
	enum cs_status status = json_parse(arena, bytes, JSON_LIMITS_DEFAULT, &r.doc, err);

	if (status == CS_OK)
		status = check_format(&r);
	if (status == CS_OK)
		status = result_init(&result, arena, err);
	if (status == CS_OK)
		status = text(&r, 0, "program", &result.program);
	if (status == CS_OK)
		status = text(&r, 0, "started_at", &result.started_at);
	if (status != CS_OK)
		return status;
	(void)json_bool(&r.doc, json_get(&r.doc, 0, S("partial")), &result.partial);
	machine = json_get(&r.doc, 0, S("machine"));
	if (whole(&r, machine, "cores", &cores) == CS_OK)
		result.cores = (unsigned)cores;
	(void)json_str(&r.doc, json_get(&r.doc, machine, S("processor")), &result.processor);
	list = json_get(&r.doc, 0, S("measurements"));
	if (list == JSON_NONE || json_type_of(&r.doc, list) != JSON_ARRAY)
		return fail_member(&r, "measurements", "a list");
	for (uint32_t v = json_first(&r.doc, list); v != JSON_NONE && status == CS_OK; v = json_next(&r.doc, list, v)) {
		r.at++;
		status = read_measurement(&r, v, &result);
	}
	if (status == CS_OK)
		*ret_result = result;
	return status;
}
