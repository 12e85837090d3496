/* Calibration. See calibrate.h.
 *
 * Rounds differ in how far back words repeat (never, the one before, two before), because a text of one repeated sign is
 * nothing like random words. Lengths double from an empty text ([CLS] and [SEP] alone, whose activations are the most unlike others) to 128. */
#include "embed/calibrate.h"

#include <stdlib.h>

#define ROUNDS       3
#define SEQUENCE_MAX 128

static enum cs_status make_room(const struct model *m, struct calibration *c, struct cs_error *err)
{
	size_t hidden = m->config.hidden, a_layer = 3 * hidden + m->config.intermediate, place = 0;
	size_t lists = (size_t)m->config.layers * SITE_COUNT;

	c->largest = calloc(lists, sizeof *c->largest);
	c->values = calloc(m->config.layers * a_layer, sizeof *c->values);
	if (!c->largest || !c->values)
		return cs_fail_memory(err);
	for (size_t i = 0; i < lists; i++) {
		c->largest[i] = c->values + place;
		place += i % SITE_COUNT == SITE_DOWN ? m->config.intermediate : hidden;
	}
	return CS_OK;
}

/* A word from anywhere in the vocabulary. xorshift: the same on every machine. */
static uint32_t random_word(uint64_t *state, uint32_t vocabulary)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)((*state >> 16) % vocabulary);
}

static enum cs_status run_all(const struct model *m, const struct kernels *kernels, const struct op *op, uint32_t cls,
	uint32_t sep, float *vector, struct cs_error *err)
{
	uint64_t state = 20261124;
	struct scratch scratch = {0};
	enum cs_status status = CS_OK;

	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t n = 2; status == CS_OK && n <= SEQUENCE_MAX && n <= m->config.positions; n *= 2) {
			uint32_t ids[SEQUENCE_MAX];
			const struct tokens text = {ids, n};

			for (size_t i = 0; i < n; i++)
				ids[i] = round > 0 && i > round ? ids[i - round]
								: random_word(&state, m->config.vocabulary);
			ids[0] = cls;
			ids[n - 1] = sep;
			status = forward(m, kernels, &scratch, op, &text, 1, vector, err);
		}
	scratch_release(&scratch);
	return status;
}

enum cs_status calibrate(const struct model *model, const struct kernels *kernels, const struct op *op, uint32_t cls,
	uint32_t sep, struct calibration *ret_calibration, struct cs_error *err)
{
	struct calibration made = {0};
	struct model watched = *model;
	float *vector = malloc(model->config.hidden * sizeof *vector);
	enum cs_status status = vector ? make_room(model, &made, err) : cs_fail_memory(err);

	watched.largest = made.largest;
	if (status == CS_OK)
		status = run_all(&watched, kernels, op, cls, sep, vector, err);
	free(vector);
	if (status != CS_OK) {
		calibration_release(&made);
		return status;
	}
	*ret_calibration = made;
	return CS_OK;
}

void calibration_release(struct calibration *c)
{
	free(c->largest);
	free(c->values);
	*c = (struct calibration){0};
}
