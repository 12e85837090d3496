/* A search: one walk over the codes with a bound for each entry, then f32 for those that the bounds cannot rule out.
 *
 * The bound. Let q and v be the query and an entry (f32, of unit length), Q and V what their codes stand for. Then
 *         q.v - Q.V  =  q.(v - V) + (q - Q).V,   so by Cauchy and Schwarz
 *        |q.v - Q.V| <= |q| |v - V| + |q - Q| (|v| + |v - V|).
 * |v - V| is stored with the entry, |q - Q| is measured once a search, lengths are 1 but for rounding, and Q.V is an
 * integer times two scales. What is left is rounding: the f32 kernel's sum of n products is off by at most n * 2^-24,
 * and a handful of operations here by 2^-24 each; ROUNDING pays for both twice. So lower <= f32 similarity <= upper holds
 * always, not usually, and nothing below is a guess.
 *
 * First walk: of the lower bounds the best `limit` are kept in a heap; its worst is the reach. An entry whose upper
 * bound is below the reach has `limit` entries above it and is done with, which is most of them after a few hundred.
 * The others become candidates. Entries that may or may not reach at_least are decided by f32 on the spot, so the total
 * is exact. Then the candidates are ranked by f32: first those in the heap, which raises the reach to its final height,
 * then the rest that still reach it. A rough search ends with the heap: thousands of equal entries all lie within the
 * bound, and ranking them all by f32 tells nothing to who wants any of them.
 *
 * Rejected: keeping a fixed multiple of `limit` by code similarity (recall of nearly 1 is not 1, and clusters of near
 * duplicates are common among notes); f32 at once for each entry above the reach (reads more f32 than ranking after the
 * walk). Cost: one pass over dimension bytes an entry; for random directions of 384 about 60 f32 products in 10,000
 * entries; where more entries than that lie within the bound, as many as there are. Memory: 12 bytes a candidate. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "vector/scan_parts.h"

#define RUN_SLOTS      64   /* codes compared at once; few, so that memory goes on reading while bounds are made */
#define CANDIDATES_MIN 1024 /* room at first */
#define RANKED_AHEAD   4    /* candidates whose f32 is on its way */
#define RANKED_A_CHECK 1024 /* candidates between two looks at the op */
#define LENGTH_MAX     (1.0f + 0x1p-19f)
#define ROUNDING(n)    ((float)((n) + 64) * 0x1p-23f)

struct candidate {
	uint32_t slot;
	float lower, upper; /* equal: it is the f32 similarity */
};

struct search {
	const struct scan *scan;
	struct op *op;
	const struct scan_query *query;
	struct scan_codes asked;
	float error_factor, error_base; /* margin = entry's error * factor + base */
	size_t wanted;                  /* hits at most */
	size_t among;                   /* entries that are asked for */
	bool counts;                    /* at_least excludes something */
	uint64_t total;
	float reach;           /* an upper bound below it is no hit */
	struct scan_hit *best; /* heap, the worst first: of lower bounds, and then of hits */
	size_t best_count;
	struct candidate *candidates;
	size_t candidate_count, candidate_room;
};

static inline bool is_worse(const struct scan_hit *a, const struct scan_hit *b)
{
	return a->similarity < b->similarity || (a->similarity == b->similarity && a->number > b->number);
}

/* The entry at `hole` goes down until no child is worse. */
static void sink(struct scan_hit *heap, size_t count, size_t hole, struct scan_hit hit)
{
	for (;;) {
		size_t child = 2 * hole + 1;

		if (child >= count)
			break;
		if (child + 1 < count && is_worse(&heap[child + 1], &heap[child]))
			child++;
		if (!is_worse(&heap[child], &hit))
			break;
		heap[hole] = heap[child];
		hole = child;
	}
	heap[hole] = hit;
}

/* Into the heap of the best `wanted` (at least 1), if it is one of them; raises the reach once there are so many. */
static void keep_best(struct search *s, struct scan_hit hit)
{
	if (s->best_count == s->wanted) {
		if (!is_worse(&s->best[0], &hit))
			return;
		sink(s->best, s->best_count, 0, hit);
	} else {
		size_t hole = s->best_count++;

		for (; hole && is_worse(&hit, &s->best[(hole - 1) / 2]); hole = (hole - 1) / 2)
			s->best[hole] = s->best[(hole - 1) / 2];
		s->best[hole] = hit;
	}
	if (s->best_count == s->wanted && s->best[0].similarity > s->reach)
		s->reach = s->best[0].similarity;
}

/* Best first: the worst goes to the end, and so on. */
static void sort_best(struct search *s)
{
	for (size_t left = s->best_count; left > 1; left--) {
		struct scan_hit worst = s->best[0];

		sink(s->best, left - 1, 0, s->best[left - 1]);
		s->best[left - 1] = worst;
	}
}

static const float *vector_of(const struct search *s, size_t slot)
{
	return scan_block_of(s->scan, slot)->vectors + scan_index_in_block(s->scan, slot) * s->scan->width;
}

static float similarity_of(const struct search *s, size_t slot)
{
	float dot = s->scan->kernels->dot_f32(s->asked.vector, vector_of(s, slot), s->scan->width);

	/* Rounding may pass 1 by a bit; clamped before ranking, so that ties are ties. */
	return fminf(fmaxf(dot, -1.0f), 1.0f);
}

/* Drops the candidates that the reach has left behind; where that frees less than half, there must be more room. */
static enum cs_status make_room(struct search *s, struct cs_error *err)
{
	struct candidate *bigger;
	size_t kept = 0, room;

	for (size_t i = 0; i < s->candidate_count; i++)
		if (s->candidates[i].upper >= s->reach)
			s->candidates[kept++] = s->candidates[i];
	s->candidate_count = kept;
	if (kept && kept <= s->candidate_room / 2)
		return CS_OK;
	room = s->candidate_room ? 2 * s->candidate_room : CANDIDATES_MIN;
	if (room > s->among)
		room = s->among;
	bigger = arena_alloc(s->op->arena, room * sizeof *bigger);
	if (!bigger)
		return cs_fail_memory(err);
	if (kept)
		memcpy(bigger, s->candidates, kept * sizeof *bigger);
	s->candidates = bigger;
	s->candidate_room = room;
	return CS_OK;
}

/* An entry whose upper bound is not below what is asked for. */
static enum cs_status consider(struct search *s, struct candidate c, struct cs_error *err)
{
	if (s->counts) {
		if (c.lower < s->query->at_least) {
			c.lower = c.upper = similarity_of(s, c.slot);
			if (c.lower < s->query->at_least)
				return CS_OK;
		}
		s->total++;
	}
	if (s->wanted == 0 || c.upper < s->reach)
		return CS_OK;
	if (!s->query->rough && s->candidate_count == s->candidate_room) {
		enum cs_status status = make_room(s, err);

		if (status != CS_OK)
			return status;
	}
	if (!s->query->rough)
		s->candidates[s->candidate_count++] = c;
	keep_best(s, (struct scan_hit){c.slot, c.lower});
	return CS_OK;
}

/* Four floats or sums at any address: one register on every 64-bit processor, no kernel of its own needed. */
typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_sums __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint64_t two_masks __attribute__((vector_size(16)));

/* Whether the upper bounds of these four are all below. Most are, and one at a time would cost a fifth of a search. */
static inline bool all_below(
	const struct search *s, const int32_t *dots, const float *scales, const float *errors, float reach)
{
	const four_floats coded = __builtin_convertvector(*(const four_sums *)dots, four_floats) *
				  (*(const four_floats *)scales * s->asked.scale);
	const four_floats margin = *(const four_floats *)errors * s->error_factor + s->error_base;
	const two_masks reaches = (two_masks)(coded + margin >= reach);

	return (reaches[0] | reaches[1]) == 0;
}

/* Slots first .. first+count-1 of a block; at most RUN_SLOTS. */
static enum cs_status scan_run(struct search *s, size_t first, size_t count, struct cs_error *err)
{
	const struct scan_block *block = scan_block_of(s->scan, first);
	const size_t index = scan_index_in_block(s->scan, first);
	const float *scales = block->scales + index, *errors = block->errors + index;
	int32_t dots[RUN_SLOTS];

	s->scan->kernels->dots_i8(s->asked.codes, block->codes + index * s->scan->width, s->scan->width, count, dots);
	for (size_t i = 0; i < count; i++) {
		const float reach = s->counts ? s->query->at_least : s->reach;
		float coded, margin;

		if (i % 4 == 0 && i + 4 <= count && all_below(s, dots + i, scales + i, errors + i, reach)) {
			i += 3;
			continue;
		}
		coded = (float)dots[i] * (scales[i] * s->asked.scale);
		margin = errors[i] * s->error_factor + s->error_base;

		if (coded + margin >= reach) {
			enum cs_status status = consider(
				s, (struct candidate){(uint32_t)(first + i), coded - margin, coded + margin}, err);

			if (status != CS_OK)
				return status;
		}
	}
	return CS_OK;
}

static enum cs_status scan_all(struct search *s, size_t first, size_t end, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	for (; first < end && status == CS_OK; first += RUN_SLOTS)
		status = scan_run(s, first, end - first < RUN_SLOTS ? end - first : RUN_SLOTS, err);
	return status;
}

/* first is a multiple of 64. Neighbours that are both selected are compared together. */
static enum cs_status scan_selected(struct search *s, size_t first, size_t end, struct cs_error *err)
{
	for (; first < end; first += 64) {
		uint64_t word = s->query->selection->words[first / 64];

		while (word) {
			const unsigned start = (unsigned)__builtin_ctzll(word);
			const uint64_t rest = ~(word >> start);
			const unsigned length = rest ? (unsigned)__builtin_ctzll(rest) : 64;
			enum cs_status status = scan_run(s, first + start, length, err);

			if (status != CS_OK)
				return status;
			word = start + length < 64 ? word & ~UINT64_C(0) << (start + length) : 0;
		}
	}
	return CS_OK;
}

static enum cs_status walk(struct search *s, struct cs_error *err)
{
	const size_t slots = (size_t)1 << s->scan->block_shift;

	for (size_t first = 0; first < s->scan->count; first += slots) {
		const size_t end = s->scan->count - first < slots ? s->scan->count : first + slots;
		enum cs_status status = op_check(s->op, err);

		if (status == CS_OK)
			status = (s->query->selection ? scan_selected : scan_all)(s, first, end, err);
		if (status != CS_OK)
			return status;
	}
	return CS_OK;
}

/* Those in the heap of lower bounds to the front, for they raise the reach most; those below the reach go. */
static void order_candidates(struct search *s)
{
	size_t front = 0, kept = 0;

	for (size_t i = 0; i < s->candidate_count; i++) {
		const struct candidate c = s->candidates[i];

		if (c.upper < s->reach)
			continue;
		if (c.lower >= s->reach) {
			s->candidates[kept++] = s->candidates[front];
			s->candidates[front++] = c;
		} else {
			s->candidates[kept++] = c;
		}
	}
	s->candidate_count = kept;
}

/* Of a rough search the heap is all there is. */
static enum cs_status take_heap(struct search *s, struct cs_error *err)
{
	s->candidates = arena_array(s->op->arena, s->best_count, sizeof *s->candidates);
	if (!s->candidates)
		return cs_fail_memory(err);
	for (size_t i = 0; i < s->best_count; i++)
		s->candidates[i] = (struct candidate){(uint32_t)s->best[i].number, -INFINITY, INFINITY};
	s->candidate_count = s->best_count;
	return CS_OK;
}

/* Asks for a candidate's f32 while those before it are ranked: it is far from the last one, and waiting for it costs
 * more than its products. */
static void prefetch_slot(const struct search *s, size_t slot)
{
	const char *vector = (const char *)vector_of(s, slot);

	for (size_t at = 0; at < s->scan->width * sizeof(float); at += 64)
		__builtin_prefetch(vector + at);
}

static void prefetch(const struct search *s, size_t i)
{
	if (i < s->candidate_count)
		prefetch_slot(s, s->candidates[i].slot);
}

static enum cs_status rank(struct search *s, struct cs_error *err)
{
	enum cs_status status = CS_OK;

	if (s->query->rough)
		status = take_heap(s, err);
	else
		order_candidates(s);
	s->best_count = 0;
	for (size_t i = 0; i < RANKED_AHEAD; i++)
		prefetch(s, i);
	for (size_t i = 0; i < s->candidate_count && status == CS_OK; i++) {
		const struct candidate *c = &s->candidates[i];
		float similarity;

		if (i % RANKED_A_CHECK == 0)
			status = op_check(s->op, err);
		if (c->upper < s->reach)
			continue;
		prefetch(s, i + RANKED_AHEAD);
		similarity = c->lower == c->upper ? c->lower : similarity_of(s, c->slot);
		keep_best(s, (struct scan_hit){
				     scan_block_of(s->scan, c->slot)->numbers[scan_index_in_block(s->scan, c->slot)],
				     similarity});
	}
	sort_best(s);
	return status;
}

/* The query's codes, at an address the kernels accept. */
static enum cs_status encode_query(struct search *s, struct cs_error *err)
{
	const size_t width = s->scan->width;
	char *memory = arena_alloc(s->op->arena, width * (sizeof *s->asked.vector + 1) + VECTOR_ALIGNMENT);
	enum cs_status status;

	if (!memory)
		return cs_fail_memory(err);
	memory += (0 - (uintptr_t)memory) % VECTOR_ALIGNMENT;
	s->asked.vector = (float *)(void *)memory;
	s->asked.codes = (int8_t *)(memory + width * sizeof *s->asked.vector);
	status = scan_encode(s->scan, s->query->vector, &s->asked, err);
	if (status != CS_OK)
		return status;
	s->error_factor = (LENGTH_MAX + s->asked.error) * LENGTH_MAX;
	s->error_base = s->asked.error * LENGTH_MAX + ROUNDING(s->scan->width);
	return CS_OK;
}

static enum cs_status run(struct search *s, struct cs_error *err)
{
	enum cs_status status = encode_query(s, err);

	if (status != CS_OK)
		return status;
	s->best = arena_alloc(s->op->arena, s->wanted * sizeof *s->best);
	if (!s->best)
		return cs_fail_memory(err);
	if (!s->counts)
		s->total = s->among;
	if (s->wanted == 0 && !s->counts)
		return op_check(s->op, err);
	status = walk(s, err);
	return status == CS_OK ? rank(s, err) : status;
}

enum cs_status scan_search(const struct scan *scan, struct op *op, const struct scan_query *query,
	struct scan_hit **ret_hits, size_t *ret_count, uint64_t *ret_total, struct cs_error *err)
{
	struct search s = {.scan = scan, .op = op, .query = query, .reach = -INFINITY};
	enum cs_status status;

	if (isnan(query->at_least))
		return cs_fail(err, CS_VALIDATION, "the similarity asked for must be a number");
	assert(!query->selection || query->selection->changes == scan->changes);
	s.among = query->selection ? query->selection->count : scan->count;
	s.wanted = query->limit < s.among ? query->limit : s.among;
	s.counts = query->at_least > -1.0f;
	status = run(&s, err);
	if (status != CS_OK)
		return status;
	*ret_hits = s.best;
	*ret_count = s.best_count;
	*ret_total = s.total;
	return CS_OK;
}

enum cs_status scan_similarities(const struct scan *scan, struct op *op, const float *vector, const int64_t *numbers,
	size_t count, float *similarities, struct cs_error *err)
{
	const struct scan_query query = {.vector = vector};
	struct search s = {.scan = scan, .op = op, .query = &query};
	uint32_t *slots = arena_array(op->arena, count, sizeof *slots);
	enum cs_status status = slots ? encode_query(&s, err) : cs_fail_memory(err);

	if (status != CS_OK)
		return status;
	for (size_t i = 0; i < count; i++)
		slots[i] = scan_slot(scan, numbers[i]);
	for (size_t i = 0; i < count; i++) {
		if (i + RANKED_AHEAD < count && slots[i + RANKED_AHEAD] != SCAN_NO_SLOT)
			prefetch_slot(&s, slots[i + RANKED_AHEAD]);
		if (i % RANKED_A_CHECK == 0)
			status = op_check(op, err);
		if (status != CS_OK)
			return status;
		similarities[i] = slots[i] == SCAN_NO_SLOT ? NAN : similarity_of(&s, slots[i]);
	}
	return CS_OK;
}

static struct scan_selection *new_selection(const struct scan *scan, struct arena *arena)
{
	const size_t words = (scan->count + 63) / 64;
	struct scan_selection *selection = arena_zalloc(arena, sizeof *selection + words * sizeof *selection->words);

	if (selection)
		selection->changes = scan->changes;
	return selection;
}

enum cs_status scan_select(const struct scan *scan, struct arena *arena, const int64_t *numbers, size_t count,
	const struct scan_selection **ret_selection, struct cs_error *err)
{
	struct scan_selection *selection = new_selection(scan, arena);

	if (!selection)
		return cs_fail_memory(err);
	for (size_t i = 0; i < count; i++) {
		const uint32_t slot = scan_slot(scan, numbers[i]);

		if (slot == SCAN_NO_SLOT)
			continue;
		selection->count += !(selection->words[slot / 64] >> slot % 64 & 1);
		selection->words[slot / 64] |= UINT64_C(1) << slot % 64;
	}
	*ret_selection = selection;
	return CS_OK;
}

enum cs_status scan_select_set(const struct scan *scan, struct arena *arena, const struct row_set *set,
	const struct scan_selection **ret_selection, size_t *ret_count, struct cs_error *err)
{
	struct scan_selection *selection = new_selection(scan, arena);

	if (!selection)
		return cs_fail_memory(err);
	for (size_t slot = 0; slot < scan->count; slot++) {
		const uint64_t in =
			row_set_has(set, scan_block_of(scan, slot)->numbers[scan_index_in_block(scan, slot)]);

		selection->count += in;
		selection->words[slot / 64] |= in << slot % 64;
	}
	*ret_selection = selection;
	*ret_count = selection->count;
	return CS_OK;
}
