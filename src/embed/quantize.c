/* Making and opening the quantised file. See quantize.h.
 *
 * One function walks the file's sections (lay_out): with a base address it sets the model's pointers, without one it
 * measures. Writer and reader use it alike, so they cannot disagree. */
#include "embed/quantize.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "embed/calibrate.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file and safetensors are little endian");
_Static_assert(offsetof(struct quantized_header, header_hash) + 8 == sizeof(struct quantized_header), "no padding");

#define CHANNEL_MAX 127.0f
/* A lane of a chunk's inputs (kernels.h). */
#define LANE_VALUES (KERNEL_CHUNK / 2)
/* Scales of a channel that are tried, from that of its largest weight to this many times it. */
#define SCALE_TRIES  21
#define SCALE_SPREAD 3.0f

/* What lay_out gives out is written by the maker and read by everybody else. */
#define WRITABLE(type, ptr) ((type *)(uintptr_t)(ptr))

struct walk {
	uintptr_t base; /* 0: measure */
	size_t used;
};

static const void *section(struct walk *w, size_t count, size_t size)
{
	size_t at = w->used;

	w->used += kernel_round_up(count * size, KERNEL_ALIGN);
	return w->base ? (const void *)(w->base + at) : NULL;
}

static void lay_out_linear(struct walk *w, struct linear *linear, uint32_t in, uint32_t out)
{
	struct linear_i8 *l = &linear->i8;
	size_t whole = kernel_round_up(out, KERNEL_BLOCK);

	l->in = in;
	l->out = out;
	l->values = section(w, kernel_packed_size(in, out), 1);
	l->scale = section(w, whole, sizeof(float));
	l->sum = section(w, whole, sizeof(float));
	l->bias = section(w, whole, sizeof(float));
	l->smooth = section(w, in, sizeof(float));
}

static void lay_out_norm(struct walk *w, struct norm *norm, size_t hidden)
{
	norm->weight = section(w, hidden, sizeof(float));
	norm->bias = section(w, hidden, sizeof(float));
}

/* model.config and model.layers are set. Returns the size of the file. */
static size_t lay_out(struct model *m, const uint8_t *base)
{
	struct walk w = {(uintptr_t)base, kernel_round_up(sizeof(struct quantized_header), KERNEL_ALIGN)};
	const struct model_config *c = &m->config;

	m->is_int8 = true;
	m->words_i8 = section(&w, (size_t)c->vocabulary * c->hidden, 1);
	m->words_scale = section(&w, c->vocabulary, sizeof(float));
	m->positions = section(&w, (size_t)c->positions * c->hidden, sizeof(float));
	m->type = section(&w, c->hidden, sizeof(float));
	lay_out_norm(&w, &m->embedding_norm, c->hidden);
	for (uint32_t i = 0; i < c->layers; i++) {
		struct layer *l = &m->layers[i];

		lay_out_linear(&w, &l->attention[0], c->hidden, 3 * c->hidden);
		lay_out_linear(&w, &l->attention_out, c->hidden, c->hidden);
		lay_out_linear(&w, &l->up, c->hidden, c->intermediate);
		lay_out_linear(&w, &l->down, c->intermediate, c->hidden);
		lay_out_norm(&w, &l->attention_norm, c->hidden);
		lay_out_norm(&w, &l->output_norm, c->hidden);
	}
	return w.used;
}

/* Several f32 layers with the same inputs, stacked: query, key and value are one, in which those of a head (`turn`
 * outputs each) stand side by side. */
struct stack {
	const struct linear_f32 *parts[3];
	size_t count, turn;
};

static const float *stack_row(const struct stack *s, size_t row, float *ret_bias)
{
	assert(s->turn > 0 && s->count > 0);
	const struct linear_f32 *part = s->parts[row / s->turn % s->count];
	size_t at = row / (s->turn * s->count) * s->turn + row % s->turn;

	*ret_bias = part->bias[at];
	return part->values + at * part->in;
}

/* s[i], with their geometric mean brought to 1; an input that is never there or never used is left alone. */
static void find_smooth(const struct stack *s, size_t in, size_t out, const float *largest, float *smooth)
{
	double logs = 0;
	size_t used = 0;

	memset(smooth, 0, in * sizeof *smooth);
	for (size_t row = 0; row < out; row++) {
		float bias;
		const float *w = stack_row(s, row, &bias);

		for (size_t i = 0; i < in; i++)
			smooth[i] = fmaxf(smooth[i], fabsf(w[i]));
	}
	for (size_t i = 0; i < in; i++) {
		smooth[i] = smooth[i] > 0 && largest[i] > 0 ? sqrtf(largest[i] / smooth[i]) : 0;
		if (smooth[i] > 0 && isfinite(smooth[i])) {
			logs += log(smooth[i]);
			used++;
		}
	}
	for (size_t i = 0; i < in; i++)
		smooth[i] = smooth[i] > 0 ? smooth[i] / (float)exp(used ? logs / (double)used : 0) : 1;
}

/* Whole numbers in the making: value and how much its magnitude exceeds the exact one. */
struct lane {
	int value[LANE_VALUES];
	float excess[LANE_VALUES];
};

static bool has_sign(int value, int sign)
{
	return sign == 0 ? value != 0 : sign < 0 ? value < 0 : value > 0;
}

/* Brings one of the values of this sign (0: of any) nearer to 0, the one where that adds the least error. */
static void shrink_one(struct lane *lane, size_t first, size_t end, int sign)
{
	size_t best = end;

	for (size_t i = first; i < end; i++)
		if (has_sign(lane->value[i], sign) && (best == end || lane->excess[i] > lane->excess[best]))
			best = i;
	assert(best < end);
	lane->value[best] -= lane->value[best] > 0 ? 1 : -1;
	lane->excess[best] -= 1;
}

static int sum_of(const struct lane *lane, size_t first, size_t end, int sign)
{
	int sum = 0;

	for (size_t i = first; i < end; i++)
		sum += has_sign(lane->value[i], sign) ? abs(lane->value[i]) : 0;
	return sum;
}

static void keep_limits(struct lane *lane)
{
	for (size_t i = 0; i < LANE_VALUES; i += 2)
		for (int sign = -1; sign <= 1; sign += 2)
			while (sum_of(lane, i, i + 2, sign) > KERNEL_PAIR_MAX)
				shrink_one(lane, i, i + 2, sign);
	while (sum_of(lane, 0, LANE_VALUES, 0) > KERNEL_LANE_MAX)
		shrink_one(lane, 0, LANE_VALUES, 0);
}

/* Where a lane's value number `i` stands in its chunk. */
static size_t place_in_chunk(size_t half, size_t i)
{
	return i / 2 * KERNEL_GROUP + half * 2 + i % 2;
}

/* `count` weights of a chunk, times 1 / scale, to whole numbers within the limits; returns the square error. */
static float round_lane(const float *weights, size_t count, size_t half, float inverse, int8_t *values)
{
	struct lane lane = {0};
	float error = 0;

	for (size_t i = 0; i < LANE_VALUES; i++) {
		size_t at = place_in_chunk(half, i);
		float exact = at < count ? weights[at] * inverse : 0;

		lane.value[i] = (int)rintf(fmaxf(-CHANNEL_MAX, fminf(CHANNEL_MAX, exact)));
		lane.excess[i] = fabsf((float)lane.value[i]) - fabsf(exact);
	}
	keep_limits(&lane);
	for (size_t i = 0; i < LANE_VALUES; i++) {
		if (place_in_chunk(half, i) < count)
			values[place_in_chunk(half, i)] = (int8_t)lane.value[i];
		error += lane.excess[i] * lane.excess[i];
	}
	return error;
}

static float round_channel(const float *weights, size_t in, float scale, int8_t *values)
{
	float error = 0, inverse = 1 / scale;

	for (size_t first = 0; first < in; first += KERNEL_CHUNK)
		for (size_t half = 0; half < 2; half++)
			error += round_lane(weights + first, in - first < KERNEL_CHUNK ? in - first : KERNEL_CHUNK,
				half, inverse, values + first);
	return error * scale * scale;
}

/* A larger scale rounds more coarsely and has fewer weights over the limits; the best is found by trying. */
static float find_scale(const float *weights, size_t in, float largest, int8_t *values)
{
	float best = largest / CHANNEL_MAX, least = INFINITY;

	for (int i = 0; i < SCALE_TRIES; i++) {
		float scale = largest / CHANNEL_MAX * (1 + (SCALE_SPREAD - 1) * (float)i / (SCALE_TRIES - 1));
		float error = round_channel(weights, in, scale, values);

		if (error < least) {
			least = error;
			best = scale;
		} else if (error > 1.5f * least) {
			break; /* past the best, it only grows */
		}
	}
	return best;
}

/* Room for one channel. */
struct channel {
	float *smooth, *scaled;
	int8_t *values;
};

static bool quantize_row(const struct linear_i8 *l, const float *w, float bias, size_t row, const struct channel *c)
{
	float largest = 0, scale = 0;
	int32_t sum = 0;

	for (size_t i = 0; i < l->in; i++) {
		c->scaled[i] = w[i] * c->smooth[i];
		largest = fmaxf(largest, fabsf(c->scaled[i]));
		if (!isfinite(c->scaled[i]))
			return false;
	}
	memset(c->values, 0, l->in);
	/* Weights so small that their scale is no normal number are none. */
	if (largest > CHANNEL_MAX * FLT_MIN) {
		scale = find_scale(c->scaled, l->in, largest, c->values);
		(void)round_channel(c->scaled, l->in, scale, c->values);
	}
	for (size_t i = 0; i < l->in; i++) {
		WRITABLE(int8_t, l->values)[kernel_packed_place(l->in, row, i)] = c->values[i];
		sum += c->values[i];
	}
	WRITABLE(float, l->scale)[row] = scale;
	WRITABLE(float, l->sum)[row] = scale * (float)sum;
	WRITABLE(float, l->bias)[row] = bias;
	return isfinite(bias);
}

/* False: a weight is not finite. */
static bool quantize_linear(
	const struct linear_i8 *l, const struct stack *s, const float *largest, const struct channel *room)
{
	find_smooth(s, l->in, l->out, largest, room->smooth);
	for (size_t row = 0; row < l->out; row++) {
		float bias;
		const float *w = stack_row(s, row, &bias);

		if (!quantize_row(l, w, bias, row, room))
			return false;
	}
	for (size_t i = 0; i < l->in; i++)
		WRITABLE(float, l->smooth)[i] = 1.0f / room->smooth[i];
	return true;
}

static bool copy_finite(const float *to, const float *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!isfinite(from[i]))
			return false;
	memcpy(WRITABLE(float, to), from, count * sizeof *from);
	return true;
}

static bool copy_norm(const struct norm *to, const struct norm *from, size_t hidden)
{
	return copy_finite(to->weight, from->weight, hidden) && copy_finite(to->bias, from->bias, hidden);
}

static bool quantize_words(const struct model *to, const struct model *from, float *word)
{
	size_t hidden = from->config.hidden;

	for (size_t w = 0; w < from->config.vocabulary; w++) {
		int8_t *bytes = WRITABLE(int8_t, to->words_i8) + w * hidden;
		float largest = 0, scale;

		memcpy(word, (const char *)from->words + w * hidden * sizeof *word, hidden * sizeof *word);
		for (size_t i = 0; i < hidden; i++) {
			if (!isfinite(word[i]))
				return false;
			largest = fmaxf(largest, fabsf(word[i]));
		}
		scale = largest / CHANNEL_MAX;
		for (size_t i = 0; i < hidden; i++)
			bytes[i] = scale > 0 ? (int8_t)lrintf(fmaxf(-CHANNEL_MAX, fminf(CHANNEL_MAX, word[i] / scale)))
					     : 0;
		WRITABLE(float, to->words_scale)[w] = scale;
	}
	return true;
}

static bool quantize_layer(const struct layer *to, const struct layer *from, float *const *largest, size_t hidden,
	size_t heads, const struct channel *room)
{
	const struct stack attention = {
		{&from->attention[0].f32, &from->attention[1].f32, &from->attention[2].f32}, 3, hidden / heads};
	const struct stack out = {{&from->attention_out.f32}, 1, 1}, up = {{&from->up.f32}, 1, 1},
			   down = {{&from->down.f32}, 1, 1};

	return quantize_linear(&to->attention[0].i8, &attention, largest[SITE_ATTENTION], room) &&
	       quantize_linear(&to->attention_out.i8, &out, largest[SITE_ATTENTION_OUT], room) &&
	       quantize_linear(&to->up.i8, &up, largest[SITE_UP], room) &&
	       quantize_linear(&to->down.i8, &down, largest[SITE_DOWN], room) &&
	       copy_norm(&to->attention_norm, &from->attention_norm, hidden) &&
	       copy_norm(&to->output_norm, &from->output_norm, hidden);
}

static enum cs_status quantize_model(
	const struct model *to, const struct model *from, float *const *largest, struct cs_error *err)
{
	const struct model_config *c = &from->config;
	size_t widest = c->hidden > c->intermediate ? c->hidden : c->intermediate;
	float *floats = malloc(widest * (2 * sizeof *floats + 1));
	const struct channel room = {floats, floats + widest, (int8_t *)(floats + 2 * widest)};
	bool finite;

	if (!floats)
		return cs_fail_memory(err);
	finite = quantize_words(to, from, floats) &&
		 copy_finite(to->positions, from->positions, (size_t)c->positions * c->hidden) &&
		 copy_finite(to->type, from->type, c->hidden) &&
		 copy_norm(&to->embedding_norm, &from->embedding_norm, c->hidden);
	for (uint32_t i = 0; finite && i < c->layers; i++)
		finite = quantize_layer(
			&to->layers[i], &from->layers[i], largest + (size_t)i * SITE_COUNT, c->hidden, c->heads, &room);
	free(floats);
	return finite ? CS_OK
		      : cs_fail(err, CS_VALIDATION, "a weight is not a finite number: the file is damaged or hostile");
}

static void fill_header(struct quantized *q, const struct quantize_source *source, size_t size)
{
	const struct model_config *c = &q->model.config;
	size_t body = kernel_round_up(sizeof(struct quantized_header), KERNEL_ALIGN);
	struct quantized_header h = {
		.magic = QUANTIZED_MAGIC,
		.version = QUANTIZED_VERSION,
		.header_size = sizeof h,
		.layers = c->layers,
		.hidden = c->hidden,
		.heads = c->heads,
		.intermediate = c->intermediate,
		.vocabulary = c->vocabulary,
		.positions = c->positions,
		.file_size = size,
		.source_size = source->size,
		.source_modified_ns = source->modified_ns,
		.body_hash = XXH3_64bits(q->memory + body, size - body),
	};

	memcpy(h.source_sha256, source->sha256, sizeof h.source_sha256);
	h.header_hash = XXH3_64bits(&h, offsetof(struct quantized_header, header_hash));
	memcpy(q->memory, &h, sizeof h);
	memcpy(q->sha256, source->sha256, sizeof q->sha256);
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno != EINTR)
			return false;
		bytes += n > 0 ? (size_t)n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* Another process may be doing the same: both write whole files of their own, and the last rename stays. */
static bool save(const char *path, const uint8_t *bytes, size_t size)
{
	char *temporary;
	bool saved;
	int fd;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return false;
	fd = mkostemp(temporary, O_CLOEXEC);
	saved = fd >= 0 && fchmod(fd, 0644) == 0 && write_all(fd, bytes, size);
	if (fd >= 0 && close(fd) != 0)
		saved = false;
	if (saved)
		saved = rename(temporary, path) == 0;
	if (fd >= 0 && !saved)
		unlink(temporary);
	free(temporary);
	return saved;
}

static enum cs_status make_in_memory(struct quantized *q, const struct quantize_source *source,
	const struct kernels *kernels, const struct op *op, size_t *ret_size, struct cs_error *err)
{
	struct calibration calibration = {0};
	enum cs_status status;
	size_t size;

	q->model.config = source->model->config;
	q->layers = calloc(q->model.config.layers, sizeof *q->layers);
	q->model.layers = q->layers;
	if (!q->layers)
		return cs_fail_memory(err);
	size = lay_out(&q->model, NULL);
	q->memory = aligned_alloc(KERNEL_ALIGN, size);
	if (!q->memory)
		return cs_fail_memory(err);
	memset(q->memory, 0, size);
	(void)lay_out(&q->model, q->memory);
	status = calibrate(source->model, kernels, op, source->cls, source->sep, &calibration, err);
	if (status == CS_OK)
		status = quantize_model(&q->model, source->model, calibration.largest, err);
	calibration_release(&calibration);
	if (status != CS_OK)
		return status;
	fill_header(q, source, size);
	*ret_size = size;
	return CS_OK;
}

enum cs_status quantized_make(const char *path, const struct quantize_source *source, const struct kernels *kernels,
	const struct op *op, struct quantized *ret_quantized, bool *ret_saved, struct cs_error *err)
{
	struct quantized made = {0}, mapped;
	size_t size = 0;
	enum cs_status status = make_in_memory(&made, source, kernels, op, &size, err);

	if (status != CS_OK) {
		quantized_release(&made);
		return status;
	}
	made.memory_bytes = size;
	*ret_saved = save(path, made.memory, size);
	if (*ret_saved &&
		quantized_open(path, &made.model.config, source->size, source->modified_ns, &mapped, NULL) == CS_OK) {
		quantized_release(&made);
		made = mapped;
	}
	*ret_quantized = made;
	return CS_OK;
}

static enum cs_status check(const struct quantized *q, const struct quantized_header *h, size_t wanted,
	size_t source_size, int64_t source_modified_ns, struct cs_error *err)
{
	const struct model_config *c = &q->model.config;
	size_t body = kernel_round_up(sizeof *h, KERNEL_ALIGN);

	if (memcmp(h->magic, QUANTIZED_MAGIC, sizeof h->magic) != 0 || h->version != QUANTIZED_VERSION ||
		h->header_size != sizeof *h ||
		h->header_hash != XXH3_64bits(h, offsetof(struct quantized_header, header_hash)))
		return cs_fail(err, CS_VALIDATION, "the header is damaged or of another version");
	if (h->layers != c->layers || h->hidden != c->hidden || h->heads != c->heads ||
		h->intermediate != c->intermediate || h->vocabulary != c->vocabulary || h->positions != c->positions)
		return cs_fail(err, CS_VALIDATION, "the configuration has changed");
	if (h->source_size != source_size || h->source_modified_ns != source_modified_ns)
		return cs_fail(err, CS_VALIDATION, "the weights have changed");
	if (q->file.size != wanted || h->file_size != wanted ||
		h->body_hash != XXH3_64bits(q->file.ptr + body, wanted - body))
		return cs_fail(err, CS_VALIDATION, "the file is damaged");
	return CS_OK;
}

enum cs_status quantized_open(const char *path, const struct model_config *config, size_t source_size,
	int64_t source_modified_ns, struct quantized *ret_quantized, struct cs_error *err)
{
	struct quantized q = {.model = {.config = *config}};
	struct quantized_header header;
	enum cs_status status = mapped_open(path, &q.file, err);

	if (status != CS_OK)
		return status;
	q.layers = calloc(config->layers, sizeof *q.layers);
	q.model.layers = q.layers;
	if (!q.layers) {
		quantized_release(&q);
		return cs_fail_memory(err);
	}
	if (q.file.size < sizeof header) {
		quantized_release(&q);
		return cs_fail(err, CS_VALIDATION, "the file is cut short");
	}
	memcpy(&header, q.file.ptr, sizeof header);
	status = check(&q, &header, lay_out(&q.model, q.file.ptr), source_size, source_modified_ns, err);
	/* Hashing touched every page; what is needed comes back by itself. */
	mapped_forget(&q.file);
	if (status != CS_OK) {
		quantized_release(&q);
		return status;
	}
	memcpy(q.sha256, header.source_sha256, sizeof q.sha256);
	q.sha256[SHA256_HEX_SIZE - 1] = '\0';
	*ret_quantized = q;
	return CS_OK;
}

void quantized_release(struct quantized *q)
{
	mapped_close(&q->file);
	free(q->memory);
	free(q->layers);
	*q = (struct quantized){0};
}
