/* The state machine of breaker.h.
 *
 * `turn` tells late reports from timely ones, and is why the fast path needs no lock: a call reads state and turn; when
 * it leaves with success, nothing has to be written unless failures were counted. Between reading the two, the state may
 * change; then the pass carries a turn that is not the closed state's, and its report is ignored. That is as good as the
 * call having come a moment earlier. */
#include "remote/breaker.h"

#include <assert.h>

#define NS_PER_MS INT64_C(1000000)

void breaker_init(struct breaker *b, const struct breaker_options *options, uint64_t seed)
{
	assert(options->failures_max >= 1 && options->pause_min_ms >= 1);
	assert(options->pause_min_ms <= options->pause_max_ms && options->probe_max_ms >= 1);
	*b = (struct breaker){.options = *options, .random = seed | 1, .pause_ns = options->pause_min_ms * NS_PER_MS};
	atomic_store(&b->failures, options->failures_max - 1);
	pthread_mutex_init(&b->lock, NULL);
}

void breaker_release(struct breaker *b)
{
	pthread_mutex_destroy(&b->lock);
}

static uint64_t draw(struct breaker *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

/* Under the lock. */
static void change(struct breaker *b, enum breaker_state state)
{
	atomic_store_explicit(&b->failures, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->turn, 1, memory_order_release);
	atomic_store_explicit(&b->state, state, memory_order_release);
}

static void pause_until(struct breaker *b, int64_t now_ns)
{
	int64_t half = b->pause_ns / 2, most = b->options.pause_max_ms * NS_PER_MS;

	b->due_ns = now_ns + half + (int64_t)(draw(b) % (uint64_t)(half + 1));
	b->pause_ns = b->pause_ns > most / 2 ? most : 2 * b->pause_ns;
}

static void open_up(struct breaker *b, int64_t now_ns)
{
	change(b, BREAKER_OPEN);
	pause_until(b, now_ns);
}

static struct breaker_pass enter_slowly(struct breaker *b, int64_t now_ns)
{
	struct breaker_pass pass = {.entered_ns = now_ns};

	pthread_mutex_lock(&b->lock);
	switch ((enum breaker_state)atomic_load(&b->state)) {
	case BREAKER_CLOSED: pass.allowed = true; break;
	case BREAKER_OPEN:
	case BREAKER_HALF_OPEN: /* behind due_ns: the probe never reported */
		if (now_ns < b->due_ns)
			break;
		change(b, BREAKER_HALF_OPEN);
		b->due_ns = now_ns + b->options.probe_max_ms * NS_PER_MS;
		pass.allowed = true;
		break;
	}
	pass.turn = atomic_load(&b->turn);
	pthread_mutex_unlock(&b->lock);
	return pass;
}

struct breaker_pass breaker_enter(struct breaker *b, int64_t now_ns)
{
	struct breaker_pass pass = {
		.allowed = true, .turn = atomic_load_explicit(&b->turn, memory_order_acquire), .entered_ns = now_ns};

	if (atomic_load_explicit(&b->state, memory_order_acquire) == BREAKER_CLOSED)
		return pass;
	return enter_slowly(b, now_ns);
}

static void report_closed(struct breaker *b, enum breaker_report report, int64_t now_ns)
{
	if (report == BREAKER_ANSWERED)
		atomic_store(&b->failures, 0);
	else if (report == BREAKER_FAILED && atomic_fetch_add(&b->failures, 1) + 1 >= b->options.failures_max) {
		b->opened_ns = now_ns;
		open_up(b, now_ns);
	}
}

static void report_probe(struct breaker *b, enum breaker_report report, int64_t now_ns)
{
	switch (report) {
	case BREAKER_ANSWERED:
		b->pause_ns = b->options.pause_min_ms * NS_PER_MS;
		change(b, BREAKER_CLOSED);
		break;
	case BREAKER_FAILED: open_up(b, now_ns); break;
	case BREAKER_NEUTRAL: /* the probe came to nothing: the next call is one */
		change(b, BREAKER_OPEN);
		b->due_ns = now_ns;
		break;
	}
}

static bool leave_slowly(struct breaker *b, struct breaker_pass pass, enum breaker_report report, int64_t now_ns,
	enum breaker_state *ret_state)
{
	enum breaker_state before, after;

	pthread_mutex_lock(&b->lock);
	before = atomic_load(&b->state);
	if (pass.turn == atomic_load(&b->turn) && before == BREAKER_CLOSED)
		report_closed(b, report, now_ns);
	else if (pass.turn == atomic_load(&b->turn) && before == BREAKER_HALF_OPEN)
		report_probe(b, report, now_ns);
	after = atomic_load(&b->state);
	pthread_mutex_unlock(&b->lock);
	if (before != after)
		*ret_state = after;
	return before != after;
}

bool breaker_leave(struct breaker *b, struct breaker_pass pass, enum breaker_report report, int64_t now_ns,
	enum breaker_state *ret_state)
{
	bool closed = atomic_load_explicit(&b->state, memory_order_acquire) == BREAKER_CLOSED;

	assert(pass.allowed);
	if (closed && (report == BREAKER_NEUTRAL || (report == BREAKER_ANSWERED && atomic_load_explicit(&b->failures,
											   memory_order_relaxed) == 0)))
		return false;
	return leave_slowly(b, pass, report, now_ns, ret_state);
}

enum breaker_state breaker_look(struct breaker *b, int64_t *ret_opened_ns, int64_t *ret_due_ns)
{
	enum breaker_state state = atomic_load_explicit(&b->state, memory_order_acquire);

	if (state == BREAKER_CLOSED)
		return state;
	pthread_mutex_lock(&b->lock);
	state = atomic_load(&b->state);
	if (state != BREAKER_CLOSED && ret_opened_ns)
		*ret_opened_ns = b->opened_ns;
	if (state != BREAKER_CLOSED && ret_due_ns)
		*ret_due_ns = b->due_ns;
	pthread_mutex_unlock(&b->lock);
	return state;
}
