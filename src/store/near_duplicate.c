/* Looks for what says the same: among the vectors of the store, and among the other contexts of the same call.
 *
 * The same content is looked for first, by its hash: a log that says the same ten thousand times would have as many
 * vectors at similarity 1. Then the nearest LOOKED_AT are read and looked at here, PAGE at a time in an arena of their
 * own; a store where more than that are nearly equal has other duplicates to tell, and which of them are looked at does
 * not matter: the search is rough, or each "heartbeat" with another number in it would rank all the former ones. All of
 * the store is asked first, since type and namespace are looked at here anyway (the port's filter cannot say "without a
 * namespace"), and a filter costs each store a look at every context. It chooses only where others of another kind take
 * places among those that are looked at, and there are more candidates than these.
 * Within a call near ones are told and not skipped, because the first may still fail. */
#include <math.h>
#include <strings.h>
#include <xxhash.h>

#include "base/json.h"
#include "store/meaning.h"

#define PAGE          16u
#define LOOKED_AT     128u
#define SCRATCH_BYTES (64u << 20)

static uint64_t add_to_hash(uint64_t hash, const void *bytes, size_t len)
{
	return XXH3_64bits_withSeed(bytes, len, hash + 1);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "not" and its like, "don't" too, in any case. */
static bool is_denial(struct slice word)
{
	static const char *const denials[] = {"not", "no", "never", "none", "cannot", "without", "neither", "nor"};

	for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++)
		if (strlen(denials[i]) == word.len && strncasecmp(denials[i], word.ptr, word.len) == 0)
			return true;
	return word.len > 3 && strncasecmp(word.ptr + word.len - 3, "n't", 3) == 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'';
}

static uint64_t add_text(uint64_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len;) {
		size_t start = i;

		while (i < text.len && is_digit(text.ptr[i]))
			i++;
		if (i > start) {
			hash = add_to_hash(hash, text.ptr + start, i - start);
			continue;
		}
		while (i < text.len && is_letter(text.ptr[i]))
			i++;
		if (is_denial(slice_of(text.ptr + start, i - start)))
			hash = add_to_hash(hash, "not", 3);
		i += i == start;
	}
	return hash;
}

/* Of all numbers and denials in it, those within strings too, and true and false, in their order. */
static uint64_t add_facts(uint64_t hash, const struct json_doc *doc, uint32_t node)
{
	const struct json_node *at = &doc->nodes[node];

	switch (at->type) {
	case JSON_NULL: return hash;
	case JSON_FALSE:
	case JSON_TRUE: return add_to_hash(hash, &at->type, sizeof at->type);
	case JSON_INT:
	case JSON_UINT:
	case JSON_DOUBLE: return add_to_hash(hash, &at->u64, sizeof at->u64);
	case JSON_HUGE:
	case JSON_STRING: return add_text(hash, at->text);
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	for (uint32_t child = json_first(doc, node); child != JSON_NONE; child = json_next(doc, node, child))
		if (node != 0 || at->type != JSON_OBJECT || !slice_eq(json_key(doc, child), S("id")))
			hash = add_facts(hash, doc, child);
	return hash;
}

static bool same_facts(struct arena *arena, struct slice a, struct slice b)
{
	struct json_doc left, right;

	return json_parse(arena, a, JSON_LIMITS_DEFAULT, &left, NULL) == CS_OK &&
	       json_parse(arena, b, JSON_LIMITS_DEFAULT, &right, NULL) == CS_OK &&
	       add_facts(0, &left, 0) == add_facts(0, &right, 0);
}

enum verdict { DUPLICATE, OTHER, OTHER_KIND };

static enum verdict judge(struct op *op, struct arena *scratch, const struct context *own, const struct context *other,
	struct meaning *meaning)
{
	if (!slice_eq(own->type, other->type) || !slice_eq(own->namespace_, other->namespace_))
		return OTHER_KIND;
	if (slice_eq(own->id, other->id) || !same_facts(scratch, own->content, other->content))
		return OTHER;
	meaning->near = arena_copy(op->arena, other->id);
	if (meaning->near.ptr)
		return DUPLICATE;
	meaning->near.len = 0;
	return OTHER;
}

/* The same content, whose id becomes near if it has a vector. */
static bool find_exact(struct store *store, struct op *op, const struct context_put *put, struct meaning *meaning)
{
	struct slice id = S("");
	double similarity = (double)NAN;

	if (store->contexts.find_equal(store->contexts.self, op, &put->context, &id, NULL) != CS_OK || id.len == 0)
		return false;
	if (store->vectors.similarities(
		    store->vectors.self, op, put->vector, put->model->dimension, &id, 1, &similarity, NULL) == CS_OK &&
		!isnan(similarity)) {
		meaning->near = id;
		meaning->exact = true;
	}
	return true;
}

/* One page of candidates. *ret_other_kind: some were of another type or namespace. False: no further ones are needed, or
 * they cannot be read. */
static bool look_at_page(struct store *store, struct op *op, const struct context_put *put,
	const struct vector_hit *hits, size_t count, struct meaning *meaning, bool *ret_other_kind)
{
	struct op inner = *op;
	struct slice ids[PAGE];
	struct context *contexts = NULL;
	struct arena scratch;
	bool more;

	arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
	inner.arena = &scratch;
	for (size_t i = 0; i < count; i++)
		ids[i] = hits[i].id;
	more = store->contexts.get(store->contexts.self, &inner, ids, count, NULL, false, &contexts, &count, NULL) ==
	       CS_OK;
	for (size_t i = 0; more && i < count; i++) {
		enum verdict verdict = judge(op, &scratch, &put->context, &contexts[i], meaning);

		more = verdict != DUPLICATE;
		*ret_other_kind |= verdict == OTHER_KIND;
	}
	arena_release(&scratch);
	return more;
}

/* False: there are more candidates than are looked at, no filter yet, and some of these were of another kind. */
static bool look_at_nearest(struct store *store, struct op *op, const struct context_put *put,
	const struct context_filter *filter, struct meaning *meaning)
{
	const struct vector_query query = {.vector = put->vector,
		.dimension = put->model->dimension,
		.filter = filter,
		.limit = LOOKED_AT,
		.rough = true,
		.least_similarity = NEAR_DUPLICATE_SIMILARITY};
	struct op inner = *op;
	struct vector_result found;
	struct arena scratch;
	bool other_kind = false, more, crowded;

	arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
	inner.arena = &scratch;
	more = store->vectors.search(store->vectors.self, &inner, &query, &found, NULL) == CS_OK;
	crowded = more && !filter && found.total > LOOKED_AT;
	for (size_t at = 0; more && at < found.count && !(crowded && other_kind); at += PAGE)
		more = look_at_page(store, op, put, found.hits + at, found.count - at < PAGE ? found.count - at : PAGE,
			meaning, &other_kind);
	arena_release(&scratch);
	return !(more && crowded && other_kind);
}

static void look_in_store(struct store *store, struct op *op, const struct context_put *put, struct meaning *meaning)
{
	const struct context_filter own_kind = {.types = &put->context.type,
		.type_count = 1,
		.namespace_ = put->context.namespace_,
		.date_from = CONTEXT_NO_DATE,
		.date_to = CONTEXT_NO_DATE};

	if (!find_exact(store, op, put, meaning) && !look_at_nearest(store, op, put, NULL, meaning))
		(void)look_at_nearest(store, op, put, &own_kind, meaning);
}

static double similarity(const float *a, const float *b, uint32_t dimension)
{
	double sum = 0;

	for (uint32_t i = 0; i < dimension; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

/* Told to be skipped and found in the store: it will not be there to point at. */
static bool is_left_out(const struct context_put *put, const struct meaning *meaning)
{
	return put->skip_duplicate && meaning->near.len > 0 && !meaning->same_call;
}

static void look_among(struct op *op, const struct context_put *puts, size_t own, struct meaning *meanings)
{
	struct arena scratch;

	arena_init(&scratch, NULL, 0, SCRATCH_BYTES);
	for (size_t i = 0; i < own && meanings[own].near.len == 0; i++) {
		if (!puts[i].vector || is_left_out(&puts[i], &meanings[i]) ||
			similarity(puts[i].vector, puts[own].vector, puts[own].model->dimension) <
				NEAR_DUPLICATE_SIMILARITY)
			continue;
		meanings[own].same_call =
			judge(op, &scratch, &puts[own].context, &puts[i].context, &meanings[own]) == DUPLICATE;
		arena_reset(&scratch);
	}
	arena_release(&scratch);
}

void meaning_find_near(
	struct store *store, struct op *op, const struct context_put *puts, size_t count, struct meaning *meanings)
{
	for (size_t i = 0; i < count; i++) {
		if (!puts[i].vector || slice_trim(puts[i].context.words).len == 0)
			continue;
		look_in_store(store, op, &puts[i], &meanings[i]);
		if (meanings[i].near.len == 0)
			look_among(op, puts, i, meanings);
	}
}
