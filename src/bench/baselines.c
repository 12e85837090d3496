/* What the same machine does, in the same minutes, without this program: each takes part in every round.
 *
 * The bare responder answers with the bytes of one of our own replies: it is the floor of HTTP here, and tells whether
 * the client is cheap enough. Raw SQLite is the floor of a durable store by one caller. Redis (GET, and SET with every
 * write synced, as ours are) and nginx (a file of the same size) are what people know; where they are not installed the
 * result says so. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/responder.h"
#include "bench/runner.h"
#include "bench/service.h"
#include "bench/sqlite_loop.h"

#define RESPONDER "bare responder"
#define SQLITE    "raw SQLite, one commit a row"
#define REDIS_GET "Redis GET"
#define REDIS_SET "Redis SET, appendfsync always"
#define NGINX     "nginx, a file of the reply's size"

struct baselines {
	struct runner *runner;
	struct responder responder;
	struct slice request, reply; /* of our own tool */
	struct sqlite_loop *sqlite;
	struct scratch_dir sqlite_dir;
	struct service redis, nginx; /* pid 0: not there */
};

static const struct slice redis_set = SLICE_INIT("*3\r\n$3\r\nSET\r\n$19\r\nagent:bench:state:k\r\n$50\r\n"
						 "step 7 of 12: waiting for review of the migration.\r\n"),
			  redis_get = SLICE_INIT("*2\r\n$3\r\nGET\r\n$19\r\nagent:bench:state:k\r\n"),
			  nginx_get = SLICE_INIT("GET /reply.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");

/* A baseline's load: the same bytes again and again. */
struct same {
	struct slice request;
};

static struct slice same_request(void *self, unsigned *ret_series)
{
	*ret_series = 0;
	return ((struct same *)self)->request;
}

/* One round at each level. */
static enum cs_status load(struct runner *r, const char *name, const struct client_address *to, struct slice request,
	enum frame_state (*frame)(const char *, size_t, size_t *), unsigned round, struct cs_error *err)
{
	struct same same = {request};
	enum cs_status status = CS_OK;

	for (unsigned i = 0; i < r->options->level_count && status == CS_OK && !runner_stopped(r); i++) {
		unsigned connections = r->options->levels[i];
		struct tally *tally = tally_find(r, KIND_BASELINE, name, connections);
		struct client_result result;
		struct client_load one = {.to = to,
			.connections = connections,
			.requests = runner_requests(r, round),
			.timeout_ns = RUNNER_TIMEOUT_NS,
			.frame = frame,
			.request = same_request,
			.self = &same,
			.series = r->series,
			.stop = r->hooks->stop};

		if (!tally)
			return cs_fail_memory(err);
		snprintf(
			r->what, sizeof r->what, "%s, %u connection%s", name, connections, connections == 1 ? "" : "s");
		runner_tell(r, 0);
		memset(r->series, 0, sizeof *r->series);
		status = client_run(&one, &result, err);
		if (result.done > 0)
			tally_round(r, tally, r->series, result.elapsed_ns, result.cpu_ns, result.done);
	}
	return status;
}

static void skip(struct runner *r, const char *name, const char *why)
{
	struct measurement *m = result_add(r->result, KIND_BASELINE, slice_cstr(name), 0);

	if (m)
		m->skipped = arena_copy(r->arena, slice_cstr(why));
}

static const struct workload_row *sample_row(const struct runner *r)
{
	const struct bench_options *o = r->options;
	const struct workload_row *state = workload_find(S("state")), *first = NULL;

	for (size_t i = workload_row_count; i-- > 0;)
		if (o->mixed || o->rate > 0 ? o->mix.share[i] > 0 : o->tools[i])
			first = &workload_rows[i] == state || first != state ? &workload_rows[i] : first;
	return first;
}

/* A request of ours, asked once for its reply. */
static enum cs_status take_sample(struct baselines *b, struct cs_error *err)
{
	struct runner *r = b->runner;
	const struct workload_row *row = sample_row(r);
	size_t at = workload_index(row), length = 0;
	char *reply = NULL;
	bool good = false;
	enum cs_status status = seeds_ensure(r, row, 1, err);

	if (status != CS_OK)
		return status;
	buffer_clear(&r->arguments);
	buffer_clear(&r->request);
	workload_write(&r->workload, row, r->workload.next[at]++, &r->arguments);
	request_write(&r->request, &r->form, row->tool, buffer_slice(&r->arguments));
	b->request = arena_copy(r->arena, buffer_slice(&r->request));
	if (!b->request.ptr)
		return cs_fail_memory(err);
	status = client_ask(&r->target.address, b->request, RUNNER_TIMEOUT_NS, request_frame(&r->form), &reply, &length,
		&good, err);
	if (status != CS_OK)
		return status;
	if (good)
		b->reply = arena_copy(r->arena, slice_of(reply, length));
	else
		status = cs_fail(
			err, CS_STORAGE, "%s failed: %.300s", row->tool, reply + frame_head_length(reply, length));
	free(reply);
	return status;
}

static enum cs_status sqlite_round(struct baselines *b, unsigned round, struct cs_error *err)
{
	struct runner *r = b->runner;
	const struct workload_row *row = workload_find(S("store"));
	struct tally *tally = tally_find(r, KIND_BASELINE, SQLITE, 1);
	uint64_t count = runner_requests(r, round);
	int64_t spent_ns = 0;
	enum cs_status status = tally ? CS_OK : cs_fail_memory(err);

	snprintf(r->what, sizeof r->what, SQLITE);
	runner_tell(r, 0);
	memset(r->series, 0, sizeof *r->series);
	for (uint64_t i = 0; i < count && status == CS_OK && !runner_stopped(r); i++) {
		int64_t start_ns;

		buffer_clear(&r->arguments);
		workload_write(&r->workload, row, i, &r->arguments);
		start_ns = clock_mono_ns();
		status = sqlite_loop_store(b->sqlite, buffer_slice(&r->arguments), buffer_slice(&r->arguments), err);
		spent_ns += clock_mono_ns() - start_ns;
		histogram_record(&r->series->latency, clock_mono_ns() - start_ns);
		r->series->success++;
	}
	if (status == CS_OK)
		tally_round(r, tally, r->series, spent_ns, -1, 0);
	return status;
}

static enum cs_status start_redis(struct baselines *b, const char *program, struct cs_error *err)
{
	struct service *s = &b->redis;
	char port[8], *words[16];
	const char *const options[] = {program, "--bind", "127.0.0.1", "--port", port, "--dir", s->dir.path, "--save",
		"", "--appendonly", "yes", "--appendfsync", "always"};
	size_t n = sizeof options / sizeof *options;
	enum cs_status status = service_prepare(s, err);

	snprintf(port, sizeof port, "%u", s->port);
	for (size_t i = 0; i < n; i++)
		words[i] = (char *)(uintptr_t)options[i];
	words[n] = NULL;
	return status == CS_OK ? service_start(s, words, err) : status;
}

static enum cs_status write_file(const char *dir, const char *name, struct slice text, struct cs_error *err)
{
	char path[PATH_MAX + 32];
	FILE *file;
	bool written;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	file = fopen(path, "we");
	written = file && fwrite(text.ptr, 1, text.len, file) == text.len;
	if (!file || fclose(file) != 0 || !written)
		return cs_fail(err, CS_UNAVAILABLE, "cannot write %.200s: %s", path, strerror(errno));
	return CS_OK;
}

/* One process, as Redis is one. With a master, killing it would leave its workers behind. */
static enum cs_status start_nginx(struct baselines *b, const char *program, struct cs_error *err)
{
	struct service *s = &b->nginx;
	struct slice reply = slice_from(b->reply, frame_head_length(b->reply.ptr, b->reply.len)), conf;
	char path[PATH_MAX + 16], *words[4];
	enum cs_status status = service_prepare(s, err);

	conf = arena_printf(b->runner->arena,
		"%sdaemon off; master_process off; pid %s/pid; error_log /dev/null;\nevents { worker_connections 4096; "
		"}\n"
		"http { access_log off; keepalive_requests 1000000000; client_body_temp_path %s/body; proxy_temp_path "
		"%s/proxy;\n"
		"fastcgi_temp_path %s/fastcgi; uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;\n"
		"server { listen 127.0.0.1:%u; root %s; } }\n",
		geteuid() == 0 ? "user root; " : "", s->dir.path, s->dir.path, s->dir.path, s->dir.path, s->dir.path,
		s->dir.path, s->port, s->dir.path);
	if (status == CS_OK)
		status = write_file(s->dir.path, "nginx.conf", conf, err);
	if (status == CS_OK)
		status = write_file(s->dir.path, "reply.json", reply, err);
	snprintf(path, sizeof path, "%s/nginx.conf", s->dir.path);
	words[0] = (char *)(uintptr_t)program;
	words[1] = (char *)(uintptr_t) "-c";
	words[2] = path;
	words[3] = NULL;
	return status == CS_OK ? service_start(s, words, err) : status;
}

/* Somebody else's server that is not there, or does not start, is no reason to measure nothing. */
static void start_services(struct baselines *b)
{
	const struct {
		const char *program;
		struct service *service;
		enum cs_status (*start)(struct baselines *, const char *, struct cs_error *);
	} rows[] = {{"redis-server", &b->redis, start_redis}, {"nginx", &b->nginx, start_nginx}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char path[PATH_MAX];
		const char *program = service_find(rows[i].program, path);
		struct cs_error why;

		if (!program) {
			skip(b->runner, rows[i].program, "not installed");
		} else if (rows[i].start(b, program, &why) != CS_OK) {
			skip(b->runner, rows[i].program, why.text);
			service_stop(rows[i].service);
		}
	}
}

enum cs_status baselines_open(struct runner *r, struct baselines **ret_baselines, struct cs_error *err)
{
	struct baselines *b = calloc(1, sizeof *b);
	enum cs_status status;

	if (!b)
		return cs_fail_memory(err);
	snprintf(r->what, sizeof r->what, "starting the baselines");
	runner_tell(r, 0);
	b->runner = r;
	status = take_sample(b, err);
	if (status == CS_OK)
		status = responder_start(&b->responder, b->reply, err);
	if (status == CS_OK)
		status = scratch_dir_make(&b->sqlite_dir, err);
	if (status == CS_OK)
		status = sqlite_loop_open(b->sqlite_dir.path, &b->sqlite, err);
	if (status != CS_OK) {
		baselines_close(b);
		return status;
	}
	start_services(b);
	*ret_baselines = b;
	return CS_OK;
}

enum cs_status baselines_round(struct baselines *b, unsigned round, struct cs_error *err)
{
	struct runner *r = b->runner;
	enum cs_status status =
		load(r, RESPONDER, &b->responder.address, b->request, request_frame(&r->form), round, err);

	if (status == CS_OK)
		status = sqlite_round(b, round, err);
	if (status == CS_OK && b->redis.pid > 0)
		status = load(r, REDIS_SET, &b->redis.address, redis_set, frame_redis, round, err);
	if (status == CS_OK && b->redis.pid > 0)
		status = load(r, REDIS_GET, &b->redis.address, redis_get, frame_redis, round, err);
	if (status == CS_OK && b->nginx.pid > 0)
		status = load(r, NGINX, &b->nginx.address, nginx_get, frame_http, round, err);
	return status;
}

void baselines_close(struct baselines *b)
{
	if (!b)
		return;
	responder_stop(&b->responder);
	sqlite_loop_close(b->sqlite);
	scratch_dir_remove(&b->sqlite_dir);
	service_stop(&b->redis);
	service_stop(&b->nginx);
	free(b);
}

void baselines_check(struct runner *r)
{
	struct result *result = r->result;
	struct self_check *c = &result->check;

	for (size_t i = 0; i < result->count; i++) {
		const struct measurement *m = &result->measurements[i];
		bool whole = m->kind == KIND_CLOSED || (m->kind == KIND_MIX && slice_eq(m->name, S("mix")));
		bool responder = m->kind == KIND_BASELINE && slice_eq(m->name, S(RESPONDER));
		double rate = whole || responder ? result_usual_rate(m) : 0;

		if (whole && rate > c->server_per_second) {
			c->server_per_second = rate;
			c->name = m->name;
			c->connections = m->connections;
		}
		if (responder && rate > c->client_per_second) {
			c->client_per_second = rate;
			c->client_cpu_us = m->client_cpu_us;
		}
	}
	c->done = c->server_per_second > 0 && c->client_per_second > 0;
	c->ratio = c->done ? c->client_per_second / c->server_per_second : 0;
}
