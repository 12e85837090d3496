/* Mends contexts that have no vector: one thread, alive while there is something to mend.
 *
 * There is no list of what is to be done but the store itself, so a crash loses nothing and a restart needs no log: a
 * round walks what the vector port calls pending, from the oldest, embeds a page at a time behind all other work, and
 * puts each vector under the version it was made from. A context that changed meanwhile is left to its next version.
 *
 * A text that cannot be embedded for its own sake (VALIDATION, LIMIT_EXCEEDED) is passed over and tried again by the
 * next round. A failing embedder or store ends the round; the next one waits RETRY_MIN_S, doubled up to RETRY_MAX_S, or
 * until the embedder has answered somebody else. Without any model, and with another one than the store's, the thread
 * ends: the next success or the next pending context starts it again. */
#include "store/embedding_parts.h"

#define PAGE          16u
#define ARENA_CEILING (256u << 20)
#define RETRY_MIN_S   1
#define RETRY_MAX_S   300

enum round { ROUND_DONE, ROUND_FAILED, ROUND_HOPELESS };

static bool is_own_fault(enum cs_status status)
{
	return status == CS_VALIDATION || status == CS_LIMIT_EXCEEDED;
}

/* What one context's outcome means for the round. */
static enum round put_vector(struct embedding_service *s, struct op *op, const struct vector_pending *pending,
	const struct embedding_text *text, const struct embed_model *model)
{
	struct vector_port *vectors = &s->options.vectors;
	struct cs_error err;
	enum cs_status status;

	if (!text->vector)
		return is_own_fault(text->error.status) ? ROUND_DONE : ROUND_FAILED;
	status = vectors->put(vectors->self, op, pending->id, pending->version, model, text->vector, &err);
	if (status == CS_VERSION_CONFLICT || status == CS_NOT_FOUND)
		return ROUND_DONE;
	if (status != CS_OK && status != CS_VALIDATION)
		return ROUND_FAILED;
	pthread_mutex_lock(&s->lock);
	if (status == CS_OK)
		s->repaired++;
	else
		embedding_note_other_model(s, &err);
	pthread_mutex_unlock(&s->lock);
	if (status == CS_OK)
		metric_add(metric_series(METRIC_EMBEDDING_REPAIRED, S("")), 1);
	return status == CS_OK ? ROUND_DONE : ROUND_HOPELESS;
}

static enum round mend_page(
	struct embedding_service *s, struct op *op, const struct vector_pending *pending, size_t count)
{
	struct embedding_text *texts = arena_array(op->arena, count, sizeof *texts);
	enum round worst = ROUND_DONE;
	struct embed_model model;
	struct cs_error err;

	if (!texts)
		return ROUND_FAILED;
	for (size_t i = 0; i < count; i++)
		texts[i].text = pending[i].words;
	if (embedding_ask(s, op, EMBEDDING_REPAIRS, texts, count, &model, &err) != CS_OK)
		return err.status == CS_VALIDATION ? ROUND_HOPELESS : ROUND_FAILED;
	for (size_t i = 0; i < count; i++) {
		enum round one = put_vector(s, op, &pending[i], &texts[i], &model);

		worst = one > worst ? one : worst;
	}
	return worst;
}

/* A page of long texts may be too large for the arena: then one at a time. */
static enum cs_status read_page(struct embedding_service *s, struct op *op, struct slice after,
	struct vector_pending **ret_pending, size_t *ret_count, struct cs_error *err)
{
	struct vector_port *vectors = &s->options.vectors;
	enum cs_status status = vectors->pending(vectors->self, op, after, PAGE, ret_pending, ret_count, err);

	if (status == CS_LIMIT_EXCEEDED)
		status = vectors->pending(vectors->self, op, after, 1, ret_pending, ret_count, err);
	return status;
}

static enum round walk(struct embedding_service *s, struct op *op)
{
	char after[CONTEXT_ID_MAX];
	size_t after_len = 0, count;
	enum round round = ROUND_DONE;

	while (round == ROUND_DONE) {
		struct vector_pending *pending;
		struct cs_error err;

		if (op_check(op, &err) != CS_OK)
			return ROUND_HOPELESS;
		if (read_page(s, op, slice_of(after, after_len), &pending, &count, &err) != CS_OK)
			return ROUND_FAILED;
		if (count == 0)
			break;
		round = mend_page(s, op, pending, count);
		after_len = pending[count - 1].id.len;
		memcpy(after, pending[count - 1].id.ptr, after_len);
		arena_reset(op->arena);
	}
	return round;
}

/* Is there something to do, and a model to do it with? Asks for the cheap thing first. */
static enum round one_round(struct embedding_service *s, struct op *op)
{
	struct vector_stats stats;
	struct embed_model model;
	struct cs_error err;
	bool known;

	if (s->options.vectors.stats(s->options.vectors.self, op, &stats, &err) != CS_OK)
		return ROUND_FAILED;
	if (stats.without == 0)
		return ROUND_DONE;
	if (embedding_model(s, op, &model, &err) != CS_OK) {
		pthread_mutex_lock(&s->lock);
		known = s->known;
		pthread_mutex_unlock(&s->lock);
		return err.status == CS_VALIDATION || !known ? ROUND_HOPELESS : ROUND_FAILED;
	}
	return walk(s, op);
}

void *embedding_repair_run(void *thread)
{
	struct embedding_thread *self = thread;
	struct embedding_service *s = self->service;
	int64_t delay_ns = RETRY_MIN_S * INT64_C(1000000000);
	enum round round = ROUND_DONE;
	struct arena arena;
	struct op op = embedding_op(s, &arena);

	pthread_setname_np(pthread_self(), "repair");
	arena_init(&arena, NULL, 0, ARENA_CEILING);
	pthread_mutex_lock(&s->lock);
	while (!atomic_load(&s->closing) && (s->repair_again || round == ROUND_FAILED)) {
		s->repair_again = s->recovered = false;
		pthread_mutex_unlock(&s->lock);
		round = one_round(s, &op);
		arena_reset(&arena);
		pthread_mutex_lock(&s->lock);
		if (round == ROUND_DONE)
			delay_ns = RETRY_MIN_S * INT64_C(1000000000);
		if (round != ROUND_FAILED)
			continue;
		while (!s->recovered && !atomic_load(&s->closing) && wait_for(&s->repair_wake, &s->lock, delay_ns))
			;
		delay_ns = delay_ns * 2 < RETRY_MAX_S * INT64_C(1000000000) ? delay_ns * 2
									    : RETRY_MAX_S * INT64_C(1000000000);
	}
	self->state = THREAD_ENDED;
	pthread_mutex_unlock(&s->lock);
	arena_release(&arena);
	return NULL;
}

void embedding_repair(struct embedding_service *s)
{
	if (!s || !s->options.embed.model || !s->options.vectors.search)
		return;
	pthread_mutex_lock(&s->lock);
	s->repair_again = true;
	if (s->repair.state != THREAD_RUNS && !atomic_load(&s->closing))
		(void)embedding_thread_start(s, &s->repair, embedding_repair_run);
	pthread_mutex_unlock(&s->lock);
}
