/* See guard.h. The breaker decides; here stand words, wall times and counts. */
#include "remote/guard.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"

#define NS_PER_MS INT64_C(1000000)

struct guard {
	struct guard_options options;
	struct breaker breaker;
	char where[CS_ERROR_BACKEND_MAX]; /* "redis at 127.0.0.1:6379" */
	struct metric_series *up, *failures, *refused, *check_time;
	pthread_mutex_t lock; /* all below */
	int64_t since_ms;     /* of the state it is in, up or not */
	int64_t silent_ms;    /* since when it has not answered; 0: it always did */
	char error[BACKEND_TEXT_MAX];
	int64_t error_ms, checked_ms, check_ns;
	char address[];
};

enum cs_status guard_new(const struct guard_options *options, struct guard **ret_guard, struct cs_error *err)
{
	struct guard *g = calloc(1, sizeof *g + options->address.len + 1);
	struct slice label = slice_cstr(options->name);

	if (!g)
		return cs_fail_memory(err);
	g->options = *options;
	if (options->address.len)
		memcpy(g->address, options->address.ptr, options->address.len);
	g->options.address = slice_of(g->address, options->address.len);
	snprintf(g->where, sizeof g->where, "%s at " SLICE_FMT, options->name, SLICE_ARG(g->options.address));
	/* Any number that differs between processes started at the same moment does. */
	breaker_init(&g->breaker, &options->breaker, (uint64_t)clock_mono_ns() ^ (uint64_t)(uintptr_t)g);
	pthread_mutex_init(&g->lock, NULL);
	g->since_ms = clock_wall_ms();
	g->up = metric_series(METRIC_BACKEND_UP, label);
	g->failures = metric_series(METRIC_BACKEND_FAILURES, label);
	g->refused = metric_series(METRIC_BACKEND_REFUSED, label);
	g->check_time = metric_series(METRIC_BACKEND_CHECK_TIME, label);
	metric_set(g->up, 1);
	*ret_guard = g;
	return CS_OK;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	breaker_release(&g->breaker);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* The time on the clock on the wall when the monotonic one shows at_ns. */
static int64_t wall_of(int64_t at_ns)
{
	return clock_wall_ms() + (at_ns - clock_mono_ns()) / NS_PER_MS;
}

/* Which server, since when, until when: for a failure that is its silence. */
static void name_backend(struct guard *g, int64_t silent_ms, struct cs_error *err)
{
	int64_t due_ns = clock_mono_ns(); /* while the breaker is closed the next call asks */

	(void)breaker_look(&g->breaker, NULL, &due_ns);
	memcpy(err->backend, g->where, sizeof g->where);
	err->since_ms = silent_ms;
	err->next_try_ms = wall_of(due_ns);
}

static enum cs_status refuse(struct guard *g, struct cs_error *err)
{
	int64_t due_ns = clock_mono_ns(), silent_ms, left_ms;
	char since[CLOCK_TEXT_SIZE], why[BACKEND_TEXT_MAX];
	enum cs_status status;

	metric_add(g->refused, 1);
	(void)breaker_look(&g->breaker, NULL, &due_ns);
	left_ms = (due_ns - clock_mono_ns()) / NS_PER_MS;
	pthread_mutex_lock(&g->lock);
	memcpy(why, g->error, sizeof why);
	silent_ms = g->silent_ms;
	pthread_mutex_unlock(&g->lock);
	clock_format(silent_ms, since);
	status = cs_fail(err, CS_UNAVAILABLE,
		"%s has been unavailable since %s (%s); it is asked again in %.1f s, and nothing was sent to it now",
		g->where, since, why, left_ms > 0 ? (double)left_ms / 1000 : 0.0);
	if (err)
		name_backend(g, silent_ms, err);
	return status;
}

enum cs_status guard_enter(struct guard *g, struct breaker_pass *ret_pass, struct cs_error *err)
{
	struct breaker_pass pass = breaker_enter(&g->breaker, clock_mono_ns());

	if (!pass.allowed)
		return refuse(g, err);
	*ret_pass = pass;
	return CS_OK;
}

static enum breaker_report report_of(
	const struct op *op, struct breaker_pass pass, enum cs_status status, int64_t now_ns)
{
	bool fair = now_ns - pass.entered_ns >= GUARD_FAIR_MS * NS_PER_MS;

	switch (status) {
	case CS_UNAVAILABLE: return BREAKER_FAILED;
	case CS_TIMEOUT:
		if (op->cancelled && atomic_load_explicit(op->cancelled, memory_order_relaxed))
			return BREAKER_NEUTRAL;
		return fair ? BREAKER_FAILED : BREAKER_NEUTRAL;
	case CS_WOULD_WAIT: return BREAKER_NEUTRAL;
	default: return BREAKER_ANSWERED;
	}
}

static void tell(struct guard *g, enum breaker_state state, int64_t down_ms, const char *why)
{
	const struct guard_change change = {.name = g->options.name,
		.address = g->options.address,
		.up = state == BREAKER_CLOSED,
		.why = why,
		.down_ms = down_ms};

	metric_set(g->up, change.up);
	if (g->options.changed)
		g->options.changed(g->options.self, &change);
}

/* What is behind it was meant for one call: whether its write was done, say. */
static void first_sentence(const char *text, char why[BACKEND_TEXT_MAX])
{
	const char *end = strstr(text, ". ");

	snprintf(why, BACKEND_TEXT_MAX, "%.*s", end ? (int)(end - text) : BACKEND_TEXT_MAX - 1, text);
}

/* Keeps what the failure said; since when the server has been silent. */
static int64_t note_failure(struct guard *g, bool first, const char *text, char why[BACKEND_TEXT_MAX])
{
	int64_t silent_ms;

	first_sentence(text, why);
	metric_add(g->failures, 1);
	pthread_mutex_lock(&g->lock);
	memcpy(g->error, why, BACKEND_TEXT_MAX);
	g->error_ms = clock_wall_ms();
	if (first || g->silent_ms == 0)
		g->silent_ms = g->error_ms;
	silent_ms = g->silent_ms;
	pthread_mutex_unlock(&g->lock);
	return silent_ms;
}

void guard_leave(
	struct guard *g, struct breaker_pass pass, const struct op *op, enum cs_status status, struct cs_error *err)
{
	int64_t now_ns = clock_mono_ns();
	enum breaker_report report = report_of(op, pass, status, now_ns);
	enum breaker_state before = breaker_look(&g->breaker, NULL, NULL), after = before;
	char why[BACKEND_TEXT_MAX] = "";
	int64_t silent_ms = 0, entered_ms;
	bool told = err && err->status == status;

	if (report == BREAKER_FAILED)
		silent_ms = note_failure(g, before == BREAKER_CLOSED && atomic_load(&g->breaker.failures) == 0,
			told ? err->text : cs_status_text(status), why);
	(void)breaker_leave(&g->breaker, pass, report, now_ns, &after);
	if (report == BREAKER_FAILED && told)
		name_backend(g, silent_ms, err);
	/* From half-open to open again is no news: it was down and still is. */
	if (after == before || (before != BREAKER_CLOSED && after != BREAKER_CLOSED))
		return;
	pthread_mutex_lock(&g->lock);
	entered_ms = g->since_ms;
	g->since_ms = clock_wall_ms();
	pthread_mutex_unlock(&g->lock);
	tell(g, after, clock_wall_ms() - entered_ms, why);
}

void guard_checked(struct guard *g, int64_t took_ns)
{
	metric_observe_ns(g->check_time, took_ns);
	pthread_mutex_lock(&g->lock);
	g->checked_ms = clock_wall_ms();
	g->check_ns = took_ns;
	pthread_mutex_unlock(&g->lock);
}

int64_t guard_due_ns(struct guard *g)
{
	int64_t due_ns = INT64_MAX;

	(void)breaker_look(&g->breaker, NULL, &due_ns);
	return due_ns;
}

static void status_of(void *self, struct backend_status *ret_status)
{
	static const enum backend_state states[] = {
		[BREAKER_CLOSED] = BACKEND_UP, [BREAKER_OPEN] = BACKEND_DOWN, [BREAKER_HALF_OPEN] = BACKEND_PROBING};
	struct guard *g = self;
	struct backend_status s = {0};
	int64_t due_ns = 0;

	s.state = states[breaker_look(&g->breaker, NULL, &due_ns)];
	if (s.state != BACKEND_UP)
		s.next_try_ms = wall_of(due_ns);
	pthread_mutex_lock(&g->lock);
	s.since_ms = g->since_ms;
	memcpy(s.error, g->error, sizeof s.error);
	s.error_ms = g->error_ms;
	s.checked_ms = g->checked_ms;
	s.check_ns = g->check_ns;
	pthread_mutex_unlock(&g->lock);
	if (g->options.more)
		g->options.more(g->options.more_self, &s);
	*ret_status = s;
}

struct backend guard_backend(struct guard *g)
{
	return (struct backend){
		.self = g,
		.name = g->options.name,
		.role = g->options.role,
		.address = g->options.address,
		.status = status_of,
	};
}
