/* How large the inputs of each linear layer become, found by running a f32 model over sequences of random words.
 *
 * Random words do as well as text (the worst cosine of 104 texts was the same to three digits), because what is
 * looked for, the few inputs that are large whatever the text, belongs to the model. The sequences are always the same.
 *
 * Owner: calibration_release. Cost: some 700 tokens of f32 inference. */
#ifndef CS_EMBED_CALIBRATE_H
#define CS_EMBED_CALIBRATE_H

#include "embed/forward.h"

struct calibration {
	float **largest; /* [layers][SITE_COUNT] lists, as struct model has it */
	float *values;
};

CS_CHECKED enum cs_status calibrate(const struct model *, const struct kernels *, const struct op *, uint32_t cls,
	uint32_t sep, struct calibration *ret_calibration, struct cs_error *);
void calibration_release(struct calibration *);

#endif
