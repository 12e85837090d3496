/* Encoding texts of any length. See encoder.h.
 *
 * Windows are cut evenly: 300 pieces of which 254 fit become two windows of 150, not 254 and 46, because a short rest
 * has little context and attention over two halves is cheaper. A prefix stands at the head of every window.
 *
 * Windows of one call, of whatever texts, go through the model together as long as they have PASS_TOKENS at most: short
 * ones share the reading of the weights (forward.h). They are packed in the order they come; sorting them would only
 * help what does not fit anyway. */
#include "embed/encoder_internal.h"

#include <assert.h>
#include <math.h>

#define PASS_TOKENS  128
#define PASS_WINDOWS 32

static enum cs_status to_unit_length(float *vector, size_t count, struct cs_error *err)
{
	double square = 0;

	for (size_t i = 0; i < count; i++)
		square += (double)vector[i] * vector[i];
	if (!(square > 0) || !isfinite(square))
		return cs_fail(
			err, CS_VALIDATION, "the model gives a vector without direction: its weights are damaged");
	for (size_t i = 0; i < count; i++)
		vector[i] = (float)(vector[i] / sqrt(square));
	return CS_OK;
}

enum cs_status encoder_run_ids(const struct encoder *e, const struct op *op, const uint32_t *ids, size_t count,
	float *vector, struct cs_error *err)
{
	struct scratch scratch = scratch_pool_take(e->scratch);
	const struct tokens text = {ids, count};
	enum cs_status status = forward(&e->model, e->kernels, &scratch, op, &text, 1, vector, err);

	scratch_pool_give(e->scratch, scratch);
	return status == CS_OK ? to_unit_length(vector, e->model.config.hidden, err) : status;
}

/* A text's pieces in the windows they are encoded in. */
struct cut {
	const struct token_ids *prefix, *pieces;
	size_t used; /* pieces that are encoded */
	size_t windows;
	bool with_sep;
};

static struct cut cut_text(const struct encoder *e, enum encoder_kind kind, const struct token_ids *pieces)
{
	struct cut cut = {&e->prefixes[kind], pieces, pieces->count, 1, true};
	size_t room = e->window - ENCODER_SPECIAL_TOKENS - cut.prefix->count;

	if (pieces->count > room && e->first_window_only) {
		/* [SEP] is the first thing to go. */
		cut.used = room + 1;
		cut.with_sep = false;
	} else if (pieces->count > room) {
		cut.windows = (pieces->count + room - 1) / room;
	}
	return cut;
}

/* [CLS] prefix pieces [SEP]; returns how many, and in *ret_pieces those of the text. */
static size_t fill_window(
	const struct encoder *e, const struct cut *cut, size_t index, uint32_t *ids, size_t *ret_pieces)
{
	size_t first = cut->used * index / cut->windows, end = cut->used * (index + 1) / cut->windows, n = 0;

	ids[n++] = tokenizer_cls(e->tokenizer);
	for (size_t i = 0; i < cut->prefix->count; i++)
		ids[n++] = cut->prefix->ids[i];
	for (size_t i = first; i < end; i++)
		ids[n++] = cut->pieces->ids[i];
	if (cut->with_sep)
		ids[n++] = tokenizer_sep(e->tokenizer);
	assert(n <= e->window);
	*ret_pieces = end - first;
	return n;
}

/* Windows that wait for the pass they go through in. */
struct pack {
	uint32_t *ids; /* room for PASS_TOKENS, or one window if that is longer */
	float *vectors;
	size_t used, count;
	struct tokens windows[PASS_WINDOWS];
	struct encoded *texts[PASS_WINDOWS]; /* that each is of */
	size_t pieces[PASS_WINDOWS];
};

static enum cs_status pack_init(const struct encoder *e, struct arena *arena, struct pack *pack, struct cs_error *err)
{
	pack->used = pack->count = 0;
	pack->ids = arena_array(arena, e->window > PASS_TOKENS ? e->window : PASS_TOKENS, sizeof *pack->ids);
	pack->vectors = arena_array(arena, PASS_WINDOWS * e->model.config.hidden, sizeof *pack->vectors);
	return pack->ids && pack->vectors ? CS_OK : cs_fail_memory(err);
}

/* Adds what is packed to its texts' vectors. */
static enum cs_status pack_run(const struct encoder *e, const struct op *op, struct pack *pack, struct cs_error *err)
{
	size_t dimension = e->model.config.hidden;
	struct scratch scratch = scratch_pool_take(e->scratch);
	enum cs_status status = pack->count == 0 ? CS_OK
						 : forward(&e->model, e->kernels, &scratch, op, pack->windows,
							   pack->count, pack->vectors, err);

	scratch_pool_give(e->scratch, scratch);
	for (size_t w = 0; status == CS_OK && w < pack->count; w++) {
		float *vector = pack->vectors + w * dimension, *total = pack->texts[w]->vector;
		float weight = pack->texts[w]->windows == 1 ? 1 : (float)(pack->pieces[w] ? pack->pieces[w] : 1);

		status = to_unit_length(vector, dimension, err);
		for (size_t i = 0; status == CS_OK && i < dimension; i++)
			total[i] += weight * vector[i];
	}
	pack->used = pack->count = 0;
	return status;
}

static enum cs_status pack_text(const struct encoder *e, const struct op *op, struct pack *pack, const struct cut *cut,
	struct encoded *text, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (size_t w = 0; status == CS_OK && w < cut->windows; w++) {
		/* Windows of a text differ by one piece at most. */
		size_t longest = ENCODER_SPECIAL_TOKENS + cut->prefix->count + cut->used / cut->windows + 1;

		if (pack->count == PASS_WINDOWS || (pack->count > 0 && pack->used + longest > PASS_TOKENS))
			status = pack_run(e, op, pack, err);
		if (status != CS_OK)
			break;
		pack->windows[pack->count] = (struct tokens){
			pack->ids + pack->used,
			fill_window(e, cut, w, pack->ids + pack->used, &pack->pieces[pack->count]),
		};
		pack->used += pack->windows[pack->count].count;
		pack->texts[pack->count++] = text;
	}
	return status;
}

static enum cs_status encode_text(const struct encoder *e, struct op *op, enum encoder_kind kind, struct slice text,
	struct pack *pack, struct encoded *encoded, struct cs_error *err)
{
	size_t dimension = e->model.config.hidden;
	float *vector = arena_array(op->arena, dimension, sizeof *vector);
	struct token_ids pieces;
	enum cs_status status = op_check(op, err);
	struct cut cut;

	if (status != CS_OK)
		return status;
	if (!vector)
		return cs_fail_memory(err);
	/* An empty slice may have a null pointer, with which no arithmetic is allowed. */
	status = tokenizer_encode(e->tokenizer, op->arena, text.len > 0 ? text : S(""), &pieces, err);
	if (status != CS_OK)
		return status;
	memset(vector, 0, dimension * sizeof *vector);
	cut = cut_text(e, kind, &pieces);
	*encoded = (struct encoded){vector, (uint32_t)cut.used, (uint32_t)pieces.count, (uint32_t)cut.windows};
	return pack_text(e, op, pack, &cut, encoded, err);
}

enum cs_status encoder_encode(const struct encoder *e, struct op *op, enum encoder_kind kind, const struct slice *texts,
	size_t count, struct encoded *ret_encoded, struct cs_error *err)
{
	struct encoded *made = arena_array(op->arena, count, sizeof *made);
	struct pack *pack = arena_alloc(op->arena, sizeof *pack);
	enum cs_status status = made && pack ? pack_init(e, op->arena, pack, err) : cs_fail_memory(err);

	for (size_t i = 0; status == CS_OK && i < count; i++)
		status = encode_text(e, op, kind, texts[i], pack, &made[i], err);
	if (status == CS_OK)
		status = pack_run(e, op, pack, err);
	for (size_t i = 0; status == CS_OK && i < count; i++)
		if (made[i].windows > 1)
			status = to_unit_length(made[i].vector, e->model.config.hidden, err);
	if (status == CS_OK && count > 0)
		memcpy(ret_encoded, made, count * sizeof *made);
	return status;
}
