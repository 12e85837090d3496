/* The order of a store: embed all texts of the call together (that is what batches are for), then look for duplicates
 * with the vectors at hand. Both are done before the put, outside of any transaction: a context that another client
 * stores in between is not seen as a duplicate, as it would not be a moment earlier either. */
#include "store/meaning.h"

#include "store/embedding.h"

static struct slice keep_text(struct op *op, const char *text)
{
	struct slice kept = arena_copy(op->arena, slice_cstr(text));

	return kept.ptr ? kept : S("no memory to say why");
}

static void mark_all(struct meaning *meanings, size_t count, enum meaning_status status, struct slice why)
{
	for (size_t i = 0; i < count; i++)
		meanings[i] = (struct meaning){.status = status, .why = why};
}

/* No text could be embedded: what that makes of the contexts. */
static enum cs_status without_vectors(struct store *store, struct op *op, enum cs_status status,
	const struct cs_error *why, struct meaning *meanings, size_t count, struct cs_error *err)
{
	struct embedding_status now;
	enum meaning_status meaning = MEANING_FAILED;

	if (status == CS_LIMIT_EXCEEDED || status == CS_WOULD_WAIT)
		return cs_fail(err, status, "%s", why->text);
	embedding_status(store->embedding, &now);
	if (status == CS_EMBEDDING_UNAVAILABLE && now.model_id[0] == '\0')
		meaning = MEANING_DISABLED;
	if (status == CS_TIMEOUT)
		meaning = MEANING_PENDING;
	mark_all(meanings, count, meaning, keep_text(op, why->text));
	return CS_OK;
}

static void take_result(struct op *op, const struct embedding_text *text, const struct embed_model *model,
	struct context_put *put, struct meaning *meaning)
{
	enum cs_status status = text->error.status;

	if (text->vector) {
		put->model = model;
		put->vector = text->vector;
		*meaning = (struct meaning){.status = MEANING_COMPLETED};
		return;
	}
	meaning->status = status == CS_RATE_LIMIT || status == CS_TIMEOUT ? MEANING_PENDING : MEANING_FAILED;
	meaning->why = keep_text(op, text->error.text);
}

enum cs_status meaning_embed(struct store *store, struct op *op, struct context_put *puts,
	const enum meaning_when *when, size_t count, struct meaning *meanings, struct cs_error *err)
{
	struct embedding_text *texts = arena_array(op->arena, count, sizeof *texts);
	size_t *put_of = arena_array(op->arena, count, sizeof *put_of);
	struct embed_model *model = arena_zalloc(op->arena, sizeof *model);
	struct embedding_status now;
	struct cs_error why;
	size_t asked = 0;
	enum cs_status status;

	if (!texts || !put_of || !model)
		return cs_fail_memory(err);
	embedding_status(store->embedding, &now);
	if (!store->vectors.search || now.state == EMBEDDING_OFF) {
		mark_all(meanings, count, MEANING_DISABLED, keep_text(op, now.reason));
		return CS_OK;
	}
	mark_all(meanings, count, MEANING_PENDING, S("it was asked for later"));
	for (size_t i = 0; i < count; i++)
		if (when[i] != MEANING_LATER) {
			texts[asked] = (struct embedding_text){
				.text = puts[i].context.words,
				/* Only with a vector is a near duplicate known. */
				.patient = when[i] == MEANING_WAIT || puts[i].skip_duplicate,
			};
			put_of[asked++] = i;
		}
	if (asked == 0)
		return CS_OK;
	status = embedding_documents(store->embedding, op, texts, asked, model, &why);
	if (status != CS_OK)
		return without_vectors(store, op, status, &why, meanings, count, err);
	for (size_t i = 0; i < asked; i++)
		take_result(op, &texts[i], model, &puts[put_of[i]], &meanings[put_of[i]]);
	return CS_OK;
}
