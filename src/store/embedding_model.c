/* What is known of the embedder: which model it is, whether the store's vectors come from the same one, and whether it
 * answers.
 *
 * The model is asked for once and kept; the comparison with the store's until the store has vectors of this model. A
 * model that cannot be loaded, whatever the port calls it, is EMBEDDING_UNAVAILABLE here, so that callers have one
 * status for "there are no vectors now". */
#include "store/embedding_parts.h"

#define PAUSE_MIN_NS INT64_C(1000000000)
#define PAUSE_MAX_NS (EMBEDDING_PAUSE_MAX_S * INT64_C(1000000000))

const char *const embedding_state_names[] = {
	[EMBEDDING_OFF] = "off",
	[EMBEDDING_UNTRIED] = "untried",
	[EMBEDDING_READY] = "ready",
	[EMBEDDING_FAILING] = "failing",
	[EMBEDDING_OTHER_MODEL] = "other_model",
};

const char embedding_off_text[] =
	"no embedding model is set up; `context-store model pull` gets one, then start the server anew";

void embedding_note_failure(struct embedding_service *s, const struct cs_error *err)
{
	int64_t now_ns = clock_mono_ns();

	if (s->state == EMBEDDING_FAILING && now_ns < s->retry_at_ns)
		return;
	s->pause_ns = s->state != EMBEDDING_FAILING    ? PAUSE_MIN_NS
		      : s->pause_ns * 2 < PAUSE_MAX_NS ? s->pause_ns * 2
						       : PAUSE_MAX_NS;
	s->state = EMBEDDING_FAILING;
	s->failure = *err;
	s->retry_at_ns = now_ns + s->pause_ns;
}

void embedding_note_other_model(struct embedding_service *s, const struct cs_error *err)
{
	s->state = EMBEDDING_OTHER_MODEL;
	s->failure = *err;
	s->agreed = false;
}

void embedding_note_success(struct embedding_service *s)
{
	bool was_failing = s->state == EMBEDDING_FAILING;

	if (s->state == EMBEDDING_OTHER_MODEL)
		return;
	s->state = EMBEDDING_READY;
	if (!was_failing)
		return;
	s->recovered = true;
	pthread_cond_broadcast(&s->repair_wake);
}

static enum cs_status load_model(
	struct embedding_service *s, struct op *op, struct embed_model *ret_model, struct cs_error *err)
{
	struct cs_error own;
	enum cs_status status;

	status = s->options.embed.model(s->options.embed.self, op, ret_model, &own);
	if (status != CS_OK && op_check(op, err) != CS_OK)
		return CS_TIMEOUT;
	if (status == CS_OK && (ret_model->dimension == 0 || ret_model->dimension > EMBED_DIMENSION_MAX))
		status = cs_fail(&own, CS_EMBEDDING_UNAVAILABLE, "the embedding model gives vectors of %u dimensions",
			ret_model->dimension);
	pthread_mutex_lock(&s->lock);
	if (status == CS_OK) {
		s->model = *ret_model;
		s->known = true;
		embedding_note_success(s);
	} else {
		status = cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s", own.text);
		own.status = status;
		embedding_note_failure(s, &own);
	}
	pthread_mutex_unlock(&s->lock);
	/* A repair that found no model has ended. */
	if (status == CS_OK)
		embedding_repair(s);
	return status;
}

static enum cs_status fail_other_model(
	const struct vector_stats *stats, const struct embed_model *model, struct cs_error *err)
{
	return cs_fail(err, CS_VALIDATION,
		"the stored vectors come from the model %.100s (%u dimensions, %.12s), the one in use is %.100s (%u, "
		"%.12s); `context-store reembed` makes them anew, or set the former model again",
		stats->model_id.ptr, stats->dimension, stats->model_hash.ptr, model->id.ptr, model->dimension,
		model->hash.ptr);
}

/* The slices may lack a NUL: texts are made of copies. */
static enum cs_status compare_models(
	struct op *op, const struct vector_stats *stored, const struct embed_model *model, struct cs_error *err)
{
	struct vector_stats stats = *stored;
	struct embed_model own = *model;

	if (stats.dimension == own.dimension && slice_eq(stats.model_id, own.id) &&
		slice_eq(stats.model_hash, own.hash))
		return CS_OK;
	stats.model_id.ptr = arena_cstr(op->arena, stats.model_id);
	stats.model_hash.ptr = arena_cstr(op->arena, stats.model_hash);
	own.id.ptr = arena_cstr(op->arena, own.id);
	own.hash.ptr = arena_cstr(op->arena, own.hash);
	if (!stats.model_id.ptr || !stats.model_hash.ptr || !own.id.ptr || !own.hash.ptr)
		return cs_fail_memory(err);
	return fail_other_model(&stats, &own, err);
}

/* Asked anew until the store has vectors of this model; after that only a reset of all vectors could change it, and
 * the next vector stored pins this model again. */
static enum cs_status agree(
	struct embedding_service *s, struct op *op, const struct embed_model *model, struct cs_error *err)
{
	struct vector_stats stats;
	bool changed_back;
	enum cs_status status;

	if (!s->options.vectors.stats)
		return CS_OK;
	status = s->options.vectors.stats(s->options.vectors.self, op, &stats, err);
	if (status != CS_OK)
		return status;
	if (stats.model_id.len > 0)
		status = compare_models(op, &stats, model, err);
	pthread_mutex_lock(&s->lock);
	changed_back = status == CS_OK && s->state == EMBEDDING_OTHER_MODEL;
	if (status == CS_VALIDATION)
		embedding_note_other_model(s, err);
	if (changed_back)
		s->state = EMBEDDING_READY;
	if (status == CS_OK && stats.model_id.len > 0)
		s->agreed = true;
	pthread_mutex_unlock(&s->lock);
	if (changed_back)
		embedding_repair(s);
	return status;
}

enum cs_status embedding_model(
	struct embedding_service *s, struct op *op, struct embed_model *ret_model, struct cs_error *err)
{
	struct embed_model model = {0};
	struct cs_error own;
	bool known, agreed;
	enum cs_status status = CS_OK;

	if (embedding_is_off(s))
		return cs_fail(err, CS_EMBEDDING_UNAVAILABLE, "%s", s ? s->off : embedding_off_text);
	if (!op->may_wait)
		return cs_fail(err, CS_WOULD_WAIT, "a model may have to be loaded");
	pthread_mutex_lock(&s->lock);
	known = s->known;
	agreed = s->agreed;
	if (known)
		model = s->model;
	if (s->state == EMBEDDING_FAILING && clock_mono_ns() < s->retry_at_ns)
		status = cs_fail(err, s->failure.status, "%s", s->failure.text);
	pthread_mutex_unlock(&s->lock);
	if (status == CS_OK && !known)
		status = load_model(s, op, &model, err);
	if (status == CS_OK && !agreed) {
		status = agree(s, op, &model, &own);
		if (status != CS_OK && err)
			*err = own;
	}
	if (status == CS_OK)
		*ret_model = model;
	return status;
}

bool embedding_is_off(const struct embedding_service *s)
{
	return !s || !s->options.embed.model;
}

void embedding_status(struct embedding_service *s, struct embedding_status *ret_status)
{
	struct embedding_status status = {0};

	if (!s) {
		snprintf(status.reason, sizeof status.reason, "%s", embedding_off_text);
		*ret_status = status;
		return;
	}
	pthread_mutex_lock(&s->lock);
	status.state = s->state;
	if (s->state == EMBEDDING_OFF)
		snprintf(status.reason, sizeof status.reason, "%s", s->off);
	else if (s->state == EMBEDDING_FAILING || s->state == EMBEDDING_OTHER_MODEL)
		snprintf(status.reason, sizeof status.reason, "%s", s->failure.text);
	if (s->known) {
		snprintf(status.model_id, sizeof status.model_id, SLICE_FMT, SLICE_ARG(s->model.id));
		status.dimension = s->model.dimension;
	}
	for (int i = 0; i < EMBEDDING_CLASSES; i++)
		status.waiting += s->queue.lines[i].count;
	status.cached = embedding_cache_count(s->cache);
	status.threads = embedding_threads(s);
	status.repairing = s->repair.state == THREAD_RUNS;
	status.repaired = s->repaired;
	pthread_mutex_unlock(&s->lock);
	*ret_status = status;
}
