/* Servers on health pages. */
#include "mcp/health.h"

#include "base/clock.h"

static bool is_excluded(struct slice query, const char *name)
{
	const struct slice exclude = SLICE_INIT("exclude=");

	while (query.ptr) {
		struct slice pair = slice_cut(&query, '&');

		if (slice_starts(pair, exclude) && slice_is(slice_from(pair, exclude.len), name))
			return true;
	}
	return false;
}

bool health_backends_up(const struct store *store, struct slice query)
{
	for (size_t i = 0; i < store->backend_count; i++) {
		const struct backend *backend = &store->backends[i];
		struct backend_status status;

		backend->status(backend->self, &status);
		if (status.state != BACKEND_UP && !is_excluded(query, backend->name))
			return false;
	}
	return true;
}

static void write_time(struct json_writer *w, const char *name, int64_t wall_ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(wall_ms, text);
	json_key_str(w, name, slice_cstr(text));
}

static void write_details(struct json_writer *w, const struct backend_status *s)
{
	if (s->error[0] && s->state == BACKEND_UP) {
		json_key_str(w, "last_error", slice_cstr(s->error));
		write_time(w, "last_error_at", s->error_ms);
	}
	if (s->checked_ms) {
		write_time(w, "checked_at", s->checked_ms);
		json_key_f64(w, "check_ms", (double)s->check_ns / 1e6);
	}
	if (s->has_pool) {
		json_write_name(w, S("pool"));
		json_begin_object(w);
		json_key_u64(w, "open", s->pool.open);
		json_key_u64(w, "in_use", s->pool.in_use);
		json_key_u64(w, "waiting", s->pool.waiting);
		json_key_u64(w, "min", s->pool.min);
		json_key_u64(w, "max", s->pool.max);
		json_key_f64(w, "wait_ms_max", (double)s->pool.wait_ns_max / 1e6);
		json_end_object(w);
	}
	if (s->has_cache) {
		json_write_name(w, S("cache"));
		json_begin_object(w);
		json_key_bool(w, "open", s->cache_open);
		json_key_u64(w, "entries", s->cached);
		json_end_object(w);
	}
}

static void write_backend(struct json_writer *w, const struct backend *backend, bool detailed)
{
	struct backend_status s;

	backend->status(backend->self, &s);
	json_begin_object(w);
	json_key_str(w, "name", slice_cstr(backend->name));
	json_key_str(w, "role", slice_cstr(backend->role));
	json_key_str(w, "address", backend->address);
	json_key_str(w, "status", slice_cstr(backend_state_names[s.state]));
	write_time(w, "since", s.since_ms);
	if (s.state != BACKEND_UP) {
		write_time(w, "next_try", s.next_try_ms);
		json_key_str(w, "error", slice_cstr(s.error));
	}
	if (detailed)
		write_details(w, &s);
	json_end_object(w);
}

void health_write_backends(struct json_writer *w, const struct store *store, bool detailed)
{
	if (store->backend_count == 0)
		return;
	json_write_name(w, S("backends"));
	json_begin_array(w);
	for (size_t i = 0; i < store->backend_count; i++)
		write_backend(w, &store->backends[i], detailed);
	json_end_array(w);
}
