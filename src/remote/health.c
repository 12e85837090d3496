/* See health.h. The thread sleeps until the earliest check is due, or it is poked. */
#include "remote/health.h"

#include <assert.h>
#include <stdlib.h>

#include "base/wait.h"

#define NS_PER_MS       INT64_C(1000000)
#define ARENA_BYTES_MAX (1u << 20)
#define SUSPECT_MS                                                                                                     \
	500 /* until the next check of one that is up and did not answer the last, or look at one that is down */

struct health {
	struct health_options options;
	struct health_target targets[HEALTH_TARGETS_MAX];
	int64_t next_ns[HEALTH_TARGETS_MAX]; /* on the period */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t poked;
	bool poke;
	atomic_bool stop;
};

static struct op op_of(struct health *h, struct arena *arena)
{
	return (struct op){.arena = arena,
		.principal = &principal_anonymous,
		.deadline_ns = clock_mono_ns() + h->options.timeout_ms * NS_PER_MS,
		.cancelled = &h->stop,
		.may_wait = true};
}

/* When the next check is due on the period. */
static int64_t check(struct health *h, const struct health_target *target, struct arena *arena)
{
	int64_t period_ms = h->options.period_ms;
	int64_t start_ns = clock_mono_ns();
	struct op op = op_of(h, arena);
	struct breaker_pass pass;
	struct cs_error err;
	enum cs_status status = guard_enter(target->guard, &pass, &err);

	if (status != CS_OK)
		return clock_mono_ns() + period_ms * NS_PER_MS; /* a call is the probe just now */
	status = target->ping(target->self, &op, &err);
	guard_leave(target->guard, pass, &op, status, &err);
	guard_checked(target->guard, clock_mono_ns() - start_ns);
	if (status == CS_OK && target->maintain) {
		op = op_of(h, arena);
		/* What cannot be opened now, the next check or call tells. */
		(void)!target->maintain(target->self, &op, &err);
	}
	if (status != CS_OK && period_ms > SUSPECT_MS)
		period_ms = SUSPECT_MS;
	return clock_mono_ns() + period_ms * NS_PER_MS;
}

/* When the target is to be checked: on the period while it is up, behind the pause while it is left alone. */
static int64_t due_ns(const struct health *h, size_t i)
{
	int64_t due = guard_due_ns(h->targets[i].guard);

	return due == INT64_MAX ? h->next_ns[i] : due;
}

/* When to look next. What ends a pause or begins a new one may be a call's probe, of which nobody tells. */
static int64_t look_ns(const struct health *h, size_t i)
{
	int64_t soon_ns = clock_mono_ns() + SUSPECT_MS * NS_PER_MS;
	int64_t due = guard_due_ns(h->targets[i].guard);

	if (due == INT64_MAX)
		return h->next_ns[i];
	return due < soon_ns ? due : soon_ns;
}

static void sleep_until(struct health *h, int64_t until_ns)
{
	pthread_mutex_lock(&h->lock);
	if (!h->poke && !atomic_load(&h->stop))
		(void)wait_until(&h->poked, &h->lock, until_ns);
	h->poke = false;
	pthread_mutex_unlock(&h->lock);
}

static void *run(void *self)
{
	struct health *h = self;
	struct arena arena;

	arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
	while (!atomic_load(&h->stop)) {
		int64_t earliest_ns = INT64_MAX;

		for (size_t i = 0; i < h->options.count && !atomic_load(&h->stop); i++) {
			if (clock_mono_ns() >= due_ns(h, i)) {
				h->next_ns[i] = check(h, &h->targets[i], &arena);
				arena_reset(&arena);
			}
			if (look_ns(h, i) < earliest_ns)
				earliest_ns = look_ns(h, i);
		}
		sleep_until(h, earliest_ns);
	}
	arena_release(&arena);
	return NULL;
}

enum cs_status health_new(const struct health_options *options, struct health **ret_health, struct cs_error *err)
{
	struct health *h = calloc(1, sizeof *h);

	assert(options->count >= 1 && options->count <= HEALTH_TARGETS_MAX);
	if (!h)
		return cs_fail_memory(err);
	h->options = *options;
	memcpy(h->targets, options->targets, options->count * sizeof h->targets[0]);
	pthread_mutex_init(&h->lock, NULL);
	wait_cond_init(&h->poked);
	if (pthread_create(&h->thread, NULL, run, h) != 0) {
		pthread_cond_destroy(&h->poked);
		pthread_mutex_destroy(&h->lock);
		free(h);
		return cs_fail(err, CS_LIMIT_EXCEEDED, "no thread can be started for health checks");
	}
	pthread_setname_np(h->thread, "health");
	*ret_health = h;
	return CS_OK;
}

void health_poke(struct health *h)
{
	pthread_mutex_lock(&h->lock);
	h->poke = true;
	pthread_cond_signal(&h->poked);
	pthread_mutex_unlock(&h->lock);
}

void health_free(struct health *h)
{
	if (!h)
		return;
	atomic_store(&h->stop, true);
	health_poke(h);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->poked);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
